# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What happens to mailboxes in the field, case by case: UIDLs stay, none is
# shown for another message, and the order of the listing stays.

import glob
import json
import os
import shutil

from history import ALL, History
from testcase import FORMATS, SessionTest, each, message
from uidlformats import BY_PARTS, BY_UID

# Without it the formats differ in it, and dsync refuses.
SEPARATOR = {"2.3": "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"}
# Where a second copy of alice's mail lies.
COPY = "copy"


def messages(first, last):
    return [message(number) for number in range(first, last + 1)]


def unlink(*patterns):
    for pattern in patterns:
        for path in glob.glob(pattern):
            os.unlink(path)


class RecoveryTest(SessionTest):
    def copy_of(self, server, format=None):
        """The second copy, as doveadm takes it."""
        return "%s:~/%s" % (format or server.format, COPY)

    def dsync(self, server, command, format=None, user="alice"):
        result = server.doveadm(command, "-u", user,
                                self.copy_of(server, format))
        # 2: some changes came too late, another run has them
        self.assertIn(result.returncode, (0, 2), result.stderr)

    def swap_in(self, server, format=None, user="alice"):
        """The copy takes the mail's place."""
        server.stop()
        shutil.rmtree(server.mail_dir(user))
        server.format = format or server.format
        os.rename(os.path.join(server.home(user), COPY),
                  server.mail_dir(user))
        server.start()

    def move_away(self, server, user="alice"):
        """A UIDVALIDITY from which the host would make other UIDLs, also of
        mail to come: it is below the ones that were used."""
        server.doveadm("mailbox", "update", "--uid-validity", "1234567890",
                       "-u", user, "INBOX", check=True)

    def own(self, server, path):
        for top, _, names in os.walk(path):
            for name in [""] + names:
                os.chown(os.path.join(top, name), server.uid, server.uid)


class Indexes(RecoveryTest):
    def filled(self, **options):
        server = self.dovecot(config=SEPARATOR, **options)
        server.deliver("alice", *messages(1, 7))
        history = History(self, server)
        history.look()
        return server, history

    def test_maildir_without_its_indexes(self):
        server, history = self.filled()
        unlink(server.mail_dir("alice") + "/dovecot.index*")
        server.deliver("alice", message(8))
        history.look(stays=ALL)

    @each(filled_by=("delivery", "dsync"), index=("there", "gone"))
    def test_maildir_without_its_uidlist(self, filled_by, index):
        server, history = self.filled()
        if filled_by == "dsync":
            # every GUID is in the list, and changes with its loss
            self.dsync(server, "backup")
            self.swap_in(server)
            history.look(stays=ALL)
        server.deliver("alice", message(8))
        history.look(stays=ALL)
        for number in (9, 10):
            unlink(server.mail_dir("alice") + "/dovecot-uidlist")
            if index == "gone":
                unlink(server.mail_dir("alice") + "/dovecot.index*")
            server.deliver("alice", message(number))
            history.look(stays=ALL)

    @each(format=FORMATS)
    def test_force_resync_of_a_healthy_mailbox(self, format):
        server, history = self.filled(format=format)
        for number in (8, 9):
            server.doveadm("force-resync", "-u", "alice", "INBOX", check=True)
            server.deliver("alice", message(number))
            history.look(stays=ALL)

    @each(format=FORMATS)
    def test_uidvalidity_forth_and_back(self, format):
        """A validity that comes back was used."""
        server, history = self.filled(format=format)
        number = 8
        for validity in (1234567890, 1234567891, 1234567890, 2234567890,
                         1234567890):
            server.doveadm("mailbox", "update", "--uid-validity",
                           str(validity), "-u", "alice", "INBOX", check=True)
            server.deliver("alice", message(number))
            number += 1
            history.look(stays=ALL)


class Dsync(RecoveryTest):
    @each(old=FORMATS, new=FORMATS)
    def test_backup_into_another_format(self, old, new):
        server = self.dovecot(format=old, config=SEPARATOR)
        history = History(self, server)
        server.deliver("alice", *messages(1, 4))
        history.look()
        self.move_away(server)
        server.deliver("alice", message(5))
        history.look(stays=ALL)
        self.dsync(server, "backup", new)
        self.swap_in(server, new)
        history.look(stays=ALL)
        server.deliver("alice", message(6))
        history.look(stays=ALL)
        server.remove_indexes("alice")
        history.look(stays=ALL)

    @each(old=FORMATS, new=FORMATS)
    def test_backup_to_another_user(self, old, new):
        server = self.dovecot(format=old, config=SEPARATOR)
        history = History(self, server)
        server.deliver("alice", *messages(1, 4))
        history.look()
        self.move_away(server)
        # never shown: the open rule answers for it
        server.deliver("alice", message(5))
        expected = history.look(stays=ALL)
        server.deliver("alice", message(6))
        self.dsync(server, "backup", new)
        server.stop()
        server.format = new
        os.makedirs(server.home("bob"), exist_ok=True)
        shutil.rmtree(server.mail_dir("bob"), ignore_errors=True)
        os.rename(os.path.join(server.home("alice"), COPY),
                  server.mail_dir("bob"))
        self.own(server, server.home("bob"))
        server.start()
        self.assertEqual(History(self, server, "bob").look()[:5], expected)

    @each(format=FORMATS, other=FORMATS)
    def test_two_way_sync_with_new_mail_on_both_sides(self, format, other):
        server = self.dovecot(format=format, config=SEPARATOR)
        history = History(self, server)
        server.deliver("alice", *messages(1, 4))
        history.look()
        self.dsync(server, "sync", other)
        for number in (5, 8):
            server.deliver("alice", *messages(number, number + 1))
            history.look(stays=ALL)
            validity, uids = self.numbers(server)
            self.save_into_copy(server, other, message(number + 2))
            self.dsync(server, "sync", other)
            # it did renumber what was there
            now, after = self.numbers(server)
            self.assertEqual(now, validity)
            self.assertFalse(set(uids) <= set(after), "UIDs stayed")
            self.assertEqual(len(history.look(stays=ALL)), number + 2)
        # and the other side knows them by the same UIDLs
        self.swap_in(server, other)
        history.look(stays=ALL)

    def numbers(self, server):
        """UIDVALIDITY and UIDs."""
        client = server.imap("alice")
        client.select()
        (validity,) = client.response("UIDVALIDITY")[1]
        (uids,) = client.uid("SEARCH", "ALL")[1]
        client.logout()
        return validity, uids.split()

    def save_into_copy(self, server, format, text):
        options = ["-o", "mail_location=" + self.copy_of(server, format)] \
            if server.line == "2.3" else \
            ["-o", "mail_driver=" + format, "-o", "mail_path=~/" + COPY]
        server.doveadm(*options, "save", "-u", "alice", "-m", "INBOX",
                       input=text, check=True)

    @each(old=FORMATS, new=FORMATS)
    def test_out_to_a_stock_server(self, old, new):
        server = self.dovecot(format=old, config=SEPARATOR)
        history = History(self, server)
        server.deliver("alice", *messages(1, 4))
        history.look()
        self.move_away(server)
        server.deliver("alice", message(5))
        history.look(stays=ALL)
        self.dsync(server, "backup", new)
        if new != "sdbox":
            # Synced before it is shown: dsync never sends its UIDL again.
            # (A stock sdbox does not look for the UIDL of what was added.)
            server.deliver("alice", message(6))
            self.dsync(server, "backup", new)
            history.look(stays=ALL)
        server.plugin = False
        self.swap_in(server, new)
        history.look(stays=ALL)

    @each(old=FORMATS, new=FORMATS)
    def test_in_from_a_stock_server(self, old, new):
        server = self.dovecot(format=old, config=SEPARATOR, plugin=False)
        history = History(self, server)
        server.deliver("alice", *messages(1, 5))
        self.move_away(server)
        history.look()
        self.dsync(server, "backup", new)
        server.plugin = True
        self.swap_in(server, new)
        history.look(stays=ALL)
        server.deliver("alice", message(6))
        server.remove_indexes("alice")
        history.look(stays=ALL)


class OlderCopy(RecoveryTest):
    @each(format=FORMATS, witness=("of the copy", "of today", "gone"))
    def test_brought_back(self, format, witness):
        server = self.dovecot(format=format)
        history = History(self, server)
        server.deliver("alice", *messages(1, 4))
        copied = history.look()
        backup = server.path("backup")
        shutil.copytree(server.home("alice"), backup)
        server.deliver("alice", *messages(5, 6))
        with server.pop3("alice") as client:
            client.ok("DELE 1")
            client.quit()
        server.wait_no_process("pop3")
        history.look(stays=history.uidls()[1:])
        server.deliver("alice", message(7))
        history.look(stays=ALL)
        self.bring_back(server, backup, witness)
        # UIDs of gone messages are given again
        server.deliver("alice", *messages(8, 10))
        back = [uidl for _, uidl in copied]
        history.look(stays=back[1:], comes_back=back)
        history.look(stays=ALL)
        server.remove_indexes("alice")
        history.look(stays=ALL)

    @each(format=FORMATS, expunged=(False, True))
    def test_brought_back_after_an_outage(self, format, expunged):
        """UIDs that were shown, and could not be stored, are given again.
        Where mail is expunged, too, it looks as if that were all."""
        server = self.dovecot(format=format, faketime=True, settings={
            "pop3_policy_removal": "yes",
            "pop3_policy_keep_retrieved": "60d"})
        history = History(self, server)
        server.deliver("alice", *messages(1, 3))
        copied, back = [uidl for _, uidl in history.look()], []
        backup = server.path("backup")
        shutil.copytree(server.home("alice"), backup)
        server.deliver("alice", *messages(4, 5))
        os.chmod(server.path("dict"), 0o555)
        history.look(stays=ALL)
        os.chmod(server.path("dict"), 0o777)
        server.set_time("+3d")
        self.bring_back(server, backup, "of today")
        if expunged:
            server.doveadm("expunge", "-u", "alice", "mailbox", "INBOX", "uid",
                           "1", check=True)
            back.append(copied.pop(0))
        server.deliver("alice", message(6))
        mark = server.log_mark()
        self.assert_run_waits(server)
        history.look(stays=copied, comes_back=copied)
        server.wait_log(r"Warning: .*The mailbox is an older copy: UIDs up to "
                        "5 ", after=mark)
        # it was brought back because it was missed
        shown = json.loads(server.doveadm(
            "-f", "json", "pop3", "retention", "explain", "-u", "alice",
            check=True).stdout)
        self.assertEqual(len({row["first_seen"][:10] for row in shown}), 1)
        server.deliver("alice", message(7))
        mark = server.log_mark()
        history.look(stays=ALL)
        # an mdbox brings back what was expunged
        server.remove_indexes("alice")
        history.look(stays=ALL, comes_back=back)
        self.assertNotIn("is an older copy", server.log(mark))

    @each(format=FORMATS, by=("login", "repair"))
    def test_import_waits_for_the_login(self, format, by):
        """What the import would give new mail may have been shown."""
        server = self.dovecot(format=format)
        history = History(self, server)
        server.deliver("alice", *messages(1, 3))
        copied = [uidl for _, uidl in history.look()]
        backup = server.path("backup")
        shutil.copytree(server.home("alice"), backup)
        server.deliver("alice", *messages(4, 5))
        os.chmod(server.path("dict"), 0o555)
        history.look(stays=ALL)
        os.chmod(server.path("dict"), 0o777)
        self.bring_back(server, backup, "of today")
        server.deliver("alice", message(6))
        state = server.dict_get("alice", "state")
        for command in ("import", "verify"):
            result = self.import_all(server, command)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("INBOX is an older copy", result.stderr)
        checked = server.doveadm("pop3", "state", "check", "-u", "alice")
        self.assertIn("INBOX is an older copy", checked.stdout)
        self.assertEqual(server.dict_get("alice", "state"), state)
        if by == "repair":
            repaired = server.doveadm("pop3", "uidl", "repair", "-u", "alice",
                                      check=True)
            self.assertIn("recovered", repaired.stdout)
        mark = server.log_mark()
        history.look(stays=copied, comes_back=copied)
        self.assertEqual("is an older copy" in server.log(mark),
                         by == "login")
        self.import_all(server, "import").check_returncode()
        history.look(stays=copied)

    def import_all(self, server, command):
        listing = "".join("%d imported-%d\n" % (n, n) for n in range(1, 5))
        with open(server.path("listing"), "w") as file:
            file.write(listing)
        return server.doveadm("pop3", "uidl", command, "-u", "alice",
                              server.path("listing"))

    def assert_run_waits(self, server):
        """The times that are known are not what was brought back's."""
        ran = server.doveadm("pop3", "retention", "run", "--force", "-u",
                             "alice", check=True)
        self.assertIn("another mailbox", ran.stdout)

    def bring_back(self, server, backup, witness):
        name = "dovecot-pop3-policy"
        (control,) = server.inbox_dirs("alice")
        with open(os.path.join(control, name), "rb") as file:
            today = file.read()
        shutil.rmtree(server.home("alice"))
        shutil.copytree(backup, server.home("alice"))
        if witness == "gone":
            unlink(os.path.join(control, name + "*"))
        elif witness == "of today":
            with open(os.path.join(control, name), "wb") as file:
                file.write(today)
        self.own(server, server.home("alice"))


class Order(RecoveryTest):
    @each(format=FORMATS)
    def test_of_a_migration_is_respected_and_kept(self, format):
        server = self.dovecot(plugin=False, config={
            line: SEPARATOR.get(line, "") + "pop3_enable_last = yes\n"
            for line in ("2.3", "2.4")})
        history = History(self, server)
        server.deliver("alice", *[message(number, size=200 * number)
                                  for number in range(1, 6)])
        self.set_order(server, {1: 3, 2: 1, 3: 5, 5: 2})
        self.dsync(server, "backup", format)
        self.swap_in(server, format)
        history.look()
        self.assertEqual([text[:200].split(b"message ")[1][:1]
                          for text, _ in history.last],
                         [b"2", b"5", b"1", b"3", b"4"])
        server.plugin = True
        server.restart()
        history.look(stays=ALL)
        self.assert_sizes(server, history)
        server.remove_indexes("alice")
        server.deliver("alice", message(6))
        history.look(stays=ALL)
        self.assert_sizes(server, history)
        self.assertEqual(history.last[-1][0], message(6))

    def set_order(self, server, orders):
        """As the host's own migration plugin does, by dsync."""
        path = os.path.join(server.mail_dir("alice"), "dovecot-uidlist")
        with open(path, encoding="latin-1") as file:
            lines = file.read().splitlines(keepends=True)
        for number, line in enumerate(lines):
            uid = line.split(" ")[0]
            if number > 0 and int(uid) in orders:
                lines[number] = line.replace(" ", " Pold-%s O%d " % (
                    uid, orders[int(uid)]), 1)
        with open(path, "w", encoding="latin-1") as file:
            file.writelines(lines)

    def assert_sizes(self, server, history):
        with server.pop3("alice") as client:
            listed = [line.split(" ")[1] for line in client.multi("LIST")[1]]
            # nobody has looked by IMAP: the last one that POP3 retrieved
            last = client.ok("LAST").split(" ")[1]
            client.quit()
        server.wait_no_process("pop3")
        self.assertEqual(listed, [str(len(text)) for text, _ in history.last])
        self.assertEqual(last, str(len(listed)))


class FormatOfTheHost(RecoveryTest):
    @each(format=FORMATS, uidls=("uid and validity", "uid"))
    def test_never_repeats_where_uids_do(self, format, uidls):
        """An older copy comes back, and UIDs of gone messages again."""
        config = {"uid and validity": BY_PARTS, "uid": BY_UID}[uidls]
        server = self.dovecot(format=format, config=config)
        history = History(self, server)
        server.deliver("alice", *messages(1, 3))
        history.look()
        backup = server.path("backup")
        shutil.copytree(server.home("alice"), backup)
        server.deliver("alice", *messages(4, 5))
        history.look(stays=ALL)
        shutil.rmtree(server.home("alice"))
        shutil.copytree(backup, server.home("alice"))
        self.own(server, server.home("alice"))
        server.deliver("alice", *messages(6, 7))
        history.look(stays=history.uidls()[:3])
        server.deliver("alice", message(8))
        history.look(stays=ALL)
