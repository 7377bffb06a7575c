# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Commands for many users, which look at each before doveadm makes a mail user
# of it: as if it did.

import contextlib
import http.client
import json
import os
import socket

from dovecot import installed_line
from test_doveadm import OFF, DoveadmTest
from testcase import each, message

SHOW = ("pop3", "usage", "show", "--by", "total")
RUN = ("pop3", "retention", "run")


SOCKET = """service dict {
  unix_listener dict {
    mode = 0660
    group = dovecot
  }
}
"""
HTTP = {
    "2.3": "doveadm_api_key = key\n"
           "service doveadm {\n  unix_listener http {\n  }\n}\n",
    "2.4": "doveadm_api_key = key\n"
           "service doveadm {\n  unix_listener http {\n    type = http\n"
           "  }\n}\n"}


def asked(server, command):
    """What the server itself says of all users, by HTTP."""
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(60)
    connection.sock.connect(server.path("run/http"))
    name = command[0] + "".join(word.title() for word in command[1:3])
    with contextlib.closing(connection):
        connection.request("POST", "/doveadm/v1", json.dumps(
            [[name, {"allUsers": True}, "tag"]]), {
                "Authorization": "X-Dovecot-API a2V5",
                "Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())


class ManyUsersTest(DoveadmTest):
    def shown(self, server, *args, command=SHOW, code=0):
        """The rows, and stderr."""
        result = self.code(server, code, "-f", "json", *command, *args)
        return json.loads(result.stdout), result.stderr


class Rights(ManyUsersTest):
    users = {"alice": {"uid": "45001", "gid": "45001"},
             "bob": {"uid": "45002", "gid": "45002"},
             "carol": {"uid": "45003", "gid": "45003"}}

    def private(self):
        """Each user's dict belongs to that user alone."""
        server = self.filled(*self.users, users=self.users)
        for user, fields in self.users.items():
            os.chmod(server.dict_file(user), 0o600)
            self.assertEqual(os.stat(server.dict_file(user)).st_uid,
                             int(fields["uid"]))
        return server

    @each(command=(SHOW, RUN))
    def test_those_of_each_user(self, command):
        server = self.private()
        rows, error = self.shown(server, "-A", command=command)
        self.assertEqual([row["username"] for row in rows], list(self.users))
        self.assertNotIn("Error", error)

    def test_nobody_reads_what_belongs_to_another(self):
        server = self.private()
        os.unlink(server.dict_file("bob"))
        os.symlink(server.dict_file("alice"), server.dict_file("bob"))
        rows, error = self.shown(server, "-A", code=75)
        self.assertEqual([row["username"] for row in rows],
                         ["alice", "carol"])
        self.assertEqual(error.count("Permission denied"), 1, error)
        self.assertIn("doveadm(bob)", error)

    def test_after_one_that_doveadm_made(self):
        """With 2.3 that one's rights are still the process's."""
        paths = {"2.3": "pop3_policy_dict = file:%h/state\n",
                 "2.4": "pop3_policy {\n  dict file {\n    path = "
                        "%{home}/state\n  }\n}\n"}
        alice = {**self.users["alice"], "nice": "0"}
        server = self.filled(*self.users, dict=paths,
                             users={**self.users, "alice": alice})
        for user in self.users:
            os.chmod(server.home(user), 0o700)
        # finished days are looked up by themselves
        rows, error = self.shown(server, "-A", command=(
            "pop3", "usage", "show", "--by", "day"))
        self.assertEqual([row["username"] for row in rows], list(self.users))
        self.assertNotIn("Error", error)

    def test_a_neighbour_s_after_one_that_doveadm_made(self):
        """carol has those of alice, and comes when bob has them no more."""
        server = self.filled("alice", "carol", users={
            "alice": self.users["alice"],
            "bob": {**self.users["bob"], "nice": "0"},
            "carol": self.users["alice"]})
        for user in ("alice", "carol"):
            path = server.dict_file(user)
            os.chown(path, 0, 45001)
            os.chmod(path, 0o640)
        rows, error = self.shown(server, "-A")
        self.assertEqual([row["sessions"] for row in rows], [1, 0, 1],
                         error)

    def test_by_a_group(self):
        server = self.policy(users=self.users,
                             config="mail_access_groups = mail\n")
        server.deliver("bob", message())
        self.session(server, "bob")
        path = server.dict_file("bob")
        os.chown(path, 0, 8)    # mail, everywhere in Debian
        os.chmod(path, 0o640)
        rows, error = self.shown(server, "-A")
        self.assertEqual([row["sessions"] for row in rows], [0, 1, 0],
                         error)

    @each(command=(SHOW, RUN))
    def test_by_a_group_of_the_service(self, command):
        """Which may use the dict's socket."""
        line = installed_line()
        server = self.filled(*self.users, dict="sqlite", users=self.users,
                             config=HTTP[line] + SOCKET)
        [[outcome, rows, _]] = asked(server, command)
        self.assertEqual(outcome, "doveadmResponse", rows)
        self.assertEqual({row["username"] for row in rows}, set(self.users))
        self.assertNotIn("Permission denied", server.log())

    def test_users_that_are_not_permitted(self):
        """It is doveadm that says so."""
        server = self.filled("bob", config="first_valid_uid = 100\n", users={
            "alice": {"uid": "77", "gid": "77"}, "bob": {}})
        rows, error = self.shown(server, "-A")
        self.assertEqual([row["username"] for row in rows], ["bob"])
        self.assertIn("not permitted", error)


class Users(ManyUsersTest):
    @each(dict=("file", "sqlite"), command=(SHOW, RUN))
    def test_in_order_whatever_they_are(self, dict, command):
        """Those that doveadm makes, because of their fields, come between
        those that are only looked at."""
        names = ["u%d" % number for number in range(12)]
        fields = [{}, {"system_groups_user": "mail"}, {}, {"nice": "0"}, {},
                  OFF[installed_line()]]
        server = self.filled(names[0], names[1], dict=dict, users={
            name: fields[number % len(fields)]
            for number, name in enumerate(names)})
        rows, error = self.shown(server, "-A", command=command)
        self.assertEqual([row["username"] for row in rows],
                         [n for n in names if n not in ("u5", "u11")])
        self.assertEqual(error.count("the plugin is off"), 2)
        if command is SHOW:
            self.assertEqual([row["sessions"] for row in rows],
                             [1, 1] + [0] * 8)

    @each(command=(SHOW, RUN, RUN + ("--force",)))
    def test_a_bad_setting_is_told_once(self, command):
        server = self.filled("alice", "bob", settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "14 days",
            "pop3_policy_login_delay": "banana"})
        rows, error = self.shown(server, "-A", command=command)
        self.assertEqual([row["username"] for row in rows], ["alice", "bob"])
        for user in ("alice", "bob"):
            self.assertEqual(
                error.count("User %s: Bad setting" % user), 1, error)

    @each(command=(SHOW, RUN))
    def test_a_mask_of_which_not_all_are(self, command):
        server = self.filled("alice", "bob", users={
            "alice": {}, "bob": {}, "alina": {}})
        rows, _ = self.shown(server, "-u", "ali*", command=command)
        self.assertEqual([row["username"] for row in rows],
                         ["alice", "alina"])

    @each(command=(SHOW, RUN))
    def test_names_of_a_file_of_whom_some_are_not(self, command):
        server = self.filled("alice", "bob")
        names = server.path("names")
        with open(names, "w", encoding="ascii") as file:
            file.write("bob\nnobody\nalice\n")
        rows, error = self.shown(server, "-F", names, command=command)
        self.assertEqual([row["username"] for row in rows], ["bob", "alice"])
        self.assertIn("no longer exists", error)

    @each(command=(SHOW, RUN))
    def test_names_of_a_file_that_cannot_be_read_to_its_end(self, command):
        """Which is told once, though it is known before their turn."""
        server = self.filled("alice", "bob", dict="sqlite")
        names = server.path("names")
        with open(names, "w", encoding="ascii") as file:
            file.write("alice\nbob\n" + "x" * 100000)
        rows, error = self.shown(server, "-F", names, command=command, code=75)
        self.assertEqual([row["username"] for row in rows], ["alice", "bob"])
        self.assertEqual(error.count("Error: read("), 1, error)

    def test_by_processes_of_the_server(self):
        """doveadm_worker_count: nobody is looked at here."""
        server = self.filled("alice", "bob",
                             config="doveadm_worker_count = 2\n")
        rows, _ = self.shown(server, "-A")
        self.assertEqual({row["username"]: row["sessions"] for row in rows},
                         {"alice": 1, "bob": 1})

    def test_variables_of_settings(self):
        paths = {"2.3": "pop3_policy_dict = file:%h/%n-%d\n",
                 "2.4": "pop3_policy {\n  dict file {\n    path = "
                        "%{home}/%{user|username}-%{user|domain}\n  }\n}\n"}
        server = self.filled("a@example.com", dict=paths, users={
            "a@example.com": {}, "b@example.com": {}})
        self.assertTrue(os.path.exists(
            server.home("a@example.com") + "/a-example.com"))
        rows, error = self.shown(server, "-A")
        self.assertEqual([row["sessions"] for row in rows], [1, 0], error)
