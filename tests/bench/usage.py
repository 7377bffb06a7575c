# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# doveadm pop3 usage show -A for many users, in SQLite and in PostgreSQL.
"""As the counters of all users, those of one real session: what is measured
reads and prints them."""

import sqlite3

from databases import PostgreSQL, configure
from dovecot import Dovecot, message
from measure import Timer

USERS = 10000
ROUNDS = 3
COPY = ("INSERT INTO pop3_policy (username, name, value) "
        "SELECT '%s', name, value FROM pop3_policy WHERE username = '%s'")


def names(count):
    return ["user%05d" % number for number in range(count)]


def one_session(server, user):
    server.deliver(user, message())
    with server.pop3(user) as client:
        client.retr(1)
        client.quit()
    server.wait_no_process("pop3")


def copies(users):
    return [COPY % (user, users[0]) for user in users[1:]]


def seconds(server, users):
    """Until all is printed, in each round."""
    results = []
    for _ in range(ROUNDS):
        with Timer(server) as timer:
            text = server.doveadm("-f", "tab", "pop3", "usage", "show", "-A",
                                  "--by", "total", check=True).stdout
        assert text.count("\n") == len(users) + 1
        results.append(timer.wall)
    return results


def in_sqlite(users):
    server = Dovecot(dict="sqlite", users=dict.fromkeys(users, {}))
    try:
        server.start()
        one_session(server, users[0])
        database = sqlite3.connect(server.sqlite_file)
        for statement in copies(users):
            database.execute(statement)
        database.commit()
        database.close()
        return seconds(server, users)
    finally:
        server.destroy()


def in_postgresql(users):
    database = PostgreSQL()
    server = Dovecot(plugin=False, dict=None, users=dict.fromkeys(users, {}))
    try:
        database.start()
        configure(server, database)
        server.start()
        one_session(server, users[0])
        database.sql("BEGIN; %s; COMMIT" % ";".join(copies(users)))
        return seconds(server, users)
    finally:
        server.destroy()
        database.destroy()
