# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 11: no dict, however slow or broken, takes POP3 down: nobody waits
# longer than the deadline, no process is stuck, and whoever has no exceptions
# is served. (Row by row: test_failure.py.)

from fakedict import ANSWER, COMMIT, FAIL, HANG_UP, LOOKUP, SILENT
from policytest import PolicyTest
from testcase import FORMATS, each, message

USERS = {"alice": {}, "bob": {}, "carol": {}, "dave": {}}
FEW_PROCESSES = "service pop3 {\n  process_limit = 2\n}\n"


class DictNeverTakesPop3Down(PolicyTest):
    def everybody(self, server):
        """One session of each at the same time, in few processes."""
        clients = {}
        for user in USERS:
            clients[user] = server.connect()
            clients[user].send(b"USER %s\r\nPASS secret\r\nUIDL\r\nRETR 1\r\n"
                               b"QUIT\r\n" % user.encode())
        got = {user: client.read_all() for user, client in clients.items()}
        server.wait_no_process("pop3")
        return got

    @each(how=(FAIL, SILENT, HANG_UP, "missing"), reuse=(False, True))
    def test_everybody_sees_the_same_during_an_outage(self, how, reuse):
        server, fake = self.faked(users=USERS, config=FEW_PROCESSES)
        for user in USERS:
            server.deliver(user, message(1))
        before = self.everybody(server)
        self.assertIn(b"Logging out", before["alice"])
        if reuse:
            server.reuse = True
            server.restart()
        self.break_dict(fake, how)
        for _ in range(2):
            clients = {user: server.connect() for user in USERS}
            for user, client in clients.items():
                client.send(b"USER %s\r\nPASS secret\r\nUIDL\r\nRETR 1\r\n"
                            b"QUIT\r\n" % user.encode())
            self.assertEqual({user: client.read_all() for user, client
                              in clients.items()}, before)

    @each(format=FORMATS)
    def test_new_users_during_an_outage(self, format):
        server, fake = self.faked(users=USERS, format=format,
                                  config=FEW_PROCESSES)
        for user in USERS:
            server.deliver(user, message(1))
        self.break_dict(fake, SILENT)
        during = self.everybody(server)
        self.assertNotIn(b"-ERR", b"".join(during.values()))
        self.mend_dict(fake)
        self.assertEqual(self.everybody(server), during)

    @each(operation=(LOOKUP, COMMIT))
    def test_it_breaks_at_any_operation_of_a_session(self, operation):
        """Silent from the n-th operation on: each session is answered, and
        ends."""
        server, fake = self.faked(users=USERS)
        uidls = None
        for number in range(8):
            server.deliver("alice", message(20 + number))
            left = [number]

            def rule(what, user, keys, left=left):
                if what == operation:
                    left[0] -= 1
                return ANSWER if left[0] >= 0 else SILENT
            fake.rule = rule
            with self.subTest(number=number):
                now = self.session(server, "RETR 1", "NOOP")
                if uidls is not None:
                    self.assertEqual(dict(list(now.items())[:len(uidls)]),
                                     uidls)
                uidls = now

    def test_dict_service_that_is_killed_within_a_session(self):
        server = self.dovecot(dict="sqlite")
        server.deliver("alice", message(1), message(2))
        before = self.session(server)
        for _ in range(3):
            with server.pop3("alice") as client:
                self.assertEqual(client.uidls(), before)
                client.retr(1)
                server.kill("dict")
                self.assertTrue(client.quit().startswith("+OK"))
            server.wait_no_process("pop3")
        self.assertEqual(self.session(server), before)
