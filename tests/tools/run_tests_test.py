#!/usr/bin/env python3
"""What run_tests.py counts, and what it makes of a stage that broke before it could count."""
import contextlib
import io
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import clang_syntax
import run_tests

JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="x" tests="3" failures="1" disabled="0" skipped="1">
  <testcase name="a_test" status="run"><system-out>[==========] 12 tests from 3 test suites ran. (5 ms total)
  [==========] nothing</system-out></testcase>
  <testcase name="b_test" status="fail"><failure/><system-out>[==========] 1 test from 1 test suite ran. (5 ms total)
[  FAILED  ] B.IsRight (0 ms)
[  FAILED  ] 1 test, listed below:
[  FAILED  ] B.IsRight
ERROR: test_more (m.More.test_more)
</system-out></testcase>
  <testcase name="c_test" status="notrun"><skipped/><system-out></system-out></testcase>
</testsuite>
"""


def stage_with(ok, counts):
    stage = run_tests.Stage("asan", "every test", None)
    stage.ok, stage.counts = ok, counts
    return stage


def printed(stages):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        run_tests.report(stages)
    return out.getvalue()


class Counting(unittest.TestCase):
    def read(self):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(JUNIT)
            file.flush()
            return run_tests.read_junit(file.name)

    def test_reads_what_ctest_wrote(self):
        counts = self.read()
        self.assertEqual((1, 1, 1, 13), (counts.passed, counts.failed, counts.skipped, counts.cases))
        self.assertEqual(["b_test (B.IsRight, test_more)", "c_test (did not run)"], counts.failures)

    def test_ends_with_the_counts_alone_on_a_line(self):
        self.assertEqual("1 passed, 1 failed, 1 skipped", printed([stage_with(False, self.read())]).splitlines()[-1])

    def test_a_stage_that_did_not_build_is_a_failure(self):
        text = printed([stage_with(False, run_tests.Counts())])
        self.assertIn("failed: the whole stage asan", text)
        self.assertEqual("0 passed, 1 failed", text.splitlines()[-1])


class SyntaxCommand(unittest.TestCase):
    def test_keeps_the_flags_and_drops_what_would_write_an_object(self):
        command = "cmake -E env A=b ccache /usr/bin/clang++ -I/x -DA=\"b c\" -Werror -MD -MT o -MF o.d -o a.o -c a.cpp"
        words = clang_syntax.syntax_command({"command": command}, "x.d")
        self.assertEqual(["/usr/bin/clang++", "-I/x", "-DA=b c", "-Werror", "a.cpp", "-fsyntax-only"], words[:6])
        self.assertNotIn("a.o", words)


if __name__ == "__main__":
    unittest.main()
