# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 9: with no settings the protocol is byte-identical to the host's, and
# nothing is written or logged.

import glob
import random

from testcase import FORMATS, SessionTest, each, message
from twins import LOGIN, Twins

SCRIPTS = (
    b"CAPA\r\nSTAT\r\nUIDL\r\nLIST\r\nUIDL 1\r\nUIDL 9\r\nUIDL x\r\nQUIT\r\n",
    b"RETR 1\r\nTOP 2 0\r\nDELE 1\r\nUIDL\r\nRSET\r\nUIDL\r\nQUIT\r\n",
    b"DELE 2\r\nQUIT\r\n",
    b"UIDL\r\nBAD\r\nUIDL 2\r\nLAST\r\n",
)


class NothingWithoutSettings(SessionTest):
    @each(format=FORMATS, settings=("none", "all but the dict"))
    def test_byte_for_byte_the_host(self, format, settings):
        twins = Twins(
            self, [message(n) for n in range(1, 6)], format=format, dict=None,
            settings={"pop3_policy_capa": "yes"} if settings == "none" else {
                "pop3_policy_uidl": "guid", "pop3_policy_removal": "yes",
                "pop3_policy_keep_retrieved": "1d",
                "pop3_policy_login_delay": "1h", "pop3_policy_capa": "yes"})
        if settings == "none":
            twins.ours.settings.clear()
            twins.ours.restart()
        for script in SCRIPTS:
            with self.subTest(script=script):
                twins.same([script])
                twins.same([LOGIN + script], login=b"")
        for seed in range(10):
            rng = random.Random(seed)
            lines = [rng.choice((b"UIDL\r\n", b"UIDL 2\r\n", b"NOOP\r\n",
                                 b"RETR 1\r\n", b"LIST\r\n", b"CAPA\r\n"))
                     for _ in range(50)]
            twins.same(lines)
        twins.ours.wait_no_process("pop3")
        self.assertNotIn("pop3-policy", twins.ours.log())
        found = glob.glob(twins.ours.home("alice") + "/**/*pop3-policy*",
                          recursive=True)
        self.assertEqual(found, [])

    def test_every_uidl_format(self):
        for text in ("%f", "%g", "%m.%u", "%08Xv%08Xu", "x%u"):
            old = {"%f": "%{filename}", "%g": "%{guid}",
                   "%m.%u": "%{md5}.%{uid}",
                   "%08Xv%08Xu": "%{uidvalidity | hex(8)}%{uid | hex(8)}",
                   "x%u": "x%{uid}"}
            config = {"2.3": "pop3_uidl_format = %s\n" % text,
                      "2.4": "pop3_uidl_format = %s\n" % old[text]}
            with self.subTest(format=text):
                twins = Twins(self, [message(1), message(2)], dict=None,
                              config=config)
                twins.same([b"UIDL\r\nUIDL 2\r\nQUIT\r\n"])
