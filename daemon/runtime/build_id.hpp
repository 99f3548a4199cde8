// Which build of the program this is.
#pragma once

#include <string>

namespace ebb {

/// The version and, after a '+', twelve digits of what the linker made of all that went in (the GNU build id, an ELF
/// note of the program): two builds of different sources differ in it, whatever their version says. The version alone
/// where the program has no such note. Any thread.
const std::string& build_id();

}  // namespace ebb
