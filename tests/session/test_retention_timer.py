# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The examples that run retention every night: systemd takes them, and what they
# start does it.

import os
import re
import shutil
import subprocess
import unittest

from test_examples import SOURCE, source
from test_retention import RetentionTest

UNITS = ["pop3-policy-retention.timer", "pop3-policy-retention.service"]
CRON = "pop3-policy-retention.cron"
# of the five fields of a line for cron
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def example(name):
    return source("doc/examples/" + name)


class Every(RetentionTest):
    def night(self, command):
        """COMMAND by a shell, when mail of alice's is due. It finds doveadm,
        which knows the test's server, and logger, which notes what it gets."""
        server = self.policy()
        self.fill(server, 3)
        self.session(server, retr=(1, 2))
        self.move(server, "+15d")
        tools = server.path("bin")
        os.mkdir(tools)
        self.tool(tools, "doveadm", "exec %s -c %s \"$@\"" % (
            shutil.which("doveadm"), server.config_file))
        self.tool(tools, "logger", "cat >%s/logged" % tools)
        result = subprocess.run(
            ["/bin/sh", "-c", command], check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**server._full_environment(),
                 "PATH": tools + ":/usr/bin:/bin"})
        self.assertEqual(self.there(server), [3])
        return server, result

    @staticmethod
    def tool(directory, name, text):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n%s\n" % text)
        os.chmod(path, 0o755)

    def test_cron_line(self):
        text = example(CRON)
        self.assertTrue(text.endswith("\n"))
        (line,) = [line for line in text.splitlines()
                   if not line.startswith("#")]
        *fields, user, command = re.split(r"\s+", line, maxsplit=6)
        self.assertEqual(user, "root")
        # for cron that would be the end of a line
        self.assertNotIn("%", command)
        for field, (low, high) in zip(fields, RANGES, strict=True):
            if field != "*":
                self.assertIn(int(field), range(low, high + 1))
        server, result = self.night(command)
        # whatever it said would be mailed
        self.assertEqual((result.stdout, result.stderr), ("", ""))
        with open(server.path("bin/logged"), encoding="utf-8") as file:
            logged = file.read()
        self.assertEqual(len(self.removals(logged)), 2)
        self.assertIn("Retention run: users=2", logged)

    def test_command_of_the_service(self):
        (command,) = re.findall("^ExecStart=(.*)$", example(UNITS[1]),
                                re.MULTILINE)
        self.assertTrue(os.access(command.split()[0], os.X_OK))
        _, result = self.night(command.replace("/usr/bin/", ""))
        self.assertEqual(result.returncode, 0)
        self.assertEqual(len(self.removals(result.stderr)), 2)

    def test_only_a_stopped_run_is_no_failure(self):
        """What else test_retention_run sees a run end with is one."""
        (codes,) = re.findall("^SuccessExitStatus=(.*)$", example(UNITS[1]),
                              re.MULTILINE)
        self.assertEqual(codes, "143")

    @unittest.skipUnless(shutil.which("systemd-analyze"),
                         "systemd-analyze is not installed")
    def test_systemd_takes_timer_and_service(self):
        paths = [os.path.join(SOURCE, "doc/examples", name) for name in UNITS]
        result = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *paths], check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # it also tells of what it meets of the system's own
        told = [line for line in result.stdout.splitlines()
                if "pop3-policy" in line]
        self.assertEqual((result.returncode, told), (0, []), result.stdout)
