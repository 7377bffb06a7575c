# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `doveadm pop3 retention run`: whom it looks at, what it says of all of them,
# how it is stopped and goes on.

import json
import os
import pty
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from fakedict import ANSWER, COMMIT, LOOKUP, FakeDict
from test_grace import HIDE
from test_retention import LAST, ON, RetentionTest, wait_processes
from testcase import FORMATS, each, message, wait_for

SUMMARY = re.compile(r"Retention run( \(.*?\))?: (users=.*)$", re.MULTILINE)
ALL = {**ON, "pop3_policy_removal_limit_percent": "100"}


def summary(text):
    """The one line at the end, as a dict."""
    (found,) = SUMMARY.findall(text)
    fields = dict(field.split("=") for field in found[1].split())
    return found[0], {name: int(value) for name, value in fields.items()}


class Run(RetentionTest):
    # what the run finds of each
    outcomes = {"due": "done", "more": "done", "looks": "busy",
                "new": "not due", "later": "not due", "broken": "failed",
                "off": "removal is off", "none": "no rules"}

    def users(self, format):
        server = self.policy(format=format, users={
            **{user: {} for user in self.outcomes},
            "off": {"pop3_policy_removal": "no"},
            "none": {"pop3_policy_keep_retrieved": "0"},
            "more": {"pop3_policy_max_retrieved_messages": "1"}})
        for user in self.outcomes:
            self.fill(server, 4, user)
            if user not in ("later", "new"):
                self.session(server, user, retr=(1, 2, 3))
        self.move(server, "+15d")
        self.session(server, "later", retr=(1, 2, 3))
        server.dict_set("broken", "state", "nonsense")
        return server

    @each(format=FORMATS)
    def test_summary(self, format):
        server = self.users(format)
        looks = server.pop3("looks")
        result = server.doveadm("-f", "json", "pop3", "retention", "run", "-A")
        looks.quit()
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertEqual(
            {row["username"]: row["outcome"]
             for row in json.loads(result.stdout) if row["username"] != "zoe"},
            self.outcomes)
        size = len(message(1))
        self.assertEqual(summary(result.stderr), ("", {
            "users": 9, "opened": 2, "logged_in": 1, "errors": 1,
            "messages": 6, "bytes": 6 * size, "waiting": 0,
            "keep_retrieved": 4, "keep_unretrieved": 0, "keep_deleted": 0,
            "max_retrieved_messages": 2, "max_retrieved_size": 0}))

    def test_summary_of_a_dry_run(self):
        server = self.users("maildir")
        result = server.doveadm("pop3", "retention", "run", "-u", "due",
                                "--dry-run", check=True)
        what, fields = summary(result.stderr)
        self.assertEqual((what, fields["messages"]), (" (dry run)", 3))
        self.assertEqual(self.there(server, "due"), [1, 2, 3, 4])

    @each(format=FORMATS)
    def test_who_is_not_due_is_not_opened(self, format):
        """An INBOX that cannot be opened is nobody's concern then."""
        server = self.policy(format=format)
        self.fill(server, 3)
        self.session(server, retr=(1,))
        inbox = server.inbox_dirs("alice")[0]
        os.chown(inbox, 0, 0)
        os.chmod(inbox, 0)
        result = self.run_now(server, "-A")
        self.assertEqual(summary(result.stderr)[1]["opened"], 0)
        result = server.doveadm("pop3", "retention", "run", "-A", "--force")
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertEqual(summary(result.stderr)[1]["errors"], 1)

    def test_progress_on_a_terminal(self):
        server = self.users("maildir")
        own, other = pty.openpty()
        process = subprocess.run(
            ["doveadm", "-c", server.config_file, "pop3", "retention", "run",
             "-A", "--dry-run"], env=server._full_environment(),
            stdout=subprocess.PIPE, stderr=other, check=False)
        os.close(other)
        text = b""
        while True:
            try:
                text += os.read(own, 65536)
            except OSError:
                break
        os.close(own)
        self.assertRegex(text, rb"\d users, \d maildrops opened, \d+ messages,"
                               rb" \d errors\x1b\[K\r")
        # and what is no terminal has nothing of it
        self.assertNotIn(b"\x1b", process.stdout)
        self.assertNotIn("\x1b", self.run_now(
            server, "-u", "later", "--force").stderr)


class ByRule(RetentionTest):
    # user: its one rule, and how many messages that takes after 15 days, of
    # five, three of which were retrieved and one was DELEd
    users = {
        "keep_retrieved": ("14d", 3), "keep_unretrieved": ("14d", 2),
        "keep_deleted": ("14d", 1), "max_retrieved_messages": ("1", 1),
        "max_retrieved_size": ("1", 2),
    }

    @each(dry_run=(False, True))
    def test_summary_tells_each_rule(self, dry_run):
        server = self.policy(
            config=HIDE, settings={"pop3_policy_removal": "yes"},
            users={user: {"pop3_policy_" + user: value}
                   for user, (value, _) in self.users.items()})
        for user in self.users:
            self.fill(server, 5, user)
            self.session(server, user, retr=(1, 2, 3), dele=(2,))
        self.move(server, "+15d")
        text = self.run_now(server, "-A", *["--dry-run"] * dry_run).stderr
        what, fields = summary(text)
        self.assertEqual(what, " (dry run)" if dry_run else "")
        self.assertEqual({rule: fields[rule] for rule in self.users},
                         {rule: count for rule, (_, count)
                          in self.users.items()})
        lines = [line for user in self.users for line in self.removals(
            text, user, "Would be removed" if dry_run else "Removed")]
        self.assertEqual([line["user"] for line in lines],
                         [line["rule"] for line in lines])
        self.assertEqual(fields["messages"], len(lines))
        self.assertEqual(fields["bytes"],
                         sum(int(line["size"]) for line in lines))


class NotDue(RetentionTest):
    users = ["u%d" % number for number in range(1, 6)]

    @staticmethod
    def seen(paths):
        return {path: (found.st_ino, found.st_size, found.st_atime_ns,
                       found.st_mtime_ns, found.st_ctime_ns)
                for path, found in ((path, os.stat(path)) for path in paths)}

    @staticmethod
    def below(top):
        return [top] + [os.path.join(path, name) for path, dirs, files
                        in os.walk(top) for name in dirs + files]

    def seal(self, top):
        """All that is below TOP, as if read in 1970 last: a look shows."""
        paths = self.below(top)
        for path in paths:
            os.utime(path, ns=(0, os.stat(path).st_mtime_ns))
        return self.seen(paths)

    @each(format=FORMATS)
    def test_one_lookup_and_nothing_is_opened(self, format):
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        server = self.policy(*self.users, format=format, dict=fake.setting)
        for user in self.users:
            self.fill(server, 3, user)
            self.session(server, user, retr=(1,))
        self.move(server, "+13d")
        # (who never logged in has nothing at all)
        looks = [(LOOKUP, user, ["state"]) for user in [*self.users, LAST]]
        homes = server.path("home")
        sealed = self.seal(homes)
        del fake.seen[:]
        result = self.run_now(server, "-A")
        self.assertEqual(self.seen(sealed), sealed)
        self.assertEqual(sorted(self.below(homes)), sorted(sealed))
        # several at the same time
        self.assertEqual(sorted(fake.seen), sorted(looks))
        self.assertEqual(summary(result.stderr)[1]["opened"], 0)
        # a look shows
        sealed = self.seal(homes)
        self.run_now(server, "-A", "--force")
        self.assertNotEqual(self.seen(sealed), sealed)


class Stopped(RetentionTest):
    def server(self, *users, **options):
        self.fake = FakeDict()
        self.addCleanup(self.fake.destroy)
        return self.policy(*users, dict=self.fake.setting, settings=ALL,
                           **options)

    def maildrop(self, format, count):
        server = self.server(format=format)
        self.fill(server, count)
        self.session(server, retr=range(1, count + 1))
        return server

    def stop_before_second_batch(self, commits, pids):
        """Tells them to end once one looks up what to remove, after so many
        commits of alice's; once."""
        def rule(operation, user, keys):
            if user != "alice":
                return ANSWER
            self.commits += operation == COMMIT
            if self.commits == commits and keys == ["state"] and \
                    operation == LOOKUP:
                self.fake.rule = lambda *_: ANSWER
                for pid in pids():
                    os.kill(pid, signal.SIGTERM)
            return ANSWER
        self.commits = 0
        self.fake.rule = rule

    def run_and_stop(self, server, *args, when):
        """The run gets a signal before the dict answers the operation, user
        and occurrence of WHEN."""
        seen = []

        def rule(operation, user, _keys):
            seen.append((operation, user))
            if when == (operation, user, seen.count((operation, user))):
                os.kill(process.pid, signal.SIGTERM)
            return ANSWER
        self.fake.rule = rule
        process = subprocess.Popen(
            ["doveadm", "-c", server.config_file, "-f", "tab", "pop3",
             "retention", "run", *args], env=server._full_environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = [text.decode() for text in process.communicate()]
        self.assertEqual(process.returncode, 143, err)
        return out, err

    @each(format=FORMATS, operation=(LOOKUP, COMMIT))
    def test_run_over_all_goes_on_with_the_others(self, format, operation):
        """A user that is at work is done to the end of the batch, one that is
        only looked at is left."""
        users = ["u%d" % number for number in range(1, 6)]
        server = self.server(*users, format=format)
        for user in users:
            self.fill(server, 4, user)
            self.session(server, user, retr=(1, 2, 3))
        self.move(server, "+15d")
        done = 3 if operation == COMMIT else 2
        # a first lookup is made while others have their turn
        out, err = self.run_and_stop(server, "-A", when=(
            operation, "u3", 1 if operation == COMMIT else 2))
        what, fields = summary(err)
        self.assertEqual((what, fields["users"], fields["messages"],
                          fields["errors"]), (" (stopped)", 3, 3 * done, 0))
        self.assertEqual("stopped" in out, operation == LOOKUP)
        again = self.run_now(server, "-A")
        self.assertEqual(summary(again.stderr)[1]["messages"],
                         3 * (len(users) - done))
        for number, user in enumerate(users):
            for text, gone in (err, number < done), \
                    (again.stderr, number >= done):
                self.assertEqual([f["uid"] for f in
                                  self.removals(text, user)],
                                 ["1", "2", "3"] if gone else [])
            self.assertEqual(self.there(server, user), [4])
            self.assertEqual(self.counted(server, "removed_count", user), 3)
        self.assertEqual(summary(self.run_now(server, "-A").stderr)[1][
            "opened"], 0)

    @each(format=FORMATS)
    def test_a_login_comes_before_or_after_a_batch(self, format):
        """What it lists stays, however much is still due."""
        server = self.maildrop(format, 1100)
        self.move(server, "+15d")
        held, let_go = threading.Event(), threading.Event()
        self.addCleanup(let_go.set)

        def rule(operation, user, keys):
            if operation == COMMIT and "state" in keys and not held.is_set():
                held.set()
                let_go.wait()
            return ANSWER
        self.fake.rule = rule
        process = subprocess.Popen(
            ["doveadm", "-c", server.config_file, "pop3", "retention", "run",
             "-u", "alice"], env=server._full_environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with ThreadPoolExecutor() as pool:
            told = pool.submit(process.communicate)
            self.assertTrue(held.wait(60))
            login = pool.submit(server.pop3, "alice")
            wait_processes(server, 1)
            let_go.set()
            with login.result() as client:
                listed = client.uidls()
                gone = self.removals(told.result()[1].decode())
                self.assertGreaterEqual(len(gone), 500)
                self.assertEqual(len(listed), 1100 - len(gone))
                self.assertFalse({f["uidl"] for f in gone} &
                                 set(listed.values()))
                self.assertEqual(len(self.there(server)), len(listed))

    @each(format=FORMATS)
    def test_nothing_goes_while_the_server_ends(self, format):
        """A session goes on for a while."""
        server = self.maildrop(format, 3)
        mark = self.move(server, "+15d")
        with server.pop3("alice") as client:
            uidls = client.uidls()
            server.process.terminate()
            # it learns of that in the same moment as the others
            wait_for(lambda: not server.processes("anvil"), "the server's end")
            client.ok("NOOP")
            client.quit()
        server.stop()
        self.assertEqual(self.removals(server.log(mark)), [])
        server.start()
        self.assertEqual(self.there(server), [1, 2, 3])
        mark = server.log_mark()
        self.assertEqual(self.session(server), uidls)
        self.assertEqual(len(self.removed(server, mark)), 3)

    @each(format=FORMATS)
    def test_run_goes_on_where_it_was(self, format):
        server = self.maildrop(format, 1200)
        self.move(server, "+15d")
        self.stop_before_second_batch(1, lambda: [process.pid])
        process = subprocess.Popen(
            ["doveadm", "-c", server.config_file, "pop3", "retention", "run",
             "-u", "alice"], env=server._full_environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = [text.decode() for text in process.communicate()]
        self.assertEqual(process.returncode, 143, err)
        self.assertIn("stopped", out)
        first = self.removals(err)
        self.assertEqual([int(f["uid"]) for f in first],
                         list(range(1, 501)))
        what, fields = summary(err)
        self.assertEqual(what, " (stopped)")
        self.assertEqual((fields["messages"], fields["waiting"]), (500, 700))
        self.assertIn("700 more messages are due, and wait for the next pass",
                      err)
        self.assertEqual(self.there(server), list(range(501, 1201)))
        again = self.run_now(server, "-u", "alice")
        self.assertEqual([int(f["uid"]) for f in self.removals(again.stderr)],
                         list(range(501, 1201)))
        self.assertEqual(self.there(server), [])
        self.assertEqual(self.counted(server, "removed_count"), 1200)

    @each(format=FORMATS)
    def test_session_of_a_server_that_ends(self, format):
        server = self.maildrop(format, 1200)
        mark = self.move(server, "+15d")
        client = server.pop3("alice")
        # the first commit is the session's own
        self.stop_before_second_batch(2, lambda: server.processes("pop3"))
        client.quit()
        server.wait_no_process("pop3")
        text = self.log_of_sessions(server, mark)
        self.assertEqual([int(f["uid"]) for f in self.removals(text)],
                         list(range(1, 501)))
        self.assertEqual(self.there(server), list(range(501, 1201)))
        # the next one goes on
        mark = server.log_mark()
        self.session(server)
        gone = [int(f["uid"]) for f in self.removed(server, mark)]
        self.assertEqual(gone, list(range(501, 501 + len(gone))))
        self.assertNotEqual(gone, [])
