# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Retention beside other plugins, and beside the host's own autoexpunge: all
# in one chain.

import contextlib
import imaplib
import json
import os
import re
import shutil
import tempfile

from test_grace import HIDE
from test_retention import RetentionTest
from testcase import FORMATS, each, message

CHAIN_23 = """
plugin {
  lazy_expunge = EXPUNGED
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:bytes=100M
  acl = vfile
  mail_log_events = expunge
  mail_log_fields = uid box
  last_login_dict = file:~/last.dict
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox INBOX {
    autoexpunge = 60 days
  }
  mailbox EXPUNGED {
    auto = create
    autoexpunge = 20 days
  }
}
"""
CHAIN_24 = """
lazy_expunge_mailbox = EXPUNGED
quota "User quota" {
  driver = count
  storage_size = 100M
}
acl_driver = vfile
mail_log_events = expunge
mail_log_fields = uid box
last_login {
  dict file {
    path = ~/last.dict
  }
}
namespace inbox {
  mailbox INBOX {
    autoexpunge = 60 days
  }
  mailbox EXPUNGED {
    auto = create
    autoexpunge = 20 days
  }
}
"""


class Chain(RetentionTest):
    plugins = ("quota", "lazy_expunge", "acl", "notify", "mail_log",
               "last_login")

    def chain(self, format):
        server = self.policy(format=format, mail_plugins=self.plugins,
                             config={"2.3": CHAIN_23, "2.4": CHAIN_24})
        server.deliver("alice", *[message(number, size=100000)
                                  for number in range(1, 6)])
        self.session(server, retr=(1, 2, 3))
        return server

    def used(self, server, mailbox="INBOX"):
        text = server.doveadm("mailbox", "status", "-u", "alice", "vsize",
                              mailbox, check=True).stdout
        return int(re.search(r"vsize=(\d+)", text).group(1))

    @each(format=FORMATS, by=("session", "run"))
    def test_beside_other_plugins(self, format, by):
        server = self.chain(format)
        before = self.used(server)
        mark = self.move(server, "+15d")
        if by == "run":
            text = self.run_now(server, "-u", "alice").stderr
        else:
            self.session(server)
            text = self.log_of_sessions(server, mark)
        self.assertEqual([f["uid"] for f in self.removals(text)],
                         ["1", "2", "3"])
        self.assertEqual(self.there(server), [4, 5])
        # lazy_expunge has them, mail_log told it, quota knows both
        self.assertEqual(len(self.there(server, mailbox="EXPUNGED")), 3)
        for uid in (1, 2, 3):
            self.assertEqual(len(re.findall(
                r"expunge: box=INBOX, uid=%d\b|"
                r"expunge: uid=%d, box=INBOX\b|"
                r"expunge: (?=.*\buid=%d\b).*INBOX" % (uid, uid, uid),
                text)), 1, text)
        self.assertLess(self.used(server), before // 2)
        self.assertEqual(self.used(server) + self.used(server, "EXPUNGED"),
                         before)
        quota = server.doveadm("-f", "tab", "quota", "get", "-u", "alice",
                               check=True).stdout
        # in KiB, rounded up
        self.assertIn("\t%d\t" % -(-before // 1024), quota)
        self.assertTrue(os.path.exists(server.home("alice") + "/last.dict"))

    @each(format=FORMATS)
    def test_beside_autoexpunge(self, format):
        """What retention moved away goes by the host's rule, and so does what
        stays in INBOX: nobody takes the one for the other."""
        server = self.chain(format)
        uidls = list(self.session(server).values())
        # when, then: what goes by retention, what is left there and in INBOX
        steps = (("+15d", ["1", "2", "3"], 3, [4, 5], uidls[3:]),
                 ("+19d", [], 3, [4, 5], uidls[3:]),
                 ("+40d", [], 0, [4, 5], uidls[3:]),
                 ("+70d", [], None, [], uidls[3:]),
                 ("+71d", [], None, [], []))
        for when, removed, expunged, left, shown in steps:
            with self.subTest(when):
                mark = self.move(server, when)
                if when != "+15d":
                    self.assertEqual(list(self.session(server).values()),
                                     shown)
                else:
                    self.session(server)
                self.assertEqual([f["uid"] for f in
                                  self.removed(server, mark)], removed)
                self.assertEqual(self.there(server), left)
                if expunged is not None:
                    self.assertEqual(
                        len(self.there(server, mailbox="EXPUNGED")), expunged)
        self.assertNotIn("Error: pop3-policy", server.log())
        self.assertEqual(self.counted(server, "removed_count"), 3)
        # mail that comes then is new mail
        server.deliver("alice", message(6))
        new = list(self.session(server).values())
        self.assertEqual(len(new), 1)
        self.assertNotIn(new[0], uidls)

    @each(format=FORMATS)
    def test_autoexpunge_of_what_is_due_too(self, format):
        """At the end of one session both would take it: the host comes first,
        and what it took is not told of as removed by retention."""
        server = self.chain(format)
        mark = self.move(server, "+70d")
        self.session(server)
        self.assertEqual(self.removed(server, mark), [])
        self.assertEqual(self.there(server), [])
        self.assertEqual(self.counted(server, "removed_count"), 0)
        self.assertNotIn("Error: pop3-policy", server.log())
        result = self.run_now(server, "-u", "alice", "--force")
        self.assertEqual(self.removals(result.stderr), [])
        self.assertEqual(json.loads(server.doveadm(
            "-f", "json", "pop3", "retention", "explain", "-u", "alice",
            check=True).stdout or "[]"), [])

    @each(by=("session", "run"))
    def test_storage_that_refuses_leaves_all(self, by):
        server = self.chain("maildir")
        mark = self.move(server, "+15d")
        expunged = server.mail_dir("alice") + "/.EXPUNGED"
        server.doveadm("mailbox", "create", "-u", "alice", "EXPUNGED")
        os.chown(expunged, 0, 0)
        os.chmod(expunged, 0o500)
        if by == "run":
            result = server.doveadm("pop3", "retention", "run", "-u", "alice")
            self.assertNotEqual(result.returncode, 0)
            text = result.stderr
        else:
            self.session(server)
            self.session(server)
            text = self.log_of_sessions(server, mark)
        self.assertEqual(self.removals(text), [])
        self.assertEqual(len(re.findall("Removing 3 messages failed, they "
                                        "stay", text)), 1, text)
        self.assertEqual(self.there(server), [1, 2, 3, 4, 5])
        os.chown(expunged, server.uid, server.uid)
        os.chmod(expunged, 0o700)
        mark = self.move(server, "+17d")
        self.session(server)
        self.assertEqual([f["uid"] for f in self.removed(server, mark)],
                         ["1", "2", "3"])


class Acl(RetentionTest):
    """Whoever may not delete mail himself is still under his provider's rules:
    retention looks past his rights, and tells and counts what it did."""
    config = {"2.3": HIDE + "plugin {\n  acl = vfile:%s\n}\n",
              "2.4": HIDE + "acl_driver = vfile\nacl_global_path = %s\n"}

    def maildrop(self, rights, **options):
        directory = tempfile.mkdtemp(prefix="pp-")
        self.addCleanup(shutil.rmtree, directory)
        os.chmod(directory, 0o755)
        path = directory + "/acl"
        self.allow(path, "lrwstipekxa")
        server = self.policy(mail_plugins=["acl"], config={
            line: text % path for line, text in self.config.items()},
            **options)
        self.fill(server, 3)
        self.allow(path, rights)
        return server

    @staticmethod
    def allow(path, rights):
        with open(path, "w", encoding="ascii") as file:
            file.write("INBOX owner %s\n" % rights)

    @staticmethod
    def expunge_all(server):
        client = server.imap("alice")
        # without any right to write it is read-only
        with contextlib.suppress(imaplib.IMAP4.readonly):
            client.select("INBOX")
            client.uid("STORE", "1:3", "+FLAGS", "(\\Deleted)")
            client.expunge()
        client.shutdown()

    @each(format=FORMATS, by=("session", "run"), rights=("lr", "lrws"))
    def test_owner_without_rights_to_delete(self, format, by, rights):
        server = self.maildrop(rights, format=format)
        self.session(server, retr=(1, 2))
        self.expunge_all(server)
        self.assertEqual(self.there(server), [1, 2, 3])
        for when, gone in ("+13d", []), ("+15d", ["1", "2"]):
            mark = self.move(server, when)
            if by == "run":
                text = self.run_now(server, "-A").stderr
            else:
                self.session(server)
                text = self.log_of_sessions(server, mark)
            self.assertEqual([f["uid"] for f in self.removals(text)], gone)
            self.assertNotIn("Error: pop3-policy", text)
        self.assertEqual(self.there(server), [3])
        self.assertEqual(self.counted(server, "removed_count"), 2)

    @each(format=FORMATS)
    def test_dele_that_the_host_does_not_allow(self, format):
        """It hides nothing: so there is nothing to purge."""
        server = self.maildrop("lr", format=format, settings={
            "pop3_policy_removal": "yes", "pop3_policy_keep_deleted": "7 days"})
        uidls = self.session(server)
        client = server.pop3("alice")
        client.cmd("DELE 1")
        client.quit()
        server.wait_no_process("pop3")
        self.assertEqual(self.session(server), uidls)
        mark = self.move(server, "+30d")
        self.assertEqual(self.session(server), uidls)
        result = self.run_now(server, "-A", "--force")
        self.assertEqual(self.removed(server, mark) +
                         self.removals(result.stderr), [])
        self.assertEqual(self.there(server), [1, 2, 3])
        self.assertEqual(self.counted(server, "removed_count"), 0)


COUNT = {"2.3": """
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:bytes=100M
}
""", "2.4": """
quota "User quota" {
  driver = count
  storage_size = 100M
}
"""}
MAILDIR = {line: text.replace("count", "maildir")
           for line, text in COUNT.items()}


class Quota(RetentionTest):
    def used(self, server):
        """In KiB."""
        shown = server.doveadm("-f", "json", "quota", "get", "-u", "alice",
                               check=True).stdout
        (row,) = [row for row in json.loads(shown)
                  if row["type"] == "STORAGE"]
        return int(row["value"])

    def check(self, by, **options):
        server = self.policy(mail_plugins=["quota"], **options)
        server.deliver("alice", *[message(number, size=100000)
                                  for number in range(1, 6)])
        self.session(server, retr=(1, 2, 3))
        before = self.used(server)
        self.move(server, "+15d")
        if by == "run":
            self.run_now(server, "-u", "alice")
        else:
            self.session(server)
            server.wait_no_process("pop3")
        self.assertEqual(self.there(server), [4, 5])
        self.assertAlmostEqual(self.used(server), before * 2 / 5, delta=2)

    @each(format=FORMATS, by=("session", "run"))
    def test_usage_falls(self, format, by):
        self.check(by, format=format, config=COUNT)

    @each(by=("session", "run"))
    def test_usage_in_a_file_falls(self, by):
        self.check(by, format="maildir", config=MAILDIR)
