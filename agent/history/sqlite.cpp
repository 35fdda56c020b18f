#include "history/sqlite.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "core/text.h"
#include "history/body.h"

namespace converge::history {
namespace {

constexpr int application = 0x436f6e76;  // "Conv", shown by file(1)
constexpr int busy_millis = 10'000;
constexpr int log_pages = 150;  // ten to twenty runs of one host

/// Each brings the form before it to the next; the first makes an empty file. Never edited once released.
constexpr std::array<const char*, 1> forms{R"(
  CREATE TABLE run(
    id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, verb TEXT NOT NULL,
    began INTEGER NOT NULL, ended INTEGER, exit INTEGER, state TEXT NOT NULL,
    who TEXT NOT NULL, came_from TEXT NOT NULL, revision TEXT NOT NULL, sources TEXT NOT NULL, words TEXT NOT NULL,
    version TEXT NOT NULL, root TEXT NOT NULL, boot TEXT NOT NULL, pid INTEGER NOT NULL,
    -- of all its looks, once it has ended
    hosts INTEGER, in_sync INTEGER, skipped INTEGER, changed INTEGER, out_of_sync INTEGER, blocked INTEGER,
    unknown INTEGER, failed INTEGER) STRICT;
  CREATE INDEX run_began ON run(began);
  CREATE INDEX run_running ON run(id) WHERE state = 'running';
  CREATE TABLE host(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    latest INTEGER,           -- run of its newest look
    shape BLOB, looked INTEGER -- what was looked at last, and when
  ) STRICT;
  CREATE TABLE body(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, steps BLOB NOT NULL) STRICT;
  CREATE TABLE look(
    host INTEGER NOT NULL REFERENCES host, run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    ended INTEGER NOT NULL, status TEXT NOT NULL,
    in_sync INTEGER NOT NULL, skipped INTEGER NOT NULL, changed INTEGER NOT NULL, out_of_sync INTEGER NOT NULL,
    blocked INTEGER NOT NULL, unknown INTEGER NOT NULL, failed INTEGER NOT NULL,
    micros INTEGER NOT NULL, error TEXT, body INTEGER REFERENCES body, times BLOB,
    PRIMARY KEY(host, run)) STRICT, WITHOUT ROWID;
  CREATE INDEX look_run ON look(run);
  CREATE INDEX look_body ON look(body);
  CREATE TABLE resource(
    id INTEGER PRIMARY KEY, host INTEGER NOT NULL REFERENCES host, item TEXT NOT NULL, name TEXT NOT NULL,
    at TEXT NOT NULL,
    looked INTEGER NOT NULL,       -- when last, if it is not in the host's shape
    in_shape INTEGER NOT NULL,     -- 1: it was looked at whenever the host was, since
    gone INTEGER NOT NULL DEFAULT 0, -- 1: declared no more
    UNIQUE(host, item, name)) STRICT;
  CREATE TABLE finding(
    id INTEGER PRIMARY KEY, host INTEGER NOT NULL REFERENCES host, resource INTEGER NOT NULL REFERENCES resource,
    property TEXT NOT NULL, unknown INTEGER NOT NULL, expected TEXT NOT NULL, actual TEXT NOT NULL,
    detail TEXT NOT NULL, in_sync_until INTEGER, out_since INTEGER NOT NULL, began INTEGER NOT NULL,
    ended INTEGER, how TEXT, suspects TEXT NOT NULL DEFAULT '') STRICT;
  CREATE INDEX finding_open ON finding(host) WHERE ended IS NULL;
  CREATE INDEX finding_host ON finding(host, began);
  CREATE INDEX finding_ended ON finding(ended) WHERE ended IS NOT NULL;
  CREATE INDEX finding_resource ON finding(resource);
)"};

/// Thrown and caught in this file: a transaction is whole or it is none.
struct Failed {
  Error error;
};

Error explain(int code, sqlite3* database, const std::string& path) {
  const std::string name = printable(path);
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Errc::timeout, fmt::format("the history '{}' is in use by another run", name), {}, "try again"};
    case SQLITE_FULL:
      return {Errc::no_space, fmt::format("no space left for the history '{}'", name), {}, "make room, or prune it"};
    case SQLITE_READONLY:
      return {Errc::read_only, fmt::format("the history '{}' cannot be written", name), {}, {}};
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return {
          Errc::permission, fmt::format("the history '{}' cannot be opened", name), {}, "look at its owner and mode"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Errc::unparsable,
              fmt::format("the history '{}' is damaged, or is none", name),
              {},
              "move it away: a new one is begun, and nothing else depends on it"};
    default:
      return {
          Errc::io,
          fmt::format("the history '{}': {}", name, database == nullptr ? "out of memory" : sqlite3_errmsg(database)),
          {},
          {}};
  }
}

struct CloseDatabase {
  void operator()(sqlite3* database) const { (void)sqlite3_close_v2(database); }
};
struct EndStatement {
  void operator()(sqlite3_stmt* statement) const { (void)sqlite3_finalize(statement); }
};

struct Blob {
  std::string_view bytes;
};

/// A statement with its values: next() for each row, then its columns in order.
class Query {
 public:
  /// Statements that were prepared, and are not in use.
  using Kept = std::map<std::string, std::unique_ptr<sqlite3_stmt, EndStatement>>;

  template <class... Values>
  Query(sqlite3* database, const std::string& path, Kept& kept, std::string sql, const Values&... values)
      : database_(database), path_(path), kept_(kept), sql_(std::move(sql)) {
    if (auto known = kept_.extract(sql_); !known.empty()) {
      statement_ = std::move(known.mapped());
    } else {
      sqlite3_stmt* made = nullptr;
      check(sqlite3_prepare_v2(database, sql_.c_str(), -1, &made, nullptr));
      statement_.reset(made);
    }
    int at = 0;
    (bind(++at, values), ...);
  }
  ~Query() {
    (void)sqlite3_reset(statement_.get());
    kept_.insert_or_assign(std::move(sql_), std::move(statement_));
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  bool next() {
    const int code = sqlite3_step(statement_.get());
    if (code != SQLITE_ROW && code != SQLITE_DONE) check(code);
    return code == SQLITE_ROW;
  }

  std::int64_t number(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }
  std::string text(int column) const {
    const void* bytes = sqlite3_column_blob(statement_.get(), column);  // before its size: that is SQLite's order
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
    return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
  }
  std::optional<Timestamp> time(int column) const {
    return is_null(column) ? std::nullopt : std::optional(Timestamp{number(column)});
  }

 private:
  void check(int code) const {
    if (code != SQLITE_OK) throw Failed{explain(code, database_, path_)};
  }
  void bind(int at, std::string_view text) {
    check(sqlite3_bind_text(statement_.get(), at, text.data() == nullptr ? "" : text.data(),
                            static_cast<int>(text.size()), SQLITE_TRANSIENT));
  }
  void bind(int at, const char* text) { bind(at, std::string_view(text)); }
  void bind(int at, Blob blob) {
    check(sqlite3_bind_blob(statement_.get(), at, blob.bytes.data(), static_cast<int>(blob.bytes.size()),
                            SQLITE_TRANSIENT));
  }
  void bind(int at, Timestamp time) { bind(at, time.micros); }
  void bind(int at, std::nullptr_t) { check(sqlite3_bind_null(statement_.get(), at)); }
  template <class Number>
  requires std::is_integral_v<Number>
  void bind(int at, Number number) {
    check(sqlite3_bind_int64(statement_.get(), at, static_cast<std::int64_t>(number)));
  }
  template <class T>
  void bind(int at, const std::optional<T>& value) {
    if (value)
      bind(at, *value);
    else
      bind(at, nullptr);
  }

  sqlite3* database_;
  const std::string& path_;
  Kept& kept_;
  std::string sql_;
  std::unique_ptr<sqlite3_stmt, EndStatement> statement_;
};

std::string_view name_of(Run::State state) {
  switch (state) {
    case Run::State::running:
      return "running";
    case Run::State::done:
      return "done";
    case Run::State::interrupted:
      return "interrupted";
  }
  return "";
}
Run::State state_of(std::string_view name) {
  if (name == "running") return Run::State::running;
  return name == "done" ? Run::State::done : Run::State::interrupted;
}

constexpr std::array counted{Outcome::in_sync, Outcome::skipped, Outcome::changed, Outcome::out_of_sync,
                             Outcome::blocked, Outcome::unknown, Outcome::failed};
constexpr const char* counts =
    "look.in_sync,look.skipped,look.changed,look.out_of_sync,look.blocked,look.unknown,look.failed";
constexpr const char* sums =
    "total(look.in_sync),total(look.skipped),total(look.changed),total(look.out_of_sync),total(look.blocked),"
    "total(look.unknown),total(look.failed)";
Tally tally_at(const Query& row, int column) {
  Tally tally;
  for (const Outcome outcome : counted)
    tally.counts[static_cast<std::size_t>(outcome)] = static_cast<std::size_t>(row.number(column++));
  return tally;
}

// One suspect a line: "kind\ttext".
std::string text_of(const std::vector<Suspect>& suspects) {
  std::string out;
  for (const Suspect& each : suspects) out += printable(each.kind) + "\t" + printable(each.text) + "\n";
  return out;
}
std::vector<Suspect> suspects_of(const std::string& text) {
  std::vector<Suspect> out;
  for (const std::string_view line : split_lines(text)) {
    const std::string_view whole = without_ending(line);
    const std::size_t tab = whole.find('\t');
    if (tab != std::string_view::npos)
      out.push_back({std::string(whole.substr(0, tab)), std::string(whole.substr(tab + 1))});
  }
  return out;
}

constexpr const char* finding_columns =
    "finding.id, host.name, resource.item, resource.name, resource.at, finding.property, finding.unknown,"
    "finding.expected, finding.actual, finding.detail, finding.in_sync_until, finding.out_since, finding.began,"
    "finding.ended, finding.how, finding.suspects"
    " FROM finding JOIN resource ON resource.id = finding.resource JOIN host ON host.id = finding.host ";
Finding finding_at(const Query& row) {
  Finding out;
  out.id = row.number(0);
  out.host = row.text(1);
  out.item = row.text(2);
  out.resource = row.text(3);
  out.at = row.text(4);
  out.property = row.text(5);
  out.unknown = row.number(6) != 0;
  out.expected = row.text(7);
  out.actual = row.text(8);
  out.detail = row.text(9);
  out.in_sync_until = row.time(10);
  out.out_since = Timestamp{row.number(11)};
  out.began = Timestamp{row.number(12)};
  out.ended = row.time(13);
  out.how = row.text(14);
  out.suspects = suspects_of(row.text(15));
  return out;
}

class Sqlite final : public History {
 public:
  Sqlite(std::unique_ptr<sqlite3, CloseDatabase> database, std::string path)
      : database_(std::move(database)), path_(std::move(path)) {}

  Status prepare(Access access) {
    return guarded<Done>([&] {
      // Copying the log into the file at each end would cost more than the run; but each run reads all of the log when
      // it opens it, so it must not become long.
      (void)sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
      (void)sqlite3_wal_autocheckpoint(database_.get(), log_pages);
      run("PRAGMA trusted_schema = OFF");
      run("PRAGMA foreign_keys = ON");
      if (access == Access::write) {
        run("PRAGMA synchronous = OFF");  // while the file is made: nothing is in it that could be lost
        (void)ask("PRAGMA journal_mode = WAL").next();
      } else {
        run("PRAGMA query_only = ON");
      }
      const std::int64_t form = number_of("PRAGMA user_version");
      const auto newest = static_cast<std::int64_t>(forms.size());
      if (form > newest)
        throw Failed{{Errc::unsupported,
                      fmt::format("the history '{}' was made by a newer converge (form {}; this one knows {})",
                                  printable(path_), form, newest),
                      {},
                      "use that converge, or move the file away"}};
      const std::int64_t whose = number_of("PRAGMA application_id");
      if (whose != application && (form != 0 || number_of("SELECT count(*) FROM sqlite_schema") != 0))
        throw Failed{explain(SQLITE_NOTADB, nullptr, path_)};
      // The end of a run that matters is made sure of, and all before it with it.
      if (form == newest && access == Access::write) run("PRAGMA synchronous = NORMAL");
      if (form == newest) return Done{};
      if (access == Access::read) {
        if (form == 0) throw Failed{{Errc::not_found, "there is no history yet", {}, {}}};
        throw Failed{{Errc::unsupported,
                      fmt::format("the history '{}' is of an older converge", printable(path_)),
                      {},
                      "the next run brings it up to date"}};
      }
      if (form > 0) run("PRAGMA synchronous = FULL");
      bring_up_to_date(form);
      run("PRAGMA synchronous = NORMAL");
      return Done{};
    });
  }

  Result<std::int64_t> begin(const RunStart& start,
                             const std::function<bool(const std::string&, std::int64_t)>& alive) override {
    return guarded<std::int64_t>([&] {
      const Transaction transaction(*this);
      std::vector<std::int64_t> dead;
      for (Query row = ask("SELECT id, boot, pid FROM run WHERE state = 'running'"); row.next();)
        if (!alive(row.text(1), row.number(2))) dead.push_back(row.number(0));
      for (const std::int64_t id : dead) run("UPDATE run SET state = 'interrupted' WHERE id = ?", id);
      run("INSERT INTO run(uid, verb, began, state, who, came_from, revision, sources, words, version, root, boot, pid)"
          " VALUES(?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          start.uid, converge::name_of(start.verb), start.began, start.who, start.from, start.revision, start.sources,
          start.words, start.version, start.root, start.boot, start.pid);
      const std::int64_t id = sqlite3_last_insert_rowid(database_.get());
      transaction.commit();
      return id;
    });
  }

  Result<Compared> record(std::int64_t run_id, const HostRecord& record) override {
    return guarded<Compared>([&] {
      const Transaction transaction(*this);
      Compared out = remember(run_id, record);
      transaction.commit();
      return out;
    });
  }

  Status suspect(std::int64_t finding, const std::vector<Suspect>& suspects) override {
    return guarded<Done>([&] {
      run("UPDATE finding SET suspects = ? WHERE id = ?", text_of(suspects), finding);
      return Done{};
    });
  }

  Status end(std::int64_t run_id, Timestamp ended, int exit, bool worth_it) override {
    return guarded<Done>([&] {
      if (!in_transaction()) run(worth_it ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
      run(fmt::format(
              "UPDATE run SET ended = ?, exit = ?, state = ?, (hosts, in_sync, skipped, changed, out_of_sync,"
              " blocked, unknown, failed) = (SELECT count(*), {} FROM look WHERE look.run = run.id) WHERE id = ?",
              sums),
          ended, exit, name_of(exit == 130 ? Run::State::interrupted : Run::State::done), run_id);
      return Done{};
    });
  }

  Result<Pruned> prune(Timestamp before, std::size_t most) override {
    return guarded<Pruned>([&] {
      const Transaction transaction(*this);
      Pruned out;
      std::vector<std::int64_t> old;
      for (Query row = ask("SELECT id FROM run WHERE began < ? AND state <> 'running'"
                           " AND id NOT IN (SELECT latest FROM host WHERE latest IS NOT NULL) ORDER BY began LIMIT ?",
                           before, most);
           row.next();)
        old.push_back(row.number(0));
      std::set<std::int64_t> bodies;
      for (const std::int64_t id : old) {
        for (Query row = ask("SELECT body FROM look WHERE run = ? AND body IS NOT NULL", id); row.next();)
          bodies.insert(row.number(0));
        run("DELETE FROM run WHERE id = ?", id);
      }
      for (const std::int64_t body : bodies)
        run("DELETE FROM body WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM look WHERE look.body = ?1)", body);
      out.runs = old.size();
      run("DELETE FROM finding WHERE ended < ?", before);
      out.findings = static_cast<std::size_t>(sqlite3_changes(database_.get()));
      transaction.commit();
      return out;
    });
  }

  Status together(const std::function<Status()>& work) override {
    return guarded<Done>([&] {
      const Transaction transaction(*this);
      if (Status done = work(); !done) throw Failed{std::move(done).error()};
      transaction.commit();
      return Done{};
    });
  }

  Result<std::vector<Run>> runs(const Range& range) const override {
    return guarded<std::vector<Run>>([&] {
      std::vector<Run> out;
      // The host's rows first, then their runs: both by key.
      if (!range.host.empty()) {
        for (Query row = ask("SELECT run FROM look WHERE host = (SELECT id FROM host WHERE name = ?)"
                             " AND run >= coalesce((SELECT min(id) FROM run WHERE began >= ?), 9e18)"
                             " AND run <= coalesce((SELECT max(id) FROM run WHERE began <= ?), 0)"
                             " AND run < ? ORDER BY run DESC LIMIT ?",
                             range.host, from(range), until(range), before(range), range.limit);
             row.next();)
          out.push_back(run_of(row.number(0)));
        return out;
      }
      for (Query row = ask("SELECT id FROM run WHERE began BETWEEN ?1 AND ?2 AND (?3 IS NULL OR"
                           " (began, id) < (SELECT began, id FROM run WHERE id = ?3))"
                           " ORDER BY began DESC, id DESC LIMIT ?4",
                           from(range), until(range), range.before, range.limit);
           row.next();)
        out.push_back(run_of(row.number(0)));
      return out;
    });
  }

  Result<Run> run(const std::string& name) const override {
    return guarded<Run>([&] {
      std::int64_t number = 0;
      std::vector<std::int64_t> found;
      if (name == "last") {
        for (Query row = ask("SELECT max(id) FROM run"); row.next();)
          if (!row.is_null(0)) found.push_back(row.number(0));
      } else if (parse_number(name, number)) {
        for (Query row = ask("SELECT id FROM run WHERE id = ?", number); row.next();) found.push_back(row.number(0));
      }
      if (found.empty() && name.size() >= 4 && name.find_first_not_of("0123456789abcdef") == std::string::npos)
        for (Query row = ask("SELECT id FROM run WHERE uid >= ?1 AND uid < ?1 || 'g' LIMIT 2", name); row.next();)
          found.push_back(row.number(0));
      if (found.empty())
        throw Failed{{Errc::not_found,
                      fmt::format("there is no run '{}' in the history", printable(name)),
                      {},
                      "see `converge history` for those there are"}};
      if (found.size() > 1)
        throw Failed{
            {Errc::invalid, fmt::format("several runs begin with '{}'", printable(name)), {}, "say more of it"}};
      return run_of(found.front());
    });
  }

  Result<std::vector<HostRecord>> hosts_of(std::int64_t run_id) const override {
    return guarded<std::vector<HostRecord>>([&] {
      std::vector<HostRecord> out;
      for (Query row = ask(fmt::format("SELECT {} WHERE run = ? ORDER BY host.name", record_columns()), run_id);
           row.next();)
        out.push_back(record_at(row));
      return out;
    });
  }

  Result<std::optional<HostRecord>> host_of(std::int64_t run_id, const std::string& host) const override {
    return guarded<std::optional<HostRecord>>([&]() -> std::optional<HostRecord> {
      Query row = ask(fmt::format("SELECT {} WHERE run = ? AND host.name = ?", record_columns()), run_id, host);
      if (!row.next()) return std::nullopt;
      return record_at(row);
    });
  }

  Result<std::vector<Point>> points(const Range& range) const override {
    return guarded<std::vector<Point>>([&] {
      const std::string sql = fmt::format(
          "SELECT {}, look.run, host.name, status, run.verb, look.ended, micros FROM look"
          " JOIN host ON host.id = look.host JOIN run ON run.id = look.run"
          " WHERE {} look.run >= coalesce((SELECT min(id) FROM run WHERE began >= ?2), 9e18)"
          " AND look.run <= coalesce((SELECT max(id) FROM run WHERE began <= ?3), 0)"
          " ORDER BY look.run DESC, host.name LIMIT ?4",
          counts, range.host.empty() ? "?1 = '' AND" : "look.host = (SELECT id FROM host WHERE name = ?1) AND");
      return points_in(ask(sql, range.host, from(range), until(range), range.limit));
    });
  }

  Result<Sample> sample(const Range& range) const override {
    return guarded<Sample>([&] {
      const bool all = range.host.empty();
      std::vector<std::int64_t> runs;
      for (Query row =
               ask("SELECT id FROM run WHERE began BETWEEN ? AND ? ORDER BY id DESC", from(range), until(range));
           row.next();)
        runs.push_back(row.number(0));
      Sample out;
      if (runs.empty()) return out;
      const std::int64_t rows =
          all ? number_of("SELECT count(*) FROM look WHERE run BETWEEN ? AND ?", runs.back(), runs.front())
              : number_of(
                    "SELECT count(*) FROM look WHERE host = (SELECT id FROM host WHERE name = ?)"
                    " AND run BETWEEN ? AND ?",
                    range.host, runs.back(), runs.front());
      const std::size_t most = std::max<std::size_t>(range.limit, 1);
      out.every = (static_cast<std::size_t>(rows) + most - 1) / most;
      out.every = std::max<std::size_t>(out.every, 1);
      const std::string sql = fmt::format(
          "SELECT {}, look.run, host.name, status, run.verb, look.ended, micros FROM look JOIN host ON host.id ="
          " look.host JOIN run ON run.id = look.run WHERE look.run = ?1 AND {} ORDER BY host.name",
          counts, all ? "?2 = ''" : "look.host = (SELECT id FROM host WHERE name = ?2)");
      for (std::size_t i = 0; i < runs.size(); i += out.every)
        for (Point& each : points_in(ask(sql, runs[i], range.host))) out.points.push_back(std::move(each));
      return out;
    });
  }

  Result<std::vector<Point>> latest() const override {
    return guarded<std::vector<Point>>([&] {
      const std::string sql = fmt::format(
          "SELECT {}, look.run, host.name, status, run.verb, look.ended, micros FROM host"
          " JOIN look ON look.host = host.id AND look.run = host.latest JOIN run ON run.id = look.run ORDER BY "
          "host.name",
          counts);
      return points_in(ask(sql));
    });
  }

  Result<std::vector<Finding>> findings(const Range& range) const override {
    return guarded<std::vector<Finding>>([&] {
      const std::string about = fmt::format(
          "SELECT {} WHERE {} {} finding.began <= ?3 AND (?5 IS NULL OR (finding.began, finding.id) <"
          " (SELECT began, id FROM finding WHERE id = ?5)) AND ",
          finding_columns,
          range.host.empty() ? "?1 = '' AND" : "finding.host = (SELECT id FROM host WHERE name = ?1) AND",
          range.item.empty() ? "?6 = '' AND" : "resource.item = ?6 AND");
      // In two: each has an index of its own.
      std::string sql;
      if (range.open.value_or(true)) sql += about + "finding.ended IS NULL";
      if (!range.open) sql += " UNION ALL ";
      if (!range.open.value_or(false)) sql += about + "finding.ended >= ?2";
      return findings_in(ask(sql + " ORDER BY finding.began DESC, finding.id DESC LIMIT ?4", range.host, from(range),
                             until(range), range.limit, range.before, range.item));
    });
  }

  Result<std::vector<Finding>> open_findings(const std::string& host) const override {
    return guarded<std::vector<Finding>>([&] {
      const std::string sql =
          fmt::format("SELECT {} WHERE {} finding.ended IS NULL ORDER BY host.name, finding.id", finding_columns,
                      host.empty() ? "?1 = '' AND" : "finding.host = (SELECT id FROM host WHERE name = ?1) AND");
      return findings_in(ask(sql, host));
    });
  }

  Result<std::vector<ItemState>> items(const std::string& host) const override {
    return guarded<std::vector<ItemState>>([&] {
      std::vector<ItemState> out;
      const std::string sql = fmt::format(
          "SELECT host.name, item, count(*), max(CASE in_shape WHEN 1 THEN host.looked ELSE resource.looked END),"
          " sum(EXISTS (SELECT 1 FROM finding WHERE finding.resource = resource.id AND ended IS NULL AND NOT unknown)),"
          " sum(EXISTS (SELECT 1 FROM finding WHERE finding.resource = resource.id AND ended IS NULL AND unknown))"
          " FROM resource JOIN host ON host.id = resource.host WHERE NOT gone AND {}"
          " GROUP BY host.name, item ORDER BY host.name, min(resource.id)",
          host.empty() ? "?1 = ''" : "host.name = ?1");
      for (Query row = ask(sql, host); row.next();)
        out.push_back({.host = row.text(0),
                       .item = row.text(1),
                       .resources = static_cast<std::size_t>(row.number(2)),
                       .out = static_cast<std::size_t>(row.number(4)),
                       .unknown = static_cast<std::size_t>(row.number(5)),
                       .looked = Timestamp{row.number(3)}});
      return out;
    });
  }

  Result<std::optional<Timestamp>> last_look(const std::string& host) const override {
    return guarded<std::optional<Timestamp>>([&]() -> std::optional<Timestamp> {
      Query row = ask("SELECT looked FROM host WHERE name = ?", host);
      if (!row.next()) return std::nullopt;
      return row.time(0);
    });
  }

  Result<std::string> state() const override {
    return guarded<std::string>([&] {
      Query row =
          ask("SELECT (SELECT total(latest) || ' ' || total(looked) FROM host),"
              " (SELECT max(id) || ' ' || total(ended) FROM (SELECT id, ended FROM run ORDER BY id DESC LIMIT 50)),"
              " (SELECT max(id) || ' ' || length(suspects) FROM finding),"
              " (SELECT count(*) FROM finding WHERE ended IS NULL)");
      (void)row.next();
      return fmt::format("{} {} {} {}", row.text(0), row.text(1), row.text(2), row.text(3));
    });
  }

 private:
  template <class T, class Work>
  Result<T> guarded(const Work& work) const {
    try {
      return work();
    } catch (Failed& failed) {
      return std::move(failed.error);
    }
  }

  template <class... Values>
  Query ask(std::string sql, const Values&... values) const {
    return Query(database_.get(), path_, kept_, std::move(sql), values...);
  }
  template <class... Values>
  void run(std::string sql, const Values&... values) {
    Query query = ask(std::move(sql), values...);
    while (query.next()) {
    }
  }
  template <class... Values>
  std::int64_t number_of(std::string sql, const Values&... values) const {
    Query row = ask(std::move(sql), values...);
    return row.next() ? row.number(0) : 0;
  }

  bool in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }

  /// IMMEDIATE: a reader that turns writer is refused at once, whatever the busy timeout says. One within another is
  /// part of it.
  class Transaction {
   public:
    explicit Transaction(Sqlite& of) : of_(of), outermost_(!of.in_transaction()) {
      if (outermost_) of_.run("BEGIN IMMEDIATE");
    }
    ~Transaction() {
      if (outermost_ && of_.in_transaction())
        (void)sqlite3_exec(of_.database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit() const {
      if (outermost_) of_.run("COMMIT");
    }

   private:
    Sqlite& of_;
    const bool outermost_;
  };

  void bring_up_to_date(std::int64_t form) {
    if (form > 0) run("VACUUM INTO ?", fmt::format("{}.form{}", path_, form));
    const Transaction transaction(*this);
    form = number_of("PRAGMA user_version");  // another run may have been quicker
    for (; form < static_cast<std::int64_t>(forms.size()); ++form) {
      const char* sql = forms[static_cast<std::size_t>(form)];
      if (const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr); code != SQLITE_OK)
        throw Failed{explain(code, database_.get(), path_)};
    }
    run(fmt::format("PRAGMA user_version = {}", forms.size()));
    run(fmt::format("PRAGMA application_id = {}", application));
    transaction.commit();
  }

  struct HostRow {
    std::int64_t id = 0;
    std::string shape;
    std::optional<Timestamp> looked;
  };
  HostRow host_row(const std::string& name) {
    run("INSERT OR IGNORE INTO host(name) VALUES(?)", name);
    Query row = ask("SELECT id, shape, looked FROM host WHERE name = ?", name);
    (void)row.next();
    return {row.number(0), row.text(1), row.time(2)};
  }

  std::int64_t body_for(const std::vector<Step>& steps) {
    const std::string digest = digest_of(steps);
    if (Query row = ask("SELECT id FROM body WHERE digest = ?", Blob{digest}); row.next()) return row.number(0);
    run("INSERT INTO body(digest, steps) VALUES(?, ?)", Blob{digest}, Blob{pack(steps)});
    return sqlite3_last_insert_rowid(database_.get());
  }

  /// A finding that was open when this look began.
  struct Open {
    Finding finding;
    bool seen = false;  // by this look, as it was
  };
  using Key = std::pair<std::string, std::string>;  // item, resource

  static bool names_are_apart(const std::vector<Step>& steps) {
    struct Hash {
      std::size_t operator()(const Step* step) const {
        return std::hash<std::string>()(step->id) * 31 + std::hash<std::string>()(step->item);
      }
    };
    const auto same = [](const Step* a, const Step* b) { return a->id == b->id && a->item == b->item; };
    std::unordered_set<const Step*, Hash, decltype(same)> met(steps.size(), Hash(), same);
    return std::all_of(steps.begin(), steps.end(), [&](const Step& step) { return met.insert(&step).second; });
  }

  /// The second resource of an item that has the name of another is told from it by a number.
  static HostRecord with_names_apart(HostRecord record) {
    std::map<Key, int> met;
    for (Step& step : record.steps)
      if (const int nth = ++met[{step.item, step.id}]; nth > 1) step.id += fmt::format(" #{}", nth);
    return record;
  }

  Compared remember(std::int64_t run_id, const HostRecord& record) {
    if (!names_are_apart(record.steps)) return remember(run_id, with_names_apart(record));
    const HostRow host = host_row(record.host);
    const bool applied = is_verb(run_id, Verb::apply);
    std::optional<std::int64_t> body;
    std::optional<std::string> times;
    if (!record.steps.empty()) {
      body = body_for(record.steps);
      if (applied) times = pack_times(record.steps);
    }
    const auto& count = record.tally.counts;
    run("INSERT INTO look(host, run, ended, status, in_sync, skipped, changed, out_of_sync, blocked, unknown, failed,"
        " micros, error, body, times) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        host.id, run_id, record.ended, record.status, count[0], count[1], count[2], count[3], count[4], count[5],
        count[6], record.took.count(), record.error.empty() ? std::nullopt : std::optional(record.error), body,
        times ? std::optional(Blob{*times}) : std::nullopt);
    run("UPDATE host SET latest = ? WHERE id = ?", run_id, host.id);

    Compared out;
    std::map<Key, std::vector<Open>> open;
    for (Query row = ask(fmt::format("SELECT {} WHERE finding.host = ? AND finding.ended IS NULL ORDER BY finding.id",
                                     finding_columns),
                         host.id);
         row.next();) {
      Finding finding = finding_at(row);
      Key key{finding.item, finding.resource};
      open[key].push_back({std::move(finding), false});
    }
    if (record.steps.empty() || is_verb(run_id, Verb::undo)) return out;  // undo looks at no declared resource

    const Looks before = take_shape(host, record);
    KeptDiffs kept_before = [this, run_id, host = host.id, body,
                             read = std::optional<std::map<Key, std::string>>()](const Key& key) mutable {
      if (!read) read = diffs_before(run_id, host, body);
      return (*read)[key];
    };
    for (const Step& step : record.steps) {
      if (open.empty() && step.outcome == Outcome::in_sync) continue;
      const auto known = open.find({step.item, step.id});
      if (known == open.end() && step.outcome == Outcome::in_sync) continue;
      compare(host.id, step, record, before, kept_before,
              known == open.end() ? open[{step.item, step.id}] : known->second, out);
    }
    for (auto& [key, findings] : open)
      for (Open& each : findings)
        if (!each.finding.ended && is_gone(host.id, key)) close(each.finding, record.ended, "undeclared", out);
    suspect_the_spec(run_id, host.id, out.fresh);
    return out;
  }

  struct Earlier {
    std::int64_t run, body;
    std::string steps;  // packed
  };
  /// The look at a host before that of a run.
  std::optional<Earlier> look_before(std::int64_t run_id, std::int64_t host) const {
    Query row =
        ask("SELECT look.run, body.id, body.steps FROM look JOIN body ON body.id = look.body WHERE host = ? AND run < ?"
            " ORDER BY run DESC LIMIT 1",
            host, run_id);
    if (!row.next()) return std::nullopt;
    return Earlier{row.number(0), row.number(1), row.text(2)};
  }

  /// What is expected may be what changed: the look before says what it was.
  void suspect_the_spec(std::int64_t run_id, std::int64_t host, std::vector<Finding>& fresh) {
    if (std::none_of(fresh.begin(), fresh.end(), [](const Finding& each) { return each.in_sync_until.has_value(); }))
      return;
    const auto earlier = look_before(run_id, host);
    if (!earlier) return;
    const auto before = unpack(earlier->steps);
    if (!before) return;
    for (Finding& finding : fresh) {
      for (const Step& step : *before) {
        if (step.item != finding.item || step.id != finding.resource) continue;
        const Check* check = find_check(step.checks, finding.property);
        if (check == nullptr || check->expected == finding.expected) continue;
        finding.suspects.push_back(
            {"spec", fmt::format("it is declared otherwise since run {}: it was '{}'", earlier->run, check->expected)});
        run("UPDATE finding SET suspects = ? WHERE id = ?", text_of(finding.suspects), finding.id);
      }
    }
  }

  /// What the look before kept of how a resource differed; "" if nothing, or the same as now.
  using KeptDiffs = std::function<std::string(const Key&)>;

  std::map<Key, std::string> diffs_before(std::int64_t run_id, std::int64_t host, std::optional<std::int64_t> body) {
    std::map<Key, std::string> out;
    const auto earlier = look_before(run_id, host);
    if (!earlier || earlier->body == body) return out;
    if (const auto steps = unpack(earlier->steps))
      for (const Step& step : *steps) out[{step.item, step.id}] = step.diff;
    return out;
  }

  /// When resources were looked at before this look, if they were.
  struct Looks {
    std::optional<Timestamp> all;                  // this, for all of them
    std::map<Key, std::optional<Timestamp>> each;  // or each
    std::optional<Timestamp> of(const Key& key) const {
      if (all) return all;
      const auto it = each.find(key);
      return it == each.end() ? std::nullopt : it->second;
    }
  };

  /// Notes which resources this look is about. Most looks are about what the last was: then nothing is written but
  /// when.
  Looks take_shape(const HostRow& host, const HostRecord& record) {
    Looks before;
    std::string shape = shape_of(record.steps);
    if (std::any_of(record.steps.begin(), record.steps.end(), [](const Step& step) { return !was_looked_at(step); }))
      shape += "-";  // some of it was left out: such looks are kept apart, and each resource for itself
    const bool same = host.looked && shape == host.shape && shape.back() != '-';
    run("UPDATE host SET shape = ?, looked = ? WHERE id = ?", Blob{shape}, record.ended, host.id);
    if (same) {
      before.all = host.looked;
      return before;
    }
    if (host.looked)
      run("UPDATE resource SET looked = ?, in_shape = 0 WHERE host = ? AND in_shape = 1", *host.looked, host.id);
    std::map<Key, std::tuple<std::int64_t, Timestamp, std::string, bool>> known;
    for (Query row = ask("SELECT item, name, id, looked, at, gone FROM resource WHERE host = ?", host.id); row.next();)
      known[{row.text(0), row.text(1)}] = {row.number(2), Timestamp{row.number(3)}, row.text(4), row.number(5) != 0};
    std::set<std::string> files;
    for (const Step& step : record.steps) {
      files.insert(step.at.substr(0, step.at.find(':')));
      const Key key{step.item, step.id};
      const auto it = known.find(key);
      const bool looked = was_looked_at(step);
      if (it == known.end()) {
        run("INSERT OR IGNORE INTO resource(host, item, name, at, looked, in_shape) VALUES(?, ?, ?, ?, ?, ?)", host.id,
            step.item, step.id, step.at, looked ? record.ended.micros : 0, looked);
        continue;
      }
      auto& [id, when, at, gone] = it->second;
      if (when.micros != 0) before.each[key] = when;
      if (looked)
        run("UPDATE resource SET at = ?, looked = ?, in_shape = 1, gone = 0 WHERE id = ?", step.at, record.ended, id);
      else if (gone || at != step.at)
        run("UPDATE resource SET at = ?, gone = 0 WHERE id = ?", step.at, id);
      known.erase(it);
    }
    if (!record.whole) return before;
    for (const auto& [key, row] : known) {
      const auto& [id, when, at, gone] = row;
      if (!gone && files.contains(at.substr(0, at.find(':')))) run("UPDATE resource SET gone = 1 WHERE id = ?", id);
    }
    return before;
  }

  void compare(std::int64_t host, const Step& step, const HostRecord& record, const Looks& before,
               const KeptDiffs& kept_before, std::vector<Open>& open, Compared& out) {
    if (!was_looked_at(step)) return;
    const bool changed = step.outcome == Outcome::changed;
    std::vector<Finding> wrong = findings_of(record.host, step, record.ended);
    // A look that failed as a whole neither confirms nor heals what was found before.
    const bool blind = !wrong.empty() && wrong.front().property.empty() && wrong.front().unknown;
    for (Finding& finding : wrong) {
      const auto same = std::find_if(open.begin(), open.end(), [&](const Open& one) {
        return one.finding.property == finding.property && one.finding.unknown == finding.unknown;
      });
      // Of a content its size is told: another one of that size shows in what is kept of the diff.
      const auto is_other = [&] {
        if (changed || finding.property != "content" || step.diff.empty()) return false;
        const std::string was = kept_before({step.item, step.id});
        return !was.empty() && was != step.diff;
      };
      if (same != open.end() && !same->seen && same->finding.actual == finding.actual &&
          same->finding.expected == finding.expected && !is_other()) {
        same->seen = true;
        if (!changed) out.old.push_back(same->finding);
        continue;
      }
      finding.in_sync_until = before.of({step.item, step.id});
      if (same != open.end() && !same->seen) {
        finding.in_sync_until = same->finding.in_sync_until;
        finding.out_since = same->finding.out_since;
        end_finding(same->finding, record.ended, "altered");
        same->seen = true;
      }
      run("INSERT INTO finding(host, resource, property, unknown, expected, actual, detail, in_sync_until, out_since,"
          " began) SELECT ?, id, ?, ?, ?, ?, ?, ?, ?, ? FROM resource WHERE host = ? AND item = ? AND name = ?",
          host, finding.property, finding.unknown, finding.expected, finding.actual, finding.detail,
          finding.in_sync_until, finding.out_since, finding.began, host, step.item, step.id);
      finding.id = sqlite3_last_insert_rowid(database_.get());
      if (changed) close(finding, record.ended, "converged", out);
      out.fresh.push_back(finding);
    }
    for (Open& each : open) {
      if (each.finding.ended) continue;
      const bool still_unknown = std::any_of(wrong.begin(), wrong.end(), [&](const Finding& one) {
        return one.unknown && one.property == each.finding.property;
      });
      if (changed)
        close(each.finding, record.ended, "converged", out);
      else if (!each.seen && !blind && !still_unknown)
        close(each.finding, record.ended, "healed", out);
    }
  }

  void end_finding(Finding& finding, Timestamp ended, const char* how) {
    finding.ended = ended;
    finding.how = how;
    run("UPDATE finding SET ended = ?, how = ? WHERE id = ?", ended, how, finding.id);
  }
  void close(Finding& finding, Timestamp ended, const char* how, Compared& out) {
    if (finding.ended) return;
    end_finding(finding, ended, how);
    out.healed.push_back(finding);
  }

  bool is_gone(std::int64_t host, const Key& key) const {
    Query row = ask("SELECT gone FROM resource WHERE host = ? AND item = ? AND name = ?", host, key.first, key.second);
    return row.next() && row.number(0) != 0;
  }
  bool is_verb(std::int64_t run_id, Verb verb) const {
    Query row = ask("SELECT verb FROM run WHERE id = ?", run_id);
    return row.next() && row.text(0) == converge::name_of(verb);
  }

  Run run_of(std::int64_t id) const {
    Query row = ask(
        "SELECT uid, verb, began, ended, exit, state, who, came_from, revision, sources, words, version, root, boot,"
        " pid, in_sync, skipped, changed, out_of_sync, blocked, unknown, failed, hosts FROM run WHERE id = ?",
        id);
    if (!row.next()) throw Failed{explain(SQLITE_CORRUPT, nullptr, path_)};
    Run out{.id = id};
    out.start = {.uid = row.text(0),
                 .verb = verb_from(row.text(1)).value_or(Verb::verify),
                 .began = Timestamp{row.number(2)},
                 .who = row.text(6),
                 .from = row.text(7),
                 .revision = row.text(8),
                 .sources = row.text(9),
                 .words = row.text(10),
                 .version = row.text(11),
                 .root = row.text(12),
                 .boot = row.text(13),
                 .pid = row.number(14)};
    out.ended = row.time(3);
    if (!row.is_null(4)) out.exit = static_cast<int>(row.number(4));
    out.state = state_of(row.text(5));
    const auto add_up = [&](const Query& sum, int column) {
      out.tally = tally_at(sum, column);
      out.hosts = static_cast<std::size_t>(sum.number(column + 7));
    };
    if (!row.is_null(22)) {
      add_up(row, 15);
    } else if (Query sum = ask(fmt::format("SELECT {}, count(*) FROM look WHERE run = ?", sums), id); sum.next()) {
      add_up(sum, 0);
    }
    return out;
  }

  static std::string record_columns() {
    return fmt::format(
        "{}, host.name, status, ended, micros, error, body.steps, times FROM look"
        " JOIN host ON host.id = look.host LEFT JOIN body ON body.id = look.body",
        counts);
  }
  HostRecord record_at(const Query& row) const {
    HostRecord record{.host = row.text(7), .status = row.text(8), .tally = tally_at(row, 0)};
    record.ended = Timestamp{row.number(9)};
    record.took = std::chrono::microseconds(row.number(10));
    record.error = row.text(11);
    if (!row.is_null(12)) {
      auto steps = unpack(row.text(12));
      if (!steps) throw Failed{explain(SQLITE_CORRUPT, nullptr, path_)};
      record.steps = std::move(*steps);
      unpack_times(row.text(13), record.steps);
    }
    return record;
  }

  static std::vector<Point> points_in(Query&& rows) {
    std::vector<Point> out;
    while (rows.next())
      out.push_back({.run = rows.number(7),
                     .host = rows.text(8),
                     .status = rows.text(9),
                     .verb = verb_from(rows.text(10)).value_or(Verb::verify),
                     .ended = Timestamp{rows.number(11)},
                     .tally = tally_at(rows, 0),
                     .took = std::chrono::microseconds(rows.number(12))});
    return out;
  }
  static std::vector<Finding> findings_in(Query&& rows) {
    std::vector<Finding> out;
    while (rows.next()) out.push_back(finding_at(rows));
    return out;
  }

  static Timestamp from(const Range& range) { return range.from.value_or(Timestamp{INT64_MIN}); }
  static Timestamp until(const Range& range) { return range.until.value_or(Timestamp{INT64_MAX}); }
  static std::int64_t before(const Range& range) { return range.before.value_or(INT64_MAX); }

  std::unique_ptr<sqlite3, CloseDatabase> database_;
  std::string path_;
  mutable Query::Kept kept_;  // ends before the database
};

}  // namespace

Result<std::unique_ptr<History>> open_sqlite(const std::string& path, Access access) {
  sqlite3* made = nullptr;
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE |
                    (access == Access::write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE);
  const int code = sqlite3_open_v2(path.c_str(), &made, flags, nullptr);
  std::unique_ptr<sqlite3, CloseDatabase> database(made);
  if (code != SQLITE_OK) {
    if (access == Access::read && (code & 0xFF) == SQLITE_CANTOPEN && sqlite3_system_errno(made) == 2)
      return Error{Errc::not_found, "there is no history yet", {}, "it begins with the first run"};
    return explain(code, made, path);
  }
  (void)sqlite3_busy_timeout(made, busy_millis);
  auto history = std::make_unique<Sqlite>(std::move(database), path);
  if (auto ready = history->prepare(access); !ready) return std::move(ready).error();
  return std::unique_ptr<History>(std::move(history));
}

}  // namespace converge::history
