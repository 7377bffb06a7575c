# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 7: every removal leaves one log line and one event, with user,
# session or run, UIDL, size and rule; never two.

import json
import re

from policytest import PolicyTest
from testcase import FORMATS, each, message, wait_for

METRICS = ("metric pp_removed {\n"
           "  filter = event=pop3_policy_message_removed\n}\n"
           "metric pp_finished {\n"
           "  filter = event=pop3_policy_session_finished\n}\n")
LINE = re.compile(r"Removed: user=(?P<user>\S+) (?P<by>\w+)=(?P<id>\S+) "
                  r"uidl=(?P<uidl>\S+) uid=\d+ size=(?P<size>\d+) "
                  r"rule=(?P<rule>\S+) ")


class OneLineEachRemoval(PolicyTest):
    def maildrop(self, count, **options):
        server = self.dovecot(faketime=True, config=METRICS, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "2d",
            "pop3_policy_keep_unretrieved": "9d"}, **options)
        server.deliver("alice", *map(message, range(1, count + 1)))
        return server

    def removals(self, server, count):
        """All that were told, at least COUNT: they come by way of another
        process."""
        def found():
            lines = [m.groupdict() for m in LINE.finditer(server.log())]
            return lines if len(lines) >= count else None
        return wait_for(found, "%d removals" % count)

    def events(self, server, name="pp_removed"):
        dump = server.doveadm("-f", "json", "stats", "dump", check=True)
        return sum(int(row["count"]) for row in json.loads(dump.stdout)
                   if row["metric_name"] == name)

    @each(format=FORMATS)
    def test_of_a_session(self, format):
        server = self.maildrop(4, format=format)
        uidls = self.session(server, "RETR 2", "RETR 3")
        server.set_time("+5d")
        self.session(server)
        found = self.removals(server, 2)
        self.assertEqual([r["uidl"] for r in found], [uidls[2], uidls[3]])
        self.assertEqual({r["user"] for r in found}, {"alice"})
        self.assertEqual({r["by"] for r in found}, {"session"})
        self.assertEqual({r["rule"] for r in found}, {"keep_retrieved"})
        self.assertEqual([int(r["size"]) for r in found],
                         [len(message(2)), len(message(3))])
        self.assertIn(found[0]["id"], server.log())
        wait_for(lambda: self.events(server) == 2, "two events")
        server.set_time("+10d")
        self.session(server)
        found = self.removals(server, 4)
        self.assertEqual([r["uidl"] for r in found],
                         [uidls[2], uidls[3], uidls[1], uidls[4]])
        self.assertEqual([r["rule"] for r in found[2:]],
                         ["keep_unretrieved"] * 2)
        wait_for(lambda: self.events(server) == 4, "four events")
        self.assertEqual(self.mails(server), 0)

    @each(format=FORMATS)
    def test_of_sessions_that_end_together(self, format):
        server = self.maildrop(20, format=format)
        uidls = self.session(server, *["RETR %d" % n for n in range(1, 16)])
        server.set_time("+5d")
        clients = [server.pop3("alice") for _ in range(8)]
        for client in clients:
            client.send(b"QUIT\r\n")
        for client in clients:
            client.read_all()
        server.wait_no_process("pop3")
        self.session(server)
        found = [r["uidl"] for r in self.removals(server, 15)]
        self.assertEqual(sorted(found),
                         sorted(uidls[n] for n in range(1, 16)))
        self.assertEqual(self.mails(server), 5)

    def test_dry_run_is_no_removal(self):
        server = self.maildrop(2)
        server.settings["pop3_policy_removal"] = "dry-run"
        server.restart()
        self.session(server, "RETR 1")
        server.set_time("+5d")
        self.session(server)
        server.wait_log("Would be removed: user=alice")
        self.assertIsNone(LINE.search(server.log()))
        # the last event of each session
        wait_for(lambda: self.events(server, "pp_finished") == 2,
                 "both sessions' events")
        self.assertEqual(self.events(server), 0)
