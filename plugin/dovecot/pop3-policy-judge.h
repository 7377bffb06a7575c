/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What retention would do with the messages of an INBOX: for the removal that
   does it, and for doveadm, which explains it. */
#ifndef POP3_POLICY_JUDGE_H
#define POP3_POLICY_JUDGE_H

#include <glib.h>
#include "pop3-policy-maildrop.h"

struct mail;
struct mailbox;
struct mailbox_transaction_context;

/* Opens and synchronises USER's INBOX for reading and expunging. Returns 1 and
   *box_r (mailbox_free()), 0 if there is none, -1 and *error_r. */
int pop3_policy_judge_open(struct mail_user *user, struct mailbox **box_r,
			   const char **error_r);

/* Judges all messages of BOX as a pass at NOW would; without SIZES those are
   only there if a rule asks for them. Returns 1 and *verdicts_r (struct
   pp_verdict by UID; g_array_unref()), 0 if BOX is not the mailbox that STATE
   knows, -1 and *error_r, also where the dict is an older copy. */
int pop3_policy_judge(struct pop3_policy_maildrop *md, struct mailbox *box,
		      struct mailbox_transaction_context *trans,
		      const struct pp_state *state, uint64_t now, bool sizes,
		      GArray **verdicts_r, bool *clock_back_r,
		      const char **error_r);

/* MAIL's UIDL by STATE, or with `host` by the host; "-" where that cannot be
   had. From the data stack. */
const char *pop3_policy_judge_uidl(const struct pop3_policy_maildrop *md,
				   const struct pp_state *state,
				   struct mail *mail);

#endif
