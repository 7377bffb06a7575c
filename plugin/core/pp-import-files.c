/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Texts of UIDLs with a line a message: the format of our own, both ways, and
   the files that Courier and Dovecot keep beside a maildir. */
#include "pp-import-private.h"
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-limits.h"

#include <string.h>

#define OWN_FIRST_LINE "pop3-policy-uidls 1"

/* Cuts the next word off *TEXT; NULL: there is none. */
static char *next_word(char **text)
{
	char *word = *text, *end;

	if (word == NULL || *word == '\0')
		return NULL;
	end = strchr(word, ' ');
	if (end != NULL)
		*end++ = '\0';
	*text = end;
	return word;
}

static gboolean parse_hash(const char *text, guint64 *hash_r)
{
	return strlen(text) == 16 &&
		strspn(text, "0123456789abcdef") == 16 &&
		g_ascii_string_to_unsigned(text, 16, 1, G_MAXUINT64, hash_r,
					   NULL);
}

static gboolean set_text(char **field, const char *value)
{
	if (*field != NULL)
		return FALSE;
	*field = pp_unescape(value);
	return *field != NULL && **field != '\0';
}

/* NAME=VALUE of our own format. */
static gboolean own_field(struct pp_import_record *record, char *field)
{
	char *value = strchr(field, '=');

	if (value == NULL)
		return FALSE;
	*value++ = '\0';
	if (g_str_has_prefix(field, "x-"))
		return TRUE;
	if (strcmp(field, "size") == 0) {
		return record->size == PP_SIZE_UNKNOWN &&
			pp_parse_uint64(value, &record->size) &&
			record->size != PP_SIZE_UNKNOWN;
	}
	if (strcmp(field, "id") == 0)
		return set_text(&record->id, value);
	if (strcmp(field, "guid") == 0)
		return set_text(&record->guid, value);
	return strcmp(field, "header") == 0 && record->header == 0 &&
		parse_hash(value, &record->header);
}

static gboolean own_uidl(struct pp_import *import, char *rest, GError **error)
{
	struct pp_import_record record = {
		.line = import->line_no, .size = PP_SIZE_UNKNOWN
	};
	char *word = next_word(&rest);

	record.uidl = g_strdup(word != NULL ? word : "");
	while ((word = next_word(&rest)) != NULL) {
		if (!own_field(&record, word)) {
			pp_import_record_clear(&record);
			return pp_import_fail(import, PP_ERROR_SYNTAX, error,
					      "bad field behind the UIDL");
		}
	}
	return pp_import_add(import, &record, error);
}

static gboolean own_first(struct pp_import *import, const char *line,
			  GError **error)
{
	if (strcmp(line, OWN_FIRST_LINE) == 0)
		return TRUE;
	return pp_import_fail(import, PP_ERROR_VERSION, error,
		"only version 1 of this format is known");
}

gboolean pp_import_own_line(struct pp_import *import, char *line,
			    GError **error)
{
	char *rest = line, *word;
	guint32 count;

	if (import->line_no == 1)
		return own_first(import, line, error);
	if (import->ended) {
		return pp_import_fail(import, PP_ERROR_SYNTAX, error,
				      "something behind the end");
	}
	word = next_word(&rest);
	if (word != NULL && strcmp(word, "uidl") == 0)
		return own_uidl(import, rest, error);
	if (word != NULL && strcmp(word, "end") == 0 && rest != NULL &&
	    pp_parse_uint32(rest, &count) && count == import->records->len) {
		import->ended = TRUE;
		return TRUE;
	}
	return pp_import_fail(import, PP_ERROR_SYNTAX, error,
		"neither \"uidl\" nor the \"end\" of %u messages",
		import->records->len);
}

gboolean pp_import_own_end(struct pp_import *import, GError **error)
{
	if (import->ended)
		return TRUE;
	import->line_no++;
	return pp_import_fail(import, PP_ERROR_SYNTAX, error,
			      "the text was cut off: no \"end\"");
}

/* The UIDL that Courier makes of a file name. */
static char *courier_name_uidl(const char *base)
{
	GString *str = g_string_new(NULL);

	for (; *base != '\0'; base++) {
		guchar c = *base;

		if (c < 0x21 || c > 0x7e || strchr("'\"+", c) != NULL)
			g_string_append_printf(str, "+%02X", c);
		else
			g_string_append_c(str, c);
	}
	return g_string_free(str, FALSE);
}

/* NUMBER:VALIDITY, and in version 3 :UTF8. */
static char *courier_uidl(const char *text, const char *base)
{
	g_auto(GStrv) parts = g_strsplit(text, ":", 4);
	guint count = g_strv_length(parts);
	guint64 number, validity, utf8;

	if (count < 2 || count > 3 || !pp_parse_uint64(parts[0], &number) ||
	    !pp_parse_uint64(parts[1], &validity) ||
	    (count == 3 && !pp_parse_uint64(parts[2], &utf8)))
		return NULL;
	if (number == 0)
		return courier_name_uidl(base);
	if (validity == 0)
		return g_strdup_printf("UID%"G_GUINT64_FORMAT, number);
	return g_strdup_printf("UID%"G_GUINT64_FORMAT"-%"G_GUINT64_FORMAT,
			       number, validity);
}

/* Cuts the last word off TEXT and returns it; NULL: there is but one. */
static char *last_word(char *text)
{
	char *word = strrchr(text, ' ');

	if (word == NULL)
		return NULL;
	*word = '\0';
	return word + 1;
}

gboolean pp_import_courier_line(struct pp_import *import, char *line,
				GError **error)
{
	struct pp_import_record record = { .line = import->line_no };
	char *uid, *size;

	if (import->line_no == 1) {
		if (g_str_has_prefix(line, "/2 ") ||
		    g_str_has_prefix(line, "/3 "))
			return TRUE;
		return pp_import_fail(import, PP_ERROR_VERSION, error,
			"not a courierpop3dsizelist of version 2 or 3");
	}
	uid = last_word(line);
	size = uid == NULL ? NULL : last_word(line);
	/* flags behind the base name */
	line[strcspn(line, ":")] = '\0';
	if (size != NULL && *line != '\0' &&
	    pp_parse_uint64(size, &record.size) &&
	    record.size != PP_SIZE_UNKNOWN)
		record.uidl = courier_uidl(uid, line);
	if (record.uidl == NULL) {
		return pp_import_fail(import, PP_ERROR_SYNTAX, error,
			"not a line of a courierpop3dsizelist");
	}
	record.id = g_strdup(line);
	return pp_import_add(import, &record, error);
}

/* Extension fields, each KEY and value in one word. */
static gboolean dovecot_fields(struct pp_import_record *record, char *fields)
{
	char *field;

	while ((field = next_word(&fields)) != NULL) {
		if (*field == 'W' &&
		    !pp_parse_uint64(field + 1, &record->size))
			return FALSE;
		if (*field == 'P' && record->uidl == NULL)
			record->uidl = g_strdup(field + 1);
		if (*field == 'G' && record->guid == NULL)
			record->guid = g_strdup(field + 1);
	}
	return TRUE;
}

gboolean pp_import_dovecot_line(struct pp_import *import, char *line,
				GError **error)
{
	struct pp_import_record record = {
		.line = import->line_no, .size = PP_SIZE_UNKNOWN
	};
	char *name = strstr(line, " :"), *fields = line;
	guint32 uid;

	if (import->line_no == 1) {
		if (g_str_has_prefix(line, "3 "))
			return TRUE;
		return pp_import_fail(import, PP_ERROR_VERSION, error,
			"not a dovecot-uidlist of version 3");
	}
	if (name != NULL) {
		*name = '\0';
		name += 2;
		name[strcspn(name, ":")] = '\0';
	}
	fields = strchr(line, ' ');
	if (fields != NULL)
		*fields++ = '\0';
	if (name == NULL || *name == '\0' || !pp_parse_uint32(line, &uid) ||
	    !dovecot_fields(&record, fields)) {
		pp_import_record_clear(&record);
		return pp_import_fail(import, PP_ERROR_SYNTAX, error,
				      "not a line of a dovecot-uidlist");
	}
	if (record.uidl == NULL) {
		import->without++;
		pp_import_record_clear(&record);
		return TRUE;
	}
	/* P without a value: the base file name */
	if (*record.uidl == '\0') {
		g_free(record.uidl);
		record.uidl = g_strdup(name);
	}
	record.id = g_strdup(name);
	return pp_import_add(import, &record, error);
}

void pp_export_begin(GString *str)
{
	g_string_append(str, OWN_FIRST_LINE"\n");
}

static void export_text(GString *str, const char *name, const char *value)
{
	g_autofree char *escaped = NULL;

	if (value == NULL)
		return;
	escaped = pp_escape(value);
	g_string_append_printf(str, " %s=%s", name, escaped);
}

void pp_export_record(GString *str, const struct pp_import_record *record)
{
	g_string_append_printf(str, "uidl %s", record->uidl);
	if (record->size != PP_SIZE_UNKNOWN) {
		g_string_append_printf(str, " size=%"G_GUINT64_FORMAT,
				       record->size);
	}
	export_text(str, "id", record->id);
	export_text(str, "guid", record->guid);
	if (record->header != 0) {
		g_string_append_printf(str, " header=%016"G_GINT64_MODIFIER"x",
				       record->header);
	}
	g_string_append_c(str, '\n');
}

void pp_export_end(GString *str, guint count)
{
	g_string_append_printf(str, "end %u\n", count);
}
