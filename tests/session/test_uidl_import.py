# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `doveadm pop3 uidl export|import|verify`: UIDLs move between servers.

import glob
import json
import os
import shutil

from testcase import FORMATS, SessionTest, each, message
from uidlformats import BY_PARTS, with_more

DATAERR, TEMPFAIL, USAGE = 65, 75, 64
SEPARATOR = {"2.3": "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"}
OTHER = {"2.3": SEPARATOR["2.3"] +
                "namespace old {\n  prefix = Old/\n  separator = /\n"
                "  location = %s\n}\n",
         "2.4": "namespace old {\n  prefix = Old/\n  separator = /\n%s}\n"}

FROM = "From x@example.com Sun Nov  1 10:00:00 2026\n"


def texts(first, last):
    return [message(number, size=number * 100)
            for number in range(first, last + 1)]


class UidlToolsTest(SessionTest):
    def session(self, server, user="alice", retrieve=()):
        """The UIDLs of a session that is closed and stored."""
        client = server.pop3(user)
        uidls = client.uidls()
        for number in retrieve:
            client.retr(number)
        client.quit()
        server.wait_no_process("pop3")
        return uidls

    def uidl(self, server, command, *args, code=0, user="alice"):
        result = server.doveadm("-f", "json", "pop3", "uidl", command, "-u",
                                user, *args)
        self.assertEqual(result.returncode, code,
                         result.stdout + result.stderr)
        self.stderr = result.stderr
        return json.loads(result.stdout) if result.stdout.strip() else []

    def export(self, server, *args, user="alice"):
        return server.doveadm("pop3", "uidl", "export", "-u", user, *args,
                              check=True).stdout

    def file(self, server, text, name="import"):
        path = server.path(name)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def counts(self, server, *args, **kwargs):
        """What import did, without zeros."""
        (row,) = self.uidl(server, "import", *args, **kwargs)
        return {name: int(value) for name, value in row.items()
                if int(value) > 0}

    def again(self, server, path, *options, matched, **others):
        """What was stored once is not stored again, by force neither, and
        nothing that is shown changes."""
        before = self.session(server)
        state = server.dict_get("alice", "state")
        for force in ((), ("--force",)):
            self.assertEqual(
                self.counts(server, *options, *force, *path),
                {"matched": matched, "unchanged": matched, **others})
        self.assertEqual(server.dict_get("alice", "state"), state)
        self.assertEqual(self.uidl(server, "verify", *path, *[
            option for option in options if option != "--by-order"]), [])
        self.assertEqual(self.session(server), before)
        # neither once the host knows them by other numbers
        self.assertEqual(len(set(before.values())), len(before))
        server.remove_indexes("alice")
        self.assertEqual(self.session(server), before)
        self.assertEqual(
            self.counts(server, *options, *path),
            {"matched": matched, "unchanged": matched, **others})
        self.assertEqual(self.session(server), before)

    def filled(self, *mails, **options):
        server = self.dovecot(**options)
        server.deliver("alice", *mails)
        return server

    def other_namespace(self, driver, path):
        return {"2.3": OTHER["2.3"] % ("%s:%s" % (driver, path)),
                "2.4": OTHER["2.4"] % ("  mail_driver = %s\n"
                                       "  mail_path = %s\n" % (driver, path))}


class Export(UidlToolsTest):
    @each(format=FORMATS)
    def test_what_was_shown(self, format):
        server = self.filled(*texts(1, 3), format=format)
        before = self.session(server, retrieve=(2,))
        server.deliver("alice", message(4))
        lines = self.export(server).splitlines()
        self.assertEqual(lines[0], "pop3-policy-uidls 1")
        self.assertEqual([line.split()[1] for line in lines[1:-1]],
                         list(before.values()))
        self.assertEqual(lines[-1], "end 3")
        self.assertEqual(["header=" in line for line in lines[1:-1]],
                         [False, True, False])
        sizes = [len(text) for text in texts(1, 3)]
        self.assertEqual([line.split()[2] for line in lines[1:-1]],
                         ["size=%d" % size for size in sizes])

    @each(format=FORMATS)
    def test_headers_are_filled_in_for_recovery(self, format):
        mails = texts(1, 5)
        server = self.filled(*mails, format=format)
        before = self.session(server)
        self.assertNotIn("header=", self.export(server))
        first = self.export(server, "--headers")
        self.assertEqual(first.count("header="), 5)
        self.assertEqual(self.export(server), first)
        # copied by IMAP into a new mailbox nothing else is known
        shutil.rmtree(server.mail_dir("alice"))
        server.deliver("alice", *mails)
        self.assertEqual(self.session(server), before)

    def test_nothing_was_ever_shown(self):
        server = self.filled(message(1))
        self.assertEqual(self.export(server), "")


class Import(UidlToolsTest):
    @each(old=FORMATS, new=FORMATS)
    def test_what_was_exported(self, old, new):
        mails = texts(1, 6)
        server = self.filled(*mails, format=old)
        server.remove_indexes("alice")
        before = self.session(server)
        text = self.export(server, "--headers")
        # an account of the same mail elsewhere, in another order
        other = self.filled(*reversed(mails), format=new)
        path = self.file(other, text)
        state = other.dict_get("alice", "state")
        self.assertEqual(self.counts(other, "--dry-run", path),
                         {"matched": 6, "stored": 6})
        self.assertEqual(other.dict_get("alice", "state"), state)
        self.assertEqual(self.counts(other, path),
                         {"matched": 6, "stored": 6})
        self.assertEqual(self.uidl(other, "verify", path), [])
        self.assertEqual(list(self.session(other).values()),
                         list(reversed(before.values())))
        self.assertEqual(self.counts(other, path),
                         {"matched": 6, "unchanged": 6})
        # they are recovered as others are, and nothing of them comes twice
        other.remove_indexes("alice")
        other.deliver("alice", *texts(7, 8))
        after = list(self.session(other).values())
        self.assertEqual(after[:6], list(reversed(before.values())))
        self.assertEqual(len(set(after)), 8)

    def test_what_was_shown_changes_by_force_only(self):
        server = self.filled(*texts(1, 3))
        before = self.session(server)
        text = self.export(server)
        path = self.file(server, text.replace(before[2], "from-elsewhere"))
        self.assertEqual(self.counts(server, path),
                         {"matched": 3, "unchanged": 2, "kept": 1})
        self.assertIn("--force", self.stderr)
        self.assertEqual(self.session(server), before)
        self.assertEqual(self.counts(server, "--force", path),
                         {"matched": 3, "unchanged": 2, "stored": 1})
        self.assertEqual(self.session(server),
                         {**before, 2: "from-elsewhere"})

    @each(format=FORMATS)
    def test_order_of_the_listing(self, format):
        server = self.filled(*texts(1, 4), format=format)
        before = self.session(server)
        lines = self.export(server).splitlines()
        lines[1:5] = [lines[n] for n in (3, 1, 4, 2)]
        path = self.file(server, "\n".join(lines) + "\n")
        self.assertEqual(self.counts(server, path),
                         {"matched": 4, "unchanged": 4})
        self.assertEqual(self.session(server), before)
        state = server.dict_get("alice", "state")
        self.counts(server, "--order", "--dry-run", path)
        self.assertEqual(server.dict_get("alice", "state"), state)
        self.counts(server, "--order", path)
        server.deliver("alice", *texts(5, 5))
        after = list(self.session(server).values())
        self.assertEqual(after[:4], [before[n] for n in (3, 1, 4, 2)])
        # an export has it too
        self.assertEqual(self.export(server).splitlines()[1:5], lines[1:5])
        server.remove_indexes("alice")
        self.assertEqual(list(self.session(server).values()), after)

    def test_mail_that_came_since_is_left(self):
        mails = texts(1, 3)
        old = self.filled(*mails)
        before = self.session(old)
        new = self.filled(*mails[1:], message(9))
        path = self.file(new, self.export(old, "--headers"))
        self.assertEqual(self.counts(new, path),
                         {"matched": 2, "stored": 2, "unmatched": 1,
                          "left": 1})
        after = self.session(new)
        self.assertEqual([after[1], after[2]], [before[2], before[3]])
        self.assertNotIn(after[3], before.values())

    def test_a_uidl_that_another_message_has(self):
        server = self.filled(*texts(1, 2))
        before = self.session(server)
        server.deliver("alice", *texts(3, 3))
        name = os.path.basename(server.maildir_files("alice")[-1])
        path = self.file(server, "pop3-policy-uidls 1\nuidl %s id=%s\nend 1\n"
                         % (before[1], name.split(":")[0]))
        self.uidl(server, "import", path, code=DATAERR)
        self.assertRegex(self.stderr, r"line 2: UIDL .* twice.*nothing is")
        self.assertEqual(len(set(self.session(server).values())), 3)

    def test_while_a_session_looks(self):
        server = self.filled(message(1))
        self.session(server)
        path = self.file(server, self.export(server))
        with server.pop3("alice") as client:
            self.uidl(server, "import", path, code=TEMPFAIL)
            self.uidl(server, "repair", code=TEMPFAIL)
            self.uidl(server, "verify", path)
            client.quit()
        server.wait_no_process("pop3")
        self.counts(server, path)

    def test_neither_file_nor_mailbox(self):
        server = self.filled(message(1))
        self.uidl(server, "import", code=USAGE)
        self.uidl(server, "import", "--from", "INBOX", "x", code=USAGE)

    def test_bad_texts(self):
        server = self.filled(message(1))
        self.session(server)
        state = server.dict_get("alice", "state")
        for text, where in (
                ("", "line 1"),
                ("pop3-policy-uidls 1\nuidl a\nuidl b\nuidl a\nend 3\n",
                 "line 4: UIDL a is there twice"),
                ("pop3-policy-uidls 1\nuidl a\n", "line 3: the text was cut"),
                (b"1 a\n2 b\0\n", "line 2: holds a NUL"),
                ("1 a\n2 \u00e4\n", "line 2: not a UIDL"),
                ("1 a\n2 b c d\n", "line 2"),
                ("x" * 100 * 1024 * 1024, "line 1: longer"),
                (b"\0" * 100 * 1024 * 1024, "line 1: "),
                ("From nobody\n\n", "not an mbox"),
                (FROM + "X-UIDL: a\n\nb\n\n" + FROM +
                 "X-UIDL: \u00e4\n\nb\n", "message 2: not a UIDL")):
            with self.subTest(where):
                path = self.file(server, text)
                self.uidl(server, "import", path, code=DATAERR)
                self.assertIn(where, self.stderr)
                self.assertIn("nothing is stored", self.stderr)
        self.assertEqual(server.dict_get("alice", "state"), state)


class Sources(UidlToolsTest):
    """Files as other servers have them."""

    def names(self, server):
        """Base names of a maildir's files, in the order of UIDs."""
        with open(server.mail_dir("alice") + "/dovecot-uidlist",
                  encoding="ascii") as file:
            return [line.rstrip("\n").split(" :", 1)[1]
                    for line in file.readlines()[1:]]

    def test_courier(self):
        server = self.filled(*texts(1, 3))
        names = self.names(server)
        text = "/3 4 1234567890\n" + "".join(
            "%s:2,S %d %d:1234567890:0\n" % (name, 100, number + 1)
            for number, name in reversed(list(enumerate(names))))
        path = self.file(server, text, "courierpop3dsizelist")
        self.assertEqual(self.counts(server, path),
                         {"matched": 3, "stored": 3})
        self.assertEqual(self.session(server), {
            number: "UID%d-1234567890" % number for number in (1, 2, 3)})
        self.again(server, [path], matched=3)

    def test_courier_in_each_home(self):
        server = self.filled(*texts(1, 1))
        server.deliver("bob", *texts(2, 2))
        for user in ("alice", "bob"):
            path = glob.glob(server.mail_dir(user) + "/[nc]*/*")[0]
            with open(server.mail_dir(user) + "/courierpop3dsizelist", "w",
                      encoding="ascii") as file:
                file.write("/3 2 77\n%s 5 1:%d:0\n" % (
                    os.path.basename(path).split(":")[0], len(user)))
        server.doveadm("pop3", "uidl", "import", "-A",
                       "~/Maildir/courierpop3dsizelist", check=True)
        self.assertEqual(self.session(server), {1: "UID1-5"})
        self.assertEqual(self.session(server, user="bob"), {1: "UID1-3"})

    def test_one_file_for_many_users(self):
        server = self.filled(*texts(1, 1))
        path = self.file(server, "UIDL\n1 one\n")
        for who in (("-A",), ("-u", "a*")):
            result = server.doveadm("pop3", "uidl", "import", *who, path)
            self.assertEqual(result.returncode, 64)
            self.assertIn("must be one in each home", result.stderr)

    def test_file_that_is_a_fifo(self):
        server = self.filled(*texts(1, 1))
        path = server.home("alice") + "/fifo"
        os.mkfifo(path)
        os.chown(path, server.uid, server.uid)
        self.uidl(server, "import", "~/fifo", code=DATAERR)
        self.assertIn("neither a file nor a maildir", self.stderr)

    @each(new=FORMATS)
    def test_dovecot_uidlist(self, new):
        old = self.dovecot(
            plugin=False, config=with_more(BY_PARTS, "pop3_save_uidl = yes\n"))
        old.deliver("alice", *texts(1, 3))
        before = self.session(old)
        self.assertEqual(len(before), 3)
        # elsewhere the GUIDs are what is left of the file names
        server = self.dovecot(format=new, config=SEPARATOR)
        server.doveadm("backup", "-R", "-u", "alice", "maildir:" +
                       old.mail_dir("alice"), check=True)
        uidlist = old.mail_dir("alice") + "/dovecot-uidlist"
        self.assertEqual(self.counts(server, uidlist)["matched"], 3)
        self.assertEqual(self.session(server), before)
        self.again(server, [uidlist], matched=3)

    def carrying(self):
        return [message(n, size=n * 100, headers="X-UIDL: old-%d  \n" % n)
                for n in (1, 2, 3)] + [message(4)]

    @each(format=FORMATS)
    def test_mbox_with_x_uidl(self, format):
        server = self.filled(*texts(1, 4), format=format)
        path = self.file(server, b"".join(
            FROM.encode() + text.replace(b"\r\n", b"\n") + b"\n"
            for text in self.carrying()))
        self.assertEqual(self.counts(server, path),
                         {"matched": 3, "stored": 3, "without_uidl": 1,
                          "left": 1})
        self.assertEqual(list(self.session(server).values())[:3],
                         ["old-1", "old-2", "old-3"])
        self.again(server, [path], matched=3, without_uidl=1, left=1)

    def test_maildir_with_x_uidl(self):
        old = self.filled(*self.carrying(), plugin=False)
        server = self.filled(*texts(1, 4))
        self.assertEqual(self.counts(server, old.mail_dir("alice")),
                         {"matched": 3, "stored": 3, "without_uidl": 1,
                          "left": 1})
        self.assertEqual(list(self.session(server).values())[:3],
                         ["old-1", "old-2", "old-3"])
        self.again(server, [old.mail_dir("alice")], matched=3, without_uidl=1,
                   left=1)

    def test_maildir_that_changes_meanwhile(self):
        """Its message would be left without the UIDL that it has."""
        old = self.filled(*self.carrying(), plugin=False)
        server = self.filled(*texts(1, 4))
        # listed, and not there when it is opened
        os.symlink("gone", old.mail_dir("alice") + "/cur/1.M1P1.host:2,S")
        self.uidl(server, "import", old.mail_dir("alice"), code=DATAERR)
        self.assertIn("moved or expunged meanwhile", self.stderr)
        self.assertIn("nothing is stored", self.stderr)

    def test_listing(self):
        server = self.filled(*texts(1, 3))
        path = self.file(server, "+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n")
        self.assertEqual(self.counts(server, path), {"unmatched": 3,
                                                     "left": 3})
        self.assertEqual(self.counts(server, "--by-order", path),
                         {"matched": 3, "stored": 3})
        self.assertEqual(self.session(server), {1: "a", 2: "b", 3: "c"})
        self.again(server, [path], "--by-order", matched=3)

    def answers(self, server, *commands):
        """What a server says to commands, as a listing; its UIDLs."""
        text = b""
        with server.pop3("alice") as client:
            for command in commands:
                client.ok(command)
                lines = client.read_multi()
                text += command.encode() + b"\r\n+OK\r\n" + lines + b".\r\n"
            uidls = client.uidls()
            client.quit()
        server.wait_no_process("pop3")
        return text, uidls

    @each(format=FORMATS)
    def test_new_mail_by_dsync_from_a_stock_server(self, format):
        """dsync brings the mail, and no UIDLs of the host's format: what the
        stock server showed is what no rule here yields."""
        server = self.dovecot(format=format, config=SEPARATOR)
        server.deliver("alice", *texts(1, 4))
        self.session(server)
        server.doveadm("mailbox", "update", "--uid-validity", "1234567890",
                       "-u", "alice", "INBOX", check=True)
        before = self.session(server)
        stock = self.dovecot(plugin=False, config=SEPARATOR)
        stock.deliver("alice", message(1))
        shutil.rmtree(stock.mail_dir("alice"))
        mail = "maildir:" + stock.mail_dir("alice")
        server.doveadm("backup", "-u", "alice", mail, check=True)
        self.assertEqual(self.session(stock), before)
        stock.deliver("alice", *texts(5, 6))
        text, shown = self.answers(stock, "UIDL", "LIST", "TOP 5 0",
                                   "TOP 6 0")
        self.assertEqual({n: shown[n] for n in before}, before)
        server.doveadm("sync", "-1", "-R", "-u", "alice", mail, check=True)
        path = self.file(server, text)
        self.assertEqual(
            [row["difference"] for row in
             self.uidl(server, "verify", path, code=1)], ["changed"] * 2)
        self.assertEqual(self.counts(server, path)["stored"], 2)
        self.assertEqual(self.uidl(server, "verify", path), [])
        self.assertEqual(self.session(server), shown)
        # what they could have become is nobody's any more
        server.deliver("alice", *texts(7, 9))
        after = self.session(server)
        self.assertEqual({n: after[n] for n in shown}, shown)
        self.assertEqual(len(set(after.values())), 9)
        server.remove_indexes("alice")
        self.assertEqual(self.session(server), after)

    @each(format=FORMATS)
    def test_session_with_sizes_and_headers(self, format):
        """What a server answered: two messages have one size."""
        mails = [message(1), message(2), message(3, size=3000)]
        old = self.filled(*mails, plugin=False)
        text, before = self.answers(old, "UIDL", "LIST", "TOP 1 0", "TOP 2 0")
        server = self.filled(*reversed(mails), format=format)
        path = self.file(server, text)
        self.assertEqual(self.counts(server, path)["matched"], 3)
        self.assertEqual(self.uidl(server, "verify", path), [])
        self.assertEqual(list(self.session(server).values()),
                         list(reversed(before.values())))
        self.again(server, [path], matched=3)

    def test_from_an_mbox(self):
        server = self.dovecot(config=self.other_namespace("mbox", "~/old"))
        server.deliver("alice", *texts(1, 4))
        os.makedirs(server.home("alice") + "/old")
        path = server.home("alice") + "/old/inbox"
        with open(path, "wb") as file:
            for text in self.carrying():
                file.write(FROM.encode() + text.replace(b"\r\n", b"\n") +
                           b"\n")
        shutil.chown(server.home("alice") + "/old", server.uid)
        shutil.chown(path, server.uid)
        self.assertEqual(self.counts(server, "--from", "Old/inbox"),
                         {"matched": 3, "stored": 3, "without_uidl": 1,
                          "left": 1})
        self.assertEqual(self.uidl(server, "verify", "--from", "Old/inbox"),
                         [])
        self.assertEqual(list(self.session(server).values())[:3],
                         ["old-1", "old-2", "old-3"])
        self.again(server, [], "--from", "Old/inbox", matched=3,
                   without_uidl=1, left=1)

    def test_from_a_live_server(self):
        mails = [message(n, size=n // 2 * 500) for n in range(1, 7)]
        old = self.filled(*mails, plugin=False)
        before = self.session(old)
        pop3c = ["pop3c_host=127.0.0.1", "pop3c_port=%d" % old.pop3_port,
                 "pop3c_user=alice", "pop3c_password=secret"]
        server = self.dovecot()
        server.deliver("alice", *reversed(mails))
        # 2.4 reads these settings from the command line only
        if server.line == "2.4":
            pop3c += ["namespace+=old", "namespace/old/prefix=Old/",
                      "namespace/old/separator=/",
                      "namespace/old/mail_driver=pop3c"]
            options = [word for text in pop3c for word in ("-o", text)]
        else:
            server.config = OTHER["2.3"] % "pop3c:" + "\n".join(pop3c) + "\n"
            server.write_config()
            options = []

        def run(*args):
            return server.doveadm(*options, "-f", "json", "pop3", "uidl",
                                  *args, "-u", "alice", "--from",
                                  "Old/INBOX", check=True).stdout

        (row,) = json.loads(run("import"))
        self.assertEqual((row["matched"], row["stored"]), (6, 6))
        self.assertEqual(run("verify").strip(), "[]")
        self.assertEqual(list(self.session(server).values()),
                         list(reversed(before.values())))
        # and again, also once all UIDs are others
        for _ in range(2):
            state = server.dict_get("alice", "state")
            (row,) = json.loads(run("import"))
            self.assertEqual((row["matched"], row["unchanged"]), (6, 6))
            self.assertEqual(server.dict_get("alice", "state"), state)
            server.remove_indexes("alice")
            self.assertEqual(list(self.session(server).values()),
                             list(reversed(before.values())))


class Verify(UidlToolsTest):
    def test_differences(self):
        server = self.filled(*texts(1, 4))
        before = self.session(server)
        text = self.export(server)
        path = self.file(server, text)
        self.assertEqual(self.uidl(server, "verify", path), [])
        server.deliver("alice", *texts(5, 5))
        self.assertEqual(self.uidl(server, "verify", path), [])
        swapped = text.replace(before[1], "x").replace(
            before[2], before[1]).replace("uidl x", "uidl " + before[2])
        swapped = swapped.replace(before[3], "other")
        swapped = swapped.replace("end 4", "uidl missing\nend 5")
        rows = self.uidl(server, "verify", self.file(server, swapped), code=1)
        self.assertEqual(
            [(row["uidl"], row["difference"], row["now"]) for row in rows],
            [(before[2], "another message's", before[2]),
             (before[1], "another message's", before[1]),
             ("other", "changed", before[3]), ("missing", "gone", "-")])

    def test_listing(self):
        server = self.filled(*texts(1, 2))
        before = self.session(server)
        listing = "".join("%d %s\r\n" % item for item in before.items())
        self.assertEqual(self.uidl(server, "verify",
                                   self.file(server, listing)), [])
        with server.pop3("alice") as client:
            client.ok("DELE 1")
            client.quit()
        server.wait_no_process("pop3")
        (row,) = self.uidl(server, "verify", self.file(server, listing),
                           code=1)
        self.assertEqual((row["uidl"], row["difference"]),
                         (before[1], "gone"))


class NothingThere(UidlToolsTest):
    """No session was there since the plugin came."""

    def files(self, server):
        return [os.path.join(path, name)
                for path, _, names in os.walk(server.home("alice"))
                for name in names if name.startswith("dovecot-pop3-policy")]

    @each(format=FORMATS)
    def test_commands_that_only_look_create_nothing(self, format):
        server = self.dovecot(format=format, config={
            "2.3": "mail_location = %s:~/mail:CONTROL=~/control\n" % format,
            "2.4": "mail_driver = %s\nmail_path = ~/mail\n"
                   "mail_control_path = ~/control\n" % format},
            settings={"pop3_policy_removal": "yes",
                      "pop3_policy_keep_retrieved": "14 days"})
        server.deliver("alice", *texts(1, 2))
        before = os.path.exists(server.home("alice") + "/control")
        self.assertEqual(self.uidl(server, "export"), [])
        path = self.file(server, "1 a\n2 b\n")
        self.assertEqual(len(self.uidl(server, "verify", path, code=1)), 2)
        for command in (("retention", "run", "--dry-run", "--force"),
                        ("retention", "explain"), ("uidl", "list"),
                        ("state", "show"), ("state", "delete", "--dry-run"),
                        ("policy", "get")):
            server.doveadm("pop3", *command, "-u", "alice", check=True)
        self.assertEqual(self.files(server), [])
        self.assertEqual(os.path.exists(server.home("alice") + "/control"),
                         before)
        # what changes something has its locks
        self.counts(server, path, "--by-order")
        self.assertEqual(len(self.files(server)), 2)
