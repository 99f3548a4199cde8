// As much XML as S3 answers hold. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb {

/// An element with its text (entities decoded, white space kept) and its children in order. Attributes are dropped and
/// names lose their prefix: S3's namespaces differ from store to store.
struct XmlElement {
  std::string name;
  std::string text;
  std::vector<XmlElement> children;

  /// The first child of that name, or null.
  [[nodiscard]] const XmlElement* child(std::string_view of) const;
  /// The text of the first child of that name, or nothing.
  [[nodiscard]] std::string text_of(std::string_view of) const;
};

/// The document's element. `malformed` for everything that is not well-formed, for a document type (entities of its own
/// could blow it up), for elements nested deeper than 16, and for bytes after the element.
Result<XmlElement> parse_xml(std::string_view text);

}  // namespace ebb
