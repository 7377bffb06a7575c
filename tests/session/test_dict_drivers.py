# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# PostgreSQL, MariaDB and Redis hold the state, through the dict service and by
# the configurations and schemas of doc/examples; and what SQL answers.

import json
import re
import time

from databases import MariaDB, PostgreSQL, Redis, configure, example
from dovecot import Dovecot, installed_line
from test_usage import ALL_NAMES, LAST_MONTH, NAMES, NOW, STORY, TIMES, \
    Counting, UsageTest, days_ago, last_month
from testcase import CRASH, FORMATS, Refused, SessionTest, each, message, \
    wait_for
from uidlformats import BY_GUID

PATIENT, SHORT = "60 s", "5 s"
ANY_CASE = {"2.3": ALL_NAMES["2.3"] + "auth_username_format = %u\n",
            "2.4": ALL_NAMES["2.4"]}
ODD_NAMES = NAMES + (
    "Alice", "alice", "alice'--", "\\", "a\\-b", "\\'", "a_b%", "%u", "%{user}",
    "'; DROP TABLE pop3_policy; --", '""', "100% \\n", "$name", "NULL", "0",
    "<script>alert(1)</script>", "a//../b", "\U0001f600", "gru\u0308\u00dfe",
    "\u05e9\u05dc\u05d5\u05dd", "\u540d\u524d@\u4f8b\u3048.jp")
MARK = "usage not stored, to be replayed: "


class Drivers:
    """What every driver has to do."""
    driver = None

    @classmethod
    def setUpClass(cls):
        cls.database = cls.driver()
        cls.addClassCleanup(cls.database.destroy)
        cls.database.start()

    def setUp(self):
        super().setUp()
        self.database.empty()

    def server(self, config="", timeout=PATIENT, **options):
        """One with the example's configuration, and no dict but that."""
        server = Dovecot(plugin=False, dict=None, **options)
        self.servers.append(server)
        self.addCleanup(server.destroy)
        configure(server, self.database,
                  "pop3_policy_dict_timeout = %s\n" % timeout)
        if isinstance(config, dict):
            config = config.get(server.line, "")
        server.config += config
        return server.start()

    def uidls(self, server, user="alice", *commands):
        with server.pop3(user) as client:
            uidls = client.uidls()
            for command in commands:
                client.ok(command)
                client.read_multi()
            self.assertTrue(client.quit().startswith("+OK"))
        server.wait_no_process("pop3")
        return uidls

    def uidls_if_accepted(self, server):
        try:
            return self.uidls(server)
        except Refused:
            return None

    def lose_indexes(self, server, user="alice"):
        """With it the second that a new UIDVALIDITY is made of."""
        path = server.inbox_dirs(user)[0] + "/dovecot-pop3-policy"
        with open(path, encoding="ascii") as file:
            old = int(re.search("uidvalidity=([0-9]+)", file.read()).group(1))
        wait_for(lambda: time.time() > old + 1, "the next second")
        server.remove_indexes(user)

    def test_uidls_outlive_lost_indexes(self):
        for format in FORMATS:
            with self.subTest(format=format):
                self.database.empty()
                self.check_lost_indexes(format)

    def check_lost_indexes(self, format):
        server = self.server(format=format)
        server.deliver("alice", message(1), message(2), message(3))
        before = self.uidls(server, "alice", "RETR 1")
        for _ in range(2):
            self.lose_indexes(server)
            self.assertEqual(self.uidls(server), before)
        self.assertNotRegex(server.log(), "(Error|Warning|Panic): .*policy")
        found = server.doveadm("pop3", "state", "show", "-u", "alice")
        self.assertIn("\nmark: 3\n", found.stdout, found.stderr)

    def test_more_than_fits_one_value(self):
        """Each UIDL is a text of its own."""
        server = self.server(config=BY_GUID)
        count = 1500
        server.deliver("alice", *[message(i) for i in range(count)])
        before = self.uidls(server)
        self.assertEqual(len(before), count)
        self.assertIsNotNone(server.dict_get("alice", "uidl/1"))
        self.lose_indexes(server)
        self.assertEqual(self.uidls(server), before)
        self.assertNotIn("Error: pop3-policy", server.log())

    def test_twenty_sessions_that_end_at_the_same_moment(self):
        self.check_sessions_that_end_together(self.server())

    def test_users_with_odd_names(self):
        server = self.server(config=ANY_CASE)
        for number, name in enumerate(ODD_NAMES):
            server.save(name, message(1))
            client = self.login(server, name)
            for lines in range(number + 1):
                client.top(1, lines)
            client.quit()
        server.wait_no_process("pop3")
        rows = json.loads(server.doveadm(
            "-f", "json", "pop3", "usage", "show", "-F",
            self.names_file(server, ODD_NAMES), "--by", "total",
            check=True).stdout)
        self.assertEqual(
            [(row["username"], int(row["top_count"])) for row in rows],
            [(name, number + 1) for number, name in enumerate(ODD_NAMES)])
        self.assertNotIn("Error: ", server.log())

    def test_everybody_s_usage_for_days_that_are_over(self):
        server = self.server(faketime=True)
        for user in ("alice", "bob"):
            self.deliver_some(server, user)
        for moment in ("2031-01-30T12:00:00", "2031-02-03T12:00:00"):
            server.set_moment(moment)
            for user in ("alice", "bob"):
                self.uidls(server, user, "TOP 1 0", "RETR 2")
        rows = json.loads(server.doveadm(
            "-f", "json", "pop3", "usage", "show", "-A", "--since", "2031-01",
            "--until", "2031-02", check=True).stdout)
        self.assertEqual(
            sorted((row["username"], row["period"], int(row["retr_count"]),
                    int(row["again_count"])) for row in rows),
            [(user, day, 1, again) for user in ("alice", "bob")
             for day, again in (("2031-01-30", 0), ("2031-02-03", 1))])
        self.assertEqual(self.show(server, "bob")["total"]["top_count"], 2)

    def test_commands(self):
        server = self.server()
        server.deliver("alice", message(1), message(2))
        uidls = self.uidls(server, "alice", "RETR 1", "TOP 2 0")

        def doveadm(*args, **options):
            result = server.doveadm("-f", "json", "pop3", *args,
                                    check=True, **options)
            self.assertEqual(result.stderr, "")
            return json.loads(result.stdout or "[]")
        rows = doveadm("uidl", "list", "-u", "alice")
        self.assertEqual([row["uidl"] for row in rows],
                         list(uidls.values()))
        rows = doveadm("retention", "explain", "-u", "alice")
        self.assertEqual([row["rule"] for row in rows],
                         ["keep_retrieved", "not_retrieved"])
        doveadm("policy", "set", "-u", "alice", "keep_retrieved=30 days")
        self.assertIn("30 days", [row["value"] for row in
                                  doveadm("policy", "get", "-u", "alice")])
        doveadm("usage", "replay", "-u", "alice", input=(
            MARK + "user=alice session=x ended=%d sessions=1 "
            "top_count=7\n" % time.time()).encode())
        self.assertEqual(self.show(server, "alice")["total"]["top_count"], 8)
        doveadm("usage", "reset", "-u", "alice")
        self.assertEqual(self.show(server, "alice"), {"total": {}})
        rows = doveadm("state", "delete", "-u", "alice")
        self.assertIn({"key": "state", "outcome": "deleted"}, rows)
        self.assertEqual(self.uidls(server), uidls)

    def test_a_damaged_value_is_told_and_left(self):
        server = self.server()
        for user in ("alice", "bob"):
            server.deliver(user, message(1))
            self.uidls(server, user)
        value = server.dict_get("alice", "usage/now")
        damaged = value.replace("sessions=1", "sessions=2", 1)
        server.dict_set("alice", "usage/now", damaged)
        self.uidls(server)
        server.wait_log(r"pop3\(alice\).*usage/now: ")
        server.wait_log(re.escape(MARK + "user=alice"))
        result = server.doveadm("-f", "json", "pop3", "usage", "show", "-A")
        self.assertEqual(result.returncode, 65)
        self.assertRegex(result.stderr, r"alice.*usage/now: ")
        self.assertEqual({row["username"] for row in
                          json.loads(result.stdout)}, {"bob"})
        self.assertEqual(server.dict_get("alice", "usage/now"), damaged)

    def gone(self):
        """Until the end of the test, or start()."""
        self.database.stop()
        self.addCleanup(self.back)

    def back(self, server=None):
        """Until SERVER's users can be sure of it again: each process of the
        dict service waits for a while before it connects anew."""
        if self.database.process is None:
            self.database.start()
        if server is not None:
            server.kill("dict")
            server.wait_no_process("dict")

    def test_server_gone_who_has_no_exceptions_is_served(self):
        server = self.server(timeout=SHORT)
        for user in ("alice", "bob"):
            server.deliver(user, message(1), message(2))
        before = self.uidls(server)
        self.gone()
        self.assertEqual(self.uidls(server, "alice", "RETR 1"), before)
        # she was never seen: Dovecot's own UIDLs, which are what stays
        during = self.uidls(server, "bob")
        self.assertIn(MARK + "user=alice", server.log())
        result = server.doveadm("pop3", "usage", "show", "-u", "alice")
        self.assertEqual(result.returncode, 75, result.stderr)
        log = server.log()
        self.back(server)
        self.assertEqual(self.uidls(server), before)
        self.assertEqual(self.uidls(server, "bob"), during)
        server.doveadm("pop3", "usage", "replay", "-u", "alice", check=True,
                       input=log.encode())
        counted = self.show(server, "alice")["total"]
        self.assertEqual((counted["sessions"], counted["retr_count"]), (3, 1))

    def test_server_gone_who_has_exceptions_is_refused(self):
        server = self.server(timeout=SHORT)
        server.deliver("alice", message(1), message(2))
        before = self.uidls(server)
        self.lose_indexes(server)
        self.assertEqual(self.uidls(server), before)
        self.gone()
        client = server.connect()
        self.assertRegex(client.login("alice") or "", r"-ERR \[SYS/TEMP\] ")
        client.close()
        server.wait_log(r"Error: pop3-policy: .*reach")
        # without anything that is done to Dovecot
        self.back()
        self.assertEqual(wait_for(lambda: self.uidls_if_accepted(server),
                                  "the dict"), before)

    def test_server_that_goes_within_a_session(self):
        server = self.server(timeout=SHORT)
        server.deliver("alice", message(1), message(2))
        before = self.uidls(server)
        with server.pop3("alice") as client:
            self.assertEqual(client.uidls(), before)
            self.gone()
            client.ok("RETR 1")
            client.read_multi()
            self.assertTrue(client.quit().startswith("+OK"))
        server.wait_no_process("pop3")
        server.wait_log(re.escape(MARK))
        self.assertEqual(server.log().count(MARK), 1)
        self.back(server)
        self.assertEqual(self.uidls(server), before)
        server.doveadm("pop3", "usage", "replay", "-A", check=True,
                       input=server.log().encode())
        counted = self.show(server, "alice")["total"]
        self.assertEqual((counted["sessions"], counted["retr_count"]), (3, 1))


def questions():
    """The queries of doc/examples by the first words of their comments, as of
    the end of the story."""
    found = {}
    text = example("pop3-policy-queries.sql").replace(
        "CURRENT_TIMESTAMP", "TIMESTAMP '%s'" % NOW.replace("T", " ")).replace(
        "CURRENT_DATE", "DATE '%s'" % NOW[:10])
    for part in text.split("\n\n")[1:]:
        words = re.match("-- (.*?)[:,.]", part.replace("\n-- ", " "))
        found[words.group(1)] = part
    return found


class Sql(Drivers):
    def test_users_with_odd_names(self):
        super().test_users_with_odd_names()
        rows = self.database.sql("SELECT span, username, top_count "
                                 "FROM pop3_policy_usage")
        self.assertEqual(sorted(rows), sorted(
            [span, name, str(number + 1)] for span in ("total", "month", "day")
            for number, name in enumerate(ODD_NAMES)))

    def test_the_view_has_what_usage_show_has(self):
        server = self.server(faketime=True)
        for user in ("alice", "bob"):
            self.deliver_some(server, user)
        for moment in ("2031-01-30T12:00:00", "2031-02-03T12:00:00",
                       "2031-02-03T13:00:00"):
            server.set_moment(moment)
            for user in ("alice", "bob"):
                client = Counting(server, user)
                client.retr(3)
                client.top(1, 0)
                client.listing("UIDL")
                client.ok("DELE 6" if user == "bob" else "NOOP")
                client.client.abort() if user == "bob" else client.quit()
            server.wait_no_process("pop3")
        names = [name for name in json.loads(server.doveadm(
            "-f", "json", "pop3", "usage", "show", "-u", "alice",
            check=True).stdout)[0] if name not in ("username", "period")]
        rows = {(user, period): dict(zip(names, values))
                for user, period, *values in self.database.sql(
            "SELECT username, period, %s FROM pop3_policy_usage"
            % ", ".join(names))}
        for user in ("alice", "bob"):
            shown = self.show(server, user, "--by", "total")
            for by in ("month", "day"):
                shown.update(self.show(server, user, "--by", by, "--since",
                                       "2031-01", "--until", "2031-02"))
            self.assertEqual(set(shown), {
                period for name, period in rows if name == user})
            for period, counted in shown.items():
                row = rows[user, period]
                for name in names:
                    expected = counted.get(name, 0)
                    value = row[name]
                    if name in TIMES:
                        expected = expected.replace("T", " ").strip("Z")
                        value = re.sub(r"([+]00|\.0*)$", "", value)
                    self.assertEqual(value, str(expected),
                                     (user, period, name))

    def test_the_greatest_number(self):
        server = self.server()
        server.deliver("alice", message(1))
        self.uidls(server)
        server.doveadm("pop3", "usage", "replay", "-u", "alice", input=(
            MARK + "user=alice session=x ended=%d sessions=1 "
            "out_bytes=18446744073709551615\n" % time.time()).encode(),
            check=True)
        self.assertEqual(self.database.sql(
            "SELECT out_bytes, sessions FROM pop3_policy_usage "
            "WHERE span = 'total'"), [["18446744073709551615", "2"]])

    def test_what_cannot_be_read_does_not_break_the_view(self):
        server = self.server()
        for user in ("alice", "bob"):
            server.deliver(user, message(1))
            self.uidls(server, user)
        server.dict_set("alice", "usage/now", "pp1 usage 0 total.sessions=x")
        server.dict_set("alice", "usage/2031-01", "nonsense")
        server.dict_set("carol", "usage/now", "pp1 usage 0 total.sessions=1 "
                        "total.first_session=1 total.last_session=" + "9" * 20)
        self.assertEqual(self.database.sql(
            "SELECT username, sessions FROM pop3_policy_usage "
            "WHERE span = 'total' ORDER BY username"),
            [["alice", "0"], ["bob", "1"], ["carol", "1"]])
        self.assertEqual(self.database.sql(
            "SELECT username FROM pop3_policy_usage WHERE span = 'total' "
            "AND last_session > '2020-01-01' AND username <> 'alice'"),
            [["bob"]])

    def test_the_questions_of_the_greatest_numbers(self):
        """One user's must not be an error that hides all the others'."""
        server = self.server()
        periods = [LAST_MONTH] + [days_ago(ago)[:10] for ago in (1, 2, 3)]
        greatest = {name: 2 ** 64 - 1 for name in (
            "retr_count", "again_count", "again_bytes", "in_bytes",
            "out_bytes")}
        for user, numbers in (("alice", greatest), ("bob", {"in_bytes": 7})):
            for period in periods:
                server.dict_set(user, "usage/" + period, "pp1 usage 0 " +
                                " ".join("%s=%d" % item
                                         for item in numbers.items()))
        for title in questions():
            self.ask(title)
        self.assertEqual(
            self.ask("Clients that download everything again and again"),
            ["alice"])
        rows = self.database.sql(questions()["Bytes for an invoice"])
        self.assertEqual([[row[0], row[-1]] for row in rows],
                         [["alice", str(2 ** 65 - 2)], ["bob", "7"]])

    def ask(self, title):
        return [row[0] for row in self.database.sql(questions()[title])]

    def test_the_questions(self):
        self.check_questions({name: name for name in STORY})

    def test_the_questions_about_users_with_odd_names(self):
        self.check_questions({
            "again": "it's \"quoted\", %_50% \\",
            "gone": "a/b\\c'; DROP TABLE pop3_policy; --",
            "once": "Gr\u00fc\u00dfe \u540d\u524d",
            "old": "gr\u00fc\u00dfe \u540d\u524d",
            "today": "<script>alert(1)</script> month=2031-02"})

    def check_questions(self, names):
        server = self.server(config=ANY_CASE, faketime=True)
        story = {names[name]: days for name, days in STORY.items()}
        bytes_of = self.tell_story(server, story)
        self.assertEqual(len(questions()), 4)
        self.assertEqual(sorted(self.ask(
            "Users with POP3 in the last 90 days")), sorted(
            names[name] for name in ("again", "old", "once", "today")))
        self.assertEqual(self.ask("Users who never came back"),
                         [names["once"]])
        rows = self.database.sql(questions()[
            "Clients that download everything again and again"])
        self.assertEqual([row[:3] for row in rows],
                         [[names["again"], "3", "12"]])
        rows = self.database.sql(questions()["Bytes for an invoice"])
        self.assertEqual(
            {row[0]: [int(n) for n in row[1:]] for row in rows},
            {user: [times, times * bytes_of[user][0],
                    times * bytes_of[user][1], times * sum(bytes_of[user])]
             for user, times in last_month(story).items()})
        self.assertEqual(sorted(row[0] for row in rows),
                         sorted([names["old"], names["once"]]))
        self.assertNotIn("Error: pop3-policy", server.log())


class InPostgreSQL(Sql, UsageTest):
    driver = PostgreSQL


class InMariaDB(Sql, UsageTest):
    driver = MariaDB

    def gone(self):
        super().gone()
        if installed_line() == "2.4":
            # 2.4.1's dict service does not survive it: it crashes, or waits
            # for 30 s at its end and then does.
            self.crash = re.compile(
                r"^(?!.* dict\(\d+\): )" + CRASH.pattern[1:], re.MULTILINE)

    def tearDown(self):
        if self.crash is not CRASH:
            self.servers[-1].kill("dict")
        super().tearDown()


class InRedis(Drivers, UsageTest):
    driver = Redis

    def test_where_it_is(self):
        server = self.server()
        server.deliver("alice", message(1))
        self.uidls(server)
        self.assertIn("pp1 state ", self.database.redis(
            "GET", "dovecot/alice/pop3-policy/state"))


class RedisDirectly(SessionTest):
    @each(ledger=(False, True))
    def test_is_refused_and_told_once(self, ledger):
        setting = {"2.3": "pop3_policy_dict = redis:host=127.0.0.1\n",
                   "2.4": "pop3_policy {\n  dict redis {\n  }\n}\n"}
        if ledger:
            setting = {
                "2.3": "pop3_policy_dict = file:/tmp/%u.x\n" +
                       setting["2.3"].replace("dict =", "ledger_dict ="),
                "2.4": "pop3_policy {\n  dict file {\n    path = /tmp/x\n  }"
                       "\n}\n" + setting["2.4"].replace("pop3_policy {",
                                                       "pop3_policy_ledger {"),
            }
        server = self.dovecot(dict=setting)
        name = "pop3_policy" + ("_ledger" if ledger else "") + \
            {"2.3": "_dict", "2.4": " { }"}[server.line]
        server.deliver("alice", message(1))
        with server.pop3("alice") as client:
            self.assertEqual(len(client.uidls()), 1)
            client.quit()
        server.wait_no_process("pop3")
        server.wait_log("Error: pop3-policy: ")
        self.assertEqual(len(re.findall(
            "Error: pop3-policy: The dict cannot be opened: %s: Redis cannot "
            "be used directly.*service" % name, server.log())), 1)
        result = server.doveadm("pop3", "usage", "show", "-u", "alice")
        self.assertEqual(result.returncode, 78)
        self.assertIn(name + ": Redis cannot be used directly", result.stderr)
