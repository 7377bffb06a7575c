# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Promises 1 to 3 on a real server, whatever happens in whatever order: each
# step of a random history is followed by a session that checks them. They are
# the same ones each time, unless SEED in the environment names others: "random"
# are some that nobody has seen, and told. STEPS makes them longer.

import os
import random
import shutil
import time

from history import ALL, History
from pop3 import Refused
from testcase import FORMATS, SessionTest, each, message
from uidlformats import BY_FILE, BY_GUID, BY_PARTS

SEEDS = os.environ.get("SEED", "1 2").split()
STEPS = int(os.environ.get("STEPS", "30"))
MESSAGES_MAX = 40
FORMATS_OF_UIDLS = ("", BY_GUID, BY_PARTS, BY_FILE)
WITNESS = "dovecot-pop3-policy"
# When the server's clock begins, and a UIDVALIDITY that is this time.
START = "2031-03-10T12:00:00"
OF_START = 1930910400


class RandomHistory(SessionTest):
    # What each step may be, as often as it stands here.
    STEPS_TO_TAKE = (["deliver"] * 4 + ["copy"] * 2 + ["expunge"] * 2 +
                     ["dele"] * 2 + ["lose_indexes"] * 3 + ["bump"] * 2 +
                     ["back_up"] * 2 + ["restore"] * 2 + ["resync"] +
                     ["edit_format"] + ["kill"] + ["copy_by_append"] +
                     ["lose_uidlist"])

    @each(format=FORMATS, seed=SEEDS)
    def test_promises_hold_after_every_step(self, format, seed):
        if seed == "random":
            seed = "%08x" % random.getrandbits(32)
        self.random = random.Random(seed + format)
        self.steps = []
        # What cannot be recognised is a reason to refuse, which this is not
        # about.
        self.server = self.dovecot(format=format, faketime=True, settings={
            "pop3_policy_uidl_guard": "log"})
        self.ahead = self.server.set_moment(START)
        self.history = History(self, self.server)
        self.number = 0
        self.saved = None
        # all GUIDs changed since the copy was saved
        self.saved_is_strange = False
        # what was gone and came back
        self.came_back = set()
        # what has, or had, a copy with the same GUID
        self.copied = set()
        self.deliver()
        try:
            self.history.look()
            for _ in range(STEPS):
                step = self.random.choice(self.STEPS_TO_TAKE)
                self.steps.append(step)
                getattr(self, step)()
        except (AssertionError, Refused) as error:
            raise AssertionError("SEED=%s, after %s: %s" % (
                seed, " ".join(self.steps), error)) from error
        print("# %s: SEED=%s" % (format, seed), flush=True)

    # Steps. Each ends with a look.

    def look(self, stays=ALL, comes_back=()):
        gone = set(self.history.gone)
        self.history.look(stays, comes_back)
        self.came_back |= gone & set(self.history.uidls())

    def some(self, at_most):
        """Numbers of some messages."""
        count = len(self.history.last)
        return sorted(self.random.sample(
            range(1, count + 1), min(count, self.random.randint(1, at_most))))

    def new_mail(self):
        count = self.random.randint(1, 3)
        if len(self.history.last) + count > MESSAGES_MAX:
            count = 0
        texts = []
        for _ in range(count):
            # now and then byte for byte what was there before
            if self.number == 0 or self.random.random() < 0.8:
                self.number += 1
                texts.append(message(self.number))
            else:
                texts.append(message(self.random.randint(1, self.number)))
        return texts

    def deliver(self):
        self.server.deliver("alice", *self.new_mail())
        if self.steps:
            self.look()

    def copy(self):
        if not self.history.last:
            return
        client = self.server.imap("alice")
        client.select()
        numbers = ",".join(map(str, self.some(2)))
        self.copied.update(part[1] for part in
                           client.fetch(numbers, "RFC822")[1]
                           if isinstance(part, tuple))
        client.copy(numbers, "INBOX")
        client.logout()
        # where the host's format is by GUID: of a message that is gone by now
        # this is the same one, come back
        self.look(comes_back=[uidl for uidl in self.history.gone
                              if self.history.owners[uidl] in self.copied])

    def without(self, numbers):
        return [uidl for number, uidl in
                enumerate(self.history.uidls(), 1) if number not in numbers]

    def expunge(self):
        if not self.history.last:
            return
        client = self.server.imap("alice")
        client.select()
        # not always the listing's numbers
        numbers = ",".join(map(str, self.some(4)))
        gone = [part[1] for part in client.fetch(numbers, "RFC822")[1]
                if isinstance(part, tuple)]
        client.store(numbers, "+FLAGS.SILENT", "\\Deleted")
        client.expunge()
        client.logout()
        before = self.history.last
        self.look(uidl for text, uidl in before if text not in gone)
        self.assertEqual(len(self.history.last), len(before) - len(gone))

    def dele(self):
        if not self.history.last:
            return
        numbers = self.some(4)
        with self.server.pop3("alice") as client:
            for number in numbers:
                client.ok("DELE %d" % number)
            client.quit()
        self.server.wait_no_process("pop3")
        stays = self.without(numbers)
        self.look(stays)
        self.assertEqual(self.history.uidls(), stays)

    def remove_indexes(self):
        """In another second than they were made, or, may be, in the same
        one: then the new UIDVALIDITY is the old one."""
        self.ahead += self.random.choice((0, 2))
        self.server.set_time("%+d" % self.ahead)
        self.server.remove_indexes("alice")

    def lose_indexes(self):
        self.remove_indexes()
        self.after_index_loss()

    def after_index_loss(self):
        if self.server.format != "mdbox":
            self.look()
            return
        # Of copies it keeps one, and it brings back what was expunged.
        texts = {text for text, _ in self.history.last}
        self.look([uidl for text, uidl in self.history.last
                   if text not in self.copied],
                  comes_back=self.history.gone)
        self.assertEqual(texts - {text for text, _ in self.history.last},
                         set())

    def bump(self):
        validity = self.random.choice((
            1234567890, 1234567891, OF_START,
            self.random.randint(1, 2 ** 32 - 10 ** 6)))
        self.server.doveadm("mailbox", "update", "--uid-validity",
                            str(validity), "-u", "alice", "INBOX", check=True)
        self.look()

    def resync(self):
        self.server.doveadm("force-resync", "-u", "alice", "INBOX",
                            check=True)
        self.look()

    def lose_uidlist(self):
        """The index stays: UIDs go on, UIDVALIDITY may be the same."""
        if self.server.format != "maildir":
            self.lose_indexes()
            return
        os.unlink(self.server.mail_dir("alice") + "/dovecot-uidlist")
        if self.random.random() < 0.5:
            self.server.deliver("alice", *self.new_mail())
        self.look()

    def copy_by_append(self):
        """All of it, in the order of UIDs, into a mailbox that is new."""
        if not self.history.last:
            return
        client = self.server.imap("alice")
        client.select()
        texts = [part[1] for part in client.fetch("1:*", "RFC822")[1]
                 if isinstance(part, tuple)]
        client.logout()
        shutil.rmtree(self.server.mail_dir("alice"))
        self.server.deliver("alice", *texts)
        self.saved_is_strange = True
        self.look_by_headers()

    def look_by_headers(self, stays=ALL, comes_back=()):
        """Of twins some of which are gone it is not known by headers which
        ones are left; and mail that had been gone was known by id alone."""
        stays = self.history.uidls() if stays is ALL else stays
        texts = list(self.history.owners.values())
        twins = {uidl for uidl, text in self.history.owners.items()
                 if texts.count(text) > 1}
        self.look(set(stays) - twins - self.came_back,
                  set(comes_back) | twins)

    def back_up(self):
        self.saved = list(self.history.last)
        self.saved_is_strange = False
        shutil.rmtree(self.server.path("saved"), ignore_errors=True)
        shutil.copytree(self.server.home("alice"), self.server.path("saved"))

    def restore(self):
        if self.saved is None:
            return
        home = self.server.home("alice")
        (control,) = self.server.inbox_dirs("alice")
        witness = os.path.join(control, WITNESS)
        kept = self.server.path("witness")
        shutil.copyfile(witness, kept)
        shutil.rmtree(home)
        shutil.copytree(self.server.path("saved"), home)
        how = self.random.choice(("of the copy", "of today", "gone"))
        if how == "of today":
            shutil.copyfile(kept, witness)
        elif how == "gone":
            os.unlink(witness)
        for top, _, names in os.walk(home):
            for name in [""] + names:
                os.chown(os.path.join(top, name), self.server.uid,
                         self.server.uid)
        new = self.new_mail() if self.random.random() < 0.7 else []
        self.server.deliver("alice", *new)
        # new mail that is byte for byte what is gone may be that, come back
        texts = {text for text, _ in self.saved} | set(new)
        look = self.look_by_headers if self.saved_is_strange else self.look
        look({uidl for _, uidl in self.saved} & set(self.history.uidls()),
             # also one that it got when it had been brought back before
             comes_back=[uidl for uidl in self.history.gone
                         if self.history.owners[uidl] in texts])

    def edit_format(self):
        self.server.config = self.random.choice(FORMATS_OF_UIDLS)
        self.server.restart()
        self.look()

    def kill(self):
        """A session that ends anywhere, with something to decide before."""
        self.server.deliver("alice", *self.new_mail())
        lost = self.random.random() < 0.5
        if lost:
            self.remove_indexes()
        client = self.server.connect()
        client.cmd("USER alice")
        client.send(b"PASS secret\r\nUIDL\r\nQUIT\r\n")
        time.sleep(self.random.random() * 0.03)
        self.server.kill("pop3")
        try:
            shown = client.read_all()
        except ConnectionError:
            shown = b""
        client.close()
        self.server.wait_no_process("pop3")
        if lost:
            self.after_index_loss()
        else:
            self.look()
        for line in shown.split(b"\r\n")[:-1]:
            if line[:1].isdigit():
                self.assertIn(line.split(b" ")[1].decode(),
                              self.history.uidls())
