# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Large maildrops in little time: files of a maildir, linked from server to
# server; dbox made from such a maildir once, by doveadm, and copied.
"""fill(server, user, count) gives user of a running server count messages of
SIZE bytes. The same messages wherever the cache directory is the same."""

import os
import random
import shutil

SIZE_BYTES = 600


def text(number, size=SIZE_BYTES):
    head = ("From: sender@example.com\nTo: user@example.com\n"
            "Subject: message %d\nMessage-ID: <bench-%d@example.com>\n"
            "Date: Sun, 1 Nov 2026 10:00:00 +0000\n\n" % (number, number))
    line = "%d is the number of this message, and this is a line\n" % number
    return (head + line * ((size - len(head)) // len(line) + 1)).encode()


def file_name(number, body):
    """Seconds and microseconds that count up together would collide in
    Dovecot's hash of file names; the order of the seconds is the order of
    delivery."""
    rng = random.Random(number)
    return "%d.M%06dP%d.example,S=%d,W=%d" % (
        1700000000 + number, rng.randrange(1000000), rng.randrange(65536),
        len(body), len(body) + body.count(b"\n"))


def add_files(directory, first, count, size=SIZE_BYTES, uid=0):
    """Messages first to first + count - 1, as delivered to new/."""
    for number in range(first, first + count):
        body = text(number, size)
        path = os.path.join(directory, "new", file_name(number, body))
        with open(path, "wb") as file:
            file.write(body)
            os.fchown(file.fileno(), uid, uid)


def make_maildir(directory):
    for name in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(directory, name))


def give(path, uid):
    """All of it to the mail user."""
    for top, _, names in os.walk(path):
        for name in [top] + [os.path.join(top, n) for n in names]:
            os.chown(name, uid, uid)


def copy_tree(source, target):
    """Mail as hard links, but what Dovecot changes in place as copies."""
    same = os.stat(source).st_dev == os.stat(os.path.dirname(target)).st_dev

    def copy(src, dst):
        name = os.path.basename(src)
        if not same or name.startswith("dovecot") or name.endswith(".log"):
            return shutil.copy2(src, dst)
        os.link(src, dst)
        return dst
    shutil.copytree(source, target, copy_function=copy)


class Maildrops:
    def __init__(self, directory):
        self.directory = directory
        os.mkdir(directory)

    def _maildir(self, count, size, uid):
        path = os.path.join(self.directory, "maildir-%d-%d" % (count, size))
        if not os.path.exists(path):
            make_maildir(path)
            add_files(path, 1, count, size)
            give(path, uid)
        return path

    def _dbox(self, server, count, size):
        """The server's own format, made by the server."""
        path = os.path.join(self.directory, "%s-%d-%d" % (
            server.format, count, size))
        if not os.path.exists(path):
            source = self._maildir(count, size, server.uid)
            server.add_user("maker")
            server.doveadm("import", "-u", "maker", "maildir:" + source, "",
                           "all", check=True)
            shutil.move(server.mail_dir("maker"), path)
            # doveadm import left the index files of its own there
            for name in os.listdir(source):
                if name.startswith("dovecot"):
                    os.unlink(os.path.join(source, name))
        return path

    def fill(self, server, user, count, size=SIZE_BYTES):
        if server.format == "maildir":
            source = self._maildir(count, size, server.uid)
        else:
            source = self._dbox(server, count, size)
        target = server.mail_dir(user)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        copy_tree(source, target)
        give(os.path.dirname(target), server.uid)
