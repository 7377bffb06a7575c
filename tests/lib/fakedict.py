# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A dict service that fails as it is told to. It speaks just enough of the
# dict protocol (the same on both lines) for lookups and commits.
"""In a test:

    fake = FakeDict()
    server = self.dovecot(dict=fake.setting)
    fake.rule = lambda operation, user, keys: SILENT
    fake.wait_seen(LOOKUP)
    fake.close()            # from now on there is no socket

rule says what happens to an operation (LOOKUP or COMMIT) of a user on keys
(without "priv/pop3-policy/"): ANSWER, FAIL, SILENT (it never answers), HANG_UP,
or for a commit that is applied LOSE (then the connection breaks) or SWALLOW
(it is never answered)."""

import os
import shutil
import socket
import tempfile
import threading

from dovecot import wait_for

LOOKUP, COMMIT = "lookup", "commit"
ANSWER, FAIL, SILENT, HANG_UP, LOSE, SWALLOW = \
    "answer", "fail", "silent", "hang up", "lose", "swallow"
PREFIX = "priv/pop3-policy/"
UNESCAPE = {"0": "\0", "1": "\1", "t": "\t", "r": "\r", "n": "\n"}


def unescape(text):
    parts = text.split("\1")
    return parts[0] + "".join(UNESCAPE[p[0]] + p[1:] for p in parts[1:])


def escape(text):
    for char, name in (("\1", "1"), ("\0", "0"), ("\t", "t"), ("\r", "r"),
                       ("\n", "n")):
        text = text.replace(char, "\1" + name)
    return text


class _Connection:
    def __init__(self, fake, sock):
        self.fake = fake
        self.sock = sock
        self.transactions = {}

    def run(self):
        with self.sock, self.sock.makefile("rb") as file:
            for line in file:
                args = line.decode("utf-8").rstrip("\n").split("\t")
                if not self.command(args[0][0],
                                    [args[0][1:]] + args[1:]):
                    return

    def reply(self, text):
        try:
            self.sock.sendall((text + "\n").encode("utf-8"))
        except OSError:
            pass
        return True

    def command(self, name, args):
        """False: the connection ends."""
        args = [unescape(arg) for arg in args]
        if name == "L":
            return self.lookup(args[0], args[1])
        if name == "B":
            self.transactions[args[0]] = (args[1], {})
        elif name == "S":
            self.transactions[args[0]][1][args[1]] = args[2]
        elif name == "U":
            self.transactions[args[0]][1][args[1]] = None
        elif name == "C":
            return self.commit(args[0], *self.transactions.pop(args[0]))
        return True

    def lookup(self, key, user):
        action = self.fake.decide(LOOKUP, user, [key])
        if action in (SILENT, HANG_UP):
            return action == SILENT
        if action == FAIL:
            return self.reply("Ftold to fail")
        value = self.fake.values.get((user, key.replace(PREFIX, "", 1)))
        return self.reply("N" if value is None else "O" + escape(value))

    def commit(self, number, user, changes):
        action = self.fake.decide(COMMIT, user, list(changes))
        if action in (ANSWER, LOSE, SWALLOW):
            for key, value in changes.items():
                key = key.replace(PREFIX, "", 1)
                if value is None:
                    self.fake.values.pop((user, key), None)
                else:
                    self.fake.values[user, key] = value
        if action in (SILENT, HANG_UP, LOSE, SWALLOW):
            return action in (SILENT, SWALLOW)
        if action == FAIL:
            return self.reply("F%s\ttold to fail" % number)
        return self.reply("O" + number)


class FakeDict:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="pp-")
        os.chmod(self.directory, 0o755)
        self.path = os.path.join(self.directory, "dict")
        self.values = {}
        self.seen = []
        self.rule = lambda operation, user, keys: ANSWER
        self.setting = {
            "2.3": "pop3_policy_dict = proxy:%s:pop3_policy" % self.path,
            "2.4": "pop3_policy {\n  dict proxy {\n    name = pop3_policy\n"
                   "    socket_path = %s\n  }\n}" % self.path,
        }
        self.listener = None
        self.connections = []
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o777)
        self.listener.listen(100)
        threading.Thread(target=self._accept, args=(self.listener,),
                         daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections.append(sock)
            threading.Thread(target=_Connection(self, sock).run,
                             daemon=True).start()

    def decide(self, operation, user, keys):
        keys = [key.replace(PREFIX, "", 1) for key in keys]
        self.seen.append((operation, user, keys))
        return self.rule(operation, user, keys)

    def wait_seen(self, operation, count=1):
        wait_for(lambda: sum(s[0] == operation for s in self.seen) >= count,
                 "the dict's " + operation)

    def hang_up(self):
        """Ends all connections: whatever waits fails now."""
        for sock in self.connections:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections.clear()

    def close(self):
        if self.listener is None:
            return
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.listener = None
        os.unlink(self.path)
        self.hang_up()

    def destroy(self):
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)
