# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 2: a UIDL is never shown for another message.

import os
import shutil

from testcase import FORMATS, SessionTest, each, message
from uidlformats import BY_GUID


class NeverReused(SessionTest):
    def session(self, server, user="alice"):
        """Message text to UIDL, from a session that is closed and stored."""
        client = server.pop3(user)
        found = [(client.retr(number), uidl)
                 for number, uidl in client.uidls().items()]
        client.quit()
        server.wait_no_process("pop3")
        return found

    def assert_never_reused(self, history, found):
        """history: UIDL to text, of all that was ever shown."""
        self.assertEqual(len({uidl for _, uidl in found}), len(found))
        for text, uidl in found:
            self.assertEqual(history.setdefault(uidl, text), text)

    @each(format=FORMATS)
    def test_after_expunge_and_index_loss(self, format):
        server = self.dovecot(format=format)
        history = {}
        number = 0
        for _ in range(4):
            mails = [message(number + i) for i in range(1, 4)]
            number += 3
            server.deliver("alice", *mails)
            self.assert_never_reused(history, self.session(server))
            with server.pop3("alice") as client:
                # the newest, so that its UID is free where UIDs start anew
                client.ok("DELE %d" % client.stat()[0])
                client.quit()
            server.wait_no_process("pop3")
            server.remove_indexes("alice")
            self.assert_never_reused(history, self.session(server))

    @each(format=FORMATS)
    def test_after_an_older_copy_was_restored(self, format):
        server = self.dovecot(format=format)
        history = {}
        server.deliver("alice", message(1), message(2), message(3))
        self.assert_never_reused(history, self.session(server))
        backup = server.path("backup")
        shutil.copytree(server.home("alice"), backup)
        server.deliver("alice", message(4), message(5))
        self.assert_never_reused(history, self.session(server))
        # UIDs 4 and 5 are given again, to other messages
        shutil.rmtree(server.home("alice"))
        shutil.copytree(backup, server.home("alice"))
        for directory, _, names in os.walk(server.home("alice")):
            for name in [""] + names:
                os.chown(os.path.join(directory, name), server.uid,
                         server.uid)
        server.deliver("alice", message(6), message(7))
        found = self.session(server)
        self.assertEqual(len(found), 5)
        self.assert_never_reused(history, found)

    @each(format=FORMATS)
    def test_copies_have_uidls_of_their_own(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", message(1))
        imap = server.imap("alice")
        imap.select()
        imap.copy("1", "INBOX")
        imap.logout()
        server.deliver("alice", message(1))
        client = server.pop3("alice")
        before = list(client.uidls().values())
        self.assertEqual(len(set(before)), 3)
        client.ok("DELE 1")
        client.quit()
        server.wait_no_process("pop3")
        for validity in (None, "1234567890", "1234567999"):
            # neither is it forgotten when the host would change all UIDLs
            if validity is not None:
                server.doveadm("mailbox", "update", "--uid-validity",
                               validity, "-u", "alice", "INBOX", check=True)
            with server.pop3("alice") as client:
                self.assertEqual(list(client.uidls().values()), before[1:])
                client.quit()
            server.wait_no_process("pop3")

    @each(format=FORMATS)
    def test_equal_guids_are_told_apart(self, format):
        server = self.dovecot(format=format, plugin=False, config=BY_GUID)
        server.deliver("alice", message(1))
        imap = server.imap("alice")
        imap.select()
        imap.copy("1", "INBOX")
        imap.logout()
        with server.pop3("alice") as client:
            stock = list(client.uidls().values())
            client.quit()
        server.plugin = True
        server.restart()
        with server.pop3("alice") as client:
            before = client.uidls()
            client.quit()
        self.assertEqual(before[1], stock[0])
        self.assertEqual(len(set(before.values())), 2)
        server.wait_no_process("pop3")
        with server.pop3("alice") as client:
            self.assertEqual(client.uidls(), before)

    def test_another_mailbox_with_the_same_uidvalidity_gets_none(self):
        server = self.dovecot()
        server.deliver("alice", message(1), message(2))
        client = server.pop3("alice")
        shown = set(client.uidls().values())
        client.quit()
        server.wait_no_process("pop3")
        state = server.dict_get("alice", "state")
        validity = state.split("uidvalidity=")[1].split()[0]
        server.doveadm("mailbox", "create", "-u", "alice", "Other",
                       check=True)
        server.deliver("alice", message(3), mailbox="Other")
        server.doveadm("mailbox", "update", "--uid-validity", validity,
                       "-u", "alice", "Other", check=True)
        result = server.doveadm("-f", "tab", "fetch", "-u", "alice",
                                "pop3.uidl", "mailbox", "Other", check=True)
        self.assertFalse(set(result.stdout.split()[1:]) & shown)
