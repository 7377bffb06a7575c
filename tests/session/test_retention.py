# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Retention: which mail leaves, when, by whom, and what is told of it. The
# server's clock is moved; nobody waits for it.

import json
import re

from testcase import FORMATS, SessionTest, each, message, wait_for

REMOVED = re.compile(r"(Removed|Would be removed): (user=.*)$", re.MULTILINE)
ON = {"pop3_policy_removal": "yes", "pop3_policy_keep_retrieved": "14 days"}
# This one's only purpose is to log something after everyone else.
LAST = "zoe"


def wait_processes(server, count):
    wait_for(lambda: len(server.processes("pop3")) == count,
             "%d sessions" % count)


class RetentionTest(SessionTest):
    def policy(self, *users, **options):
        """A server with a clock that can be moved."""
        names = {name: {} for name in users or ("alice",)}
        options.setdefault("users", names)[LAST] = {}
        options.setdefault("settings", {**ON})
        return self.dovecot(faketime=True, **options)

    @staticmethod
    def fill(server, count, *users):
        for user in users or ("alice",):
            server.deliver(user, *[message(number) for number in
                                   range(1, count + 1)])

    @staticmethod
    def session(server, user="alice", retr=(), dele=()):
        """A session that has ended and stored what it knew; its UIDLs."""
        with server.pop3(user) as client:
            uidls = client.uidls()
            for number in retr:
                client.retr(number)
            for number in dele:
                client.ok("DELE %d" % number)
            client.quit()
        server.wait_no_process("pop3")
        return uidls

    @staticmethod
    def move(server, offset):
        """Starts the server anew at another time; where its log ends."""
        server.stop()
        server.set_time(offset)
        server.start()
        return server.log_mark()

    @staticmethod
    def log_of_sessions(server, mark):
        """All that pop3 processes logged: they share one pipe, in which a
        last one is behind all that have ended."""
        server.pop3(LAST).quit()
        server.wait_log(r"pop3\(%s\).*Logged out" % LAST, after=mark)
        return server.log(mark)

    @staticmethod
    def removals(text, user="alice", verb="Removed"):
        """The lines of TEXT on removals, each as a dict of its fields."""
        found = [dict(field.split("=", 1) for field in match[1].split())
                 for match in REMOVED.findall(text) if match[0] == verb]
        return [fields for fields in found if fields["user"] == user]

    def removed(self, server, mark, user="alice", verb="Removed"):
        return self.removals(self.log_of_sessions(server, mark), user, verb)

    @staticmethod
    def run_now(server, *args):
        return server.doveadm("pop3", "retention", "run", *args, check=True)

    @staticmethod
    def there(server, user="alice", mailbox="INBOX"):
        """The UIDs that are there, asked of somebody else."""
        client = server.imap(user)
        client.select(mailbox, readonly=True)
        uids = client.uid("SEARCH", "ALL")[1][0]
        client.logout()
        return [int(uid) for uid in uids.split()]

    @staticmethod
    def counted(server, name, user="alice"):
        text = server.doveadm("pop3", "usage", "show", "-u", user, "--by",
                              "total", check=True).stdout
        return int(re.search(r"\b%s=(\d+)" % name, text).group(1))

    @staticmethod
    def flag(server, user, uid, flag, sign="+"):
        client = server.imap(user)
        client.select("INBOX")
        client.uid("STORE", str(uid), sign + "FLAGS", "(%s)" % flag)
        client.logout()


class Rules(RetentionTest):
    # user: what its userdb says; all retrieve messages 1 to 3 of 5 at once
    users = {
        "retrieved": {"pop3_policy_keep_retrieved": "14d"},
        "unretrieved": {"pop3_policy_keep_unretrieved": "30d"},
        "min_keep": {"pop3_policy_keep_retrieved": "1h",
                     "pop3_policy_min_keep": "10d"},
        "flag": {"pop3_policy_keep_retrieved": "14d"},
        "keyword": {"pop3_policy_keep_retrieved": "14d",
                    "pop3_policy_protect": "Keep"},
        "messages": {"pop3_policy_max_retrieved_messages": "2"},
        "size": {"pop3_policy_max_retrieved_size": "2k"},
        "two": {"pop3_policy_keep_retrieved": "14d",
                "pop3_policy_keep_unretrieved": "12d"},
        "off": {"pop3_policy_keep_retrieved": "14d",
                "pop3_policy_removal": "no"},
        "bad": {"pop3_policy_keep_retrieved": "14d",
                "pop3_policy_min_keep": "banana"},
        "none": {},
    }
    # when, and then for each user what goes by which rule
    steps = [
        ("+12h", {}),
        ("+9d", {"messages": {1: "max_retrieved_messages"},
                 "size": {1: "max_retrieved_size"}}),
        ("+13d", {"min_keep": dict.fromkeys((1, 2, 3), "keep_retrieved"),
                  "two": dict.fromkeys((4, 5), "keep_unretrieved")}),
        ("+15d", {"retrieved": dict.fromkeys((1, 2, 3), "keep_retrieved"),
                  "two": dict.fromkeys((1, 2, 3), "keep_retrieved"),
                  "flag": dict.fromkeys((1, 3), "keep_retrieved"),
                  "keyword": dict.fromkeys((2, 3), "keep_retrieved")}),
        ("+31d", {"unretrieved": dict.fromkeys((4, 5), "keep_unretrieved")}),
        ("+900d", {}),
    ]

    def do(self, server, mark, by, users=None):
        if by == "run":
            return self.run_now(server, "-A").stderr
        for user in users or self.users:
            self.session(server, user)
        return self.log_of_sessions(server, mark)

    @each(format=FORMATS, by=("session", "run"))
    def test_each_rule_at_its_time(self, format, by):
        server = self.policy(format=format, users=dict(self.users),
                             settings={"pop3_policy_removal": "yes"})
        left = {}
        for user in self.users:
            server.deliver(user, *[message(number, size=600)
                                   for number in range(1, 6)])
            self.session(server, user, retr=(1, 2, 3))
            left[user] = {1, 2, 3, 4, 5}
        self.flag(server, "flag", 2, "\\Flagged")
        self.flag(server, "keyword", 1, "Keep")
        self.flag(server, "keyword", 2, "\\Flagged")
        for when, expected in self.steps:
            mark = self.move(server, when)
            text = self.do(server, mark, by)
            for user in self.users:
                with self.subTest(user=user, when=when):
                    found = self.removals(text, user)
                    gone = expected.get(user, {})
                    self.assertEqual(
                        [(int(f["uid"]), f["rule"]) for f in found],
                        sorted(gone.items()))
                    self.assertTrue(all(by in f for f in found))
                    left[user] -= set(gone)
                    self.assertEqual(self.there(server, user),
                                     sorted(left[user]))

    def test_first_retrieval_counts_and_never_moves(self):
        server = self.policy()
        self.fill(server, 2)
        self.session(server, retr=(1,))
        self.move(server, "+10d")
        self.session(server, retr=(1, 2))
        mark = self.move(server, "+15d")
        self.session(server, retr=(1,))
        self.assertEqual([f["uid"] for f in self.removed(server, mark)], ["1"])
        self.assertEqual(self.there(server), [2])

    def test_flag_set_while_the_last_session_looks(self):
        server = self.policy()
        self.fill(server, 2)
        self.session(server, retr=(1, 2))
        mark = self.move(server, "+15d")
        with server.pop3("alice") as client:
            self.flag(server, "alice", 1, "\\Flagged")
            client.quit()
        server.wait_no_process("pop3")
        self.assertEqual([f["uid"] for f in self.removed(server, mark)], ["2"])

    @each(by=("session", "run"))
    def test_protection_that_is_taken_away(self, by):
        """By its owner, and by the administrator."""
        users = {"alice": {}, "bob": {"pop3_policy_protect": "Keep"}}
        server = self.policy(users=users)
        for user, flag in ("alice", "\\Flagged"), ("bob", "Keep"):
            self.fill(server, 1, user)
            self.session(server, user, retr=(1,))
            self.flag(server, user, 1, flag)
        mark = self.move(server, "+15d")
        self.do(server, mark, by, users)
        self.flag(server, "alice", 1, "\\Flagged", "-")
        server.add_user("bob")
        mark = self.move(server, "+361h")
        text = self.do(server, mark, by, users)
        # the one is looked at once a day, the other at once
        self.assertEqual(self.removals(text), [])
        self.assertEqual(len(self.removals(text, "bob")), 1)
        mark = self.move(server, "+16d")
        text = self.do(server, mark, by, users)
        self.assertEqual(len(self.removals(text)), 1)

    def test_bad_value_is_told_once_and_removes_nothing(self):
        users = {"alice": {"pop3_policy_keep_retrieved": "banana"}}
        server = self.policy(users=users)
        self.fill(server, 1)
        self.session(server, retr=(1,))
        mark = self.move(server, "+900d")
        self.session(server)
        text = self.log_of_sessions(server, mark)
        self.assertEqual(len(re.findall(
            r"User alice: Bad setting pop3_policy_keep_retrieved=banana",
            text)), 1, text)
        self.assertEqual(self.there(server), [1])


class OneLineEach(RetentionTest):
    def test_line_says_all(self):
        server = self.policy()
        text = message(1)
        server.deliver("alice", text)
        uidls = self.session(server, retr=(1,))
        mark = self.move(server, "+15d")
        with server.pop3("alice") as client:
            self.assertEqual(client.uidls(), uidls)
            client.quit()
        server.wait_no_process("pop3")
        (line,) = self.removed(server, mark)
        self.assertEqual(line["uidl"], uidls[1])
        self.assertEqual(line["size"], str(len(text)))
        self.assertEqual(line["rule"], "keep_retrieved")
        self.assertRegex(line["retrieved"], r"^2\d{3}-\d\d-\d\dT[\d:]{8}Z$")
        self.assertRegex(line["first_seen"], r"^2\d{3}-\d\d-\d\dT[\d:]{8}Z$")
        self.assertEqual(line["deleted"], "-")
        self.assertEqual(self.counted(server, "removed_count"), 1)
        self.assertEqual(self.counted(server, "removed_bytes"), len(text))

    @each(format=FORMATS)
    def test_ten_sessions_that_end_at_the_same_moment(self, format):
        server = self.policy(format=format)
        self.fill(server, 30)
        self.session(server, retr=range(1, 26))
        mark = self.move(server, "+15d")
        clients = [server.pop3("alice") for _ in range(10)]
        for client in clients:
            client.send(b"QUIT\r\n")
        for client in clients:
            client.read_all()
        server.wait_no_process("pop3")
        found = self.removed(server, mark)
        self.assertEqual(sorted(int(f["uid"]) for f in found),
                         list(range(1, 26)))
        self.assertEqual(self.there(server), list(range(26, 31)))
        self.assertEqual(self.counted(server, "removed_count"), 25)

    @each(format=FORMATS)
    def test_not_while_another_session_looks(self, format):
        server = self.policy(format=format)
        self.fill(server, 3)
        uidls = self.session(server, retr=(1, 2))
        mark = self.move(server, "+15d")
        first = server.pop3("alice")
        second = server.pop3("alice")
        self.assertEqual(second.uidls(), uidls)
        self.assertEqual(len(server.processes("pop3")), 2)
        first.quit()
        # its process ends last of all that it does
        wait_processes(server, 1)
        result = self.run_now(server, "-u", "alice")
        self.assertIn("busy", result.stdout)
        self.assertEqual(self.removals(result.stderr), [])
        self.assertEqual(second.retr(1), message(1))
        self.assertEqual(second.uidls(), uidls)
        self.assertEqual(self.there(server), [1, 2, 3])
        second.quit()
        server.wait_no_process("pop3")
        self.assertEqual([f["uid"] for f in self.removed(server, mark)],
                         ["1", "2"])


class DryRun(RetentionTest):
    def test_told_once_a_day_and_nothing_goes(self):
        server = self.policy(settings={**ON, "pop3_policy_removal": "dry-run"})
        self.fill(server, 3)
        self.session(server, retr=(1, 2))
        for when, expected in (("+15d", ["1", "2"]), ("+15d", []),
                               ("+370h", []), ("+17d", ["1", "2"])):
            with self.subTest(when):
                mark = self.move(server, when)
                self.session(server)
                told = self.removed(server, mark, verb="Would be removed")
                self.assertEqual([f["uid"] for f in told], expected)
                self.assertEqual(self.removed(server, mark), [])
        self.assertEqual(self.there(server), [1, 2, 3])
        self.assertEqual(self.counted(server, "removed_count"), 0)

    def test_switched_on_it_removes_at_once(self):
        server = self.policy(settings={**ON, "pop3_policy_removal": "dry-run"})
        self.fill(server, 3)
        self.session(server, retr=(1, 2))
        mark = self.move(server, "+15d")
        self.session(server)
        self.assertEqual(self.removed(server, mark), [])
        server.settings = ON
        mark = self.move(server, "+361h")
        self.session(server)
        self.assertEqual([f["uid"] for f in self.removed(server, mark)],
                         ["1", "2"])

    @each(format=FORMATS)
    def test_run_removes_what_explain_and_dry_run_say(self, format):
        server = self.policy(format=format)
        self.fill(server, 80)
        self.session(server, retr=range(1, 71))
        self.flag(server, "alice", 3, "\\Flagged")
        self.move(server, "+15d")
        explained = json.loads(server.doveadm(
            "-f", "json", "pop3", "retention", "explain", "-u", "alice",
            check=True).stdout)
        said = [e["uidl"] for e in explained if e["action"] == "goes now"]
        dry = self.run_now(server, "-u", "alice", "--dry-run")
        listed = self.removals(dry.stderr, verb="Would be removed")
        self.assertEqual(self.there(server), list(range(1, 81)))
        done = self.removals(self.run_now(server, "-u", "alice").stderr)
        self.assertEqual(len(done), 50)
        self.assertEqual([f["uidl"] for f in done], said)
        same = ("uidl", "uid", "size", "rule", "first_seen", "retrieved")
        for before, after in zip(listed, done, strict=True):
            self.assertEqual([before[name] for name in same],
                             [after[name] for name in same])
        actions = [e["action"] for e in explained]
        self.assertEqual({a: actions.count(a) for a in set(actions)},
                         {"goes now": 50, "waits": 19, "stays": 11})
        self.assertEqual(explained[2]["rule"], "protected")


class Caps(RetentionTest):
    @each(format=FORMATS, by=("session", "run"))
    def test_oldest_retrieval_first(self, format, by):
        """Whatever the order of the messages is."""
        server = self.policy(format=format, settings={
            **ON, "pop3_policy_max_retrieved_messages": "1"})
        self.fill(server, 4)
        for hour, number in enumerate((3, 1, 2)):
            self.move(server, "+%d" % (hour * 3600))
            self.session(server, retr=(number,))
        # min_keep is a day
        for hours, gone in (24.5, ["3"]), (25.5, ["1"]), (200, []):
            mark = self.move(server, "+%d" % (hours * 3600))
            if by == "run":
                text = self.run_now(server, "-u", "alice").stderr
            else:
                self.session(server)
                text = self.log_of_sessions(server, mark)
            self.assertEqual([f["uid"] for f in self.removals(text)], gone)
        self.assertEqual(self.there(server), [2, 4])


class Bounds(RetentionTest):
    def test_limit_of_a_day(self):
        server = self.policy()
        self.fill(server, 300)
        self.session(server, retr=range(1, 301))
        mark = self.move(server, "+15d")
        self.session(server)
        text = self.log_of_sessions(server, mark)
        # the longest due first
        self.assertEqual([int(f["uid"]) for f in self.removals(text)],
                         list(range(1, 61)))
        self.assertEqual(len(re.findall(r"240 more messages are due", text)),
                         1, text)
        mark = server.log_mark()
        self.session(server)
        self.assertEqual(self.removed(server, mark), [])
        mark = self.move(server, "+17d")
        self.session(server)
        # 20 % of 240, but 50 always
        self.assertEqual(len(self.removed(server, mark)), 50)
        self.assertEqual(self.counted(server, "removed_count"), 110)
        self.assertEqual(self.there(server), list(range(111, 301)))

    @each(percent=(100, 60))
    def test_removal_in_batches(self, percent):
        settings = {**ON, "pop3_policy_removal_limit_percent": str(percent)}
        server = self.policy(settings=settings)
        self.fill(server, 1100)
        self.session(server, retr=range(1, 1101))
        self.move(server, "+15d")
        result = self.run_now(server, "-u", "alice")
        gone = 11 * percent
        self.assertEqual(
            sorted(int(f["uid"]) for f in self.removals(result.stderr)),
            list(range(1, gone + 1)))
        self.assertEqual(self.counted(server, "removed_count"), gone)
        self.assertEqual(self.there(server), list(range(gone + 1, 1101)))

    @each(by=("session", "run"))
    def test_clock_that_went_back_pauses(self, by):
        server = self.policy()
        self.fill(server, 2)
        self.session(server, retr=(1,))
        mark = self.move(server, "+40d")
        # this one's time is in the future after what comes now
        with server.pop3("alice") as other:
            self.session_beside(server, other)
        self.assertEqual(self.removed(server, mark), [])
        mark = self.move(server, "+20d")
        explained = server.doveadm("-f", "json", "pop3", "retention",
                                   "explain", "-u", "alice", check=True)
        self.assertEqual([row["action"] for row
                          in json.loads(explained.stdout)],
                         ["waits", "goes later"])
        self.assertIn("The clock is behind", explained.stderr)
        text = self.do(server, mark, by)
        self.assertEqual(self.removals(text), [])
        self.assertIn("The clock is behind", text)
        self.assertEqual(self.there(server), [1, 2])
        # told once, whatever sessions do until it has caught up
        mark = server.log_mark()
        self.session(server, retr=(1, 2))
        self.session(server)
        self.run_now(server, "-u", "alice")
        self.assertNotIn("The clock is behind",
                         self.log_of_sessions(server, mark))
        mark = self.move(server, "+39d")
        self.session(server)
        self.assertNotIn("The clock is behind",
                         self.log_of_sessions(server, mark))
        mark = self.move(server, "+41d")
        self.assertEqual([f["uid"] for f in
                          self.removals(self.do(server, mark, by))], ["1"])

    def test_clock_that_jumped_forward_is_bounded(self):
        """Within one pass only removal_limit_percent goes; what has a time in
        the future then is kept longer, never shorter."""
        server = self.policy()
        self.fill(server, 300)
        self.session(server, retr=range(1, 251))
        mark = self.move(server, "+4000d")
        self.session(server, retr=(251,))
        text = self.log_of_sessions(server, mark)
        self.assertEqual([int(f["uid"]) for f in self.removals(text)],
                         list(range(1, 61)))
        self.assertEqual(len(re.findall("190 more messages are due", text)), 1)
        left = list(range(61, 301))
        # somebody has seen it, and set the clock right
        for when in ("+1d", "+20d", "+3999d"):
            mark = self.move(server, when)
            self.session(server)
            self.assertEqual(self.removed(server, mark), [])
            self.assertEqual(self.there(server), left)
        # 20 % of what is left, and never what was retrieved in the future
        for when in ("+4002d", "+4004d", "+4006d", "+4008d", "+4010d"):
            mark = self.move(server, when)
            self.session(server)
            left = left[len(self.removed(server, mark)):]
            self.assertEqual(self.there(server), left)
        self.assertEqual(left, list(range(251, 301)))
        mark = self.move(server, "+4015d")
        self.session(server)
        self.assertEqual([f["uid"] for f in self.removed(server, mark)],
                         ["251"])

    def session_beside(self, server, other):
        """Message 2 is retrieved while OTHER keeps removal away; OTHER hangs
        with the server, which is killed: nothing is removed at its end."""
        with server.pop3("alice") as client:
            client.retr(2)
            client.quit()
        wait_processes(server, 1)
        server.kill("pop3")
        other.close()
        server.wait_no_process("pop3")

    def do(self, server, mark, by):
        if by == "run":
            return self.run_now(server, "--force", "-u", "alice").stderr
        self.session(server)
        return self.log_of_sessions(server, mark)


class AnotherMailbox(RetentionTest):
    @each(format=FORMATS)
    def test_uidl_host_removes_nothing_after_a_new_uidvalidity(self, format):
        server = self.policy(format=format, settings={
            **ON, "pop3_policy_uidl": "host",
            "pop3_policy_keep_unretrieved": "60 days"})
        self.fill(server, 5)
        self.session(server, retr=(1, 2, 3))
        self.renumber(server)
        mark = self.move(server, "+20d")
        forced = self.run_now(server, "--force", "-u", "alice")
        self.assertEqual(self.removals(forced.stderr), [])
        self.session(server)
        self.session(server)
        self.assertEqual(self.removed(server, mark), [])
        self.assertEqual(len(self.there(server)), 5)
        # all are new: their clocks began at that login
        mark = self.move(server, "+81d")
        self.session(server)
        found = self.removed(server, mark)
        self.assertEqual([f["rule"] for f in found], ["keep_unretrieved"] * 5)

    @each(format=FORMATS)
    def test_pin_goes_on_where_the_ledger_knows_them(self, format):
        server = self.policy(format=format)
        self.fill(server, 5)
        uidls = self.session(server, retr=(1, 2, 3))
        self.renumber(server)
        mark = self.move(server, "+20d")
        forced = self.run_now(server, "--force", "-u", "alice")
        self.assertIn("another mailbox", forced.stdout)
        self.assertEqual(self.removals(forced.stderr), [])
        self.session(server)
        self.assertEqual([f["uidl"] for f in self.removed(server, mark)],
                         [uidls[number] for number in (1, 2, 3)])

    def renumber(self, server):
        def validity():
            return server.doveadm("mailbox", "status", "-u", "alice",
                                  "uidvalidity", "INBOX", check=True).stdout

        before = validity()
        # a second later, since it is the time on maildir
        server.set_time("+1d")
        server.remove_indexes("alice")
        self.assertNotEqual(validity(), before)
