/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The envelope of every stored document: one line of printable text,

       pp1 KIND CHECKSUM NAME=VALUE NAME=VALUE ...

   KIND is "state", "uidl", "ledger", "usage" or "witness". CHECKSUM is the
   first 16 hex digits of SHA-256 over all that follows it (from the first
   NAME on). A field's VALUE has no space, newline, tab or control character.
   Fields are unique and in the order in which they were added. A later version
   that older ones must not read says pp2. One line, because a dict service
   escapes line feeds and tabs. */
#ifndef PP_DOC_H
#define PP_DOC_H

#include <glib.h>

/* Adds " NAME=VALUE" to a document under construction. VALUE must hold
   printable ASCII without spaces only, and not be empty (asserted): callers
   encode. */
void pp_doc_add(GString *body, const char *name, const char *value);
void pp_doc_add_uint(GString *body, const char *name, guint64 value);

/* Returns the finished text of BODY (what pp_doc_add() built). Free with
   g_free(). */
char *pp_doc_finish(const char *kind, const GString *body);

/* Parses TEXT as a document of KIND. Returns its fields (name -> value, both
   owned by the table; free with g_hash_table_unref()) or NULL with ERROR set:
   SYNTAX, CHECKSUM, VERSION or LIMIT. Truncated text never parses. */
GHashTable *pp_doc_parse(const char *kind, const char *text, GError **error);
/* FALSE with ERROR set (SYNTAX) if DOC has a field that KNOWN (which ends with
   NULL) does not name. Names that begin with "x-" may be there and mean
   nothing. */
gboolean pp_doc_check_names(GHashTable *doc, const char *const *known,
			    GError **error);

/* Returns the checksum that stands in the finished document TEXT, as a new
   string (g_free()), or NULL if there is none. It is not verified. */
char *pp_doc_checksum(const char *text);

/* Numbers: the whole text must be decimal digits and fit. FALSE leaves
   *VALUE_R untouched. */
gboolean pp_parse_uint64(const char *text, guint64 *value_r);
gboolean pp_parse_uint32(const char *text, guint32 *value_r);
/* The same at the beginning of *TEXT, which then points behind the digits.
   Only what a printer prints: no leading zeros. FALSE changes nothing. */
gboolean pp_scan_uint64(const char **text, guint64 *value_r);
gboolean pp_scan_uint32(const char **text, guint32 *value_r);

/* Fields of a parsed document as numbers. FALSE with ERROR set (SYNTAX, naming
   the field) if it is missing or no number. */
gboolean pp_doc_get_uint64(GHashTable *doc, const char *name,
			   guint64 *value_r, GError **error);
gboolean pp_doc_get_uint32(GHashTable *doc, const char *name,
			   guint32 *value_r, GError **error);

/* A + B, or G_MAXUINT64 where that is less. */
guint64 pp_add_saturating(guint64 a, guint64 b);

/* 64 bits of SHA-256 of DATA, never 0: identities of messages, hashes of
   rules. */
guint64 pp_hash64(const void *data, gsize size);

/* A value with bytes outside of 0x21-0x7E, or a %, as %XX, and back. Results
   are new strings (g_free()); pp_unescape() gives NULL for broken input. The
   empty string is escaped as "%-", so that no field is empty by accident. */
char *pp_escape(const char *text);
char *pp_unescape(const char *text);

#endif
