/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   A removal under way, shared by its files: the pass, what goes in a batch, and
   what of it is stored. */
#ifndef POP3_POLICY_REMOVAL_PRIVATE_H
#define POP3_POLICY_REMOVAL_PRIVATE_H

#include "pop3-policy-removal.h"
#include "pop3-policy-trace.h"

struct removal_gone {
	struct pp_verdict verdict;
	char *uidl;
};

struct removal {
	struct pop3_policy_maildrop *md;
	const struct pop3_policy_removal_params *params;
	struct pop3_policy_removal_result *result;
	struct event *event;
	struct pop3_policy_trace *trace;
	struct mailbox *box;
	struct pop3_policy_deadline end;

	/* how many messages this pass may still remove; set by the first
	   batch, so that the limit holds for all batches together */
	uint64_t allowed;
	unsigned int batches;
	/* of the pass that goes on it was told that more is due */
	bool was_told;
	/* how many messages the next one may remove */
	uint64_t batch_max;
	/* signal_term_counter at the beginning, and whether it went up */
	unsigned int signals;
	bool killed;

	/* of the batch under way */
	struct pp_state *state;
	/* milliseconds of PP_REMOVAL_BATCH_QUICK_MSECS that were left once it
	   was known what goes */
	struct pop3_policy_deadline quick;
	unsigned int left_for_removal;
	struct mailbox_transaction_context *trans;
	GArray *verdicts;
	GArray *gone;		/* struct removal_gone */
	struct pp_counters counters;
	bool usage_unreadable;
};

/* Requests the expunge of what goes now, up to a batch, and notes it in
   r->gone. What is left of it waits. Nothing goes where the result is of a dry
   run. */
void pop3_policy_removal_pick(struct removal *r);

/* Stores what the batch removed, and when to look next. 0, or -1 and
   *error_r. */
int pop3_policy_removal_commit(struct removal *r, const char **error_r);

#endif
