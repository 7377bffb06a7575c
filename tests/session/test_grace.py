# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Grace after DELE: what a client deleted is hidden, can be restored, and is
# purged when its time is over.

import glob
import json
import os
import re
import shutil

from test_retention import RetentionTest
from testcase import FORMATS, each, wait_for

HIDE = "pop3_delete_type = flag\npop3_deleted_flag = POP3Deleted\n"
GRACE = {"pop3_policy_removal": "yes", "pop3_policy_keep_deleted": "7 days"}

METRIC = """
metric mass_delete {
  filter = event=pop3_policy_mass_delete and deleted=20 and listed=21
}
"""


class GraceTest(RetentionTest):
    def grace(self, **options):
        options.setdefault("config", HIDE)
        options.setdefault("settings", GRACE)
        return self.policy(**options)

    def restore(self, server, *args):
        result = server.doveadm("-f", "json", "pop3", "retention", "restore",
                                "-u", "alice", *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [row["uidl"] for row in json.loads(result.stdout)]

    def explained(self, server):
        return json.loads(server.doveadm(
            "-f", "json", "pop3", "retention", "explain", "-u", "alice",
            check=True).stdout)


class Grace(GraceTest):
    @each(format=FORMATS, by=("session", "run"))
    def test_hidden_and_then_purged(self, format, by):
        server = self.grace(format=format)
        self.fill(server, 4)
        uidls = self.session(server, dele=(1, 3))
        left = {1: uidls[2], 2: uidls[4]}
        self.assertEqual(self.session(server), left)
        self.assertEqual(self.there(server), [1, 2, 3, 4])
        for when, expected in (("+6d", []), ("+8d", ["1", "3"])):
            mark = self.move(server, when)
            if by == "run":
                text = self.run_now(server, "-A").stderr
            else:
                self.assertEqual(self.session(server), left)
                text = self.log_of_sessions(server, mark)
            gone = self.removals(text)
            self.assertEqual([f["uid"] for f in gone], expected)
            self.assertEqual({f["rule"] for f in gone} - {"keep_deleted"},
                             set())
        self.assertEqual(self.there(server), [2, 4])
        self.assertEqual(self.session(server), left)

    @each(format=FORMATS, way=("uidl", "since", "all"))
    def test_restored_under_the_old_uidl(self, format, way):
        server = self.grace(format=format)
        self.fill(server, 4)
        uidls = self.session(server, retr=(1, 2, 3), dele=(1,))
        self.move(server, "+3d")
        self.session(server, dele=(2,))
        # message 3 of the first session is the second one's second
        ways = {"uidl": (["--uidl", uidls[1]], [1]),
                "since": (["--since", "1 days"], [3]),
                "all": (["--all"], [1, 3])}
        args, numbers = ways[way]
        expected = [uidls[number] for number in numbers]
        self.assertEqual(self.restore(server, "--dry-run", *args), expected)
        self.assertEqual(len(self.session(server)), 2)
        self.assertEqual(self.restore(server, *args), expected)
        back = self.session(server)
        self.assertEqual(sorted(back.values()),
                         sorted([uidls[2], uidls[4], *expected]))
        if way != "uidl":
            self.assertEqual(self.restore(server, *args), [])
        mark = self.move(server, "+30d")
        self.session(server)
        gone = [f["uidl"] for f in self.removed(server, mark)]
        self.assertEqual(gone, [uidl for uidl in (uidls[1], uidls[3])
                                if uidl not in expected])

    @each(format=FORMATS)
    def test_grace_goes_on_under_another_uidvalidity(self, format):
        server = self.grace(format=format)
        self.fill(server, 4)
        uidls = self.session(server, dele=(1, 3))
        server.doveadm("mailbox", "update", "--uid-validity", "1234567890",
                       "-u", "alice", "INBOX", check=True)
        left = {1: uidls[2], 2: uidls[4]}
        self.assertEqual(self.session(server), left)
        mark = self.move(server, "+6d")
        self.assertEqual(self.session(server), left)
        self.assertEqual(self.removed(server, mark), [])
        self.assertEqual(self.restore(server, "--uidl", uidls[3]), [uidls[3]])
        mark = self.move(server, "+8d")
        self.assertEqual(sorted(self.session(server).values()),
                         sorted([uidls[2], uidls[3], uidls[4]]))
        self.assertEqual([f["uidl"] for f in self.removed(server, mark)],
                         [uidls[1]])

    def without_control_directory(self, format):
        """Whoever moved the mail may have left it behind. A server, and the
        UIDLs of three messages of which two were DELEd."""
        server = self.grace(format=format, config={
            "2.3": HIDE + "mail_location = %s:~/%s:CONTROL=~/control\n" % (
                format, format),
            "2.4": HIDE + "mail_control_path = ~/control\n"})
        self.fill(server, 3)
        uidls = self.session(server, dele=(1, 2))
        control = server.home("alice") + "/control"
        self.assertTrue(glob.glob(control + "/**/dovecot-pop3-policy",
                                  recursive=True))
        shutil.rmtree(control)
        return server, uidls

    @each(format=("sdbox", "mdbox"))
    def test_purged_where_the_control_directory_is_gone(self, format):
        server, uidls = self.without_control_directory(format)
        self.move(server, "+8d")
        result = self.run_now(server, "-A")
        self.assertEqual([f["uidl"] for f in self.removals(result.stderr)],
                         [uidls[1], uidls[2]])
        self.assertEqual(self.session(server), {1: uidls[3]})

    @each(format=FORMATS, options=("dry-run", "run"))
    def test_a_volume_that_is_not_mounted_is_left_alone(self, format, options):
        server = self.grace(format=format)
        self.fill(server, 3)
        self.session(server, dele=(1, 2))
        self.move(server, "+8d")
        shutil.rmtree(server.mail_dir("alice"))
        result = self.run_now(server, "-A", *(
            ("--dry-run",) if options == "dry-run" else ()))
        self.assertEqual(self.removals(result.stderr), [])
        self.assertFalse(os.path.exists(server.mail_dir("alice")))

    @each(format=("sdbox", "mdbox"))
    def test_restored_where_the_control_directory_is_gone(self, format):
        server, uidls = self.without_control_directory(format)
        self.assertEqual(self.restore(server, "--uidl", uidls[2]), [uidls[2]])
        self.assertEqual(self.session(server), {1: uidls[2], 2: uidls[3]})
        mark = self.move(server, "+8d")
        self.session(server)
        self.assertEqual([f["uidl"] for f in self.removed(server, mark)],
                         [uidls[1]])

    def test_hidden_again_later_has_a_grace_of_its_own(self):
        """Somebody else listed it again, by its flag."""
        server = self.grace()
        self.fill(server, 2)
        uidls = self.session(server, dele=(1,))
        self.flag(server, "alice", 1, "POP3Deleted", "-")
        self.move(server, "+20d")
        self.assertEqual(self.session(server, dele=(1,)), uidls)
        mark = self.move(server, "+26d")
        self.session(server)
        self.assertEqual(self.removed(server, mark), [])
        mark = self.move(server, "+28d")
        self.session(server)
        self.assertEqual([f["uidl"] for f in self.removed(server, mark)],
                         [uidls[1]])

    def test_nothing_is_called_restored_that_is_not(self):
        server = self.grace()
        self.fill(server, 2)
        self.session(server, dele=(1,))
        os.chmod(server.path("dict"), 0o555)
        result = server.doveadm("pop3", "retention", "restore", "-u", "alice",
                                "--all")
        self.assertEqual(result.returncode, 75)
        self.assertNotIn("restored", result.stdout)
        os.chmod(server.path("dict"), 0o777)

    def test_restored_mail_starts_anew(self):
        server = self.grace(settings={
            **GRACE, "pop3_policy_keep_retrieved": "14 days",
            "pop3_policy_keep_deleted": "30 days"})
        self.fill(server, 1)
        uidls = self.session(server, retr=(1,), dele=(1,))
        self.move(server, "+13d")
        self.restore(server, "--all")
        mark = self.move(server, "+20d")
        self.assertEqual(self.session(server), uidls)
        self.assertEqual(self.removed(server, mark), [])
        (row,) = self.explained(server)
        self.assertEqual((row["rule"], row["deleted"], row["retrieved"]),
                         ("not_retrieved", "-", "-"))

    def test_unknown_uidl(self):
        server = self.grace()
        self.fill(server, 2)
        uidls = self.session(server, dele=(1,))
        for uidl in ("nobody", uidls[2]):
            result = server.doveadm("pop3", "retention", "restore", "-u",
                                    "alice", "--uidl", uidl)
            self.assertEqual(result.returncode, 68, result.stderr)
        result = server.doveadm("pop3", "retention", "restore", "-u", "alice")
        self.assertEqual(result.returncode, 64, result.stderr)

    def test_protected_mail_is_never_purged(self):
        server = self.grace()
        self.fill(server, 2)
        self.session(server, dele=(1, 2))
        self.flag(server, "alice", 1, "\\Flagged")
        mark = self.move(server, "+8d")
        self.session(server)
        self.assertEqual([f["uid"] for f in self.removed(server, mark)], ["2"])

    def test_nothing_begins_without_quit(self):
        server = self.grace()
        self.fill(server, 1)
        with server.pop3("alice") as client:
            client.ok("DELE 1")
            client.close()
        server.wait_no_process("pop3")
        mark = self.move(server, "+30d")
        self.assertEqual(len(self.session(server)), 1)
        self.assertEqual(self.removed(server, mark), [])


class MassDelete(GraceTest):
    @each(count=(9, 10, 19, 20))
    def test_doubled_from_half_of_twenty_on(self, count):
        # 20 messages at least, and half of what the client was shown
        messages = 40 if count > 10 else 10
        server = self.grace()
        self.fill(server, messages)
        mark = server.log_mark()
        self.session(server, dele=range(1, count + 1))
        told = re.findall(r"deleted (\d+) of (\d+) messages in one session",
                          self.log_of_sessions(server, mark))
        doubled = count == 20
        self.assertEqual(told, [("20", "40")] if doubled else [])
        self.assert_purged(server, count, doubled)

    def assert_purged(self, server, count, doubled):
        for when, purged in ("+8d", not doubled), ("+15d", doubled):
            mark = self.move(server, when)
            self.session(server)
            self.assertEqual(len(self.removed(server, mark)),
                             count if purged else 0)

    # user: his percent, and how many of 40 he DELEs
    parts = {"never": (0, 40), "nearly": (90, 35), "just": (90, 36),
             "but-one": (100, 39), "all": (100, 40), "few": (1, 19),
             "many": (1, 20)}

    @each(format=FORMATS)
    def test_doubled_from_exactly_that_part_on(self, format):
        server = self.grace(format=format, settings={
            **GRACE, "pop3_policy_removal_limit_percent": "100"},
            users={user: {"pop3_policy_mass_delete_percent": str(percent)}
                   for user, (percent, _) in self.parts.items()})
        mark = server.log_mark()
        for user, (_, count) in self.parts.items():
            self.fill(server, 40, user)
            self.session(server, user, dele=range(1, count + 1))
        doubled = {user: str(self.parts[user][1])
                   for user in ("just", "all", "many")}
        self.assertEqual(dict(re.findall(
            r"pop3\((\S+)\)<.*deleted (\d+) of 40 messages in one session",
            self.log_of_sessions(server, mark))), doubled)
        for when in ("+8d", "+15d"):
            self.move(server, when)
            text = self.run_now(server, "-A").stderr
            for user, (_, count) in self.parts.items():
                with self.subTest(user=user, when=when):
                    goes = (user in doubled) == (when == "+15d")
                    self.assertEqual(len(self.removals(text, user)),
                                     count if goes else 0)

    def test_is_an_event(self):
        server = self.grace(config=HIDE + METRIC)
        self.fill(server, 40)
        self.session(server, dele=range(1, 20))
        self.session(server, dele=range(1, 21))

        def counted():
            dump = server.doveadm("-f", "json", "stats", "dump", check=True)
            (count,) = [int(row["count"]) for row in json.loads(dump.stdout)
                        if row["metric_name"] == "mass_delete"]
            return count
        wait_for(counted, "the event")
        self.assertEqual(counted(), 1)


class HostSettings(GraceTest):
    def test_missing_ones_are_one_error(self):
        server = self.grace(config="")
        self.fill(server, 2)
        mark = server.log_mark()
        self.session(server, dele=(1,))
        text = self.log_of_sessions(server, mark)
        self.assertEqual(len(re.findall(
            r"pop3\(alice\).*Error: .*pop3_policy_keep_deleted=7 days needs "
            r"Dovecot's pop3_delete_type=flag", text)), 1, text)
        self.assertEqual(self.there(server), [2])

    @each(format=FORMATS)
    def test_taken_away_later(self, format):
        server = self.grace(format=format)
        self.fill(server, 2)
        self.session(server, dele=(1,))
        server.config = ""
        mark = self.move(server, "+8d")
        with server.pop3("alice") as client:
            self.assertEqual(len(client.uidls()), 2)
            client.quit()
        server.wait_no_process("pop3")
        text = self.log_of_sessions(server, mark)
        self.assertRegex(text, r"Warning: .*hid are listed again")
        # it is listed: nobody hid it, nobody purges it
        self.assertEqual(self.removals(text), [])
        self.run_now(server, "-u", "alice", "--force")
        self.assertEqual(self.there(server), [1, 2])

    @each(format=FORMATS)
    def test_taken_away_and_given_back(self, format):
        """What was listed meanwhile is not purged at once."""
        server = self.grace(format=format)
        self.fill(server, 2)
        uidls = self.session(server, dele=(1,))
        hides, server.config = server.config, ""
        for when in "+5d", "+10d":
            self.move(server, when)
            self.assertEqual(self.session(server), uidls)
        server.config = hides
        for when in "+11d", "+16d":
            mark = self.move(server, when)
            self.assertEqual(list(self.session(server).values()), [uidls[2]])
            self.assertEqual(self.removed(server, mark), [])
        mark = self.move(server, "+18d")
        self.session(server)
        self.assertEqual([f["uidl"] for f in self.removed(server, mark)],
                         [uidls[1]])

    def test_min_keep_is_longer(self):
        server = self.grace(settings={
            **GRACE, "pop3_policy_keep_retrieved": "12 hours",
            "pop3_policy_min_keep": "2 days"})
        mark = server.log_mark()
        self.session(server)
        self.assertEqual(re.findall(
            r"pop3\(alice\).*Warning: pop3-policy: (.*)",
            self.log_of_sessions(server, mark)),
            ["pop3_policy_keep_retrieved=12 hours is shorter than "
             "pop3_policy_min_keep: 2 days is in force"])
