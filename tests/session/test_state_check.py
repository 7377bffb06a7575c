# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `doveadm pop3 state check`: contradictions, and what is missing.

import json
import os

from test_grace import GRACE, HIDE
from test_retention import RetentionTest
from testcase import FORMATS, each


class StateCheck(RetentionTest):
    def check(self, server, code, *args):
        """Severity and finding, of each row."""
        result = server.doveadm("-f", "json", "pop3", "state", "check", "-u",
                                "alice", *args)
        self.assertEqual(result.returncode, code,
                         result.stdout + result.stderr)
        return [(row["severity"], row["finding"])
                for row in json.loads(result.stdout or "[]")]

    def one(self, server, code, severity, pattern, *args):
        (row,) = self.check(server, code, *args)
        self.assertEqual(row[0], severity)
        self.assertRegex(row[1], pattern)

    def test_all_is_well(self):
        server = self.policy()
        self.fill(server, 2)
        self.session(server, retr=(1,))
        self.assertEqual(self.check(server, 0), [])

    def test_contradictions(self):
        for settings, severity, pattern in (
                ({"pop3_policy_keep_retrieved": "1 hours"}, "warning",
                 "keep_retrieved=1 hours is shorter than .*: 1 days is in"),
                ({"pop3_policy_min_keep": "banana"}, "error", "bad value")):
            with self.subTest(settings):
                server = self.policy(settings=settings)
                # also before anybody has logged in
                self.one(server, 65, severity, pattern)
                self.session(server)
                self.one(server, 65, severity, pattern)

    def test_no_grace_where_the_host_has_none(self):
        server = self.policy(settings=GRACE)
        for config, what in (
                ("", "no pop3_deleted_flag"),
                (HIDE, None),
                (HIDE.replace("= flag", "= expunge"),
                 "pop3_delete_type was not flag"),
                ("", "no pop3_deleted_flag"),
                ("protocol pop3 {\n%s}\n" % HIDE, None),
                ("protocol pop3 {\n%s}\n" % HIDE.replace("= flag",
                                                         "= expunge"),
                 "pop3_delete_type was not flag"),
                (HIDE.replace("= flag", "= default"), None)):
            with self.subTest(config):
                server.config = config
                server.restart()
                self.session(server)
                if what is None:
                    self.assertEqual(self.check(server, 0), [])
                else:
                    self.one(server, 65, "error", "last session .*%s: .* "
                             "there is no grace" % what)

    def test_contradictions_that_are_warnings(self):
        for settings, pattern in (
                ({"pop3_policy_keep_unretrieved": "1 hours"},
                 "keep_unretrieved=1 hours is shorter than .*: 1 days is in"),
                ({"pop3_policy_keep_deleted": "2 hours",
                  "pop3_policy_removal": "yes"},
                 "keep_deleted=2 hours is shorter than .*: 1 days is in"),
                ({"pop3_policy_keep_deleted": "7 days",
                  "pop3_policy_removal": "dry-run"},
                 "keep_deleted is set, but pop3_policy_removal is not yes")):
            with self.subTest(settings):
                server = self.policy(settings=settings, config=HIDE)
                mark = server.log_mark()
                self.session(server)
                server.wait_log("Warning: pop3-policy: .*" + pattern,
                                after=mark)
                self.one(server, 65, "warning", pattern)

    def test_hidden_mail_and_the_host_without_its_flag(self):
        server = self.policy(config=HIDE, settings=GRACE)
        self.fill(server, 3)
        self.session(server, dele=(1, 2))
        self.one(server, 0, "note", "^2 messages .* hidden by POP3Deleted")
        server.config = ""
        server.settings = {"pop3_policy_removal": "yes"}
        self.move(server, "+1d")
        self.session(server)
        self.one(server, 65, "warning", "^2 messages .* listed again")

    @each(config=("", "other", "pop3 only"))
    def test_hidden_mail_and_another_flag_of_the_host(self, config):
        """Told before a session has listed them all again."""
        server = self.policy(config=HIDE, settings=GRACE)
        self.fill(server, 3)
        self.session(server, dele=(1, 2))
        server.config = {
            "": "", "other": HIDE.replace("POP3Deleted", "Other"),
            "pop3 only": "protocol pop3 {\n%s}\n" % HIDE}[config]
        self.move(server, "+1d")
        self.one(server, 65, "warning", "^2 messages .* hidden by "
                 "POP3Deleted, but pop3_deleted_flag is %s: if it is not set "
                 "in protocol pop3" % ("Other" if config == "other" else
                                       "not set"))
        # nobody can tell from doveadm what is so
        self.assertEqual(len(self.session(server)),
                         1 if config == "pop3 only" else 3)

    def test_clock(self):
        server = self.policy()
        self.fill(server, 1)
        self.move(server, "+5d")
        self.session(server, retr=(1,))
        self.move(server, "+0")
        self.one(server, 65, "warning", "The clock is behind")

    @each(format=FORMATS)
    def test_missing_witness_is_written(self, format):
        server = self.policy(format=format)
        self.fill(server, 1)
        self.session(server)
        path = os.path.join(server.inbox_dirs("alice")[0],
                            "dovecot-pop3-policy")
        with open(path, "rb") as file:
            before = file.read()
        os.unlink(path)
        self.one(server, 65, "warning", "witness .* missing", "--dry-run")
        self.one(server, 65, "warning", "witness .* missing", "--dry-run")
        self.one(server, 0, "note", "witness .*: written$")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertEqual(self.check(server, 0), [])
        self.assertEqual(len(self.session(server)), 1)

    @each(format=FORMATS)
    def test_another_mailbox(self, format):
        server = self.policy(format=format)
        self.fill(server, 2)
        self.session(server)
        server.set_time("+1d")
        server.remove_indexes("alice")
        self.one(server, 65, "warning", "not the mailbox")
