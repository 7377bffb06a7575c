# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Random maildrops under random rules: what explain says of each message, and
# what a run removes, is what another implementation of the rules says
# (tests/lib/retentionmodel.py). SEED in the environment is another seed.

import datetime
import json
import os
import random
import time

from retentionmodel import DAY, Mail, verdicts
from test_grace import HIDE
from test_retention import RetentionTest
from testcase import message

SEED = "3"
USERS = ["u%d" % number for number in range(8)]
# when something happens; in between, when explain is asked, and when runs are
ACT_DAYS = (0, 3, 4, 9, 15)
ASK_DAYS = (0.5, 4.5, 9.5, 12.5, 18.5)
RUN_DAYS = (19.5, 20.5, 21.5, 22.5, 23.5, 24.5, 27.5, 40.5)
# one session's: more would be a mass DELE
DELE_MAX = 15
DEFAULTS = {"keep_retrieved": 0, "keep_unretrieved": 0, "keep_deleted": 0,
            "max_retrieved_messages": 0, "max_retrieved_size": 0,
            "min_keep": DAY, "removal_limit_percent": 20}
DAYS = ("keep_retrieved", "keep_unretrieved", "keep_deleted", "min_keep")


def random_rules(rng):
    choices = {
        "keep_retrieved": [0, *range(2, 16)],
        "keep_unretrieved": [0, *range(2, 25)],
        "keep_deleted": [0, *range(1, 12)],
        "max_retrieved_messages": [0, *range(3, 40)],
        "max_retrieved_size": [0, *range(2000, 60000, 1234)],
        "min_keep": [0, 1, 1, 4, 11],
        "removal_limit_percent": [1, 20, 80, 100],
    }
    return {name: rng.choice(values) * (DAY if name in DAYS else 1)
            for name, values in choices.items()}


def fields(rules):
    """As userdb fields, which have no spaces."""
    return {"pop3_policy_" + name: "%dd" % (value // DAY) if name in DAYS
            else str(value) for name, value in rules.items()}


def seconds(text):
    """None for what is not known, or never."""
    if text in ("-", "never"):
        return None
    return int(datetime.datetime.fromisoformat(
        text.replace("Z", "+00:00")).timestamp())


class Maildrop:
    """What a user's client did; times are (earliest, latest)."""

    def __init__(self, user, rng):
        self.user = user
        self.rng = rng
        self.rules = random_rules(rng)
        self.flag = rng.choice(("\\Flagged", "Keep"))
        # where a flag protects somebody looks each day
        self.flagged = rng.choice((0, 0.04))
        self.mails = []
        self.texts = []

    def fields(self):
        protect = {"pop3_policy_protect": self.flag} \
            if self.flag == "Keep" else {}
        return {**fields(self.rules), **protect}

    def receive(self, server):
        first = len(self.texts) + 1
        self.texts += [message(number, size=self.rng.randint(100, 4000))
                       for number in range(first, first +
                                           self.rng.randint(0, 30))]
        server.deliver(self.user, *self.texts[first - 1:])
        self.mails += [Mail(uid, len(text)) for uid, text
                       in enumerate(self.texts[first - 1:], first)]

    def listed(self):
        return [mail for mail in self.mails if mail.deleted is None]

    def some(self, part):
        return [number for number in range(1, len(self.listed()) + 1)
                if self.rng.random() < part]


class Model(RetentionTest):
    def act(self, server, drop, day):
        """Mail comes, and a session retrieves and deletes some."""
        drop.receive(server)
        retr = drop.some(drop.rng.choice((0, 0.3, 0.9)))
        dele = drop.some(0.1)[:DELE_MAX]
        before = time.time()
        self.session(server, drop.user, retr=retr, dele=dele)
        span = (int(before + day * DAY), int(time.time() + day * DAY) + 1)
        for number, mail in enumerate(drop.listed(), 1):
            mail.first_seen = mail.first_seen or span
            if number in retr:
                mail.retrieved = mail.retrieved or span
            if number in dele:
                mail.deleted = span
        for mail in drop.mails:
            if drop.rng.random() < drop.flagged:
                self.flag(server, drop.user, mail.uid, drop.flag)
                mail.protected = True

    def go(self, server, day):
        self.move(server, "+%dh" % (day * 24))

    def explained(self, server):
        """Each user's rows, by UID."""
        result = server.doveadm("-f", "json", "pop3", "retention", "explain",
                                "-A", check=True)
        rows = {}
        for row in json.loads(result.stdout):
            rows.setdefault(row["username"], {})[int(row["uid"])] = row
        return rows

    def assert_between(self, row, name, span):
        value = seconds(row[name])
        if span is None:
            self.assertIsNone(value, row)
        else:
            self.assertTrue(span[0] <= value <= span[1], (row, name, span))
        return value

    def predicted(self, drop, rows, now):
        """By the model; the facts are those that its client made, of which
        the rows have the second."""
        exact = []
        self.assertEqual(sorted(rows), [mail.uid for mail in drop.mails])
        for mail in drop.mails:
            row = rows[mail.uid]
            self.assertEqual(int(row["size"]), mail.size)
            exact.append(Mail(
                mail.uid, mail.size, protected=mail.protected,
                **{name: self.assert_between(row, name, getattr(mail, name))
                   for name in ("first_seen", "retrieved", "deleted")}))
        return verdicts(exact, drop.rules, now)

    def compare(self, server, drops, day):
        """What explain says; each user's predictions."""
        now = int(time.time() + day * DAY)
        rows = self.explained(server)
        predictions = {}
        for drop in drops:
            found = rows.get(drop.user, {})
            expected = self.predicted(drop, found, now)
            for uid, verdict in expected.items():
                row = found[uid]
                self.assertEqual(
                    (row["action"], seconds(row["due"])), verdict[:2],
                    (day, drop.user, drop.rules, row))
                self.assertIn(row["rule"], verdict.names,
                              (day, drop.user, drop.rules, row))
            predictions[drop.user] = expected
            self.actions |= {said.action for said in expected.values()}
        return predictions

    def run_and_compare(self, server, drops, day):
        predictions = self.compare(server, drops, day)
        text = self.run_now(server, "-A").stderr
        for drop in drops:
            expected = {uid: verdict for uid, verdict
                        in predictions[drop.user].items()
                        if verdict.action == "goes now"}
            gone = {int(line["uid"]): line["rule"]
                    for line in self.removals(text, drop.user)}
            self.assertEqual(sorted(gone), sorted(expected),
                             (day, drop.user, drop.rules))
            for uid, rule in gone.items():
                self.assertIn(rule, expected[uid].names)
            self.rules |= set(gone.values())
            drop.mails = [mail for mail in drop.mails if mail.uid not in gone]
            self.assertEqual(self.there(server, drop.user),
                             [mail.uid for mail in drop.mails])

    def test_explain_and_run_do_what_the_model_says(self):
        seed = os.environ.get("SEED", SEED)
        print("# seed: " + seed)
        rng = random.Random(seed)
        drops = [Maildrop(user, rng) for user in USERS]
        server = self.policy(
            format="sdbox", config=HIDE,
            settings={"pop3_policy_removal": "dry-run"},
            users={drop.user: drop.fields() for drop in drops})
        self.actions, self.rules = set(), set()
        for day in sorted(ACT_DAYS + ASK_DAYS):
            self.go(server, day)
            for drop in drops if day in ACT_DAYS else ():
                self.act(server, drop, day)
            if day in ASK_DAYS:
                self.compare(server, drops, day)
        server.settings["pop3_policy_removal"] = "yes"
        for day in RUN_DAYS:
            self.go(server, day)
            self.run_and_compare(server, drops, day)
        # by chance there would be less of it
        if seed == SEED:
            self.assertEqual(len(self.actions), 4, self.actions)
            self.assertEqual(len(self.rules), 5, self.rules)
