# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A user may be called anything: the line of a removal can be read all the same.

import re
import urllib.parse

from testcase import SessionTest, message
from test_usage import ALL_NAMES, NAMES

REMOVED = re.compile(r"pop3-policy: Removed: (.*)$", re.MULTILINE)
WHOLE_LINE = "x session=1 uidl=2 size=3"


class Removals(SessionTest):
    def removed(self, server, count):
        """User, and whether by a session or a run, of each line."""
        server.wait_log(r"(?s)(pop3-policy: Removed: .*){%d}" % count)
        lines = [dict(field.split("=", 1) for field in line.split())
                 for line in REMOVED.findall(server.log())]
        return sorted((urllib.parse.unquote(line["user"]),
                       "session" if "session" in line else "run")
                      for line in lines)

    def test_odd_names_in_the_lines(self):
        names = [*NAMES, WHOLE_LINE]
        server = self.dovecot(dict="sqlite", config=ALL_NAMES, faketime=True,
                              settings={"pop3_policy_removal": "yes",
                                        "pop3_policy_keep_retrieved": "2d"})
        for name in names:
            server.save(name, message(1))
            with server.pop3(name) as client:
                client.retr(1)
                client.quit()
            server.wait_no_process("pop3")
        server.set_time("+3d")
        by_run = names[::2]
        with open(server.path("names"), "w", encoding="utf-8") as file:
            file.write("".join(name + "\n" for name in by_run))
        server.doveadm("-o", "log_path=" + server.path("log"), "pop3",
                       "retention", "run", "-F", server.path("names"),
                       check=True)
        for name in names[1::2]:
            with server.pop3(name) as client:
                client.quit()
            server.wait_no_process("pop3")
        self.assertEqual(self.removed(server, len(names)), sorted(
            (name, "run" if name in by_run else "session") for name in names))
