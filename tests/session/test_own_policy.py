# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `doveadm pop3 policy`: what a user's own policy does, and what is above it.

import json

from test_retention import ON, RetentionTest
from testcase import each


class OwnPolicy(RetentionTest):
    def rows(self, server, command, *args, user="alice"):
        result = server.doveadm("-f", "json", "pop3", "policy", command,
                                "-u", user, *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return {row["name"]: (row["value"], row["in_force"])
                for row in json.loads(result.stdout or "[]")}

    def test_set_get_unset(self):
        server = self.policy()
        self.session(server)
        self.assertEqual(self.rows(server, "get"), {})
        one = {"keep_retrieved": ("30 days", "yes")}
        self.assertEqual(self.rows(server, "set", "keep_retrieved=30 days"),
                         one)
        self.assertEqual(self.rows(server, "get"), one)
        two = {"keep_retrieved": ("40 days", "yes"),
               "protect": ("\\Flagged Keep", "yes")}
        self.assertEqual(self.rows(
            server, "set", "protect=\\Flagged Keep",
            "keep_retrieved=40 days"), two)
        # a session leaves it alone
        self.fill(server, 1)
        self.session(server, retr=(1,))
        self.assertEqual(self.rows(server, "get"), two)
        del two["keep_retrieved"]
        self.assertEqual(self.rows(server, "unset", "keep_retrieved"), two)
        self.assertEqual(self.rows(server, "unset", "--all"), {})
        self.assertNotIn("policy=", server.dict_get("alice", "state"))

    @each(by=("session", "run"))
    def test_it_rules_and_userdb_wins(self, by):
        # user: the own keep_retrieved, and when the message goes
        users = {"longer": {}, "shorter": {}, "same": {},
                 "wins": {"pop3_policy_keep_retrieved": "14d"}, "off": {}}
        own = {"longer": "keep_retrieved=30 days",
               "shorter": "keep_retrieved=7 days",
               "wins": "keep_retrieved=7 days", "off": "removal=no"}
        goes = {"+8d": ["shorter"], "+15d": ["same", "wins"],
                "+31d": ["longer"], "+99d": []}
        server = self.policy(users=dict(users))
        for user in users:
            self.fill(server, 1, user)
            self.session(server, user, retr=(1,))
            if user in own:
                rows = self.rows(server, "set", own[user], user=user)
                name = own[user].split("=")[0]
                self.assertEqual(rows[name][1] == "yes", user != "wins")
        for when, expected in goes.items():
            mark = self.move(server, when)
            if by == "run":
                text = self.run_now(server, "-A").stderr
            else:
                for user in users:
                    self.session(server, user)
                text = self.log_of_sessions(server, mark)
            gone = [user for user in users if self.removals(text, user)]
            self.assertEqual(sorted(gone), expected, when)

    def test_it_can_be_all_the_policy_there_is(self):
        server = self.policy(settings={})
        self.fill(server, 1)
        self.session(server, retr=(1,))
        self.rows(server, "set", "removal=yes", "keep_retrieved=7 days")
        explained = json.loads(server.doveadm(
            "-f", "json", "pop3", "retention", "explain", "-u",
            "alice").stdout)
        self.assertEqual(explained[0]["rule"], "keep_retrieved")
        self.move(server, "+8d")
        result = self.run_now(server, "-u", "alice")
        self.assertEqual(len(self.removals(result.stderr)), 1)

    def test_bad_values_are_refused(self):
        server = self.policy(settings=ON)
        self.session(server)
        for setting in ("keep_retrieved=banana", "keep_retrieved", "x=1",
                        "uidl=host", "protect=\\Nonsense", "min_keep=1 h;",
                        "pop3_policy_min_keep=1 h"):
            with self.subTest(setting):
                result = server.doveadm("pop3", "policy", "set", "-u",
                                        "alice", setting)
                self.assertEqual(result.returncode, 64, result.stderr)
        self.assertEqual(self.rows(server, "get"), {})
        for command in ("set", "unset"):
            result = server.doveadm("pop3", "policy", command, "-u", "alice")
            self.assertEqual(result.returncode, 64, result.stderr)

    def test_bad_configuration_stays_the_stronger_one(self):
        server = self.policy(settings={**ON, "pop3_policy_min_keep": "x"})
        self.fill(server, 1)
        self.session(server, retr=(1,))
        self.rows(server, "set", "removal=yes")
        mark = self.move(server, "+99d")
        self.session(server)
        self.assertEqual(self.removed(server, mark), [])

    def test_without_state_there_is_no_place_for_it(self):
        server = self.policy()
        self.fill(server, 1)
        result = server.doveadm("pop3", "policy", "set", "-u", "alice",
                                "keep_retrieved=1 days")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("first POP3 login", result.stderr)
