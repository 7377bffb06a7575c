/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What `doveadm pop3 uidl import`, `verify`, `export` and `repair` share. */
#ifndef DOVEADM_POP3_UIDL_H
#define DOVEADM_POP3_UIDL_H

#include "doveadm-pop3.h"
#include "pp-adopt.h"

/*
 * Maildrops (doveadm-pop3-uidl.c)
 */

/* A maildrop whose UIDLs change, or are looked at: its INBOX answers with the
   host's own. */
struct doveadm_pop3_drop {
	struct pop3_policy_maildrop *md;
	struct mailbox *box;
	struct mailbox_transaction_context *trans;
	struct pp_mailbox_now now;
	struct pp_witness witness;
	/* the state, NULL where there is none */
	struct pp_state *state;
};
/* Opens it. ALONE: with the exclusive look lock, which is refused while a
   session looks; else nothing is created beside INBOX. Returns 1, 0 if there is
   nothing to do for this one of many users (told), -1 after
   doveadm_pop3_fail(). Close it only after 1. */
int doveadm_pop3_drop_open(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user, bool alone,
			   struct doveadm_pop3_drop *drop_r);
void doveadm_pop3_drop_close(struct doveadm_pop3_drop *drop);
/* Looks again at mailbox and witness, for STATE (may be NULL). What a login
   would do is *action_r. 0, or -1 and *error_r. */
int doveadm_pop3_drop_decide(struct doveadm_pop3_drop *drop,
			     const struct pp_state *state,
			     enum pp_login_action *action_r,
			     enum pp_refusal *why_r, const char **error_r);
/* The same words for all commands; "" where a login would go on. */
const char *doveadm_pop3_drop_trouble(enum pp_login_action action,
				      enum pp_refusal why);
/* Decides what a first sight would, of messages above STATE's mark. As
   pop3_policy_sight(). */
int doveadm_pop3_drop_sight(struct doveadm_pop3_drop *drop,
			    struct pp_state *state, bool first, bool xuidl,
			    const char **error_r);
/* The highest UID that was shown, stored or not. */
guint32 doveadm_pop3_drop_shown_upto(const struct doveadm_pop3_drop *drop,
				     const struct pp_state *state);
/* All that is there counts as shown by now: mark, times, ledger. IDENTITIES:
   of all messages. 0, or -1 and *error_r. */
int doveadm_pop3_drop_shown(struct doveadm_pop3_drop *drop,
			    const struct pop3_policy_deadline *deadline,
			    struct pop3_policy_change *change,
			    const GArray *identities, const char **error_r);

/*
 * UIDLs of others (doveadm-pop3-uidl-records.c)
 */

struct doveadm_pop3_source {
	/* one of both: a file or maildir (FD: open, or -1 for one in the
	   user's home), or a mailbox of the user's */
	const char *path, *from;
	int fd;
};
/* Reads the parameters "path" and "from"; called in a command's init, as
   doveadm itself. Exits where they make no sense. */
void doveadm_pop3_source_init(struct doveadm_mail_cmd_context *ctx,
			      struct doveadm_pop3_source *source_r);
void doveadm_pop3_source_deinit(struct doveadm_pop3_source *source);

struct doveadm_pop3_records {
	struct pp_import *import;
	GArray *records;	/* struct pp_import_record, IMPORT's */
	/* where they are messages of a mailbox whose headers can be read */
	struct mailbox *box;
	struct mailbox_transaction_context *trans;
	GArray *seqs;		/* guint32, for each record */
};
/* Reads all. Returns 0, or -1 after doveadm_pop3_fail(). */
int doveadm_pop3_records_read(struct doveadm_mail_cmd_context *ctx,
			      struct mail_user *user,
			      const struct doveadm_pop3_source *source,
			      struct doveadm_pop3_records *records_r);
void doveadm_pop3_records_free(struct doveadm_pop3_records *records);

/* MAIL's FIELD as a record has it: NULL where there is none, g_free(). */
char *doveadm_pop3_special(struct mail *mail, enum mail_fetch_field field);

/*
 * Matching (doveadm-pop3-uidl-match.c)
 */

struct doveadm_pop3_match {
	struct pp_adopt adopt;
	GArray *messages;	/* struct pp_adopt_message */
	GArray *identities;	/* struct pp_identity, of all messages */
};
/* Which message of DROP is which record. Reads sizes and headers only where ids
   do not tell. 0, or -1 and *error_r. */
int doveadm_pop3_match(struct doveadm_pop3_drop *drop,
		       struct doveadm_pop3_records *records, bool by_order,
		       struct doveadm_pop3_match *match_r,
		       const char **error_r);
void doveadm_pop3_match_free(struct doveadm_pop3_match *match);

#endif
