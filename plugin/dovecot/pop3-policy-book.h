/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Keeping the ledger in the dict: appending to its last chunk, reading all of
   it. For sessions and doveadm alike. */
#ifndef POP3_POLICY_BOOK_H
#define POP3_POLICY_BOOK_H

#include <glib.h>
#include "pop3-policy-maildrop.h"

struct mailbox;

/* A ledger of up to so many messages, or UIDs, is stored with what a login
   stores anyway: more, or another dict, is not worth a login. */
#define POP3_POLICY_BOOK_WITH_LOGIN_MAX 5000

/* Adds ENTRIES (sorted, all above state->ledger_upto) to the stored ledger of
   CHANGE's state and notes that it goes to UPTO. BOX tells which old entries
   are gone. 0, or -1 and *error_r. */
int pop3_policy_book_append(struct pop3_policy_maildrop *md,
			    const struct pop3_policy_deadline *deadline,
			    struct pop3_policy_change *change,
			    struct mailbox *box, const GArray *entries,
			    guint32 upto, const char **error_r);
/* Notes the header hashes of HEADERS (struct pp_identity by UID, of which only
   uid and header count) in the last chunks of the stored ledger, where it does
   not have them yet. 0, or -1 and *error_r. */
int pop3_policy_book_note_headers(struct pop3_policy_maildrop *md,
				  const struct pop3_policy_deadline *deadline,
				  struct pop3_policy_change *change,
				  const GArray *headers, const char **error_r);
/* The same for any number of messages: the whole ledger is written anew. */
int pop3_policy_book_fill_headers(struct pop3_policy_maildrop *md,
				  const struct pop3_policy_deadline *deadline,
				  struct pop3_policy_change *change,
				  const GArray *headers, const char **error_r);
/* Chunks that are missing, damaged or of another mailbox. */
struct pop3_policy_book_left {
	unsigned int count;
	/* one of them holds what cannot be read */
	bool damaged;
	/* the number of the chunk behind the last of them */
	uint32_t behind;
};
/* Reads the whole ledger of STATE but for what *left_r says. NULL and *error_r
   if the dict failed; g_array_unref(). */
GArray *pop3_policy_book_read(struct pop3_policy_maildrop *md,
			      const struct pop3_policy_deadline *deadline,
			      const struct pp_state *state,
			      struct pop3_policy_book_left *left_r,
			      const char **error_r);

#endif
