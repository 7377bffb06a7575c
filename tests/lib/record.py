#!/usr/bin/python3
# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Records of a maildrop and its state as one line of Dovecot, and one version
# of the plugin, wrote them: later ones, and the other line, must read them
# (tests/session/test_records.py).
"""record.py DIRECTORY [RECORDS], run by tests/lib/with-plugin: writes
DIRECTORY/LINE-FORMAT.tar.gz for the installed line, and LINE-rich-FORMAT with
all that a state can have; or, of those of another line in RECORDS, OTHER-LINE-
rich-FORMAT: what that one wrote, and this one went on with. A record, once
made, stays as it is: that is its use."""

import io
import json
import os
import re
import shutil
import sys
import tarfile

from dovecot import FORMATS, Dovecot, installed_line, message
from uidlformats import BY_GUID

LISTING = "listing.json"
# What retention knows of all messages, in a rich record.
EXPLAINED = "explained.json"
RICH = {
    "config": "pop3_delete_type = flag\npop3_deleted_flag = POP3Deleted\n",
    "settings": {"pop3_policy_removal": "yes",
                 "pop3_policy_keep_deleted": "60 days"},
}


def session(server, retrieve=(), delete=()):
    with server.pop3("alice") as client:
        uidls = client.uidls()
        for number in retrieve:
            client.retr(number)
        for number in delete:
            client.ok("DELE %d" % number)
        client.quit()
    server.wait_no_process("pop3")
    return uidls


def fill(server):
    """Rules of several validities, texts and times. Returns the
    listing: number of the message to UIDL, in its order."""
    server.deliver("alice", *map(message, range(1, 7)))
    session(server, retrieve=(1, 2, 3))
    session(server, delete=(2,))
    server.doveadm("mailbox", "update", "--uid-validity", "1234567890",
                   "-u", "alice", "INBOX", check=True)
    server.deliver("alice", *map(message, range(7, 9)))
    session(server, retrieve=(4, 7))
    server.config = BY_GUID
    server.restart()
    server.deliver("alice", *map(message, range(9, 11)))
    uidls = session(server, retrieve=(9,))
    numbers = [1, 3, 4, 5, 6, 7, 8, 9, 10]
    return dict(zip(numbers, uidls.values()))


def listing(server):
    """Number of the message to UIDL, without a retrieval."""
    found = {}
    with server.pop3("alice") as client:
        for number, uidl in client.uidls().items():
            head = client.top(number, 0)
            found[int(re.search(rb"Subject: message (\d+)",
                                head).group(1))] = uidl
        client.quit()
    server.wait_no_process("pop3")
    return found


def explained(server):
    """Without what passes with the time."""
    rows = json.loads(server.doveadm(
        "-f", "json", "pop3", "retention", "explain", "-u", "alice",
        check=True).stdout)
    return [{name: row[name] for name in ("uidl", "first_seen", "retrieved",
                                          "deleted")} for row in rows]


def adopt(server, uidls):
    """Other UIDLs, listed the other way round."""
    lines = server.doveadm("pop3", "uidl", "export", "-u", "alice",
                           check=True).stdout.splitlines()
    text = "\n".join([lines[0], *reversed(lines[1:-1]), lines[-1]]) + "\n"
    for old, new in uidls.items():
        text = text.replace(" %s " % old, " %s " % new)
    path = server.path("import")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    server.doveadm("pop3", "uidl", "import", "-u", "alice", "--force",
                   "--order", path, check=True)


def bump(server, validity):
    server.doveadm("mailbox", "update", "--uid-validity", validity, "-u",
                   "alice", "INBOX", check=True)


def fill_rich(server):
    """Also imported texts, an order, grace, and days that ended."""
    server.set_moment("2026-11-20T12:00:00")
    server.deliver("alice", *map(message, range(1, 8)))
    uidls = session(server, retrieve=(1, 2, 3))
    adopt(server, {uidls[4]: "from%elsewhere,1", uidls[5]: "x" * 70})
    session(server, delete=(3,))
    server.set_moment("2026-11-21T12:00:00")
    bump(server, "1234567890")
    server.deliver("alice", *map(message, range(8, 10)))
    session(server, retrieve=(8,))


def go_on(server):
    """The other line with what one of them wrote."""
    server.set_moment("2026-11-22T12:00:00")
    server.deliver("alice", *map(message, range(10, 12)))
    uidls = session(server, retrieve=(1, 10), delete=(2,))
    server.set_moment("2026-11-23T12:00:00")
    bump(server, "1234567891")
    session(server)
    adopt(server, {uidls[10]: "from-elsewhere-2"})


def unpack(server, path):
    """What the record has, for a server that does not run."""
    for part in ("home", "dict"):
        shutil.rmtree(server.path(part))
    with tarfile.open(path) as tar:
        tar.extractall(server.root)
    for top, _, names in os.walk(server.path("home")):
        for name in [top] + [os.path.join(top, n) for n in names]:
            os.chown(name, server.uid, server.uid)
    os.chown(server.dict_file("alice"), server.uid, server.uid)
    for part in ("home", "dict"):
        os.chmod(server.path(part), 0o777)


def add_text(tar, name, value):
    text = json.dumps(value, indent=1).encode()
    member = tarfile.TarInfo(name)
    member.size = len(text)
    tar.addfile(member, io.BytesIO(text))


def write(path, server, texts):
    server.stop()
    with tarfile.open(path, "w:gz") as tar:
        for part in ("home", "dict"):
            tar.add(server.path(part), part)
        for name, value in texts.items():
            add_text(tar, name, value)


def make_rich(path, format, before=None):
    server = Dovecot(format=format, faketime="2026-11-20T12:00:00", env={
        "DOVECOT_HOSTNAME": "mail.example.com"}, **RICH)
    try:
        if before is None:
            fill_rich(server.start())
        else:
            unpack(server, before)
            go_on(server.start())
        write(path, server, {LISTING: listing(server),
                             EXPLAINED: explained(server)})
    finally:
        server.destroy()


def make(directory):
    for format in FORMATS:
        server = Dovecot(format=format, env={
            "DOVECOT_HOSTNAME": "mail.example.com"}).start()
        try:
            write("%s/%s-%s.tar.gz" % (directory, server.line, format),
                  server, {LISTING: fill(server)})
        finally:
            server.destroy()
        make_rich("%s/%s-rich-%s.tar.gz" % (directory, installed_line(),
                                            format), format)


def make_on(directory, records):
    line = installed_line()
    other = {"2.3": "2.4", "2.4": "2.3"}[line]
    for format in FORMATS:
        make_rich("%s/%s-%s-rich-%s.tar.gz" % (directory, other, line, format),
                  format, "%s/%s-rich-%s.tar.gz" % (records, other, format))


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    if len(sys.argv) > 2:
        make_on(*sys.argv[1:3])
    else:
        make(sys.argv[1])
