# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# An INBOX of the virtual plugin's, made of other mailboxes, for POP3 only: it
# has UIDs of its own, and all other services have another INBOX.

import glob
import os
import shutil

from config import MAIL_PATHS
from testcase import SessionTest, each, message

# The virtual plugin of 2.3 finds nothing in a maildir here, with and without
# this plugin.
FORMATS = ("sdbox", "mdbox")
# Where the real mail is, and the virtual INBOX beside it.
CONFIG = {
    "2.3": """
namespace inbox {{
  inbox = yes
  separator = /
}}
protocol pop3 {{
  namespace inbox {{
    location = virtual:~/pop3
  }}
  namespace real {{
    prefix = Real/
    separator = /
    location = {format}:{path}
    hidden = yes
    list = no
  }}
}}
""",
    "2.4": """
protocol pop3 {{
  namespace inbox {{
    mail_driver = virtual
    mail_path = ~/pop3
  }}
  namespace real {{
    prefix = Real/
    separator = /
    mail_driver = {format}
    mail_path = {path}
    hidden = yes
    list = no
  }}
}}
""",
}
RULES = {"pop3_policy_removal": "yes", "pop3_policy_keep_retrieved": "2d",
         "pop3_policy_removal_limit_percent": "100"}


class Virtual(SessionTest):
    def maildrop(self, format, **settings):
        config = {line: text.format(format=format, path=MAIL_PATHS[format])
                  for line, text in CONFIG.items()}
        server = self.dovecot(format=format, config=config,
                              mail_plugins=("virtual",), settings=settings,
                              faketime=True)
        server.deliver("alice", message(1), message(2), message(3))
        directory = os.path.join(server.home("alice"), "pop3", "INBOX")
        os.makedirs(directory)
        with open(os.path.join(directory, "dovecot-virtual"), "w",
                  encoding="ascii") as file:
            file.write("Real/INBOX\n  all\n")
        for path in (os.path.dirname(directory), directory,
                     os.path.join(directory, "dovecot-virtual")):
            shutil.chown(path, server.uid, server.uid)
        return server

    def session(self, server, *retrieved):
        with server.pop3("alice") as client:
            uidls = client.uidls()
            for number in retrieved:
                client.retr(number)
            client.quit()
        server.wait_no_process("pop3")
        return uidls

    def remove_virtual_indexes(self, server):
        pattern = os.path.join(server.home("alice"), "pop3", "INBOX",
                               "dovecot.*")
        found = glob.glob(pattern)
        self.assertTrue(found)
        for path in found:
            os.unlink(path)

    @each(format=FORMATS)
    def test_uidls_stay(self, format):
        server = self.maildrop(format)
        before = self.session(server)
        self.assertEqual(len(set(before.values())), 3)
        server.deliver("alice", message(4))
        after = self.session(server)
        self.assertEqual({n: after[n] for n in before}, before)
        self.remove_virtual_indexes(server)
        self.assertEqual(self.session(server), after)

    @each(format=FORMATS)
    def test_what_was_retrieved_is_counted(self, format):
        server = self.maildrop(format)
        self.session(server, 1, 3)
        shown = server.doveadm("-f", "tab", "pop3", "usage", "show", "-u",
                               "alice", "--by", "total", check=True).stdout
        head, total = [line.split("\t") for line in shown.splitlines()]
        self.assertEqual(total[head.index("retr_count")], "2")

    @each(format=FORMATS)
    def test_another_inbox_gets_none_of_them(self, format):
        server = self.maildrop(format)
        uidls = self.session(server)
        validity = int(uidls[1][8:], 16)
        server.doveadm("mailbox", "update", "--uid-validity", str(validity),
                       "-u", "alice", "INBOX", check=True)
        shown = server.doveadm("-f", "tab", "fetch", "-u", "alice",
                               "uid pop3.uidl", "mailbox", "INBOX",
                               check=True).stdout
        self.assertEqual(sorted(shown.splitlines()[1:]),
                         ["1\t", "2\t", "3\t"])

    @each(format=FORMATS)
    def test_only_its_own_mail_is_removed(self, format):
        server = self.maildrop(format, **RULES)
        self.session(server, 1, 3)
        server.set_time("+3d")
        ran = server.doveadm("pop3", "retention", "run", "-u", "alice")
        self.assertEqual(self.real(server), 3, ran)
        self.session(server)
        self.assertEqual(self.real(server), 1)
        self.assertEqual(len(self.session(server)), 1)

    def real(self, server):
        """How many messages the mailbox has that the virtual one shows."""
        return len(server.doveadm("search", "-u", "alice", "mailbox", "INBOX",
                                  check=True).stdout.splitlines())
