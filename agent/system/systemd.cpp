#include "system/systemd.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "core/text.h"
#include "system/dbus.h"
#include "system/process.h"

namespace converge {
namespace {

constexpr std::chrono::milliseconds bus_deadline{10'000};

/// "Fri 2021-11-19 08:33:28.123456 UTC" in microseconds since the epoch; nullopt if it is something else.
std::optional<std::int64_t> parse_utc(std::string_view text) {
  const auto words = fields(text);
  if (words.size() != 4 || words[3] != "UTC") return std::nullopt;
  const auto date = split(words[1], '-');
  const auto whole_and_fraction = split(words[2], '.');
  const auto clock = split(whole_and_fraction[0], ':');
  std::uint64_t year = 0;
  std::uint64_t month = 0;
  std::uint64_t day = 0;
  std::uint64_t hour = 0;
  std::uint64_t minute = 0;
  std::uint64_t second = 0;
  if (date.size() != 3 || clock.size() != 3 || !parse_number(date[0], year) || !parse_number(date[1], month) ||
      !parse_number(date[2], day) || !parse_number(clock[0], hour) || !parse_number(clock[1], minute) ||
      !parse_number(clock[2], second)) {
    return std::nullopt;
  }
  std::uint64_t micros = 0;
  if (whole_and_fraction.size() == 2) {
    std::string fraction(whole_and_fraction[1].substr(0, 6));
    fraction.resize(6, '0');
    if (!parse_number(fraction, micros)) return std::nullopt;
  }
  const std::chrono::year_month_day day_of_year{std::chrono::year{static_cast<int>(year)},
                                                std::chrono::month{static_cast<unsigned>(month)},
                                                std::chrono::day{static_cast<unsigned>(day)}};
  if (!day_of_year.ok()) return std::nullopt;
  const auto seconds = std::chrono::sys_days(day_of_year).time_since_epoch() / std::chrono::seconds(1) +
                       static_cast<std::int64_t>(hour * 3600 + minute * 60 + second);
  return seconds * 1'000'000 + static_cast<std::int64_t>(micros);
}

Command show_command(const std::string& unit, bool with_fraction) {
  Command command;
  command.argv = {"systemctl", "show", "--no-pager"};
  if (with_fraction) command.argv.emplace_back("--timestamp=us+utc");
  command.argv.insert(command.argv.end(), {"--", unit});
  command.environment = {{"TZ", "UTC"}};
  command.deadline = bus_deadline;
  return command;
}

Result<UnitProperties> by_systemctl(const std::string& unit) {
  for (const bool with_fraction : {true, false}) {  // before systemd 247 the option does not exist
    const Command command = show_command(unit, with_fraction);
    auto answer = std::move(run_all({Launch{&command, {}, "/"}}, 1).front());
    if (!answer) return std::move(answer).error().during(fmt::format("asking for unit '{}'", unit));
    if (answer->exit_code == 0) return parse_systemctl_show(answer->out);
    if (with_fraction) continue;
    return Error{
        Errc::command_failed,
        fmt::format("'{}' ended with status {}: {}", command.text(), answer->exit_code, printable(trim(answer->err))),
        {},
        {}};
  }
  return Error{Errc::io, "systemctl gave no answer", {}, {}};
}

}  // namespace

bool systemd_is_running() {
  struct stat st = {};
  return ::lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

bool is_unit_name(std::string_view unit) {
  if (unit.empty() || unit.size() > 255 || unit.front() == '.' || unit.find('.') == std::string_view::npos)
    return false;
  for (const char c : unit) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && std::string_view(":_.\\@-").find(c) == std::string_view::npos) return false;
  }
  return true;
}

std::string unit_object_path(std::string_view unit) {
  std::string path = "/org/freedesktop/systemd1/unit/";
  bool first = true;
  for (const char c : unit) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (letter || (digit && !first)) {
      path += c;
    } else {
      path += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
    first = false;
  }
  return path;
}

UnitProperties parse_systemctl_show(std::string_view text) {
  UnitProperties properties;
  for (const auto raw : split_lines(text)) {
    const auto line = without_ending(raw);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = line.substr(0, equals);
    std::string value(line.substr(equals + 1));
    if (name.ends_with("Timestamp")) {
      if (value.empty() || value == "n/a") {
        value = "0";
      } else if (const auto micros = parse_utc(value)) {
        value = fmt::format("{}", *micros);
      } else {
        continue;  // a moment we cannot read is unknown, not some other moment
      }
    }
    auto [it, is_new] = properties.try_emplace(std::string(name), value);
    // Repeated names are the parts of one list (ExecStart, Environment).
    if (!is_new) it->second += " " + value;
  }
  return properties;
}

std::map<std::string, Result<UnitProperties>, std::less<>> unit_properties(const std::vector<std::string>& units,
                                                                           bool state_only) {
  std::map<std::string, Result<UnitProperties>, std::less<>> answers;
  std::vector<std::string> names;
  for (const auto& unit : units) {
    if (answers.contains(unit)) continue;
    if (!is_unit_name(unit)) {
      answers.emplace(unit, Error{Errc::invalid,
                                  fmt::format("'{}' is not the name of a unit", printable(unit)),
                                  {},
                                  "write its suffix, such as '.service'"});
    } else if (!systemd_is_running()) {
      answers.emplace(unit,
                      Error{Errc::unsupported, "systemd does not run here (/run/systemd/system is missing)", {}, {}});
    } else {
      answers.emplace(unit, Error{});
      names.push_back(unit);
    }
  }
  if (names.empty()) return answers;

  std::vector<std::string> paths;
  for (const auto& name : names) paths.push_back(unit_object_path(name));
  std::vector<SystemdSocket> sockets{SystemdSocket::system_bus};
  if (::geteuid() == 0) sockets.insert(sockets.begin(), SystemdSocket::private_socket);
  for (const auto socket : sockets) {
    // All of them: the unit's and its type's in one answer, as systemctl asks. A service has some 300 of its own.
    auto all = get_all_properties(socket, paths, state_only ? "org.freedesktop.systemd1.Unit" : "", bus_deadline);
    if (!all) {
      // A socket that accepts and stays silent is a stuck PID 1, which no other road reaches either.
      if (all.error().code != Errc::timeout) continue;
      for (const auto& name : names) answers.insert_or_assign(name, all.error());
      return answers;
    }
    for (std::size_t i = 0; i < names.size(); ++i) answers.insert_or_assign(names[i], std::move((*all)[i]));
    return answers;
  }
  for (const auto& name : names) answers.insert_or_assign(name, by_systemctl(name));
  return answers;
}

}  // namespace converge
