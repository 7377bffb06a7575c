# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Removal that cannot do its work: a full disk, a mailbox that is read-only, a
# lock that is lost. Nothing is done by half, it is told once, and tried again.

import os
import re
import subprocess

from test_retention import LAST, ON, RetentionTest
from testcase import FORMATS, each, wait_for

COUNT = 30
RETRIEVED = range(1, 21)
LATER = {**ON, "pop3_policy_removal_limit_percent": "100"}
# without the time: a session and what it says
ERRORS = re.compile(r"(pop3\(alice\).*Error: pop3-policy: (?!usage not).*)$",
                    re.MULTILINE)


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

    def pass_over(self, server, mark):
        """Two sessions at this time: all that they logged."""
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

    # (an mdbox that the host could not finish comes back when it is repaired)
    @each(format=("maildir", "sdbox"), by=("session", "run"))
    def test_disk_of_the_mail_is_full(self, format, by):
        server = self.maildrop(format, "home")
        mark = self.move(server, "+15d")
        self.fill_up(server.path("home"))
        if by == "run":
            texts = [server.doveadm("pop3", "retention", "run", "-u",
                                    "alice").stderr]
        else:
            texts = [self.pass_over(server, mark)]
        self.assert_told_once(texts[0])
        told = {int(f["uid"]) for f in self.removals(texts[0])}
        os.unlink(server.path("home/filler"))
        self.assertEqual(set(range(1, COUNT + 1)) - set(self.there(server)),
                         told)
        mark = self.move(server, "+17d")
        texts.append(self.pass_over(server, mark))
        self.assert_each_once(server, texts)

    def test_disk_of_the_state_is_full(self):
        """What is gone is told, and its numbers are in the log."""
        server = self.maildrop("maildir", "dict")
        mark = self.move(server, "+15d")
        self.fill_up(server.path("dict"))
        text = self.pass_over(server, mark)
        self.assert_told_once(text)
        gone = len(self.removals(text))
        counted = re.findall(r"usage not stored.* removed_count=(\d+)", text)
        self.assertEqual(sum(map(int, counted)), gone)
        os.unlink(server.path("dict/filler"))
        mark = self.move(server, "+17d")
        self.assert_each_once(server, [text, self.pass_over(server, mark)])
        self.assertEqual(self.counted(server, "removed_count"),
                         len(RETRIEVED) - gone)

    def mail_dirs(self, server):
        """Where taking a message away needs to write."""
        base = server.mail_dir("alice")
        return {"maildir": [base, base + "/cur", base + "/new"],
                "sdbox": server.inbox_dirs("alice"),
                "mdbox": [base + "/storage"]}[server.format]

    @each(format=FORMATS)
    def test_mailbox_is_read_only(self, format):
        server = self.maildrop(format)
        mark = self.move(server, "+15d")
        for path in self.mail_dirs(server):
            os.chown(path, 0, 0)
            os.chmod(path, 0o555)
        text = self.pass_over(server, mark)
        self.assert_told_once(text)
        if format == "maildir":
            self.assertIn("Removal stopped: INBOX is read-only, 20 messages "
                          "stay", text)
            self.assertEqual(self.removals(text), [])
        for path in self.mail_dirs(server):
            os.chmod(path, 0o777)
        mark = self.move(server, "+17d")
        self.assert_each_once(server, [text, self.pass_over(server, mark)])
        # a file that could not be removed is by now
        server.doveadm("purge", "-u", "alice", check=True)

    @each(format=FORMATS)
    def test_lock_is_lost(self, format):
        """Its file is another one: whoever holds the old one holds nothing."""
        server = self.maildrop(format)
        mark = self.move(server, "+15d")
        path = server.inbox_dirs("alice")[0] + "/dovecot-pop3-policy.look"
        with server.pop3("alice") as looks:
            os.unlink(path)
            self.session_beside(server)
            looks.quit()
        server.wait_no_process("pop3")
        self.session(server)
        texts = [self.log_of_sessions(server, mark)]
        self.assert_told_once(texts[0])
        self.assert_each_once(server, texts)

    def session_beside(self, server):
        with server.pop3("alice") as client:
            client.uidls()
            client.quit()
        wait_for(lambda: len(server.processes("pop3")) == 1, "one session")
