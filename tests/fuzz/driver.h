// A fuzz target is a function of bytes; with libFuzzer it is given them by libFuzzer, without by driver.cpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/// Where driver.cpp starts from, and the words it puts in.
extern const std::vector<std::string> fuzz_seeds, fuzz_words;
