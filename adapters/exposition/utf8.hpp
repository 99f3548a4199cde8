// Whether bytes may go into JSON and logs.
#pragma once

#include <string_view>

namespace ebb::exposition {

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. Plain ASCII is passed eight bytes at a time.
bool valid_utf8(std::string_view text);

}  // namespace ebb::exposition
