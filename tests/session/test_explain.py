# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What is said of messages before: by explain, as a table and as JSON, and by
# a dry run, is what the next run does.

import json

from test_grace import HIDE
from test_retention import RetentionTest
from testcase import FORMATS, each

MANY = {"pop3_policy_removal": "yes",
        "pop3_policy_keep_retrieved": "14 days",
        "pop3_policy_keep_unretrieved": "12 days",
        "pop3_policy_keep_deleted": "7 days",
        "pop3_policy_max_retrieved_messages": "70"}
SAME = ("uidl", "uid", "size", "rule", "first_seen", "retrieved", "deleted")


class Explain(RetentionTest):
    def explained(self, server, *options):
        return server.doveadm(*options, "pop3", "retention", "explain", "-u",
                              "alice", check=True).stdout

    def rows(self, server):
        return json.loads(self.explained(server, "-f", "json"))

    def going(self, server):
        return [row for row in self.rows(server)
                if row["action"] == "goes now"]

    def dry_run(self, server):
        result = self.run_now(server, "-u", "alice", "--dry-run")
        return self.removals(result.stderr, verb="Would be removed")

    def assert_same(self, going, listed, done):
        for other in listed, done:
            self.assertEqual(
                [[str(row[name]) for name in SAME] for row in going],
                [[row[name] for name in SAME] for row in other])

    @each(format=FORMATS)
    def test_next_run_does_what_was_said(self, format):
        server = self.policy(format=format, config=HIDE, settings=MANY)
        self.fill(server, 120)
        self.session(server, retr=range(1, 91), dele=(5, 6, 100))
        self.flag(server, "alice", 7, "\\Flagged")
        rules = set()
        for when in ("+12h", "+2d", "+8d", "+13d", "+15d", "+17d", "+19d"):
            with self.subTest(when):
                self.move(server, when)
                going = self.going(server)
                listed = self.dry_run(server)
                there = self.there(server)
                done = self.removals(self.run_now(server, "-u",
                                                  "alice").stderr)
                self.assert_same(going, listed, done)
                self.assertEqual(self.there(server), [
                    uid for uid in there
                    if str(uid) not in {row["uid"] for row in done}])
                rules |= {row["rule"] for row in done}
                # and until the next pass nothing goes, nor is said to
                self.assertEqual(self.going(server), [])
                self.assertEqual(self.dry_run(server), [])
        self.assertEqual(rules, {"keep_retrieved", "keep_unretrieved",
                                 "keep_deleted", "max_retrieved_messages"})
        self.assertEqual(self.there(server), [7])

    def test_table_says_the_same(self):
        server = self.policy(config=HIDE, settings=MANY)
        self.fill(server, 4)
        self.session(server, retr=(1, 2), dele=(2,))
        self.flag(server, "alice", 3, "\\Flagged")
        self.move(server, "+8d")
        rows = self.rows(server)
        self.assertEqual(
            [(row["action"], row["rule"]) for row in rows],
            [("goes later", "keep_retrieved"), ("goes now", "keep_deleted"),
             ("stays", "protected"), ("goes later", "keep_unretrieved")])
        for row in rows[:2]:
            self.assertRegex(row["due"], r"^2\d{3}-\d\d-\d\dT[\d:]{8}Z$")
        self.assertEqual(rows[2]["due"], "never")
        head, *lines = self.explained(server, "-f", "table").splitlines()
        self.assertEqual(head.split(), "UID UIDL Size First seen Retrieved "
                         "Deleted Action When Rule".split())
        self.assertEqual([line.split() for line in lines],
                         [" ".join(map(str, row.values())).split()
                          for row in rows])
