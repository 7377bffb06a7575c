# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Damaged storage, and a large ledger of which parts are damaged: what can be
# recognised keeps its UIDL, nothing is given twice, and what cannot be read is
# not overwritten.

import glob
import hashlib
import os
import re

from history import ALL, History
from policytest import PolicyTest
from test_gate import fill_maildir
from test_recovery import SEPARATOR, RecoveryTest, messages, unlink
from testcase import FORMATS, each, message

DBOX_MAGIC = b"\1\2"


class DamagedDbox(RecoveryTest):
    def place(self, server):
        """The file that the third message is in, and where it begins."""
        if server.format == "sdbox":
            return server.inbox_dirs("alice")[0] + "/u.3", 0
        (path,) = glob.glob(server.mail_dir("alice") + "/storage/m.*")
        with open(path, "rb") as file:
            data = file.read()
        return path, [found.start() for found in
                      re.finditer(DBOX_MAGIC, data)][2]

    def damage(self, server, how):
        """Returns how many messages stay what they were."""
        path, start = self.place(server)
        if how == "map":
            # what mdbox finds its mail by, and sdbox what it has read
            name = "storage/dovecot.map.index*" if server.format == "mdbox" \
                else "mailboxes/INBOX/dbox-Mails/dovecot.index.cache"
            unlink(os.path.join(server.mail_dir("alice"), name))
            return 7
        with open(path, "r+b") as file:
            if how == "garbage":
                file.seek(start)
                file.write(b"garbage " * 4)
                return 6
            file.truncate(start)
        if server.format == "sdbox":
            os.unlink(path)
        return 6 if server.format == "sdbox" else 2

    @each(format=("sdbox", "mdbox"), how=("gone", "garbage", "map"))
    def test_force_resync_that_keeps_the_index(self, format, how):
        server = self.dovecot(format=format)
        history = History(self, server)
        server.deliver("alice", *messages(1, 7))
        history.look()
        texts = dict((uidl, text) for text, uidl in history.last)
        stays = self.damage(server, how)
        server.doveadm("force-resync", "-u", "alice", "INBOX")
        damaged = history.uidls()[2] if how == "garbage" else None
        self.look(history, damaged, [
            uidl for number, uidl in enumerate(history.uidls(), 1)
            if number != 3 and (stays > 2 or number <= 2)])
        self.assertEqual(sum(texts.get(uidl) == text
                             for text, uidl in history.last), stays)
        for number in (8, 9):
            server.deliver("alice", message(number))
            self.look(history, damaged)
            server.doveadm("force-resync", "-u", "alice", "INBOX")
            self.look(history, damaged)

    def look(self, history, damaged, stays=ALL):
        """The host sends now this and now that of what is damaged."""
        history.owners.pop(damaged, None)
        history.look(stays)


class DamagedLedger(PolicyTest, RecoveryTest):
    COUNT = 6000

    def filled(self, format):
        server = self.dovecot(config=SEPARATOR)
        fill_maildir(server, "alice", self.COUNT)
        if format != "maildir":
            self.dsync(server, "backup", format)
            self.swap_in(server, format)
        self.session(server)
        return server

    def by_guid(self, server):
        result = server.doveadm("-f", "tab", "fetch", "-u", "alice",
                                "guid pop3.uidl", "mailbox", "INBOX",
                                check=True)
        return dict(line.split("\t")
                    for line in result.stdout.splitlines()[1:])

    def flip(self, text):
        return text[:-1] + chr(ord(text[-1]) ^ 1)

    @each(format=FORMATS)
    def test_of_several_chunks(self, format):
        server = self.filled(format)
        before = self.by_guid(server)
        self.assertEqual(len(set(before.values())), self.COUNT)
        self.assertIn(" ledger=3.", server.dict_get("alice", "state"))
        good = [server.dict_get("alice", "ledger/%d" % n) for n in range(3)]
        bad = [self.flip(text) for text in good]
        for number in (0, 1):
            server.dict_set("alice", "ledger/%d" % number, bad[number])
        self.lose_indexes(server)
        # too much of it
        mark = server.log_mark()
        self.assert_refused(server)
        server.wait_log(r"of 6000 shown messages \d+ are recognised",
                        after=mark)
        for number, text in enumerate((bad[0], bad[1], good[2])):
            self.assertEqual(server.dict_get("alice", "ledger/%d" % number),
                             text)
        # less than half
        server.dict_set("alice", "ledger/0", good[0])
        mark = server.log_mark()
        self.session(server)
        server.wait_log("are recognised and keep their UIDLs.*; parts of the "
                        "ledger could not be used", after=mark)
        after = self.by_guid(server)
        self.assertEqual(len(set(after.values())), self.COUNT)
        new = {guid for guid in before if after[guid] != before[guid]}
        self.assertTrue(2000 < len(new) < self.COUNT / 2, len(new))
        self.assertFalse({after[guid] for guid in new} &
                         set(before.values()))
        # it stays, and so do they
        server.deliver("alice", message(1))
        self.lose_indexes(server)
        self.session(server)
        self.assertLessEqual(after.items(), self.by_guid(server).items())
        self.assertEqual(server.dict_get("alice", "ledger/1"), bad[1])


class OddState(PolicyTest):
    """Documents that nobody prints, and whose checksums are right."""
    def put(self, server, *fields):
        names = [field.partition("=")[0] for field in fields]
        kept = [field for field in
                server.dict_get("alice", "state").split(" ")[3:]
                if field.partition("=")[0] not in names]
        text = " ".join(kept + list(fields))
        server.dict_set("alice", "state", "pp1 state %s %s" % (
            hashlib.sha256(text.encode()).hexdigest()[:16], text))

    @each(time=(2 ** 62, 2 ** 63, 2 ** 64 - 2))
    def test_times_that_no_calendar_has(self, time):
        server = self.dovecot(settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "1d"})
        server.deliver("alice", message(1), message(2))
        before = self.session(server, "RETR 1")
        self.put(server, "seen=2+%d" % time, "retr=1+7,1+%d" % (time - 7),
                 "bucket=%d.1" % time)
        for args in (("state", "show"), ("state", "check"),
                     ("retention", "explain"),
                     ("retention", "run", "--force")):
            result = server.doveadm("pop3", *args, "-u", "alice")
            self.assertIn(result.returncode, (0, 65), result.stderr)
        self.assertEqual(list(self.session(server).values()), [before[2]])

    @each(last=("gone", "full"))
    def test_ledger_with_all_chunks_that_it_may_have(self, last):
        """Only the last ones are read, which is when new mail comes."""
        server = self.dovecot()
        fill_maildir(server, "alice", 2000)
        before = self.session(server)
        state = server.dict_get("alice", "state")
        (numbers,) = re.findall(r" ledger=1\.(\S+)", state)
        if last == "full":
            server.dict_set("alice", "ledger/4095",
                            server.dict_get("alice", "ledger/0"))
        self.put(server, "ledger=4096." + numbers)
        fill_maildir(server, "alice", 5000, there=2000)
        for _ in range(2):
            after = self.session(server)
            self.assertEqual({n: after[n] for n in before}, before)
            self.assertEqual(len(set(after.values())), 5000)
        # it began anew
        self.assertRegex(server.dict_get("alice", "state"),
                         r" ledger=\d\.\d+\.5000 ")
        self.lose_indexes(server)
        self.assertEqual(self.session(server), after)

    def test_policy_that_has_no_value(self):
        server = self.dovecot()
        server.deliver("alice", message(1))
        self.session(server)
        self.put(server, "policy=keep_retrieved;min_keep=5")
        result = server.doveadm("-f", "tab", "pop3", "policy", "get", "-u",
                                "alice")
        self.assertEqual(result.stdout.splitlines()[1:],
                         ["keep_retrieved\t\tyes", "min_keep\t5\tyes"])
        self.assertIn("own policy cannot be read", result.stderr)
