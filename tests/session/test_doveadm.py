# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `doveadm pop3 ...`: for one user, some, all; every format; exit codes.

import json
import os
import re
import shutil
import socket

from dovecot import installed_line
from testcase import SessionTest, each, message

OFF = {"2.3": {"pop3_policy_dict": "no"}, "2.4": {"pop3_policy/dict": ""}}
SHOW = [
    ("pop3", "uidl", "list"),
    ("pop3", "retention", "explain"),
    ("pop3", "retention", "run"),
    ("pop3", "retention", "run", "--dry-run", "--force"),
    ("pop3", "usage", "show"),
    ("pop3", "usage", "show", "--by", "day"),
    ("pop3", "usage", "show", "--by", "total"),
    ("pop3", "state", "show"),
    ("pop3", "state", "delete", "--dry-run"),
]
# sysexits.h
USAGE, DATAERR, NOUSER, TEMPFAIL, CONFIG = 64, 65, 67, 75, 78


class DoveadmTest(SessionTest):
    def policy(self, **options):
        options.setdefault("users", {"alice": {}, "bob": {}})
        options.setdefault("settings", {
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "14 days"})
        return self.dovecot(**options)

    @staticmethod
    def session(server, user):
        with server.pop3(user) as client:
            uidls = client.uidls()
            for number in uidls:
                client.retr(number)
            client.quit()
        server.wait_no_process("pop3")
        return uidls

    def filled(self, *users, **options):
        server = self.policy(**options)
        for user in users:
            server.deliver(user, message(1), message(2))
            self.session(server, user)
        return server

    def code(self, server, expected, *args):
        result = server.doveadm(*args)
        self.assertEqual(result.returncode, expected,
                         "%s\n%s%s" % (args, result.stdout, result.stderr))
        return result

    def rows(self, server, *args):
        return json.loads(self.code(server, 0, "-f", "json", *args).stdout)


class Users(DoveadmTest):
    @each(dict=("file", "sqlite"))
    def test_all_commands_for_one_and_for_all(self, dict):
        server = self.filled("alice", "bob", dict=dict)
        names = server.path("names")
        with open(names, "w", encoding="ascii") as file:
            file.write("bob\n")
        for command in SHOW:
            with self.subTest(command):
                one = self.rows(server, *command, "-u", "alice")
                self.assertTrue(one)
                every = self.rows(server, *command, "-A")
                self.assertEqual({row["username"] for row in every},
                                 {"alice", "bob"})
                some = self.rows(server, *command, "-F", names)
                self.assertEqual({row["username"] for row in some}, {"bob"})
                mask = self.rows(server, *command, "-u", "a*")
                self.assertEqual({row["username"] for row in mask}, {"alice"})

    @each(format=("table", "flow", "tab", "pager", "json"))
    def test_all_commands_in_each_format(self, format):
        server = self.filled("alice")
        for command in SHOW:
            with self.subTest(command):
                out = self.code(server, 0, "-f", format, *command, "-u",
                                "alice").stdout
                self.assertNotEqual(out.strip(), "")
                if format in ("table", "tab"):
                    # more than the header
                    self.assertGreater(len(out.splitlines()), 1)
                if format == "json":
                    self.assertTrue(json.loads(out))
                if format == "tab":
                    widths = {line.count("\t") for line in out.splitlines()}
                    self.assertEqual(len(widths), 1, out)

    def test_values_agree_with_the_protocol(self):
        server = self.policy()
        server.deliver("alice", message(1), message(2))
        uidls = self.session(server, "alice")
        rows = self.rows(server, "pop3", "uidl", "list", "-u", "alice")
        self.assertEqual({int(r["uid"]): r["uidl"] for r in rows}, uidls)
        self.assertEqual({r["shown"] for r in rows}, {"yes"})
        rows = self.rows(server, "pop3", "retention", "explain", "-u",
                         "alice")
        self.assertEqual([r["uidl"] for r in rows], list(uidls.values()))
        self.assertEqual([int(r["size"]) for r in rows],
                         [len(message(1)), len(message(2))])
        self.assertEqual({(r["rule"], r["action"]) for r in rows},
                         {("keep_retrieved", "goes later")})
        (row,) = self.rows(server, "pop3", "usage", "show", "--by", "total",
                           "-u", "alice")
        logged = server.wait_log(r"pop3\(alice\).* retr=(\d+)/(\d+)")
        self.assertEqual((int(row["retr_count"]), int(row["retr_bytes"])),
                         tuple(map(int, logged.groups())))
        (row,) = self.rows(server, "pop3", "state", "show", "-u", "alice")
        self.assertEqual(row["mark"], "2")
        self.assertRegex(row["retrieved"], r"^1-2@2")

    def test_mail_that_nobody_was_shown(self):
        server = self.filled("alice")
        server.deliver("alice", message(3))
        rows = self.rows(server, "pop3", "uidl", "list", "-u", "alice")
        self.assertEqual([r["shown"] for r in rows], ["yes", "yes", "no"])
        rows = self.rows(server, "pop3", "retention", "explain", "-u",
                         "alice")
        self.assertEqual((rows[2]["rule"], rows[2]["first_seen"]),
                         ("unknown", "-"))


class ExitCodes(DoveadmTest):
    def test_no_such_user(self):
        server = self.policy()
        for command in SHOW:
            with self.subTest(command):
                self.code(server, NOUSER, *command, "-u", "nobody")

    def test_no_dict(self):
        server = self.policy(users={"alice": {}, "bob": OFF[installed_line()]})
        self.session(server, "alice")
        for command in SHOW:
            with self.subTest(command):
                one = self.code(server, CONFIG, *command, "-u", "bob")
                self.assertIn("No dict is set", one.stderr)
                # among many it is a setting as good as any other
                every = self.code(server, 0, *command, "-A")
                self.assertIn("No dict is set", every.stderr)

    def test_no_state_yet(self):
        server = self.policy()
        for command in SHOW:
            with self.subTest(command):
                self.code(server, 0, *command, "-u", "alice")

    def test_damaged_state(self):
        server = self.filled("alice", "bob")
        state = server.dict_get("alice", "state")
        server.dict_set("alice", "state", state.replace("mark", "merk"))
        damaged = server.dict_get("alice", "state")
        for command in (("pop3", "uidl", "list"), ("pop3", "state", "show"),
                        ("pop3", "retention", "explain"),
                        ("pop3", "retention", "run", "--force")):
            with self.subTest(command):
                result = server.doveadm(*command, "-u", "alice")
                self.assertIn(result.returncode, (DATAERR, TEMPFAIL),
                              result.stderr)
                self.assertRegex(result.stderr, r"\bstate: ")
                # the others are served all the same
                every = server.doveadm("-f", "json", *command, "-A")
                self.assertNotEqual(every.returncode, 0)
                self.assertIn("bob", every.stdout)
        self.assertEqual(server.dict_get("alice", "state"), damaged)

    def test_bad_arguments(self):
        server = self.policy()
        for args in (("retention", "run", "--bogus"),
                     ("usage", "show", "--by", "week"),
                     ("usage", "show", "--since", "2026-13-45"),
                     ("usage", "show", "--since", "2026-12-01", "--until",
                      "2026-11-01")):
            with self.subTest(args):
                self.code(server, USAGE, "pop3", *args, "-u", "alice")

    def test_dict_that_never_answers(self):
        server = self.filled("alice")
        path = server.path("silent")
        silent = socket.socket(socket.AF_UNIX)
        self.addCleanup(silent.close)
        silent.bind(path)
        silent.listen(20)
        os.chmod(path, 0o777)
        server.dict = {
            "2.3": "pop3_policy_dict = proxy:%s:x" % path,
            "2.4": "pop3_policy {\n dict proxy {\n  name = x\n"
                   "  socket_path = %s\n }\n}\n" % path}
        server.settings["pop3_policy_dict_timeout"] = "300 ms"
        server.restart()
        for command in (("pop3", "state", "show"), ("pop3", "usage", "show"),
                        ("pop3", "state", "delete"),
                        ("pop3", "retention", "run", "--force")):
            with self.subTest(command):
                self.code(server, TEMPFAIL, *command, "-u", "alice")


class StateDelete(DoveadmTest):
    def test_dry_run_deletes_nothing(self):
        server = self.filled("alice")
        before = server.dict_get("alice", "state")
        self.assertIsNotNone(before)
        out = self.rows(server, "pop3", "state", "delete", "--dry-run",
                        "-u", "alice")
        self.assertEqual({r["outcome"] for r in out}, {"would be deleted"})
        self.assertEqual(server.dict_get("alice", "state"), before)
        done = self.rows(server, "pop3", "state", "delete", "-u", "alice")
        self.assertEqual([r["key"] for r in done], [r["key"] for r in out])
        self.assertEqual({r["outcome"] for r in done}, {"deleted"})
        for key in ("state", "ledger/0"):
            self.assertIn(key, [r["key"] for r in done])
            self.assertIsNone(server.dict_get("alice", key))
        # and who logs in now is let in, as at the first time
        self.assertEqual(len(self.session(server, "alice")), 2)

    def test_damaged_state_can_be_deleted(self):
        server = self.filled("alice")
        state = server.dict_get("alice", "state")
        server.dict_set("alice", "state", state.replace("mark", "merk"))
        self.assertRegex(server.connect().login("alice"), r"^-ERR")
        self.code(server, 0, "pop3", "state", "delete", "-u", "alice")
        self.assertEqual(len(self.session(server, "alice")), 2)

    def test_account_made_anew(self):
        server = self.filled("alice")
        shutil.rmtree(server.home("alice"))
        done = self.rows(server, "pop3", "state", "delete", "-u", "alice")
        self.assertIn("state", [r["key"] for r in done])
        self.assertIsNone(server.dict_get("alice", "state"))
        self.assertEqual(self.session(server, "alice"), {})
        self.assertNotRegex(server.log(), re.compile(r"pop3.*Error: .*policy"))
