# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Two servers with copies of one maildrop: the host alone, and the host with
# the plugin. Both get the same bytes; all that the client can see, and the
# host's own log line, must be the same.
"""Usage, in a SessionTest:

    twins = Twins(self, [message(1), message(2)], format="mdbox")
    reply = twins.same([b"UIDL\\r\\nQUIT\\r\\n"])       # asserts; the bytes

exchange() is the client: it writes and reads at the same time, so that
neither side can wait for the other for ever."""

import array
import fcntl
import os
import select
import shutil
import socket
import ssl
import struct
import termios
import time

from dovecot import WAIT_SECS, wait_for

LOGIN = b"USER alice\r\nPASS secret\r\n"
# All that the host counts; the same names on both lines.
COUNTS = ("input", "output", "top_count", "top_bytes", "retr_count",
          "retr_bytes", "deleted_count", "message_count", "message_bytes",
          "uidl_change")
COUNTS_23 = dict(zip(COUNTS, "%i %o %t %p %r %b %d %m %s "
                             "%{uidl_change}".split()))
LOGOUT_FORMAT = {
    "2.3": "pop3_logout_format = counts " + " ".join(
        "%s=%s" % item for item in COUNTS_23.items()) + "\n",
    "2.4": "pop3_logout_format = counts " + " ".join(
        "%s=%%{%s}" % (name, name) for name in COUNTS) + "\n",
}
POLL_SECS = 0.001
# How often what a reset may have cut is asked for.
TRIES = 5


def waiting(sock):
    """Bytes that have arrived here and were not read."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, count)
    return count[0]


def unread_by_server(sock):
    """Bytes sent on SOCK that the server's process has not read; 0 also once
    the server has hung up."""
    def address(pair):
        return "%08X:%04X" % (struct.unpack("=I", socket.inet_aton(
            pair[0]))[0], pair[1])
    try:
        here, there = address(sock.getsockname()), address(sock.getpeername())
    except OSError:
        return 0
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[1:3] == [there, here]:
                return int(fields[4].split(":")[1], 16)
    return 0


def wait_read(sock):
    """Until the server has read all that was sent to it."""
    wait_for(lambda: unread_by_server(sock) == 0, "the server's reading")


def wait_stuck(sock):
    """Until no more arrives here, because the buffers on the way are full
    (or because that is all): how much it is. A wrong guess only makes a test
    easier."""
    seen, same = -1, 0
    deadline = time.monotonic() + WAIT_SECS
    while same < 20 and time.monotonic() < deadline:
        now = waiting(sock)
        same = same + 1 if now == seen and now > 0 else 0
        seen = now
        time.sleep(POLL_SECS)
    return seen


class Exchange:
    """One client's connection: writes chunks, reads until the end."""

    def __init__(self, port, tls=False, rcvbuf=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(("127.0.0.1", port))
        self.raw = self.sock
        self.got = bytearray()
        self.ended = False
        # it hung up with input unread: TCP may have lost the last bytes
        self.reset = False
        if tls:
            self.start_tls()
        self.sock.setblocking(False)

    def start_tls(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock.setblocking(True)
        self.sock = context.wrap_socket(self.sock,
                                        suppress_ragged_eofs=True)
        self.raw = self.sock
        self.sock.setblocking(False)

    def _read(self):
        try:
            data = self.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data = b""
            self.reset = True
        self.ended = data == b""
        self.got += data

    def _write(self, data):
        try:
            return self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError,
                ssl.SSLWantReadError):
            return 0
        except OSError:
            # What came before the server hung up can still be read.
            self.reset = True
            return len(data)

    def send(self, data):
        """Writes all of it, and reads what comes meanwhile."""
        view = memoryview(data)
        deadline = time.monotonic() + WAIT_SECS
        while len(view) > 0 and not self.ended:
            assert time.monotonic() < deadline, "the server reads no more"
            readable, writable, _ = select.select([self.raw], [self.raw], [],
                                                  WAIT_SECS)
            if readable:
                self._read()
            if writable:
                view = view[self._write(view):]

    def until(self, condition, what):
        """Reads until condition(all that came) or the end."""
        deadline = time.monotonic() + WAIT_SECS
        while not self.ended and not condition(self.got):
            assert time.monotonic() < deadline, "waited in vain for " + what
            select.select([self.raw], [], [], 1)
            self._read()

    def read_all(self):
        self.until(lambda got: False, "the server's hanging up")
        return bytes(self.got)

    def close(self):
        self.sock.close()


def exchange(port, chunks, *, login=b"", tls=False, stls=False, rcvbuf=None,
             step=False, pause=None, shut=True):
    """All bytes that the server sends in answer to CHUNKS, and whether it hung
    up with input unread (when TCP may lose the last ones).

    login   is sent first, and the login awaited
    step    a chunk is sent only when the server has read the one before
    pause   a list: nothing is read before the server can send no more, and
            what waits then is appended
    shut    the client ends its side after the last chunk"""
    client = Exchange(port, tls=tls, rcvbuf=rcvbuf)
    try:
        if stls:
            client.until(lambda got: b"\r\n" in got, "the greeting")
            client.send(b"STLS\r\n")
            client.until(lambda got: got.count(b"\r\n") == 2, "STLS")
            client.start_tls()
        # before, there is nobody who could log anybody in
        client.until(lambda got: b"\r\n" in got, "the greeting")
        if login:
            client.send(login)
            client.until(lambda got: b"+OK Logged in.\r\n" in got, "login")
        for chunk in chunks:
            client.send(chunk)
            if pause is not None:
                pause.append(wait_stuck(client.raw))
            if step and not client.ended:
                wait_read(client.raw)
        if shut and not (tls or stls):
            # before the login is over this would end it
            client.until(lambda got: got.count(b"\r\n") >= 3, "login")
            try:
                client.sock.shutdown(socket.SHUT_WR)
            except OSError:
                client.reset = True
        return client.read_all(), client.reset
    finally:
        client.close()


class Twins:
    def __init__(self, test, messages, *, config=LOGOUT_FORMAT,
                 fill=None, **options):
        """FILL(server), if given, fills alice's maildrop in place of MESSAGES.
        The host's own answers are asked for, so the plugin adds nothing to
        CAPA."""
        self.test = test
        settings = dict(options.pop("settings", {}))
        settings.setdefault("pop3_policy_capa", "no")
        self.host = test.dovecot(plugin=False, config=config, **options)
        if fill is not None:
            fill(self.host)
        self.host.deliver("alice", *messages)
        self.ours = test.dovecot(config=config, settings=settings, **options)
        self.copy_mail()

    def copy_mail(self):
        """alice's maildrop, with all that the host knows about it."""
        target = self.ours.home("alice")
        shutil.rmtree(target, ignore_errors=True)
        if not os.path.exists(self.host.home("alice")):
            return
        shutil.copytree(self.host.home("alice"), target, symlinks=True)
        for path, dirs, files in os.walk(target):
            for name in [path] + [os.path.join(path, f) for f in files]:
                os.chown(name, self.ours.uid, self.ours.uid)

    def both(self):
        return (self.host, self.ours)

    def run(self, chunks, login=LOGIN, **options):
        """What each of both sends, and logs about its session."""
        results = []
        for server in self.both():
            mark = server.log_mark()
            port = server.pop3s_port if options.get("tls") else \
                server.pop3_port
            got, reset = exchange(port, chunks, login=login, **options)
            results.append((got, reset, self.end_of_session(server, mark)))
        return results

    @staticmethod
    def end_of_session(server, mark):
        """The host's last words about a session that was logged in."""
        return server.wait_log(r"^.*pop3\(alice\).*?: (Disconnected.*)$",
                               after=mark).group(1)

    def same(self, chunks, **options):
        """Asserts that both answer the same, and that the host counts the
        same bytes. Returns the answer.

        TCP may lose the last bytes of a server that hangs up with input
        unread: then it is all done again, and when it loses some each time,
        one answer has to begin the other, by the counts as long as it."""
        for _ in range(TRIES):
            (host, host_reset, host_log), (ours, ours_reset, ours_log) = \
                self.run(chunks, **options)
            if len(host) == len(ours) or not (host_reset or ours_reset):
                break
        self.test.assertEqual(host_log, ours_log)
        self.last_log = ours_log
        if host_reset or ours_reset:
            length = min(len(host), len(ours))
            host, ours = host[:length], ours[:length]
        if host != ours:
            at = next((i for i, (a, b) in enumerate(zip(host, ours))
                       if a != b), min(len(host), len(ours)))
            self.test.fail("from byte %d of %d and %d on: %r, but %r" % (
                at, len(host), len(ours), host[max(0, at - 80):at + 80],
                ours[max(0, at - 80):at + 80]))
        return ours
