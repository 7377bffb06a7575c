# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Ports of 127.0.0.1 that no two servers of the tests share.

import random
import socket

# Below what the kernel gives to clients: nobody gets one of these by chance.
PORTS = range(20000, 32000)


def reserve_port():
    """A port of 127.0.0.1 that nobody listens at, and a socket that keeps it
    reserved: among all users of this function, in whatever chroot, no other
    gets it before the socket is closed."""
    for port in random.sample(PORTS, len(PORTS)):
        reservation = socket.socket(socket.AF_UNIX)
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reservation.bind("\0dovecot-pop3-policy-port-%d" % port)
            probe.bind(("127.0.0.1", port))
            return port, reservation
        except OSError:
            reservation.close()
        finally:
            probe.close()
    raise RuntimeError("all ports are taken")
