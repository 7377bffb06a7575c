# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the clients of one maildrop have seen so far, and what may come next:
# promises 1 to 3, checked at every look.
"""Usage, in a SessionTest:

    history = History(self, server)
    history.look()                  # a whole session; the listing
    server.remove_indexes("alice")
    history.look(stays=ALL)         # all that was there has its UIDL

A listing is a list of (text, UIDL) in the listing's order."""

import re

LEGAL = re.compile(r"[\x21-\x7e]{1,70}\Z")
# What must keep its UIDL: all that the last look saw.
ALL = object()


class History:
    def __init__(self, test, server, user="alice"):
        self.test = test
        self.server = server
        self.user = user
        # UIDL to text, of all that was ever shown
        self.owners = {}
        # UIDLs of messages that are known to be gone for good
        self.gone = set()
        self.last = []

    def uidls(self):
        return [uidl for _, uidl in self.last]

    def session(self, retrieve=True):
        """A session's listing; without the texts (None) where it does not
        retrieve, since that tells the plugin more."""
        with self.server.pop3(self.user) as client:
            uidls = client.uidls()
            found = [(client.retr(number) if retrieve else None, uidl)
                     for number, uidl in uidls.items()]
            self.test.assertTrue(client.quit().startswith("+OK"))
        self.server.wait_no_process("pop3")
        return found

    def look(self, stays=(), comes_back=()):
        """One session. STAYS: UIDLs that must be shown again, or ALL.
        COMES_BACK: UIDLs of gone messages that may."""
        found = self.session()
        uidls = [uidl for _, uidl in found]
        before = self.uidls()
        stays = before if stays is ALL else stays
        for uidl in uidls:
            self.test.assertRegex(uidl, LEGAL)
        self.test.assertEqual(len(set(uidls)), len(uidls), uidls)
        for text, uidl in found:
            self.test.assertEqual(self.owners.setdefault(uidl, text), text,
                                  "%s was another message's" % uidl)
        self.test.assertEqual(set(stays) - set(uidls), set(),
                              "not shown again, of %s" % before)
        self.test.assertEqual(self.gone & set(uidls) - set(comes_back), set(),
                              "shown again")
        # survivors are listed in the order that they had
        self.test.assertEqual([u for u in before if u in set(uidls)],
                              [u for u in uidls if u in set(before)])
        self.gone -= set(uidls)
        self.gone |= set(before) - set(uidls)
        self.last = found
        return found
