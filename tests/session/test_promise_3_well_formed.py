# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 3: a UIDL is 1-70 characters of 0x21-0x7E, whatever headers, file
# names or formats say. Where the host's is legal it is taken, once.

import os
import re

from testcase import FORMATS, SessionTest, each, message
from uidlformats import BY_FILE, TOO_LONG, WITH_BLANK

LEGAL = re.compile(r"[\x21-\x7e]{1,70}\Z")

HEADERS = [
    "fine", "a" * 70, "a" * 71, "", "with space", "tab\tinside", "del\x7f",
    "utf-8 \xc3\xa9", "folded\n\tline", "fine", "\x01", "0",
]


class WellFormed(SessionTest):
    def uidls(self, server):
        client = server.pop3("alice")
        uidls = client.uidls()
        client.quit()
        server.wait_no_process("pop3")
        return uidls

    def assert_reported(self, server, count, after=0):
        """One line, once."""
        line = "Warning: pop3-policy: %d messages would have had" % count
        server.wait_log(line, after=after)
        self.assertEqual(server.log(after).count("would have had"), 1)

    @each(format=FORMATS)
    def test_whatever_x_uidl_headers_say(self, format):
        server = self.dovecot(format=format, plugin=False,
                              config="pop3_reuse_xuidl = yes\n")
        server.deliver("alice", *[
            message(number, headers="X-UIDL: %s\n" % text)
            for number, text in enumerate(HEADERS, 1)])
        server.plugin = True
        server.restart()
        uidls = self.uidls(server)
        self.assertEqual(len(uidls), len(HEADERS))
        for uidl in uidls.values():
            self.assertRegex(uidl, LEGAL)
        self.assertEqual(len(set(uidls.values())), len(HEADERS))
        self.assertEqual(uidls[1], "fine")
        self.assertEqual(uidls[2], "a" * 70)
        self.assertEqual(uidls[12], "0")
        self.assertEqual(self.uidls(server), uidls)
        self.assert_reported(server, 9)
        server.remove_indexes("alice")
        self.assertEqual(self.uidls(server), uidls)

    def test_whatever_file_names_say(self):
        server = self.dovecot(config=BY_FILE)
        server.deliver("alice", message(1))
        new = server.mail_dir("alice") + "/new/"
        names = ["1700000001.short.host", "1700000002." + "x" * 80,
                 "1700000003.sp ace", "1700000004.\xe9"]
        for number, name in enumerate(names, 2):
            with open(new + name, "wb") as file:
                file.write(message(number))
            os.chown(new + name, server.uid, server.uid)
        uidls = self.uidls(server)
        self.assertEqual(len(set(uidls.values())), 5)
        for uidl in uidls.values():
            self.assertRegex(uidl, LEGAL)
        self.assertIn("1700000001.short.host", uidls.values())
        self.assertEqual(self.uidls(server), uidls)
        self.assert_reported(server, 3)
        # and of new mail
        mark = server.log_mark()
        name = "1700000005." + "y" * 80
        with open(new + name, "wb") as file:
            file.write(message(6))
        os.chown(new + name, server.uid, server.uid)
        after = self.uidls(server)
        self.assertEqual({n: after[n] for n in uidls}, uidls)
        self.assertRegex(after[6], LEGAL)
        self.assertEqual(self.uidls(server), after)
        self.assert_reported(server, 1, mark)

    @each(format=FORMATS, config=("blank", "long"))
    def test_whatever_formats_yield(self, format, config):
        server = self.dovecot(format=format, config={
            "blank": WITH_BLANK, "long": TOO_LONG}[config])
        server.deliver("alice", *map(message, (1, 2, 3)))
        uidls = self.uidls(server)
        self.assertEqual(len(set(uidls.values())), 3)
        for uidl in uidls.values():
            self.assertRegex(uidl, LEGAL)
        self.assert_reported(server, 3)
        self.assertEqual(self.uidls(server), uidls)
        server.remove_indexes("alice")
        self.assertEqual(self.uidls(server), uidls)
