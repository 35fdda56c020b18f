#include "web/accept.h"

#include <gtest/gtest.h>

namespace converge::web {
namespace {

const std::vector<Offer> offers = {{"text/plain"},
                                   {"application/json"},
                                   {"text/plain;version=0.0.4"},
                                   {"application/xml", 0.5},
                                   {"application/vnd.x"}};

std::string chosen(std::string_view accept) {
  const auto best = best_offer(accept, offers);
  return best ? offers[*best].media : "none";
}

TEST(Accept, WithoutAWishTheFirstIsTaken) {
  EXPECT_EQ(chosen(""), "text/plain");
  EXPECT_EQ(chosen(" "), "text/plain");
  EXPECT_EQ(chosen("*/*"), "text/plain");
  EXPECT_FALSE(best_offer("*/*", {}));
}

TEST(Accept, TheGreatestQualityWins) {
  EXPECT_EQ(chosen("application/json"), "application/json");
  EXPECT_EQ(chosen("Application/JSON"), "application/json");
  EXPECT_EQ(chosen("text/plain;q=0.5, application/json;q=0.8"), "application/json");
  EXPECT_EQ(chosen("text/plain;q=0.5,application/json;q=0.5"), "text/plain");
  EXPECT_EQ(chosen("application/vnd.x, */*;q=0.1"), "application/vnd.x");
  EXPECT_EQ(chosen("application/*"), "application/json");
  EXPECT_EQ(chosen("text/plain; charset=utf-8"), "text/plain");
}

TEST(Accept, TheClosestRangeSpeaksForAnOffer) {
  EXPECT_EQ(chosen("text/plain;q=0, */*"), "application/json");
  EXPECT_EQ(chosen("*/*;q=0.9, text/*;q=0.2"), "application/json");
  EXPECT_EQ(chosen("application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"),
            "text/plain;version=0.0.4");
  EXPECT_EQ(chosen("text/plain;version=\"0.0.4\""), "text/plain;version=0.0.4");
}

TEST(Accept, WhatIsOfferedUnwillinglyIsGivenWhenNothingElseWillDo) {
  EXPECT_EQ(chosen("application/xml"), "application/xml");
  EXPECT_EQ(chosen("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "text/plain");  // a browser
}

TEST(Accept, NothingThatFitsIsNone) {
  EXPECT_EQ(chosen("image/png"), "none");
  EXPECT_EQ(chosen("*/*;q=0"), "none");
  EXPECT_EQ(chosen("text/plain;version=9"), "none");
}

TEST(Accept, RangesThatAreNotWellFormedCountForNothing) {
  EXPECT_EQ(chosen("nonsense"), "none");
  EXPECT_EQ(chosen("*/json"), "none");
  EXPECT_EQ(chosen("application/json;q=2"), "none");
  EXPECT_EQ(chosen("application/json;q=x, text/plain"), "text/plain");
  EXPECT_EQ(chosen(",,;,/,text/,application/json"), "application/json");
}

}  // namespace
}  // namespace converge::web
