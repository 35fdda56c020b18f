// Runs the built binary in a directory of the test's own, with a tree of its own as --root.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace converge {

struct Ran {
  int exit = -1;
  std::string out, err;
};

/// A directory with inventory/, specs/ and tree/ (etc/passwd with tegwick); removed at the end.
class Workplace {
 public:
  Workplace() {
    std::string name = (std::filesystem::temp_directory_path() / "converge-cli-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    here_ = name;
    write("inventory/hosts.yaml",
          "all:\n  hosts:\n    node1:\n    node2:\n  children:\n    pair:\n      hosts: {node1: , node2: }\n");
    write("tree/etc/passwd", "root:x:0:0::/root:/bin/sh\ntegwick:x:1000:1000::/home/tegwick:/bin/bash\n");
    write("tree/etc/group", "root:x:0:\ntegwick:x:1000:\n");
    std::filesystem::create_directories(here_ / "tree/home/tegwick");
    std::filesystem::create_directories(here_ / "tree/run");
  }
  ~Workplace() { std::filesystem::remove_all(here_); }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((here_ / path).parent_path());
    std::ofstream(here_ / path, std::ios::binary) << text;
  }
  std::string read(const std::string& path) const {
    std::ifstream in(here_ / path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  const std::filesystem::path& here() const { return here_; }

  /// `arguments` as typed in a shell of the test's (they are the test's own words).
  Ran run(const std::string& arguments, const std::string& before = "") const {
    const std::string command = "cd '" + here_.string() + "' && export CONVERGE_HISTORY=none; " + before +
                                " '" CONVERGE_BINARY "' </dev/null " + arguments + " >stdout 2>stderr";
    const int status = std::system(command.c_str());  // NOLINT: the test's own words
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read("stdout"), read("stderr")};
  }
  /// The same on tree/ as host node1.
  Ran on_tree(const std::string& arguments) const {
    return run(arguments + " -l node1 --root '" + here_.string() + "/tree'");
  }

 private:
  std::filesystem::path here_;
};

}  // namespace converge
