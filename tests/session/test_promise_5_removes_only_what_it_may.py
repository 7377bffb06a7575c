# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 5: nothing is removed that was neither retrieved nor DELEd by a
# client, unless keep_unretrieved says so; nothing that is protected; nothing
# while a client looks; nothing on doubt.

import contextlib
import fcntl
import glob
import os
import random
import re

import dovecot
from policytest import PolicyTest
from testcase import FORMATS, each, message
from twins import Exchange, wait_stuck

RETENTION = {"pop3_policy_removal": "yes", "pop3_policy_keep_retrieved": "2d"}
COMPRESS = {
    "2.3": "protocol imap {\n  mail_plugins = zlib\n}\n"
           "plugin {\n  zlib_save = gz\n}\n",
    "2.4": "mail_compress_write_method = gz\n",
}
BIG = 3 * 1000 * 1000


class RemovesOnlyWhatItMay(PolicyTest):
    def maildrop(self, *messages, **options):
        settings = {**RETENTION, **options.pop("settings", {})}
        server = self.dovecot(settings=settings, faketime=True, **options)
        server.deliver("alice", *(messages or map(message, range(1, 6))))
        return server

    def left_after(self, server, offset="+5d"):
        """Numbers of the messages that are there after a later session."""
        server.set_time(offset)
        self.session(server)
        found = server.doveadm("fetch", "-u", "alice", "hdr.subject",
                               "mailbox", "INBOX", check=True).stdout
        return [int(n) for n in re.findall(r"message (\d+)", found)]

    @each(format=FORMATS, dict=("file", "sqlite"))
    def test_retrieved_mail_goes_and_other_mail_stays(self, format, dict):
        server = self.maildrop(format=format, dict=dict)
        self.session(server, "RETR 2", "RETR 4")
        self.assertEqual(self.left_after(server, "+1d"), [1, 2, 3, 4, 5])
        self.assertEqual(self.left_after(server), [1, 3, 5])

    def test_unretrieved_mail_goes_only_where_it_is_said(self):
        server = self.maildrop(settings={"pop3_policy_keep_unretrieved": "9d"})
        self.session(server, "RETR 2")
        self.assertEqual(self.left_after(server), [1, 3, 4, 5])
        self.assertEqual(self.left_after(server, "+10d"), [])

    @each(removal=("no", "dry-run"))
    def test_nothing_goes_without_yes(self, removal):
        server = self.maildrop(settings={"pop3_policy_removal": removal})
        self.session(server, "RETR 2")
        self.assertEqual(self.left_after(server), [1, 2, 3, 4, 5])
        self.assertNotIn("Removed: ", server.log())

    def test_protected_mail_stays(self):
        server = self.maildrop(
            settings={"pop3_policy_protect": "\\Flagged keepme"})
        self.session(server, "RETR 1", "RETR 2", "RETR 3")
        client = server.imap("alice")
        client.select("INBOX")
        client.store("1", "+FLAGS", "\\Flagged")
        client.store("3", "+FLAGS", "keepme")
        client.logout()
        self.assertEqual(self.left_after(server), [1, 3, 4, 5])

    def test_top_of_the_whole_message_is_a_retrieval(self):
        """fetchmail downloads so."""
        server = self.maildrop()
        self.session(server, "TOP 2 99999999", "TOP 3 0", "TOP 4 1000")
        self.assertEqual(self.left_after(server), [1, 3, 5])

    def test_top_of_a_part_is_none(self):
        server = self.maildrop(message(1, body="a\nb\nc\n"),
                               message(2, body="a\nb\nc\n"))
        self.session(server, "TOP 1 2")
        self.assertEqual(self.left_after(server), [1, 2])

    @each(script=(b"RETR 1\r\nRETR 2\r\nQUIT\r\n",
                  b"UIDL\r\nRETR 1\r\nUIDL\r\nRETR 2\r\nNOOP\r\nQUIT\r\n"),
          tls=(False, True))
    def test_pipelining_client_starts_no_clock(self, script, tls):
        """Nothing shows that it got the messages."""
        server = self.maildrop(tls=tls)
        mark = server.log_mark()
        client = server.connect(tls=tls)
        client.login("alice")
        client.send(script)
        client.read_all()
        self.ended(server, mark)
        self.assertEqual(self.left_after(server), [1, 2, 3, 4, 5])

    @each(noise=("binary", "thousands of commands"))
    def test_hostile_client_starts_no_clock(self, noise):
        """All in one write, and no more than one packet of the loopback."""
        rng = random.Random(noise)
        waiting = b"RETR 1\r\nRETR 2\r\nNOOP\r\n" * 800 + b"QUIT\r\n"
        if noise == "binary":
            # 2.3 itself panics at a command with one of these in it
            waiting = bytes(rng.choice(range(256)) for _ in range(20000)) \
                .replace(b":", b";").replace(b" ", b"_")
        server = self.maildrop()
        mark = server.log_mark()
        client = server.connect()
        client.login("alice")
        client.send(b"RETR 1\r\nRETR 2\r\n" + waiting)
        with contextlib.suppress(OSError):
            client.read_all()
        self.ended(server, mark)
        self.assertEqual(self.left_after(server), [1, 2, 3, 4, 5])

    def test_client_that_never_reads_starts_no_clock(self):
        server = self.maildrop(message(1, size=BIG), message(2, size=BIG))
        mark = server.log_mark()
        client = Exchange(server.pop3_port, rcvbuf=2048)
        client.send(b"USER alice\r\nPASS secret\r\n")
        client.until(lambda got: b"Logged in" in got, "login")
        for line in (b"RETR 1\r\n", b"NOOP\r\n", b"RETR 2\r\n", b"QUIT\r\n"):
            client.sock.send(line)
            wait_stuck(client.raw)
        client.close()
        self.ended(server, mark)
        self.assertEqual(self.left_after(server), [1, 2])

    def test_damaged_message_is_not_retrieved(self):
        """The host sends what there is of it and says nothing."""
        new = dovecot.installed_line() == "2.4"
        server = self.maildrop(
            message(1, size=300000), message(2, size=300000),
            mail_plugins=["mail_compress" if new else "zlib"],
            config=COMPRESS)
        path = server.maildir_files("alice")[0]
        size = os.path.getsize(path)
        self.assertLess(size, 100000)
        os.truncate(path, size // 2)
        with server.pop3("alice") as client:
            self.assertLess(len(client.retr(1)), 290000)
            client.retr(2)
            client.quit()
        server.wait_no_process("pop3")
        self.session(server)
        server.set_time("+5d")
        self.session(server)
        self.assertEqual(self.mails(server), 1)
        self.assertTrue(os.path.exists(path) or glob.glob(
            path.replace("/new/", "/cur/") + "*"))

    @each(format=FORMATS)
    def test_nothing_goes_while_a_client_looks(self, format):
        server = self.maildrop(format=format)
        self.session(server, "RETR 1", "RETR 2")
        server.set_time("+5d")
        looking = server.pop3("alice")
        mark = server.log_mark()
        with server.pop3("alice") as client:
            client.quit()
        server.wait_log("Disconnected", after=mark)
        self.assertEqual(self.mails(server), 5)
        self.assertEqual(looking.stat()[0], 5)
        for number in range(1, 6):
            looking.retr(number)
        looking.quit()
        server.wait_no_process("pop3")
        self.assertEqual(self.mails(server), 3)

    def test_nothing_goes_where_the_lock_is_not_to_be_had(self):
        server = self.maildrop(settings={"pop3_policy_dict_timeout": "300ms"})
        self.session(server, "RETR 1", "RETR 2")
        server.set_time("+5d")
        path = server.inbox_dirs("alice")[0] + "/dovecot-pop3-policy.look"
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.session(server)
            self.assertEqual(self.mails(server), 5)
        self.session(server)
        self.assertEqual(self.mails(server), 3)

    def test_nothing_goes_by_a_clock_that_went_back(self):
        # Dovecot's own processes end when the time goes back under them
        server = self.maildrop(settings={"pop3_policy_removal": "no"})
        self.session(server, "RETR 1")
        server.set_time("+40d")
        self.session(server, "RETR 2")
        server.stop()
        server.settings["pop3_policy_removal"] = "yes"
        server.set_time("+30d")
        server.start()
        self.session(server)
        self.assertEqual(self.mails(server), 5)
        server.wait_log("The clock is behind the time of an earlier session")
        self.assertEqual(self.left_after(server, "+41d"), [2, 3, 4, 5])

    def test_facts_of_another_mailbox_remove_nothing(self):
        """A new mailbox whose messages have the UIDs of the old ones."""
        server = self.maildrop(
            settings={"pop3_policy_uidl_guard": "log"})
        self.session(server, *["RETR %d" % n for n in range(1, 6)])
        client = server.imap("alice")
        client.select("INBOX")
        client.store("1:*", "+FLAGS", "\\Deleted")
        client.expunge()
        client.logout()
        self.lose_indexes(server)
        server.deliver("alice", *map(message, range(11, 16)))
        self.assertEqual(self.left_after(server), [11, 12, 13, 14, 15])
