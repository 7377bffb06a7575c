#!/usr/bin/python3
# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/bench/run's measurements. Needs the plugin where Dovecot looks for
# modules.

import argparse
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import maildrops
import retention
import usage
from dovecot import Dovecot
from measure import Client, Timer, cpu_secs, processors_apart, take_turns

USER = "alice"
MESSAGES = 100000
POLL_MESSAGES = 1000
RETR_MESSAGES = 1000
RETR_ROUNDS = 36
RETR_BLOCK = 100
RETR_BYTES = 2000
STATE_SESSIONS = 300
ROW = "%-46s %9s %9s %-5s %6s %6s %s"


# The login process, too, serves more than one connection.
LOGIN_REUSE = {
    "2.3": "service pop3-login {\n  service_count = 0\n}\n",
    "2.4": "service pop3-login {\n  restart_request_count = unlimited\n}\n",
}


# Each with a file of its own, since each commit rewrites the whole file.
DICTS = {
    "2.3": "pop3_policy_dict = file:{0}/%u.dict\n"
           "pop3_policy_ledger_dict = file:{0}/%u.ledger",
    "2.4": "pop3_policy {{\n  dict file {{\n"
           "    path = {0}/%{{user}}.dict\n  }}\n}}\n"
           "pop3_policy_ledger {{\n  dict file {{\n"
           "    path = {0}/%{{user}}.ledger\n  }}\n}}",
}


class Bench:
    def __init__(self, directory, percent):
        self.directory = directory
        self.percent = percent
        self.store = maildrops.Maildrops(os.path.join(directory, "cache"))
        self.missed = 0

    def scaled(self, count):
        return max(1, count * self.percent // 100)

    def pair(self, format, count, size=maildrops.SIZE_BYTES, reuse=True,
             warm=True):
        """The host and the plugin, each with the same count messages."""
        sides = []
        for plugin in (False, True):
            server = Dovecot(format=format, plugin=plugin, users={USER: {}},
                             reuse=reuse, config=LOGIN_REUSE if reuse else "")
            server.dict = {line: text.format(server.path("dict"))
                           for line, text in DICTS.items()}
            server.start()
            self.store.fill(server, USER, count, size)
            sides.append(server)
        # The first look costs what no other one does.
        for server in sides if warm else ():
            session(server)
        return sides

    def renew(self, sides, count, size=maildrops.SIZE_BYTES, warm=True):
        """Mail and state as pair() made them."""
        for server in sides:
            shutil.rmtree(server.home(USER))
            if server.plugin:
                shutil.rmtree(server.path("dict"))
                os.mkdir(server.path("dict"))
                os.chmod(server.path("dict"), 0o777)
            self.store.fill(server, USER, count, size)
            if warm:
                session(server)

    def row(self, name, sides, target=None):
        """A line of the table. sides: seconds in each round, for the host and
        for the plugin; rounds are compared one by one, since what else the
        machine does changes from one to the next."""
        ratio = statistics.median(p / h for h, p in zip(*sides))
        host, plugin = [1e3 * statistics.median(side) for side in sides]
        self.print_row(name, host, plugin, "ms", ratio, ratio, target)

    def added(self, name, sides, target):
        """The same, but the target is for what the second adds, in ms."""
        ratio = statistics.median(p / h for h, p in zip(*sides))
        more = 1e3 * statistics.median(p - h for h, p in zip(*sides))
        host, plugin = [1e3 * statistics.median(side) for side in sides]
        self.print_row(name, host, plugin, "ms", ratio, more, target)

    def print_row(self, name, host, plugin, unit, ratio, value, target):
        verdict = "" if target is None else \
            "ok" if value <= target else "MISSED"
        self.missed += verdict == "MISSED"
        print(ROW % (name, number(host, "%.2f"), number(plugin, "%.2f"), unit,
                     number(ratio, "%.3f"), number(target, "%g"), verdict))

    # Each method is one NAME.

    def uidl(self):
        """Server CPU of a session's first UIDL, and of the whole session."""
        count = self.scaled(MESSAGES)
        for format in ("sdbox", "maildir"):
            sides = self.pair(format, count)
            try:
                results = take_turns(sides, 15, uidl_session)
            finally:
                end(sides)
            self.row("UIDL of %d, %s, CPU" % (count, format),
                     column(results, 0), 0.25)
            self.row("session with UIDL of %d, %s, CPU" % (count, format),
                     column(results, 1))

    def poll(self):
        """Login, STAT, QUIT: as the client sees it, and one after the other
        until the connection ends."""
        count = self.scaled(POLL_MESSAGES)
        for reuse in (False, True):
            with in_memory(self.directory):
                sides = self.pair("sdbox", count, reuse=reuse)
            try:
                with processors_apart(sides):
                    latency = take_turns(sides, 400, poll_latency)
                blocks = take_turns(sides, 20, poll_block)
            finally:
                end(sides)
            what = "poll of %d, %s, " % (
                count, "reused process" if reuse else "new process")
            self.row(what + "latency", latency, 1.10)
            # one server process that goes on when the client is gone
            self.row(what + "in a row", column(blocks, 0))
            self.row(what + "CPU", column(blocks, 1))

    def retr(self):
        """All messages, one after the other: downloaded for the first time,
        as a client does it, and once more. By new processes in each round: of
        two that run the same program one is up to 3 % slower than the other
        for as long as it lives, wherever its memory happens to be."""
        count = self.scaled(RETR_MESSAGES)
        for format in ("sdbox", "maildir"):
            first, again, whole = ([], []), ([], []), ([], [])
            for number in range(RETR_ROUNDS):
                sides = self.pair(format, count, size=RETR_BYTES)
                try:
                    for results in first, again:
                        with processors_apart(sides):
                            blocks, sessions = retr_all(sides, count,
                                                        number % 2)
                        for side in range(2):
                            results[side].extend(blocks[side])
                            if results is first:
                                whole[side].append(sessions[side])
                finally:
                    end(sides)
            what = "%d of %d x RETR, %s, " % (RETR_BLOCK, count, format)
            for when, results in ("", again), ("first time, ", first):
                self.row(what + when + "wall", column(results, 0), 1.03)
                self.row(what + when + "CPU", column(results, 1))
            self.row("a session of the first times, CPU", whole)

    def first(self):
        """The first UIDL ever of a large maildrop: nothing is known of it."""
        count = self.scaled(MESSAGES)
        for format in ("sdbox", "maildir"):
            sides = self.pair(format, count)
            results = [[], []]
            try:
                for _ in range(3):
                    self.renew(sides, count, warm=False)
                    for side, figures in zip(results, take_turns(
                            sides, 1, first_sight)):
                        side += figures
            finally:
                end(sides)
            self.row("first UIDL ever of %d, %s, wall" % (count, format),
                     column(results, 0))
            self.row("its session from login to close, CPU",
                     column(results, 1))

    def run(self):
        retention.run(self)

    def remove(self):
        retention.remove(self)

    def passes(self):
        retention.passes(self)

    def state(self):
        """The size of `state` after downloads in many sessions."""
        sessions = STATE_SESSIONS
        each = self.scaled(MESSAGES) // sessions
        server = Dovecot(format="maildir", users={USER: {}}, reuse=True,
                         faketime=True)
        server.start()
        try:
            self.download_in_sessions(server, sessions, each)
            count = sessions * each
            uidls = listing(server)
            self.state_row(server, "state: %d in %d sessions"
                           % (count, sessions))
            server.remove_indexes(USER)
            assert sorted(listing(server)) == sorted(uidls)
            self.state_row(server, "state: the same, new UIDVALIDITY")
        finally:
            server.destroy()

    def uidls(self):
        """Export, import and recovery of a large maildrop."""
        count = self.scaled(MESSAGES)
        for format in ("sdbox", "maildir"):
            sides = self.pair(format, count)
            try:
                self.recovery(sides, format, count)
                self.export_and_import(sides[1], format, count)
            finally:
                end(sides)

    def export_and_import(self, server, format, count):
        with Timer() as timer:
            text = uidl_command(server, "export")
        self.print_row("export of %d, %s" % (count, format), None,
                       1e3 * timer.wall, "ms", None, 1e3 * timer.wall, None)
        lines = text.splitlines()
        assert len(lines) == count + 2
        for number in range(1, count + 1):
            words = lines[number].split()
            words[1] = "imported-%d" % number
            lines[number] = " ".join(words)
        path = server.path("uidls")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        with Timer() as timer:
            uidl_command(server, "import", "--force", path)
        self.print_row("import of %d, %s" % (count, format), None,
                       1e3 * timer.wall, "ms", None, 1e3 * timer.wall, 10000)
        assert listing(server)[-1] == "imported-%d" % count

    def recovery(self, sides, format, count):
        """A login that finds another UIDVALIDITY, without the plugin (the
        host's own files have to be made anew) and with it; the host lists
        GUIDs. And the most memory that this session had, and the next one."""
        guids, logins, memory = [], [[], []], []
        ledger_complete(sides[1], count)
        for number in range(9):
            with Timer() as timer:
                sides[0].doveadm("fetch", "-u", USER, "guid", "all",
                                 check=True)
            guids.append(timer.wall)
            for server, walls in zip(sides, logins):
                server.doveadm("mailbox", "update", "--uid-validity",
                               str(2000000000 + number), "-u", USER, "INBOX",
                               check=True)
                # none that recovered before
                server.restart()
                wall, most = login(server)
                walls.append(wall)
            sides[1].restart()
            memory.append((most - login(sides[1])[1]) / count)
        name = "%d, %s" % (count, format)
        self.row("login with a new UIDVALIDITY, " + name, logins)
        self.row("recovery of %s: fetch guid, what it adds" % name,
                 [guids, [p - h for h, p in zip(*logins)]], 3)
        most = statistics.median(memory)
        self.print_row("its memory a message, %s" % format, None, most,
                       "bytes", None, most, 200)

    def usage(self):
        """The counters of all users at once."""
        users = usage.names(self.scaled(usage.USERS))
        for name, measure in (("SQLite", usage.in_sqlite),
                              ("PostgreSQL", usage.in_postgresql)):
            wall = 1e3 * statistics.median(measure(users))
            self.print_row("usage show -A, %d users, %s"
                           % (len(users), name), None, wall, "ms", None,
                           wall, 5000)

    def state_row(self, server, name):
        size = len(server.dict_get(USER, "state"))
        chunks = [server.dict_get(USER, "uidl/%d" % n) for n in range(4)]
        extra = sum(len(chunk) for chunk in chunks if chunk is not None)
        self.print_row(name, None, size, "bytes", None, size, 8192)
        self.print_row("uidl/* of it", None, extra, "bytes", None, 0, None)

    def download_in_sessions(self, server, sessions, each):
        """New mail, then a session that downloads it, some hours later."""
        directory = server.mail_dir(USER)
        maildrops.make_maildir(directory)
        maildrops.give(server.home(USER), server.uid)
        for number in range(sessions):
            first = number * each + 1
            maildrops.add_files(directory, first, each, uid=server.uid)
            server.set_time("+%dh" % (number * 5))
            client = Client(server.pop3_port).login(USER)
            client.multi(b"UIDL")
            for message in range(first, first + each):
                client.multi(b"RETR %d" % message)
            client.quit()
            client.wait_end()


def uidl_command(server, *args):
    return server.doveadm("pop3", "uidl", *args, "-u", USER,
                          check=True).stdout


def ledger_complete(server, count):
    """Sessions until the ledger has all: each works at it for so long only."""
    while True:
        listing(server)
        shown = server.doveadm("pop3", "state", "show", "-u", USER,
                               check=True).stdout
        if re.search(r"upto=%d$" % count, shown, re.MULTILINE):
            return


def login(server):
    """Seconds until the first command is answered, since the host says +OK
    before it opens INBOX, and the most memory that the process had by then."""
    with Timer() as timer:
        client = Client(server.pop3_port).login(USER)
        client.command(b"NOOP")
    (pid,) = server.processes("pop3")
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        most = next(int(line.split()[1]) * 1024 for line in file
                    if line.startswith("VmHWM:"))
    client.quit()
    client.wait_end()
    return timer.wall, most


def column(results, index):
    """One of the figures that each round gave, for each side."""
    return [[figures[index] for figures in side] for side in results]


def number(value, form):
    return "" if value is None else form % value


@contextlib.contextmanager
def in_memory(directory):
    """Servers that are made within keep their files in memory. An ext4 without
    a journal, as virtual machines have it, looks at each inode that went in
    the last minutes when it makes a file: that would be measured instead."""
    memory = os.path.join(directory, "memory")
    if not os.path.exists(memory):
        os.mkdir(memory)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g,mode=1777",
                        "bench", memory], check=True)
    tempfile.tempdir, before = memory, tempfile.tempdir
    try:
        yield
    finally:
        tempfile.tempdir = before


def end(sides):
    if sys.exc_info()[0] is not None:
        for server in sides:
            print(server.log()[-3000:])
    for server in sides:
        server.destroy()


def session(server, commands=()):
    client = Client(server.pop3_port).login(USER)
    client.command(b"STAT")
    for command in commands:
        client.multi(command)
    client.quit()
    client.wait_end()


def listing(server):
    with server.pop3(USER) as client:
        uidls = client.uidls()
        client.quit()
    return list(uidls.values())


def uidl_session(server):
    with Timer(server) as whole:
        client = Client(server.pop3_port).login(USER)
        client.command(b"STAT")
        with Timer(server) as uidl:
            client.multi(b"UIDL")
        client.quit()
        client.wait_end()
    return uidl.cpu, whole.cpu


def poll_latency(server):
    """Until the reply to QUIT is there. What goes on after it is not to
    disturb the next one, which is the other side's."""
    cpu_secs(server)
    with Timer() as timer:
        client = Client(server.pop3_port).login(USER)
        client.command(b"STAT")
        client.quit()
    client.wait_end()
    return timer.wall


def poll_block(server, count=50):
    """Seconds a poll: wall, CPU."""
    with Timer(server) as timer:
        for _ in range(count):
            session(server)
    return timer.wall / count, timer.cpu / count


def retr_all(sides, count, begins):
    """Both sides at once, a block of messages on the one, then on the other
    (begins: which of them is first): whatever else the machine does, it does
    to both. For each side: wall and CPU of each block; and CPU of each side's
    session."""
    clients, blocks, sessions = [], [[] for _ in sides], [0 for _ in sides]
    for number, side in enumerate(sides):
        with Timer(side) as timer:
            clients.append(Client(side.pop3_port).login(USER))
            clients[-1].multi(b"UIDL")
        sessions[number] += timer.cpu
    for begin in range(1, count + 1, RETR_BLOCK):
        order = list(range(len(sides)))
        backwards = (begin // RETR_BLOCK + begins) % 2
        for number in order[::-1] if backwards else order:
            with Timer(sides[number]) as timer:
                for message in range(begin,
                                     min(begin + RETR_BLOCK, count + 1)):
                    clients[number].multi(b"RETR %d" % message)
            blocks[number].append((timer.wall, timer.cpu))
            sessions[number] += timer.cpu
    for number, side in enumerate(sides):
        with Timer(side) as timer:
            clients[number].quit()
            clients[number].wait_end()
        sessions[number] += timer.cpu
    return blocks, sessions


def first_sight(server):
    with Timer(server) as whole:
        with Timer() as timer:
            client = Client(server.pop3_port).login(USER)
            client.multi(b"UIDL")
        client.quit()
        client.wait_end()
    return timer.wall, whole.cpu


NAMES = ("uidl", "poll", "retr", "state", "first", "uidls", "run", "remove",
         "passes", "usage")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=int, default=100, metavar="PERCENT")
    parser.add_argument("name", nargs="*", choices=[[], *NAMES])
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    # Its servers and files go, too, when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = tempfile.mkdtemp(prefix="bench-")
    os.chmod(directory, 0o755)
    bench = Bench(directory, args.scale)
    print(ROW % ("", "host", "plugin", "unit", "ratio", "target", ""))
    try:
        for name in args.name or NAMES:
            getattr(bench, name)()
    finally:
        memory = os.path.join(directory, "memory")
        if os.path.ismount(memory):
            subprocess.run(["umount", memory], check=True)
        shutil.rmtree(directory)
    return 1 if bench.missed > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
