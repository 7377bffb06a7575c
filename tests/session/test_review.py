# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What goes on beside a session, or went wrong before it: other clients'
# expunges, commits of which half was stored, witnesses that cannot be read or
# are behind, two recoveries at once, a control directory elsewhere.

import fcntl
import os
import re
import signal
import threading

from fakedict import ANSWER, FAIL, LOOKUP, FakeDict
from testcase import FORMATS, Refused, SessionTest, each, message, wait_for
from uidlformats import BY_GUID

FLAG = "pop3_deleted_flag = POP3Deleted\npop3_delete_type = flag\n"
TWO_DICTS = {
    "2.3": "pop3_policy_dict = file:~/state/dict\n"
           "pop3_policy_ledger_dict = file:~/ledger/dict\n",
    "2.4": "pop3_policy {\n  dict file {\n    path = ~/state/dict\n  }\n}\n"
           "pop3_policy_ledger {\n  dict file {\n    path = ~/ledger/dict\n"
           "  }\n}\n"}
CONTROL = {
    "2.3": "mail_location = %s:~/mail:CONTROL=~/control\n",
    "2.4": "mail_driver = %s\nmail_path = ~/mail\n"
           "mail_control_path = ~/control\n"}


def messages(first, last):
    return [message(number) for number in range(first, last + 1)]


def imap_expunge(server, user, numbers):
    client = server.imap(user)
    client.select()
    client.store(numbers, "+FLAGS", "\\Deleted")
    client.expunge()
    client.logout()


def uidls(server, user="alice"):
    """By a whole session: what it commits is committed."""
    with server.pop3(user) as client:
        found = client.uidls()
        client.quit()
    server.wait_no_process("pop3")
    return found


def set_storage_uidl(server, user, uid, uidl):
    """A UIDL in the maildir's own list, as dsync puts it there."""
    path = os.path.join(server.mail_dir(user), "dovecot-uidlist")
    text = read(path).decode("latin-1")
    text = re.sub(r"(?m)^%d " % uid, "%d P%s " % (uid, uidl), text)
    overwrite(path, text.encode("latin-1"))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def overwrite(path, data):
    """In place: owner and mode stay."""
    with open(path, "rb+") as file:
        file.truncate(0)
        file.write(data)


def allow(server, path, mode):
    """What the mail user may do with PATH: its mode is for others."""
    os.chown(path, 0, 0)
    os.chmod(path, 0o700 | mode)


def sleeps(pid):
    """As a process does that tries a taken lock again."""
    try:
        return b"nanosleep" in read("/proc/%d/wchan" % pid)
    except OSError:
        return False


def polls(pid):
    """As a process does that has nothing to do before somebody answers."""
    try:
        return b"poll" in read("/proc/%d/wchan" % pid)
    except OSError:
        return False


def witness_file(server):
    return os.path.join(server.mail_dir("alice"), "dovecot-pop3-policy")


class Beside(SessionTest):
    @each(format=FORMATS)
    def test_dele_is_noted_for_its_message_where_others_were_expunged(
            self, format):
        server = self.dovecot(format=format, config=FLAG)
        server.deliver("alice", *messages(1, 4))
        client = server.pop3("alice")
        client.uidls()
        imap_expunge(server, "alice", "1:2")
        client.ok("DELE 4")
        self.assertTrue(client.quit().startswith("+OK"))
        server.wait_no_process("pop3")
        # UID 4 and no other: the three in front of it have no time.
        self.assertRegex(server.dict_get("alice", "state"),
                         r" dele=3:1\+\d+( |$)")

    def test_storage_uidl_of_the_open_rule_is_not_given_again(self):
        server = self.dovecot(format="maildir")
        server.deliver("alice", *messages(1, 3))
        text = read(os.path.join(server.mail_dir("alice"),
                                 "dovecot-uidlist"))
        ahead = "%08x%08x" % (6, int(re.search(rb"V(\d+)", text).group(1)))
        set_storage_uidl(server, "alice", 2, ahead)
        before = uidls(server)
        self.assertEqual(before[2], ahead)
        server.deliver("alice", *messages(4, 8))
        after = uidls(server)
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertEqual(len(set(after.values())), 8)


class HalfStored(SessionTest):
    def two_dicts(self, **options):
        server = self.dovecot(dict=TWO_DICTS, **options)
        server.deliver("alice", *messages(1, 12))
        for name in ("state", "ledger"):
            os.mkdir(os.path.join(server.home("alice"), name))
            self.allow_commits(server, name, True)
        return server

    def allow_commits(self, server, name, yes):
        allow(server, os.path.join(server.home("alice"), name),
              0o777 if yes else 0o555)

    @each(format=FORMATS)
    def test_ledger_that_is_ahead_of_the_state_is_written_on(self, format):
        server = self.two_dicts(format=format)
        before = uidls(server)
        server.deliver("alice", *messages(13, 14))
        self.allow_commits(server, "state", False)
        shown = uidls(server)
        self.assertEqual({n: shown[n] for n in before}, before)
        self.allow_commits(server, "state", True)
        self.assertEqual(uidls(server), shown)

    def test_texts_are_stored_where_no_ledger_can_be(self):
        """What a login has to store is in the other dict."""
        server = self.two_dicts(config=BY_GUID)
        self.allow_commits(server, "ledger", False)
        before = uidls(server)
        self.assertTrue(os.path.exists(server.home("alice") + "/state/dict"))
        server.deliver("alice", *messages(13, 14))
        shown = uidls(server)
        self.assertEqual({n: shown[n] for n in before}, before)
        self.assertEqual(len(shown), 14)
        server.config = ""
        server.restart()
        self.assertEqual(uidls(server), shown)

    @each(lost=("state", "both"))
    def test_state_made_anew_has_what_was_shown(self, lost):
        """The host's format is another one by now."""
        server = self.two_dicts()
        before = uidls(server)
        os.unlink(os.path.join(server.home("alice"), "state", "dict"))
        if lost == "both":
            os.unlink(os.path.join(server.home("alice"), "ledger", "dict"))
        server.config = BY_GUID
        server.restart()
        with server.pop3("alice"):
            with server.pop3("alice") as other:
                self.assertEqual(other.uidls(), before)
            server.kill("pop3")
        self.assertEqual(uidls(server), before)

    def test_first_login_decides_for_all_that_is_there(self):
        """By GUID is what comes later, whoever has been listed by then."""
        server = self.two_dicts(settings={"pop3_policy_uidl": "guid"})
        with server.pop3("alice") as first:
            with server.pop3("alice") as other:
                shown = other.uidls()
                # identities are stored before UIDLs are shown
                self.assertTrue(os.path.exists(
                    server.home("alice") + "/ledger/dict"))
            self.assertEqual(first.uidls(), shown)
            server.kill("pop3")
        self.assertFalse([uidl for uidl in shown.values() if len(uidl) != 16])
        self.assertEqual(uidls(server), shown)

    def test_recoveries_at_once_agree_where_no_ledger_is_stored(self):
        server = self.two_dicts(format="maildir")
        before = uidls(server)
        self.allow_commits(server, "ledger", False)
        os.unlink(os.path.join(server.mail_dir("alice"), "dovecot-uidlist"))
        clients = [server.connect(), server.connect()]
        with open(witness_file(server), "rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for client in clients:
                client.cmd("USER alice")
                client.send(b"PASS secret\r\n")
            # Both have read the state, and found that it does not fit.
            wait_for(lambda: sum(map(sleeps, server.processes("pop3"))) == 2,
                     "two sessions that wait for the lock")
        for client in clients:
            self.assertEqual(client.readline(), "+OK Logged in.")
            self.assertEqual(client.uidls(), before)


class FirstLogins(SessionTest):
    def test_the_later_one_decides_what_it_alone_sees(self):
        """Two find no state; mail that needs a text came in between."""
        server = self.dovecot(format="maildir", config=BY_GUID)
        server.deliver("alice", *messages(1, 2))
        with open(witness_file(server), "wb") as lock:
            os.chown(lock.name, server.uid, server.uid)
            fcntl.flock(lock, fcntl.LOCK_EX)
            first, _ = self.waits_for_lock(server, [])
            server.deliver("alice", message(3))
            late, pid = self.waits_for_lock(server, server.processes("pop3"))
            os.kill(pid, signal.SIGSTOP)
        try:
            self.assertEqual(first.readline(), "+OK Logged in.")
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(late.readline(), "+OK Logged in.")
        shown = late.uidls()
        self.assertEqual(server.pop3("alice").uidls(), shown)
        self.assertEqual(first.uidls(), {n: shown[n] for n in (1, 2)})
        self.assertFalse([uidl for uidl in shown.values() if len(uidl) == 16])

    def test_the_earlier_one_comes_to_the_later_ones_state(self):
        """Not an older copy: there is more than it saw."""
        server = self.dovecot(format="maildir")
        server.deliver("alice", *messages(1, 3))
        with server.pop3("alice") as client:
            before = client.uidls()
            client.quit()
        server.wait_no_process("pop3")
        # an expunge and new mail: who logs in has to compare
        server.doveadm("expunge", "-u", "alice", "mailbox", "INBOX", "uid",
                       "1", check=True)
        server.deliver("alice", message(4))
        with open(witness_file(server), "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            first, pid = self.waits_for_lock(server, [])
            server.deliver("alice", message(5))
            late, _ = self.waits_for_lock(server, server.processes("pop3"))
            os.kill(pid, signal.SIGSTOP)
        try:
            self.assertEqual(late.readline(), "+OK Logged in.")
            shown = late.uidls()
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(first.readline(), "+OK Logged in.")
        self.assertEqual(first.uidls(), {n: shown[n] for n in (1, 2, 3)})
        for client in (first, late):
            client.quit()
        server.wait_no_process("pop3")
        self.assertEqual(server.pop3("alice").uidls(), shown)
        self.assertEqual([shown[1], shown[2]], [before[2], before[3]])
        self.assertNotIn("older copy", server.log())

    def waits_for_lock(self, server, others):
        client = server.connect()
        client.cmd("USER alice")
        client.send(b"PASS secret\r\n")
        (pid,) = wait_for(
            lambda: [pid for pid in server.processes("pop3")
                     if pid not in others and sleeps(pid)],
            "a session that waits for the lock")
        return client, pid


class LateAnswers(SessionTest):
    """The dict answers when another session has come and gone meanwhile."""

    def setUp(self):
        super().setUp()
        self.dict = FakeDict()
        self.addCleanup(self.dict.destroy)
        self.released = threading.Event()
        self.addCleanup(self.released.set)
        self.server = self.dovecot(dict=self.dict.setting, settings={
            "pop3_policy_dict_timeout": "60s"})
        self.server.deliver("alice", *messages(1, 3))
        uidls(self.server)

    def login_that_waits(self, others=ANSWER):
        """It has opened INBOX. Of other sessions this becomes of lookups."""
        held = []

        def rule(operation, _user, _keys):
            if operation == LOOKUP and not held:
                held.append(True)
                self.released.wait()
                return ANSWER
            return others if operation == LOOKUP else ANSWER
        self.dict.rule = rule
        client = self.server.connect()
        client.cmd("USER alice")
        client.send(b"PASS secret\r\n")
        wait_for(lambda: held and all(map(
            polls, self.server.processes("pop3"))), "the lookup")
        return client

    def release(self, client):
        self.released.set()
        self.assertEqual(client.readline(), "+OK Logged in.")
        found = client.uidls()
        client.quit()
        self.server.wait_no_process("pop3")
        return found

    def test_what_went_meanwhile_was_not_brought_back(self):
        first = self.login_that_waits()
        imap_expunge(self.server, "alice", "1")
        before = self.dict.values["alice", "state"]
        with self.server.pop3("alice") as client:
            shown = client.uidls()
            client.quit()
        wait_for(lambda: self.dict.values["alice", "state"] != before,
                 "its commit")
        self.assertEqual(self.release(first)[2], shown[1])
        self.assertEqual(uidls(self.server), shown)
        self.assertNotIn("are there again", self.server.log())

    def test_what_was_shown_meanwhile_in_an_outage_stays(self):
        first = self.login_that_waits(FAIL)
        self.server.deliver("alice", message(4))
        with self.server.pop3("alice") as client:
            shown = client.uidls()
            self.assertEqual(len(shown), 4)
            client.quit()
        self.dict.rule = lambda *_: ANSWER
        self.assertEqual(self.release(first), {n: shown[n] for n in (1, 2, 3)})
        self.assertEqual(uidls(self.server), shown)
        self.assertNotIn("older copy", self.server.log())


class Witness(SessionTest):
    def with_exceptions(self):
        server = self.dovecot(format="maildir")
        server.deliver("alice", *messages(1, 3))
        set_storage_uidl(server, "alice", 2, "of-the-old-server")
        self.assertEqual(uidls(server)[2], "of-the-old-server")
        return server

    # Not to be read, and not to be written.
    @each(mode=(0, 4))
    def test_counts_where_it_cannot_be_written_and_the_dict_is_lost(
            self, mode):
        server = self.with_exceptions()
        os.unlink(server.dict_file("alice"))
        allow(server, witness_file(server), mode)
        with self.assertRaises(Refused):
            server.pop3("alice")

    @each(mode=(0, 4))
    def test_counts_where_it_cannot_be_written_and_the_dict_is_out_of_reach(
            self, mode):
        server = self.with_exceptions()
        allow(server, server.dict_file("alice"), 0)
        allow(server, witness_file(server), mode)
        with self.assertRaises(Refused):
            server.pop3("alice")

    def test_maildrop_goes_on_where_it_cannot_be_written(self):
        server = self.with_exceptions()
        before = uidls(server)
        allow(server, witness_file(server), 4)
        server.deliver("alice", message(4))
        shown = uidls(server)
        self.assertEqual({n: shown[n] for n in before}, before)
        os.chmod(witness_file(server), 0o666)
        self.assertEqual(uidls(server), shown)

    def test_plain_is_taken_back_before_the_commit(self):
        """A commit that is reported failed was applied all the same."""
        server = self.dovecot(format="maildir")
        server.deliver("alice", *messages(1, 3))
        uidls(server)
        server.stop()
        server.config = BY_GUID
        server.start()
        server.deliver("alice", message(4))
        dict_file, dict_dir = (server.dict_file("alice"),
                               os.path.dirname(server.dict_file("alice")))
        witness, old = read(witness_file(server)), read(dict_file)
        shown = uidls(server)
        applied = read(dict_file)
        overwrite(witness_file(server), witness)
        overwrite(dict_file, old)
        allow(server, dict_dir, 0o555)
        with self.assertRaises(Refused):
            server.pop3("alice")
        overwrite(dict_file, applied)
        allow(server, dict_dir, 0)
        with self.assertRaises(Refused):
            server.pop3("alice")
        allow(server, dict_dir, 0o777)
        self.assertEqual(uidls(server), shown)


class ControlDirectory(SessionTest):
    @each(format=FORMATS, mail=(0, 2))
    def test_may_be_elsewhere(self, format, mail):
        server = self.dovecot(format=format, config={
            line: text % format for line, text in CONTROL.items()})
        if mail > 0:
            server.deliver("alice", *messages(1, mail))
        uidls(server)
        self.assertIsNotNone(server.dict_get("alice", "state"))
        self.assertNotIn("pop3-policy:", server.log())
