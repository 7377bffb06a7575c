/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Carries out what the core's retention decided (design, section 11): the
   exclusive look lock without waiting, then synchronise, then decide and log,
   then expunge, in batches; then a commit. */
#ifndef POP3_POLICY_REMOVAL_H
#define POP3_POLICY_REMOVAL_H

#include "pop3-policy-maildrop.h"

struct pop3_policy_removal_params {
	/* log and count only, whatever the setting says; notes in the state
	   when to look next, so that the same lines come once a day at most */
	bool dry_run;
	/* with dry_run: leave the state alone too */
	bool read_only;
	/* look although the state says that nothing is due */
	bool force;
	/* only find out whether there is anything to do: then the result is not
	   `skipped`. Neither files nor INBOX are touched. */
	bool look_only;
	/* for log lines and events: "session" or "run", and its id */
	const char *by, *id;
	uint64_t now;
	/* stop after this; 0 = no bound */
	unsigned int budget_msecs;
};

struct pop3_policy_removal_result {
	/* not due, no rules, `removal` is `no`, or nothing was ever seen:
	   nothing was looked at */
	bool skipped;
	/* INBOX was opened */
	bool opened;
	/* another session looks: left to that one */
	bool busy;
	/* INBOX is not the mailbox that the state knows: left to the next
	   login, which recovers it */
	bool changed;
	/* the clock went back: nothing goes */
	bool clock_back;
	/* what went, or with dry_run would have gone */
	bool dry_run;
	uint64_t messages, bytes;
	/* a signal asked this process to end: what is left is for the next
	   pass */
	bool stopped;
	/* by rule */
	uint64_t by_rule[PP_RULE_STAYS_NO_RULE + 1];
	/* due, but left for a later pass, a day later: over the limit of
	   removal_limit_percent, or stopped before it was their turn */
	uint64_t waiting;
};

/* One pass over the user's INBOX. Namespaces that are not there are made once
   there is something to do. The write lock must not be held; a shared look lock
   is given up. Returns 0, or -1 and *error_r; the result then says what was
   done before. */
int pop3_policy_removal_run(struct pop3_policy_maildrop *md,
			    const struct pop3_policy_removal_params *params,
			    struct pop3_policy_removal_result *result_r,
			    const char **error_r);

#endif
