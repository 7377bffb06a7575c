# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What removal costs, for the names run, remove and passes of bench.py.

import os
import re
import shutil
import statistics
import subprocess
import time

from dovecot import Dovecot
from measure import Client, Timer, take_turns

USERS = 1000
DUE_USERS = 10
USER_MESSAGES = 20
REMOVED = 10000
PASS_MESSAGES = 100000
PASS_SIDES = ("no", "yes", "look")
PASS_ROUNDS = 12
PASS_SESSIONS = 4
# for a doveadm that removes it
DUE = {"2.3": "plugin/pop3_policy_keep_unretrieved=1s",
       "2.4": "pop3_policy_keep_unretrieved=1s"}
# A second after it was seen, mail may go.
SOON = {"pop3_policy_removal": "yes", "pop3_policy_min_keep": "0",
        "pop3_policy_removal_limit_percent": "100",
        "pop3_policy_keep_unretrieved": "1s"}


def doveadm(server, *args):
    """Its own output goes nowhere: a terminal would be measured, too."""
    with Timer() as timer:
        subprocess.run(["doveadm", "-c", server.config_file, *args],
                       env=server._full_environment(), check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return timer.wall


def session(server, user, *commands):
    """STAT, and these; its CPU time."""
    with Timer(server) as timer:
        client = Client(server.pop3_port).login(user)
        client.command(b"STAT")
        for command in commands:
            client.multi(command)
        client.quit()
        client.wait_end()
    return timer.cpu


def run(bench):
    """All users, of whom one in a hundred has something to remove, beside a
    host's command that looks at each one's INBOX."""
    count = max(bench.scaled(USERS), DUE_USERS)
    users = {"user%04d" % n: {"pop3_policy_keep_retrieved": "14d"}
             for n in range(count)}
    due = list(users)[::count // DUE_USERS][:DUE_USERS]
    for user in due:
        users[user] = {"pop3_policy_keep_retrieved": "1s"}
    settings = {k: v for k, v in SOON.items() if "unretrieved" not in k}
    server = Dovecot(format="maildir", users=users, reuse=True,
                     settings=settings)
    server.start()
    results = [[], []]
    try:
        for user in users:
            bench.store.fill(server, user, USER_MESSAGES)
            session(server, user, b"RETR 1")
        for number in range(9):
            for user in due:
                session(server, user, b"RETR 2")
            time.sleep(1.1)
            sides = [lambda: doveadm(server, "-o", "mail_plugins=", "mailbox",
                                     "status", "-A", "messages", "INBOX"),
                     lambda: doveadm(server, "pop3", "retention", "run", "-A")]
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                results[side].append(sides[side]())
    finally:
        server.destroy()
    # the first look costs what no other one does
    bench.row("mailbox status / retention run -A of %d" % count,
              [side[1:] for side in results], 0.5)


def fill_again(bench, server, user, count):
    shutil.rmtree(server.home(user), ignore_errors=True)
    if os.path.exists(server.dict_file(user)):
        os.unlink(server.dict_file(user))
    bench.store.fill(server, user, count)
    session(server, user, b"UIDL")


def remove(bench):
    """doveadm expunge, and a run that removes the same. What is due is so only
    by the run's own setting: else a session that takes its time would remove it
    at its end."""
    count = bench.scaled(REMOVED)
    for format in ("sdbox", "maildir"):
        server = Dovecot(format=format, reuse=True, settings={
            **SOON, "pop3_policy_keep_unretrieved": "1d"},
            users={"host": {}, "plugin": {}})
        server.start()

        def work(user):
            fill_again(bench, server, user, count)
            time.sleep(1.1)
            if user == "host":
                wall = doveadm(server, "-o", "mail_plugins=", "expunge", "-u",
                               user, "mailbox", "INBOX", "all")
            else:
                wall = doveadm(server, "-o", DUE[server.line], "pop3",
                               "retention", "run", "-u", user)
            assert server.doveadm(
                "search", "-u", user, "mailbox", "INBOX", "all",
                check=True).stdout == ""
            return wall
        try:
            results = take_turns(("host", "plugin"), 15, work)
        finally:
            server.destroy()
        bench.row("removal of %d, %s, wall" % (count, format), results, 1.2)


def passes(bench):
    """What removal adds to the CPU time of a session of a large maildrop where
    nothing is due: by what the state says, and where it has to look, since
    flags alone keep all of it. Each round has new processes, which serve all
    sides: of two that run the same program one is slower than the other for as
    long as it lives, wherever its memory happens to be."""
    count = bench.scaled(PASS_MESSAGES)
    for format in ("sdbox", "maildir"):
        server = Dovecot(format=format, reuse=True, users={
            "no": {"pop3_policy_removal": "no"}, "yes": {},
            "look": {"pop3_policy_keep_unretrieved": "1s"}},
            settings={**SOON, "pop3_policy_keep_unretrieved": "0",
                      "pop3_policy_keep_retrieved": "14d",
                      "pop3_policy_protect": r"\Flagged"})
        server.start()
        results = [[], [], []]
        try:
            for user in PASS_SIDES:
                bench.store.fill(server, user, count)
                server.doveadm("flags", "add", "-u", user, r"\Flagged",
                               "mailbox", "INBOX", "all", check=True)
                session(server, user, b"UIDL")
            noted = last_look(server)
            for number in range(PASS_ROUNDS):
                server.restart()
                for user in PASS_SIDES:
                    session(server, user)
                for side, seconds in zip(results, take_turns(
                        PASS_SIDES, PASS_SESSIONS,
                        lambda user: pass_session(server, user))):
                    side.append(statistics.median(seconds))
            assert len(server.doveadm(
                "search", "-u", "look", "mailbox", "INBOX", "all",
                check=True).stdout.splitlines()) == count
            assert last_look(server) not in ([], noted)
        finally:
            server.destroy()
        for what, side in ("nothing due", 1), ("a look", 2):
            bench.added("removal pass of %d, %s, %s" % (count, format, what),
                        (results[0], results[side]), 5)


def last_look(server):
    """What the last pass noted, if there was one: when to look again, and by
    which rules."""
    return re.findall(r"\bdue=(\S+)", server.dict_get("look", "state"))


def pass_session(server, user):
    """Other rules each time: it has to look. All sides have them, since they
    are stored, and read."""
    server.pass_rules = getattr(server, "pass_rules", 0) + 1
    server.doveadm("pop3", "policy", "set", "-u", user, "keep_retrieved=%dd" %
                   (14 + server.pass_rules), check=True)
    return session(server, user)
