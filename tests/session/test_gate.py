# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Login and gate: whatever a client sends, and however it sends it, it sees
# byte for byte what the host alone would have sent, and the host counts the
# same.

import os
import random
import re
import shutil

import pop3
from testcase import FORMATS, SessionTest, each, message
from twins import LOGIN, Exchange, Twins, exchange, wait_stuck, waiting

# Every shape of a line that the gate has to tell apart, and more.
LINES = [
    b"UIDL", b"uidl", b"UiDl", b"UIDL ", b"UIDL  ", b"UIDL %d", b"uidl  %d",
    b"UIDL %d ", b"UIDL %dx", b"UIDL 0", b"UIDL -1", b"UIDL +1", b"UIDL 0%d",
    b"UIDL 4294967296", b"UIDL 18446744073709551616", b"UIDL\t%d", b" UIDL",
    b"UIDLX", b"UID", b"UIDL\0 1", b"UIDL \0%d", b"UIDL %d\0x", b"UIDL\r",
    b"UIDL %d\r", b"UIDL \xff", b"UIDL  0x1",
    b"LIST", b"list", b"LIST ", b"LIST %d", b"LIST 999", b"LIST %d\0", b"LISt",
    b"RETR %d", b"retr %d", b"RETR %d ", b"RETR", b"RETR 0", b"RETR %d %d",
    b"TOP %d 0", b"TOP %d 3", b"TOP %d 99999999", b"top %d", b"TOP",
    b"DELE %d", b"dele %d", b"DELE", b"RSET", b"rset ", b"NOOP", b"noop x",
    b"STAT", b"stat", b"CAPA", b"capa", b"LAST", b"XYZZY", b"", b" ", b"\0",
    b"\0UIDL", b"AUTH PLAIN", b"USER bob", b"PASS secret", b"STLS",
    b"\x80\xff\x01", b"A" * 400,
]
ENDS = [b"\r\n"] * 6 + [b"\n", b"\r\r\n"]


def random_script(rng, messages, lines):
    script = bytearray()
    for _ in range(lines):
        line = rng.choice(LINES)
        if b"%d" in line:
            line = line.replace(b"%d", b"%d" % rng.randint(1, messages + 1))
        script += line + rng.choice(ENDS)
    return bytes(script)


def random_pieces(rng, script):
    """SCRIPT cut in places that have nothing to do with its lines."""
    sizes = rng.choice([(1, 12), (1, 200), (500, 4000), (100000, 100001)])
    pieces = []
    while script:
        size = rng.randint(*sizes)
        pieces.append(script[:size])
        script = script[size:]
    return pieces


def some_messages():
    return [message(1), message(2, body=".\r\n..\r\n.dot\r\n"),
            message(3, size=30000), message(4, body=""),
            message(5, body="no newline at the end"),
            message(6, headers="X-UIDL: of-the-sender\n"),
            message(7, size=5000)]


def fill_maildir(server, user, count, there=0):
    """Thousands of small messages, faster than by a protocol: COUNT with those
    that are there."""
    directory = server.mail_dir(user)
    for name in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
    for number in range(there + 1, count + 1):
        path = "%s/new/%d.M%dP1.host" % (
            directory, 1700000000 + number, number * 7919 % 1000000)
        with open(path, "wb") as file:
            file.write(message(number).replace(b"\r\n", b"\n"))
    for path, dirs, files in os.walk(server.home(user)):
        for name in [path] + [os.path.join(path, f) for f in files]:
            os.chown(name, server.uid, server.uid)


class GateTest(SessionTest):
    # What the server may say about a test's clients.
    allowed_in_log = None

    def tearDown(self):
        super().tearDown()
        for server in self.servers:
            for line in server.log().splitlines():
                if self.allowed_in_log is None or \
                        not re.search(self.allowed_in_log, line):
                    self.assertNotRegex(
                        line, r"pop3.*(Warning|Error|Fatal|Panic): ")


class SameBytes(GateTest):
    def random_sessions(self, twins, seeds, lines=40, **options):
        messages = len(some_messages())
        for seed in seeds:
            rng = random.Random(seed)
            script = random_script(rng, messages, lines)
            ends = [b"QUIT\r\n", b"UIDL\r\nQUIT\r\nUIDL\r\n"]
            # with TLS nobody can end one side only
            script += rng.choice(ends if options.get("tls") else ends + [b""])
            with self.subTest(seed=seed):
                twins.same(random_pieces(rng, script),
                           step=rng.random() < 0.3, **options)

    @each(format=FORMATS)
    def test_random_sessions(self, format):
        twins = Twins(self, some_messages(), format=format)
        self.random_sessions(twins, range(40))

    @each(lock_session=(False, True), reuse=(False, True))
    def test_random_sessions_lock_session_and_reuse(self, lock_session,
                                                    reuse):
        twins = Twins(self, some_messages(), lock_session=lock_session,
                      reuse=reuse)
        self.random_sessions(twins, range(100, 125))

    def test_random_sessions_with_rawlog(self):
        twins = Twins(self, some_messages(), rawlog=True)
        self.random_sessions(twins, range(200, 220))
        self.assertIn("UIDL", twins.ours.rawlogs())

    def test_random_sessions_by_tls(self):
        twins = Twins(self, some_messages(), tls=True)
        self.random_sessions(twins, range(300, 315), tls=True, shut=False)

    @each(format=FORMATS)
    def test_hundreds_of_commands_in_one_write(self, format):
        twins = Twins(self, some_messages(), format=format)
        rng = random.Random(1)
        script = random_script(rng, 7, 600)
        twins.same([script + b"QUIT\r\n"])

    @each(lock_session=(False, True), rawlog=(False, True))
    def test_commands_in_the_packet_of_the_login(self, lock_session, rawlog):
        twins = Twins(self, some_messages(), lock_session=lock_session,
                      rawlog=rawlog)
        for script in (b"UIDL\r\nQUIT\r\n", b"UIDL", b"UIDL\r\n" * 50,
                       b"NOOP\r\nUIDL 2\r\nSTAT\r\nUIDL\r\nLIST\r\nQUIT\r\n",
                       b"DELE 1\r\nUIDL\r\nUIDL 1\r\nRSET\r\nUIDL\r\n",
                       random_script(random.Random(2), 7, 100)):
            with self.subTest(script=script[:60]):
                twins.same([LOGIN + script], login=b"")

    def test_one_byte_at_a_time(self):
        twins = Twins(self, some_messages())
        script = b"UIDL\r\nNOOP\r\nuidl 2\r\nUIDL 99\r\nRETR 1\nUIDL\nQUIT\r\n"
        twins.same([script[i:i + 1] for i in range(len(script))], step=True)

    def test_cut_in_two_everywhere(self):
        twins = Twins(self, some_messages(), reuse=True)
        script = b"NOOP\r\nUIDL\r\nUIDL 3\r\nRETR 2\r\nNOOP\r\nQUIT\r\n"
        for cut in range(1, len(script)):
            with self.subTest(cut=cut):
                twins.same([script[:cut], script[cut:]], step=True)

    def test_every_line_alone(self):
        twins = Twins(self, some_messages(), reuse=True)
        for line in LINES:
            line = line.replace(b"%d", b"2")
            with self.subTest(line=line):
                twins.same([line + b"\r\n", b"NOOP\r\nUIDL 1\r\nQUIT\r\n"],
                           step=True)

    @each(format=FORMATS)
    def test_deletions_and_new_mail_over_many_sessions(self, format):
        twins = Twins(self, some_messages(), format=format)
        for script in (b"DELE 2\r\nUIDL\r\nUIDL 2\r\nUIDL 3\r\nQUIT\r\n",
                       b"UIDL\r\nDELE 1\r\nDELE 6\r\nUIDL\r\n",
                       b"UIDL\r\nDELE 6\r\nRSET\r\nDELE 1\r\nQUIT\r\n",
                       b"UIDL\r\nLIST\r\nQUIT\r\n"):
            twins.same([script])
        for server in twins.both():
            server.deliver("alice", message(8), message(9))
        for _ in range(2):
            twins.same([b"UIDL\r\nRETR 6\r\nDELE 1\r\nUIDL 7\r\nQUIT\r\n"])
        self.assertNotEqual(twins.ours.dict_get("alice", "state"), None)

    def test_empty_maildrop(self):
        twins = Twins(self, [])
        twins.same([b"UIDL\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nSTAT\r\nQUIT\r\n"])

    def test_maildrop_that_does_not_exist_yet(self):
        twins = Twins(self, [])
        for server in twins.both():
            shutil.rmtree(server.mail_dir("alice"), ignore_errors=True)
        twins.same([b"UIDL\r\nSTAT\r\nQUIT\r\n"])
        twins.same([b"UIDL\r\nSTAT\r\nQUIT\r\n"])


class OverlongLines(GateTest):
    def test_too_long_lines(self):
        twins = Twins(self, some_messages(), reuse=True)
        # around the host's limits, 2048 on 2.3 and 1020 on 2.4
        for size in (1015, 1016, 1017, 1018, 1019, 1020, 1021, 1022, 2040,
                     2045, 2046, 2047, 2048, 2049, 2050, 3000, 8192):
            for start in (b"UIDL ", b"NOOP ", b"XX"):
                for before in (b"", b"NOOP\r\n", b"UIDL 1\r\n",
                               b"UIDL\r\n" * 20):
                    line = start + b"9" * (size - len(start))
                    # what the host takes depends on how it arrives
                    with self.subTest(size=size, start=start, before=before):
                        twins.same([before, line + b"\r\nNOOP\r\nQUIT\r\n"],
                                   step=True)
        twins.same([b"UIDL " + b"1" * 9000 + b"\r\n"])
        self.assertIn("Input line too long", twins.last_log)

    def test_too_long_without_an_end(self):
        twins = Twins(self, some_messages())
        for before in (b"", b"UIDL\r\n", b"UIDL\r\nRETR 3\r\nUIDL 1\r\n"):
            with self.subTest(before=before):
                twins.same([before + b"x" * 4000], shut=False)
                self.assertIn("Input line too long", twins.last_log)

    def test_too_long_in_pieces(self):
        twins = Twins(self, some_messages())
        twins.same([b"UIDL\r\n", b"UIDL "] + [b"1" * 100] * 30, step=True)


class BadCommands(GateTest):
    def test_25_in_a_row(self):
        twins = Twins(self, some_messages())
        for bad in (b"XYZZY\r\n", b"UIDL x\r\n", b"RETR\r\n", b"\0\r\n",
                    b"UIDL 99\r\n"):
            with self.subTest(bad=bad):
                twins.same([bad * 25 + b"UIDL\r\nQUIT\r\n"])
        for start in (b"", b"UIDL\r\n", b"UIDL 1\r\n"):
            twins.same([start + b"X\r\n" * 18 + b"UIDL\r\n" + b"Y\r\n" * 18 +
                        b"UIDL 2\r\n" + b"Z\r\n" * 30], step=True)

    def test_bad_uidl_counts_like_the_hosts(self):
        twins = Twins(self, some_messages())
        script = (b"X\r\n" * 10 + b"UIDL 99\r\n" + b"X\r\n" * 9 +
                  b"UIDL x\r\nNOOP\r\nQUIT\r\n")
        twins.same([script])
        twins.same([script[i:i + 1] for i in range(len(script))], step=True)


class SlowReaders(GateTest):
    COUNT = 6000

    def twins(self, **options):
        big = message(0, size=3 * 1000 * 1000)
        return Twins(self, [big], fill=lambda server: fill_maildir(
            server, "alice", self.COUNT), **options)

    @each(reuse=(False, True))
    def test_listing_that_waits_for_the_reader(self, reuse):
        twins = self.twins(reuse=reuse)
        big = b"RETR %d\r\n" % (self.COUNT + 1)
        for script in ([b"UIDL\r\n", b"NOOP\r\nUIDL\r\n", b"QUIT\r\n"],
                       [b"UIDL\r\nLIST\r\nUIDL 1\r\nUIDL\r\n", b"NOOP\r\n"],
                       [big + b"UIDL\r\n", b"UIDL 2\r\nUIDL\r\n" + big],
                       # the buffers are full when the listing begins, and
                       # the host's commands wait behind it
                       [big + b"UIDL\r\nNOOP\r\nSTAT\r\nRETR 1\r\nUIDL\r\n"
                        b"TOP 2 0\r\nUIDL 2\r\nNOOP\r\n" + big],
                       [b"UIDL\r\n" * 8 + b"QUIT\r\n"],
                       # whichever listing waits, the host's line behind it
                       # waits too
                       [b"UIDL\r\nNOOP\r\nSTAT\r\n" * 40 + b"QUIT\r\n"]):
            with self.subTest(script=script):
                amounts = []
                got = twins.same(script, rcvbuf=2048, pause=amounts)
                # the server did have to wait
                self.assertGreater(len(got), 2 * max(amounts))

    def test_reads_a_little_and_waits_again(self):
        twins = self.twins()
        got = []
        for server in twins.both():
            client = Exchange(server.pop3_port, rcvbuf=2048)
            client.send(LOGIN + b"UIDL\r\nRETR 1\r\nUIDL\r\nNOOP\r\nQUIT\r\n")
            while not client.ended and len(client.got) < 60000:
                wait_stuck(client.raw)
                client.until(lambda _, end=len(client.got) + 3000:
                             len(client.got) >= end, "more")
            got.append(client.read_all())
            client.close()
        self.assertTrue(got[0] == got[1])

    def test_thousands_of_commands_while_nobody_reads(self):
        twins = self.twins()
        script = b"UIDL\r\n" + b"NOOP\r\nUIDL 3\r\nRETR 1\r\n" * 2000
        twins.same([script + b"UIDL\r\nQUIT\r\n"], rcvbuf=2048, pause=[])

    def test_hangs_up_within_a_listing(self):
        twins = self.twins()
        for script in (b"UIDL\r\n", b"UIDL\r\nUIDL\r\nQUIT\r\n",
                       b"RETR %d\r\nUIDL\r\n" % (self.COUNT + 1)):
            for server in twins.both():
                mark = server.log_mark()
                client = Exchange(server.pop3_port, rcvbuf=2048)
                client.send(LOGIN + script)
                wait_stuck(client.raw)
                client.close()
                twins.end_of_session(server, mark)
        with twins.ours.pop3("alice") as client:
            self.assertEqual(client.stat()[0], self.COUNT + 1)


class HostileClients(GateTest):
    def test_binary(self):
        twins = Twins(self, some_messages())
        for seed in range(5):
            rng = random.Random(seed)
            data = bytes(rng.randrange(256) for _ in range(20000))
            if twins.host.line == "2.3":
                # which panics itself at a command with one of these in it
                data = data.replace(b":", b";").replace(b" ", b"_")
            with self.subTest(seed=seed):
                twins.same([data])
                twins.same([data.replace(b"\n", b"\0")])
                twins.same([b"UIDL\r\n" + data[:500]])

    def test_a_megabyte_without_a_newline(self):
        twins = Twins(self, some_messages())
        for before in (b"", b"UIDL\r\n"):
            twins.same([before, b"UIDL " * 200000], shut=False)

    def test_a_megabyte_of_newlines(self):
        twins = Twins(self, some_messages())
        twins.same([b"\n" * 1000000], shut=False)

    def test_thousands_of_commands_in_one_write(self):
        twins = Twins(self, some_messages())
        rng = random.Random(7)
        good = [b"UIDL\r\n", b"UIDL 1\r\n", b"NOOP\r\n", b"STAT\r\n",
                b"TOP 2 1\r\n", b"RETR 1\r\n", b"DELE 4\r\n", b"RSET\r\n",
                b"LIST\r\n", b"UIDL 99\r\n"]
        twins.same([b"".join(rng.choice(good) for _ in range(8000))])

    def test_hangs_up_within_a_message(self):
        twins = Twins(self, [message(1, size=3 * 1000 * 1000)])
        for server in twins.both():
            client = server.connect(rcvbuf=2048)
            client.login("alice")
            client.send(b"UIDL\r\nRETR 1\r\nUIDL\r\nDELE 1\r\nQUIT\r\n")
            client.sock.recv(2000)
            mark = server.log_mark()
            client.abort()
            twins.end_of_session(server, mark)
        twins.same([b"STAT\r\nUIDL\r\nQUIT\r\n"])

    @each(lock_session=(False, True), reuse=(False, True))
    def test_gone_right_after_the_password(self, lock_session, reuse):
        twins = Twins(self, some_messages(), lock_session=lock_session,
                      reuse=reuse)
        for number in range(20):
            client = twins.ours.connect()
            client.send(LOGIN + b"UIDL\r\nDELE 1\r\nRETR 2\r\n")
            if number % 2 == 0:
                client.abort()
            else:
                client.close()
        # the log may still tell of those before
        (host, *_), (ours, *_) = twins.run([b"UIDL\r\nSTAT\r\nQUIT\r\n"])
        self.assertEqual(host, ours)

    def test_half_a_line_at_the_end(self):
        twins = Twins(self, some_messages())
        for end in (b"UIDL", b"UIDL\r", b"QUIT", b"\0", b"UIDL 1"):
            with self.subTest(end=end):
                twins.same([b"NOOP\r\n" + end])
                twins.same([b"UIDL\r\n" + end])


class Logout(GateTest):
    @each(format=FORMATS)
    def test_uidl_change_is_logged_as_by_the_host(self, format):
        twins = Twins(self, some_messages(), format=format)
        for script in (b"UIDL\r\nQUIT\r\n", b"QUIT\r\n",
                       b"UIDL\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n",
                       b"UIDL\r\nRETR 3\r\nRETR 4\r\nQUIT\r\n"):
            with self.subTest(script=script):
                twins.same([script])
        log = twins.ours.log()
        self.assertRegex(log, r"uidl_change=[0-9]+/[0-9a-f]{8} -> ")


class LoginRefusedByHost(GateTest):
    """INBOX cannot be opened: the host sends +OK and then -ERR. With the
    plugin there is the -ERR alone."""
    allowed_in_log = r"Error: "

    def assert_err_alone(self, host, ours):
        """The host's error text ends with the time."""
        host, ours = (re.sub(rb"\[[-0-9]+ [:0-9]+\]", b"[time]", text)
                      for text in (host, ours))
        self.assertEqual(host.replace(b"+OK Logged in.\r\n", b""), ours)

    def broken(self, **options):
        twins = Twins(self, [message(1)], **options)
        for server in twins.both():
            shutil.rmtree(server.mail_dir("alice"))
            with open(server.mail_dir("alice"), "wb"):
                pass
        return twins

    @each(lock_session=(False, True), reuse=(False, True))
    def test_one_err_in_place_of_ok(self, lock_session, reuse):
        twins = self.broken(lock_session=lock_session, reuse=reuse)
        for script in (b"", b"UIDL\r\nDELE 1\r\nQUIT\r\n" * 100):
            (host, host_reset, _), (ours, ours_reset, _) = twins.run(
                [LOGIN + script], login=b"")
            self.assertNotIn(b"+OK Logged in.", ours)
            if host_reset or ours_reset:
                # hung up with input unread: TCP may lose the last bytes
                continue
            self.assertIn(b"\r\n-ERR ", host)
            self.assert_err_alone(host, ours)

    def test_with_rawlog_and_stls(self):
        twins = self.broken(rawlog=True, tls=True)
        (host, host_reset, _), (ours, ours_reset, _) = twins.run(
            [LOGIN + b"UIDL\r\n"], login=b"", stls=True)
        self.assertNotIn(b"+OK Logged in.", ours)
        if not (host_reset or ours_reset):
            self.assert_err_alone(host, ours)

    def test_others_are_served(self):
        twins = self.broken(reuse=True)
        twins.run([LOGIN], login=b"")
        twins.ours.deliver("bob", message(1))
        with twins.ours.pop3("bob") as client:
            self.assertEqual(len(client.uidls()), 1)


class Tls(GateTest):
    def test_stls_then_pipelined(self):
        twins = Twins(self, some_messages(), tls=True)
        script = random_script(random.Random(5), 7, 60)
        twins.same([script + b"QUIT\r\n"], stls=True)

    def test_slow_reader(self):
        twins = Twins(self, [message(1, size=2 * 1000 * 1000)], tls=True)
        script = b"RETR 1\r\nUIDL\r\nRETR 1\r\nUIDL 1\r\nQUIT\r\n"
        twins.same([script], tls=True, rcvbuf=2048, pause=[])
