// Runs a fuzz target on a bounded number of mutations of its seeds: the same ones every time, so that a failure is one
// for everybody. `fuzz_yaml 1000000` runs more of them; `fuzz_yaml FILE...` runs the files.
#include "tests/fuzz/driver.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

namespace {

void run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

class Mutator {
 public:
  std::string next() {
    std::string text = pick(fuzz_seeds);
    if (below(4) == 0) text += pick(fuzz_seeds);
    for (std::size_t changes = 1 + below(6); changes > 0; --changes) change(text);
    if (text.size() > 4096) text.resize(4096);
    return text;
  }

 private:
  // Not std::uniform_int_distribution: libraries differ in what it makes of the same engine.
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : static_cast<std::size_t>(engine_()) % limit; }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  void change(std::string& text) {
    const std::size_t at = below(text.size() + 1), length = std::min(below(12), text.size() - at);
    switch (below(7)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, pick(fuzz_words));
        break;
      case 2:
        text.insert(at, pick(fuzz_words));
        text.insert(below(text.size() + 1), pick(fuzz_words));
        break;
      case 3:
        text.insert(below(text.size() + 1), text.substr(at, length));
        break;
      case 4:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 5:
        text.resize(at);
        break;
      default: {
        const std::string word = pick(fuzz_words);
        for (std::size_t times = below(40); times > 0; --times) text.insert(at, word);
        break;
      }
    }
  }

  std::mt19937_64 engine_{20'240'229};
};

}  // namespace

int main(int argc, char** argv) {
  unsigned long runs = 20'000;
  if (argc > 1) {
    const std::string first = argv[1];
    if (first.find_first_not_of("0123456789") != std::string::npos) {
      for (int i = 1; i < argc; ++i) {
        std::ifstream file(argv[i], std::ios::binary);
        run({std::istreambuf_iterator<char>(file), {}});
      }
      return 0;
    }
    runs = std::stoul(first);
  }
  for (const std::string& seed : fuzz_seeds) run(seed);
  Mutator mutator;
  for (unsigned long i = 0; i < runs; ++i) run(mutator.next());
  std::cout << runs << " mutations\n";
  return 0;
}
