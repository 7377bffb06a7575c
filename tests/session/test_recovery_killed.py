# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A session that recovers is killed at each of its commits, before that is
# applied and after: the next one shows the same UIDLs, none of them for another
# message.

import itertools
import re
import threading

from fakedict import ANSWER, COMMIT, SILENT, SWALLOW
from history import ALL, History
from policytest import LONG, PolicyTest
from testcase import FORMATS, each, message, wait_for

START = "2031-03-10T12:00:00"
SCRIPT = b"USER alice\r\nPASS secret\r\nUIDL\r\nRETR 1\r\nNOOP\r\nQUIT\r\n"


class Killed(PolicyTest):
    def start(self, format):
        self.server, self.fake = self.faked(
            messages=10, format=format, settings=LONG, faketime=START)
        self.ahead = self.server.set_moment(START)
        self.number = 10
        self.history = History(self, self.server)
        self.history.look()

    def lose_indexes(self):
        """At another time, and so with another UIDVALIDITY."""
        self.ahead += 2
        self.server.set_time("%+d" % self.ahead)
        self.server.remove_indexes("alice")

    def deliver(self):
        self.number += 1
        self.server.deliver("alice", message(self.number))

    def killed_session(self, number, how):
        """A session that gets no answer to its commit NUMBER and is killed
        then. Returns what it had sent, or None if there is no such commit."""
        commits = itertools.count(1)
        arrived = threading.Event()

        def rule(operation, user, keys):
            if operation == COMMIT and next(commits) == number:
                arrived.set()
                return how
            return ANSWER
        self.fake.rule = rule
        client = self.server.connect()
        got = []
        reader = threading.Thread(target=lambda: got.extend(
            iter(client.recv_line, b"")))
        client.send(SCRIPT)
        reader.start()
        wait_for(lambda: arrived.is_set() or not (
            reader.is_alive() or self.server.processes("pop3")),
            "a commit or the end")
        self.server.kill("pop3")
        self.server.wait_no_process("pop3")
        reader.join()
        self.fake.rule = lambda operation, user, keys: ANSWER
        return b"".join(got) if arrived.is_set() else None

    @each(format=FORMATS, how=(SILENT, SWALLOW))
    def test_at_each_commit(self, format, how):
        self.start(format)
        commits = {}
        for then in ("nothing", "new mail", "another loss"):
            for number in itertools.count(1):
                self.deliver()
                self.lose_indexes()
                text = self.killed_session(number, how)
                if text is None:
                    break
                commits[then] = number
                shown = re.findall(rb"^\d+ (\S+)\r$", text, re.MULTILINE)
                if then != "nothing":
                    self.deliver()
                if then == "another loss":
                    self.lose_indexes()
                with self.subTest(then=then, number=number):
                    self.history.look(stays=ALL)
                    self.assertEqual(
                        self.history.uidls()[:len(shown)],
                        [uidl.decode() for uidl in shown])
            self.history.look(stays=ALL)
        # the recovery's, and the one at close
        self.assertGreaterEqual(min(commits.values()), 2, commits)
        self.assertEqual(len(self.history.last), self.number)
