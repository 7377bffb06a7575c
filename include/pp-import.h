/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   UIDLs in text form, from elsewhere: reads what `doveadm pop3 uidl export`
   writes and what other servers have. Line by line, in pieces of any size.

   The format of our own has a line for each message, in listing order:

       pop3-policy-uidls 1
       uidl UIDL [size=BYTES] [id=ID] [guid=GUID] [header=HASH]
       ...
       end COUNT

   BYTES are those of the message with CRLF line ends; ID is the storage id (the
   base file name on maildir) and GUID the message's, escaped with pp_escape();
   HASH is that of stable headers, as 16 hex digits. Other names that begin with
   "x-" may follow and mean nothing.

   Courier: courierpop3dsizelist, versions 2 and 3. Dovecot: a maildir's
   dovecot-uidlist, version 3; entries without P have no UIDL and are left out.

   Listing: a POP3 server's answers to UIDL, and where wanted to LIST and to
   TOP or RETR, each behind a line with its command ("UIDL", "LIST", "TOP 1
   0"). Without a command it is UIDL's. UIDL's lines may have the size as a
   third word. "+OK" lines and the final dot may be there. */
#ifndef PP_IMPORT_H
#define PP_IMPORT_H

#include <glib.h>

enum pp_import_format {
	PP_IMPORT_AUTO,		/* told by the first line */
	PP_IMPORT_OWN,
	PP_IMPORT_COURIER,
	PP_IMPORT_DOVECOT,
	PP_IMPORT_LISTING,
	PP_IMPORT_MESSAGES	/* no text: pp_import_message() */
};

#define PP_SIZE_UNKNOWN G_MAXUINT64

/* A message as somebody else knew it. What is not known is NULL, 0 or
   PP_SIZE_UNKNOWN. */
struct pp_import_record {
	/* where it stands in the text; the number of the message */
	guint line;
	char *uidl;		/* pp_uidl_is_valid() */
	char *id, *guid;	/* storage id, GUID */
	guint64 size;
	guint64 header;		/* hash of stable headers */
	/* pp_hash64() of what a storage makes of a GUID that is not its own;
	   for the caller to fill in */
	guint64 other_guid;
};

/* The hash of stable headers of HEADER, a message's header with LF line
   ends; 0: has none of them. */
typedef guint64 pp_import_header_func(const char *header, gsize size,
				      void *context);

struct pp_import;

/* HEADER_FUNC may be NULL: headers in a listing are not used. */
struct pp_import *pp_import_new(enum pp_import_format format,
				pp_import_header_func *header_func,
				void *context);
void pp_import_free(struct pp_import *import);
/* Reads a piece. FALSE with ERROR set (SYNTAX or LIMIT, "line N: ..."): what
   was read is of no use, free it. */
gboolean pp_import_push(struct pp_import *import, const char *data, gsize size,
			GError **error);
/* The text is at its end. */
gboolean pp_import_end(struct pp_import *import, GError **error);

/* A message that carries its UIDL, RECORD's texts are taken over. Where it has
   none (NULL) it is counted only. Errors say "message N: ...". */
gboolean pp_import_message(struct pp_import *import,
			   struct pp_import_record *record, GError **error);

/* The records, struct pp_import_record in the order of the text, no UIDL
   twice. Owned by IMPORT. */
GArray *pp_import_records(struct pp_import *import);
/* How many entries of the text had no UIDL. */
guint pp_import_without(const struct pp_import *import);

/* An array of records that frees what they own (g_array_unref()). */
GArray *pp_import_record_array(void);

/* The lines of the format of our own. */
void pp_export_begin(GString *str);
void pp_export_record(GString *str, const struct pp_import_record *record);
void pp_export_end(GString *str, guint count);

#endif
