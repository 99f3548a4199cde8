// Heads of safetensors files, indexes, listings, requests: what comes from outside and may be anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/pull/files.hpp"
#include "daemon/pull/index.hpp"
#include "daemon/pull/options.hpp"
#include "daemon/pull/request.hpp"
#include "daemon/pull/s3_list.hpp"
#include "daemon/pull/safetensors.hpp"

namespace ebb::test {
namespace {

using namespace pull;
using ::testing::HasSubstr;

std::string tensor(const char* name, std::uint64_t begin, std::uint64_t end, const std::string& shape = "",
                   const char* dtype = "U8") {
  return std::string("\"") + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" +
         (shape.empty() ? std::to_string(end - begin) : shape) + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
         std::to_string(end) + "]}";
}

TEST(TensorHeads, ReachBeyondFourGibibytes) {
  constexpr std::uint64_t kFour = 1ull << 32;
  const std::string head = "{" + tensor("a", 0, kFour + 6, std::to_string(kFour / 2 + 3), "BF16") + "," +
                           tensor("b", kFour + 6, 3 * kFour + 7) + "}";
  const auto file = tensor_file_from(head, 8 + head.size() + 3 * kFour + 7);
  ASSERT_TRUE(file.ok()) << file.error().what;
  EXPECT_EQ(file->find("b")->begin, 8 + head.size() + kFour + 6);
  EXPECT_EQ(file->find("b")->bytes(), 2 * kFour + 1);
  EXPECT_EQ(file->find("c"), nullptr);
}

TEST(TensorHeads, AreRefusedWhenTheyDoNotDescribeTheirFile) {
  struct Row {
    const char* name;
    int line;
    std::string head;
    std::uint64_t data;
    const char* says;
  };
  const std::vector<Row> rows{
      {"no JSON", __LINE__, "{\"a\":", 0, "not JSON"},
      {"a list", __LINE__, "[]", 0, "no object"},
      {"overlap", __LINE__, "{" + tensor("a", 0, 8) + "," + tensor("b", 4, 12) + "}", 12, "overlaps"},
      {"gap", __LINE__, "{" + tensor("a", 0, 4) + "," + tensor("b", 8, 12) + "}", 12, "gap"},
      {"rest", __LINE__, "{" + tensor("a", 0, 4) + "}", 12, "end at byte"},
      {"beyond the end", __LINE__, "{" + tensor("a", 0, 13) + "}", 12, "outside"},
      {"huge offsets", __LINE__, "{" + tensor("a", 0, UINT64_MAX) + "}", 12, "outside"},
      {"backwards", __LINE__, "{" + tensor("a", 8, 4, "4") + "}", 12, "outside"},
      {"another shape", __LINE__, "{" + tensor("a", 0, 12, "3", "F64") + "}", 12, "not its shape"},
      {"shape overflows", __LINE__, "{" + tensor("a", 0, 12, "4294967296,4294967296") + "}", 12, "not its shape"},
      {"negative", __LINE__, R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "no proper"},
      {"float", __LINE__, R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}})", 1, "no proper"},
      {"three offsets", __LINE__, R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})", 1, "no proper"},
      {"further field", __LINE__, R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1, "other fields"},
      {"twice", __LINE__, "{" + tensor("a", 0, 4) + "," + tensor("a", 4, 8) + "}", 8, "twice"},
      {"deep", __LINE__, R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1, "nested too deep"},
      {"metadata", __LINE__, R"({"__metadata__":{"a":1}})", 0, "else than strings"},
  };
  for (const Row& row : rows) {
    const auto file = tensor_file_from(row.head, 8 + row.head.size() + row.data);
    ASSERT_FALSE(file.ok()) << row.name << " line " << row.line;
    EXPECT_THAT(file.error().what, HasSubstr(row.says)) << row.name << " line " << row.line;
  }
}

TEST(TensorHeads, OfTypesOfTheFutureAreTakenAsTheyAre) {
  const std::string head = "{" + tensor("a", 0, 5, "7", "F5_E9M9") + "}";
  EXPECT_TRUE(tensor_file_from(head, 8 + head.size() + 5).ok());
}

TEST(Indexes, OfIncrementsNameTheirFormat) {
  const auto index = index_from(R"({
    "metadata": {"version": "000007", "base_version": "000006", "delta_encoding": "overwrite",
                 "compression_format": "zstd", "checksum_format": "adler32", "total_size": 7},
    "weight_map": {"a": "model-00001-of-00001.safetensors"}})");
  ASSERT_TRUE(index.ok()) << index.error().what;
  EXPECT_EQ(index->version, "000007");
  EXPECT_EQ(index->base_version, "000006");
  EXPECT_EQ(index->delta->encoding, Encoding::overwrite);
  EXPECT_EQ(index->delta->checksum, Checksum::adler32);
}

TEST(Indexes, AreRefusedWithTheReason) {
  const auto delta = [](const char* encoding, const char* compression, const char* sum) {
    return std::string(R"({"metadata":{"delta_encoding":")") + encoding + R"(","compression_format":")" + compression +
           R"(","checksum_format":")" + sum + R"("},"weight_map":{}})";
  };
  const std::vector<std::pair<std::string, const char*>> rows{
      {"{}", "no weight_map"},
      {R"({"weight_map":{"a":1}})", "else than names"},
      {R"({"weight_map":{"a":"../../etc/passwd.safetensors"}})", "no safetensors file of its directory"},
      {R"({"weight_map":{"a":"sub/x.safetensors"}})", "no safetensors file of its directory"},
      {R"({"weight_map":{"a":".x.safetensors"}})", "no safetensors file of its directory"},
      {R"({"weight_map":{"a":"config.json"}})", "no safetensors file of its directory"},
      {R"({"metadata":{"version":7},"weight_map":{}})", "version that is no string"},
      {delta("arc_v2", "zstd", "xxh3-128"), "xor and overwrite are"},
      {delta("xor", "lz4", "xxh3-128"), "zstd is"},
      {delta("xor", "zstd", "blake3"), "'blake3' is not supported; xxh3-128 and adler32 are"},
  };
  for (const auto& [text, says] : rows) {
    const auto index = index_from(text);
    ASSERT_FALSE(index.ok()) << text;
    EXPECT_THAT(index.error().what, HasSubstr(says));
  }
}

TEST(Names, OfFilesStayInTheirDirectory) {
  for (const char* good : {"config.json", "a/b c/d.txt", "x..y"}) EXPECT_EQ(name_fault(good), "") << good;
  for (const char* bad : {"", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a/.b", "a\\b", "a\nb", "."})
    EXPECT_NE(name_fault(bad), "") << bad;
}

TEST(Listings, OfS3AreRead) {
  const auto page =
      list_page_from(R"(<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">)"
                     R"(<IsTruncated>true</IsTruncated>)"
                     R"(<Contents><Key>a/&amp;&#x62;&#228;</Key><ETag>&quot;e1&quot;</ETag><Size>12</Size></Contents>)"
                     R"(<NextContinuationToken>t/1=</NextContinuationToken></ListBucketResult>)");
  ASSERT_TRUE(page.ok()) << page.error().what;
  ASSERT_EQ(page->keys.size(), 1u);
  EXPECT_EQ(page->keys[0].key, "a/&bä");
  EXPECT_EQ(page->keys[0].etag, "e1");
  EXPECT_EQ(bare_etag("W/\"e1\""), "e1");
  EXPECT_EQ(bare_etag("e1"), "e1");
  EXPECT_EQ(page->keys[0].size, 12u);
  EXPECT_EQ(page->next, "t/1=");
}

TEST(Listings, ThatAreNoneAreRefused) {
  const auto wrapped = [](const char* inner) {
    return "<ListBucketResult>" + std::string(inner) + "</ListBucketResult>";
  };
  for (const std::string& text :
       {std::string("<html>"), wrapped("<Contents>"), wrapped("<Contents><Key>a</Key></Contents>"),
        wrapped("<Contents><Key>a</Key><Size>-1</Size><ETag>e</ETag></Contents>"),
        wrapped("<Contents><Key>a</Key><Size>9999999999999999999999</Size><ETag>e</ETag></Contents>"),
        wrapped("<Contents><Key>&bad;</Key><Size>1</Size><ETag>e</ETag></Contents>"),
        wrapped("<Contents><Key>a</Key><Size>1</Size><ETag>e&#13;&#10;X: y</ETag></Contents>"),
        wrapped("<IsTruncated>true</IsTruncated>")})
    EXPECT_FALSE(list_page_from(text).ok()) << text;
  EXPECT_EQ(s3_error_text("<Error><Code>AccessDenied</Code><Message>no &lt;way&gt;</Message></Error>"),
            "AccessDenied: no <way>");
  EXPECT_EQ(s3_error_text("<html>"), "");
}

TEST(Requests, NameAChainWithoutGaps) {
  const auto good = path_from(R"({"path":[{"identity":"a","kind":"full","parent":null},)"
                              R"({"identity":"b","kind":"incremental","parent":"a"}]})",
                              "b");
  ASSERT_TRUE(good.ok()) << good.error().what;
  EXPECT_EQ(good->size(), 2u);
  const std::vector<std::pair<std::string, const char*>> rows{
      {R"({"path":[]})", "empty"},
      {R"({"path":[{"identity":"b","kind":"full"}],"more":1})", "'more' is not a field"},
      {R"({"path":[{"identity":"b","kind":"full","x":"1"}]})", "'x' is not a field"},
      {R"({"path":[{"identity":"b","kind":"full"}],"path":[]})", "twice"},
      {R"({"path":[{"identity":"b","kind":"base"}]})", "full or incremental"},
      {R"({"path":[{"identity":"b","kind":1}]})", "must be a string"},
      {R"({"path":[{"identity":"b"}]})", "an identity and a kind"},
      {R"({"path":[{"identity":"a","kind":"full"}]})", "leads to 'a'"},
      {R"({"path":[{"identity":"../b","kind":"full"}]})", "without a slash"},
      {R"({"path":[{"identity":"b","kind":"full","parent":"a"}]})", "full and has a parent"},
      {R"({"path":[{"identity":"b","kind":"incremental"}]})", "has no parent"},
      {R"({"path":[{"identity":"a","kind":"full"},{"identity":"b","kind":"full"}]})", "the path begins with it"},
      {R"({"path":[{"identity":"a","kind":"full"},{"identity":"b","kind":"incremental","parent":"c"}]})",
       "a link is missing"},
      {R"({"path":[{"identity":"b","kind":"full"},{"identity":"b","kind":"incremental","parent":"b"}]})", "twice"},
      {R"([])", "must be"},
      {R"({"path":[[[[[]]]]]})", "nested too deep"},
  };
  for (const auto& [body, says] : rows) {
    const auto path = path_from(body, "b");
    ASSERT_FALSE(path.ok()) << body;
    EXPECT_THAT(path.error().what, HasSubstr(says)) << body;
  }
}

TEST(OptionsOfPull, SayWhatTheyTake) {
  const auto refused = [](auto change) {
    Words words;
    words.store = "/store";
    words.directory = "/weights";
    change(words);
    const auto options = options_from(words);
    return options.ok() ? std::string() : options.error().what;
  };
  EXPECT_EQ(refused([](Words&) {}), "");
  EXPECT_THAT(refused([](Words& w) { w.directory = "weights"; }), HasSubstr("--directory"));
  EXPECT_THAT(refused([](Words& w) { w.secret_access_key = "hunter2"; }), HasSubstr("--secret-access-key takes file:"));
  EXPECT_THAT(refused([](Words& w) { w.part_size = "1"; }), HasSubstr("--part-size"));
  EXPECT_THAT(refused([](Words& w) { w.part_size = "99999999999G"; }), HasSubstr("--part-size"));
  EXPECT_THAT(refused([](Words& w) { w.timeout = "5"; }), HasSubstr("--timeout"));
  EXPECT_THAT(refused([](Words& w) { w.keep = 0; }), HasSubstr("--keep"));
  StoreOptions store;
  store.url = "ftp://x";
  EXPECT_THAT(open_store(store).error().what, HasSubstr("s3://BUCKET"));
  store.url = "s3://bucket/a/../b";
  EXPECT_THAT(open_store(store).error().what, HasSubstr("prefix"));
  store.url = "s3://bucket";
  store.endpoint = "localhost:9000";
  EXPECT_THAT(open_store(store).error().what, HasSubstr("--endpoint"));
}

}  // namespace
}  // namespace ebb::test
