// What is said is what is heard; what is not exactly a message is refused, whatever it costs its sender.
#include "remote/wire.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace converge::remote {
namespace {

using Json = nlohmann::ordered_json;
using spec::Value;

/// One value of each kind, nested, with places in two files.
Value many_kinds(const Source* a, const Source* b) {
  spec::Map map;
  const auto put = [&](std::string key, Value value) { map.push_back({std::move(key), {b, 3, 1}, std::move(value)}); };
  put("null", Value(spec::Null{}, {a, 1, 2}));
  put("yes", Value(true));
  put("largest", Value(std::numeric_limits<std::int64_t>::max(), {a, 1'000'000, 80}));
  put("smallest", Value(std::numeric_limits<std::int64_t>::min()));
  put("tenth", Value(0.1));
  put("whole", Value(2.0));
  put("plain", Value(std::string("12"), {b, 7, 3}, false));
  put("quoted", Value(std::string("12"), {b, 7, 3}, true));
  put("bytes", Value(std::string("\xff\x00\x80 latin \xe9", 11), {}, true));
  put("escapes", Value(std::string("\x1b[2J\n\"\\\t\xe2\x80\xae")));
  Value deep(std::string("core"));
  for (int i = 0; i < 32; ++i)
    deep = Value(i % 2 == 0 ? Value::Data(spec::List{deep, deep.at().line == 0 ? Value() : deep})
                            : Value::Data(spec::Map{{"k", {a, i, i}, deep}}));
  put("deep", std::move(deep));
  put("", Value(spec::Map{}));
  return Value(std::move(map), {a, 1, 1});
}

Step a_step() {
  return {
      .id = "file:/etc/motd",
      .item = "file",
      .at = "specs/x.yaml:7:3",
      .outcome = Outcome::out_of_sync,
      .checks = {{"mode", "0644", "0600", Verdict::fail, ""}, {"owner", "root", "unknown", Verdict::unknown, "why"}},
      .error = Error{Errc::no_space, "cannot write", {"writing '/etc/motd'"}, "make room"},
      .note = "see it",
      .diff = "--- a\n+++ b\n-x\n+y\n",
      .took = std::chrono::microseconds(1234567)};
}

Tally a_tally() {
  Tally tally;
  for (std::size_t i = 0; i < tally.counts.size(); ++i) tally.counts[i] = i * 3;
  tally.interrupted = true;
  return tally;
}

LeftRun a_left_run() { return {"abc", "the run of alice", "2026-01-01", Verb::apply, a_tally(), {a_step(), a_step()}}; }

PastRun a_past_run() {
  return {.uid = std::string(32, 'a'),
          .who = "root",
          .from = "node1 (a systemd unit)",
          .verb = Verb::drift,
          .began_ago = std::chrono::microseconds(9),
          .ended_ago = std::chrono::microseconds(5),
          .exit = 2,
          .tally = a_tally(),
          .whole = true,
          .steps = {a_step()}};
}

std::vector<FromAgent> all_from_agent() {
  Value facts = many_kinds(nullptr, nullptr);
  return {Hello{protocol, "0.1.0", true, -5, facts, a_left_run()},
          Hello{protocol, "", false, std::numeric_limits<std::int64_t>::max(), Value(), std::nullopt},
          Doing{"swapfile  swap:/swapfile"},
          a_step(),
          Step{},
          End{a_tally()},
          Refused{Refused::Why::busy, Error{Errc::changed, "another run", {"looking"}, "wait"}, {}},
          Refused{Refused::Why::input, std::nullopt, {{"specs/x.yaml", 7, 3, "no such user", "make it"}, {}}},
          Testimony{"file", "file:/etc/motd", "mode", {{"edit", "it was written"}, {"sudo", "bob"}}},
          a_past_run(),
          Alive{}};
}

std::vector<FromController> all_from_controller(Sources& sources) {
  const Source* a = sources.add("specs/a.yaml", "");
  const Source* b = sources.add("inventory/b\x1b.yaml", "");
  return {Items{{{"spec", "file", "motd", {a, 3, 5}, many_kinds(a, b), {"x", "y"}, {"z"}, ""},
                 {"other", "swapfile", "", {}, Value(), {}, {}, "when: is false"}}},
          Items{},
          RunOrder{"id", "digest", "the run of alice", Verb::verify, true, false, true, "left",
                   std::chrono::microseconds(1), "web1", std::chrono::milliseconds(1500)},
          RunOrder{.run = "id", .since = std::chrono::microseconds(5), .host = "web1"},
          Stop{},
          Bye{},
          Alive{}};
}

/// Values with their places and quotes, which same_as() passes over.
bool identical(const Value& x, const Value& y) {
  const auto same_place = [](const SourcePos& p, const SourcePos& q) {
    return p.text() == q.text() && p.line == q.line && p.column == q.column;
  };
  if (!same_place(x.at(), y.at()) || x.quoted() != y.quoted() || x.data().index() != y.data().index()) return false;
  if (const spec::List* list = x.list())
    return std::equal(list->begin(), list->end(), y.list()->begin(), y.list()->end(), identical);
  if (const spec::Map* map = x.map())
    return std::equal(map->begin(), map->end(), y.map()->begin(), y.map()->end(), [&](const auto& p, const auto& q) {
      return p.key == q.key && same_place(p.key_at, q.key_at) && identical(p.value, q.value);
    });
  return x.same_as(y);
}

TEST(Wire, EveryMessageOfAnAgentArrivesAsItWas) {
  for (const FromAgent& sent : all_from_agent()) {
    const std::string payload = encode(sent);
    const auto heard = decode_from_agent(payload);
    ASSERT_TRUE(heard) << payload;
    EXPECT_EQ(heard->index(), sent.index());
    EXPECT_EQ(encode(*heard), payload);
  }
}

TEST(Wire, EveryMessageOfAControllerArrivesAsItWas) {
  Sources here, there;
  for (const FromController& sent : all_from_controller(here)) {
    const std::string payload = encode(sent);
    const auto heard = decode_from_controller(payload, there);
    ASSERT_TRUE(heard) << payload;
    EXPECT_EQ(heard->index(), sent.index());
    EXPECT_EQ(encode(*heard), payload);
  }
}

TEST(Wire, ValuesKeepTheirPlacesQuotesAndBytes) {
  Sources here, there;
  const auto all = all_from_controller(here);
  const auto heard = decode_from_controller(encode(all[0]), there);
  ASSERT_TRUE(heard);
  const spec::Item &sent = std::get<Items>(all[0]).items[0], &got = std::get<Items>(*heard).items[0];
  EXPECT_TRUE(identical(sent.parameters, got.parameters));
  EXPECT_EQ(got.at.text(), "specs/a.yaml:3:5");
  EXPECT_EQ(got.parameters.find("bytes")->string()->size(), 11U);
  EXPECT_EQ(got.tags, sent.tags);
  EXPECT_EQ(got.needs, sent.needs);
}

TEST(Wire, AStepKeepsAllThatIsReported) {
  const auto heard = decode_from_agent(encode(FromAgent(a_step())));
  ASSERT_TRUE(heard);
  const Step got = std::get<Step>(*heard), sent = a_step();
  EXPECT_EQ(got.id, sent.id);
  EXPECT_EQ(got.outcome, sent.outcome);
  ASSERT_EQ(got.checks.size(), 2U);
  EXPECT_EQ(got.checks[1].verdict, Verdict::unknown);
  EXPECT_EQ(got.error->text(), sent.error->text());
  EXPECT_EQ(got.error->hint, sent.error->hint);
  EXPECT_EQ(got.diff, sent.diff);
  EXPECT_EQ(got.took, sent.took);
}

TEST(Wire, WhatIsNotFiniteArrivesToo) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double number : {infinity, -infinity, std::numeric_limits<double>::quiet_NaN()}) {
    const auto heard = decode_from_agent(encode(FromAgent(Hello{.facts = Value(number)})));
    ASSERT_TRUE(heard);
    EXPECT_TRUE(std::get<Hello>(*heard).facts.same_as(Value(number)));
  }
}

TEST(Wire, TextThatIsNoUtf8IsReplacedInMessagesNotThrownAt) {
  const auto heard = decode_from_agent(encode(FromAgent(Doing{"a\xff\xfe z"})));
  ASSERT_TRUE(heard);
  EXPECT_EQ(std::get<Doing>(*heard).what, "a\xef\xbf\xbd\xef\xbf\xbd z");
}

TEST(Wire, ALeftRunIsReadBackFromItsFile) {
  const std::string text = encode(a_left_run());
  const auto back = decode_left_run(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(encode(*back), text);
  EXPECT_FALSE(decode_left_run(text.substr(0, text.size() / 2)));
  EXPECT_FALSE(decode_left_run(""));
}

TEST(Wire, KeysNobodyKnowsAreDropped) { EXPECT_TRUE(decode_from_agent(R"({"type":"alive","since":[1,2]})")); }

/// Calls `with` for `json` with each of its parts dropped (keys only) or made another type, one at a time.
template <class With>
void each_change(Json& root, Json& json, const std::string& path, const With& with) {
  if (json.is_object()) {
    const Json kept = json;
    for (const auto& [key, value] : kept.items()) {
      json.erase(key);
      with(root, path + "/" + key + " dropped");
      json = kept;
    }
  }
  if (!json.is_structured()) return;
  for (auto it = json.begin(); it != json.end(); ++it) {
    const std::string name = path + "/" + (json.is_object() ? it.key() : std::to_string(it - json.begin()));
    const Json kept = *it;
    *it = kept.is_number() ? Json("no number") : Json(7);
    with(root, name + " changed");
    *it = kept;
    each_change(root, *it, name, with);
  }
}

TEST(Wire, AMessageWithoutOneOfItsKeysOrWithAnotherTypeIsRefused) {
  Sources sources;
  int changes = 0;
  for (const FromAgent& sent : all_from_agent()) {
    Json json = Json::parse(encode(sent));
    each_change(json, json, "", [&](const Json& changed, const std::string& what) {
      ++changes;
      const auto heard = decode_from_agent(changed.dump());
      ASSERT_FALSE(heard) << what << " in " << changed.dump();
      EXPECT_EQ(heard.error().code, Errc::unparsable);
    });
  }
  for (const FromController& sent : all_from_controller(sources)) {
    Json json = Json::parse(encode(sent));
    each_change(json, json, "", [&](const Json& changed, const std::string& what) {
      ++changes;
      EXPECT_FALSE(decode_from_controller(changed.dump(), sources)) << what << " in " << changed.dump();
    });
  }
  EXPECT_GT(changes, 500);
}

TEST(Wire, APartOfAMessageIsNone) {
  for (const FromAgent& sent : all_from_agent()) {
    const std::string payload = encode(sent);
    const std::size_t step = std::max<std::size_t>(1, payload.size() / 300);
    for (std::size_t size = 0; size < payload.size(); size += step)
      EXPECT_FALSE(decode_from_agent(std::string_view(payload).substr(0, size))) << size;
    EXPECT_FALSE(decode_from_agent(payload + "x"));
    EXPECT_FALSE(decode_from_agent(payload + payload));
  }
}

TEST(Wire, RefusesWhatIsNoMessage) {
  const char* const end = R"({"type":"end","interrupted":false,"counts":{"in_sync":%,"skipped":0,"changed":0,)"
                          R"("out_of_sync":0,"blocked":0,"unknown":0,"failed":0}})";
  const auto with = [&](const char* count) {
    std::string text = end;
    return text.replace(text.find('%'), 1, count);
  };
  ASSERT_TRUE(decode_from_agent(with("9223372036854775807")));
  const auto value = [](const std::string& text) {
    return R"({"type":"hello","protocol":1,"version":"","privileged":false,"now":0,"left":null,"facts":)" + text + "}";
  };
  ASSERT_TRUE(decode_from_agent(value(R"(["n",null,null])")));
  const std::vector<std::string> rows{
      "", " ", "null", "[]", "{}", "7", "\"alive\"", R"({"type":7})", R"({"type":"Alive"})", R"({"type":"items"})",
      R"({"type":"run"})", "\xff\xfe",
      R"({"type":"doing","what":")"
      "\xff"
      R"("})",
      std::string("{\"type\":\"alive\"}\0", 17), R"({"type":"alive",})", R"({"type":"alive"} {"type":"end"})",
      // numbers that are none here
      with("-1"), with("1.5"), with("9223372036854775808"), with("18446744073709551616"), with("1e3"),
      // values that are none
      value("7"), value("[]"), value(R"(["q",null,1])"), value(R"(["ss",null,"a"])"), value(R"(["s",null])"),
      value(R"(["s",null,"a",1])"), value(R"(["i",null,1.5])"), value(R"(["i",null,9223372036854775808])"),
      value(R"(["b",null,1])"), value(R"(["d",null,".Inf"])"), value(R"(["x",null,"*"])"), value(R"(["l",null,{}])"),
      value(R"(["m",null,[["k",null]]])"), value(R"(["m",null,[[1,null,["n",null,null]]]])"),
      value(R"(["s",[0,1,1],"a place in no file"])"), value(R"(["s",[-1,1,1],"a"])"), value(R"(["n",null,1])")};
  for (const std::string& row : rows) {
    const auto heard = decode_from_agent(row);
    EXPECT_FALSE(heard) << row;
    if (!heard) {
      EXPECT_EQ(heard.error().code, Errc::unparsable) << row;
    }
  }
}

TEST(Wire, PlacesPointIntoTheFilesOfTheirMessageOnly) {
  Sources sources;
  const auto item = [](const std::string& at) {
    return R"({"type":"items","sources":["a"],"items":[{"spec":"","module":"","name":"","at":)" + at +
           R"(,"parameters":["n",null,null],"tags":[],"needs":[],"skipped":""}]})";
  };
  EXPECT_TRUE(decode_from_controller(item("[0,1,1]"), sources));
  for (const char* at : {"[1,1,1]", "[-1,1,1]", "[0,-1,1]", "[0,1,1000000001]", "[0,1]", "[0,1,1,1]", "[0.5,1,1]",
                         "[18446744073709551615,1,1]"})
    EXPECT_FALSE(decode_from_controller(item(at), sources)) << at;
}

std::string nested(const std::string& open, const std::string& close, std::size_t depth) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  text += "0";
  for (std::size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(Wire, DeepNestingIsRefusedBeforeAnythingIsBuilt) {
  for (const std::size_t depth : {257U, 500'000U}) {
    EXPECT_FALSE(decode_from_agent(nested("[", "]", depth)));
    EXPECT_FALSE(decode_from_agent(nested("{\"a\":", "}", depth)));
    EXPECT_FALSE(decode_from_agent(std::string(depth, '[')));
    EXPECT_FALSE(decode_from_agent(std::string(depth, ']')));
  }
  // Brackets in texts are none.
  EXPECT_TRUE(decode_from_agent(R"({"type":"doing","what":"\")" + std::string(1000, '[') + R"("})"));
}

TEST(Wire, AnObjectOfVeryManyKeysIsRefusedBeforeItIsBuilt) {
  std::string text = R"({"type":"alive")";
  for (int i = 0; i < 100'000; ++i) text += ",\"" + std::to_string(i) + "\":0";
  const auto heard = decode_from_agent(text + "}");
  ASSERT_FALSE(heard);
  EXPECT_NE(heard.error().message.find("too many keys"), std::string::npos) << heard.error().message;
}

TEST(Wire, AListOfVeryManyObjectsIsNoObjectOfManyKeys) {
  Refused sent{Refused::Why::input, std::nullopt, std::vector<Refused::Mistake>(1000)};
  EXPECT_TRUE(decode_from_agent(encode(FromAgent(sent))));
}

TEST(Wire, DecodingTakesASmallMultipleOfThePayload) {
  std::string text = R"({"type":"alive","a":[)";
  while (text.size() < from_agent_limit - 10) text += "[],";
  text += "0]}";
  struct rusage before = {}, after = {};
  getrusage(RUSAGE_SELF, &before);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(decode_from_agent(text));
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 256L << 10U);  // KiB
}

// ---- frames -----------------------------------------------------------------------------------------------------

TEST(FrameReader, GivesWholePayloadsFromAnyPieces) {
  const std::vector<std::string> sent{"{}", "", std::string(70'000, 'x'), std::string("\0\n\xff", 3), "last"};
  std::string stream;
  for (const std::string& one : sent) stream += frame(one);
  for (const std::size_t piece : {1U, 3U, 4U, 5U, 4096U, 1'000'000U}) {
    FrameReader reader(from_agent_limit);
    std::vector<std::string> heard;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      reader.add(std::string_view(stream).substr(at, piece));
      while (true) {
        auto payload = reader.next();
        ASSERT_TRUE(payload);
        if (!*payload) break;
        heard.push_back(std::move(**payload));
      }
    }
    EXPECT_EQ(heard, sent) << piece;
  }
}

TEST(FrameReader, WaitsForTheRest) {
  FrameReader reader(10);
  for (const char c : frame("abc").substr(0, 6)) {
    reader.add({&c, 1});
    const auto payload = reader.next();
    ASSERT_TRUE(payload);
    EXPECT_FALSE(payload->has_value());
  }
  reader.add("c");
  EXPECT_EQ(**reader.next(), "abc");
  EXPECT_FALSE(reader.next()->has_value());
}

TEST(FrameReader, BelievesNoLengthAboveItsLimit) {
  FrameReader fits(10), above(10), most(from_agent_limit);
  fits.add(frame(std::string(10, 'x')));
  EXPECT_TRUE(fits.next()->has_value());
  above.add(frame(std::string(11, 'x')).substr(0, 4));  // refused before any of it came
  for (int i = 0; i < 2; ++i) {
    const auto payload = above.next();
    ASSERT_FALSE(payload);
    EXPECT_EQ(payload.error().code, Errc::too_big);
  }
  most.add("\xff\xff\xff\xff");
  EXPECT_FALSE(most.next());
}

TEST(FrameReader, ALengthOfZeroIsAnEmptyPayloadWhichIsNoMessage) {
  FrameReader reader(10);
  reader.add(std::string(4, '\0'));
  const auto payload = reader.next();
  ASSERT_TRUE(payload);
  ASSERT_TRUE(payload->has_value());
  EXPECT_EQ(**payload, "");
  EXPECT_FALSE(decode_from_agent(**payload));
}

}  // namespace
}  // namespace converge::remote
