# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# UIDLs that the storage holds (maildir's P field, dbox's, where dsync put them)
# or that senders choose (X-UIDL): legal or not, of a rule's shape or of another
# message, none is shown twice, and what was stored stays.

import os
import re

from history import ALL, History
from test_recovery import SEPARATOR, RecoveryTest
from testcase import FORMATS, each, message
from uidlformats import BY_GUID, BY_PARTS, with_more

REUSE = "pop3_reuse_xuidl = yes\n"
REPLACED = "Warning: pop3-policy: %d messages would have had a UIDL"


class StorageTest(RecoveryTest):
    def stock(self, count):
        """A maildir without the plugin."""
        server = self.dovecot(plugin=False, config=SEPARATOR)
        server.deliver("alice", *map(message, range(1, count + 1)))
        return server

    def set_p_fields(self, server, uidls):
        path = os.path.join(server.mail_dir("alice"), "dovecot-uidlist")
        with open(path, encoding="latin-1") as file:
            lines = file.read().splitlines(keepends=True)
        for number, line in enumerate(lines[1:], 1):
            uid = int(line.split(" ")[0])
            if uid in uidls:
                lines[number] = line.replace(" ", " P%s " % uidls[uid], 1)
        with open(path, "w", encoding="latin-1") as file:
            file.writelines(lines)

    def come_to(self, server, format):
        """The plugin comes to its mail in FORMAT, by dsync."""
        self.dsync(server, "backup", format)
        server.plugin = True
        self.swap_in(server, format)
        return History(self, server)

    def uidvalidity(self, server):
        status = server.doveadm("mailbox", "status", "-u", "alice",
                                "uidvalidity", "INBOX", check=True)
        return int(status.stdout.strip().rpartition("=")[2])

    def guids(self, server):
        result = server.doveadm("-f", "tab", "fetch", "-u", "alice", "guid",
                                "mailbox", "INBOX", check=True)
        return result.stdout.split()[1:]

    def assert_told(self, server, count, mark=0):
        """Once, in one line."""
        server.wait_log(REPLACED % count, after=mark)
        self.assertEqual(server.log(mark).count("would have had a UIDL"), 1)


class Stored(StorageTest):
    @each(format=FORMATS)
    def test_illegal_ones_are_replaced(self, format):
        server = self.stock(7)
        self.set_p_fields(server, {
            1: "fine", 2: "x" * 70, 3: "y" * 71, 4: "caf\xe9",
            5: "del\x7f", 6: "fine", 7: "last"})
        history = self.come_to(server, format)
        history.look()
        self.assert_told(server, 4)
        uidls = history.uidls()
        self.assertEqual([uidls[0], uidls[1], uidls[6]],
                         ["fine", "x" * 70, "last"])
        mark = server.log_mark()
        number = 8
        for _ in range(2):
            # nobody else gets what is stored, or what replaced it
            server.deliver("alice", message(number))
            history.look(stays=ALL)
            self.move_away(server)
            history.look(stays=ALL)
            server.remove_indexes("alice")
            history.look(stays=ALL)
            number += 1
        self.assertNotIn("would have had a UIDL", server.log(mark))

    @each(format=FORMATS)
    def test_of_the_rules_shape(self, format):
        """The UIDLs of UIDs that are there, and that are still to come."""
        server = self.stock(4)
        validity = self.uidvalidity(server)
        stored = {1: "%08x%08x" % (3, validity), 2: "%08x%08x" % (6, validity),
                  4: "%08x%08x" % (5, validity + 1)}
        self.set_p_fields(server, stored)
        history = self.come_to(server, format)
        history.look()
        uidls = history.uidls()
        self.assertEqual([uidls[0], uidls[1], uidls[3]],
                         list(stored.values()))
        for number in range(5, 9):
            server.deliver("alice", message(number))
            history.look(stays=ALL)
        server.remove_indexes("alice")
        for number in range(9, 12):
            server.deliver("alice", message(number))
            history.look(stays=ALL)


class Saved(StorageTest):
    def test_save_uidl_stays_on_beside_the_plugin(self):
        """Only maildir has it. The host saves what it shows itself."""
        server = self.dovecot(plugin=False, config=with_more(
            BY_PARTS, "pop3_save_uidl = yes\n"))
        history = History(self, server)
        server.deliver("alice", *map(message, range(1, 4)))
        history.look()
        stored = history.uidls()
        # what is stored counts, whatever the format is now
        server.plugin = True
        server.config = "pop3_save_uidl = yes\n"
        server.restart()
        for number in range(4, 7):
            server.deliver("alice", message(number))
            history.look(stays=ALL)
        server.plugin = False
        server.restart()
        self.assertEqual([uidl for _, uidl in history.session()[:3]], stored)
        server.plugin = True
        server.restart()
        history.look(stays=ALL)
        for number in range(7, 9):
            server.remove_indexes("alice")
            server.deliver("alice", message(number))
            history.look(stays=ALL)
        with open(server.mail_dir("alice") + "/dovecot-uidlist",
                  encoding="latin-1") as file:
            saved = [word for line in file for word in line.split(" :")[0]
                     .split()[1:] if word.startswith("P")]
        self.assertEqual(len(saved), len(set(saved)))


class XUidl(StorageTest):
    def carrying(self, number, uidl):
        return message(number, headers="X-UIDL: %s\n" % uidl)

    @each(format=FORMATS)
    def test_that_would_leave_no_validity(self, format):
        server = self.dovecot(format=format, config=REUSE)
        chosen = ["00000001ffffffff", "00000009fffffffe"]
        server.deliver("alice", message(1), *map(self.carrying, (2, 3),
                                                 chosen))
        history = History(self, server)
        history.look()
        self.assertEqual(history.uidls()[1:], chosen)
        for number in range(4, 7):
            server.deliver("alice", message(number))
            server.remove_indexes("alice")
            history.look(stays=ALL)
            high = re.search(r"\bhigh=(\d+)",
                             server.dict_get("alice", "state"))
            self.assertLess(int(high[1]), 0xff000000)

    def like(self, server, rule, uid):
        """What the host's rule yields for a UID."""
        validity = self.uidvalidity(server)
        return {"rule": "%08x%08x" % (uid, validity),
                "parts": "%d.%d" % (validity, uid),
                "guid": self.guids(server)[min(uid, 2) - 1]}[rule]

    @each(format=FORMATS, rule=("rule", "parts", "guid"))
    def test_of_the_rules_own_shape(self, format, rule):
        config = {"rule": {"2.3": "", "2.4": ""}, "parts": BY_PARTS,
                  "guid": BY_GUID}[rule]
        server = self.dovecot(format=format, plugin=False,
                              config=with_more(config, REUSE))
        server.deliver("alice", *map(message, (1, 2)))
        to_come = self.like(server, rule, 6)
        server.deliver("alice", self.carrying(3, self.like(server, rule, 2)),
                       self.carrying(4, to_come))
        server.plugin = True
        server.restart()
        history = History(self, server)
        history.look()
        if rule != "guid":
            self.assertEqual(history.uidls()[3], to_come)
        # and mail comes that gets that number
        for number in (5, 6):
            server.deliver("alice", message(number))
            history.look(stays=ALL)
        # a sender cannot choose what was shown, or what will be
        server.deliver("alice", *[
            self.carrying(number, uidl) for number, uidl in enumerate(
                history.uidls() + [self.like(server, rule, uid)
                                   for uid in (7, 14, 20)], 7)])
        history.look(stays=ALL)
        server.deliver("alice", *map(message, range(16, 22)))
        history.look(stays=ALL)
        server.remove_indexes("alice")
        server.deliver("alice", message(22))
        history.look(stays=ALL)

    @each(format=FORMATS, policy=("pin", "guid"))
    def test_of_mail_that_comes_with_a_recovery(self, format, policy):
        server = self.dovecot(format=format, config=REUSE, settings={
            "pop3_policy_uidl": policy})
        history = History(self, server)
        server.deliver("alice", *map(message, range(1, 7)))
        history.look()
        before = history.uidls()
        with server.pop3("alice") as client:
            client.ok("DELE 6")
            client.quit()
        server.wait_no_process("pop3")
        # those of what is there, of what is gone, and of one to come
        chosen = before + ["chosen", "%08x%08x" % (
            9, self.uidvalidity(server))]
        mails = [self.carrying(number, uidl)
                 for number, uidl in enumerate(chosen, 11)]
        if format == "mdbox":
            # which would bring back what was expunged
            self.move_away(server)
        else:
            server.remove_indexes("alice")
        server.deliver("alice", *mails)
        history.look(stays=before[:5])
        self.assertEqual(len(history.last), 5 + len(mails))
        self.assertFalse(set(history.uidls()[5:]) & set(chosen))
        history.look(stays=ALL)
        server.remove_indexes("alice")
        server.deliver("alice", message(31))
        if format != "mdbox":
            history.look(stays=ALL)
