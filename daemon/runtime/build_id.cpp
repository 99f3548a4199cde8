#include "daemon/runtime/build_id.hpp"

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstring>

#include "daemon/version.hpp"

namespace ebb {
namespace {

constexpr std::size_t kDigits = 12;

std::size_t padded(std::size_t size) { return (size + 3) / 4 * 4; }

/// Hexadecimal digits of the first GNU build id among the notes; empty: there is none.
std::string digits_in(const char* notes, std::size_t size) {
  for (std::size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes + at, sizeof note);
    const std::size_t name = at + sizeof note;
    const std::size_t value = name + padded(note.n_namesz);
    if (value + note.n_descsz > size) return {};
    const bool gnu = note.n_namesz == sizeof "GNU" && std::memcmp(notes + name, "GNU", sizeof "GNU") == 0;
    if (gnu && note.n_type == NT_GNU_BUILD_ID) {
      std::string out;
      for (std::size_t i = 0; i < note.n_descsz && out.size() < kDigits; ++i) {
        const auto byte = static_cast<unsigned char>(notes[value + i]);
        out += "0123456789abcdef"[byte >> 4];
        out += "0123456789abcdef"[byte & 15];
      }
      return out;
    }
    at = value + padded(note.n_descsz);
  }
  return {};
}

/// Of the program itself, which the loader lists first.
int first_object(dl_phdr_info* object, std::size_t, void* out) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    if (part.p_type != PT_NOTE) continue;
    const auto* notes = reinterpret_cast<const char*>(object->dlpi_addr + part.p_vaddr);
    std::string digits = digits_in(notes, part.p_memsz);
    if (digits.empty()) continue;
    *static_cast<std::string*>(out) = std::move(digits);
    break;
  }
  return 1;
}

}  // namespace

const std::string& build_id() {
  static const std::string k_id = [] {
    std::string digits;
    dl_iterate_phdr(&first_object, &digits);
    return digits.empty() ? std::string(kVersion) : std::string(kVersion) + "+" + digits;
  }();
  return k_id;
}

}  // namespace ebb
