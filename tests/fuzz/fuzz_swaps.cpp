// Any /proc/swaps and any table of limits: read or refused, never misread into more areas than lines.
#include <cstdlib>

#include "core/text.h"
#include "primitives/fstab_entry.h"
#include "primitives/probe_login.h"
#include "primitives/reading.h"
#include "primitives/swap.h"
#include "tests/fuzz/driver.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto areas = converge::parse_proc_swaps(text);
  if (areas && areas->size() > converge::split_lines(text).size()) std::abort();
  if (converge::decode_octal(text).size() > text.size()) std::abort();
  converge::parse_proc_limits(text, "Max processes");
  converge::what_of_unit(text);
  converge::number_after(text, "MemAvailable");
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swapfile  file\t\t4194300\t\t0\t\t-2\n/a\\040b file 4 0 "
    "32767\n",
    "Limit                     Soft Limit           Hard Limit           Units     \nMax processes             512     "
    "         "
    "    1024                 processes \n",
    "[Swap]\nWhat=/a%%b\n",
    "MemTotal: 1 kB\nMemAvailable: 2 kB\n",
};
const std::vector<std::string> fuzz_words = {
    "\n",        "\t",    " ",          "\\040",      "\\777",         "\\",    "-1", "file",
    "(deleted)", "Limit", "Soft Limit", "Hard Limit", "Max processes", "What=", "%",  "18446744073709551616"};
