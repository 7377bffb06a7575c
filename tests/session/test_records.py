# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From Dovecot 2.3 to 2.4 and back, and from each version of the plugin to the
# next (promise 10): maildrops and states that tests/lib/record.py recorded.

import glob
import json
import os

from history import ALL, History
from record import EXPLAINED, LISTING, RICH, explained, unpack
from testcase import SessionTest, each, message

RECORDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "records")
NAMES = tuple(sorted(os.path.basename(path)[:-len(".tar.gz")] for path in
                     glob.glob(RECORDS + "/*.tar.gz")))
RICH_NAMES = tuple(name for name in NAMES if "-rich-" in name)
PLAIN_NAMES = tuple(name for name in NAMES if name not in RICH_NAMES)


class Records(SessionTest):
    def unpack(self, name, **options):
        """A server with what the record has, and its listing."""
        server = self.dovecot(format=name.rpartition("-")[2], **options)
        server.stop()
        unpack(server, "%s/%s.tar.gz" % (RECORDS, name))
        server.start()
        return server, [(message(int(number)), uidl) for number, uidl in
                        self.noted(server, LISTING).items()]

    def noted(self, server, name):
        with open(server.path(name), encoding="ascii") as file:
            return json.load(file)

    @each(name=PLAIN_NAMES)
    def test_is_read(self, name):
        server, expected = self.unpack(name)
        history = History(self, server)
        self.assertEqual(history.look(), expected)
        self.assertNotIn("pop3-policy: ", server.log())
        self.assertIn(" generation=1 ", server.dict_get("alice", "state"))
        # what it knows of messages is used
        server.remove_indexes("alice")
        server.deliver("alice", message(11))
        history.look(stays=ALL)
        self.assertRegex(server.dict_get("alice", "usage/now"),
                         r" total\.retr_count=\d\d ")

    @each(name=RICH_NAMES)
    def test_all_that_a_state_can_have_is_read(self, name):
        server, expected = self.unpack(name, faketime="2026-11-25T12:00:00",
                                       **RICH)
        noted = self.noted(server, EXPLAINED)
        self.assertEqual(explained(server), noted)
        history = History(self, server)
        self.assertEqual(history.look(), expected)
        self.assertNotIn("pop3-policy: ", server.log())
        # the listing has an order that is not that of UIDs
        state = server.dict_get("alice", "state")
        for field in ("order", "dele", "hidden"):
            self.assertIn(" %s=" % field, state)
        self.assert_usage(server, len(expected))
        # what is in its grace comes back under its UIDL
        hidden = [row["uidl"] for row in noted if row["deleted"] != "-"]
        self.assertNotEqual(hidden, [])
        server.doveadm("pop3", "retention", "restore", "-u", "alice", "--all",
                       check=True)
        history.look(stays=history.uidls() + hidden, comes_back=hidden)
        self.assertEqual(len(history.last), len(noted))
        self.assertLessEqual({"from%elsewhere,1", "x" * 70},
                             set(history.uidls()))
        server.remove_indexes("alice")
        server.deliver("alice", message(12))
        history.look(stays=ALL)

    def assert_usage(self, server, retrieved):
        """The days that ended are what they were."""
        rows = {row["period"]: row for row in json.loads(server.doveadm(
            "-f", "json", "pop3", "usage", "show", "-u", "alice", "--by",
            "day", check=True).stdout)}
        self.assertEqual(int(rows["2026-11-20"]["retr_count"]), 3)
        self.assertEqual(int(rows["2026-11-21"]["retr_count"]), 1)
        self.assertEqual(int(rows["2026-11-25"]["retr_count"]), retrieved)

    def test_there_are_some_of_both_lines(self):
        self.assertEqual({name.partition("-")[0] for name in PLAIN_NAMES},
                         {"2.3", "2.4"})
        # and of each that the other one went on with
        self.assertEqual({name.partition("-rich-")[0] for name in RICH_NAMES},
                         {"2.3", "2.4", "2.3-2.4", "2.4-2.3"})
