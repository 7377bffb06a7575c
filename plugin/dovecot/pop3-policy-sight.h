/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   First sight: what the host would show for a message. For sessions and
   doveadm alike. */
#ifndef POP3_POLICY_SIGHT_H
#define POP3_POLICY_SIGHT_H

#include <glib.h>
#include "pop3-policy-settings.h"

struct mail;
struct mailbox;
struct mailbox_transaction_context;
struct pp_state;

struct pop3_policy_sight {
	/* INBOX, open and synchronised */
	struct mailbox *box;
	struct mailbox_transaction_context *trans;
	const struct pop3_policy_settings *set;
	struct event *event;
	/* pop3_reuse_xuidl */
	bool reuse_xuidl;
	/* up to this UID messages were shown by the open rule in an outage */
	uint32_t shown_unstored;
	/* what the storage itself has as a mail's UIDL, "" where nothing. As
	   mail_get_special(). */
	int (*host_uidl)(struct mail *mail, const char **value_r);
};

/* Decides the UIDL of each message above STATE's mark that the open rule does
   not yield by itself: the storage's own, X-UIDL for a maildrop that was never
   seen (FIRST), the host's format, or the GUID's under policy `guid`. Adds it
   to STATE's map. Returns 1 if there was one, 0 if not, -1 and *error_r. */
int pop3_policy_sight(const struct pop3_policy_sight *params,
		      struct pp_state *state, bool first,
		      const char **error_r);

/* Would it return 1? As long as no message needs a text, as most do where the
   format is a rule's, this is all that a login with new mail costs. */
int pop3_policy_sight_needed(const struct pop3_policy_sight *params,
			     struct pp_state *state, bool first,
			     const char **error_r);

/* TRUE if the host's pop3_uidl_format yields what a rule does (UID and
   UIDVALIDITY as 16 hex digits). */
bool pop3_policy_uidl_format_is_rule(struct mailbox *box);

#endif
