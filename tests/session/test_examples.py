# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the documentation says can be done: the examples and README's
# configurations are loaded as they are shipped, with other paths and owners;
# the man pages name every setting, and are well formed.

import glob
import os
import pwd
import re
import shutil
import sqlite3
import subprocess
import unittest

from dovecot import Dovecot, installed_line
from testcase import SessionTest, each, message

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
DEFINES = "plugin/dovecot/pop3-policy-setting-defines.h"
MAN_PAGES = ("doc/doveadm-pop3.1", "doc/pop3-policy-report.1",
             "doc/pop3-policy.7")


def source(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        return file.read()


def readme_block(title):
    """The indented lines below the line that is TITLE and a colon."""
    found = re.search("^%s:\n\n((?:\t.*\n|\n)+)" % re.escape(title),
                      source("README"), re.MULTILINE)
    return re.sub("^\t", "", found.group(1), flags=re.MULTILINE)


def man_example(line):
    found = re.search(r"^\.Ss Dovecot %s\n(?:.*\n)*?\.Bd .*\n((?:.*\n)*?)\.Ed$"
                      % re.escape(line), source("doc/pop3-policy.7"),
                      re.MULTILINE)
    return found.group(1).replace("\\e", "\\")


def setting_defaults():
    """Name to default, as the code has them."""
    found = re.findall(r'X\((pop3_policy_\w+), "(.*?)"\)', source(DEFINES))
    return {name: value.replace("\\\\", "\\") for name, value in found}


class Configuration(SessionTest):
    def server(self, text, sqlite=False):
        """One that runs with TEXT and nothing else of the plugin's."""
        server = Dovecot(plugin=False, dict=None)
        self.servers.append(server)
        self.addCleanup(server.destroy)
        # The mail's owner here has a number only: he joins a group that is.
        server.config = self.adapt(text, server) + \
            "mail_access_groups = dovecot\n"
        if sqlite:
            self.make_sqlite(server)
        return server.start()

    @staticmethod
    def adapt(text, server):
        """With the server's own paths, and a group that exists."""
        return text.replace("/etc/dovecot/", server.root + "/") \
            .replace("/var/lib/pop3-policy", server.path("dict")) \
            .replace("group = vmail", "group = dovecot")

    def make_sqlite(self, server):
        name = server.path("dict/db.sqlite")
        database = sqlite3.connect(name)
        database.executescript(source("doc/examples/pop3-policy-sqlite.sql"))
        database.close()
        owner = pwd.getpwnam("dovecot")
        os.chown(name, owner.pw_uid, owner.pw_gid)
        with open(server.path("pop3-policy-sql.conf.ext"), "w",
                  encoding="utf-8") as file:
            file.write(self.adapt(
                source("doc/examples/pop3-policy-sql.conf.ext"), server))

    def check_it_works(self, server):
        """UIDLs that outlive an index loss come from the plugin alone."""
        server.deliver("alice", message(1), message(2))
        with server.pop3("alice") as client:
            before = client.uidls()
            client.retr(1)
            client.quit()
        server.wait_no_process("pop3")
        server.remove_indexes("alice")
        with server.pop3("alice") as client:
            self.assertEqual(client.uidls(), before)
            client.quit()
        server.wait_no_process("pop3")
        self.assertNotRegex(server.log(), r"(Error|Warning|Fatal): .*policy")
        shown = server.doveadm("pop3", "state", "show", "-u", "alice")
        self.assertIn("\nmark: 2\n", shown.stdout, shown.stderr)

    def check_known_settings(self, text):
        """2.3 takes any name in plugin { }, also one that nobody reads."""
        names = set(re.findall(r"^\s*(pop3_policy_\w+) =", text, re.MULTILINE))
        dicts = {"pop3_policy_dict", "pop3_policy_ledger_dict"}
        self.assertEqual(names - dicts - set(setting_defaults()), set())

    def test_settings_of_all_examples(self):
        paths = glob.glob(os.path.join(SOURCE, "doc/examples/dovecot-*.conf"))
        self.assertGreater(len(paths), 4)
        for path in paths:
            with self.subTest(path):
                self.check_known_settings(source(path))

    @staticmethod
    def example(line, suffix=""):
        return source("doc/examples/dovecot-%s%s.conf" % (line, suffix))

    def test_example_with_files(self):
        line = installed_line()
        server = self.server(self.example(line))
        self.check_known_settings(self.example(line))
        self.check_it_works(server)
        for name in ("alice.dict", "alice.ledger"):
            self.assertGreater(os.path.getsize(server.path("dict/" + name)), 0)

    def test_example_with_sqlite(self):
        line = installed_line()
        server = self.server(self.example(line, "-sqlite"), sqlite=True)
        self.check_known_settings(self.example(line, "-sqlite"))
        self.check_it_works(server)
        database = sqlite3.connect(server.path("dict/db.sqlite"))
        names = [row[0] for row in database.execute(
            "SELECT name FROM pop3_policy WHERE username = 'alice'")]
        database.close()
        self.assertLessEqual({"state", "ledger/0", "usage/now"}, set(names))

    @each(storage=("files", "SQLite"))
    def test_configuration_of_readme(self, storage):
        line = installed_line()
        text = readme_block("Dovecot %s, state in %s" % (line, storage))
        self.check_known_settings(text)
        self.check_it_works(self.server(text, storage == "SQLite"))

    def test_example_of_man_page(self):
        text = man_example(installed_line())
        self.check_known_settings(text)
        self.check_it_works(self.server(text))


class ManPages(unittest.TestCase):
    def test_every_setting_with_its_default(self):
        text = source("doc/pop3-policy.7")
        for name, default in setting_defaults().items():
            with self.subTest(name):
                found = re.search(
                    r"^\.It Va %s\n\.Pq \w+, default Ql (.*) \.$" % name,
                    text, re.MULTILINE)
                self.assertIsNotNone(found)
                self.assertEqual(found.group(1).replace("\\e", "\\"),
                                 default)

    def test_every_command(self):
        code = ""
        for path in glob.glob(os.path.join(SOURCE, "plugin/doveadm/*.c")):
            code += source(path)
        names = re.findall(r'\.name = "(pop3 .*)"', code)
        self.assertNotEqual(names, [])
        documented = re.findall(r"^\.Cm (pop3 .*)$",
                                source("doc/doveadm-pop3.1"), re.MULTILINE)
        self.assertEqual(sorted(documented), sorted(names))

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_well_formed(self):
        for name in MAN_PAGES:
            with self.subTest(name):
                result = subprocess.run(
                    ["mandoc", "-Tlint", "-Wwarning",
                     os.path.join(SOURCE, name)], stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, check=False)
                self.assertEqual(result.stdout.decode(), "")
