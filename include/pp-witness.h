/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The witness: a checked line in a file beside the mailbox, which shows what
   the dict alone cannot: that a state existed, whether the dict is an older
   copy, and who can be served while the dict is out of reach. */
#ifndef PP_WITNESS_H
#define PP_WITNESS_H

#include <glib.h>

struct pp_state;

/* A line has this length at most, newline included, and is always written
   padded to it, so that it can be written in place. */
#define PP_WITNESS_BYTES 128

enum pp_witness_status {
	PP_WITNESS_NONE,	/* no file, or an empty one */
	PP_WITNESS_THERE,
	PP_WITNESS_UNREADABLE	/* counts as one without `plain` */
};

struct pp_witness {
	enum pp_witness_status status;
	guint32 uidvalidity;
	guint32 validity;	/* of the open rule */
	/* every UIDL is uid + 0 with UIDVALIDITY */
	gboolean plain;
	/* the highest UID that was shown by the open rule while it could not be
	   stored, 0: none. Up to it nothing may get an explicit UIDL. */
	guint32 shown;
};

/* The witness that belongs to STATE. */
void pp_witness_from_state(const struct pp_state *state,
			   struct pp_witness *witness_r);
gboolean pp_witness_equal(const struct pp_witness *a,
			  const struct pp_witness *b);
/* Prints exactly PP_WITNESS_BYTES bytes, no NUL. */
void pp_witness_print(const struct pp_witness *witness, char *buf);
/* Reads DATA, the first SIZE bytes of the file. Never fails: see status. */
void pp_witness_parse(const char *data, gsize size,
		      struct pp_witness *witness_r);

#endif
