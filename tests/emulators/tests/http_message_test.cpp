#include "tests/emulators/common/http_message.hpp"

#include <gtest/gtest.h>

namespace ebb::emulator {
namespace {

TEST(HttpMessage, ReadsARequestHead) {
  const auto head = parse_request_head("POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nContent-Type:  text/plain \r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->target, "/v1/x?a=b");
  EXPECT_EQ(head->headers.at("content-type"), "text/plain");
  EXPECT_TRUE(head->keep_alive);
}

TEST(HttpMessage, RefusesWhatIsNoHttp) {
  EXPECT_FALSE(parse_request_head("hello"));
  EXPECT_FALSE(parse_request_head("GET  HTTP/1.1"));
  EXPECT_FALSE(parse_request_head("GET x HTTP/1.1"));
  EXPECT_FALSE(parse_request_head("GET / HTTP/3"));
  EXPECT_FALSE(parse_request_head("GET / HTTP/1.1\r\nno colon\r\n"));
  EXPECT_FALSE(parse_request_head("GET / HTTP/1.1\r\nbad name: x\r\n"));
  EXPECT_FALSE(parse_request_head("GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n"));
  EXPECT_FALSE(parse_response_head("HTTP/1.1 2x0 OK"));
  EXPECT_FALSE(parse_response_head("HTTP"));
}

TEST(HttpMessage, AnOldClientIsNotKept) {
  EXPECT_FALSE(parse_request_head("GET / HTTP/1.0\r\n")->keep_alive);
  EXPECT_FALSE(parse_request_head("GET / HTTP/1.1\r\nConnection: Close\r\n")->keep_alive);
}

TEST(HttpMessage, RefusesAmbiguousFraming) {
  Headers headers;
  headers["content-length"] = "5";
  EXPECT_EQ(framing_of(headers)->length, std::size_t{5});
  headers["transfer-encoding"] = "chunked";
  EXPECT_FALSE(framing_of(headers));
  headers.erase("transfer-encoding");
  for (const char* bad : {"-1", "5x", "", "99999999999999999999999"}) {
    headers["content-length"] = bad;
    EXPECT_FALSE(framing_of(headers)) << bad;
  }
}

TEST(ChunkDecoder, PutsChunksTogetherWhereverTheyAreCut) {
  const std::string wire = render_chunk("hello ") + render_chunk("world") + "0\r\nTrailer: x\r\n\r\n";
  for (std::size_t cut = 1; cut < wire.size(); ++cut) {
    ChunkDecoder decoder;
    std::string out;
    std::string input = wire.substr(0, cut);
    ASSERT_TRUE(decoder.feed(input, out));
    ASSERT_FALSE(decoder.done()) << cut;
    input += wire.substr(cut);
    ASSERT_TRUE(decoder.feed(input, out));
    EXPECT_TRUE(decoder.done()) << cut;
    EXPECT_EQ(out, "hello world");
  }
}

TEST(ChunkDecoder, RefusesBadSizes) {
  for (std::string input : {"zz\r\n", "5\r\nhelloX\r\n", "ffffffffffff\r\n", "\r\n"}) {
    ChunkDecoder decoder;
    std::string out;
    EXPECT_FALSE(decoder.feed(input, out)) << input;
  }
}

TEST(SseParser, FindsEventsWhereverTheyAreCut) {
  const std::string wire = "data: {\"a\":1}\n\n: comment\ndata: two\r\ndata: lines\r\n\r\ndata: [DONE]\n\n";
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    SseParser parser;
    auto events = parser.feed(wire.substr(0, cut));
    for (auto& event : parser.feed(wire.substr(cut))) events.push_back(event);
    EXPECT_EQ(events, (std::vector<std::string>{"{\"a\":1}", "two\nlines", "[DONE]"})) << cut;
  }
}

}  // namespace
}  // namespace ebb::emulator
