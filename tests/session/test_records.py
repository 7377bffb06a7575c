# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From Dovecot 2.3 to 2.4 and back, and from each version of the plugin to the
# next (promise 10): maildrops and states that tests/lib/record.py recorded.

import glob
import json
import os
import tarfile

from history import ALL, History
from record import LISTING
from testcase import SessionTest, each, message

RECORDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "records")
NAMES = tuple(sorted(os.path.basename(path)[:-len(".tar.gz")] for path in
                     glob.glob(RECORDS + "/*.tar.gz")))


class Records(SessionTest):
    def unpack(self, name):
        """A server with what the record has, and its listing."""
        server = self.dovecot(format=name.rpartition("-")[2])
        server.stop()
        with tarfile.open("%s/%s.tar.gz" % (RECORDS, name)) as tar:
            tar.extractall(server.root)
        for top, _, names in os.walk(server.path("home")):
            for path in [top] + [os.path.join(top, n) for n in names]:
                os.chown(path, server.uid, server.uid)
        os.chown(server.dict_file("alice"), server.uid, server.uid)
        for part in ("home", "dict"):
            os.chmod(server.path(part), 0o777)
        server.start()
        with open(server.path(LISTING), encoding="ascii") as file:
            listing = json.load(file)
        return server, [(message(int(number)), uidl)
                        for number, uidl in listing.items()]

    @each(name=NAMES)
    def test_is_read(self, name):
        server, expected = self.unpack(name)
        history = History(self, server)
        self.assertEqual(history.look(), expected)
        self.assertNotIn("pop3-policy: ", server.log())
        self.assertIn(" generation=1 ", server.dict_get("alice", "state"))
        # what it knows of messages is used
        server.remove_indexes("alice")
        server.deliver("alice", message(11))
        history.look(stays=ALL)
        self.assertRegex(server.dict_get("alice", "usage/now"),
                         r" total\.retr_count=\d\d ")

    def test_there_are_some_of_both_lines(self):
        self.assertEqual({name.partition("-")[0] for name in NAMES},
                         {"2.3", "2.4"})
