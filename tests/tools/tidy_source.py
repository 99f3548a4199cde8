"""A C++ source as tidy.py looks at it: without comments and strings, with its functions and await expressions."""
import re

_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f_])'(?:\\.|[^'\\\n])+'", re.S)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"][^>"\n]+[>"])', re.M)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


class Source:
    """`text` as written, `code` with comments and literals blanked (same offsets), `comments` with all else blanked."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.lines = text.split("\n")
        code, comments, end = [], [], 0
        for match in _LITERAL.finditer(text):
            plain, literal = text[end:match.start()], match.group()
            is_comment = literal.startswith(("//", "/*"))
            code += [plain, _blank(literal) if is_comment else '"' + _blank(literal)[1:-1] + '"']
            comments += [_blank(plain), literal if is_comment else _blank(literal)]
            end = match.end()
        self.code = "".join(code) + text[end:]
        self.comments = "".join(comments) + _blank(text[end:])
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def line_of(self, offset):
        low, high = 0, len(self._starts) - 1
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if self._starts[middle] <= offset else (low, middle)
        return low + 1

    def includes(self):
        """(line, "<vector>" or '"daemon/x.hpp"') of each include."""
        return [(self.line_of(match.start(1)), match.group(1)) for match in _INCLUDE.finditer(self.text)
                if self.comments[match.start(1)] == " "]


def matching(code, opening):
    """Where the bracket at `opening` closes; the end of the code when it does not."""
    pairs = {"{": "}", "(": ")", "[": "]"}
    close, depth = pairs[code[opening]], 0
    for at in range(opening, len(code)):
        if code[at] == code[opening]:
            depth += 1
        elif code[at] == close:
            depth -= 1
            if depth == 0:
                return at
    return len(code) - 1


def _last_word(text):
    match = re.search(r"(\S)\s*$", text)
    return match.group(1) if match else ""


_SCOPE = re.compile(r"^\s*(?:(?:template|requires)\b.*?)?(?:inline\s+)?"
                    r"\b(namespace|class|struct|union|enum|extern|export)\b", re.S)


def functions(source):
    """(first line, last line, name) of every function body at namespace or class scope."""
    code = re.sub(r"(?m)^[ \t]*#(?:\\\n|[^\n])*", lambda match: _blank(match.group()), source.code)
    found, at, chunk = [], 0, 0
    while at < len(code):
        character = code[at]
        if character in ";}" or character == ":" and re.search(r"\b(public|private|protected)\s*$", code[chunk:at]):
            chunk = at + 1
        elif character == "{":
            head = code[chunk:at]
            if _SCOPE.match(head) and "(" not in re.sub(r"alignas\([^)]*\)|\[\[.*?\]\]", "", head):
                chunk = at + 1  # look inside
            elif head and (not head[-1].isspace() or _last_word(head) in "=,("):
                at = matching(code, at)  # a braced initialiser
            else:
                end = matching(code, at)
                if "(" in head:
                    first = chunk + len(head) - len(head.lstrip())
                    # The last name before a parenthesis, so that a template's requires clause is passed over.
                    name = re.findall(r"([\w:~]+)\s*\(", head.split(") :")[0])
                    found.append((source.line_of(first), source.line_of(end), name[0] if name else "?"))
                at, chunk = end, end + 1
        at += 1
    return found


def await_faults(source):
    """(line, "braces" or "a lambda") for each co_await whose full expression holds one: g++ 12 frees it twice."""
    code, found = source.code, []
    for match in re.finditer(r"\bco_await\b", code):
        fault = _fault_after(code, match.end()) or _fault_before(code, match.start())
        if fault:
            found.append((source.line_of(match.start()), fault))
    return found


def _fault_after(code, start):
    depth = 0
    for at in range(start, len(code)):
        character = code[at]
        if character == "{":
            return "braces"
        if character == "[" and not re.search(r"[\w)\]]\s*$", code[max(0, at - 8):at]):
            return "a lambda"
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
            # The end of the condition that it stands in; what encloses it is looked at from the front.
            if depth < 0 and _is_statement_head(code, at):
                return None
        elif character == ";" or character == "}":
            return None
    return None


def _is_statement_head(code, closing):
    """Whether the parenthesis closing here opened after if, while, for or switch."""
    depth = 0
    for at in range(closing, -1, -1):
        if code[at] == ")":
            depth += 1
        elif code[at] == "(":
            depth -= 1
            if depth == 0:
                return bool(re.search(r"\b(if|while|for|switch|constexpr)\s*$", code[max(0, at - 16):at]))
    return False


def _fault_before(code, start):
    for at in range(start - 1, -1, -1):
        character = code[at]
        if character == ";":
            return None
        if character == "}":
            following = re.match(r"\s*(\S)", code[at + 1:at + 200])
            return "braces" if following and following.group(1) in ",)." else None
        if character == "{":
            inside = code[at:matching(code, at)]
            return None if ";" in inside else "braces"
    return None
