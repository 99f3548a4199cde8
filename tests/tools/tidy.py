#!/usr/bin/env python3
"""The house rules that a compiler does not know, as a test. Each message says what to write instead.

    tests/tools/tidy.py [--root DIR] [PATH ...]       PATH: report on these files only

A line that must break a rule says so where it does: `tidy-allow(rule): the reason`, in a comment on the line or on
one of the two above it; for a whole file's length, in its first ten lines.
"""
import argparse
import ast
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import tidy_source

MAX_LINE = 120          # what clang-format wraps at
MAX_SCRIPT_LINE = 140   # Python and JavaScript, which no tool wraps here
MAX_FUNCTION = 60
MAX_FILE = 400
MAX_TEST_FILE = 800  # tests are tables: long, but flat

PURE = ("daemon/model/", "daemon/core/", "policies/")
CPP = (".cpp", ".hpp")
CODE = CPP + (".py", ".js", ".mjs", ".sh", ".cmake")
# Each program reads its clock in one place.
CLOCKS = ("daemon/runtime/system_clock.cpp", "daemon/shim/clock.cpp", "tests/emulators/common/clock.cpp")
BEAST = ("daemon/api/server.cpp", "tests/emulators/common/http_server.cpp")
WIRING = ("daemon/app.cpp", "daemon/app.hpp", "adapters/factory.cpp", "adapters/factory.hpp")
# Helpers without a connection or a state, which any adapter may use; and the version's three numbers.
SHARED = ("adapters/http/auth.hpp", "adapters/http/send_all.hpp", "adapters/http/json_answer.hpp",
          "adapters/exposition/number.hpp", "adapters/exposition/utf8.hpp", "daemon/version.hpp",
          "adapters/engines/dialect.hpp", "adapters/engines/engine_http.hpp", "adapters/engines/memory.hpp")

BELOW_ADAPTERS = ("daemon/model/", "policies/", "config/", "daemon/core/", "daemon/ports/")
# What a folder may include besides itself. The longest prefix that fits a file counts.
LAYERS = {
    "daemon/model/": (),
    "policies/": ("daemon/model/",),
    "config/": ("daemon/model/", "policies/"),
    "daemon/core/": ("daemon/model/", "policies/", "config/config.hpp"),
    "daemon/ports/": ("daemon/model/", "policies/", "config/config.hpp", "daemon/core/"),
    "daemon/shim/": ("daemon/model/",),
    "adapters/": BELOW_ADAPTERS,
    "adapters/process/": BELOW_ADAPTERS + ("daemon/shim/",),
    "daemon/runtime/": BELOW_ADAPTERS,
    "daemon/gateway/": BELOW_ADAPTERS,
    "daemon/backtest/": BELOW_ADAPTERS,
    "daemon/api/": BELOW_ADAPTERS,
    "daemon/pull/": ("daemon/model/", "daemon/ports/", "daemon/api/", "daemon/runtime/", "daemon/shim/",
                     "config/config.hpp", "adapters/http/"),
    "daemon/ctl/": ("daemon/model/", "daemon/ports/", "adapters/http/"),
    "daemon/": ("daemon/", "policies/", "config/", "adapters/"),
    "tests/emulators/": ("daemon/model/", "tests/support/"),
    "tests/": ("daemon/", "policies/", "config/", "adapters/"),
}
ORDER = "model <- policies <- config <- core <- ports <- adapters, runtime <- api <- app"

# Where a library from outside may be included; every other folder has it behind a port or a type of ours.
LIBRARIES = {
    "boost/beast": BEAST,
    "boost/": ("daemon/ports/", "daemon/runtime/", "daemon/api/", "daemon/gateway/", "daemon/backtest/", "daemon/pull/",
               "daemon/ctl/", "daemon/app", "daemon/main", "daemon/commands", "adapters/", "tests/", "cmake/"),
    "yaml-cpp/": ("config/", "tests/"),
    "curl/": ("adapters/http/", "daemon/pull/", "daemon/app.cpp", "tests/"),  # the app: curl_global_init, once
    "sqlite3.h": ("daemon/runtime/", "tests/"),
    "prometheus/": ("daemon/runtime/", "tests/"),
    "zstd.h": ("daemon/pull/", "daemon/runtime/", "tests/"),
    "xxhash.h": ("daemon/pull/", "tests/"),
}

# (rule, pattern over code without comments and strings, files it holds for, what to write instead)
EVERYWHERE = ("",)
PATTERNS = [
    ("clock", r"::now\s*\(|\b(?:clock_gettime|gettimeofday)\s*\(|\btime\s*\(\s*(?:NULL|nullptr|0)\s*\)",
     ("daemon/", "adapters/", "config/", "policies/", "tests/emulators/"),
     "take a Clock& (daemon/ports/clock.hpp); an emulator calls tests/emulators/common/clock.hpp"),
    ("sleep", r"\b(?:sleep_for|usleep|nanosleep)\b|this_thread::sleep_until|(?<![\w.:>])sleep\s*\(", EVERYWHERE,
     "co_await clock.sleep_until(at); a test waits for a condition with a deadline"),
    ("random", r"(?<![\w.:>])(?:std::)?s?rand\s*\(|\b[dlm]rand48\s*\(", EVERYWHERE,
     "a seeded std::mt19937_64 that the caller passes in; nothing random in the core"),
    ("detached", r"\bdetached\b|\.detach\s*\(", EVERYWHERE,
     "spawn() of daemon/ports/spawn.hpp: a detached coroutine loses its exception without a trace"),
    ("unordered", r"\bunordered_\w+", PURE, "std::map or std::set: the order of a decision may not depend on a hash"),
    ("shell", r"(?m)(?<![\w>])(?:std)?::(?:system|popen)\s*\(|(?:^|[;{}(=,!]|\breturn\b)\s*(?:system|popen)\s*\(",
     EVERYWHERE,
     "start the program itself with posix_spawn and an argument list"),
    ("skip", r"\bGTEST_SKIP\b|\bDISABLED_\w+", EVERYWHERE,
     "a test that runs: skipped tests rot; what it needs belongs into deploy/debian/packages.txt"),
]
IMPURE_HEADERS = {"<fstream>", "<iostream>", "<thread>", "<mutex>", "<random>", "<filesystem>", "<condition_variable>",
                  "<future>", "<ctime>"}
# The model's one door to a library: values as JSON.
MODEL_JSON = re.compile(r"^daemon/model/json\w*\.[ch]pp$")

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:wor[k]|far[m]|roo[t]|home/\w+|User[s])/")
OPEN_END = re.compile(r"\b(TO[D]O|FIXM[E]|XX[X]|HAC[K])\b(?!\s*\(#\d+\))")
OLD_CODE = re.compile(
    r"^\s*//(?!/)\s*(?:"
    r"(?:TEST(?:_[FP])?|EXPECT_\w+|ASSERT_\w+)\s*\("
    r"|(?:return|if|for|while|auto|const|int|bool|std::|co_await|co_return)\b[^.]*[;{]\s*$"
    r"|\}\s*(?:else\s*\{)?\s*$"
    r"|[\w:.>-]+\([^.]*\);\s*$"
    r"|[\w.\[\]>-]+ = [^.]*;\s*$)")
SKIPPED_PYTHON = re.compile(r"unittest\.ski[p]|@ski[p]|pytest\.mark\.ski[p]|self\.skipTes[t]")
OLD_CMAKE = re.compile(r"^\s*#\s*(?:add_test|ebb_test|add_subdirectory|ebb_library|ebb_program)\(")


class Report:
    """Collects problems; a `tidy-allow` near the line takes one away."""

    def __init__(self):
        self.problems = []

    def add(self, file, line, rule, what, instead):
        near = file.lines[max(0, line - 3):line] if rule != "file-length" else file.lines[:10]
        if any(re.search(rf"tidy-allow\({rule}\): \S", text) for text in near):
            return
        self.problems.append((file.path, line, f"{file.path}:{line}: [{rule}] {what}. Instead: {instead}"))


class Text:
    def __init__(self, path, text):
        self.path, self.text, self.lines = path, text, text.split("\n")


def is_test(path):
    return path.startswith("tests/")


def best_prefix(path, table):
    fitting = [prefix for prefix in table if path.startswith(prefix)]
    return max(fitting, key=len) if fitting else None


def check_patterns(source, report):
    for rule, pattern, folders, instead in PATTERNS:
        if not source.path.startswith(folders) or (rule == "clock" and source.path in CLOCKS):
            continue
        for match in re.finditer(pattern, source.code):
            report.add(source, source.line_of(match.end() - 1), rule, f"`{match.group().strip()}`", instead)


def check_awaits(source, report):
    for line, fault in tidy_source.await_faults(source):
        report.add(source, line, "co-await", f"{fault} in a co_await statement, which g++ 12 destroys twice",
                   "name the value on a line of its own, then co_await f(std::move(name))")


def check_layers(source, report):
    for line, include in source.includes():
        name = include[1:-1]
        if include[0] == '"':
            check_own_include(source, line, name, report)
            continue
        library = best_prefix(name, LIBRARIES)
        if library and not source.path.startswith(LIBRARIES[library]):
            report.add(source, line, "library", f"{include} here",
                       f"what {' or '.join(LIBRARIES[library][:2])} offers; only they know the library")
        if source.path.startswith(PURE):
            foreign = not re.fullmatch(r"<[a-z_0-9]+>", include) or include in IMPURE_HEADERS
            if foreign and not (name.startswith("nlohmann/") and MODEL_JSON.match(source.path)):
                report.add(source, line, "pure", f"{include} in a pure folder",
                           "values of daemon/model and the standard library, without I/O, threads or randomness")


def check_own_include(source, line, name, report):
    own = os.path.dirname(source.path) + "/"
    if "/" not in name:
        report.add(source, line, "include-path", f'"{name}" is relative to its folder', f'"{own}{name}"')
        return
    folder = best_prefix(source.path, LAYERS)
    if folder is None or name.startswith(own) or name in SHARED or source.path in WIRING:
        return
    if folder.startswith("adapters/") and name.startswith("adapters/"):
        report.add(source, line, "layers", f'"{name}" is another adapter',
                   "its port in daemon/ports/, handed over by adapters/factory.cpp")
    elif folder == "daemon/" and name.startswith("adapters/") and name != "adapters/factory.hpp":
        report.add(source, line, "layers", f'"{name}" is a concrete adapter',
                   "what adapters/factory.hpp makes; only daemon/app.cpp and the factory know concrete types")
    elif not name.startswith((folder, *LAYERS[folder])):
        report.add(source, line, "layers", f'"{name}" from {folder}',
                   f"a value or a port that is passed in; arrows point down only ({ORDER})")


def check_functions(source, report):
    for first, last, name in tidy_source.functions(source):
        check_length(source, first, last, name, report)


def check_length(file, first, last, name, report):
    lines = last - first + 1
    if lines > MAX_FUNCTION:
        report.add(file, first, "function-length", f"{name} has {lines} lines, more than {MAX_FUNCTION}",
                   "a function per thought: branches in the parent, pure arithmetic in the leaves")


def check_header(source, report):
    if source.path.endswith(".hpp") and "#pragma once" not in source.code:
        report.add(source, 1, "pragma-once", "no include guard", "#pragma once, under the file's first comment")


def check_old_code(file, report):
    pattern = OLD_CODE if file.path.endswith(CPP) else OLD_CMAKE
    for number, text in enumerate(file.lines, 1):
        if pattern.match(text):
            report.add(file, number, "old-code", "code in a comment", "nothing: git remembers it")


def check_python(file, report):
    try:
        tree = ast.parse(file.text)
    except SyntaxError as error:
        report.add(file, error.lineno or 1, "python", f"does not parse: {error.msg}", "valid Python 3.11")
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            check_length(file, node.lineno, node.end_lineno, node.name, report)
    for match in SKIPPED_PYTHON.finditer(file.text):
        report.add(file, file.text.count("\n", 0, match.start()) + 1, "skip", f"`{match.group()}`", "a test that runs")


def check_text(file, report):
    """What holds for every text file."""
    is_code = file.path.endswith(CODE) or os.path.basename(file.path) in ("CMakeLists.txt", "Makefile")
    longest = MAX_SCRIPT_LINE if file.path.endswith((".py", ".js", ".mjs")) else MAX_LINE
    for number, text in enumerate(file.lines, 1):
        if is_code and len(text) > longest:
            report.add(file, number, "line-length", f"{len(text)} columns, more than {longest}",
                       "two lines (make format)")
        if OPEN_END.search(text):
            report.add(file, number, "open-end", "a note to finish something",
                       "finish it, or name its issue: TO" "DO(#12)")
        if MACHINE_PATH.search(text):
            report.add(file, number, "machine-path", "a path of somebody's machine",
                       "a path from the project's root, or a temporary directory")
        if is_code and text.endswith((" ", "\t")):
            report.add(file, number, "trailing-space", "space at the end of the line", "none")
    limit = MAX_TEST_FILE if is_test(file.path) else MAX_FILE
    if file.path.endswith(CODE) and len(file.lines) - 1 > limit:
        report.add(file, 1, "file-length", f"{len(file.lines) - 1} lines, more than {limit}", "a file per concept")


def listed_in_cmake(files):
    """Paths that some CMakeLists.txt names."""
    names = set()
    for file in files:
        if os.path.basename(file.path) != "CMakeLists.txt" and not file.path.endswith(".cmake"):
            continue
        folder = os.path.dirname(file.path)
        for word in re.findall(r"[\w${}./-]+\.(?:cpp|py)\b", re.sub(r"(?m)#.*$", "", file.text)):
            word = word.replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")
            word = re.sub(r"\$\{(?:PROJECT|CMAKE)_SOURCE_DIR\}/", "//", word)
            names.add(word[2:] if word.startswith("//") else os.path.normpath(os.path.join(folder, word)))
    return names


def check_listed(files, report):
    names = listed_in_cmake(files)
    for file in files:
        wanted = file.path.endswith(".cpp") or (is_test(file.path) and file.path.endswith("_test.py"))
        if wanted and file.path not in names:
            report.add(file, 1, "unlisted", "no CMakeLists.txt names this file, so nobody builds or runs it",
                       f"its name in {os.path.dirname(file.path)}/CMakeLists.txt")


def paths_in(text, tops):
    """(offset, path) of what looks like a path of the project: its first part is a folder or file of the root."""
    for match in re.finditer(r"(?<![\w/.:$~-])((?:[\w.-]+/)+[\w.*-]*|[A-Z]+\.md)(?![\w{<*/])", text):
        path = match.group(1).rstrip(".")
        if path.split("/")[0] in tops and "*" not in path:
            yield match.start(), path
    for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", match.group(1)):
            yield match.start(), "->" + match.group(1)


def check_document(file, existing, report):
    tops = {path.split("/")[0] for path in existing} - {"build"}
    here = os.path.dirname(file.path)
    history = file.path.startswith("docs/adr/") or file.path == "CHANGELOG.md"  # what was true then
    for offset, path in paths_in(file.text, tops):
        link = path.startswith("->")
        if history and not link:
            continue
        target = os.path.normpath(os.path.join(here, path[2:]) if link else path).rstrip("/")
        # A program's name in a path of the build directory comes out of the build.
        if target not in existing and not target.startswith(("build", "..")):
            report.add(file, file.text.count("\n", 0, offset) + 1, "dead-path", f"`{target}` does not exist",
                       "a path that does; documents move with the code")


def listed_files(root):
    """Tracked and new files; without git (an archive), every file outside build/."""
    try:
        done = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        names = {name for name in done.stdout.split("\0") if name and os.path.isfile(os.path.join(root, name))}
        if done.returncode == 0 and names:
            return sorted(names)
    except FileNotFoundError:
        pass
    found = []
    for folder, folders, names in os.walk(root):
        skipped = (".git", "__pycache__") + (("build",) if folder == root else ())
        folders[:] = [name for name in folders if name not in skipped]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


def load(root, path):
    with open(os.path.join(root, path), "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    text = data.decode("utf-8", errors="replace")
    return tidy_source.Source(path, text) if path.endswith(CPP) else Text(path, text)


def checked(root):
    """All problems of the tree under `root`, as (path, line, message)."""
    paths = listed_files(root)
    # A corpus holds damaged input on purpose; the licence is not ours to write.
    files = [load(root, path) for path in paths if not path.startswith("tests/fuzz/corpus/") and path != "LICENSE"]
    files = [file for file in files if file is not None]
    folders = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
    existing = set(paths) | folders
    report = Report()
    for file in files:
        check_text(file, report)
        if file.path.endswith(CPP):
            for check in (check_patterns, check_awaits, check_layers, check_functions, check_header, check_old_code):
                check(file, report)
        elif os.path.basename(file.path) == "CMakeLists.txt":
            check_old_code(file, report)
        elif file.path.endswith(".py"):
            check_python(file, report)
        elif file.path.endswith(".md"):
            check_document(file, existing, report)
    check_listed(files, report)
    return sorted(report.problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--root", default=default)
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    problems = [row for row in checked(options.root) if not options.paths or row[0] in options.paths]
    for _, _, message in problems:
        print(message)
    print(f"tidy: {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
