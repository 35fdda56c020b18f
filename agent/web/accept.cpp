#include "web/accept.h"

#include <algorithm>
#include <charconv>

#include "core/text.h"

namespace converge::web {
namespace {

struct Range {
  std::string type, subtype;            // "*" stands for any
  std::vector<std::string> parameters;  // "version=0.0.4"
  double quality = 1.0;
};

/// Cuts at `separator`, but not within quotes.
std::vector<std::string> parts_of(std::string_view text, char separator) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size()) {
      out.back() += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == separator && !quoted) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  for (std::string& part : out) part = std::string(trim(part));
  return out;
}

/// "0.5"; nullopt unless it is from 0 to 1.
std::optional<double> weight(std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (failed != std::errc() || end != text.data() + text.size() || !(value >= 0) || value > 1) return std::nullopt;
  return value;
}

std::optional<Range> read_range(std::string_view text) {
  const std::vector<std::string> parts = parts_of(text, ';');
  const std::string media = lower(parts.front());
  const auto slash = media.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == media.size()) return std::nullopt;
  Range out{media.substr(0, slash), media.substr(slash + 1), {}, 1.0};
  if (out.type == "*" && out.subtype != "*") return std::nullopt;
  for (auto part = parts.begin() + 1; part != parts.end(); ++part) {
    const auto equals = part->find('=');
    if (equals == std::string::npos) continue;
    const std::string name = lower(trim(std::string_view(*part).substr(0, equals)));
    const std::string value(trim(std::string_view(*part).substr(equals + 1)));
    if (name == "q") {
      const auto quality = weight(value);
      if (!quality) return std::nullopt;
      out.quality = *quality;
      break;  // what follows belongs to q
    }
    if (name != "charset") out.parameters.push_back(name + "=" + lower(value));
  }
  return out;
}

/// How closely `range` describes `offer`; 0: not at all.
std::size_t closeness(const Range& range, const Range& offer) {
  if (range.type == "*") return 1;
  if (range.type != offer.type) return 0;
  if (range.subtype == "*") return 2;
  if (range.subtype != offer.subtype) return 0;
  for (const std::string& parameter : range.parameters)
    if (std::find(offer.parameters.begin(), offer.parameters.end(), parameter) == offer.parameters.end()) return 0;
  return 3 + range.parameters.size();
}

}  // namespace

std::optional<std::size_t> best_offer(std::string_view accept, const std::vector<Offer>& offers) {
  if (offers.empty()) return std::nullopt;
  if (trim(accept).empty()) return 0;
  std::vector<Range> ranges;
  for (const std::string& part : parts_of(accept, ','))
    if (auto range = read_range(part)) ranges.push_back(*std::move(range));
  std::optional<std::size_t> best;
  double best_quality = 0;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const auto offer = read_range(offers[i].media);
    if (!offer) continue;
    std::size_t closest = 0;
    double quality = 0;
    for (const Range& range : ranges) {
      const std::size_t now = closeness(range, *offer);
      if (now == 0 || now < closest) continue;
      closest = now;
      quality = range.quality * offers[i].quality;
    }
    if (quality > best_quality) {
      best = i;
      best_quality = quality;
    }
  }
  return best;
}

}  // namespace converge::web
