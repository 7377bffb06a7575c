/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Giving the messages of a maildrop the UIDLs that somebody else showed for
   them: which message is which record, then the state's map. */
#ifndef PP_ADOPT_H
#define PP_ADOPT_H

#include <glib.h>
#include "pp-import.h"
#include "pp-state.h"

#define PP_ADOPT_NONE G_MAXUINT

struct pp_adopt_message {
	struct pp_identity identity;	/* header 0: not known (yet) */
	guint64 size;			/* or PP_SIZE_UNKNOWN */
};

/* The two sides. Both arrays are the caller's, and may learn sizes and headers
   between two calls of pp_adopt_match(). */
struct pp_adopt {
	const GArray *records;		/* struct pp_import_record */
	const GArray *messages;		/* struct pp_adopt_message by UID */
	/* for each, the other one's index or PP_ADOPT_NONE */
	guint *message_of, *record_of;
	/* of records without a message: there are several that it may be */
	gboolean *ambiguous;
};

void pp_adopt_init(struct pp_adopt *adopt, const GArray *records,
		   const GArray *messages);
void pp_adopt_clear(struct pp_adopt *adopt);

/* Matches all anew from what is known now: by storage id, by GUID, by headers
   and size, by headers; a record of which only the size is known by that, where
   it is the only such record and there is one such message. Where as many
   records as messages have the same id, or headers and size, they are copies
   and go by order; where the numbers differ they are ambiguous.

   BY_ORDER: once ids are done, the nth record is the nth message as long as
   their sizes (where one of them is not known: their numbers) agree and their
   headers do not differ; and what would be ambiguous goes by order. BY_SIZE
   FALSE: sizes alone are no match, headers may still be had. */
void pp_adopt_match(struct pp_adopt *adopt, gboolean by_order,
		    gboolean by_size);

struct pp_adopt_counts {
	/* records that have a message; of these: whose UIDL was stored, was
	   that already, or is another one that stays since it was shown */
	guint matched, stored, same, kept;
	guint ambiguous, unmatched;
	/* messages without a record */
	guint left;
};

/* Gives the matched messages their UIDLs in STATE's map. What was shown (up to
   SHOWN) keeps its own unless FORCE. What was not shown yet gets a new one
   where its UIDL is another's now. UIDs from UIDNEXT on do not exist yet: where
   the open rule would give one of them a UIDL that is another's now, it is
   ended. FALSE with ERROR set, STATE is as it was: one was shown for another
   message, which keeps it or is gone. */
gboolean pp_adopt_apply(const struct pp_adopt *adopt, struct pp_state *state,
			guint32 shown, guint32 uidnext, gboolean force,
			struct pp_adopt_counts *counts_r, GError **error);

/* Lists the matched messages in the order of their records, all others behind
   them as they were. FALSE: that order is too long to be kept, STATE's is as it
   was. */
gboolean pp_adopt_order(const struct pp_adopt *adopt, struct pp_state *state);

#endif
