// Headers of safetensors files and indexes: what is taken and what is refused.
#include <gtest/gtest.h>

#include "daemon/model/json_safetensors.hpp"

namespace ebb {
namespace {

TEST(Safetensors, AHeaderSaysItsTensorsAndItsBytes) {
  const Result<TensorFile> file = read_safetensors_header(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},)"
      R"("b":{"dtype":"F32","shape":[],"data_offsets":[12,16]},)"
      R"("c":{"dtype":"U8","shape":[0],"data_offsets":[16,16]}})");
  ASSERT_TRUE(file.ok()) << file.error().what;
  EXPECT_EQ(file->data_bytes, 16);
  EXPECT_EQ(file->tensors.at("a").bytes, 12);
  EXPECT_EQ(file->tensors.at("b").shape.size(), 0u);
  EXPECT_EQ(file->metadata.at("format"), "pt");
}

TEST(Safetensors, WhatCouldNotBeReadIsRefused) {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& span) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + span + "}}";
  };
  ASSERT_TRUE(read_safetensors_header(one("U8", "[4]", "[0,4]")).ok());
  const std::vector<std::pair<int, std::string>> rows{
      {__LINE__, ""},
      {__LINE__, "[]"},
      {__LINE__, R"({"a":)"},
      {__LINE__, R"({"a":3})"},
      {__LINE__, R"({"__metadata__":{"a":3}})"},
      {__LINE__, one("Q8", "[4]", "[0,4]")},
      {__LINE__, one("U8", "[4]", "[0,5]")},
      {__LINE__, one("U8", "[4]", "[4,0]")},
      {__LINE__, one("U8", "[4]", "[0]")},
      {__LINE__, one("U8", "[4]", "[1,5]")},
      {__LINE__, one("U8", "[-4]", "[0,4]")},
      {__LINE__, one("U8", "[4.0]", "[0,4]")},
      {__LINE__, one("U8", "[9223372036854775807,9223372036854775807]", "[0,1]")},
      {__LINE__, one("F4", "[1]", "[0,0]")},
      {__LINE__, R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                 R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})"},
  };
  for (const auto& [line, text] : rows) EXPECT_FALSE(read_safetensors_header(text).ok()) << "line " << line;
}

TEST(Safetensors, TheLengthIsLittleEndianAndBounded) {
  EXPECT_EQ(*safetensors_header_length(std::string_view("\x02\x01\0\0\0\0\0\0rest", 12)), 258);
  EXPECT_FALSE(safetensors_header_length("short").ok());
  EXPECT_FALSE(safetensors_header_length(std::string(8, '\0')).ok());
  EXPECT_FALSE(safetensors_header_length(std::string(8, '\xff')).ok());
  EXPECT_FALSE(safetensors_header_length(std::string_view("\x01\xe1\xf5\x05\0\0\0\0", 8)).ok());  // the limit and one
}

TEST(TensorIndex, NamesFilesOfItsOwnDirectoryOnly) {
  EXPECT_TRUE(read_tensor_index(R"({"weight_map":{"a":"model-1.safetensors"}})").ok());
  for (const char* file : {"", ".hidden", "..", "/etc/passwd", "a/b", "../b"}) {
    EXPECT_FALSE(read_tensor_index(R"({"weight_map":{"a":")" + std::string(file) + "\"}}").ok()) << file;
  }
  for (const char* text : {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})"}) {
    EXPECT_FALSE(read_tensor_index(text).ok()) << text;
  }
}

TEST(TensorIndex, ADeltaIsOneBecauseItSaysHowItIsEncoded) {
  EXPECT_FALSE(read_tensor_index(R"({"metadata":{"total_size":3},"weight_map":{}})")->is_delta());
  EXPECT_TRUE(read_tensor_index(R"({"metadata":{"delta_encoding":"xor"},"weight_map":{}})")->is_delta());
}

}  // namespace
}  // namespace ebb
