# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# removal_limit_percent bounds what goes in a day, however often somebody
# looks: what a wrong rule or clock can do before anyone sees it.

from test_grace import HIDE
from test_retention import ON, RetentionTest
from testcase import FORMATS, each, message

HOUR = 3600
DAY = 24 * HOUR


class Limit(RetentionTest):
    def retrieved_hour_by_hour(self, hours=6):
        """300 messages, of which each hour 50 were retrieved."""
        server = self.policy()
        self.fill(server, 50 * hours)
        for hour in range(hours):
            self.move(server, "+%d" % (hour * HOUR))
            self.session(server, retr=range(50 * hour + 1, 50 * hour + 51))
        return server

    def pass_at(self, server, seconds, by, **session):
        """How many go, and how often it is said that more wait."""
        mark = self.move(server, "+%d" % seconds)
        if by == "run":
            text = self.run_now(server, "-u", "alice").stderr
        else:
            self.session(server, **session)
            text = self.log_of_sessions(server, mark)
        return len(self.removals(text)), text.count("more messages are due")

    @each(by=("session", "run"))
    def test_what_is_due_an_hour_later_waits_too(self, by):
        server = self.retrieved_hour_by_hour()
        first = 14 * DAY + 2 * HOUR + 60
        self.assertEqual(self.pass_at(server, first, by), (60, 1))
        for hours in (1, 2, 23):
            self.assertEqual(
                self.pass_at(server, first + hours * HOUR, by), (0, 0))
        # 20 % of 240, but 50 always
        self.assertEqual(
            self.pass_at(server, first + 24 * HOUR + 60, by), (50, 1))
        self.assertEqual(self.there(server), list(range(111, 301)))

    def test_it_is_told_once_when_more_is_due(self):
        server = self.retrieved_hour_by_hour(2)
        first = 14 * DAY + 60
        for hour, expected in enumerate(((50, 0), (0, 1), (0, 0))):
            self.assertEqual(self.pass_at(server, first + hour * HOUR,
                                          "session"), expected)

    def test_what_a_cap_pushes_out_waits_too(self):
        server = self.retrieved_hour_by_hour()
        # the other half is for what comes
        server.settings = {**ON, "pop3_policy_max_retrieved_size": "10k"}
        # none is too new by then
        first = 2 * DAY
        self.assertEqual(self.pass_at(server, first, "session")[0], 60)
        for hour in (1, 2):
            server.deliver("alice", message(300 + hour))
            self.assertEqual(self.pass_at(server, first + hour * HOUR,
                                          "session", retr=(240 + hour,)),
                             (0, 0))
        self.assertEqual(len(self.there(server)), 242)

    def test_a_run_by_a_clock_that_was_ahead_is_not_waited_for(self):
        """It noted when to look next, for a user who has no sessions."""
        server = self.policy()
        self.fill(server, 60)
        self.session(server, retr=range(1, 61))
        self.assertEqual(self.pass_at(server, 4000 * DAY, "run"), (50, 1))
        self.assertEqual(self.pass_at(server, 15 * DAY, "run"), (10, 0))
        self.assertEqual(self.there(server), [])

    @each(format=FORMATS)
    def test_batches_of_both_kinds(self, format):
        """What clients DELEd, which is not limited, and other mail in one pass
        of several batches: as the dry run lists it."""
        server = self.policy(format=format, config=HIDE, settings={
            **ON, "pop3_policy_keep_deleted": "7 days",
            "pop3_policy_mass_delete_percent": "0"})
        self.fill(server, 1000)
        self.session(server, retr=range(1, 301), dele=range(401, 1001))
        self.move(server, "+15d")
        dry, done = [
            sorted(int(removed["uid"]) for removed in self.removals(
                self.run_now(server, "-u", "alice", *options).stderr,
                verb=verb))
            for options, verb in ((("--dry-run",), "Would be removed"),
                                  ((), "Removed"))]
        self.assertEqual(done, [*range(1, 201), *range(401, 1001)])
        self.assertEqual(dry, done)
        self.assertEqual(self.there(server), list(range(201, 401)))
