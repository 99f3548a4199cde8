# Writes the status page's files as bytes into a .cpp:
# cmake -DOUTPUT=x.cpp -DDASHBOARD=dir -DDYGRAPHS=dir -P embed.cmake
set(files
  / ${DASHBOARD}/index.html
  /app.js ${DASHBOARD}/app.js
  /chart.js ${DASHBOARD}/chart.js
  /style.css ${DASHBOARD}/style.css
  /icon.svg ${DASHBOARD}/icon.svg
  /dygraph.min.js ${DYGRAPHS}/dygraph.min.js
  /dygraph.min.css ${DYGRAPHS}/dygraph.min.css)
set(type.html "text/html, charset=utf-8")
set(type.js "text/javascript, charset=utf-8")
set(type.css "text/css, charset=utf-8")
set(type.svg "image/svg+xml")

set(arrays "")
set(table "")
set(number 0)
while(files)
  list(POP_FRONT files path file)
  file(READ ${file} hex HEX)
  file(SHA256 ${file} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(REGEX REPLACE "^.*\\." "" extension "${file}")
  # A semicolon in a CMake value would make it a list.
  string(REPLACE ", charset" "\\;charset" type "${type.${extension}}")
  string(APPEND arrays "constexpr char kFile${number}[] = {${bytes}}\\;\n")
  string(APPEND table
    "      Asset{\"${path}\", \"${type}\", \"\\\"${hash}\\\"\", std::string_view(kFile${number}, ${size})},\n")
  math(EXPR number "${number} + 1")
endwhile()
string(CONFIGURE [[
// Generated from daemon/api/dashboard and libjs-dygraphs.
#include <array>

#include "daemon/api/assets.hpp"

namespace ebb {
namespace {

@arrays@
}  // namespace

std::span<const Asset> assets() {
  static constexpr std::array kAssets{
@table@  };
  return kAssets;
}

}  // namespace ebb
]] text @ONLY)
string(REPLACE "\\;" ";" text "${text}")
file(WRITE ${OUTPUT} "${text}")
