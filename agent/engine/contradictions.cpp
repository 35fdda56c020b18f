#include "engine/contradictions.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "core/text.h"

namespace converge {
namespace {

/// What a resource alone decides about, by a name that any spelling of it shares; "" if others may say more about it.
struct Claim {
  std::string operator()(const File& p) const { return p.place.path.str(); }
  std::string operator()(const Directory& p) const { return p.place.path.str(); }
  std::string operator()(const SymbolicLink& p) const { return p.place.path.str(); }
  std::string operator()(const Swap& p) const { return p.path.str(); }
  std::string operator()(const Block& p) const { return id(p); }
  std::string operator()(const Line& p) const {
    return fmt::format("line:{}:{}", p.place.path.str(), p.match.value_or(p.line));
  }
  std::string operator()(const Sysctl& p) const {
    std::string key = p.key;
    std::replace(key.begin(), key.end(), '/', '.');
    return "kernel parameter " + key;
  }
  std::string operator()(const Service& p) const {
    constexpr std::string_view suffix = ".service";
    return "service " + (p.name.ends_with(suffix) ? p.name.substr(0, p.name.size() - suffix.size()) : p.name);
  }
  std::string operator()(const LoginLimits& p) const { return id(p); }
  std::string operator()(const GitRemote& p) const { return id(p); }
  template <class P>
  std::string operator()(const P& /*other*/) const {
    return {};
  }
};

template <class P>
std::string kind_word() {
  if constexpr (std::is_same_v<P, File>) return "a file";
  if constexpr (std::is_same_v<P, Directory>) return "a directory";
  if constexpr (std::is_same_v<P, SymbolicLink>) return "a symbolic link";
  if constexpr (std::is_same_v<P, Swap>) return "a swap file";
  return "something else";
}

constexpr const char* presence = "state";

/// Of two resources with one claim: the property they differ in, or "".
struct Difference {
  std::string operator()(const File& a, const File& b) const {
    if (a.absent != b.absent) return presence;
    if (a.absent) return {};
    if (a.content != b.content) return "content";
    if (a.mode.bits != b.mode.bits) return "mode";
    return a.owner == b.owner ? "" : "owner";
  }
  std::string operator()(const Directory& a, const Directory& b) const {
    if (a.absent != b.absent) return presence;
    if (a.absent) return {};
    if (a.mode.bits != b.mode.bits) return "mode";
    return a.owner == b.owner ? "" : "owner";
  }
  std::string operator()(const SymbolicLink& a, const SymbolicLink& b) const {
    if (a.absent != b.absent) return presence;
    return a.absent || a.target == b.target ? "" : "target";
  }
  std::string operator()(const Swap& a, const Swap& b) const {
    if (a.absent != b.absent) return presence;
    if (a.absent) return {};
    if (a.size != b.size) return "size";
    return a.priority && b.priority && a.priority != b.priority ? "priority" : "";
  }
  std::string operator()(const Block& a, const Block& b) const {
    if (a.absent != b.absent) return presence;
    return a.absent || a.content == b.content ? "" : "content";
  }
  std::string operator()(const Line& a, const Line& b) const {
    if (a.absent != b.absent) return presence;
    return a.absent || a.line == b.line ? "" : "line";
  }
  std::string operator()(const Sysctl& a, const Sysctl& b) const { return a.value == b.value ? "" : "value"; }
  std::string operator()(const Service& a, const Service& b) const {
    if (a.running && b.running && a.running != b.running) return "running";
    return a.enabled && b.enabled && a.enabled != b.enabled ? "enabled" : "";
  }
  std::string operator()(const LoginLimits& a, const LoginLimits& b) const {
    return a.soft == b.soft && a.hard == b.hard ? "" : "limit";
  }
  std::string operator()(const GitRemote& a, const GitRemote& b) const { return a.url == b.url ? "" : "url"; }
  template <class A, class B>
  std::string operator()(const A& /*a*/, const B& /*b*/) const {
    return std::is_same_v<A, B> ? "" : "kind: it is " + kind_word<A>() + " there";
  }
};

/// What an edit of a file misses in the whole content that was declared for it; "" if it holds.
std::string missing_in(const File& whole, const Resource& edit) {
  if (const auto* line = std::get_if<Line>(&edit)) {
    const auto lines = split_lines(whole.content);
    const bool there = std::any_of(lines.begin(), lines.end(),
                                   [&](std::string_view each) { return without_ending(each) == line->line; });
    if (whole.absent) return line->absent ? "" : presence;
    return there != line->absent || (line->absent && line->match) ? "" : "content";
  }
  if (const auto* block = std::get_if<Block>(&edit); block != nullptr && !block->absent)
    return whole.absent ? presence : whole.content.find(block->content) == std::string::npos ? "content" : "";
  return {};
}

const AbsPath* edited_file(const Resource& resource) {
  if (const auto* line = std::get_if<Line>(&resource)) return &line->place.path;
  if (const auto* block = std::get_if<Block>(&resource)) return &block->place.path;
  return nullptr;
}

void report(const std::string& what, const std::string& property, const Declared& first, const Declared& second,
            Diagnostics& diagnostics) {
  diagnostics.push_back(
      {second.from.at,
       fmt::format("'{}' is declared at {} too, with another {}", printable(what), first.from.at.text(), property),
       "each run would undo the other: keep one of the two", Severity::error});
}

}  // namespace

void find_contradictions(const std::vector<Work>& work, Diagnostics& diagnostics) {
  std::unordered_map<std::string, const Declared*> claimed;
  std::vector<const Declared*> edits;
  for (const Work& item : work) {
    if (!item.skipped.empty()) continue;
    for (const Declared& declared : item.rendered.chain) {
      std::string claim = std::visit(Claim{}, declared.resource);
      if (claim.empty()) continue;
      if (edited_file(declared.resource) != nullptr) edits.push_back(&declared);
      const auto [at, is_new] = claimed.try_emplace(std::move(claim), &declared);
      if (is_new) continue;
      const std::string property = std::visit(Difference{}, at->second->resource, declared.resource);
      if (!property.empty()) report(at->first, property, *at->second, declared, diagnostics);
    }
  }
  for (const Declared* edit : edits) {
    const auto whole = claimed.find(edited_file(edit->resource)->str());
    if (whole == claimed.end()) continue;
    const auto* file = std::get_if<File>(&whole->second->resource);
    if (file == nullptr) continue;
    const std::string property = missing_in(*file, edit->resource);
    if (!property.empty()) report(whole->first, property, *whole->second, *edit, diagnostics);
  }
}

}  // namespace converge
