#!/usr/bin/python3
# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The story that tests/demo tells, on two Dovecots: one as the distribution
# ships it, one with the plugin.
"""Prints before and after, checks each claim, exits with 1 if one does not
hold. Needs the plugin where Dovecot looks for modules."""

import collections
import concurrent.futures
import json
import os
import re
import shutil
import signal
import sys
import tempfile

import clients
import maildrop
from dovecot import Dovecot

USER = "alice"
MESSAGES = 300
FORMAT = "maildir"
KEEP_DAYS = 14
# Of these, new on day 10, one client downloads the first half.
NEW_MESSAGES = 20
FLAGGED = 3


class Claims:
    """What was said, and whether it is true."""

    def __init__(self):
        self.held = 0
        self.broken = []

    def check(self, claim, holds, detail=""):
        print("  [%s] %s" % ("yes" if holds else "NO", claim))
        if holds:
            self.held += 1
            return
        self.broken.append(claim)
        if detail:
            print("       " + str(detail))


def heading(text):
    print("\n%s\n%s" % (text, "-" * len(text)))


def table(header, rows):
    """Right-justified but for the first column."""
    rows = [[str(cell) for cell in row] for row in [header] + rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        first = row[0].ljust(widths[0])
        rest = [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  " + "  ".join([first] + rest).rstrip())


def megabytes(size):
    return "%.1f MB" % (size / 1e6)


def sent_bytes(text, command):
    """What a message is on the wire, as Dovecot counts it: with the +OK line,
    without the final dot."""
    reply = "+OK %d octets\r\n" % len(text) if command == "RETR" else "+OK\r\n"
    end = 0 if text.endswith(b"\n") else 2
    return len(reply) + len(text) + (b"\n" + text).count(b"\n.") + end


class Side:
    """A server and the clients that read it."""

    def __init__(self, label, work, **options):
        self.server = Dovecot(format=FORMAT, users={USER: {}}, **options)
        self.server.start()
        directory = os.path.join(work, label)
        os.mkdir(directory)
        self.clients = [kind(directory, self.server.pop3_port, USER)
                        for kind in clients.ALL if kind.installed()]

    def fill(self, messages):
        self.server.deliver(USER, *messages)

    def run_clients(self):
        """Each client once: how many messages it downloaded."""
        downloaded = []
        for client in self.clients:
            before = client.count()
            client.run()
            downloaded.append(client.count() - before)
        return downloaded

    def session(self, talk):
        """What talk(client) returns; the work at the session's end, which
        comes after the client is gone, is done then."""
        with self.server.pop3(USER) as client:
            result = talk(client)
            client.quit()
        self.server.wait_no_process("pop3")
        return result

    def uidls(self):
        return self.session(lambda client: client.uidls())

    def restart(self, **changes):
        """With other options, as an administrator would change them."""
        self.server.stop()
        for name, value in changes.items():
            setattr(self.server, name, value)
        self.server.start()

    def doveadm(self, *args):
        """What the command prints, as rows."""
        done = self.server.doveadm("-f", "json", *args, "-u", USER,
                                   check=True)
        return json.loads(done.stdout)


class Demo:
    def __init__(self, work):
        self.claims = Claims()
        self.stock = Side("stock", work, plugin=False)
        self.ours = Side("plugin", work, dict="file")
        self.sides = (self.stock, self.ours)
        self.messages = maildrop.shaped(MESSAGES)
        # What clients downloaded from the plugin's server: messages, and
        # bytes as Dovecot itself counts them.
        self.taken = 0
        self.taken_bytes = 0

    def both(self, method):
        """method of the stock side and of ours, at the same time."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(method, self.sides))

    def count_taken(self, messages, command="RETR"):
        self.taken += len(messages)
        self.taken_bytes += sum(sent_bytes(text, command)
                                for text in messages)

    def run(self):
        self.show_maildrop()
        self.read_by_clients()
        self.lose_the_index()
        removed = self.turn_retention_on()
        self.report_usage(removed)
        return self.summary()

    # 1

    def show_maildrop(self):
        server = self.ours.server
        heading("1. The same maildrop on two servers")
        print("  Dovecot %s, %s: one server as it is, one with the plugin."
              % (server.version, FORMAT))
        self.both(lambda side: side.fill(self.messages))
        shapes = {}
        for number, text in enumerate(self.messages):
            shape = maildrop.shape_of(number, MESSAGES)
            count, size = shapes.get(shape, (0, 0))
            shapes[shape] = count + 1, size + len(text)
        table(("shape", "messages", "bytes"),
              [(name, *numbers) for name, numbers in shapes.items()])
        for side in self.sides:
            stat = side.session(lambda client: client.stat())
            self.claims.check("%d messages, %s" % (stat[0],
                                                   megabytes(stat[1])),
                              stat == (MESSAGES, sum(map(len,
                                                         self.messages))))

    # 2

    def read_by_clients(self):
        heading("2. Real clients read it, and leave the mail on the server")
        first = self.both(Side.run_clients)
        second = self.both(Side.run_clients)
        for client in self.ours.clients:
            self.count_taken(self.messages, client.command)
        names = [client.name() for client in self.ours.clients]
        table(("client", "downloaded: stock", "plugin", "again: stock",
               "plugin"), list(zip(names, *first, *second)))
        everything = [MESSAGES] * len(names)
        self.claims.check("each client downloaded everything, once",
                          first == [everything] * 2)
        self.claims.check("a second run downloads nothing",
                          not any(second[0] + second[1]))
        expected = maildrop.message_ids(self.messages)
        for client in self.ours.clients:
            self.claims.check("%s has every message" % client.name(),
                              maildrop.message_ids(client.messages()) ==
                              expected)

    # 3

    def lose_the_index(self):
        heading("3. The index is lost")
        print("  dovecot.index*, dovecot-uidlist and the like are deleted, as "
              "after a move\n  of the files alone or a crash.")
        before = self.both(Side.uidls)
        self.both(lambda side: side.server.remove_indexes(USER))
        after = self.both(Side.uidls)
        table(("UIDLs", "before", "after"), [
            ("stock, message 1", before[0][1], after[0][1]),
            ("plugin, message 1", before[1][1], after[1][1]),
            ("plugin, message %d" % MESSAGES, before[1][MESSAGES],
             after[1][MESSAGES])])
        again = self.both(Side.run_clients)
        table(("client", "downloaded again: stock", "plugin"),
              [(client.name(), *numbers) for client, *numbers in
               zip(self.ours.clients, *again)])
        self.claims.check("without the plugin every client downloads all of "
                          "it again", min(again[0]) == MESSAGES)
        self.claims.check("with it no client downloads anything",
                          max(again[1]) == 0)
        self.claims.check("all UIDLs are what they were",
                          sorted(before[1].values()) ==
                          sorted(after[1].values()))

    # 4

    def turn_retention_on(self):
        heading("4. Retention: %d days after a client took a message"
                % KEEP_DAYS)
        print("  pop3_policy_removal = yes\n"
              "  pop3_policy_keep_retrieved = %d days" % KEEP_DAYS)
        self.ours.restart(faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "%d days" % KEEP_DAYS})
        self.flag_some()
        new = self.new_mail_on_day_10()
        before = self.ours.uidls()
        self.explain_on_day_15()
        removals = self.remove_from_day_15()
        return self.see_what_is_left(before, new, removals)

    def flag_some(self):
        imap = self.ours.server.imap(USER)
        imap.select()
        imap.store("1:%d" % FLAGGED, "+FLAGS", "\\Flagged")
        imap.logout()
        print("  The user flags messages 1 to %d by IMAP: they are protected."
              % FLAGGED)

    def new_mail_on_day_10(self):
        self.ours.server.set_time("+10d")
        new = maildrop.shaped(NEW_MESSAGES, first=MESSAGES)
        self.ours.fill(new)
        taken = range(MESSAGES + 1, MESSAGES + NEW_MESSAGES // 2 + 1)
        self.ours.session(lambda client: [client.retr(n) for n in taken])
        self.count_taken(new[:len(taken)])
        print("  Day 10: %d new messages; %d of them are downloaded."
              % (NEW_MESSAGES, len(taken)))
        return new

    def explain_on_day_15(self):
        self.ours.server.set_time("+15d")
        rows = self.ours.doveadm("pop3", "retention", "explain")
        print("  Day 15: doveadm pop3 retention explain -u %s" % USER)
        # The first message of each kind says what happens to it.
        kinds = {}
        for row in rows:
            kinds.setdefault((row["action"], row["rule"]), []).append(row)
        names = ("uid", "uidl", "retrieved", "action", "due", "rule")
        table(names + ("messages like it",),
              [[kind[0][name] for name in names] + [len(kind)]
               for kind in kinds.values()])
        rules = collections.Counter(row["rule"] for row in rows)
        self.claims.check("everything else that clients took by day 0 goes",
                          rules["keep_retrieved"] ==
                          MESSAGES - FLAGGED + NEW_MESSAGES // 2 and
                          rules["protected"] == FLAGGED)
        self.claims.check("what nobody took stays",
                          rules["not_retrieved"] == NEW_MESSAGES // 2)

    def one_day(self, day):
        """A session that only logs in: (messages it saw, log at its end)."""
        server = self.ours.server
        server.set_time("+%dd" % day)
        mark = server.log_mark()
        count = self.ours.session(lambda client: client.stat()[0])
        log = [line.split("pop3-policy: ", 1)[1]
               for line in server.log(mark).splitlines()
               if "pop3-policy: " in line]
        return count, log

    def remove_from_day_15(self):
        """One session a day, until one removes nothing: all log lines of
        removals."""
        print("  One session a day from then on; at its end, in the log:")
        removals, rows = [], []
        for day in range(15, 15 + KEEP_DAYS):
            count, log = self.one_day(day)
            removed = [line for line in log if line.startswith("Removed: ")]
            for line in removed[:1] if day == 15 else []:
                print("    " + line.replace(" rule=", "\n      rule="))
            for line in log if day == 15 else []:
                if line not in removed:
                    print("    " + line)
            rows.append((day, count, len(removed)))
            removals += removed
            if not removed:
                break
        table(("day", "messages", "removed after it"), rows)
        return removals

    def see_what_is_left(self, before, new, removals):
        gone = [re.search(r" uidl=(\S+)", line).group(1) for line in removals]
        after = self.ours.uidls()
        old = list(before.values())[:MESSAGES]
        self.claims.check("%d messages are gone, each with one line in the log"
                          % len(gone),
                          sorted(gone) == sorted(old[FLAGGED:]))
        self.claims.check("%d are left, under the UIDLs they always had"
                          % len(after), list(after.values()) ==
                          old[:FLAGGED] + list(before.values())[MESSAGES:])
        poplib = self.ours.clients[-1]
        have = poplib.count()
        poplib.port = self.ours.server.pop3_port
        poplib.run()
        self.count_taken(new)
        self.claims.check("%s downloads the %d messages new to it, and "
                          "nothing else" % (poplib.name(), NEW_MESSAGES),
                          poplib.count() - have == NEW_MESSAGES)
        self.ours.server.wait_no_process("pop3")
        return len(gone)

    # 5

    def report_usage(self, removed):
        heading("5. Who used what")
        rows = self.ours.doveadm("pop3", "usage", "show")
        print("  doveadm pop3 usage show -u %s (some of its columns)" % USER)
        names = ("period", "sessions", "retr_count", "retr_bytes", "top_count",
                 "top_bytes", "removed_count")
        table(names, [[row[name] for name in names] for row in rows])
        total = rows[0]
        sessions = len(re.findall(r"pop3\(%s\).*: Disconnected" % USER,
                                  self.ours.server.log()))
        self.claims.check("%d sessions, as many as the log has" % sessions,
                          total["sessions"] == sessions)
        self.claims.check("%d messages were sent" % self.taken,
                          total["retr_count"] + total["top_count"] ==
                          self.taken)
        self.claims.check("%d bytes were sent for them" % self.taken_bytes,
                          total["retr_bytes"] + total["top_bytes"] ==
                          self.taken_bytes,
                          total["retr_bytes"] + total["top_bytes"])
        self.claims.check("%d messages were removed" % removed,
                          total["removed_count"] == removed)

    def summary(self):
        print()
        if self.claims.broken:
            print("%d claims hold, %d DO NOT:" % (self.claims.held,
                                                  len(self.claims.broken)))
            for claim in self.claims.broken:
                print("  " + claim)
            return 1
        print("%d claims hold." % self.claims.held)
        return 0

    def end(self):
        for side in self.sides:
            side.server.destroy()

    def print_logs(self):
        for side in self.sides:
            print(side.server.log()[-3000:])


def main():
    sys.stdout.reconfigure(line_buffering=True)
    # Its servers and files go, too, when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = tempfile.mkdtemp(prefix="demo-")
    os.chmod(work, 0o755)
    demo = None
    try:
        demo = Demo(work)
        return demo.run()
    except BaseException:
        if demo is not None:
            demo.print_logs()
        raise
    finally:
        if demo is not None:
            demo.end()
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
