# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Removal that cannot do its work: a full disk, a mailbox that is read-only, a
# lock that is lost, time that is up. Nothing is done by half, it is told once,
# and tried again.

import json
import os
import re
import subprocess
import threading

from fakedict import ANSWER, COMMIT, FakeDict
from test_retention import LAST, ON, RetentionTest
from testcase import FORMATS, each, wait_for

COUNT = 30
RETRIEVED = range(1, 21)
LATER = {**ON, "pop3_policy_removal_limit_percent": "100"}
# without the time: a session, or a run, and what it says
ERRORS = re.compile(r"((?:pop3|run \d: doveadm)\(alice\).*Error: pop3-policy: "
                    r"(?!usage not).*)$", re.MULTILINE)
BY = ("session", "run")
# what a removal at close may take, and a little more
BUDGET_SECS = 2.1


class RemovalFails(RetentionTest):
    def maildrop(self, format, small=None):
        """SMALL: the directory that is a disk of its own."""
        server = self.policy(format=format, settings=LATER)
        if small is not None:
            self.mount(server, server.path(small))
        self.fill(server, COUNT)
        self.session(server, retr=RETRIEVED)
        # the last one of each log has all that it needs, too
        server.pop3(LAST).quit()
        return server

    def mount(self, server, path):
        server.stop()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=1777",
                        "pop3-policy-test", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=True)
        server.start()

    def fill_up(self, path):
        with open(os.path.join(path, "filler"), "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(b"x" * 4096)

    def pass_over(self, server, mark, by="session"):
        """Two sessions, or runs, at this time: all that they logged."""
        if by == "run":
            texts = [server.doveadm("pop3", "retention", "run", "-u",
                                    "alice").stderr for _ in range(2)]
            return "".join(text.replace("doveadm(", "run %d: doveadm(" % number)
                           for number, text in enumerate(texts))
        self.session(server)
        self.session(server)
        return self.log_of_sessions(server, mark)

    def assert_each_once(self, server, texts):
        """What is told is what is gone, once, whichever pass it was."""
        told = [int(f["uid"]) for text in texts for f in self.removals(text)]
        self.assertEqual(sorted(told), list(RETRIEVED))
        self.assertEqual(self.there(server),
                         list(range(len(RETRIEVED) + 1, COUNT + 1)))

    def assert_told_once(self, text):
        """By a session; that removal stopped by one of a day."""
        errors = ERRORS.findall(text)
        self.assertEqual(len(errors), len(set(errors)), text)
        self.assertLess(text.count("Removal stopped"), 2, text)
        self.assertLess(text.count("messages stay"), 2, text)

    # (an mdbox that the host could not finish comes back when it is repaired)
    @each(format=("maildir", "sdbox"), by=BY)
    def test_disk_of_the_mail_is_full(self, format, by):
        server = self.maildrop(format, "home")
        mark = self.move(server, "+15d")
        self.fill_up(server.path("home"))
        texts = [self.pass_over(server, mark, by)]
        self.assert_told_once(texts[0])
        told = {int(f["uid"]) for f in self.removals(texts[0])}
        os.unlink(server.path("home/filler"))
        self.assertEqual(set(range(1, COUNT + 1)) - set(self.there(server)),
                         told)
        mark = self.move(server, "+17d")
        texts.append(self.pass_over(server, mark, by))
        self.assert_each_once(server, texts)

    @each(by=BY)
    def test_disk_of_the_state_is_full(self, by):
        """What is gone is told, and its numbers are in the log."""
        server = self.maildrop("maildir", "dict")
        mark = self.move(server, "+15d")
        self.fill_up(server.path("dict"))
        text = self.pass_over(server, mark, by)
        self.assert_told_once(text)
        gone = len(self.removals(text))
        counted = re.findall(r"usage not stored.* removed_count=(\d+)", text)
        self.assertEqual(sum(map(int, counted)), gone)
        os.unlink(server.path("dict/filler"))
        mark = self.move(server, "+17d")
        self.assert_each_once(server,
                              [text, self.pass_over(server, mark, by)])
        self.assertEqual(self.counted(server, "removed_count"),
                         len(RETRIEVED) - gone)

    def mail_dirs(self, server):
        """Where taking a message away needs to write."""
        base = server.mail_dir("alice")
        return {"maildir": [base, base + "/cur", base + "/new"],
                "sdbox": server.inbox_dirs("alice"),
                "mdbox": [base + "/storage"]}[server.format]

    @each(format=FORMATS, by=BY)
    def test_mailbox_is_read_only(self, format, by):
        server = self.maildrop(format)
        mark = self.move(server, "+15d")
        for path in self.mail_dirs(server):
            os.chown(path, 0, 0)
            os.chmod(path, 0o555)
        text = self.pass_over(server, mark, by)
        self.assert_told_once(text)
        if format == "maildir":
            self.assertIn("INBOX is read-only, 20 messages stay", text)
            self.assertEqual(self.removals(text), [])
        for path in self.mail_dirs(server):
            os.chmod(path, 0o777)
        mark = self.move(server, "+17d")
        self.assert_each_once(server,
                              [text, self.pass_over(server, mark, by)])
        # a file that could not be removed is by now
        server.doveadm("purge", "-u", "alice", check=True)

    @each(format=FORMATS, by=BY)
    def test_lock_is_lost(self, format, by):
        """Its file is another one: whoever holds the old one holds nothing."""
        server = self.maildrop(format)
        mark = self.move(server, "+15d")
        path = server.inbox_dirs("alice")[0] + "/dovecot-pop3-policy.look"
        texts = []
        with server.pop3("alice") as looks:
            os.unlink(path)
            if by == "run":
                texts.append(self.pass_over(server, mark, by))
            else:
                self.session_beside(server)
            looks.quit()
        server.wait_no_process("pop3")
        self.session(server)
        texts.append(self.log_of_sessions(server, mark))
        self.assert_told_once("".join(texts))
        self.assert_each_once(server, texts)

    def session_beside(self, server):
        with server.pop3("alice") as client:
            client.uidls()
            client.quit()
        wait_for(lambda: len(server.processes("pop3")) == 1, "one session")


class TimeIsUp(RetentionTest):
    """The dict takes longer for a commit than a removal at close may last: no
    pass has time for more than its first batch."""
    batches = (range(1, 501), range(501, 1001), range(1001, 1201))

    def slow_removal(self, operation, user, keys):
        # what a session itself stores beforehand is not slow
        if user == "alice" and operation == COMMIT:
            self.commits += 1
            if self.commits == 2:
                threading.Event().wait(BUDGET_SECS)
        return ANSWER

    @each(format=FORMATS)
    def test_removal_stops_and_goes_on_a_day_later(self, format):
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        server = self.policy(format=format, dict=fake.setting, settings={
            **LATER, "pop3_policy_dict_timeout": "60s"})
        self.fill(server, 1200)
        self.session(server, retr=range(1, 1201))
        gone = 0
        for day, batch in enumerate(self.batches):
            mark = self.move(server, "+%dd" % (15 + 2 * day))
            self.commits = 0
            fake.rule = self.slow_removal
            self.session(server)
            fake.rule = lambda *_: ANSWER
            # and no other one of that day goes on
            self.session(server)
            text = self.log_of_sessions(server, mark)
            self.assertEqual([int(f["uid"]) for f in self.removals(text)],
                             list(batch))
            gone += len(batch)
            self.assertEqual(re.findall(
                r"(\d+) more messages are due, and wait for a pass a day "
                r"later \(time was up", text),
                [str(1200 - gone)] if gone < 1200 else [])
            self.assertEqual(self.there(server), list(range(gone + 1, 1201)))
            self.assertEqual(self.counted(server, "removed_count"), gone)
            self.assertEqual(self.actions(server), {"waits"} if gone < 1200
                             else set())

    @staticmethod
    def actions(server):
        rows = server.doveadm("-f", "json", "pop3", "retention", "explain",
                              "-u", "alice", check=True).stdout
        return {row["action"] for row in json.loads(rows or "[]")}
