# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 4: what has to be stored is stored before it is shown; what needs an
# explicit text that could not be stored is not shown. The file dict cannot be
# written where its directory is read-only: it writes a new file each time.

import os

from testcase import SessionTest, each, message
from uidlformats import BY_GUID


class StoredBeforeShown(SessionTest):
    def session(self, server):
        client = server.pop3("alice")
        uidls = client.uidls()
        client.quit()
        server.wait_no_process("pop3")
        return uidls

    def lock_dict(self, server):
        """It can be read, and not written."""
        os.chmod(server.path("dict"), 0o555)

    def unlock_dict(self, server):
        os.chmod(server.path("dict"), 0o777)

    @each(dict=("file", "sqlite"))
    def test_state_and_ledger_are_there_when_uidls_are(self, dict):
        server = self.dovecot(dict=dict)
        server.deliver("alice", message(1), message(2))
        with server.pop3("alice") as client:
            client.uidls()
            self.assertIn(" mark=2 ", server.dict_get("alice", "state"))
            self.assertIn("ids=", server.dict_get("alice", "ledger/0"))

    def test_new_mail_follows_the_rule_and_is_caught_up(self):
        server = self.dovecot()
        server.deliver("alice", message(1))
        first = self.session(server)
        server.deliver("alice", message(2))
        self.lock_dict(server)
        with server.pop3("alice") as client:
            shown = client.uidls()
            self.assertEqual(shown[1], first[1])
            client.quit()
        server.wait_no_process("pop3")
        self.assertIn("mark=1 ", server.dict_get("alice", "state"))
        server.wait_log("The dict's commit failed")
        self.assertEqual(server.log().count("The dict's commit failed"), 1)
        self.unlock_dict(server)
        self.assertEqual(self.session(server), shown)
        self.assertIn("mark=2 ", server.dict_get("alice", "state"))

    def test_explicit_uidl_that_cannot_be_stored_is_not_shown(self):
        server = self.dovecot(config=BY_GUID)
        server.deliver("alice", message(1))
        first = self.session(server)
        server.deliver("alice", message(2))
        self.lock_dict(server)
        client = server.connect()
        self.assertRegex(client.login("alice"), r"^-ERR \[SYS/TEMP\] ")
        server.wait_log(r"Login refused: New mail needs UIDLs of its own")
        self.unlock_dict(server)
        after = self.session(server)
        self.assertEqual(after[1], first[1])
        self.assertEqual(len(set(after.values())), 2)

    def test_recovery_that_cannot_be_stored_is_not_shown(self):
        server = self.dovecot()
        server.deliver("alice", *[message(n) for n in range(1, 7)])
        first = self.session(server)
        server.remove_indexes("alice")
        self.lock_dict(server)
        client = server.connect()
        self.assertRegex(client.login("alice"), r"^-ERR \[SYS/TEMP\] ")
        server.wait_log(r"Login refused: The mailbox changed")
        self.unlock_dict(server)
        self.assertEqual(self.session(server), first)
