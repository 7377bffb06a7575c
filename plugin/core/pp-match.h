/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Which message of a mailbox is which one that was shown: the matching under
   recovery. */
#ifndef PP_MATCH_H
#define PP_MATCH_H

#include "pp-recovery.h"

#define PP_MATCH_NONE G_MAXUINT

/* The two sides. What a message is recognised as is in found: an index into
   old, or PP_MATCH_NONE; an old one that was found is in used. */
struct pp_match {
	GArray *old;		/* guint: where it is, by UID, each UID once */
	const GArray *ledger;	/* struct pp_identity, or NULL */
	GArray *shown;		/* struct pp_identity */
	const GArray *messages;	/* struct pp_identity by UID */
	guint8 *used;
	guint *found;
	guint recognised;
};

/* Arguments as those of pp_recover(); LEDGER and MESSAGES must outlive the
   match. */
void pp_match_init(struct pp_match *match, const struct pp_state *old,
		   const GArray *ledger, const GArray *messages,
		   const struct pp_mailbox_now *mailbox);
void pp_match_clear(struct pp_match *match);

/* The UID of message INDEX, and the one it had (0: not recognised). */
guint32 pp_match_uid(const struct pp_match *match, guint index);
guint32 pp_match_old_uid(const struct pp_match *match, guint index);

/* The header hash that is known of message INDEX, or of what it is recognised
   as; 0: of neither. */
guint64 pp_match_header(const struct pp_match *match, guint index);

/* TRUE if UIDs of MAILBOX mean what they meant in OLD, as far as can be seen
   without the ledger. */
gboolean pp_match_is_same_place(const struct pp_state *old,
				const struct pp_mailbox_now *mailbox);

#endif
