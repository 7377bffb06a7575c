# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What is measured and how: CPU time of a server's processes, and a client
# that does not wait for the kernel.

import contextlib
import glob
import os
import socket
import time

import pop3

TICKS = os.sysconf("SC_CLK_TCK")


class Client:
    """As little of a POP3 client as possible. Without TCP_QUICKACK a server
    that writes twice waits 40 ms for an acknowledgement."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(pop3.TIMEOUT_SECS)
        self.sock.connect(("127.0.0.1", port))
        self.until(b"\r\n")

    def recv(self):
        data = self.sock.recv(1 << 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    def until(self, end):
        """What arrives until it ends with this: how many bytes."""
        size, tail = 0, b""
        while not tail.endswith(end):
            data = self.recv()
            if not data:
                raise ConnectionError("hung up after %r" % tail)
            size += len(data)
            tail = (tail + data)[-300:]
        return size, tail

    def command(self, line):
        self.sock.sendall(line + b"\r\n")
        tail = self.until(b"\r\n")[1]
        if not tail.startswith(b"+OK"):
            raise ConnectionError("%r: %r" % (line, tail))

    def multi(self, line):
        self.sock.sendall(line + b"\r\n")
        return self.until(b"\r\n.\r\n")[0]

    def login(self, user):
        self.command(b"USER " + user.encode())
        self.command(b"PASS secret")
        return self

    def quit(self):
        self.command(b"QUIT")

    def wait_end(self):
        """Until the server has hung up."""
        while self.recv():
            pass
        self.sock.close()


def _processes(server):
    """Paths below /proc of the server's processes."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        try:
            if os.getpgid(int(path[6:])) == server.process.pid:
                found.append(path)
        except ProcessLookupError:
            pass
    return found


def _children_secs(server):
    """CPU time of children that the master has waited for."""
    with open("/proc/%d/stat" % server.process.pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def _read(path):
    """Empty if the process has gone meanwhile."""
    try:
        with open(path, encoding="latin-1") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cpu_now(server):
    """CPU time by now, or None while a process has something to do: that
    one's figure is old."""
    total = _children_secs(server)
    for path in _processes(server):
        spent = _read(path + "/schedstat").split()
        state = _read(path + "/stat").rpartition(")")[2].split()
        if not spent or not state:
            continue
        if state[0] not in "SZ":
            return None
        total += int(spent[0]) / 1e9
    return total


def cpu_secs(server):
    """CPU time of all of the server's processes so far, once they rest.
    Exact to the microsecond for those that live, to a tick for others."""
    last = None
    while True:
        total = _cpu_now(server)
        if total is not None and total == last:
            return total
        last = total
        time.sleep(0.002)


class Timer:
    """with Timer(server) as t: ...; then t.cpu and t.wall, in seconds. The
    CPU time includes what the server does on after the block."""

    def __init__(self, server=None):
        self.server = server

    def __enter__(self):
        if self.server is not None:
            self._cpu = cpu_secs(self.server)
        self._wall = time.perf_counter()
        return self

    def __exit__(self, *_exc):
        self.wall = time.perf_counter() - self._wall
        if self.server is not None:
            self.cpu = cpu_secs(self.server) - self._cpu


@contextlib.contextmanager
def processors_apart(servers):
    """The client has a processor of its own: else the kernel likes to wake it
    up on the server's, where it waits until the server has nothing to do."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        yield
        return
    _move(servers, usable[:-1])
    os.sched_setaffinity(0, usable[-1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)
        _move(servers, usable)


def _move(servers, processors):
    for path in [p for server in servers for p in _processes(server)]:
        try:
            os.sched_setaffinity(int(path[6:]), processors)
        except ProcessLookupError:
            pass


def take_turns(sides, rounds, work):
    """work(side) on each side, rounds times, first one then the other first:
    what it returned, a list for each side."""
    results = [[] for _ in sides]
    for number in range(rounds):
        order = range(len(sides))
        for index in order if number % 2 == 0 else reversed(order):
            results[index].append(work(sides[index]))
    return results
