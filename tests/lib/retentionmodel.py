# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Another opinion on what goes when and why: the rules as the manual tells them,
# in the most obvious way, however slow. It shares nothing with the plugin.
"""    mails = [Mail(uid=1, size=300, first_seen=1000, retrieved=None,
                  deleted=None, protected=False), ...]
    rules = {"keep_retrieved": 14 * DAY, ...}       # what is 0 is off
    verdicts(mails, rules, now)
        -> {uid: Verdict(action, due, names)}

All times are seconds. A mail is hidden once it was deleted. names: of several
rules that allow it at the same moment any may be told."""

import collections
import dataclasses

DAY = 24 * 60 * 60
# so many may always go in a pass
ALWAYS = 50
Verdict = collections.namedtuple("Verdict", "action due names")


@dataclasses.dataclass
class Mail:
    uid: int
    size: int
    first_seen: int = None
    retrieved: int = None
    deleted: int = None
    protected: bool = False


def beyond(mail, mails, cap, measure):
    """When MAIL, and all that was retrieved after it, first were more than
    CAP; None: never. What its client deleted is none of it."""
    queue = sorted((other for other in mails if other.retrieved is not None
                    and other.deleted is None),
                   key=lambda other: (other.retrieved, other.uid))
    total = 0
    for other in queue[queue.index(mail):] if mail in queue else ():
        total += measure(other)
        if total > cap:
            return other.retrieved
    return None


def moments(mail, mails, rules):
    """(moment, name) of each rule that takes MAIL some day."""
    found = []
    if rules["keep_retrieved"] and mail.retrieved is not None:
        found.append((mail.retrieved + rules["keep_retrieved"],
                      "keep_retrieved"))
    if rules["keep_unretrieved"] and mail.retrieved is None:
        found.append((mail.first_seen + rules["keep_unretrieved"],
                      "keep_unretrieved"))
    if rules["keep_deleted"] and mail.deleted is not None:
        found.append((mail.deleted + rules["keep_deleted"], "keep_deleted"))
    for name, measure in (("max_retrieved_messages", lambda other: 1),
                          ("max_retrieved_size", lambda other: other.size)):
        when = beyond(mail, mails, rules[name], measure) \
            if rules[name] else None
        if when is not None:
            found.append((when, name))
    return found


def judge(mail, mails, rules, now):
    """(due, names) of one; due None: it stays."""
    if mail.protected:
        return None, {"protected"}
    found = moments(mail, mails, rules)
    if not found:
        return None, {"not_retrieved" if mail.retrieved is None else
                      "no_rule"}
    base = mail.first_seen if mail.retrieved is None else mail.retrieved
    youngest = base + rules["min_keep"]
    # once its grace is over that is why it goes, whatever else there is
    for when, name in found:
        if name == "keep_deleted" and max(when, youngest) <= now:
            return max(when, youngest), {name}
    first = min(when for when, _ in found)
    return max(first, youngest), {name for when, name in found
                                  if when == first}


def verdicts(mails, rules, now):
    judged = {mail.uid: judge(mail, mails, rules, now) for mail in mails}
    limited = sorted((due, uid) for uid, (due, names) in judged.items()
                     if due is not None and due <= now and
                     names != {"keep_deleted"})
    limit = max(ALWAYS, len(mails) * rules["removal_limit_percent"] // 100)
    waiting = {uid for _, uid in limited[limit:]}
    result = {}
    for uid, (due, names) in judged.items():
        if due is None:
            action = "stays"
        elif due > now:
            action = "goes later"
        else:
            action = "waits" if uid in waiting else "goes now"
        result[uid] = Verdict(action, due, names)
    return result
