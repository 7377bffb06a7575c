# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `doveadm pop3 uidl repair`: the way out of what a login refuses.

import glob
import json
import os
import shutil

from policytest import PolicyTest
from testcase import FORMATS, each, message
from uidlformats import BY_GUID, BY_PARTS

DATAERR = 65
LINE = r"pop3-policy: .*doveadm pop3 uidl repair -u alice"
REUSE = "pop3_reuse_xuidl = yes\n"


def texts(first, last):
    return [message(number) for number in range(first, last + 1)]


class Repair(PolicyTest):
    def repair(self, server, *args, code=0):
        result = server.doveadm("-f", "json", "pop3", "uidl", "repair", "-u",
                                "alice", *args)
        self.assertEqual(result.returncode, code,
                         result.stdout + result.stderr)
        if code != 0:
            return result.stderr
        (row,) = json.loads(result.stdout)
        return row["outcome"]

    def filled(self, count=6, **options):
        server = self.dovecot(**options)
        server.deliver("alice", *texts(1, count))
        return server

    def state(self, server):
        return server.dict_get("alice", "state")

    def assert_refused_and_told(self, server, pattern=""):
        mark = server.log_mark()
        self.assert_refused(server)
        server.wait_log(LINE + pattern, after=mark)

    def test_nothing_to_do(self):
        server = self.filled()
        self.assertEqual(self.repair(server), "nothing to do")
        before = self.session(server)
        state = self.state(server)
        self.assertEqual(self.repair(server), "nothing to do")
        self.assertEqual(self.state(server), state)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_what_a_login_does_by_itself(self, format):
        server = self.filled(format=format)
        before = self.session(server)
        self.lose_indexes(server)
        state = self.state(server)
        self.assertEqual(self.repair(server, "--dry-run"),
                         "would be recovered")
        self.assertEqual(self.state(server), state)
        self.assertEqual(self.repair(server), "recovered")
        self.assertEqual(self.repair(server), "nothing to do")
        self.assertEqual(self.session(server), before)
        # the ledger is of the mailbox as it is now
        self.lose_indexes(server)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_lost_state(self, format):
        server = self.filled(format=format)
        self.session(server)
        before = self.make_exceptions(server)
        saved = server.doveadm("pop3", "uidl", "export", "-u", "alice",
                               check=True).stdout
        os.unlink(server.dict_file("alice"))
        self.assert_refused_and_told(server, " --accept-loss")
        self.assertIn("--accept-loss", self.repair(server, code=DATAERR))
        self.repair(server, "--dry-run", code=DATAERR)
        self.assertEqual(self.repair(server, "--dry-run", "--accept-loss"),
                         "would be made anew")
        self.assertEqual(self.state(server), None)
        self.assertEqual(self.repair(server, "--accept-loss"), "made anew")
        after = self.session(server)
        self.assertEqual(len(set(after.values()) | set(before.values())), 12)
        # and an export that was kept brings them back
        with open(server.path("saved"), "w", encoding="ascii") as file:
            file.write(saved)
        server.doveadm("pop3", "uidl", "import", "-u", "alice", "--force",
                       server.path("saved"), check=True)
        self.assertEqual(self.session(server), before)

    def test_older_state(self):
        server = self.filled()
        self.session(server)
        shutil.copy(server.dict_file("alice"), server.path("old"))
        before = self.make_exceptions(server)
        server.deliver("alice", *texts(7, 8))
        new = self.session(server)
        shutil.copyfile(server.path("old"), server.dict_file("alice"))
        self.assert_refused_and_told(server, " --accept-loss")
        self.repair(server, code=DATAERR)
        self.assertEqual(self.repair(server, "--accept-loss"), "accepted")
        after = self.session(server)
        # what it knows stays, what it does not know is new
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertFalse({after[7], after[8]} & set(new.values()))
        self.assertEqual(self.repair(server), "nothing to do")

    def test_vanished_mail(self):
        server = self.filled()
        self.session(server)
        shutil.rmtree(server.mail_dir("alice"))
        self.assert_refused_and_told(server)
        self.assertRegex(self.repair(server, code=DATAERR),
                         "Of 6 shown messages 0 are recognised, 6 are gone")
        self.assertEqual(self.repair(server, "--accept-loss"), "recovered")
        self.assertEqual(self.session(server), {})

    @each(format=("sdbox", "mdbox"))
    def test_index_that_is_gone(self, format):
        """The host shows an empty maildrop, without an error."""
        server = self.filled(format=format)
        before = self.session(server)
        for path in glob.glob(server.mail_dir("alice") + "/**/dovecot*index*",
                              recursive=True):
            os.unlink(path)
        self.assert_refused_and_told(server)
        self.repair(server, "--dry-run", code=DATAERR)
        self.assertEqual(self.repair(server), "recovered")
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS, config=("rule", "guid", "parts"))
    def test_after_the_plugin_was_off(self, format, config):
        server = self.filled(format=format)
        self.session(server)
        mails = texts(1, 6)
        server.plugin = False
        server.config = {"rule": "", "guid": BY_GUID,
                         "parts": BY_PARTS}[config]
        server.restart()
        self.lose_indexes(server)
        before = self.session(server)
        server.plugin = True
        server.restart()
        state = self.state(server)
        self.assertEqual(self.repair(server, "--accept-current", "--dry-run"),
                         "would be accepted")
        self.assertEqual(self.state(server), state)
        self.assertEqual(self.repair(server, "--accept-current"), "accepted")
        self.assertEqual(self.session(server), before)
        # they are pinned from now on
        self.lose_indexes(server)
        server.deliver("alice", *texts(len(mails) + 1, len(mails) + 2))
        after = self.session(server)
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertEqual(len(set(after.values())), 8)

    def test_after_the_plugin_was_off_with_x_uidl(self):
        server = self.dovecot()
        server.deliver("alice", message(1, headers="X-UIDL: old-1\n"),
                       message(2))
        self.session(server)
        server.plugin = False
        server.config = REUSE
        server.restart()
        before = self.session(server)
        self.assertEqual(before[1], "old-1")
        server.plugin = True
        server.restart()
        self.repair(server, "--accept-current", "--xuidl")
        self.assertEqual(self.session(server), before)
