# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# pop3_policy_uidl = guid: new mail's UIDL is its GUID's, and from then on
# explicit. What was there before stays what it was.

import os

from history import ALL, History
from testcase import FORMATS, SessionTest, each, message


class ByGuid(SessionTest):
    def guids(self, server):
        result = server.doveadm("-f", "tab", "fetch", "-u", "alice", "guid",
                                "mailbox", "INBOX", check=True)
        return result.stdout.split()[1:]

    def filled(self, format):
        """Two messages from before, three by their GUIDs."""
        server = self.dovecot(format=format)
        history = History(self, server)
        server.deliver("alice", message(1), message(2))
        history.look()
        server.settings["pop3_policy_uidl"] = "guid"
        server.restart()
        server.deliver("alice", *map(message, (3, 4, 5)))
        history.look(stays=ALL)
        self.assertEqual(history.uidls()[2:], self.guids(server)[2:])
        return server, history

    @each(format=FORMATS)
    def test_stays_when_guids_change(self, format):
        server, history = self.filled(format)
        server.remove_indexes("alice")
        history.look(stays=ALL)
        # another policy again
        server.settings["pop3_policy_uidl"] = "pin"
        server.restart()
        server.remove_indexes("alice")
        server.deliver("alice", message(6))
        history.look(stays=ALL)
        self.assertNotIn(history.uidls()[5], self.guids(server))

    @each(format=FORMATS)
    def test_copies_are_told_apart(self, format):
        server, history = self.filled(format)
        client = server.imap("alice")
        client.select()
        client.copy("3:5", "INBOX")
        client.copy("3", "INBOX")
        client.logout()
        history.look(stays=ALL)
        self.assertEqual(len(history.last), 9)
        with server.pop3("alice") as pop3:
            pop3.ok("DELE 3")
            pop3.quit()
        server.wait_no_process("pop3")
        history.look(stays=[uidl for uidl in history.uidls()
                            if uidl != history.uidls()[2]])
        # the GUID of a message that is gone is not free either
        client = server.imap("alice")
        client.select()
        client.copy("6", "INBOX")
        client.logout()
        history.look(stays=ALL)

    @each(format=FORMATS)
    def test_doveadm_shows_the_same(self, format):
        server, history = self.filled(format)
        server.remove_indexes("alice")
        history.look(stays=ALL)
        result = server.doveadm("-f", "tab", "fetch", "-u", "alice",
                                "pop3.uidl", "mailbox", "INBOX", check=True)
        self.assertEqual(result.stdout.split()[1:], history.uidls())

    def test_file_name_that_is_no_legal_uidl(self):
        """It is the GUID of a maildir's message; 70 characters are all that a
        UIDL may have."""
        server, history = self.filled("maildir")
        names = ["1700000001." + "y" * 59, "1700000002." + "y" * 60,
                 "1700000003." + "y" * 90, "1700000004.caf\xe9"]
        mark = server.log_mark()
        for number, name in enumerate(names, 6):
            path = os.fsencode(server.mail_dir("alice")) + b"/new/" + \
                name.encode("latin-1")
            with open(path, "wb") as file:
                file.write(message(number))
            os.chown(path, server.uid, server.uid)
        history.look(stays=ALL)
        self.assertEqual(len(history.last), 9)
        self.assertEqual(set(history.uidls()) & set(names), {names[0]})
        history.look(stays=ALL)
        server.wait_log("Warning: pop3-policy: 3 messages would have had",
                        after=mark)
        self.assertEqual(server.log(mark).count("would have had"), 1)
        for number in (11, 12):
            # what replaced them is nobody else's
            server.deliver("alice", message(number))
            history.look(stays=ALL)
            server.remove_indexes("alice")
            history.look(stays=ALL)
