# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The guard: where too much of what was shown would change or vanish the login
# is refused, with one line and its events, and nothing is lost by that. The
# counts are plugin/core's (test-login), a lost state test_failure's.

import glob
import json
import os
import shutil

from policytest import PolicyTest
from testcase import FORMATS, each, message, wait_for

LOG = {"pop3_policy_uidl_guard": "log"}
REMOVAL = {"pop3_policy_removal": "yes",
           "pop3_policy_keep_unretrieved": "1d"}
METRICS = "".join(
    "metric %s {\n  filter = event=%s%s\n}\n" % metric for metric in (
        ("guarded", "pop3_policy_uidl_guard", " and refused=yes"),
        ("all_lost", "pop3_policy_uidl_guard",
         " and shown=6 and recognised=0 and lost=6"),
        ("logged", "pop3_policy_uidl_guard", " and refused=no"),
        ("refused", "pop3_policy_login_refused", ""),
        # each session's last one
        ("finished", "pop3_policy_session_finished", "")))


class Guard(PolicyTest):
    def filled(self, format, count=6, settings=REMOVAL):
        server = self.dovecot(format=format, config=METRICS,
                              settings=dict(settings), faketime=True)
        server.deliver("alice", *map(message, range(1, count + 1)))
        return server, self.session(server)

    def events(self, server):
        dump = server.doveadm("-f", "json", "stats", "dump", check=True)
        return {row["metric_name"]: int(row["count"])
                for row in json.loads(dump.stdout)}

    def wait_events(self, server, **expected):
        wait_for(lambda: expected.items() <= self.events(server).items(),
                 "events: %s" % expected)

    def stored(self, server):
        return [server.dict_get("alice", key)
                for key in ("state", "ledger/0")]

    def away(self, server):
        """As on a disk that is not mounted."""
        os.rename(server.mail_dir("alice"), server.path("away"))

    def back(self, server):
        shutil.rmtree(server.mail_dir("alice"), ignore_errors=True)
        os.rename(server.path("away"), server.mail_dir("alice"))

    def assert_guarded(self, server, text, user="alice", also=()):
        """Refused, again and again, and nothing is stored or removed. also:
        events that are raised each time, too."""
        before = self.stored(server)
        server.set_time("+9d")
        for number in (1, 2):
            mark = server.log_mark()
            self.assert_refused(server, user)
            server.wait_log("Error: pop3-policy: .*" + text, after=mark)
            self.assertEqual(server.log(mark).count("Error: "), 1)
            self.wait_events(server, guarded=number, refused=number, logged=0,
                             **dict.fromkeys(also, number))
        self.assertEqual(self.stored(server), before)
        server.set_time("+0")
        # processes that saw time go back would wait for it
        server.restart()

    @each(format=FORMATS)
    def test_mailbox_that_is_away(self, format):
        server, before = self.filled(format)
        self.away(server)
        self.assert_guarded(server, "of 6 shown messages 0 are recognised",
                            also=("all_lost",))
        self.back(server)
        self.assertEqual(self.session(server), before)

    @each(format=("sdbox", "mdbox"))
    def test_dbox_without_its_index(self, format):
        """It is empty, without any error of the host's."""
        server, before = self.filled(format)
        for path in glob.glob(server.inbox_dirs("alice")[0] +
                              "/dovecot.index*"):
            os.unlink(path)
        self.assert_guarded(server, "doveadm pop3 uidl repair -u alice;")
        # the host's own resync is its first step
        server.doveadm("pop3", "uidl", "repair", "-u", "alice", check=True)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_storm(self, format):
        """All of it is there, and nothing can be recognised."""
        server, before = self.filled(format)
        self.away(server)
        server.deliver("alice", *map(message, range(1, 7)))
        self.assert_guarded(server, "of 6 shown messages 0 are recognised")
        self.assertEqual(self.mails(server), 6)
        self.back(server)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_half_of_them_is_too_much(self, format):
        """Only from 1 to 10 on were headers noted."""
        server, before = self.filled(format, count=10)
        before = self.session(server, *["RETR %d" % number
                                        for number in range(1, 6)], "NOOP")
        self.away(server)
        server.deliver("alice", *map(message, range(1, 11)))
        self.assert_guarded(server, "of 10 shown messages 5 are recognised")
        self.back(server)
        self.assertEqual(self.session(server, "RETR 6", "NOOP"), before)
        self.away(server)
        server.deliver("alice", *map(message, range(1, 11)))
        after = self.session(server)
        self.assertEqual({n: after[n] for n in range(1, 7)},
                         {n: before[n] for n in range(1, 7)})
        self.assertFalse({after[n] for n in range(7, 11)} &
                         set(before.values()))

    @each(format=FORMATS)
    def test_few_messages_are_no_reason(self, format):
        server, before = self.filled(format, count=4)
        self.away(server)
        server.deliver("alice", *map(message, range(1, 5)))
        self.assertFalse(set(self.session(server).values()) &
                         set(before.values()))
        self.wait_events(server, finished=2)
        self.assertEqual(self.events(server)["guarded"], 0)

    @each(format=FORMATS, settings=("refuse", "log"))
    def test_empty_mailbox_leaves_the_state(self, format, settings):
        """Too few for the guard, or it only logs."""
        server, before = self.filled(
            format, *((4, REMOVAL) if settings == "refuse" else (6, LOG)))
        self.away(server)
        stored = self.stored(server)
        for number in (1, 2):
            mark = server.log_mark()
            self.assertEqual(self.session(server), {})
            server.wait_log("Warning: pop3-policy: The mailbox is another one",
                            after=mark)
            self.assertEqual(server.log(mark).count("Warning: "), 1)
            self.assertEqual(self.stored(server), stored)
            self.wait_events(server, finished=1 + number)
        refused = server.doveadm("pop3", "uidl", "repair", "-u", "alice")
        self.assertEqual(refused.returncode, os.EX_DATAERR)
        self.back(server)
        mark = server.log_mark()
        self.assertEqual(self.session(server), before)
        self.assertNotIn("Warning: ", server.log(mark))
        self.wait_events(server, finished=4)
        usage = json.loads(server.doveadm("-f", "json", "pop3", "usage",
                                          "show", "-u", "alice",
                                          check=True).stdout)
        self.assertEqual(int(usage[0]["sessions"]), 4)

    @each(format=FORMATS)
    def test_empty_mailbox_is_accepted(self, format):
        server, before = self.filled(format, count=4)
        self.away(server)
        self.session(server)
        server.doveadm("pop3", "uidl", "repair", "-u", "alice",
                       "--accept-loss", check=True)
        mark = server.log_mark()
        self.assertEqual(self.session(server), {})
        self.assertNotIn("Warning: ", server.log(mark))
        server.deliver("alice", message(5))
        self.assertFalse(set(self.session(server).values()) &
                         set(before.values()))

    @each(format=("sdbox", "mdbox"))
    def test_small_dbox_without_its_index(self, format):
        server, before = self.filled(format, count=2)
        for path in glob.glob(server.inbox_dirs("alice")[0] +
                              "/dovecot.index*"):
            os.unlink(path)
        self.assertEqual(self.session(server), {})
        server.doveadm("pop3", "uidl", "repair", "-u", "alice", check=True)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_log_goes_on(self, format):
        server, before = self.filled(format, settings=LOG)
        self.away(server)
        server.deliver("alice", message(7))
        mark = server.log_mark()
        now = self.session(server)
        self.assertFalse(set(now.values()) & set(before.values()))
        server.wait_log("Warning: pop3-policy: .*of 6 shown messages 0 are "
                        "recognised.*is log$", after=mark)
        self.assertEqual(server.log(mark).count("Warning: "), 1)
        self.wait_events(server, logged=1, guarded=0, refused=0)
        # that is the mailbox now
        mark = server.log_mark()
        self.assertEqual(self.session(server), now)
        self.assertNotIn("Warning: ", server.log(mark))

    @each(settings=("refuse", "log"), format=FORMATS)
    def test_state_that_is_lost_or_older(self, settings, format):
        server, before = self.filled(format, settings=REMOVAL
                                     if settings == "refuse" else LOG)
        shutil.copy(server.dict_file("alice"), server.path("older"))
        self.make_exceptions(server)
        number = 0
        for damage in ("older", "lost"):
            if damage == "older":
                shutil.copyfile(server.path("older"),
                                server.dict_file("alice"))
            else:
                os.unlink(server.dict_file("alice"))
            number += 1
            if settings == "refuse":
                self.assert_refused(server)
                self.wait_events(server, guarded=number, refused=number)
                continue
            server.deliver("alice", message(10 + number))
            now = self.session(server)
            self.assertEqual(len(set(now.values())), 6 + number)
            self.wait_events(server, logged=number, refused=0)
            self.assertEqual(self.session(server), now)

    @each(format=FORMATS)
    def test_older_state_removes_nothing(self, format):
        """Its facts may be about other mail."""
        server, _ = self.filled(format)
        shutil.copy(server.dict_file("alice"), server.path("older"))
        uidvalidity = self.uidvalidity(server)
        for value in (1234567890, uidvalidity):
            self.set_uidvalidity(server, value)
            self.session(server)
        shutil.copyfile(server.path("older"), server.dict_file("alice"))
        server.set_time("+9d")
        for args in (("run", "--force"), ("run",), ("explain",)):
            ran = server.doveadm("pop3", "retention", *args, "-u", "alice")
            self.assertNotEqual(ran.returncode, 0)
            self.assertIn("The dict is an older copy", ran.stderr)
        self.assertEqual(self.mails(server), 6)
        self.assert_refused(server)

    def test_older_state_of_another_mailbox_gives_no_uidl_again(self):
        """What the lost state showed is known by the witness alone."""
        server, before = self.filled("maildir", settings=LOG)
        shutil.copy(server.dict_file("alice"), server.path("older"))
        self.set_uidvalidity(server, 1234567890)
        server.deliver("alice", message(7))
        shown = self.session(server)
        self.assertEqual({n: shown[n] for n in before}, before)
        server.doveadm("expunge", "-u", "alice", "mailbox", "INBOX", "uid",
                       "1", check=True)
        server.deliver("alice", message(8))
        server.remove_indexes("alice")
        self.set_uidvalidity(server, 1234567891)
        shutil.copyfile(server.path("older"), server.dict_file("alice"))
        now = self.session(server)
        # UIDs of theirs and UIDLs without the newer state
        self.assertEqual([now[n] for n in range(1, 6)],
                         [before[n] for n in range(2, 7)])
        self.assertFalse({now[6], now[7]} & set(shown.values()))
        self.assertEqual(self.session(server), now)

    def uidvalidity(self, server):
        status = server.doveadm("mailbox", "status", "-u", "alice",
                                "uidvalidity", "INBOX", check=True)
        return int(status.stdout.strip().rpartition("=")[2])

    def set_uidvalidity(self, server, value):
        server.doveadm("mailbox", "update", "--uid-validity", str(value),
                       "-u", "alice", "INBOX", check=True)

    @each(format=FORMATS)
    def test_lost_state_that_cannot_be_made_anew(self, format):
        """The host's own UIDLs are not what was shown."""
        server, _ = self.filled(format, settings=LOG)
        self.make_exceptions(server)
        os.unlink(server.dict_file("alice"))
        os.chmod(server.path("dict"), 0o555)
        mark = server.log_mark()
        self.assert_refused(server)
        server.wait_log("Login refused: The dict had lost the state",
                        after=mark)
        os.chmod(server.path("dict"), 0o777)
        self.assertEqual(len(self.session(server)), 6)

    def test_lost_state_takes_no_x_uidl(self):
        """Mail may have come whose sender chose another one's UIDL."""
        server, before = self.filled("maildir", settings=LOG)
        server.config += "\npop3_reuse_xuidl = yes\n"
        server.restart()
        self.make_exceptions(server)
        server.doveadm("expunge", "-u", "alice", "mailbox", "INBOX", "uid",
                       "1", check=True)
        server.deliver("alice", message(11,
                                        headers="X-UIDL: %s\n" % before[1]))
        os.unlink(server.dict_file("alice"))
        self.assertNotIn(before[1], self.session(server).values())
        self.wait_events(server, logged=1)

    @each(format=FORMATS)
    def test_mailbox_that_cannot_be_compared_is_no_guard(self, format):
        """The user deleted all of it by another client."""
        server, _ = self.filled(format)
        server.doveadm("expunge", "-u", "alice", "mailbox", "INBOX", "all",
                       check=True)
        self.assertEqual(self.session(server), {})
        self.wait_events(server, finished=2)
        self.assertEqual(self.events(server)["guarded"], 0)
