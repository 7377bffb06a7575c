# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Usage: what is counted equals what a client saw on its socket, to the byte;
# where it is filed; and what it costs.

import base64
import datetime
import json
import math
import signal
import threading
import time

from dovecot import MAIL_UID
from fakedict import ANSWER, COMMIT, LOOKUP, FakeDict
from testcase import SessionTest, each, message, wait_for
from twins import wait_stuck

DICTS = ("file", "sqlite")
# Commits of one user wait for each other, on a loaded machine for long.
PATIENT = {"pop3_policy_dict_timeout": "60s"}
# Anyone may log in: a passwd-file does not take all names.
ALL_NAMES = {
    "2.3": "auth_username_chars =\n"
           "passdb {\n  driver = static\n  args = password=secret\n}\n"
           "userdb {\n  driver = static\n"
           "  args = uid=%d gid=%d allow_all_users=yes\n}\n"
           % (MAIL_UID, MAIL_UID),
    "2.4": "auth_username_chars =\nauth_username_format = %%{user}\n"
           "passdb static {\n  password = secret\n}\n"
           "userdb static {\n  fields {\n    uid = %d\n    gid = %d\n  }\n"
           "  static_allow_all_users = yes\n}\n" % (MAIL_UID, MAIL_UID),
}
NAMES = ("it's \"quoted\"", "a/b/c", "with space", "gr\u00fc\u00dfe",
         "<b>&amp;", "50%,=;", "x session=1 ended=1 sessions=7")
TIMES = ("first_session", "last_session")


class Counting:
    """A client that counts what goes over its socket from the login on."""

    def __init__(self, server, user, client=None, **options):
        """CLIENT: one that is logged in already."""
        self.client = client or server.pop3(user, **options)
        self.began = time.time()
        # What the session's process itself answers to the login.
        self.counts = {"sessions": 1, "out_bytes": len("+OK Logged in.\r\n")}

    def add(self, name, number=1):
        self.counts[name] = self.counts.get(name, 0) + number

    def line(self):
        line = self.client.recv_line()
        self.add("out_bytes", len(line))
        return line

    def send(self, text):
        self.client.send(text.encode() + b"\r\n")
        self.add("in_bytes", len(text) + 2)

    def body(self):
        """Bytes up to the final dot, which is not one of them."""
        size = 0
        line = self.line()
        while line != b".\r\n":
            assert line != b"", "hung up"
            size += len(line)
            line = self.line()
        return size

    def ok(self, text):
        self.send(text)
        line = self.line()
        assert line.startswith(b"+OK"), line
        return len(line)

    def fetch(self, text, kind, again=False):
        size = self.ok(text) + self.body()
        self.add(kind + "_count")
        self.add(kind + "_bytes", size)
        if again:
            self.add("again_count")
            self.add("again_bytes", size)

    def retr(self, number, again=False):
        self.fetch("RETR %d" % number, "retr", again)

    def top(self, number, lines, again=False):
        self.fetch("TOP %d %d" % (number, lines), "top", again)

    def listing(self, name):
        self.ok(name)
        self.body()
        self.add(name.lower() + "_count")

    def quit(self):
        self.ok("QUIT")
        assert self.line() == b""
        self.client.close()


class SlowDict(FakeDict):
    """Notes what it is asked; answers only when it may."""

    def __init__(self, test):
        super().__init__()
        test.addCleanup(self.destroy)
        self.asked = []
        self.free = threading.Event()
        self.free.set()
        test.addCleanup(self.free.set)
        self.rule = self.wait

    def wait(self, operation, _user, _keys):
        self.asked.append(operation)
        self.free.wait()
        return ANSWER


def add_up(counts):
    total = {}
    for one in counts:
        for name, value in one.items():
            total[name] = total.get(name, 0) + value
    return total


# When the story ends; the month before that.
NOW = "2031-03-15T12:00:00"
LAST_MONTH = "2031-02"
# user: days ago, and how often everything was downloaded on each
STORY = {"again": ((3, 2), (2, 2), (1, 2), (0, 2)),
         "gone": ((100, 1), (95, 1)),
         "once": ((40, 1),),
         "old": ((200, 1), (50, 1), (31, 1)),
         "today": ((0, 1),)}


def days_ago(ago):
    now = datetime.datetime.fromisoformat(NOW)
    return (now - datetime.timedelta(days=ago)).isoformat()


def last_month(story=None):
    """How many sessions the story has in it, by user."""
    expected = {}
    for user, days in (story or STORY).items():
        for ago, times in days:
            if days_ago(ago).startswith(LAST_MONTH):
                expected[user] = expected.get(user, 0) + times
    return expected


class UsageTest(SessionTest):
    def tell_story(self, server, story=None):
        """Returns what each user's client sent and was sent in a session."""
        story = story or STORY
        for user in story:
            for text in (message(1, size=5000), message(2)):
                server.save(user, text)
        bytes_of = {}
        for ago in sorted({ago for days in story.values()
                           for ago, _ in days}, reverse=True):
            server.set_moment(days_ago(ago))
            for user, days in story.items():
                for _ in range(dict(days).get(ago, 0)):
                    client = Counting(server, user, self.login(server, user))
                    client.retr(1)
                    client.retr(2)
                    client.quit()
                    server.wait_no_process("pop3")
                    bytes_of[user] = (client.counts["in_bytes"],
                                      client.counts["out_bytes"])
        return bytes_of

    def show(self, server, user, *options):
        """Period to counters, those that are not 0."""
        result = server.doveadm("-f", "json", "pop3", "usage", "show",
                                "-u", user, *options, check=True)
        self.assertEqual(result.stderr, "")
        return {row.pop("period"): {
            name: value if name in TIMES else int(value)
            for name, value in row.items()
            if name != "username" and value not in (0, "0", "-")
        } for row in json.loads(result.stdout)}

    def assert_counted(self, server, user, expected, *options,
                       period="total"):
        """All but the times and seconds, which the caller looks at."""
        server.wait_no_process("pop3")
        counted = self.show(server, user, *options)[period]
        for name in TIMES + ("seconds",):
            counted.pop(name, None)
        self.assertEqual(counted, {name: value for name, value in
                                   expected.items() if value != 0})

    def deliver_some(self, server, user="alice"):
        server.deliver(user, message(1), message(2, body=".\n..\n.dot\n"),
                       message(3, size=300000),
                       message(4, body="no end of line"),
                       message(5, body=""), message(6))

    def session(self, server, count):
        client = Counting(server, "alice")
        for number in range(count):
            client.top(3, number)
        client.quit()
        server.wait_no_process("pop3")
        return client.counts

    def check_sessions_that_end_together(self, server):
        self.deliver_some(server)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        clients = [Counting(server, "alice") for _ in range(20)]
        for number, client in enumerate(clients):
            client.listing("UIDL")
            client.top(3, number)
        together = threading.Barrier(len(clients))

        def end(client):
            together.wait()
            client.quit()
        threads = [threading.Thread(target=end, args=(client,))
                   for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one = {"sessions": 1, "in_bytes": 6,
               "out_bytes": len("+OK Logged in.\r\n+OK Logging out.\r\n")}
        self.assert_counted(server, "alice", add_up(
            [one] + [client.counts for client in clients]))
        self.assertNotIn("not stored", server.log())

    def names_file(self, server, names):
        """For -F of doveadm."""
        path = server.path("names")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(name + "\n" for name in names))
        return path

    def login(self, server, name):
        """By AUTH PLAIN: USER takes no spaces."""
        client = server.connect()
        token = base64.b64encode(("\0%s\0secret" % name).encode())
        self.assertIn("+OK", client.cmd("AUTH PLAIN " + token.decode()))
        return client


class Exact(UsageTest):
    @each(dict=DICTS)
    def test_what_the_client_saw(self, dict):
        server = self.dovecot(dict=dict)
        self.deliver_some(server)
        client = Counting(server, "alice")
        client.ok("STAT")
        client.listing("UIDL")
        client.listing("LIST")
        client.listing("LIST")
        client.ok("UIDL 2")
        client.ok("LIST 2")
        for number in (1, 2, 3, 4, 5):
            client.retr(number)
        client.top(6, 0)
        client.top(3, 10)
        client.quit()
        self.assert_counted(server, "alice", client.counts)

    @each(dict=DICTS)
    def test_sessions_add_up(self, dict):
        server = self.dovecot(dict=dict)
        self.deliver_some(server)
        first = Counting(server, "alice")
        first.retr(2)
        first.ok("NOOP")
        first.retr(2, again=True)
        first.top(2, 99999999, again=True)
        first.top(2, 0)
        first.quit()
        server.wait_no_process("pop3")
        second = Counting(server, "alice")
        second.retr(1)
        second.retr(2, again=True)
        second.quit()
        self.assert_counted(server, "alice",
                            add_up([first.counts, second.counts]))

    def test_a_top_that_covers_the_body_is_a_retrieval(self):
        server = self.dovecot()
        self.deliver_some(server)
        client = Counting(server, "alice")
        client.top(1, 99999999)
        client.ok("NOOP")
        client.retr(1, again=True)
        client.quit()
        self.assert_counted(server, "alice", client.counts)

    @each(tls=("pop3s", "stls"))
    def test_under_tls(self, tls):
        server = self.dovecot(tls=True)
        self.deliver_some(server)
        if tls == "pop3s":
            client = Counting(server, "alice", tls=True)
        else:
            pop3 = server.connect()
            pop3.stls()
            pop3.login("alice")
            client = Counting(server, "alice", pop3)
        client.listing("UIDL")
        client.retr(3)
        client.quit()
        self.assert_counted(server, "alice", client.counts)

    def test_deleted_messages(self):
        server = self.dovecot()
        self.deliver_some(server)
        client = Counting(server, "alice")
        for line in ("DELE 1", "DELE 2", "RSET", "DELE 3", "DELE 5"):
            client.ok(line)
        client.add("dele_count", 2)
        client.quit()
        self.assert_counted(server, "alice", client.counts)

    def test_deletions_without_quit_are_none(self):
        server = self.dovecot()
        self.deliver_some(server)
        client = Counting(server, "alice")
        client.ok("DELE 1")
        client.add("sessions_aborted")
        client.client.close()
        self.assert_counted(server, "alice", client.counts)

    def test_bad_commands_count_in_bytes_only(self):
        server = self.dovecot()
        self.deliver_some(server)
        client = Counting(server, "alice")
        for line in ("RETR 99", "TOP 1", "UIDL 99", "XYZZY", "DELE 0"):
            client.send(line)
            self.assertTrue(client.line().startswith(b"-ERR"))
        client.quit()
        self.assert_counted(server, "alice", client.counts)

    def test_pipelined(self):
        server = self.dovecot()
        self.deliver_some(server)
        client = Counting(server, "alice")
        for line in ("UIDL", "RETR 1", "UIDL", "TOP 2 0", "RETR 3"):
            client.send(line)
        for kind in (None, "retr", None, "top", "retr"):
            size = len(client.line()) + client.body()
            if kind is None:
                client.add("uidl_count")
            else:
                client.add(kind + "_count")
                client.add(kind + "_bytes", size)
        client.quit()
        self.assert_counted(server, "alice", client.counts)

    @each(command=("RETR 1", "TOP 1 99999999"))
    def test_aborted(self, command):
        size = 3 * 1000 * 1000
        server = self.dovecot()
        server.deliver("alice", message(1, size=size), message(2))
        client = Counting(server, "alice", rcvbuf=2048)
        client.send(command)
        # what was written to the connection, read or not, is known only to
        # the server: it is no more than there was
        wait_stuck(client.client.sock)
        client.client.abort()
        server.wait_no_process("pop3")
        counted = self.show(server, "alice")["total"]
        kind = command.split()[0].lower()
        self.assertEqual(counted["sessions"], 1)
        self.assertEqual(counted["sessions_aborted"], 1)
        self.assertEqual(counted[kind + "_aborted_count"], 1)
        self.assertNotIn(kind + "_count", counted)
        self.assertNotIn(kind + "_bytes", counted)
        self.assertGreater(counted[kind + "_aborted_bytes"], 1000)
        self.assertLess(counted[kind + "_aborted_bytes"], size)
        self.assertEqual(counted["in_bytes"], client.counts["in_bytes"])
        self.assertEqual(counted["out_bytes"], client.counts["out_bytes"] +
                         counted[kind + "_aborted_bytes"])
        # it starts no clock: the next one is the first
        again = Counting(server, "alice")
        again.retr(1)
        again.quit()
        server.wait_no_process("pop3")
        counted = self.show(server, "alice")["total"]
        self.assertEqual(counted["retr_count"], 1)
        self.assertEqual(counted["retr_bytes"], again.counts["retr_bytes"])
        self.assertNotIn("again_count", counted)

    @each(command=("RETR 1", "TOP 1 99999999"), tls=(False, True))
    def test_aborted_by_the_server(self, command, tls):
        """What was written before reaches the client: so both know exactly
        what was sent of it."""
        server = self.dovecot(tls=tls)
        whole = 12 * 1000 * 1000
        server.deliver("alice", message(1, size=whole), message(2))
        client = Counting(server, "alice", rcvbuf=2048, tls=tls)
        client.retr(2)
        client.top(2, 0)
        client.send(command)
        wait_stuck(client.client.sock)
        server.kill("pop3", signal.SIGTERM)
        size = len(client.client.read_all())
        client.client.close()
        kind = command.split()[0].lower()
        for name, number in (("sessions_aborted", 1), ("out_bytes", size),
                             (kind + "_aborted_count", 1),
                             (kind + "_aborted_bytes", size)):
            client.add(name, number)
        self.assertIn(size, range(1000, whole))
        self.assert_counted(server, "alice", client.counts)

    def test_times(self):
        server = self.dovecot()
        self.deliver_some(server)
        before = math.floor(time.time())
        first = Counting(server, "alice")
        wait_for(lambda: time.time() > first.began + 2, "two seconds")
        first.quit()
        ended = time.time()
        server.wait_no_process("pop3")
        counted = self.show(server, "alice")["total"]
        stored = datetime.datetime.fromisoformat(
            counted["first_session"].replace("Z", "+00:00")).timestamp()
        self.assertEqual(counted["first_session"], counted["last_session"])
        self.assertLessEqual(math.floor(first.began) + 2, stored)
        self.assertLessEqual(stored, ended)
        self.assertLessEqual(1, counted["seconds"])
        self.assertLessEqual(counted["seconds"], ended - before + 1)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        again = self.show(server, "alice")["total"]
        self.assertEqual(again["first_session"], counted["first_session"])
        self.assertGreaterEqual(again["last_session"],
                                counted["last_session"])

    def test_a_refused_login_counts_nothing(self):
        server = self.dovecot()
        self.deliver_some(server)
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        before = self.show(server, "alice")
        value = server.dict_get("alice", "state")
        server.dict_set("alice", "state", value[:-1] + "~")
        client = server.connect()
        self.assertIn("[SYS/TEMP]", client.login("alice"))
        client.close()
        server.wait_no_process("pop3")
        self.assertEqual(self.show(server, "alice"), before)

    @each(dict=DICTS)
    def test_twenty_sessions_that_end_at_the_same_moment(self, dict):
        server = self.dovecot(dict=dict, settings=PATIENT)
        self.check_sessions_that_end_together(server)


class Periods(UsageTest):
    @each(dict=DICTS)
    def test_days_and_months_are_filed(self, dict):
        server = self.dovecot(dict=dict, faketime=True)
        self.deliver_some(server)
        counts = {}
        for number, moment in enumerate((
                "2031-01-30T12:00:00", "2031-01-30T13:00:00",
                "2031-01-31T12:00:00", "2031-02-01T00:10:00",
                "2031-02-28T12:00:00", "2031-05-01T12:00:00")):
            server.set_moment(moment)
            for name in ("total", moment[:7], moment[:10]):
                counts.setdefault(name, []).append(number)
            counts[moment] = self.session(server, number + 1)
        moments = [name for name in counts if "T" in name]
        days = self.show(server, "alice", "--since", "2031-01", "--until",
                         "2031-05")
        self.assertEqual({day: row["top_count"]
                          for day, row in days.items()},
                         {"2031-01-30": 3, "2031-01-31": 3,
                          "2031-02-01": 4, "2031-02-28": 5,
                          "2031-05-01": 6})
        for name, row in days.items():
            expected = add_up(counts[moments[i]] for i in counts[name])
            self.assertEqual(row["out_bytes"], expected["out_bytes"])
            self.assertEqual(row["in_bytes"], expected["in_bytes"])
        months = self.show(server, "alice", "--by", "month", "--since",
                           "2031-01", "--until", "2031-05")
        self.assertEqual({month: row["top_count"]
                          for month, row in months.items()},
                         {"2031-01": 6, "2031-02": 9, "2031-05": 6})
        self.assert_counted(server, "alice", add_up(
            counts[moment] for moment in moments))
        for key in ("usage/2031-01", "usage/2031-01-31", "usage/2031-02-28"):
            self.assertIsNotNone(server.dict_get("alice", key))

    def test_a_session_over_midnight_belongs_to_the_day_it_ended(self):
        server = self.dovecot(faketime=True)
        self.deliver_some(server)
        # less than a client may idle, which is by the same clock
        start = time.time()
        server.set_moment("2031-03-10T23:58:00")
        client = Counting(server, "alice")
        # the seconds in which the moments above and below begin count as well
        least = 240 - (client.began - start) - 2
        client.ok("NOOP")
        server.set_moment("2031-03-11T00:02:00")
        client.retr(1)
        client.quit()
        server.wait_no_process("pop3")
        days = self.show(server, "alice", "--since", "2031-03")
        self.assertEqual(list(days), ["2031-03-11"])
        self.assertEqual(days["2031-03-11"]["retr_count"], 1)
        self.assertGreaterEqual(days["2031-03-11"]["seconds"], least)

    def moved(self, server, moment):
        # Dovecot's own processes do not survive a clock that goes back
        server.stop()
        server.set_moment(moment)
        server.start()

    @each(dict=DICTS)
    def test_a_clock_that_went_back_loses_nothing(self, dict):
        server = self.dovecot(dict=dict, faketime=True)
        self.deliver_some(server)
        for number, moment in enumerate((
                "2031-03-10T12:00:00", "2031-02-08T12:00:00",
                "2031-03-10T12:00:00", "2031-03-11T12:00:00")):
            self.moved(server, moment)
            self.session(server, number + 1)
            shown = self.show(server, "alice")
            self.assertEqual(list(shown), ["total", moment[:7], moment[:10]])
        self.assertEqual(shown["total"]["top_count"], 10)
        shown = self.show(server, "alice", "--since", "2031-01", "--until",
                          "2031-05")
        self.assertEqual({name: row["top_count"]
                          for name, row in shown.items()},
                         {"2031-02-08": 2, "2031-03-10": 4, "2031-03-11": 4})
        shown = self.show(server, "alice", "--by", "month", "--since",
                          "2031-01", "--until", "2031-05")
        self.assertEqual({name: row["top_count"]
                          for name, row in shown.items()},
                         {"2031-02": 2, "2031-03": 8})

    @each(dict=DICTS)
    def test_a_clock_that_is_years_ahead_for_a_session(self, dict):
        """No day is dropped, and what comes later has its own."""
        server = self.dovecot(dict=dict, faketime=True,
                              settings={"pop3_policy_usage_keep": "30days"})
        self.deliver_some(server)
        for number, moment in enumerate((
                "2031-03-10T12:00:00", "2031-03-11T12:00:00",
                "2033-07-01T12:00:00", "2033-07-02T12:00:00",
                "2031-03-11T13:00:00", "2031-03-12T12:00:00")):
            self.moved(server, moment)
            self.session(server, number + 1)
        shown = self.show(server, "alice")
        self.assertEqual({name: row["top_count"]
                          for name, row in shown.items()},
                         {"total": 21, "2031-03": 14, "2031-03-12": 6})
        expected = {"2031-03-10": 1, "2031-03-11": 7, "2031-03-12": 6,
                    "2033-07-01": 3, "2033-07-02": 4}
        days = {**self.show(server, "alice", "--since", "2031-01", "--until",
                            "2031-12"),
                **self.show(server, "alice", "--since", "2033-01", "--until",
                            "2033-12")}
        self.assertEqual({name: row["top_count"]
                          for name, row in days.items()}, expected)
        # that day comes, and goes on with what it has
        self.moved(server, "2033-07-02T13:00:00")
        self.session(server, 7)
        self.moved(server, "2033-07-03T13:00:00")
        self.session(server, 8)
        shown = self.show(server, "alice", "--since", "2033-07-02", "--until",
                          "2033-07-02")
        self.assertEqual(shown["2033-07-02"]["top_count"], 11)
        shown = self.show(server, "alice", "--by", "month", "--since",
                          "2033-07", "--until", "2033-07")
        self.assertEqual(shown["2033-07"]["top_count"], 22)

    def test_a_day_that_begins_again_and_is_damaged(self):
        server = self.dovecot(faketime=True)
        self.deliver_some(server)
        for moment in ("2031-03-10T12:00:00", "2031-03-11T12:00:00"):
            self.moved(server, moment)
            self.session(server, 1)
        value = server.dict_get("alice", "usage/2031-03-10")
        damaged = value.replace("sessions=", "sessions=9", 1)
        server.dict_set("alice", "usage/2031-03-10", damaged)
        before = server.dict_get("alice", "usage/now")
        self.moved(server, "2031-03-10T13:00:00")
        self.session(server, 2)
        server.wait_log(r"pop3\(alice\).*usage/2031-03-10: .*not overwritten")
        server.wait_log("to be replayed: user=alice .* top_count=2 ")
        self.assertEqual(server.dict_get("alice", "usage/2031-03-10"), damaged)
        self.assertEqual(server.dict_get("alice", "usage/now"), before)

    def test_its_month_begins_again_too(self):
        """What is not counted takes nothing away."""
        server = self.dovecot(faketime=True)
        self.deliver_some(server)
        for moment in ("2031-02-10T12:00:00", "2031-03-11T12:00:00"):
            self.moved(server, moment)
            self.session(server, 1)
        value = server.dict_get("alice", "usage/2031-02-10")
        server.dict_set("alice", "usage/2031-02-10",
                        value.replace("sessions=", "sessions=9", 1))
        month = server.dict_get("alice", "usage/2031-02")
        self.assertIn("top_count=1", month)
        self.moved(server, "2031-02-10T13:00:00")
        self.session(server, 2)
        server.wait_log("to be replayed: user=alice .* top_count=2 ")
        self.assertEqual(server.dict_get("alice", "usage/2031-02"), month)


class Cost(UsageTest):
    def test_the_reply_to_quit_is_there_before_the_commit_starts(self):
        dict = SlowDict(self)
        server = self.dovecot(dict=dict.setting, settings=PATIENT)
        self.deliver_some(server)
        client = Counting(server, "alice")
        client.retr(1)
        del dict.asked[:]
        dict.free.clear()
        # +OK, and the end of the connection: neither is waited for
        client.quit()
        wait_for(lambda: dict.asked, "what comes after it")
        self.assertNotIn(COMMIT, dict.asked)
        dict.free.set()
        self.assert_counted(server, "alice", client.counts)

    def test_a_commit_that_is_late_is_one_line_with_all_numbers(self):
        dict = SlowDict(self)
        server = self.dovecot(dict=dict.setting,
                              settings={"pop3_policy_dict_timeout": "300ms"})
        self.deliver_some(server)
        client = Counting(server, "alice")
        client.retr(1)
        dict.free.clear()
        client.quit()
        line = server.wait_log(r"^.*usage not stored, to be replayed: "
                               r"user=alice session=(\S+) ended=(\d+) (.*)$")
        server.wait_no_process("pop3")
        dict.free.set()
        numbers = {name: int(value) for name, value in
                   (pair.split("=") for pair in line.group(3).split())}
        self.assertEqual(numbers.pop("last_session"), int(line.group(2)))
        numbers.pop("first_session")
        numbers.pop("seconds", None)
        self.assertEqual(numbers, client.counts)
        self.assertEqual(server.log().count("not stored"), 1)

    def test_an_idle_poll(self):
        dict = SlowDict(self)
        server = self.dovecot(dict=dict.setting, settings=PATIENT)
        self.deliver_some(server)
        for _ in range(2):
            Counting(server, "alice").quit()
            server.wait_no_process("pop3")
        del dict.asked[:]
        client = Counting(server, "alice")
        self.assertEqual(dict.asked, [LOOKUP])
        client.ok("STAT")
        client.listing("UIDL")
        client.listing("LIST")
        self.assertEqual(dict.asked, [LOOKUP])
        client.quit()
        server.wait_no_process("pop3")
        self.assertEqual(dict.asked, [LOOKUP, LOOKUP, COMMIT])


class Damaged(UsageTest):
    def damage(self, server, user, key):
        value = server.dict_get(user, key)
        self.assertIn("=", value)
        value = value.replace("sessions=", "sessions=9", 1)
        server.dict_set(user, key, value)
        return value

    @each(dict=DICTS)
    def test_is_told_and_left_alone(self, dict):
        server = self.dovecot(dict=dict)
        for user in ("alice", "bob"):
            self.deliver_some(server, user)
            Counting(server, user).quit()
            server.wait_no_process("pop3")
        damaged = self.damage(server, "alice", "usage/now")
        client = Counting(server, "alice")
        client.retr(1)
        client.quit()
        server.wait_no_process("pop3")
        server.wait_log(r"pop3\(alice\).*usage/now: ")
        server.wait_log(r"to be replayed: user=alice .* retr_count=1 "
                        r"retr_bytes=%d " % client.counts["retr_bytes"])
        self.assertEqual(server.dict_get("alice", "usage/now"), damaged)
        result = server.doveadm("-f", "json", "pop3", "usage", "show", "-A")
        self.assertEqual(result.returncode, 65)
        self.assertRegex(result.stderr, r"alice.*usage/now: ")
        rows = json.loads(result.stdout)
        self.assertEqual({row["username"] for row in rows}, {"bob"})
        self.assertEqual(server.dict_get("alice", "usage/now"), damaged)

    def test_a_finished_day(self):
        server = self.dovecot(faketime=True)
        for user in ("alice", "bob"):
            self.deliver_some(server, user)
        for moment in ("2031-03-10T12:00:00", "2031-03-12T12:00:00"):
            server.set_moment(moment)
            for user in ("alice", "bob"):
                Counting(server, user).quit()
            server.wait_no_process("pop3")
        days = ["2031-03-10", "2031-03-12"]
        self.assertEqual(list(self.show(server, "bob", "--since", days[0])),
                         days)
        self.damage(server, "alice", "usage/" + days[0])
        result = server.doveadm("-f", "json", "pop3", "usage", "show", "-A",
                                "--since", days[0])
        self.assertEqual(result.returncode, 65)
        self.assertRegex(result.stderr, r"alice.*usage/%s: " % days[0])
        rows = [(row["username"], row["period"])
                for row in json.loads(result.stdout)]
        for row in (("alice", days[1]), ("bob", days[0]), ("bob", days[1])):
            self.assertIn(row, rows)

    def test_finished_days_beside_damaged_counters(self):
        server = self.dovecot(faketime=True)
        self.deliver_some(server, "alice")
        for offset in ("+0", "+2d"):
            server.set_time(offset)
            Counting(server, "alice").quit()
            server.wait_no_process("pop3")
        first, _ = self.show(server, "alice", "--since", "2026-01-01")
        self.damage(server, "alice", "usage/now")
        result = server.doveadm("-f", "json", "pop3", "usage", "show", "-u",
                                "alice", "--since", "2026-01-01")
        self.assertEqual(result.returncode, 65)
        self.assertRegex(result.stderr, r"alice.*usage/now: ")
        self.assertEqual([row["period"] for row in json.loads(result.stdout)],
                         [first])


class Names(UsageTest):
    def test_users_with_odd_names(self):
        server = self.dovecot(dict="sqlite", config=ALL_NAMES)
        for number, name in enumerate(NAMES):
            with self.subTest(name=name):
                server.save(name, message(1))
                client = self.login(server, name)
                for line in range(number + 1):
                    client.top(1, line)
                client.quit()
                server.wait_no_process("pop3")
                shown = self.show(server, name)
                self.assertEqual(shown["total"]["top_count"], number + 1)
        rows = json.loads(server.doveadm(
            "-f", "json", "pop3", "usage", "show", "-F",
            self.names_file(server, NAMES), "--by", "total",
            check=True).stdout)
        counted = {row["username"]: int(row["top_count"]) for row in rows}
        self.assertEqual({name: counted[name] for name in NAMES},
                         {name: number + 1 for number, name
                          in enumerate(NAMES)})
