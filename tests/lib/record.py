#!/usr/bin/python3
# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Records of a maildrop and its state as one line of Dovecot, and one version
# of the plugin, wrote them: later ones, and the other line, must read them
# (tests/session/test_records.py).
"""record.py DIRECTORY, run by tests/lib/with-plugin: writes
DIRECTORY/LINE-FORMAT.tar.gz for the installed line. A record, once made, stays
as it is: that is its use."""

import io
import json
import os
import sys
import tarfile

from dovecot import FORMATS, Dovecot, message
from uidlformats import BY_GUID

LISTING = "listing.json"


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


def make(directory):
    for format in FORMATS:
        server = Dovecot(format=format, env={
            "DOVECOT_HOSTNAME": "mail.example.com"}).start()
        try:
            listing = json.dumps(fill(server), indent=1).encode()
            server.stop()
            name = "%s-%s.tar.gz" % (server.line, format)
            with tarfile.open(os.path.join(directory, name), "w:gz") as tar:
                for part in ("home", "dict"):
                    tar.add(server.path(part), part)
                member = tarfile.TarInfo(LISTING)
                member.size = len(listing)
                tar.addfile(member, io.BytesIO(listing))
        finally:
            server.destroy()


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    make(sys.argv[1])
