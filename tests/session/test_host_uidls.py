# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# pop3_policy_uidl = host, to try the plugin, and then pin: what the host showed
# is what is pinned.

import os
import re

from policytest import PolicyTest
from testcase import FORMATS, each, message
from uidlformats import BY_GUID


class HostFirst(PolicyTest):
    def pin(self, server, uidl="pin"):
        server.settings["pop3_policy_uidl"] = uidl
        server.restart()

    @each(format=FORMATS, uidls=("rule", "guid"))
    def test_pinned_after_host(self, format, uidls):
        config = BY_GUID if uidls == "guid" else ""
        server = self.dovecot(format=format, config=config,
                              settings={"pop3_policy_uidl": "host"})
        server.deliver("alice", message(1), message(2))
        self.session(server)
        server.deliver("alice", message(3))
        before = self.session(server)
        self.pin(server)
        self.assertEqual(self.session(server), before)
        server.config = ""
        server.restart()
        self.assertEqual(self.session(server), before)
        self.lose_indexes(server)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_pinned_after_the_host_changed_all(self, format):
        server = self.dovecot(format=format,
                              settings={"pop3_policy_uidl": "host"})
        server.deliver("alice", message(1), message(2))
        first = self.session(server)
        self.lose_indexes(server)
        before = self.session(server)
        self.assertEqual(len(before), 2)
        self.assertFalse(set(before.values()) & set(first.values()))
        self.pin(server)
        self.assertEqual(self.session(server), before)
        # what is pinned are these, and not what the host would show next
        self.lose_indexes(server)
        self.assertEqual(self.session(server), before)

    @each(format=FORMATS)
    def test_pinned_is_not_touched_by_host_in_between(self, format):
        server = self.dovecot(format=format, config=BY_GUID)
        server.deliver("alice", message(1))
        before = self.session(server)
        self.pin(server, "host")
        server.deliver("alice", message(2))
        between = self.session(server)
        self.pin(server)
        server.config = ""
        server.restart()
        after = self.session(server)
        self.assertEqual(after[1], before[1])
        # the host's format is another one by now
        self.assertEqual(len(set(after.values())), 2)
        self.assertEqual(self.session(server), after)
        self.assertEqual(between[1], before[1])

    def test_new_mail_after_host_takes_no_x_uidl(self):
        server = self.dovecot(config="pop3_reuse_xuidl = yes\n",
                              settings={"pop3_policy_uidl": "host"})
        server.deliver("alice", message(1, headers="X-UIDL: one\n"))
        self.assertEqual(self.session(server), {1: "one"})
        self.pin(server)
        server.deliver("alice", message(2, headers="X-UIDL: two\n"))
        after = self.session(server)
        self.assertEqual(after[1], "one")
        self.assertNotEqual(after[2], "two")

    def test_what_the_host_showed_twice_is_not_pinned_twice(self):
        """A maildir counts UIDs from 1 again, within one UIDVALIDITY: mail
        keeps higher UIDs in its UIDLs, which the host gives to new mail."""
        server = self.dovecot(format="maildir")
        server.deliver("alice", *[message(n) for n in range(1, 7)])
        self.session(server, "DELE 1", "DELE 2", "DELE 3")
        before = self.session(server)
        self.count_uids_again(server)
        self.assertEqual(self.session(server), before)
        self.pin(server, "host")
        server.deliver("alice", *[message(n) for n in range(7, 10)])
        between = self.session(server)
        self.assertEqual([between[n] for n in range(4, 7)],
                         [before[n] for n in range(1, 4)])
        self.pin(server)
        after = self.session(server)
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertEqual(len(set(after.values())), 6)
        self.assertEqual(self.session(server), after)

    def count_uids_again(self, server):
        """The list of UIDs is one from before any mail came."""
        path = os.path.join(server.mail_dir("alice"), "dovecot-uidlist")
        with open(path, "r+", encoding="latin-1") as file:
            header = file.readline()
            file.seek(0)
            file.write(re.sub(r"N\d+", "N1", header))
            file.truncate()
        for name in os.listdir(server.mail_dir("alice")):
            if name.startswith("dovecot.index"):
                os.unlink(os.path.join(server.mail_dir("alice"), name))
