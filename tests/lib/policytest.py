# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What tests of failures and promises have in common: whole sessions, whose end
# is awaited, and what is left behind by them.

import re
import time

from fakedict import ANSWER, FakeDict
from testcase import SessionTest, message, wait_for

# The deadline where it has to pass in a test, and where it must not.
SHORT = {"pop3_policy_dict_timeout": "1s"}
LONG = {"pop3_policy_dict_timeout": "100000s"}
TEMPORARY = r"-ERR \[SYS/TEMP\] "
REPLAYABLE = (r"usage not stored, to be replayed: user=alice session=\S+ "
              r"ended=\d+ sessions=1 .*retr_count=%d ")


def plugin_errors(server, after=0):
    """What the plugin complained of, at least one line of it: they come by
    way of another process."""
    regex = re.compile(r"^.*Error: pop3-policy: (?!usage not stored)(.*)$",
                       re.MULTILINE)
    return wait_for(lambda: regex.findall(server.log(after)),
                    "an error of the plugin")


class PolicyTest(SessionTest):
    def faked(self, messages=3, **options):
        """A server, its dict, and a maildrop of alice's."""
        fake = FakeDict()
        self.addCleanup(fake.destroy)
        options["settings"] = {**SHORT, **options.get("settings", {})}
        server = self.dovecot(dict=fake.setting, **options)
        server.deliver("alice", *[message(i + 1) for i in range(messages)])
        return server, fake

    def break_dict(self, fake, how):
        if how == "missing":
            fake.close()
        else:
            fake.rule = lambda operation, user, keys: how

    def mend_dict(self, fake):
        fake.rule = lambda operation, user, keys: ANSWER
        if fake.listener is None:
            fake.open()

    def session(self, server, *commands, user="alice"):
        """One session with QUIT, and what it committed. Returns UIDLs."""
        mark = server.log_mark()
        with server.pop3(user) as client:
            uidls = client.uidls()
            for command in commands:
                if command.startswith(("RETR", "TOP")):
                    client.ok(command)
                    client.read_multi()
                else:
                    client.ok(command)
            self.assertTrue(client.quit().startswith("+OK"))
        self.ended(server, mark)
        return uidls

    def ended(self, server, mark, user="[^)]*"):
        server.wait_log(r"pop3\(%s\).*Disconnected" % user, after=mark)
        server.wait_no_process("pop3")

    def assert_refused(self, server, user="alice"):
        mark = server.log_mark()
        client = server.connect()
        reply = client.login(user)
        self.assertRegex(reply or "", TEMPORARY)
        # no command was read, and it is the last word
        self.assertEqual(client.read_all(), b"")
        client.close()
        self.ended(server, mark)

    def make_exceptions(self, server, user="alice"):
        """A maildrop that needs its state: it lost its indexes once."""
        self.lose_indexes(server, user)
        return self.session(server, user=user)

    def lose_indexes(self, server, user="alice"):
        """A new UIDVALIDITY, which is a time in seconds."""
        start = int(time.time())
        wait_for(lambda: int(time.time()) > start, "the next second")
        server.remove_indexes(user)

    def witness(self, server, user="alice"):
        path = server.inbox_dirs(user)[0] + "/dovecot-pop3-policy"
        with open(path, "rb") as file:
            return file.read()

    def mails(self, server, user="alice"):
        """How many messages there are, hidden ones too."""
        status = server.doveadm("mailbox", "status", "-u", user, "messages",
                                "INBOX", check=True)
        return int(status.stdout.strip().rpartition("=")[2])
