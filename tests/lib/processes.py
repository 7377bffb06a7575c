# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A server's processes, as /proc has them.

import contextlib
import fcntl
import glob
import os
import stat
import struct
import termios


def process_group(pgid):
    """Living processes of a group: {pid: name}."""
    # An empty /proc would make every wait for an end succeed.
    assert os.path.exists("/proc/self/stat"), "/proc is not mounted"
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="latin-1") as file:
                text = file.read()
        except OSError:
            continue
        # The name may hold spaces and brackets of its own.
        start, end = text.index("("), text.rindex(")")
        state, _, group = text[end + 2:].split()[:3]
        if int(group) == pgid and state not in "ZX":
            found[int(text[:start])] = text[start + 1:end]
    return found


def unread(pid):
    """Bytes in pipes that a process has not read yet."""
    count = 0
    for path in glob.glob("/proc/%d/fd/*" % pid):
        # it may end, or close one, at any time
        with contextlib.suppress(OSError):
            # the link's own mode tells what for it is open
            if not stat.S_ISFIFO(os.stat(path).st_mode) or \
                    not os.lstat(path).st_mode & stat.S_IRUSR:
                continue
            pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                count += struct.unpack("i", fcntl.ioctl(
                    pipe, termios.FIONREAD, b"\0" * 4))[0]
            finally:
                os.close(pipe)
    return count


def _state(pid):
    """A letter, as ps has it; X of a process that is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_asleep(pid):
    """It waits for more to do, or is gone."""
    return _state(pid) in "SZX"


def is_stopped(pid):
    """By SIGSTOP, or it is gone."""
    return _state(pid) in "TZX"


def log_is_whole(pgid):
    """What a server's processes had for the log is in it: their pipes to the
    log's own process are read, and what it read is written."""
    return all(unread(pid) == 0 and is_asleep(pid)
               for pid, comm in process_group(pgid).items() if comm == "log")
