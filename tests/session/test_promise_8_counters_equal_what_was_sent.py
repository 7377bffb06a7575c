# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 8: counters equal what was sent, to the byte and the message, also
# with twenty sessions at once; a commit that fails is logged with all its
# numbers. (What each counter means in detail: test_usage.py.)

import json
import random
import threading

from policytest import PolicyTest
from testcase import FORMATS, each, message
from twins import Exchange

SESSIONS = 20


class CountersEqualWhatWasSent(PolicyTest):
    def shown(self, server):
        result = server.doveadm("-f", "json", "pop3", "usage", "show", "-u",
                                "alice", check=True)
        return next(row for row in json.loads(result.stdout)
                    if row["period"] == "total")

    def one(self, server, seed, total, lock):
        """A session that counts for itself what it sent and got."""
        rng = random.Random(seed)
        lines = [rng.choice(("RETR %d", "TOP %d 0", "TOP %d 9999", "UIDL %d",
                             "NOOP x%d")) % rng.randint(1, 5)
                 for _ in range(15)] + ["UIDL", "LIST", "RETR 3", "QUIT"]
        client = Exchange(server.pop3_port)
        client.send(b"USER alice\r\nPASS secret\r\n")
        client.until(lambda got: b"Logged in.\r\n" in got, "login")
        # that line is the pop3 process's own
        client.got = client.got[client.got.index(b"+OK Logged in."):]
        counts = {"sessions": 1, "in_bytes": 0}
        for line in lines:
            name = line.split()[0].lower()
            client.send(line.encode() + b"\r\n")
            counts["in_bytes"] += len(line) + 2
            if name in ("retr", "top") or line in ("UIDL", "LIST"):
                key = name + "_count"
                counts[key] = counts.get(key, 0) + 1
        client.sock.setblocking(False)
        client.read_all()
        client.close()
        counts["out_bytes"] = len(client.got)
        with lock:
            for key, value in counts.items():
                total[key] = total.get(key, 0) + value

    @each(dict=("file", "sqlite"), format=FORMATS)
    def test_twenty_sessions_at_once(self, dict, format):
        server = self.dovecot(dict=dict, format=format)
        server.deliver("alice", *[message(n, size=n * 900)
                                  for n in range(1, 6)])
        total, lock = {}, threading.Lock()
        threads = [threading.Thread(target=self.one,
                                    args=(server, seed, total, lock))
                   for seed in range(SESSIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.wait_no_process("pop3")
        shown = self.shown(server)
        self.assertEqual(total["sessions"], SESSIONS)
        self.assertEqual({key: int(shown[key]) for key in total}, total)

    def test_numbers_of_a_failed_commit_are_in_the_log(self):
        server, fake = self.faked()
        self.session(server)
        fake.close()
        mark = server.log_mark()
        self.session(server, "RETR 1", "TOP 2 0", "LIST 1", "DELE 3")
        line = server.wait_log(
            r"to be replayed: user=alice session=\S+ ended=\d+ (.*)$",
            after=mark).group(1)
        numbers = {name: int(value) for name, value in
                   (pair.split("=") for pair in line.split())}
        self.assertEqual(numbers["sessions"], 1)
        self.assertEqual(numbers["retr_count"], 1)
        self.assertEqual(numbers["top_count"], 1)
        self.assertEqual(numbers["uidl_count"], 1)
        self.assertEqual(numbers["dele_count"], 1)
        self.assertEqual(numbers["in_bytes"], len(
            "UIDL..RETR 1..TOP 2 0..LIST 1..DELE 3..QUIT.."))
