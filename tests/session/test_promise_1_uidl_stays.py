# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 1: a UIDL once shown for a message is shown for it as long as it stays
# in the maildrop.

import glob
import os
import shutil

from testcase import FORMATS, SessionTest, each, message
from uidlformats import BY_FILE, BY_GUID, BY_MD5, BY_PARTS, with_more

MBOX = {
    "2.3": BY_MD5["2.3"] + "mail_location = mbox:~/mail\n"
           "mbox_write_locks = fcntl\n",
    "2.4": BY_MD5["2.4"] + "mail_driver = mbox\nmail_path = ~/mail\n"
           "mail_inbox_path = ~/mail/inbox\nmbox_write_locks = fcntl\n"}


def texts(first, last):
    return [message(number) for number in range(first, last + 1)]


class UidlStays(SessionTest):
    def session(self, server, user="alice", retrieve=()):
        """The UIDLs of a session that is closed and stored."""
        client = server.pop3(user)
        uidls = client.uidls()
        for number in retrieve:
            client.retr(number)
        client.quit()
        server.wait_no_process("pop3")
        return uidls

    def by_text(self, server, user="alice"):
        """Message text to UIDL: what must stay, whatever the order."""
        client = server.pop3(user)
        found = {client.retr(number): uidl
                 for number, uidl in client.uidls().items()}
        client.quit()
        server.wait_no_process("pop3")
        return found

    @each(format=FORMATS)
    def test_after_the_loss_of_all_indexes(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 9))
        before = self.session(server)
        server.remove_indexes("alice")
        self.assertEqual(self.session(server), before)
        # and once more: the recovered ones are recognised too
        server.remove_indexes("alice")
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS, dict=("file", "sqlite"))
    def test_after_index_loss_with_expunged_mail(self, format, dict):
        server = self.dovecot(format=format, dict=dict)
        server.deliver("alice", *texts(1, 9))
        before = self.by_text(server)
        client = server.pop3("alice")
        client.ok("DELE 2")
        client.ok("DELE 7")
        client.quit()
        server.wait_no_process("pop3")
        server.remove_indexes("alice")
        after = self.by_text(server)
        # an mdbox that lost its map brings expunged mail back
        for text in set(texts(1, 9)) - {message(2), message(7)}:
            self.assertEqual(after[text], before[text])
        self.assertEqual(len(set(after.values())), len(after))

    @each(format=FORMATS)
    def test_after_a_new_uidvalidity(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 9))
        before = self.session(server)
        server.doveadm("mailbox", "update", "--uid-validity", "1234567890",
                       "-u", "alice", "INBOX", check=True)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_new_mail_after_recovery_is_stable_too(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 3))
        self.session(server)
        server.remove_indexes("alice")
        self.session(server)
        server.deliver("alice", *texts(4, 6))
        before = self.session(server)
        self.assertEqual(len(set(before.values())), 6)
        server.remove_indexes("alice")
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS, config=("guid", "other"))
    def test_when_the_format_is_edited(self, format, config):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 5))
        before = self.session(server)
        server.config = {"guid": BY_GUID, "other": BY_PARTS}[config]
        server.restart()
        self.assertEqual(self.session(server), before)
        server.deliver("alice", message(6))
        after = self.session(server)
        self.assertEqual(len(set(after.values())), 6)
        self.assertLessEqual(before.items(), after.items())
        server.remove_indexes("alice")
        self.assertEqual(self.session(server), after)
        # and back
        server.config = ""
        server.restart()
        self.assertEqual(self.session(server), after)

    @each(format=FORMATS)
    def test_when_the_plugin_comes_to_guid_uidls(self, format):
        server = self.dovecot(format=format, plugin=False, config=BY_GUID)
        server.deliver("alice", *texts(1, 5))
        before = self.session(server)
        server.plugin = True
        server.restart()
        self.assertEqual(self.session(server), before)
        server.config = ""
        server.restart()
        self.assertEqual(self.session(server), before)
        server.remove_indexes("alice")
        self.assertEqual(self.session(server), before)

    def test_when_the_plugin_comes_to_uidls_by_file_name(self):
        server = self.dovecot(plugin=False, config=BY_FILE)
        server.deliver("alice", *texts(1, 5))
        before = self.session(server)
        self.assertIn(",S=", before[1])
        server.plugin = True
        server.restart()
        self.assertEqual(self.session(server), before)
        server.config = ""
        server.remove_indexes("alice")
        server.restart()
        self.assertEqual(self.session(server), before)

    def test_when_the_plugin_comes_to_uidls_by_md5(self):
        """Only mbox has one."""
        server = self.dovecot(plugin=False, config=MBOX)
        server.deliver("alice", *texts(1, 5))
        before = self.session(server)
        self.assertRegex(before[1], r"^[0-9a-f]{32}$")
        server.plugin = True
        server.restart()
        self.assertEqual(self.session(server), before)
        server.config = {line: text.replace(BY_MD5[line], "")
                         for line, text in MBOX.items()}
        server.restart()
        server.deliver("alice", *texts(6, 7))
        after = self.session(server)
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertEqual(self.session(server), after)

    def test_when_the_plugin_comes_to_saved_uidls(self):
        server = self.dovecot(
            format="maildir", plugin=False,
            config=with_more(BY_PARTS, "pop3_save_uidl = yes\n"))
        server.deliver("alice", *texts(1, 5))
        before = self.session(server)
        server.plugin = True
        server.config = ""
        server.restart()
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_when_the_plugin_comes_to_x_uidl_headers(self, format):
        reuse = "pop3_reuse_xuidl = yes\n"
        server = self.dovecot(format=format, plugin=False, config=reuse)
        server.deliver("alice", message(1, headers="X-UIDL: from-old-1\n"),
                       message(2))
        before = self.session(server)
        self.assertEqual(before[1], "from-old-1")
        server.plugin = True
        server.restart()
        self.assertEqual(self.session(server), before)
        # of new mail the sender chooses that header
        server.deliver("alice", message(3, headers="X-UIDL: chosen\n"))
        after = self.session(server)
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertNotEqual(after[3], "chosen")

    @each(format=FORMATS)
    def test_on_another_host_with_the_same_dict(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 5))
        before = self.session(server)
        # indexes, control files and the witness stay behind
        server.remove_indexes("alice")
        for directory in server.inbox_dirs("alice"):
            for path in glob.glob(directory + "/dovecot-pop3-policy*"):
                os.unlink(path)
        self.assertEqual(self.session(server), before)

    @each(old=FORMATS, new=FORMATS)
    def test_copied_by_imap_into_a_new_mailbox(self, old, new):
        server = self.dovecot(format=old)
        mails = texts(1, 6)
        server.deliver("alice", *mails)
        before = self.session(server, retrieve=range(1, 7))
        shutil.rmtree(server.mail_dir("alice"))
        server.stop()
        server.format = new
        server.start()
        server.deliver("alice", *mails)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_copied_by_imap_after_a_recovery(self, format):
        """What is known of headers goes through recoveries without them."""
        server = self.dovecot(format=format)
        mails = texts(1, 6)
        server.deliver("alice", *mails)
        before = self.session(server, retrieve=range(1, 7))
        for _ in range(2):
            server.remove_indexes("alice")
            self.assertEqual(self.session(server, retrieve=(1,)), before)
        shutil.rmtree(server.mail_dir("alice"))
        server.deliver("alice", *mails)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_mail_that_another_client_deletes_changes_nothing(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 8))
        before = self.by_text(server)
        imap = server.imap("alice")
        imap.select()
        imap.store("1:6", "+FLAGS.SILENT", "\\Deleted")
        imap.expunge()
        imap.logout()
        server.deliver("alice", *texts(9, 10))
        after = self.by_text(server)
        self.assertEqual({text: after[text] for text in texts(7, 8)},
                         {text: before[text] for text in texts(7, 8)})
        self.assertFalse({after[text] for text in texts(9, 10)} &
                         set(before.values()))

    @each(format=FORMATS)
    def test_all_deleted_by_another_client_is_no_reason_to_refuse(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 8))
        before = self.session(server)
        imap = server.imap("alice")
        imap.select()
        imap.store("1:*", "+FLAGS.SILENT", "\\Deleted")
        imap.expunge()
        imap.logout()
        self.assertEqual(self.session(server), {})
        server.deliver("alice", message(9))
        self.assertFalse(set(self.session(server).values()) &
                         set(before.values()))

    @each(format=FORMATS)
    def test_doveadm_shows_the_same(self, format):
        server = self.dovecot(format=format)
        server.deliver("alice", *texts(1, 4))
        self.session(server)
        server.remove_indexes("alice")
        before = self.session(server)
        result = server.doveadm("-f", "tab", "fetch", "-u", "alice",
                                "pop3.uidl", "mailbox", "INBOX", check=True)
        self.assertEqual(result.stdout.split()[1:], list(before.values()))
