# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# plugin/DESIGN's tables of what happens when something fails, row by row.

import fcntl
import glob
import os
import re
import shutil
import threading

from fakedict import ANSWER, COMMIT, FAIL, HANG_UP, LOOKUP, LOSE, SILENT
from policytest import LONG, REPLAYABLE, PolicyTest, plugin_errors
from testcase import each, message, wait_for
from twins import Twins, waiting
from uidlformats import BY_GUID

DICT_OUTAGES = ("missing", FAIL, SILENT, HANG_UP)


class LookupFails(PolicyTest):
    @each(how=DICT_OUTAGES)
    def test_first_sight_gets_the_hosts_own_and_one_line(self, how):
        server, fake = self.faked(config=BY_GUID)
        self.break_dict(fake, how)
        uidls = self.session(server)
        self.assertTrue(all("." in uidl or len(uidl) > 16
                            for uidl in uidls.values()), uidls)
        errors = plugin_errors(server)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("the host's own UIDLs", errors[0])

    @each(how=DICT_OUTAGES)
    def test_plain_maildrop_is_served_whatever_the_format_is(self, how):
        server, fake = self.faked()
        before = self.session(server)
        server.config = BY_GUID
        server.restart()
        self.break_dict(fake, how)
        mark = server.log_mark()
        self.assertEqual(self.session(server), before)
        errors = plugin_errors(server, mark)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("by the witness", errors[0])
        # new mail too, and the same once the dict is back
        server.deliver("alice", message(9))
        during = self.session(server)
        self.assertEqual(dict(list(during.items())[:3]), before)
        self.mend_dict(fake)
        self.assertEqual(self.session(server), during)

    @each(how=DICT_OUTAGES)
    def test_maildrop_with_exceptions_is_refused(self, how):
        server, fake = self.faked()
        before = self.session(server)
        self.assertEqual(self.make_exceptions(server), before)
        self.break_dict(fake, how)
        mark = server.log_mark()
        self.assert_refused(server)
        errors = plugin_errors(server, mark)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("out of reach", errors[0])
        self.mend_dict(fake)
        self.assertEqual(self.session(server), before)

    @each(how=("missing", SILENT))
    def test_plain_with_another_uidvalidity_is_refused(self, how):
        server, fake = self.faked()
        before = self.session(server)
        self.lose_indexes(server)
        self.break_dict(fake, how)
        self.assert_refused(server)
        self.mend_dict(fake)
        self.assertEqual(self.session(server), before)

    @each(how=("missing", SILENT))
    def test_policy_host_goes_on(self, how):
        server, fake = self.faked(settings={"pop3_policy_uidl": "host"})
        before = self.session(server)
        self.lose_indexes(server)
        self.break_dict(fake, how)
        during = self.session(server)
        client = server.imap("alice")
        client.select("INBOX", readonly=True)
        validity = int(client.response("UIDVALIDITY")[1][0])
        uids = client.uid("SEARCH", "ALL")[1][0].split()
        client.logout()
        self.assertEqual(during, {
            number: "%08x%08x" % (int(uid), validity)
            for number, uid in enumerate(uids, 1)})
        self.assertEqual(len(during), len(before))
        self.assertFalse(set(during.values()) & set(before.values()))
        self.mend_dict(fake)
        self.assertEqual(self.session(server), during)

    def test_nothing_is_removed_and_usage_can_be_replayed(self):
        server, fake = self.faked(faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "1d"})
        self.session(server, "RETR 1", "RETR 2", "NOOP")
        server.set_time("+30d")
        fake.close()
        mark = server.log_mark()
        self.session(server, "RETR 3", "NOOP")
        self.assertEqual(self.mails(server), 3)
        self.assertNotIn("Removed", server.log())
        server.wait_log(REPLAYABLE % 1, after=mark)
        # what the outage hid is made up for
        fake.open()
        self.session(server)
        self.assertEqual(self.mails(server), 1)

    def test_dict_that_cannot_be_opened(self):
        server = self.dovecot(dict={
            "2.3": "pop3_policy_dict = nonsense:x",
            "2.4": "pop3_policy {\n  dict nonsense {\n  }\n}"})
        server.deliver("alice", message(1))
        self.session(server)
        errors = plugin_errors(server)
        self.assertEqual(len([e for e in errors if "opened" in e]),
                         len(errors), errors)
        self.assertGreater(len(errors), 0)

    def test_sqlite_without_its_table(self):
        server = self.dovecot(dict="sqlite")
        server.deliver("alice", message(1))
        before = self.session(server)
        self.make_exceptions(server)
        os.rename(server.sqlite_file, server.sqlite_file + ".gone")
        server.kill("dict")
        self.assert_refused(server)
        os.rename(server.sqlite_file + ".gone", server.sqlite_file)
        server.kill("dict")
        self.assertEqual(self.session(server), before)


class CommitFails(PolicyTest):
    HOW = (FAIL, SILENT, HANG_UP)

    def fail_commits(self, fake, how):
        fake.rule = lambda operation, user, keys: \
            how if operation == COMMIT else ANSWER

    @each(how=HOW)
    def test_first_sight_gets_the_hosts_own_and_one_line(self, how):
        server, fake = self.faked()
        self.fail_commits(fake, how)
        self.session(server)
        errors = plugin_errors(server)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("the host's own UIDLs", errors[0])
        self.assertEqual(self.witness(server), b"")
        self.assertEqual(fake.values, {})

    @each(how=HOW)
    def test_new_mail_is_shown_by_the_rule_and_caught_up(self, how):
        server, fake = self.faked()
        before = self.session(server)
        state = fake.values["alice", "state"]
        server.deliver("alice", message(4), message(5))
        self.fail_commits(fake, how)
        mark = server.log_mark()
        during = self.session(server)
        self.assertEqual(dict(list(during.items())[:3]), before)
        self.assertEqual(len(during), 5)
        errors = plugin_errors(server, mark)
        self.assertEqual(len(errors), 1, errors)
        self.assertEqual(fake.values["alice", "state"], state)
        fake.rule = lambda operation, user, keys: ANSWER
        self.assertEqual(self.session(server), during)
        self.assertNotEqual(fake.values["alice", "state"], state)
        self.assertEqual(self.make_exceptions(server), during)

    @each(how=HOW)
    def test_recovery_that_cannot_be_stored_is_refused(self, how):
        server, fake = self.faked()
        before = self.session(server)
        values = dict(fake.values)
        self.lose_indexes(server)
        self.fail_commits(fake, how)
        mark = server.log_mark()
        self.assert_refused(server)
        self.assertEqual(len(plugin_errors(server, mark)), 1)
        self.assertEqual(fake.values, values)
        fake.rule = lambda operation, user, keys: ANSWER
        self.assertEqual(self.session(server), before)

    @each(how=HOW)
    def test_explicit_uidls_that_cannot_be_stored_are_refused(self, how):
        server, fake = self.faked(config=BY_GUID)
        before = self.session(server)
        server.deliver("alice", message(4))
        self.fail_commits(fake, how)
        self.assert_refused(server)
        fake.rule = lambda operation, user, keys: ANSWER
        after = self.session(server)
        self.assertEqual(dict(list(after.items())[:3]), before)
        # without new mail there is nothing to store
        self.fail_commits(fake, how)
        self.assertEqual(self.session(server), after)

    @each(how=HOW)
    def test_what_was_retrieved_is_kept_longer(self, how):
        server, fake = self.faked(faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "2d"})
        self.session(server)
        self.fail_commits(fake, how)
        mark = server.log_mark()
        self.session(server, "RETR 1", "NOOP")
        server.wait_log("counts as not retrieved", after=mark)
        server.wait_log(REPLAYABLE % 1, after=mark)
        fake.rule = lambda operation, user, keys: ANSWER
        server.set_time("+5d")
        self.session(server)
        self.assertEqual(self.mails(server), 3)

    def test_commit_that_was_applied_all_the_same_counts_once(self):
        server, fake = self.faked()
        self.session(server)
        fake.rule = lambda operation, user, keys: \
            LOSE if operation == COMMIT else ANSWER
        mark = server.log_mark()
        uidls = self.session(server, "RETR 1", "NOOP")
        server.wait_log(REPLAYABLE % 1, after=mark)
        fake.rule = lambda operation, user, keys: ANSWER
        self.assertEqual(self.session(server), uidls)
        self.assertIn("retr_count=1", fake.values["alice", "usage/now"])

    def test_file_dict_in_an_unwritable_directory(self):
        server = self.dovecot()
        server.deliver("alice", message(1), message(2))
        server.deliver("bob", message(1))
        before = self.session(server)
        directory = os.path.dirname(server.dict_file("alice"))
        os.chmod(directory, 0o555)
        with open(server.dict_file("alice"), "rb") as file:
            stored = file.read()
        server.deliver("alice", message(3))
        during = self.session(server, "RETR 1", "NOOP")
        self.assertEqual(dict(list(during.items())[:2]), before)
        self.assertEqual(len(self.session(server, user="bob")), 1)
        with open(server.dict_file("alice"), "rb") as file:
            self.assertEqual(file.read(), stored)
        os.chmod(directory, 0o777)
        self.assertEqual(self.session(server), during)
        self.assertEqual(len(self.session(server, user="bob")), 1)

    def test_sqlite_that_is_read_only(self):
        server = self.dovecot(dict="sqlite")
        server.deliver("alice", message(1), message(2))
        before = self.session(server)
        directory = os.path.dirname(server.sqlite_file)
        os.chmod(directory, 0o555)
        os.chmod(server.sqlite_file, 0o444)
        server.kill("dict")
        server.deliver("alice", message(3))
        mark = server.log_mark()
        during = self.session(server)
        self.assertEqual(dict(list(during.items())[:2]), before)
        server.wait_log(REPLAYABLE.replace(".*retr_count=%d ", ""),
                        after=mark)
        os.chmod(directory, 0o777)
        os.chmod(server.sqlite_file, 0o644)
        server.kill("dict")
        self.assertEqual(self.session(server), during)

    def test_lock_that_somebody_holds(self):
        server, fake = self.faked()
        before = self.session(server)
        path = server.inbox_dirs("alice")[0] + "/dovecot-pop3-policy"
        server.deliver("alice", message(4))
        values = dict(fake.values)
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            mark = server.log_mark()
            during = self.session(server)
        self.assertEqual(dict(list(during.items())[:3]), before)
        server.wait_log("is locked by another session", after=mark)
        self.assertEqual(fake.values, values)
        self.assertEqual(self.session(server), during)
        self.assertNotEqual(fake.values, values)


class SilentDict(PolicyTest):
    """A dict that accepts and never answers."""

    def test_somebody_elses_login_does_not_wait(self):
        server, fake = self.faked(settings=LONG, users={
            "alice": {}, "bob": {"pop3_policy_dict_timeout": "300ms"}})
        fake.rule = lambda operation, user, keys: SILENT
        first = server.connect()
        first.send(b"USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n")
        self.assertTrue(first.readline().startswith("+OK"))
        fake.wait_seen(LOOKUP)
        self.assertEqual(self.quick(server, "bob"), 0)
        self.assertEqual(waiting(first.sock), 0)
        # it is told at last
        fake.close()
        self.assertEqual(first.readline(), "+OK Logged in.")
        self.assertTrue(first.readline().startswith("+OK 3 "))
        self.assertTrue(first.readline().startswith("+OK"))

    def quick(self, server, user):
        with server.pop3(user) as client:
            count = client.stat()[0]
            client.quit()
        return count

    @each(reuse=(False, True))
    def test_process_that_gave_up_takes_no_further_client(self, reuse):
        server, fake = self.faked(reuse=reuse)
        fake.rule = lambda operation, user, keys: SILENT
        for user in ("alice", "bob", "alice"):
            with server.pop3(user) as client:
                pids = server.processes("pop3")
                client.quit()
            wait_for(lambda: not set(pids) & set(server.processes("pop3")),
                     "the process to end")

    def test_everybody_is_answered_where_processes_are_few(self):
        server, fake = self.faked(
            config="service pop3 {\n  process_limit = 2\n}\n")
        fake.rule = lambda operation, user, keys: SILENT
        clients = []
        # no more than the host lets wait: two are served, and the queue of
        # its listener takes five
        for _ in range(6):
            client = server.connect()
            client.send(b"USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n")
            clients.append(client)
        for client in clients:
            self.assertIn(b"+OK Logged in.\r\n+OK 3 ", client.read_all())
            client.close()

    @each(leave=("abort", "close"))
    def test_client_that_leaves_meanwhile(self, leave):
        server, fake = self.faked(settings=LONG)
        before = self.session(server)
        self.make_exceptions(server)
        stored = dict(fake.values)
        fake.seen.clear()
        fake.rule = lambda operation, user, keys: SILENT
        mark = server.log_mark()
        client = server.connect()
        client.send(b"USER alice\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
        fake.wait_seen(LOOKUP)
        getattr(client, leave)()
        # nobody can see that while the state is awaited
        self.assertEqual(len(server.processes("pop3")), 1)
        # told, it ends: refused, and none of its commands was read
        fake.rule = lambda operation, user, keys: ANSWER
        fake.hang_up()
        self.ended(server, mark)
        errors = plugin_errors(server, mark)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("Login refused", errors[0])
        self.assertRegex(server.log(mark), r"Disconnected: .* del=0/")
        self.assertEqual({what for what, _, _ in fake.seen}, {LOOKUP})
        self.assertEqual(fake.values, stored)
        self.assertEqual(self.session(server), before)

    def test_client_does_not_wait_for_the_close(self):
        server, fake = self.faked(settings=LONG)
        self.session(server)
        client = server.pop3("alice")
        client.retr(1)
        client.ok("NOOP")
        fake.rule = lambda operation, user, keys: SILENT
        seen = len(fake.seen)
        self.assertTrue(client.quit().startswith("+OK"))
        wait_for(lambda: len(fake.seen) > seen, "the close")
        self.assertNotEqual(server.processes("pop3"), [])
        fake.rule = lambda operation, user, keys: ANSWER
        fake.hang_up()
        server.wait_no_process("pop3")

    def test_close_ends_by_itself(self):
        server, fake = self.faked()
        self.session(server)
        client = server.pop3("alice")
        client.retr(1)
        client.ok("NOOP")
        fake.rule = lambda operation, user, keys: SILENT
        mark = server.log_mark()
        client.quit()
        server.wait_no_process("pop3")
        server.wait_log(REPLAYABLE % 1, after=mark)

    def test_uidl_never_fails(self):
        server, fake = self.faked()
        before = self.session(server)
        server.deliver("alice", message(4))
        client = server.pop3("alice")
        fake.rule = lambda operation, user, keys: SILENT
        self.assertEqual(dict(list(client.uidls().items())[:3]), before)
        client.quit()
        server.wait_no_process("pop3")

    def test_late_answer_within_the_deadline_counts(self):
        server, fake = self.faked(settings=LONG)
        before = self.session(server)
        self.make_exceptions(server)
        answers = threading.Event()
        self.addCleanup(answers.set)
        seen = len(fake.seen)
        fake.rule = lambda operation, user, keys: answers.wait() and ANSWER
        client = server.connect()
        client.send(b"USER alice\r\nPASS secret\r\n")
        self.assertTrue(client.readline().startswith("+OK"))
        wait_for(lambda: len(fake.seen) > seen, "the lookup")
        self.assertEqual(waiting(client.sock), 0)
        answers.set()
        self.assertEqual(client.readline(), "+OK Logged in.")
        self.assertEqual(client.uidls(), before)


class LostState(PolicyTest):
    @each(dict=("file", "sqlite"))
    def test_plain_maildrop_is_made_anew(self, dict):
        server = self.dovecot(dict=dict, faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "2d"})
        server.deliver("alice", message(1), message(2))
        before = self.session(server, "RETR 1", "NOOP")
        self.lose_dict(server)
        self.assertEqual(self.session(server), before)
        self.assertNotEqual(server.dict_get("alice", "state"), None)
        # nobody knows any more what was retrieved
        server.set_time("+5d")
        self.session(server)
        self.assertEqual(self.mails(server), 2)

    def lose_dict(self, server):
        if server.dict == "file":
            os.unlink(server.dict_file("alice"))
            return
        for key in ("state", "usage/now", "ledger/0"):
            server.dict_unset("alice", key)

    @each(dict=("file", "sqlite"))
    def test_maildrop_with_exceptions_is_refused(self, dict):
        server = self.dovecot(dict=dict)
        server.deliver("alice", message(1), message(2))
        self.session(server)
        self.make_exceptions(server)
        witness = self.witness(server)
        self.lose_dict(server)
        mark = server.log_mark()
        self.assert_refused(server)
        errors = plugin_errors(server, mark)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("doveadm pop3 uidl repair -u alice --accept-loss;",
                      errors[0])
        self.assertIn("doveadm pop3 state delete -u alice)", errors[0])
        self.assertEqual(self.witness(server), witness)
        self.assertEqual(server.dict_get("alice", "state"), None)

    def test_another_uidvalidity_is_refused(self):
        server = self.dovecot()
        server.deliver("alice", message(1), message(2))
        self.session(server)
        self.lose_dict(server)
        self.lose_indexes(server)
        self.assert_refused(server)

    def test_unreadable_witness_counts_as_one_without_plain(self):
        server = self.dovecot()
        server.deliver("alice", message(1))
        before = self.session(server)
        path = server.inbox_dirs("alice")[0] + "/dovecot-pop3-policy"
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"?")
        self.assertEqual(self.session(server), before)
        self.lose_dict(server)
        self.assert_refused(server)

    def test_older_copy_of_the_dict_is_refused(self):
        server = self.dovecot()
        server.deliver("alice", message(1), message(2))
        before = self.session(server)
        shutil.copy(server.dict_file("alice"), server.path("old"))
        self.make_exceptions(server)
        shutil.copy(server.dict_file("alice"), server.path("new"))
        shutil.copyfile(server.path("old"), server.dict_file("alice"))
        mark = server.log_mark()
        self.assert_refused(server)
        self.assertRegex(plugin_errors(server, mark)[0], r"older copy .* "
                         r"uidl repair -u alice --accept-loss\)$")
        shutil.copyfile(server.path("new"), server.dict_file("alice"))
        self.assertEqual(self.session(server), before)


class DamagedValue(PolicyTest):
    def damaged(self, server, key):
        """Every kind of damage to a stored value, one after the other."""
        good = server.dict_get("alice", key)
        middle = len(good) // 2
        for name, bad in (
                ("flipped at the end", good[:-1] + chr(ord(good[-1]) ^ 1)),
                ("flipped in the middle", good[:middle] + "?" +
                 good[middle + 1:]),
                ("cut", good[:-5]), ("of a later version",
                                     good.replace("pp1", "pp2", 1)),
                ("not ours", "hello"), ("empty", " ")):
            server.dict_set("alice", key, bad)
            with self.subTest(damage=name):
                yield server.dict_get("alice", key)
        server.dict_set("alice", key, good)

    @each(dict=("file", "sqlite"))
    def test_state(self, dict):
        server = self.dovecot(dict=dict, faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "2d"})
        server.deliver("alice", message(1), message(2))
        before = self.session(server, "RETR 1", "NOOP")
        server.set_time("+5d")
        for bad in self.damaged(server, "state"):
            mark = server.log_mark()
            self.assert_refused(server)
            errors = plugin_errors(server, mark)
            self.assertEqual(len(errors), 1, errors)
            self.assertIn("priv/pop3-policy/state", errors[0])
            self.assertIn("doveadm pop3 state", errors[0])
            self.assertEqual(server.dict_get("alice", "state"), bad)
            self.assertEqual(self.mails(server), 2)
        self.assertEqual(self.session(server), before)
        self.assertEqual(self.mails(server), 1)

    def test_chunk_of_uidls(self):
        server = self.dovecot(config=BY_GUID)
        server.deliver("alice", *[message(i) for i in range(1, 201)])
        before = self.session(server)
        self.assertNotEqual(server.dict_get("alice", "uidl/0"), None)
        for bad in self.damaged(server, "uidl/0"):
            mark = server.log_mark()
            self.assert_refused(server)
            self.assertIn("priv/pop3-policy/uidl/0",
                          plugin_errors(server, mark)[0])
            self.assertEqual(server.dict_get("alice", "uidl/0"), bad)
        self.assertEqual(self.session(server), before)

    def test_chunk_of_uidls_that_is_missing(self):
        server = self.dovecot(config=BY_GUID)
        server.deliver("alice", *[message(i) for i in range(1, 201)])
        before = self.session(server)
        good = server.dict_get("alice", "uidl/0")
        server.dict_unset("alice", "uidl/0")
        self.assert_refused(server)
        server.dict_set("alice", "uidl/0", good)
        self.assertEqual(self.session(server), before)

    def test_ledger_is_only_missed(self):
        server = self.dovecot()
        server.deliver("alice", message(1), message(2))
        before = self.session(server)
        for bad in self.damaged(server, "ledger/0"):
            self.assertEqual(self.session(server), before)
            self.assertEqual(server.dict_get("alice", "ledger/0"), bad)

    @each(guard=("refuse", "log"))
    def test_what_a_ledger_covered_is_not_known_to_recovery(self, guard):
        server = self.dovecot(settings={"pop3_policy_uidl_guard": guard})
        server.deliver("alice", *[message(i) for i in range(1, 21)])
        before = self.session(server)
        good = server.dict_get("alice", "ledger/0")
        bad = good[:-1] + chr(ord(good[-1]) ^ 1)
        server.dict_set("alice", "ledger/0", bad)
        self.lose_indexes(server)
        if guard == "refuse":
            self.assert_refused(server)
            server.wait_log("of 20 shown messages 8 are recognised")
            self.assertEqual(server.dict_get("alice", "ledger/0"), bad)
            server.dict_set("alice", "ledger/0", good)
            self.assertEqual(self.session(server), before)
            return
        # the last ones are in the state
        after = self.session(server)
        self.assertEqual(list(after.values())[12:],
                         list(before.values())[12:])
        self.assertFalse(set(list(after.values())[:12]) &
                         set(before.values()))
        for _ in range(2):
            self.lose_indexes(server)
            self.assertEqual(self.session(server), after)
            self.assertEqual(server.dict_get("alice", "ledger/0"), bad)

    def test_usage_is_not_overwritten(self):
        server = self.dovecot()
        server.deliver("alice", message(1), message(2))
        before = self.session(server)
        for bad in self.damaged(server, "usage/now"):
            mark = server.log_mark()
            self.assertEqual(self.session(server, "RETR 1", "NOOP"), before)
            self.assertEqual(server.dict_get("alice", "usage/now"), bad)
            server.wait_log(REPLAYABLE % 1, after=mark)
            server.wait_log("usage/now", after=mark)

    def test_retrieval_is_stored_where_only_usage_is_damaged(self):
        server = self.dovecot(faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "2d"})
        server.deliver("alice", message(1), message(2))
        self.session(server)
        server.dict_set("alice", "usage/now", "hello")
        self.session(server, "RETR 1", "NOOP")
        server.set_time("+5d")
        self.session(server)
        self.assertEqual(self.mails(server), 1)


class NoDict(PolicyTest):
    def test_nothing_but_the_host(self):
        twins = Twins(self, [message(1), message(2)], dict=None, settings={
            "pop3_policy_removal": "yes", "pop3_policy_uidl": "guid"})
        for script in (b"UIDL\r\nRETR 1\r\nDELE 2\r\nCAPA\r\nQUIT\r\n",
                       b"UIDL\r\nUIDL 1\r\nQUIT\r\n"):
            twins.same([script])
        twins.ours.wait_no_process("pop3")
        self.assertNotIn("pop3-policy", twins.ours.log())
        found = glob.glob(twins.ours.home("alice") + "/**/*pop3-policy*",
                          recursive=True)
        self.assertEqual(found, [])


class DictAppearsLater(PolicyTest):
    @each(how=("missing", SILENT))
    def test_first_sight_is_then(self, how):
        server, fake = self.faked()
        self.break_dict(fake, how)
        before = self.session(server)
        self.mend_dict(fake)
        mark = server.log_mark()
        self.assertEqual(self.session(server), before)
        self.assertNotIn("Error: ", server.log(mark))
        self.assertIn(("alice", "state"), fake.values)
        self.assertEqual(self.make_exceptions(server), before)

    def test_file_dict_whose_directory_comes_later(self):
        server = self.dovecot(users={"alice": {}})
        server.deliver("alice", message(1))
        directory = os.path.dirname(server.dict_file("alice"))
        os.chmod(directory, 0)
        before = self.session(server)
        os.chmod(directory, 0o777)
        self.assertEqual(self.session(server), before)
        self.assertNotEqual(server.dict_get("alice", "state"), None)


BAD_SETTINGS = {
    "pop3_policy_dict_timeout": "soon",
    "pop3_policy_uidl": "pinned",
    "pop3_policy_uidl_guard": "maybe",
    "pop3_policy_removal": "perhaps",
    "pop3_policy_keep_retrieved": "14",
    "pop3_policy_keep_unretrieved": "two weeks",
    "pop3_policy_keep_deleted": "-1d",
    "pop3_policy_max_retrieved_messages": "many",
    "pop3_policy_max_retrieved_size": "big",
    "pop3_policy_min_keep": "1 dayy",
    "pop3_policy_protect": "\\Flaged",
    "pop3_policy_removal_limit_percent": "101",
    "pop3_policy_mass_delete_percent": "-5",
    "pop3_policy_login_delay": "x",
    "pop3_policy_login_burst": "0",
    "pop3_policy_usage": "on",
    "pop3_policy_usage_keep": "long",
    "pop3_policy_capa": "2",
}
RETENTION = ("pop3_policy_removal", "pop3_policy_keep_retrieved",
             "pop3_policy_keep_unretrieved", "pop3_policy_keep_deleted",
             "pop3_policy_max_retrieved_messages",
             "pop3_policy_max_retrieved_size", "pop3_policy_min_keep",
             "pop3_policy_protect", "pop3_policy_removal_limit_percent",
             "pop3_policy_mass_delete_percent")


class BadSettings(PolicyTest):
    def test_one_error_for_each_that_names_it_and_the_user(self):
        server = self.dovecot(settings=BAD_SETTINGS)
        server.deliver("alice", message(1))
        before = self.session(server)
        for name in BAD_SETTINGS:
            with self.subTest(setting=name):
                lines = re.findall(r"^.*Error: .*\b%s=.*$" % name,
                                   server.log(), re.MULTILINE)
                self.assertEqual(len(lines), 1, lines)
                self.assertIn("alice", lines[0])
        # pin, and usage counts
        self.lose_indexes(server)
        self.assertEqual(self.session(server), before)
        self.assertIn("sessions=2", server.dict_get("alice", "usage/now"))

    @each(name=RETENTION)
    def test_nothing_is_removed_with_a_bad(self, name):
        settings = {"pop3_policy_removal": "yes",
                    "pop3_policy_keep_retrieved": "1d",
                    "pop3_policy_keep_unretrieved": "1d"}
        settings[name] = BAD_SETTINGS[name]
        server = self.dovecot(settings=settings, faketime=True)
        server.deliver("alice", message(1), message(2))
        self.session(server, "RETR 1", "NOOP")
        server.set_time("+30d")
        self.session(server)
        self.assertEqual(self.mails(server), 2)

    def test_of_one_user_by_userdb(self):
        server = self.dovecot(users={
            "alice": {"pop3_policy_uidl": "nonsense"}, "bob": {}})
        for user in ("alice", "bob"):
            server.deliver(user, message(1))
            self.session(server, user=user)
        errors = plugin_errors(server)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn("alice", errors[0])
        self.assertIn("pop3_policy_uidl=nonsense", errors[0])
