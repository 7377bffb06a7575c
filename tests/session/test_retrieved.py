# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Retrieved means retrieved: what real clients download is, what was cut or is
# damaged is not, and nothing else in the mail store says so.

import glob
import os
import shutil
import subprocess

import clients
import dovecot
from test_retention import ON, RetentionTest, wait_processes
from testcase import FORMATS, each, message
from twins import wait_stuck

BIG = 3 * 1000 * 1000
COMPRESS = {
    "2.3": "protocol imap {\n  mail_plugins = zlib\n}\n"
           "plugin {\n  zlib_save = gz\n}\n",
    "2.4": "mail_compress_write_method = gz\n",
}
AGAIN = r"Warning: .*%s messages that had gone are there again"
CLIENTS = {client.name(): client for client in clients.ALL}


class Retrieved(RetentionTest):
    def gone(self, server, when):
        """The UIDs that go at a session's end then."""
        mark = self.move(server, when)
        self.session(server)
        return [int(f["uid"]) for f in self.removed(server, mark)]


class RealClients(Retrieved):
    @each(client=tuple(CLIENTS))
    def test_what_it_downloads_is_retrieved(self, client):
        client = CLIENTS[client]
        if not client.installed():
            self.skipTest(client.program + " is not installed")
        server = self.policy(rawlog=True, settings={
            **ON, "pop3_policy_removal_limit_percent": "100"})
        self.fill(server, 3)
        # whoever it runs as has to get there
        home = server.path("clients")
        os.mkdir(home)
        user = client(home, server.pop3_port, "alice")
        user.run()
        server.wait_no_process("pop3")
        self.assertEqual(user.count(), 3)
        self.assertRegex(server.rawlogs().upper(), r"(?m)^\S+ %s 1\b" %
                         client.command)
        server.deliver("alice", message(4))
        self.move(server, "+10d")
        user.run()
        server.wait_no_process("pop3")
        # it came back for the new one only
        self.assertEqual(user.count(), 4)
        self.assertEqual(self.gone(server, "+13d"), [])
        self.assertEqual(self.gone(server, "+15d"), [1, 2, 3])
        self.assertEqual(self.gone(server, "+25d"), [4])


class CutOff(Retrieved):
    @each(tls=(False, True), command=("RETR 1", "TOP 1 99999999"),
          how=("abort", "close", "never"))
    def test_half_of_a_message(self, tls, command, how):
        """The client reads some of it, or none, and is gone."""
        server = self.policy(tls=tls)
        server.deliver("alice", message(1, size=BIG), message(2))
        self.session(server)
        client = server.connect(tls=tls, rcvbuf=4096)
        client.login("alice")
        if how != "never":
            client.ok(command)
            for _ in range(100):
                client.recv_line()
        else:
            client.send(command.encode() + b"\r\n")
        wait_stuck(client.sock)
        client.abort() if how == "abort" else client.close()
        server.wait_no_process("pop3")
        self.assertEqual(self.gone(server, "+15d"), [])
        # and whole it is
        self.session(server, retr=(1,))
        self.assertEqual(self.gone(server, "+30d"), [1])

    @each(tls=(False, True))
    def test_only_a_command_that_comes_later_shows_it(self, tls):
        server = self.policy(tls=tls)
        self.fill(server, 3)
        client = server.pop3("alice", tls=tls)
        client.retr(1)
        # RETR 2 shows that 1 was got; nothing shows it of 2
        client.retr(2)
        client.close()
        server.wait_no_process("pop3")
        self.assertEqual(self.gone(server, "+15d"), [1])


class Damaged(Retrieved):
    def file_of(self, server, number):
        if server.format == "maildir":
            return server.maildir_files("alice")[number - 1]
        pattern = {"sdbox": "/mailboxes/INBOX/dbox-Mails/u.*",
                   "mdbox": "/storage/m.*"}[server.format]
        paths = sorted(glob.glob(server.mail_dir("alice") + pattern),
                       key=lambda path: (len(os.path.basename(path)), path))
        return paths[0 if server.format == "mdbox" else number - 1]

    def damage(self, server, number):
        """The second half of the message, as it is on the disk."""
        path = self.file_of(server, number)
        with open(path, "rb+") as file:
            data = file.read()
            # mdbox has all in one file, one after the other
            size = len(data) // (2 if server.format == "mdbox" else 1)
            middle = (number - 1) * size * (server.format == "mdbox") + \
                size // 2
            file.seek(middle)
            file.write(b"\xff" * 2000)

    @each(format=FORMATS, command=("RETR", "TOP"), tls=(False, True))
    def test_damaged_message_is_not_retrieved(self, format, command, tls):
        new = dovecot.installed_line() == "2.4"
        server = self.policy(format=format, tls=tls, config=COMPRESS,
                             mail_plugins=["mail_compress" if new else
                                           "zlib"])
        # what cannot be compressed well: or else it would all be one block
        server.deliver("alice", *[
            message(number, body="".join(
                "%d\n" % pow(3, line + number * 99991, 1 << 400)
                for line in range(1500))) for number in (1, 2)])
        self.session(server)
        self.damage(server, 1)
        for number in (1, 2):
            client = server.pop3("alice", tls=tls)
            reply = client.cmd("RETR %d" % number if command == "RETR" else
                               "TOP %d 99999999" % number)
            if reply is not None and reply.startswith("+OK"):
                try:
                    client.read_multi()
                    client.cmd("NOOP")
                    client.quit()
                except ConnectionError:
                    pass
            client.close()
        server.wait_no_process("pop3")
        # a dbox that was found damaged may be another mailbox by now: then
        # nothing is known of any message
        gone = self.gone(server, "+15d")
        self.assertNotIn(1, gone)
        if format == "maildir":
            self.assertEqual(gone, [2])


class NothingElseCounts(Retrieved):
    def test_flags_and_dates_do_not(self):
        """Save date, file times, \\Seen."""
        server = self.policy(settings={
            **ON, "pop3_policy_keep_unretrieved": "60 days"})
        client = server.imap("alice")
        for number in (1, 2, 3):
            client.append("INBOX", "(\\Seen)", "\"01-Jan-2001 00:00:00 +0000\"",
                          message(number))
        client.logout()
        for path in glob.glob(server.mail_dir("alice") + "/*/*,S=*"):
            os.utime(path, (978307200, 978307200))
        self.move(server, "+20d")
        self.session(server, retr=(1,))
        client = server.imap("alice")
        client.select("INBOX")
        client.fetch("1:3", "(BODY[])")
        client.logout()
        self.assertEqual(self.gone(server, "+33d"), [])
        self.assertEqual(self.gone(server, "+35d"), [1])
        self.assertEqual(self.gone(server, "+79d"), [])
        self.assertEqual(self.gone(server, "+81d"), [2, 3])


class Copies(Retrieved):
    def copy(self, source, target, *options):
        """As an administrator does: all files are new ones."""
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-R", *options, source, target], check=True)
        subprocess.run(["chown", "-R", str(dovecot.MAIL_UID), target],
                       check=True)

    @each(format=FORMATS, times=("kept", "new"))
    def test_a_copy_of_the_store_changes_nothing(self, format, times):
        server = self.policy(format=format)
        self.fill(server, 3)
        uidls = self.session(server, retr=(1, 2))
        server.stop()
        home, copy = server.home("alice"), server.path("copy")
        options = ["--preserve=timestamps"] if times == "kept" else []
        self.copy(home, copy, *options)
        self.copy(copy, home, *options)
        server.set_time("+13d")
        server.start()
        self.assertEqual(self.session(server, retr=(1,)), uidls)
        self.assertEqual(self.there(server), [1, 2, 3])
        self.assertEqual(self.gone(server, "+15d"), [1, 2])

    @each(format=FORMATS)
    def test_an_older_copy_restarts_all_times(self, format):
        server = self.policy(format=format, settings={
            **ON, "pop3_policy_keep_unretrieved": "30 days",
            "pop3_policy_uidl_guard": "log"})
        self.fill(server, 3)
        uidls = self.session(server, retr=(1, 2))
        server.stop()
        home, copy = server.home("alice"), server.path("copy")
        self.copy(home, copy)
        server.start()
        server.deliver("alice", message(4))
        self.move(server, "+10d")
        self.session(server, retr=(4,))
        server.stop()
        self.copy(copy, home)
        server.set_time("+13d")
        server.start()
        # all of it would go by the times that were
        self.assertEqual(self.session(server), uidls)
        for when in ("+15d", "+26d"):
            self.assertEqual(self.gone(server, when), [])
        # 14 days after that login
        self.assertEqual(self.gone(server, "+28d"), [1, 2])
        self.assertEqual(self.gone(server, "+42d"), [])
        self.assertEqual(self.gone(server, "+44d"), [3])

    @each(format=FORMATS)
    def test_mail_that_is_brought_back_restarts_all_times(self, format):
        """Under its old UIDs, and with nothing new since it was expunged."""
        server = self.policy(format=format)
        self.fill(server, 3)
        uidls = self.session(server, retr=(1, 2))
        server.stop()
        home, copy = server.home("alice"), server.path("copy")
        self.copy(home, copy)
        server.start()
        self.session(server, dele=(1,))
        server.stop()
        self.copy(copy, home)
        server.set_time("+15d")
        server.start()
        mark = server.log_mark()
        # it is due by the times that were
        self.run_now(server, "--force", "-u", "alice")
        self.assertEqual(self.there(server), [1, 2, 3])
        self.assertEqual(self.session(server), uidls)
        self.assertEqual(self.there(server), [1, 2, 3])
        server.wait_log(AGAIN % 1, after=mark)
        mark = server.log_mark()
        self.run_now(server, "--force", "-u", "alice")
        self.assertEqual(self.gone(server, "+28d"), [])
        self.assertNotRegex(self.log_of_sessions(server, mark), AGAIN % r"\d+")
        # 14 days after that login
        self.assertEqual(self.gone(server, "+30d"), [1, 2])

    @each(format=FORMATS)
    def test_mail_that_is_brought_back_was_not_retrieved(self, format):
        """It went before the messages around it were retrieved."""
        server = self.policy(format=format, settings={
            **ON, "pop3_policy_uidl_guard": "log"})
        self.fill(server, 6)
        uidls = self.session(server)
        server.stop()
        home, copy = server.home("alice"), server.path("copy")
        self.copy(home, copy)
        server.start()
        for _ in range(2):
            self.expunge_first(server)
        server.doveadm("expunge", "-u", "alice", "mailbox", "INBOX", "uid",
                       "4", check=True)
        # of 3, 5 and 6
        self.session(server, retr=(1, 2))
        server.stop()
        self.copy(copy, home)
        server.start()
        mark = server.log_mark()
        self.assertEqual(self.session(server), uidls)
        server.wait_log(AGAIN % 3, after=mark)
        self.assertEqual(self.gone(server, "+15d"), [3, 5])
        self.assertEqual(self.there(server), [1, 2, 4, 6])

    @each(format=FORMATS)
    def test_sessions_that_overlap_bring_nothing_back(self, format):
        """They end in any order, and each one saw something else."""
        server = self.policy(format=format)
        self.fill(server, 6)
        self.session(server)
        mark = server.log_mark()
        for number, (first, second) in enumerate(
                (("old", "new"), ("new", "old"))):
            # one that looks before a message goes and another comes
            looks = {"old": server.pop3("alice")}
            looks["old"].uidls()
            self.expunge_first(server)
            server.deliver("alice", message(10 + number))
            looks["new"] = server.pop3("alice")
            looks["new"].uidls()
            for name in first, second:
                looks[name].quit()
                wait_processes(server, name == first)
            self.session(server)
            # the same without new mail
            looks = {"old": server.pop3("alice")}
            looks["old"].uidls()
            self.expunge_first(server)
            looks["new"] = server.pop3("alice")
            for name in first, second:
                looks[name].quit()
                wait_processes(server, name == first)
            self.session(server)
            self.session(server, dele=(1,))
            self.session(server)
        self.assertNotRegex(self.log_of_sessions(server, mark), AGAIN % r"\d+")

    def expunge_first(self, server):
        server.doveadm("expunge", "-u", "alice", "mailbox", "INBOX", "1",
                       check=True)
