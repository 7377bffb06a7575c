# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a session writes: each commit is a round trip, each key a row.

import glob
import os
import re

from fakedict import ANSWER, COMMIT, LOOKUP
from policytest import PolicyTest
from testcase import FORMATS, each, message
from uidlformats import BY_GUID

REMOVAL = {"pop3_policy_removal": "yes", "pop3_policy_keep_retrieved": "1d",
           "pop3_policy_dict_timeout": "10s"}
POLICIES = {"pin": {}, "guid": {"pop3_policy_uidl": "guid"},
            "by format": {}}


class Commits(PolicyTest):
    def start(self, policy, **options):
        """Ten messages, and a session that downloaded them."""
        server, fake = self.faked(
            messages=10, faketime="2031-03-10T12:00:00",
            settings={**REMOVAL, **POLICIES[policy]},
            config=BY_GUID if policy == "by format" else "", **options)
        self.download(server, 1)
        return server, fake

    def download(self, server, first):
        self.session(server, *["RETR %d" % number for number in
                               range(first, first + 10)], "NOOP")

    def commits(self, fake):
        """The keys of each commit since the last call."""
        found = [keys for operation, _, keys in fake.seen
                 if operation == COMMIT]
        fake.seen.clear()
        return found

    def deliver_ten(self, server):
        server.deliver("alice", *map(message, range(101, 111)))

    @each(format=FORMATS, policy=tuple(POLICIES))
    def test_session_with_ten_new_messages(self, format, policy):
        server, fake = self.start(policy, format=format)
        self.deliver_ten(server)
        self.commits(fake)
        self.download(server, 11)
        commits = self.commits(fake)
        self.assertLessEqual(len(commits), 2, commits)
        self.assertLessEqual(max(map(len, commits)), 3, commits)

    @each(policy=tuple(POLICIES))
    def test_session_with_ten_new_messages_that_removes_some(self, policy):
        server, fake = self.start(policy)
        server.set_moment("2031-04-19T12:00:00")
        self.deliver_ten(server)
        self.commits(fake)
        self.download(server, 11)
        commits = self.commits(fake)
        self.assertEqual(self.mails(server), 10)
        self.assertLessEqual(len(commits), 3, commits)
        # the day and the month that ended are filed
        sizes = sorted(map(len, commits))
        self.assertLessEqual(sizes[-1], 5, commits)
        self.assertLessEqual(sizes[-2], 3, commits)

    def test_session_without_new_mail(self):
        server, fake = self.start("pin")
        self.commits(fake)
        self.session(server)
        self.assertEqual(self.commits(fake), [["usage/now"]])

    def test_the_first_session_of_a_day_looks_up_as_others(self):
        server, fake = self.faked(messages=3,
                                  faketime="2031-03-10T12:00:00")
        self.session(server)
        looks = []
        for day in ("10", "11"):
            server.set_moment("2031-03-%sT13:00:00" % day)
            fake.seen.clear()
            self.session(server)
            looks.append([keys for operation, _, keys in fake.seen
                          if operation == LOOKUP])
        self.assertEqual(looks[0], looks[1])
        self.assertEqual(looks[0], [["state"], ["usage/now"]])
        self.assertEqual(self.commits(fake),
                         [["usage/2031-03-10", "usage/now"]])

    def test_chunks_that_another_session_stores_meanwhile(self):
        """Between a login's look at the state and at them."""
        server, fake = self.faked(
            messages=200, settings={"pop3_policy_uidl": "guid"},
            config=BY_GUID)
        self.session(server)
        before = dict(fake.values)
        server.deliver("alice", message(2000))
        uidls = self.session(server)
        after = dict(fake.values)
        self.assertNotEqual(before["alice", "uidl/0"],
                            after["alice", "uidl/0"])

        def rule(operation, _user, keys):
            if operation == LOOKUP and keys == ["uidl/0"]:
                fake.values.update(after)
            return ANSWER
        fake.values.update(before)
        fake.rule = rule
        self.assertEqual(self.session(server), uidls)

    def test_a_chunk_of_uidls_that_is_stored_is_not_written_again(self):
        server, fake = self.faked(
            messages=1500, settings={"pop3_policy_uidl": "guid"},
            config=BY_GUID)
        before = self.session(server)
        chunks = [key for _, key in fake.values if key.startswith("uidl/")]
        self.assertGreater(len(chunks), 1)
        self.commits(fake)
        self.session(server, "RETR 1")
        self.assertEqual([key for keys in self.commits(fake) for key in keys
                          if key != "ledger/0"], ["state", "usage/now"])
        server.deliver("alice", message(2000))
        after = self.session(server)
        self.assertEqual(
            {key for keys in self.commits(fake) for key in keys
             if key.startswith("uidl/")}, {"uidl/%d" % (len(chunks) - 1)})
        self.assertEqual(len(after), 1501)
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertEqual(self.session(server), after)


class HostCache(PolicyTest):
    @each(format=FORMATS)
    def test_no_guids_for_the_ledger(self, format):
        """They would be a record more for each message. But that of the one
        which the next login looks at spares it to open a file."""
        server = self.dovecot(format=format)
        server.deliver("alice", *map(message, range(1, 11)))
        self.session(server)
        server.wait_no_process("pop3")
        inbox = "" if format == "maildir" else "/**/INBOX"
        (path,) = glob.glob("%s%s/**/dovecot.index.log" % (
            server.mail_dir("alice"), inbox), recursive=True)
        dump = server.doveadm("dump", "-t", "index", os.path.dirname(path),
                              check=True).stdout
        self.assertEqual(len(re.findall("^RECORD: ", dump, re.MULTILINE)), 10)
        self.assertEqual(re.findall("- guid: |^RECORD: seq=10", dump,
                                    re.MULTILINE),
                         ["RECORD: seq=10"] + ["- guid: "] *
                         (format != "maildir"), dump)
