/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The ledger: the identity of each shown message, read only to recognise
   messages after the mailbox changed under the state. Kept in chunks
   (`ledger/<n>`, n from 0), each of which names the mailbox that its UIDs
   belong to. */
#ifndef PP_LEDGER_H
#define PP_LEDGER_H

#include <glib.h>

/* Identity of a message. A 0 means "not known". */
struct pp_identity {
	guint32 uid;
	/* pp_hash64() of the storage id (base file name) on maildir, of the
	   GUID elsewhere */
	guint64 id;
	/* on maildir: of the GUID, where it differs from the file name */
	guint64 guid;
	/* of stable headers, filled in when the message was retrieved */
	guint64 header;
};

/* The mailbox that a state or a chunk is about. */
struct pp_mailbox_id {
	char guid[33];		/* 32 lower case hex digits and NUL */
	guint32 uidvalidity;
};

gboolean pp_mailbox_id_equal(const struct pp_mailbox_id *a,
			     const struct pp_mailbox_id *b);

/* Encodes ENTRIES (sorted by UID) from index START on, as many as fit into
   PP_VALUE_MAX_BYTES. Returns a finished document ("ledger", g_free()) and in
   *next_r the index of the first entry that did not fit. */
char *pp_ledger_encode(const struct pp_mailbox_id *mailbox,
		       const struct pp_identity *entries, guint count,
		       guint start, guint *next_r);

/* Parses a chunk: its mailbox and its entries (struct pp_identity, sorted by
   UID), which are appended to ENTRIES. FALSE with ERROR set: nothing was
   appended. */
gboolean pp_ledger_decode(const char *text, struct pp_mailbox_id *mailbox_r,
			  GArray *entries, GError **error);

#endif
