# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sessions that end without QUIT, by whatever ended them: what they did is
# counted to the byte, in the commit that stores it.

import datetime
import os
import signal
import subprocess

from fakedict import COMMIT, FakeDict
from processes import is_asleep, is_stopped
from test_usage import PATIENT, Counting, UsageTest
from testcase import FORMATS, each, message, wait_for
from twins import wait_stuck, waiting

START = "2031-03-10T12:00:00"
# A client may idle for that long; every STEP_SECS the host has a look.
IDLE_SECS = 600
STEP_SECS = 10
BIG = 3 * 1000 * 1000


class Ends(UsageTest):
    def begin(self, rcvbuf=None, **options):
        """A server, what its dict was asked, and a session that retrieved a
        message and shows it."""
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        server = self.dovecot(dict=fake.setting, settings=PATIENT, **options)
        server.deliver("alice", message(1), message(2, size=BIG))
        # the first commit has what was new
        Counting(server, "alice").quit()
        server.restart()
        del fake.seen[:]
        client = Counting(server, "alice", rcvbuf=rcvbuf)
        client.retr(1)
        client.listing("LIST")
        client.ok("DELE 2")
        client.add("sessions_aborted")
        return server, fake, client

    def last_words(self, client):
        """What the server says by itself, which the client counts too."""
        while client.line() != b"":
            pass
        client.client.close()

    def check(self, server, fake, client):
        """All is stored, in one commit, and nothing is deleted."""
        self.assertEqual([keys for operation, _, keys in fake.seen
                          if operation == COMMIT],
                         [["ledger/0", "state", "usage/now"]])
        self.assertNotIn("not stored", server.log())
        # the session that began() with
        client.add("sessions")
        client.add("in_bytes", len("QUIT\r\n"))
        client.add("out_bytes",
                   len("+OK Logged in.\r\n+OK Logging out.\r\n"))
        self.assert_counted(server, "alice", client.counts)
        again = Counting(server, "alice")
        self.assertTrue(again.client.cmd("STAT").startswith("+OK 2 "))

    def idle(self, server, client):
        """Its clock goes on, by no more at once than the host would sleep,
        and it wakes to see that. Returns how far, in seconds."""
        pid, = server.processes("pop3")
        secs = 0
        while waiting(client.client.sock) == 0:
            secs += STEP_SECS
            self.assertLess(secs, 2 * IDLE_SECS)
            server.set_moment((datetime.datetime.fromisoformat(START) +
                               datetime.timedelta(seconds=secs)).isoformat())
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: is_stopped(pid), "the stop")
            os.kill(pid, signal.SIGCONT)
            wait_for(lambda: is_asleep(pid), "the end of what it does")
        return secs

    @each(format=FORMATS)
    def test_idle_for_too_long(self, format):
        server, fake, client = self.begin(format=format, faketime=START)
        secs = self.idle(server, client)
        self.last_words(client)
        server.wait_no_process("pop3")
        server.wait_log(r"pop3\(alice\).*Disconnected.*Inactivity")
        self.check(server, fake, client)
        seconds = self.show(server, "alice")["total"]["seconds"]
        self.assertGreaterEqual(seconds, IDLE_SECS)
        self.assertLessEqual(seconds, secs + STEP_SECS)

    @each(reuse=(False, True))
    def test_kicked(self, reuse):
        server, fake, client = self.begin(reuse=reuse)
        server.doveadm("kick", "alice", check=True)
        self.last_words(client)
        server.wait_log(r"pop3\(alice\).*(?:kicked|shutting down|Killed)")
        if reuse:
            wait_for(lambda: COMMIT in [seen[0] for seen in fake.seen],
                     "the commit")
        else:
            server.wait_no_process("pop3")
        server.restart()
        self.check(server, fake, client)

    def test_the_server_is_stopped(self):
        server, fake, client = self.begin()
        server.process.terminate()
        self.last_words(client)
        server.restart()
        self.check(server, fake, client)

    def test_the_server_is_stopped_with_its_dict_service(self):
        """Which may be gone first: what it did not take is in the log."""
        server = self.dovecot(dict="sqlite",
                              settings={"pop3_policy_dict_timeout": "2s"})
        server.deliver("alice", message(1), message(2))
        client = Counting(server, "alice")
        client.retr(1)
        client.ok("NOOP")
        client.add("sessions_aborted")
        server.process.terminate()
        self.last_words(client)
        server.restart()
        server.doveadm("pop3", "usage", "replay", "-A", check=True,
                       input=server.log().encode())
        self.assert_counted(server, "alice", client.counts)

    def test_the_client_is_killed_in_the_midst_of_a_message(self):
        server, fake, client = self.begin(rcvbuf=2048)
        client.ok("RSET")
        client.send("RETR 2")
        wait_stuck(client.client.sock)
        # whoever has the connection now is killed
        holder = subprocess.Popen(["sleep", "infinity"],
                                  pass_fds=[client.client.sock.fileno()])
        client.client.close()
        holder.kill()
        holder.wait()
        server.wait_no_process("pop3")
        counted = self.show(server, "alice")["total"]
        # what was written, read or not, is known only to the server
        sent = counted["retr_aborted_bytes"]
        self.assertGreater(sent, 1000)
        self.assertLess(sent, BIG)
        client.add("retr_aborted_count")
        client.add("retr_aborted_bytes", sent)
        client.add("out_bytes", sent)
        self.check(server, fake, client)
