# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promise 7: every removal leaves one log line and one event, with user,
# session or run, UIDL, size and rule; never two.

import datetime
import json
import re

from policytest import PolicyTest
from test_grace import HIDE
from test_retention import RetentionTest
from testcase import FORMATS, each, message, wait_for

METRICS = ("metric pp_removed {\n"
           "  filter = event=pop3_policy_message_removed\n}\n"
           "metric pp_finished {\n"
           "  filter = event=pop3_policy_session_finished\n}\n")
LINE = re.compile(r"Removed: user=(?P<user>\S+) (?P<by>\w+)=(?P<id>\S+) "
                  r"uidl=(?P<uidl>\S+) uid=\d+ size=(?P<size>\d+) "
                  r"rule=(?P<rule>\S+) ")


# each event as a line of JSON, behind the metric's name
EXPORT = {
    "2.3": "event_exporter removed {\n  format = json\n"
           "  format_args = time-unix\n  transport = log\n}\n",
    "2.4": "event_exporter removed {\n  format = json\n"
           "  time_format = unix\n  driver = log\n}\n",
}
EXPORT = {line: text + HIDE + "metric removed {\n"
          "  filter = event=pop3_policy_message_removed\n"
          "  exporter = removed\n}\n" for line, text in EXPORT.items()}
EXPORTED = re.compile(r"stats: Info: .*?(\{.*pop3_policy_message_removed.*\})$",
                      re.MULTILINE)


class OneLineEachRemoval(PolicyTest):
    def maildrop(self, count, **options):
        server = self.dovecot(faketime=True, config=METRICS, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "2d",
            "pop3_policy_keep_unretrieved": "9d"}, **options)
        server.deliver("alice", *map(message, range(1, count + 1)))
        return server

    def removals(self, server, count):
        """All that were told, at least COUNT: they come by way of another
        process."""
        def found():
            lines = [m.groupdict() for m in LINE.finditer(server.log())]
            return lines if len(lines) >= count else None
        return wait_for(found, "%d removals" % count)

    def events(self, server, name="pp_removed"):
        dump = server.doveadm("-f", "json", "stats", "dump", check=True)
        return sum(int(row["count"]) for row in json.loads(dump.stdout)
                   if row["metric_name"] == name)

    @each(format=FORMATS)
    def test_of_a_session(self, format):
        server = self.maildrop(4, format=format)
        uidls = self.session(server, "RETR 2", "RETR 3")
        server.set_time("+5d")
        self.session(server)
        found = self.removals(server, 2)
        self.assertEqual([r["uidl"] for r in found], [uidls[2], uidls[3]])
        self.assertEqual({r["user"] for r in found}, {"alice"})
        self.assertEqual({r["by"] for r in found}, {"session"})
        self.assertEqual({r["rule"] for r in found}, {"keep_retrieved"})
        self.assertEqual([int(r["size"]) for r in found],
                         [len(message(2)), len(message(3))])
        self.assertIn(found[0]["id"], server.log())
        wait_for(lambda: self.events(server) == 2, "two events")
        server.set_time("+10d")
        self.session(server)
        found = self.removals(server, 4)
        self.assertEqual([r["uidl"] for r in found],
                         [uidls[2], uidls[3], uidls[1], uidls[4]])
        self.assertEqual([r["rule"] for r in found[2:]],
                         ["keep_unretrieved"] * 2)
        wait_for(lambda: self.events(server) == 4, "four events")
        self.assertEqual(self.mails(server), 0)

    @each(format=FORMATS)
    def test_of_sessions_that_end_together(self, format):
        server = self.maildrop(20, format=format)
        uidls = self.session(server, *["RETR %d" % n for n in range(1, 16)])
        server.set_time("+5d")
        clients = [server.pop3("alice") for _ in range(8)]
        for client in clients:
            client.send(b"QUIT\r\n")
        for client in clients:
            client.read_all()
        server.wait_no_process("pop3")
        self.session(server)
        found = [r["uidl"] for r in self.removals(server, 15)]
        self.assertEqual(sorted(found),
                         sorted(uidls[n] for n in range(1, 16)))
        self.assertEqual(self.mails(server), 5)

    def test_dry_run_is_no_removal(self):
        server = self.maildrop(2)
        server.settings["pop3_policy_removal"] = "dry-run"
        server.restart()
        self.session(server, "RETR 1")
        server.set_time("+5d")
        self.session(server)
        server.wait_log("Would be removed: user=alice")
        self.assertIsNone(LINE.search(server.log()))
        # the last event of each session
        wait_for(lambda: self.events(server, "pp_finished") == 2,
                 "both sessions' events")
        self.assertEqual(self.events(server), 0)


class EventSaysTheSame(RetentionTest):
    @staticmethod
    def as_event(line):
        """What an event must have beside a line's fields."""
        line = dict(line)
        by = "session" if "session" in line else "run"
        fields = {"removed_by": by, "removed_by_id": line.pop(by)}
        for name, value in line.items():
            if name in ("uid", "size"):
                fields[name] = int(value)
            elif name in ("first_seen", "retrieved", "deleted"):
                if value != "-":
                    fields[name] = int(datetime.datetime.fromisoformat(
                        value.replace("Z", "+00:00")).timestamp())
            else:
                fields[name] = value
        return fields

    def exported(self, server, mark, count):
        """The fields of COUNT events: another process has to tell them."""
        found = wait_for(
            lambda: (lambda texts: texts if len(texts) >= count else None)(
                EXPORTED.findall(server.log(mark))), "%d events" % count)
        return [json.loads(text)["fields"] for text in found]

    @each(by=("session", "run"))
    def test_all_fields_of_the_line(self, by):
        server = self.policy(config=EXPORT, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "14 days",
            "pop3_policy_keep_unretrieved": "13 days",
            "pop3_policy_keep_deleted": "12 days"})
        self.fill(server, 6)
        self.session(server)
        # first seen and retrieved are another time
        self.move(server, "+1d")
        self.session(server, retr=(1, 2, 3), dele=(3, 4))
        mark = self.move(server, "+20d")
        if by == "run":
            text = self.run_now(server, "-u", "alice").stderr
        else:
            self.session(server)
            text = self.log_of_sessions(server, mark)
        lines = self.removals(text)
        self.assertEqual([line["rule"] for line in lines],
                         ["keep_retrieved"] * 2 + ["keep_deleted"] * 2 +
                         ["keep_unretrieved"] * 2)
        events = self.exported(server, mark, len(lines))
        self.assertEqual(len(events), len(lines))
        for line, event in zip(lines, events):
            expected = self.as_event(line)
            times = {"first_seen", "retrieved", "deleted"}
            self.assertEqual(set(event) & times, set(expected) & times)
            self.assertEqual({name: event.get(name) for name in expected},
                             expected)


# who can hear of the host's own event of an expunge: by a metric, a filter of
# debug lines, or all of the user's debugging
HEARD = {"metric": "metric requested {\n"
                   "  filter = event=mail_expunge_requested\n}\n",
         "log_debug": "log_debug = event=mail_expunge_requested\n",
         "mail_debug": "mail_debug = yes\n"}


class HostsOwnEvent(RetentionTest):
    def maildrop(self, how):
        """A server with three messages that are due, and its log's end."""
        server = self.policy(config=HEARD[how], settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_unretrieved": "2 days"})
        self.fill(server, 3)
        self.session(server)
        return server, self.move(server, "+5d")

    def assert_heard(self, how, server, told):
        self.assertEqual(len(self.removals(told)), 3)
        if how == "metric":
            wait_for(lambda: self.counted_by_metric(server) == 3,
                     "three events")
        else:
            self.assertEqual(told.count("Expunge requested"), 3)

    @staticmethod
    def counted_by_metric(server):
        dump = server.doveadm("-f", "json", "stats", "dump", check=True)
        return sum(int(row["count"]) for row in json.loads(dump.stdout)
                   if row["metric_name"] == "requested")

    @each(how=HEARD)
    def test_of_a_session(self, how):
        server, mark = self.maildrop(how)
        self.session(server)
        self.assert_heard(how, server, self.log_of_sessions(server, mark))

    @each(how=HEARD)
    def test_of_a_run(self, how):
        server, _ = self.maildrop(how)
        # doveadm drops whatever it debugs, else
        debug = () if how == "metric" else ("-D",)
        run = server.doveadm(*debug, "pop3", "retention", "run", "-u",
                             "alice", check=True)
        self.assert_heard(how, server, run.stderr)
