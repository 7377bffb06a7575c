/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What the core wants to know of a mailbox. All of it looks at the whole
   INBOX, messages that the host hides as deleted included. */
#ifndef POP3_POLICY_MAILBOX_H
#define POP3_POLICY_MAILBOX_H

#include <glib.h>
#include "mail-storage.h"
#include "pop3-policy-store.h"
#include "pp-recovery.h"
#include "pp-retention.h"

/* From now on whoever asks mails of BOX for their UIDLs gets the host's own,
   also from the plugin that this process may have loaded. For doveadm and
   dsync: in a POP3 session it changes nothing. */
void pop3_policy_mailbox_set_host(struct mailbox *box);
bool pop3_policy_mailbox_is_host(struct mailbox *box);

/* GUID and UIDVALIDITY of an open, synced mailbox. 0, or -1 and *error_r. */
int pop3_policy_mailbox_id(struct mailbox *box, struct pp_mailbox_id *id_r,
			   const char **error_r);

/* The facts of login. STATE may be NULL: then only id, uidnext and messages.
   TRANS is a transaction of BOX in which the last shown message's identity may
   be asked for. 0, or -1 and *error_r. Where STATE knows of more, or of fewer,
   than BOX's view has, uidnext and at_or_below_mark are the index's by now:
   another session may have stored what this one cannot see. messages are the
   view's. */
int pop3_policy_mailbox_now(struct mailbox *box,
			    struct mailbox_transaction_context *trans,
			    const struct pp_state *state,
			    struct pp_mailbox_now *now_r,
			    const char **error_r);

/* All UIDs, sorted, as an array of guint32. g_array_unref(). */
GArray *pop3_policy_mailbox_uids(struct mailbox *box);
/* The next UID of what is there now, not when BOX was opened. */
guint32 pop3_policy_mailbox_uidnext_now(struct mailbox *box);
/* How many messages have a UID of at most UID. */
guint32 pop3_policy_mailbox_count_upto(struct mailbox *box, guint32 uid);

/* MAIL's FIELD, or "" where there is none or it cannot be had. */
const char *pop3_policy_mail_special(struct mail *mail,
				     enum mail_fetch_field field);
/* Identity of MAIL without its header hash. 0, or -1: it cannot be asked now
   (then identity_r has the UID only). */
int pop3_policy_mail_identity(struct mail *mail,
			      struct pp_identity *identity_r);

/* How identities are read. */
enum pop3_policy_reading {
	/* and not again: the host's cache, where a dbox has no GUIDs of mail
	   that nobody asked for, gets the last one's only. It would grow by a
	   record for each message, and the host rewrites it where there are
	   three. */
	POP3_POLICY_READ_ONCE,
	POP3_POLICY_READ_IDS,
	/* with header hashes */
	POP3_POLICY_READ_HEADERS
};

/* Appends the identities of all messages with UID >= FIRST to ENTRIES (struct
   pp_identity). Returns 1 if all, 0 if DEADLINE (may be NULL) passed before, -1
   on error. With POP3_POLICY_READ_HEADERS the deadline only keeps header hashes
   from being read. */
int pop3_policy_mailbox_identities(struct mailbox *box,
				   struct mailbox_transaction_context *trans,
				   guint32 first,
				   enum pop3_policy_reading reading,
				   const struct pop3_policy_deadline *deadline,
				   GArray *entries);

/* All messages as retention judges them (struct pp_message), sorted by UID.
   PROTECT: flags and keywords; DELETED_FLAG: pop3_deleted_flag or NULL. Without
   SIZES these are 0. g_array_unref(). */
GArray *pop3_policy_mailbox_messages(struct mailbox *box,
				     struct mailbox_transaction_context *trans,
				     const char *const *protect,
				     const char *deleted_flag, bool sizes);
/* MAIL's size as POP3 counts it, 0 if it cannot be had. */
uint64_t pop3_policy_mailbox_size(struct mail *mail);

#endif
