// JUnit's XML, as Goss writes it: one suite, a case for each property.
#include <fmt/format.h>

#include "core/text.h"
#include "report/formats.h"

namespace converge {
namespace {

/// Control characters that XML cannot hold are shown as printable() shows them.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&#34;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  // printable() leaves the two code points that UTF-8 has and XML has not.
  for (const std::string_view none : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"})
    for (std::size_t at = 0; (at = out.find(none, at)) != std::string::npos;) out.replace(at, none.size(), "?");
  return out;
}

std::string plain_seconds(std::chrono::microseconds time) {
  std::string out = in_seconds(time);
  out.pop_back();
  return out;
}

}  // namespace

std::string write_junit(const Results& results, const FormatOptions& /*options*/) {
  using Kind = TestResult::Kind;
  std::string moment = results.begun.text().substr(0, 19);  // "2026-11-21 08:33:28 UTC"
  if (moment.size() > 10) moment[10] = 'T';
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"goss\" errors=\"{}\" tests=\"{}\" failures=\"{}\" "
      "skipped=\"{}\" time=\"{}\" timestamp=\"{}Z\">\n",
      results.count(Kind::unknown), results.tests.size(), results.count(Kind::fail), results.count(Kind::skip),
      plain_seconds(results.took), moment);
  for (const TestResult& test : results.tests) {
    const std::string text = escaped(test.name() + ": " + test.sentence());
    const std::string host = test.host.empty() ? "" : test.host + " ";
    out += fmt::format("<testcase name=\"{}\" time=\"{}\">\n",
                       escaped(fmt::format("{}{} {} {}", host, test.type, test.id, test.property)),
                       plain_seconds(test.took));
    switch (test.kind) {
      case Kind::pass:
        out += fmt::format("<system-out>{}</system-out>\n", text);
        break;
      case Kind::skip:
        out += fmt::format("<skipped/><system-out>{}</system-out>\n", text);
        break;
      case Kind::fail:
        out += fmt::format("<system-err>{0}</system-err>\n<failure>{0}</failure>\n", text);
        break;
      case Kind::unknown:
        out += fmt::format("<system-err>{0}</system-err>\n<error>{0}</error>\n", text);
        break;
    }
    out += "</testcase>\n";
  }
  return out + "</testsuite>\n";
}

}  // namespace converge
