# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A POP3 client that hides nothing: tests must see the bytes, pipeline what no
# library would, and hang up in the middle.
"""Replies are str (latin-1, without CRLF), message bodies bytes.

    c = Pop3(port)                  # the greeting is read: c.greeting
    c.login("alice")                # the reply to PASS, whatever it is
    c.cmd("STAT")                   # "+OK 2 1234"
    c.multi("UIDL")                 # ("+OK", ["1 abc", "2 def"])
    c.retr(1)                       # the message, bytes
    c.uidls()                       # {1: "abc", 2: "def"}
    c.send(b"NOOP\\r\\nNOOP\\r\\n")     # raw bytes; then c.readline() twice
    c.quit(); c.close(); c.abort()  # QUIT and its reply; FIN; RST
"""

import socket
import ssl
import struct

# A hang is a failure long before this; nothing is asserted about time.
TIMEOUT_SECS = 60


class Refused(Exception):
    """The server answered -ERR where the test needs +OK."""


class Pop3:
    def __init__(self, port, host="127.0.0.1", tls=False,
                 timeout=TIMEOUT_SECS, rcvbuf=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect((host, port))
        self._file = None
        if tls:
            self._wrap()
        self._file = self.sock.makefile("rb")
        self.greeting = self.readline()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def _wrap(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def stls(self):
        self.ok("STLS")
        self._file.close()
        self._wrap()
        self._file = self.sock.makefile("rb")

    # Bytes

    def send(self, data):
        self.sock.sendall(data)

    def recv_line(self):
        """One line as bytes with its end; b"" when the server hung up."""
        return self._file.readline()

    def read_all(self):
        """Everything until the server hangs up, as bytes."""
        return self._file.read()

    def readline(self):
        """One reply line; None when the server hung up."""
        line = self.recv_line()
        if line == b"":
            return None
        return line.decode("latin-1").rstrip("\r\n")

    def read_multi(self):
        """What follows a multi-line +OK: bytes, dots unstuffed."""
        lines = []
        while True:
            line = self.recv_line()
            if line in (b".\r\n", b""):
                if line == b"":
                    raise ConnectionError("hung up within a reply")
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    # Commands

    def cmd(self, line):
        self.send(line.encode("latin-1") + b"\r\n")
        return self.readline()

    def ok(self, line):
        """Like cmd(), but -ERR is an exception."""
        reply = self.cmd(line)
        if reply is None or not reply.startswith("+OK"):
            raise Refused("%s: %s" % (line.split()[0], reply))
        return reply

    def multi(self, line):
        """(reply, lines); lines is None when the reply is no +OK."""
        reply = self.cmd(line)
        if reply is None or not reply.startswith("+OK"):
            return reply, None
        return reply, self.read_multi().decode("latin-1").splitlines()

    def login(self, user, password="secret"):
        """The reply to PASS: the only one that a refused login changes."""
        self.cmd("USER " + user)
        return self.cmd("PASS " + password)

    def stat(self):
        count, size = self.ok("STAT").split()[1:3]
        return int(count), int(size)

    def retr(self, number):
        self.ok("RETR %d" % number)
        return self.read_multi()

    def top(self, number, lines):
        self.ok("TOP %d %d" % (number, lines))
        return self.read_multi()

    def uidls(self):
        """Message number to UIDL, in the order of the listing."""
        reply, lines = self.multi("UIDL")
        if lines is None:
            raise Refused("UIDL: %s" % reply)
        pairs = [line.split(" ", 1) for line in lines]
        return {int(number): uidl for number, uidl in pairs}

    def quit(self):
        """QUIT, its reply, and the server's hanging up."""
        reply = self.cmd("QUIT")
        self.read_all()
        self.close()
        return reply

    def close(self):
        if self._file is not None:
            self._file.close()
        self.sock.close()

    def abort(self):
        """Hang up with a RST, as a client that crashed does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.close()
