// The page's own files, from agent/report/page/, as the build put them into the binary.
#pragma once
#include <string_view>

namespace converge {

extern const std::string_view page_html, page_css, page_js;

}  // namespace converge
