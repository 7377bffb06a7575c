# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A user may be called anything: the line of a removal can be read all the same.

import re
import urllib.parse

from testcase import message
from test_usage import ALL_NAMES, NAMES, UsageTest

REMOVED = re.compile(r"pop3-policy: Removed: (.*)$", re.MULTILINE)


class Removals(UsageTest):
    def removed(self, text):
        """User, and whether by a session or a run, of each line."""
        lines = [dict(field.split("=", 1) for field in line.split())
                 for line in REMOVED.findall(text)]
        return sorted((urllib.parse.unquote(line["user"]),
                       "session" if "session" in line else "run")
                      for line in lines)

    def test_odd_names_in_the_lines(self):
        server = self.dovecot(dict="sqlite", config=ALL_NAMES, faketime=True,
                              settings={"pop3_policy_removal": "yes",
                                        "pop3_policy_keep_retrieved": "2d"})
        for name in NAMES:
            server.save(name, message(1))
            client = self.login(server, name)
            client.retr(1)
            client.quit()
            server.wait_no_process("pop3")
        server.set_time("+3d")
        by_run = NAMES[::2]
        ran = server.doveadm("pop3", "retention", "run", "-F",
                             self.names_file(server, by_run),
                             check=True).stderr
        for name in NAMES[1::2]:
            self.login(server, name).quit()
            server.wait_no_process("pop3")
        server.wait_log(r"(?s)(Removed: .*){%d}" % len(NAMES[1::2]))
        self.assertEqual(self.removed(ran + server.log()), sorted(
            (name, "run" if name in by_run else "session") for name in NAMES))
