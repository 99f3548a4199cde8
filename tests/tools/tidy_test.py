#!/usr/bin/env python3
"""Each rule of tidy.py fires on a bad snippet, and stays silent on the good one beside it."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import tidy
import tidy_source

# Words that the rules forbid are put together here, so that this file passes its own rules.
NOTE = "TO" + "DO"
HOME = "/ho" + "me/ann/"
WORD = "unittest.sk" + "ip"
LONG = "int long_line;  // " + "x" * 110
LONG_FUNCTION = "int f() {\n" + "  g();\n" * 60 + "}\n"
NAMED = "#pragma once\n"

# (rule, file, bad text, good text)
RULES = [
    ("co-await", "daemon/runtime/a.hpp", "co_await send({.url = u});",
     "Request r{.url = u};\nco_await send(std::move(r));"),
    ("co-await", "daemon/runtime/a.hpp", "co_await send(Request{u});", "co_await send(Request(u));"),
    ("co-await", "daemon/runtime/a.hpp", "co_await retry([p] { go(p); });", "co_await retry(table[p]);"),
    ("co-await", "daemon/runtime/a.hpp", "f(Agg{x}, co_await g());", "Agg a{x};\nf(a, co_await g());"),
    ("co-await", "daemon/runtime/a.hpp", "Pair p{co_await g(), 1};", "auto f() -> T { co_await g(); }"),
    ("co-await", "daemon/runtime/a.hpp", "if (co_await f(Agg{x})) { g(); }", "if (co_await f(x)) { g(); }"),
    ("co-await", "daemon/runtime/a.hpp", "co_await f(\n    make_unique<Agg>(Agg{\n        1}));",
     "for (T& t : co_await f()) { g(t); }"),
    ("clock", "daemon/core/a.hpp", "auto t = Clock::now();", "auto t = clock.now();"),
    ("clock", "adapters/x/a.hpp", "clock_gettime(CLOCK_REALTIME, &t);", "// ::now( is only mentioned"),
    ("clock", "tests/emulators/load/a.hpp", "steady_clock::now();", 'const char* text = "::now()";'),
    ("sleep", "tests/core/a.hpp", "std::this_thread::sleep_for(1s);", "co_await clock.sleep_until(at);"),
    ("sleep", "daemon/a.hpp", "sleep(1);", "clock.sleep(1);"),
    ("random", "tests/core/a.hpp", "int x = std::rand();", "int x = operand(1);"),
    ("detached", "daemon/a.hpp", "co_spawn(ex, f(), asio::detached);", "spawn(ex, f());"),
    ("detached", "daemon/a.hpp", "thread.detach();", "thread.join();"),
    ("unordered", "daemon/core/a.hpp", "std::unordered_map<int, int> m;", "std::map<int, int> m;"),
    ("shell", "daemon/a.hpp", 'std::system("ls");', "error_of(std::system_category());"),
    ("shell", "daemon/a.hpp", 'int x = system("ls");', "sqlite3_vfs& system(sqlite3_vfs* vfs);"),
    ("skip", "tests/a.hpp", "GTEST_SKIP();", "EXPECT_TRUE(true);"),
    ("skip", "tests/a.hpp", "TEST(A, DISABLED_B) {}", "TEST(A, B) {}"),
    ("pure", "daemon/core/a.hpp", "#include <spdlog/spdlog.h>", "#include <map>"),
    ("pure", "daemon/model/a.hpp", "#include <nlohmann/json.hpp>", "#include <vector>"),
    ("pure", "policies/a.hpp", "#include <random>", "#include <algorithm>"),
    ("pure", "daemon/core/a.hpp", "#include <unistd.h>", "// #include <unistd.h>"),
    ("library", "adapters/http/a.hpp", "#include <boost/beast/http.hpp>", "#include <boost/asio/post.hpp>"),
    ("library", "daemon/api/a.hpp", "#include <sqlite3.h>", "#include <string>"),
    ("library", "config/a.hpp", "#include <boost/asio.hpp>", "#include <yaml-cpp/yaml.h>"),
    ("layers", "daemon/model/a.hpp", '#include "daemon/core/decide.hpp"', '#include "daemon/model/time.hpp"'),
    ("layers", "daemon/core/a.hpp", '#include "config/loader.hpp"', '#include "config/config.hpp"'),
    ("layers", "daemon/runtime/a.hpp", '#include "adapters/http/curl_client.hpp"', '#include "daemon/ports/fleet.hpp"'),
    ("layers", "daemon/runtime/a.hpp", '#include "daemon/api/routes.hpp"', '#include "daemon/runtime/b.hpp"'),
    ("layers", "daemon/a.hpp", '#include "adapters/http/curl_client.hpp"', '#include "adapters/factory.hpp"'),
    ("layers", "adapters/prometheus/a.hpp", '#include "adapters/process/disk.hpp"',
     '#include "adapters/http/auth.hpp"'),
    ("layers", "daemon/api/a.hpp", '#include "tests/support/world.hpp"', '#include "daemon/ports/control.hpp"'),
    ("include-path", "daemon/api/a.hpp", '#include "routes.hpp"', '#include "daemon/api/routes.hpp"'),
    ("function-length", "daemon/core/a.hpp", LONG_FUNCTION, LONG_FUNCTION.replace("  g();\n", "", 2)),
    ("function-length", "tests/a.py", "def f():\n" + "    g()\n" * 60, "def f():\n" + "    g()\n" * 59),
    ("line-length", "daemon/core/a.hpp", LONG, LONG[:120]),
    ("file-length", "daemon/core/a.hpp", "int a;\n" * 401, "int a;\n" * 380),
    ("file-length", "tests/core/a.hpp", "int a;\n" * 801, "int a;\n" * 401),
    ("pragma-once", "daemon/core/b.hpp", "int a;", NAMED),
    ("old-code", "tests/core/a.hpp", "// EXPECT_EQ(a, b);", "// EXPECT_EQ compares."),
    ("old-code", "daemon/core/a.hpp", "//  return a + b;", "// Return early; the rest is a table."),
    ("old-code", "daemon/core/a.hpp", "// total = total + 1;", "// A total of one."),
    ("old-code", "tests/core/CMakeLists.txt", "# ebb_test(old SOURCES a.cpp)", "# names of this folder"),
    ("open-end", "daemon/core/a.hpp", f"// {NOTE}: later", f"// {NOTE}(#12): later"),
    ("open-end", "docs/a.md", f"{NOTE} write this", "Write this."),
    ("machine-path", "config/a.yaml", f"path: {HOME}ebb", "path: /var/lib/ebb"),
    ("trailing-space", "daemon/core/a.hpp", "int a; ", "int a;"),
    ("unlisted", "daemon/core/a.cpp", "int a;", None),
    ("unlisted", "tests/tools/a_test.py", "a = 1", None),
    ("dead-path", "README.md", "see `docs/gone.md`", "see `docs/here.md`"),
    ("dead-path", "docs/a.md", "[here](gone.md)", "[here](here.md) and [there](https://example.org/a)"),
    ("skip", "tests/a.py", f"@{WORD}\ndef f(): pass", "def f(): pass"),
    ("python", "tests/a.py", "def f(:", "def f(): pass"),
]


def rules_of(path, text, others=()):
    """Names of the rules that a tree of this file (and others) breaks, at that path."""
    with tempfile.TemporaryDirectory() as root:
        for name, content in ((path, text), ("docs/here.md", ""), *others):
            os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(root, name), "w") as file:
                file.write(content)
        problems = tidy.checked(root)
    return [message.split("[", 1)[1].split("]", 1)[0] for where, _, message in problems if where == path]


def with_guard(path, text):
    return NAMED + text if path.endswith("/a.hpp") else text


class EachRule(unittest.TestCase):
    def test_fires_on_the_bad_text(self):
        for rule, path, bad, _ in RULES:
            with self.subTest(rule=rule, bad=bad[:60]):
                self.assertIn(rule, rules_of(path, with_guard(path, bad)))

    def test_is_silent_on_the_good_text(self):
        for rule, path, _, good in RULES:
            if good is not None:
                with self.subTest(rule=rule, good=good[:60]):
                    self.assertEqual([], rules_of(path, with_guard(path, good)))

    def test_names_every_rule(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(tidy.__file__)), "tidy.py")) as file:
            text = file.read()
        known = {row[0] for row in tidy.PATTERNS}
        for rule in {row[0] for row in RULES}:
            self.assertTrue(rule in known or f'"{rule}"' in text, rule)
        for rule in known:
            self.assertIn(rule, {row[0] for row in RULES}, "a rule without a bad snippet")

    def test_every_message_says_what_to_write_instead(self):
        with tempfile.TemporaryDirectory() as root:
            for number, (_, path, bad, _) in enumerate(RULES):
                folder, name = os.path.split(path)
                target = os.path.join(root, str(number), folder)
                os.makedirs(target)
                with open(os.path.join(target, name), "w") as file:
                    file.write(bad)
                for _, _, message in tidy.checked(os.path.join(root, str(number))):
                    self.assertRegex(message, r"^[\w./]+:\d+: \[[a-z-]+\] .+\. Instead: .+")


class Listing(unittest.TestCase):
    def test_a_listed_source_is_found_from_its_folder_and_from_the_root(self):
        listed = [("daemon/core/CMakeLists.txt", "ebb_library(x SOURCES a.cpp)\n")]
        self.assertEqual([], rules_of("daemon/core/a.cpp", "int a;\n", listed))
        listed = [("CMakeLists.txt", "add_library(x ${PROJECT_SOURCE_DIR}/daemon/core/a.cpp)\n")]
        self.assertEqual([], rules_of("daemon/core/a.cpp", "int a;\n", listed))

    def test_a_source_listed_in_a_comment_is_not_listed(self):
        listed = [("daemon/core/CMakeLists.txt", "# a.cpp\n")]
        self.assertEqual(["unlisted"], rules_of("daemon/core/a.cpp", "int a;\n", listed))


class Waivers(unittest.TestCase):
    def test_a_waiver_with_a_reason_holds_for_its_rule_only(self):
        text = NAMED + "// tidy-allow(clock): the kernel asks for it\nauto t = Clock::now();\n"
        self.assertEqual([], rules_of("daemon/core/a.hpp", text))
        self.assertEqual(["clock"], rules_of("daemon/core/a.hpp", text.replace("clock)", "sleep)")))

    def test_a_waiver_without_a_reason_does_not_hold(self):
        text = NAMED + "// tidy-allow(clock):\nauto t = Clock::now();\n"
        self.assertEqual(["clock"], rules_of("daemon/core/a.hpp", text))

    def test_a_waiver_does_not_reach_past_two_lines(self):
        text = NAMED + "// tidy-allow(clock): here\n\n\nauto t = Clock::now();\n"
        self.assertEqual(["clock"], rules_of("daemon/core/a.hpp", text))


class Scanner(unittest.TestCase):
    def functions(self, text):
        return [(first, last, name) for first, last, name in tidy_source.functions(tidy_source.Source("a.cpp", text))]

    def test_finds_functions_in_namespaces_and_classes(self):
        text = ("namespace a {\nclass B : public C {\n public:\n  int f() const {\n    return 1;\n  }\n};\n}\n"
                "void g() {}\n")
        self.assertEqual([(4, 6, "f"), (9, 9, "g")], self.functions(text))

    def test_does_not_take_initialisers_for_functions(self):
        text = "constexpr std::array kTable{\n    Row{1},\n    Row{f(2)},\n};\nint a = {g(1)};\n"
        self.assertEqual([], self.functions(text))

    def test_sees_a_constructor_with_braced_members_as_one_function(self):
        text = "A::A(int x) : a_{x}, b_{x} {\n  go();\n}\n"
        self.assertEqual([(1, 3, "A::A")], self.functions(text))

    def test_counts_a_lambda_with_its_function(self):
        text = "int f() {\n  auto g = [] {\n    return 1;\n  };\n  return g();\n}\n"
        self.assertEqual([(1, 6, "f")], self.functions(text))

    def test_is_not_misled_by_literals_and_comments(self):
        text = 'int f() {\n  auto s = R"x({{{)x"; char c = \'{\';  // {\n  int n = 1\'000;\n}\nint g() {}\n'
        self.assertEqual([(1, 4, "f"), (5, 5, "g")], self.functions(text))


if __name__ == "__main__":
    unittest.main()
