# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What every session test is made of.
"""A session test is a method whose name says what is promised:

    class Uidl(SessionTest):
        @each(format=FORMATS)
        def test_same_after_index_loss(self, format):
            server = self.dovecot(format=format)
            server.deliver("alice", message(1), message(2))
            before = server.pop3("alice").uidls()
            ...

self.dovecot(...) starts a server (options: dovecot.py) that ends with the
test. When the test fails, the end of the server's log is printed. A crash or
leak that Dovecot logs fails the test, unless self.allow_crash is True."""

import inspect
import itertools
import re
import unittest

import dovecot
from dovecot import FORMATS, message, wait_for
from pop3 import Pop3, Refused

__all__ = ["FORMATS", "Pop3", "Refused", "SessionTest", "each", "message",
           "wait_for"]

# Not signal 9, which is what tests themselves do to processes.
CRASH = re.compile(r"^.*(Panic:|Raw backtrace|killed with signal [^9]|"
                   r"returned error|leaked|leak:).*$", re.MULTILINE)


def each(**arguments):
    """Makes one test of each combination: test_x_maildir, test_x_sdbox."""
    def mark(method):
        names = list(arguments)
        method.variants = [dict(zip(names, values)) for values in
                           itertools.product(*arguments.values())]
        return method
    return mark


def _variant(method, values):
    def test(self):
        return method(self, **values)
    suffix = "_".join(re.sub(r"\W+", "_", str(v)) for v in values.values())
    test.__name__ = "%s_%s" % (method.__name__, suffix)
    test.__doc__ = method.__doc__
    return test


class SessionTest(unittest.TestCase):
    allow_crash = False
    crash = CRASH

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, method in list(vars(cls).items()):
            for values in getattr(method, "variants", ()):
                test = _variant(method, values)
                setattr(cls, test.__name__, test)
            if hasattr(method, "variants"):
                delattr(cls, name)

    def setUp(self):
        self.servers = []

    def dovecot(self, **options):
        """A running server that ends with the test."""
        server = dovecot.Dovecot(**options)
        self.servers.append(server)
        self.addCleanup(server.destroy)
        return server.start()

    def tearDown(self):
        for server in self.servers:
            server.stop()
        for server in self.servers:
            crash = self.crash.search(server.log())
            if crash is not None and not self.allow_crash:
                self.fail("in the server's log: " + crash.group(0))

    def failure_log(self):
        """What the runner prints below a failed test."""
        return "\n".join("%s, %s, Dovecot %s:\n%s" % (
            server.root, server.format, server.line, server.log())
            for server in self.servers)
