#!/usr/bin/python3
# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs the session tests against the installed Dovecot and prints TAP.
"""runner.py [--counts FILE] [--logs DIR] TESTDIR [PATTERN...]

A test runs when a PATTERN is part of its name ("file.Class.method"). FILE
gets "PASSED FAILED SKIPPED"; DIR the server's log of each failed test."""

import argparse
import os
import sys
import traceback
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def tests_in(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_in(item)
        else:
            yield item


class TapResult(unittest.TestResult):
    def __init__(self, logs):
        super().__init__()
        self.logs = logs
        self.passed = 0
        self.failed = 0
        self.failed_subtests = []

    def line(self, verdict, test, note=""):
        print("%s %d - %s%s" % (verdict, self.testsRun, test.id(), note),
              flush=True)

    def diagnose(self, test, err):
        text = "".join(traceback.format_exception(*err))
        log = test.failure_log() if hasattr(test, "failure_log") else ""
        if self.logs is not None:
            with open(os.path.join(self.logs, test.id() + ".log"), "w",
                      encoding="utf-8") as file:
                file.write(text + log)
        # The end of a log has the cause; the whole is in the file.
        for line in (text + log[-6000:]).splitlines():
            print("# " + line, flush=True)

    def bad(self, test, err):
        super().addFailure(test, err)
        self.failed += 1
        self.line("not ok", test)
        self.diagnose(test, err)

    addFailure = bad
    addError = bad

    def addSubTest(self, test, subtest, err):
        # No other method is called for a test with a failed subtest.
        if err is not None:
            self.failed_subtests.append(subtest.id())
            self.diagnose(test, err)

    def stopTest(self, test):
        if self.failed_subtests:
            self.failed += 1
            self.line("not ok", test, ": " + ", ".join(self.failed_subtests))
            self.failed_subtests = []
        super().stopTest(test)

    def addSuccess(self, test):
        self.passed += 1
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("ok", test, " # SKIP " + reason)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--counts")
    parser.add_argument("--logs")
    parser.add_argument("directory")
    parser.add_argument("pattern", nargs="*")
    args = parser.parse_args()

    found = unittest.defaultTestLoader.discover(args.directory)
    tests = [test for test in tests_in(found) if not args.pattern or
             any(pattern in test.id() for pattern in args.pattern)]
    print("1..%d" % len(tests), flush=True)
    result = TapResult(args.logs)
    unittest.TestSuite(tests).run(result)
    if args.counts:
        with open(args.counts, "w", encoding="ascii") as file:
            file.write("%d %d %d\n" % (result.passed, result.failed,
                                       len(result.skipped)))
    return 0 if result.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
