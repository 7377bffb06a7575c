# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 6: a dropped connection deletes nothing and starts no clock for a
# half-sent message.

from policytest import PolicyTest
from testcase import FORMATS, each, message
from twins import wait_read, wait_stuck

BIG = 3 * 1000 * 1000


class DroppedConnection(PolicyTest):
    def maildrop(self, *messages, **options):
        server = self.dovecot(faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "2d"}, **options)
        server.deliver("alice", *messages)
        return server

    def drop(self, server, client, how="abort"):
        mark = server.log_mark()
        getattr(client, how)()
        self.ended(server, mark)

    def left_later(self, server):
        server.set_time("+5d")
        self.session(server)
        return self.mails(server)

    @each(format=FORMATS, how=("abort", "close"))
    def test_in_the_middle_of_a_message(self, format, how):
        server = self.maildrop(message(1, size=BIG), message(2),
                               format=format)
        client = server.connect(rcvbuf=2048)
        client.login("alice")
        client.ok("DELE 2")
        client.send(b"RETR 1\r\n")
        wait_stuck(client.sock)
        self.drop(server, client, how)
        self.assertEqual(self.left_later(server), 2)

    @each(how=("abort", "close"))
    def test_right_behind_a_message(self, how):
        """It was sent, but nothing shows that it was got."""
        server = self.maildrop(message(1), message(2))
        client = server.pop3("alice")
        client.retr(1)
        self.drop(server, client, how)
        self.assertEqual(self.left_later(server), 2)

    def test_in_the_middle_with_the_next_commands_sent(self):
        server = self.maildrop(message(1, size=BIG), message(2))
        client = server.connect(rcvbuf=2048)
        client.login("alice")
        client.send(b"RETR 1\r\n")
        wait_stuck(client.sock)
        client.send(b"NOOP\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n")
        self.drop(server, client)
        self.assertEqual(self.left_later(server), 2)

    def test_half_a_command_proves_nothing(self):
        server = self.maildrop(message(1), message(2))
        client = server.pop3("alice")
        client.retr(1)
        client.send(b"NOO")
        wait_read(client.sock)
        self.drop(server, client)
        self.assertEqual(self.left_later(server), 2)

    def test_after_a_later_command_the_clock_runs(self):
        """So that the others do not pass because nothing ever does."""
        server = self.maildrop(message(1), message(2))
        client = server.pop3("alice")
        client.retr(1)
        client.ok("NOOP")
        self.drop(server, client)
        self.assertEqual(self.left_later(server), 1)

    @each(format=FORMATS)
    def test_deletions_without_quit_are_none(self, format):
        server = self.maildrop(message(1), message(2), format=format)
        client = server.pop3("alice")
        client.ok("DELE 1")
        client.ok("DELE 2")
        client.ok("NOOP")
        self.drop(server, client)
        self.assertEqual(self.left_later(server), 2)

    def test_process_that_is_killed(self):
        server = self.maildrop(message(1), message(2))
        with server.pop3("alice") as client:
            client.retr(1)
            client.ok("DELE 2")
            server.kill("pop3")
            client.read_all()
        server.wait_no_process("pop3")
        self.assertEqual(self.left_later(server), 2)
