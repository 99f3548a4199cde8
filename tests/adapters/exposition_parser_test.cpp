#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "adapters/exposition/number.hpp"
#include "adapters/exposition/parser.hpp"
#include "adapters/exposition/utf8.hpp"

namespace ebb::exposition {
namespace {

using testing::HasSubstr;

Page text(std::string body) {
  Result<Page> page = parse(std::move(body), Format::text);
  EXPECT_TRUE(page.ok()) << page.error().what;
  return page.ok() ? std::move(*page) : Page();
}

Page openmetrics(std::string body) {
  Result<Page> page = parse(std::move(body), Format::openmetrics);
  EXPECT_TRUE(page.ok()) << page.error().what;
  return page.ok() ? std::move(*page) : Page();
}

std::string refused(std::string body, Format format = Format::text, Limits limits = {}) {
  const Result<Page> page = parse(std::move(body), format, limits);
  if (page.ok()) return "accepted";
  EXPECT_EQ(page.error().code, ErrorCode::malformed);
  return page.error().what;
}

TEST(ParseFloat, ReadsWhatGoWritesAndNothingElse) {
  struct Row {
    int line;
    const char* text;
    double value;
  };
  const Row good[] = {
      {__LINE__, "0", 0},
      {__LINE__, "12.0", 12},
      {__LINE__, "1.9348211e+07", 19348211},
      {__LINE__, "+3", 3},
      {__LINE__, "-3.5", -3.5},
      {__LINE__, "1E3", 1000},
      {__LINE__, ".5", .5},
      {__LINE__, "5.", 5},
      {__LINE__, "1e-400", 0},
      {__LINE__, "Inf", INFINITY},
      {__LINE__, "+inf", INFINITY},
      {__LINE__, "-INF", -INFINITY},
      {__LINE__, "+Infinity", INFINITY},
  };
  for (const Row& row : good) {
    ASSERT_TRUE(parse_float(row.text)) << "line " << row.line;
    EXPECT_EQ(*parse_float(row.text), row.value) << "line " << row.line;
  }
  for (const char* nan : {"NaN", "nan", "NAN", "+NaN"}) EXPECT_TRUE(std::isnan(*parse_float(nan))) << nan;
  for (const char* bad : {"", "+", "-", ".", "1_000", "0x1p3", "0X10", "1p3", "1,5", "--1", "+-1", "1e", "1e999",
                          "nan(1)", "infinite", "1 ", " 1", "e5", "1..2"}) {
    EXPECT_FALSE(parse_float(bad)) << bad;
  }
}

TEST(Utf8, KnowsGoodFromBad) {
  for (const char* good :
       {"", "plain ascii text", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x8C\x8A", "12345678\xC3\xA4"}) {
    EXPECT_TRUE(valid_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF",
                          "12345678\xC3", "\xE2\x82"}) {
    EXPECT_FALSE(valid_utf8(bad));
  }
}

TEST(Parser, ReadsAPageOfAnEngine) {
  const Page page = text(
      "# HELP vllm:num_requests_running Number of requests.\n"
      "# TYPE vllm:num_requests_running gauge\n"
      "vllm:num_requests_running{engine=\"0\",model_name=\"prod\"} 12.0\n"
      "\n"
      "# any comment at all\n"
      "#and this\n"
      "  vllm:generation_tokens_total\t{ engine = \"0\" , model_name=\"prod\" , } \t1.9348211e+07 1767225600123\n"
      "plain 3\n");
  ASSERT_EQ(page.series().size(), 3u);
  EXPECT_EQ(page.series()[0].name, "vllm:num_requests_running");
  EXPECT_EQ(page.series()[0].label("engine"), "0");
  EXPECT_EQ(page.series()[0].label("model_name"), "prod");
  EXPECT_EQ(page.series()[0].label("absent"), "");
  EXPECT_EQ(page.series()[0].value, 12);
  EXPECT_EQ(page.series()[1].value, 19348211);
  EXPECT_EQ(page.series()[1].timestamp_ms, 1767225600123);
  EXPECT_EQ(page.series()[2].labels.size(), 0u);
  EXPECT_FALSE(page.series()[2].timestamp_ms);
  EXPECT_EQ(page.type_of("vllm:num_requests_running"), "gauge");
  EXPECT_EQ(page.type_of("plain"), "untyped");
}

TEST(Parser, BracesQuotesAndHashesInsideQuotesAreText) {
  const Page page = text("a{x=\"} # {y=\\\"1\\\"} 7 \",z=\"\\\\ \\n,\"} 5\n");
  ASSERT_EQ(page.series().size(), 1u);
  EXPECT_EQ(page.series()[0].label("x"), "} # {y=\"1\"} 7 ");
  EXPECT_EQ(page.series()[0].label("z"), "\\ \n,");
  EXPECT_EQ(page.series()[0].value, 5);
}

TEST(Parser, QuotedNamesAreNames) {
  const Page page =
      text("{\"my.metric\",\"label.x\"=\"v\"} 1\n{\"with \\\"quote\\\"\"} 2\n# TYPE \"my.metric\" gauge\n");
  ASSERT_EQ(page.series().size(), 2u);
  EXPECT_EQ(page.series()[0].name, "my.metric");
  EXPECT_EQ(page.series()[0].label("label.x"), "v");
  EXPECT_EQ(page.series()[1].name, "with \"quote\"");
  EXPECT_EQ(page.type_of("my.metric"), "gauge");
}

TEST(Parser, SpecialValuesAreData) {
  const Page page = text("a NaN\nb +Inf\nc -inf\n");
  EXPECT_TRUE(std::isnan(page.series()[0].value));
  EXPECT_EQ(page.series()[1].value, INFINITY);
  EXPECT_EQ(page.series()[2].value, -INFINITY);
}

TEST(Parser, ATruncatedPageIsNoPage) {
  EXPECT_THAT(refused(""), HasSubstr("empty"));
  EXPECT_THAT(refused("a 1\nb 2"), HasSubstr("truncated"));
  EXPECT_THAT(refused("a 1\nb{x=\"y"), HasSubstr("truncated"));
  EXPECT_THAT(refused("a 1\nvllm:num_requests_running{engine=\"0\"} 12"), HasSubstr("truncated"));
  EXPECT_THAT(refused("a 1\n", Format::openmetrics), HasSubstr("# EOF is missing"));
  EXPECT_THAT(refused("a 1\n# EO", Format::openmetrics), HasSubstr("truncated"));
  EXPECT_THAT(refused("a 1\n# EOF\nb 2\n", Format::openmetrics), HasSubstr("something follows # EOF"));
}

TEST(Parser, EveryPrefixOfAPageIsRefusedOrEndsAtALine) {
  const std::string whole = "# TYPE a gauge\na{x=\"1\",y=\"\\\"\"} 12.5 1000\nb_bucket{le=\"+Inf\"} 3\n";
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Result<Page> page = parse(whole.substr(0, length), Format::text);
    if (page.ok()) {
      EXPECT_EQ(whole[length - 1], '\n') << length;
    }
  }
}

TEST(Parser, ABadLineCondemnsThePageAndIsNamed) {
  const char* bad[] = {
      "1a 1\n",
      "a-b 1\n",
      "a{x=\"1\" 1\n",
      "a{x=1} 1\n",
      "a{x} 1\n",
      "a{\"x\"} 1\n",
      "a{x=\"1\"y=\"2\"} 1\n",
      "a{,} 1\n",
      "a{x=\"\\t\"} 1\n",
      "a{x=\"1\n\"} 1\n",
      "a\n",
      "a \n",
      "a{} \n",
      "a one\n",
      "a 0x10\n",
      "a 1_0\n",
      "a 1 2 3\n",
      "a 1 1.5\n",
      "a 1 # {x=\"1\"} 1\n",
      "{} 1\n",
      "{x=\"y\"} 1\n",
      "{\"a\",\"b\"} 1\n",
      "{\"\"} 1\n",
      "a 1\r\n",
      "# TYPE a\n",
      "# TYPE a gauge more\n",
      "<html>\n",
      "a{x:y=\"1\"} 1\n",
      "h_bucket{le=\"wide\"} 1\n",
      "h_bucket{le=\"NaN\"} 1\n",
      "a{x=\"\\\n",
  };
  for (const char* line : bad) EXPECT_THAT(refused(std::string("good 1\n") + line), HasSubstr("line 2")) << line;
  EXPECT_THAT(refused("a{x=\"\xFF\"} 1\n"), HasSubstr("UTF-8"));
}

TEST(Parser, DuplicatesAreCountedAndTheFirstIsKept) {
  const Page page = text("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 5\na{x=\"1\",y=\"2\",z=\"\"} 6\na{x=\"1\"} 7\n");
  EXPECT_EQ(page.summary().duplicates, 2u);
  EXPECT_EQ(page.summary().duplicate, "a");
  ASSERT_EQ(page.series().size(), 2u);
  EXPECT_EQ(page.series()[0].value, 1);
}

TEST(Parser, BucketBoundsAreNumbers) {
  const Page page =
      text("h_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"1e+00\"} 1\nh_bucket{le=\"+Inf\"} 2\n");
  EXPECT_EQ(page.summary().duplicates, 2u);
  EXPECT_EQ(bucket_bound("1"), bucket_bound("1.0"));
  EXPECT_EQ(bucket_bound("+Inf"), INFINITY);
  EXPECT_FALSE(bucket_bound("NaN"));
  EXPECT_FALSE(bucket_bound(""));
  EXPECT_EQ(text("g{le=\"1\"} 1\ng{le=\"1.0\"} 1\n").summary().duplicates, 0u) << "only of buckets is le a number";
}

TEST(Parser, OpenMetricsWithExemplarsAndSeconds) {
  const Page page = openmetrics(
      "# TYPE ttft histogram\n# UNIT ttft seconds\n# HELP ttft Time.\n"
      "ttft_bucket{le=\"1\",x=\"# {\"} 8 1767225600.123 # {trace_id=\"} # x\"} 0.67 1767225600.1\n"
      "ttft_bucket{le=\"+Inf\"} 9 # {} 3\n"
      "req_total 4 # {id=\"a\"} 1\n"
      "# EOF\n");
  ASSERT_EQ(page.series().size(), 3u);
  EXPECT_EQ(page.series()[0].value, 8);
  EXPECT_EQ(page.series()[0].timestamp_ms, 1767225600123);
  EXPECT_EQ(page.series()[0].labels.size(), 2u) << "the exemplar's labels are not the sample's";
  EXPECT_EQ(page.series()[1].label("le"), "+Inf");
  EXPECT_EQ(page.series()[2].value, 4);
}

TEST(Parser, OpenMetricsIsStricter) {
  for (const char* bad :
       {"\na 1\n", "# free comment\n", "a 1 # {x=\"1\"} 1\n", "a_total 1 # 5\n", "a_total 1 # {x=\"1\"}\n",
        "a_total 1 # {x=\"1\"} 1 2 3\n", "a 1 soon\n", "a 1 1e300\n", "a 1 NaN\n"}) {
    EXPECT_THAT(refused(std::string(bad) + "# EOF\n", Format::openmetrics), HasSubstr("line 1")) << bad;
  }
  EXPECT_EQ(openmetrics("# EOF").series().size(), 0u);
}

TEST(Parser, PagesBeyondTheLimitsAreRefused) {
  Limits limits;
  limits.lines_max = 3;
  EXPECT_EQ(refused("a 1\nb 2\nc 3\n", Format::text, limits), "accepted");
  EXPECT_THAT(refused("a 1\nb 2\nc 3\n\n", Format::text, limits), HasSubstr("too many lines"));
  limits = {};
  limits.labels_max = 2;
  EXPECT_EQ(refused("a{x=\"1\",y=\"2\"} 1\n", Format::text, limits), "accepted");
  EXPECT_THAT(refused("a{x=\"1\",y=\"2\",z=\"3\"} 1\n", Format::text, limits), HasSubstr("too many labels"));
  limits = {};
  limits.name_bytes_max = 4;
  limits.value_bytes_max = 5;
  EXPECT_THAT(refused("abcde 1\n", Format::text, limits), HasSubstr("name is too long"));
  EXPECT_THAT(refused("a{x=\"123456\"} 1\n", Format::text, limits), HasSubstr("too long"));
}

TEST(Parser, OnlyWantedNamesAreDeliveredButAllAreChecked) {
  struct Picky : Sink {
    bool wants(std::string_view name) override { return asked.emplace_back(name), name == "b"; }
    void sample(const Series& series) override { got.push_back(series.value); }
    std::vector<std::string> asked;
    std::vector<double> got;
  } sink;
  const Result<Summary> summary = parse("a{x=\"1\"} 1\na{x=\"1\"} 1\nb 3\nc 4\n", Format::text, sink);
  ASSERT_TRUE(summary.ok());
  EXPECT_THAT(sink.asked, testing::ElementsAre("a", "b", "c"));
  EXPECT_THAT(sink.got, testing::ElementsAre(3));
  EXPECT_EQ(summary->samples, 4u);
  EXPECT_EQ(summary->duplicates, 0u) << "of what nobody wants they do not count";
  EXPECT_FALSE(parse("a{x=1} 1\nb 3\n", Format::text, sink).ok());
}

TEST(Parser, TheContentTypeNamesTheFormat) {
  EXPECT_EQ(format_of("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::openmetrics);
  EXPECT_EQ(format_of("text/plain; version=0.0.4"), Format::text);
  EXPECT_EQ(format_of(""), Format::text);
}

}  // namespace
}  // namespace ebb::exposition
