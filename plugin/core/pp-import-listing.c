/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   A POP3 server's answers as a text: UIDL's, LIST's, and messages. */
#include "pp-import-private.h"
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-limits.h"

#include <string.h>

/* What is known of a message number. */
struct listed {
	guint line;		/* the first that told of it */
	guint record;		/* its index + 1, 0: UIDL did not name it */
	guint64 size, header;
};

static struct listed *listed_get(struct pp_import *import, guint32 number)
{
	gpointer key = GUINT_TO_POINTER(number);
	struct listed *listed = g_hash_table_lookup(import->numbers, key);

	if (listed == NULL) {
		listed = g_new0(struct listed, 1);
		listed->line = import->line_no;
		listed->size = PP_SIZE_UNKNOWN;
		g_hash_table_insert(import->numbers, key, listed);
	}
	return listed;
}

static gboolean listing_fail(struct pp_import *import, GError **error)
{
	return pp_import_fail(import, PP_ERROR_SYNTAX, error,
		import->section == PP_SECTION_LIST ?
		"not a line of LIST (message number and size)" :
		import->section == PP_SECTION_NONE ?
		"no command of which the answer is known" :
		"not a line of UIDL (message number and UIDL)");
}

/* Messages are numbered from 1 on. */
static gboolean listing_check(struct pp_import *import, guint32 number,
			      GError **error)
{
	if (number <= PP_IMPORT_MESSAGES_MAX)
		return TRUE;
	return pp_import_fail(import, PP_ERROR_LIMIT, error,
		"more than %u messages", PP_IMPORT_MESSAGES_MAX);
}

/* NUMBER UIDL [SIZE] */
static gboolean listing_uidl(struct pp_import *import, char **words,
			     guint32 number, GError **error)
{
	struct pp_import_record record = {
		.line = import->line_no, .size = PP_SIZE_UNKNOWN
	};
	struct listed *listed = listed_get(import, number);
	guint count = g_strv_length(words);

	if (count > 3 || listed->record != 0)
		return listing_fail(import, error);
	if (count == 3 && (!pp_parse_uint64(words[2], &listed->size) ||
			   listed->size == PP_SIZE_UNKNOWN))
		return listing_fail(import, error);
	record.uidl = g_strdup(words[1]);
	if (!pp_import_add(import, &record, error))
		return FALSE;
	listed->record = import->records->len;
	return TRUE;
}

static gboolean listing_size(struct pp_import *import, char **words,
			     guint32 number, GError **error)
{
	struct listed *listed = listed_get(import, number);
	guint64 size;

	if (g_strv_length(words) != 2 || !pp_parse_uint64(words[1], &size) ||
	    size == PP_SIZE_UNKNOWN)
		return listing_fail(import, error);
	listed->size = size;
	return TRUE;
}

static gboolean listing_numbered(struct pp_import *import, const char *line,
				 GError **error)
{
	g_auto(GStrv) words = g_strsplit(line, " ", 4);
	guint32 number;

	if (g_strv_length(words) < 2 || !pp_parse_uint32(words[0], &number) ||
	    number == 0)
		return listing_fail(import, error);
	if (!listing_check(import, number, error))
		return FALSE;
	return import->section == PP_SECTION_LIST ?
		listing_size(import, words, number, error) :
		listing_uidl(import, words, number, error);
}

/* TOP and RETR name a message. */
static gboolean listing_message(struct pp_import *import, char **words)
{
	gboolean top = g_ascii_strcasecmp(words[0], "TOP") == 0;

	if (!top && g_ascii_strcasecmp(words[0], "RETR") != 0)
		return FALSE;
	if (g_strv_length(words) != (top ? 3 : 2) ||
	    !pp_parse_uint32(words[1], &import->number) ||
	    import->number == 0)
		return FALSE;
	import->section = PP_SECTION_HEADER;
	g_string_truncate(import->header, 0);
	import->header_cut = FALSE;
	return TRUE;
}

/* FALSE: LINE is no command. */
static gboolean listing_command(struct pp_import *import, const char *line)
{
	g_auto(GStrv) words = NULL;

	if (g_ascii_strcasecmp(line, "UIDL") == 0) {
		import->section = PP_SECTION_UIDL;
	} else if (g_ascii_strcasecmp(line, "LIST") == 0) {
		import->section = PP_SECTION_LIST;
	} else if (g_ascii_strcasecmp(line, "QUIT") == 0) {
		import->section = PP_SECTION_NONE;
	} else {
		words = g_strsplit(line, " ", 4);
		if (words[0] == NULL || !listing_message(import, words))
			return FALSE;
	}
	import->answered = FALSE;
	return TRUE;
}

static void listing_message_end(struct pp_import *import)
{
	struct listed *listed = listed_get(import, import->number);

	if (!import->header_cut && import->header_func != NULL) {
		listed->header = import->header_func(import->header->str,
						     import->header->len,
						     import->context);
	}
	import->section = PP_SECTION_NONE;
}

static gboolean listing_message_line(struct pp_import *import,
				     const char *line)
{
	gsize size = import->line->len;

	if (!import->answered && g_str_has_prefix(line, "+OK")) {
		import->answered = TRUE;
		return TRUE;
	}
	import->answered = TRUE;
	if (size == 1 && *line == '.') {
		listing_message_end(import);
		return TRUE;
	}
	if (import->section == PP_SECTION_BODY)
		return TRUE;
	if (size == 0) {
		import->section = PP_SECTION_BODY;
		return TRUE;
	}
	if (*line == '.') {
		line++;
		size--;
	}
	if (import->line_cut || import->header->len + size >=
	    PP_IMPORT_HEADER_MAX_BYTES) {
		import->header_cut = TRUE;
		return TRUE;
	}
	g_string_append_len(import->header, line, size);
	g_string_append_c(import->header, '\n');
	return TRUE;
}

gboolean pp_import_listing_line(struct pp_import *import, char *line,
				GError **error)
{
	if (import->section == PP_SECTION_HEADER ||
	    import->section == PP_SECTION_BODY)
		return listing_message_line(import, line);
	if (listing_command(import, line))
		return listing_check(import, import->number, error);
	if (strcmp(line, ".") == 0 && import->section != PP_SECTION_NONE) {
		import->section = PP_SECTION_NONE;
		return TRUE;
	}
	if (g_str_has_prefix(line, "+OK") &&
	    (!import->answered || import->section == PP_SECTION_NONE)) {
		import->answered = TRUE;
		return TRUE;
	}
	if (import->section == PP_SECTION_NONE)
		return listing_fail(import, error);
	return listing_numbered(import, line, error);
}

/* Sizes and headers go to their records. The lowest line of a message without
   a UIDL is told. */
static void listing_join(struct pp_import *import, guint *bad_line_r)
{
	struct pp_import_record *record;
	struct listed *listed;
	GHashTableIter iter;
	gpointer value;

	*bad_line_r = 0;
	g_hash_table_iter_init(&iter, import->numbers);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		listed = value;
		if (listed->record == 0) {
			if (*bad_line_r == 0 || listed->line < *bad_line_r)
				*bad_line_r = listed->line;
			continue;
		}
		record = &g_array_index(import->records,
					struct pp_import_record,
					listed->record - 1);
		record->size = listed->size;
		record->header = listed->header;
	}
}

gboolean pp_import_listing_end(struct pp_import *import, GError **error)
{
	guint bad_line;

	if (import->section != PP_SECTION_NONE &&
	    (import->answered || import->section == PP_SECTION_HEADER ||
	     import->section == PP_SECTION_BODY)) {
		import->line_no++;
		return pp_import_fail(import, PP_ERROR_SYNTAX, error,
			"the text was cut off: no dot behind an answer");
	}
	listing_join(import, &bad_line);
	if (bad_line == 0)
		return TRUE;
	import->line_no = bad_line;
	return pp_import_fail(import, PP_ERROR_SYNTAX, error,
			      "a message that UIDL does not name");
}
