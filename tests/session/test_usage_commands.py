# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# doveadm pop3 usage: replay, reset, and show in any order.

import csv
import io
import json
import os
import re
import subprocess
import time

from dovecot import installed_line
from fakedict import ANSWER, COMMIT, FAIL, LOSE, FakeDict
from test_doveadm import OFF
from test_examples import source
from test_usage import ALL_NAMES, LAST_MONTH, NAMES, STORY, Counting, \
    UsageTest, add_up, last_month
from testcase import each, message, wait_for

MARK = "usage not stored, to be replayed: "
# Lines of the time to come are not added.
ENDED = int(time.time())


class Commands(UsageTest):
    def replay(self, server, text, *options, code=0):
        """Session id to outcome, in the order in which they are told."""
        result = server.doveadm("-f", "json", "pop3", "usage", "replay",
                                *options, input=text.encode())
        self.assertEqual(result.returncode, code, result.stderr)
        self.replay_errors = result.stderr
        return [(row["session"], row["outcome"])
                for row in json.loads(result.stdout or "[]")]

    def line(self, user, session, ended, numbers):
        return "%suser=%s session=%s ended=%d %s\n" % (
            MARK, user, session, ended, numbers)


class Replay(Commands):
    def failing(self, action, **options):
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        server = self.dovecot(dict=fake.setting, **options)
        self.deliver_some(server)
        first = Counting(server, "alice")
        first.retr(1)
        first.quit()
        server.wait_no_process("pop3")
        fake.rule = lambda operation, user, keys: \
            action if operation == COMMIT else ANSWER
        second = Counting(server, "alice")
        second.retr(3)
        second.listing("UIDL")
        second.quit()
        server.wait_no_process("pop3")
        fake.rule = lambda operation, user, keys: ANSWER
        wait_for(lambda: MARK in server.log(), "the line to replay")
        self.assertEqual(server.log().count(MARK), 1)
        return server, add_up([first.counts, second.counts])

    def test_a_failed_commit_is_added_once(self):
        server, both = self.failing(FAIL)
        log = server.log()
        outcomes = self.replay(server, log, "-u", "alice", "--dry-run")
        self.assertEqual([o for _, o in outcomes], ["would be added"])
        self.assertEqual(self.show(server, "alice")["total"]["sessions"], 1)
        outcomes = self.replay(server, log, "-A")
        self.assertEqual([o for _, o in outcomes], ["added"])
        self.assert_counted(server, "alice", both)
        # nor is a line added that stands there twice
        outcomes = self.replay(server, log + log, "-A")
        self.assertEqual([o for _, o in outcomes], ["was counted before"] * 2)
        self.assert_counted(server, "alice", both)

    def test_a_commit_that_was_applied_after_all(self):
        server, both = self.failing(LOSE)
        outcomes = self.replay(server, server.log(), "-u", "alice")
        self.assertEqual([o for _, o in outcomes], ["was counted before"])
        self.assert_counted(server, "alice", both)

    def test_a_commit_that_fails_adds_nothing(self):
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        server = self.dovecot(dict=fake.setting)
        self.deliver_some(server)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        line = self.line("alice", "x", ENDED, "sessions=1")
        fake.rule = lambda operation, user, keys: \
            FAIL if operation == COMMIT else ANSWER
        self.assertEqual(self.replay(server, line, "-A", code=75), [])
        self.assertIn("1 lines were not added", self.replay_errors)
        fake.rule = lambda operation, user, keys: ANSWER
        self.assertEqual(self.replay(server, line, "-A"), [("x", "added")])

    def test_too_old_to_be_sure(self):
        server = self.dovecot(reuse=True, faketime=True)
        self.deliver_some(server)
        for _ in range(40):
            with server.pop3("alice") as client:
                client.quit()
        server.stop()
        server.set_time("+1d")
        server.start()
        before = self.show(server, "alice")["total"]
        self.assertEqual(before["sessions"], 40)
        lines = self.line("alice", "old", 1000000000, "sessions=1") + \
            self.line("alice", "new", ENDED + 7200, "sessions=1 retr_count=7")
        self.assertEqual(self.replay(server, lines, "-A"), [
            ("old", "not added: too old to be sure"), ("new", "added")])
        after = self.show(server, "alice")["total"]
        self.assertEqual(after["sessions"], 41)
        self.assertEqual(after["retr_count"], 7)

    @each(dict=("file", "sqlite"))
    def test_goes_to_the_day_and_month_in_which_it_ended(self, dict):
        server = self.dovecot(dict=dict, faketime=True)
        self.deliver_some(server)
        server.set_moment("2031-01-30T12:00:00")
        self.session(server, 1)
        server.set_moment("2031-02-03T12:00:00")
        self.session(server, 2)
        server.set_moment("2031-02-06T12:00:00")
        day = 86400
        first = 1927540800      # 2031-01-30T12:00:00Z
        lines = "".join(self.line("alice", *args) for args in (
            ("d", first + 4 * day, "sessions=1 top_count=1000"),
            ("a", first, "sessions=1 top_count=10"),
            ("b", first + 60, "sessions=1 top_count=20"),
            ("c", first + day, "sessions=1 top_count=100"),
            ("e", first + 6 * day, "sessions=1 top_count=10000")))
        self.assertEqual(self.replay(server, lines, "-u", "alice"),
                         [(name, "added") for name in "abcde"])
        shown = self.show(server, "alice", "--since", "2031-01", "--until",
                          "2031-03")
        self.assertEqual({name: row["top_count"]
                          for name, row in shown.items()},
                         {"2031-01-30": 31, "2031-01-31": 100,
                          "2031-02-03": 1002, "2031-02-05": 10000})
        shown = self.show(server, "alice", "--by", "month", "--since",
                          "2031-01", "--until", "2031-03")
        self.assertEqual({name: row["top_count"]
                          for name, row in shown.items()},
                         {"2031-01": 131, "2031-02": 11002})
        total = self.show(server, "alice")["total"]
        self.assertEqual(total["top_count"], 11133)

    def test_bad_lines_and_other_users_are_told(self):
        server = self.dovecot()
        self.deliver_some(server)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        text = "Nov 24 something else\n" + \
            self.line("alice", "x", ENDED, "sessions=1") + \
            self.line("alice", "y", ENDED, "sessions=a") + \
            MARK + "user=alice\n" + "x" * 100000 + "\n" + \
            self.line("nobody", "z", ENDED, "sessions=1") + \
            self.line("alice", "w", ENDED, "sessions=1")
        self.assertEqual(self.replay(server, text, "-u", "alice", code=65),
                         [("x", "added"), ("w", "added")])
        for told in ("Line 3 ", "Line 4 ", "1 lines of user nobody were not"):
            self.assertIn(told, self.replay_errors)
        self.assertEqual(self.show(server, "alice")["total"]["sessions"], 3)

    def test_what_others_got_into_the_log_is_not_added(self):
        """Subjects are in Dovecot's own log, if the administrator wants so."""
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        server = self.dovecot(
            dict=fake.setting, mail_plugins=("notify", "mail_log"),
            users={"a": {}}, settings={"mail_log_fields": "subject"})
        self.deliver_some(server, "a")
        forged = self.line("a", "x", 1, "sessions=9").strip()
        server.deliver("a", message(9).replace(b"message 9", forged.encode()))
        fake.rule = lambda operation, user, keys: \
            FAIL if operation == COMMIT else ANSWER
        Counting(server, "a").quit()
        server.wait_no_process("pop3")
        fake.rule = lambda operation, user, keys: ANSWER
        server.wait_log("Error: pop3-policy: " + MARK +
                        "user=a session=.* last_session=")
        log = server.log()
        self.assertRegex(log, "(?m)subject=" + forged + "$")
        outcomes = self.replay(server, log, "-A", code=65)
        self.assertEqual([outcome for _, outcome in outcomes], ["added"])
        self.assertNotEqual(outcomes[0][0], "x")
        self.assertEqual(self.replay_errors.count("is not the plugin's own"),
                         1)

    def test_beside_counters_that_cannot_be_read(self):
        server = self.dovecot()
        for user in ("alice", "bob"):
            self.deliver_some(server, user)
            Counting(server, user).quit()
        server.wait_no_process("pop3")
        server.dict_set("alice", "usage/now", "damaged")
        lines = "".join(self.line(user, "x", ENDED, "sessions=1")
                        for user in ("alice", "bob"))
        self.assertEqual(self.replay(server, lines, "-A", code=65),
                         [("x", "added")])
        self.assertRegex(self.replay_errors, r"alice.*usage/now: ")
        self.assertIn("1 lines were not added", self.replay_errors)
        self.assertEqual(server.dict_get("alice", "usage/now"), "damaged")

    def test_beside_a_day_that_cannot_be_read(self):
        server = self.dovecot(faketime=True)
        self.deliver_some(server)
        for moment in ("2031-02-03T12:00:00", "2031-02-04T12:00:00"):
            server.set_moment(moment)
            self.session(server, 1)
        server.dict_set("alice", "usage/2031-02-03", "damaged")
        line = self.line("alice", "x", 1927886400, "sessions=1")
        self.assertEqual(self.replay(server, line, "-A", code=65), [])
        self.assertRegex(self.replay_errors, "alice.*1 lines were not added: "
                         "usage/2031-02-03: ")
        self.assertEqual(self.show(server, "alice")["total"]["sessions"], 2)

    def test_of_a_user_for_whom_the_plugin_is_off(self):
        server = self.dovecot(users={"alice": {}, "bob": OFF[installed_line()]})
        self.deliver_some(server)
        lines = "".join(self.line(user, session, ENDED, "sessions=1")
                        for user in ("alice", "bob") for session in "xy")
        self.assertEqual(self.replay(server, lines, "-A"),
                         [("x", "added"), ("y", "added")])
        self.assertEqual(self.replay_errors.count("No dict is set"), 1)
        self.assertIn("2 lines of user bob were not added",
                      self.replay_errors)

    def test_users_with_odd_names(self):
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        server = self.dovecot(dict=fake.setting, config=ALL_NAMES)
        counts = {}
        for name in NAMES:
            server.save(name, message(1))
            self.login(server, name).quit()
        server.wait_no_process("pop3")
        fake.rule = lambda operation, user, keys: \
            FAIL if operation == COMMIT else ANSWER
        for name in NAMES:
            client = self.login(server, name)
            counts[name] = len(client.retr(1))
            client.quit()
        server.wait_no_process("pop3")
        fake.rule = lambda operation, user, keys: ANSWER
        wait_for(lambda: server.log().count(MARK) == len(NAMES),
                 "the lines to replay")
        outcomes = self.replay(server, server.log(), "-A")
        self.assertEqual([o for _, o in outcomes],
                         ["added"] * len(NAMES))
        for name in NAMES:
            total = self.show(server, name)["total"]
            self.assertEqual((total["sessions"], total["retr_count"]), (2, 1))

    def test_what_ended_in_the_future_is_not_added(self):
        server = self.dovecot(faketime=True)
        self.deliver_some(server)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        lines = self.line("alice", "x", ENDED + 86400, "sessions=1") + \
            self.line("alice", "y", ENDED, "sessions=1")
        self.assertEqual(self.replay(server, lines, "-A"), [
            ("y", "added"), ("x", "not added: ended in the future")])
        self.assertEqual(self.show(server, "alice")["total"]["sessions"], 2)
        server.set_time("+2d")
        self.assertEqual(self.replay(server, lines, "-A"), [
            ("y", "was counted before"), ("x", "added")])
        self.assertEqual(self.show(server, "alice")["total"]["sessions"], 3)

    def test_from_a_file(self):
        server = self.dovecot()
        self.deliver_some(server)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        with open(server.path("lines"), "w", encoding="ascii") as file:
            file.write(self.line("alice", "x", ENDED, "sessions=1"))
        self.assertEqual(self.replay(server, "", "-A", server.path("lines")),
                         [("x", "added")])


class Limits(Commands):
    FULL = 2 ** 64 - 1
    TOLD = "Counters have reached their limit and stay there: "

    @each(dict=("file", "sqlite"))
    def test_a_counter_at_its_limit_stays_there_and_is_told_once(self, dict):
        server = self.dovecot(dict=dict)
        self.deliver_some(server)
        line = self.line("alice", "x", ENDED, "sessions=1 in_bytes=%d "
                         "out_bytes=%d" % (self.FULL - 1, self.FULL - 1))
        self.assertEqual(self.replay(server, line, "-A"), [("x", "added")])
        self.assertEqual(self.replay_errors, "")
        for _ in range(2):
            client = Counting(server, "alice")
            client.retr(1)
            client.quit()
            server.wait_no_process("pop3")
        for row in self.show(server, "alice").values():
            self.assertEqual((row["in_bytes"], row["out_bytes"]),
                             (self.FULL, self.FULL))
            self.assertEqual((row["sessions"], row["retr_count"]), (3, 2))
        self.assertEqual(re.findall(self.TOLD + "(.*)", server.log()), [
            "in_bytes out_bytes (doveadm pop3 usage reset begins anew)"])
        line = self.line("alice", "y", ENDED, "sessions=1 dele_count=%d"
                         % self.FULL)
        self.assertEqual(self.replay(server, line, "-A"), [("y", "added")])
        self.assertIn(self.TOLD + "dele_count ", self.replay_errors)


class Reset(Commands):
    def reset(self, server, *options):
        rows = json.loads(server.doveadm(
            "-f", "json", "pop3", "usage", "reset", "-u", "alice", *options,
            check=True).stdout or "[]")
        return {row["key"]: row["outcome"] for row in rows}

    @each(dict=("file", "sqlite"))
    def test_begins_anew(self, dict):
        server = self.dovecot(dict=dict, faketime=True)
        self.deliver_some(server)
        for moment in ("2031-01-30T12:00:00", "2031-02-03T12:00:00"):
            server.set_moment(moment)
            self.session(server, 1)
        keys = ["usage/now", "usage/2031-01", "usage/2031-01-30"]
        self.assertEqual(self.reset(server, "--dry-run"), {
            key: "would be " + ("deleted" if "2031" in key else "reset")
            for key in keys})
        self.assertEqual(self.show(server, "alice")["total"]["top_count"], 2)
        self.assertEqual(self.reset(server), {
            key: "deleted" if "2031" in key else "reset" for key in keys})
        self.assertEqual(self.show(server, "alice"), {"total": {}})
        self.assertEqual(self.show(server, "alice", "--since", "2031-01"), {})
        # what was counted before does not come back by an old line
        line = self.line("alice", "x", 1927540800, "sessions=1")
        self.assertEqual(self.replay(server, line, "-A"),
                         [("x", "not added: too old to be sure")])
        counts = self.session(server, 1)
        self.assert_counted(server, "alice", counts)

    def test_mends_damaged_counters(self):
        server = self.dovecot()
        self.deliver_some(server)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        server.dict_set("alice", "usage/now", "damaged")
        self.assertEqual(self.reset(server), {"usage/now": "reset"})
        client = Counting(server, "alice")
        client.quit()
        self.assert_counted(server, "alice", client.counts)

    def test_days_of_a_clock_that_was_ahead(self):
        server = self.dovecot(faketime=True)
        self.deliver_some(server)
        for moment in ("2031-01-30T12:00:00", "2035-08-03T12:00:00",
                       "2035-08-05T12:00:00", "2031-02-03T12:00:00"):
            server.stop()
            server.set_moment(moment)
            server.start()
            self.session(server, 1)
        keys = ["usage/2031-01", "usage/2031-01-30", "usage/2035-08",
                "usage/2035-08-03", "usage/2035-08-05"]
        self.assertEqual(self.reset(server), {
            "usage/now": "reset", **dict.fromkeys(keys, "deleted")})
        self.assertEqual(self.reset(server), {"usage/now": "reset"})
        self.assertEqual(self.show(server, "alice"), {"total": {}})

    def test_finished_periods_without_counters(self):
        server = self.dovecot(faketime=True)
        self.deliver_some(server)
        for moment in ("2031-01-30T12:00:00", "2031-02-03T12:00:00"):
            server.set_moment(moment)
            self.session(server, 1)
        server.dict_unset("alice", "usage/now")
        keys = ["usage/2031-01", "usage/2031-01-30"]
        self.assertEqual(self.reset(server, "--dry-run"),
                         dict.fromkeys(keys, "would be deleted"))
        self.assertEqual(self.reset(server), dict.fromkeys(keys, "deleted"))
        self.assertEqual(self.reset(server), {})

    def test_nothing_there(self):
        server = self.dovecot()
        self.deliver_some(server)
        self.assertEqual(self.reset(server), {})


class Keep(Commands):
    def days_of(self, server, *days):
        for day in days:
            server.set_moment("2031-%sT12:00:00" % day)
            self.session(server, 1)

    def test_old_days_go_months_stay(self):
        server = self.dovecot(faketime=True,
                              settings={"pop3_policy_usage_keep": "3days"})
        self.deliver_some(server)
        # three days with sessions make it sure what day it was
        self.days_of(server, *["02-%02d" % day for day in range(1, 13)])
        left = {day: server.dict_get("alice", "usage/2031-02-%02d" % day)
                for day in range(1, 12)}
        self.assertEqual([day for day, value in left.items() if value],
                         list(range(7, 12)))
        self.days_of(server, *["07-%02d" % day for day in range(1, 20)])
        shown = self.show(server, "alice", "--since", "2031-01-01",
                          "--until", "2031-12-31")
        self.assertEqual(list(shown),
                         ["2031-07-%02d" % day for day in range(14, 20)])
        shown = self.show(server, "alice", "--by", "month", "--since",
                          "2031-01")
        self.assertEqual({name: row["top_count"]
                          for name, row in shown.items()},
                         {"2031-02": 12, "2031-07": 19})
        self.assertEqual(self.show(server, "alice")["total"]["top_count"], 31)


def documented(title):
    """The commands below that paragraph of the man page, for a shell."""
    found = re.search(r"^%s\b(?:.*\n)*?\.Bd .*\n((?:.*\n)*?)\.Ed$"
                      % re.escape(title), source("doc/doveadm-pop3.1"),
                      re.MULTILINE)
    return re.sub("^# ", "", found.group(1).replace("\\e", "\\"),
                  flags=re.MULTILINE)


class Questions(Commands):
    def ask(self, server, title, old="", new=""):
        directory = server.path("bin")
        os.makedirs(directory, exist_ok=True)
        server._write(directory + "/doveadm",
                      "#!/bin/sh\nexec /usr/bin/doveadm -c %s \"$@\"\n"
                      % server.config_file, 0o755)
        result = subprocess.run(
            ["sh", "-c", documented(title).replace(old, new)],
            env={"PATH": directory + ":/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                 **server.environment()},
            cwd=server.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8", check=True)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def test_as_documented(self):
        server = self.dovecot(users=dict.fromkeys(["never", *STORY], {}),
                              dict="sqlite", faketime=True)
        bytes_of = self.tell_story(server)
        self.assertEqual(
            self.ask(server, "Users with POP3 in the last 90 days").split(),
            ["again", "once", "old", "today"])
        self.assertEqual(
            self.ask(server, "Users who never came back").split(), ["once"])
        text = self.ask(server, "Clients that download everything again")
        self.assertRegex(text, r"\Aagain period=total ")
        self.ask(server, "Bytes for an invoice", "2026-10", LAST_MONTH)
        with open(server.path("invoice.csv"), encoding="utf-8",
                  newline="") as file:
            rows = {row["username"]: (row["sessions"], row["in_bytes"],
                                      row["out_bytes"])
                    for row in csv.DictReader(file)}
        self.assertEqual(rows, {
            user: (str(times), str(times * bytes_of[user][0]),
                   str(times * bytes_of[user][1]))
            for user, times in last_month().items()})
        self.assertEqual(sorted(rows), ["old", "once"])


class Show(Commands):
    def filled(self):
        users = {"u%d" % number: {} for number in range(5)}
        server = self.dovecot(users=users)
        for number, user in enumerate(users):
            server.deliver(user, message(1, size=100 * (7 * number % 5 + 1)))
            client = Counting(server, user)
            client.retr(1)
            client.quit()
        server.wait_no_process("pop3")
        return server

    def test_sorted_by_any_counter(self):
        server = self.filled()
        for options, users in (
                ((), ["u0", "u1", "u2", "u3", "u4"]),
                (("--sort", "retr_bytes"), ["u2", "u4", "u1", "u3", "u0"]),
                (("--sort", "retr_bytes", "--limit", "2"), ["u2", "u4"]),
                (("--sort", "dele_count"), ["u0", "u1", "u2", "u3", "u4"]),
                (("--limit", "3"), ["u0", "u1", "u2"])):
            with self.subTest(options=options):
                rows = json.loads(server.doveadm(
                    "-f", "json", "pop3", "usage", "show", "-A", "--by",
                    "total", *options, check=True).stdout)
                self.assertEqual([row["username"] for row in rows], users)
        for formatter in ("table", "flow", "tab", "pager"):
            text = server.doveadm("-f", formatter, "pop3", "usage", "show",
                                  "-A", "--by", "total", "--sort",
                                  "retr_bytes", check=True).stdout
            self.assertEqual(re.findall(r"\bu\d\b", text),
                             ["u2", "u4", "u1", "u3", "u0"])
        for options in (("--sort", "nonsense"), ("--limit", "0")):
            result = server.doveadm("pop3", "usage", "show", "-A", *options)
            self.assertEqual(result.returncode, 64)

    def test_csv(self):
        server = self.filled()
        text = server.doveadm("pop3", "usage", "show", "-A", "--csv",
                              "--sort", "retr_bytes", "--by", "total",
                              check=True).stdout
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual([row["username"] for row in rows],
                         ["u2", "u4", "u1", "u3", "u0"])
        self.assertEqual({row["sessions"] for row in rows}, {"1"})
        text = server.doveadm("pop3", "usage", "show", "-u", "u1", "--csv",
                              check=True).stdout
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual([row["username"] for row in rows], ["u1"] * 3)

    def test_csv_of_odd_names(self):
        server = self.dovecot(dict="sqlite", config=ALL_NAMES)
        for name in NAMES:
            server.save(name, message(1))
            self.login(server, name).quit()
        server.wait_no_process("pop3")
        text = server.doveadm("pop3", "usage", "show", "-F",
                              self.names_file(server, NAMES), "--csv",
                              "--by", "total", check=True).stdout
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual([row["username"] for row in rows],
                         list(NAMES))
