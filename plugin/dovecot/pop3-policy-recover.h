/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Recovery on the Dovecot side: what the core's needs of the dict and of the
   mailbox, and the ledger of its result. The login and doveadm do it by the
   same code. */
#ifndef POP3_POLICY_RECOVER_H
#define POP3_POLICY_RECOVER_H

#include <glib.h>
#include "pop3-policy-book.h"
#include "pop3-policy-maildrop.h"

struct event;
struct mailbox;
struct mailbox_transaction_context;

struct pop3_policy_recover {
	struct pop3_policy_maildrop *md;
	const struct pop3_policy_deadline *deadline;
	/* INBOX, open and synchronised */
	struct mailbox *box;
	struct mailbox_transaction_context *trans;
	uint64_t now;
	/* UIDLs are the plugin's */
	bool pinned;

	/* of all messages, for the ledger; NULL: none were collected */
	GArray *identities;
	/* parts of the ledger that could not be used */
	struct pop3_policy_book_left left;
};

/* Reads OLD's ledger and recognises messages. MAILBOX: what
   pop3_policy_mailbox_now() said. Storage ids and GUIDs are at hand; only where
   they do not tell what became of shown messages all headers are read, for half
   of what is left of the deadline: what was not read is not known. Returns
   0, recovery_r->state is then the caller's; or -1 and *error_r. */
int pop3_policy_recover_match(struct pop3_policy_recover *recover,
			      const struct pp_state *old,
			      const struct pp_mailbox_now *mailbox,
			      struct pp_recovery *recovery_r,
			      const char **error_r);
/* One line of what became of OLD. */
void pop3_policy_recover_log(const struct pop3_policy_recover *recover,
			     struct event *event, const struct pp_state *old,
			     const struct pp_mailbox_now *mailbox,
			     const struct pp_recovery *recovery);
/* Writes the ledger of CHANGE's state, which has just been recovered, where it
   is small and goes to the same dict: a process that is killed in between would
   leave a state without one. Then the identities are forgotten. 0, or -1 and
   *error_r. */
int pop3_policy_recover_book_with(struct pop3_policy_recover *recover,
				  struct pop3_policy_change *change,
				  const char **error_r);
/* Writes the ledger of CHANGE's state anew, of the identities that were
   collected. Called in a change of its own, once the state is stored. Returns
   1 to commit, 0 where nothing was collected or the state is not of
   GENERATION any more, -1 and *error_r. */
int pop3_policy_recover_book(struct pop3_policy_recover *recover,
			     struct pop3_policy_change *change,
			     guint32 generation, const char **error_r);
/* Forgets the identities. */
void pop3_policy_recover_clear(struct pop3_policy_recover *recover);

#endif
