/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Texts of UIDLs: cut into lines, the format found out, records kept. */
#include "pp-import-private.h"
#include "pp-error.h"
#include "pp-limits.h"
#include "pp-uidl.h"

#include <string.h>

gboolean pp_import_fail(struct pp_import *import, gint code, GError **error,
			const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(error, PP_ERROR, code, "%s %u: %s",
		    import->format == PP_IMPORT_MESSAGES ? "message" : "line",
		    import->line_no, text);
	return FALSE;
}

void pp_import_record_clear(struct pp_import_record *record)
{
	g_free(record->uidl);
	g_free(record->id);
	g_free(record->guid);
	memset(record, 0, sizeof(*record));
}

GArray *pp_import_record_array(void)
{
	GArray *records = g_array_new(FALSE, FALSE,
				      sizeof(struct pp_import_record));

	g_array_set_clear_func(records,
			       (GDestroyNotify)pp_import_record_clear);
	return records;
}

struct pp_import *pp_import_new(enum pp_import_format format,
				pp_import_header_func *header_func,
				void *context)
{
	struct pp_import *import = g_new0(struct pp_import, 1);

	import->format = format;
	import->header_func = header_func;
	import->context = context;
	import->line = g_string_new(NULL);
	import->header = g_string_new(NULL);
	import->records = pp_import_record_array();
	/* keys are the records' own */
	import->uidls = pp_uidl_tree_new();
	import->numbers = g_hash_table_new_full(g_direct_hash, g_direct_equal,
						NULL, g_free);
	return import;
}

void pp_import_free(struct pp_import *import)
{
	if (import == NULL)
		return;
	g_tree_unref(import->uidls);
	g_hash_table_unref(import->numbers);
	g_array_unref(import->records);
	g_string_free(import->line, TRUE);
	g_string_free(import->header, TRUE);
	g_free(import);
}

GArray *pp_import_records(struct pp_import *import)
{
	return import->records;
}

guint pp_import_without(const struct pp_import *import)
{
	return import->without;
}

static gboolean import_check(struct pp_import *import, const char *uidl,
			     GError **error)
{
	gpointer line;

	if (!pp_uidl_is_valid(uidl)) {
		return pp_import_fail(import, PP_ERROR_SYNTAX, error,
			"not a UIDL (1 to 70 characters of 0x21 to 0x7E)");
	}
	if (g_tree_lookup_extended(import->uidls, uidl, NULL, &line)) {
		return pp_import_fail(import, PP_ERROR_SYNTAX, error,
			"UIDL %s is there twice, first in %s %u", uidl,
			import->format == PP_IMPORT_MESSAGES ? "message" :
			"line", GPOINTER_TO_UINT(line));
	}
	if (import->records->len >= PP_IMPORT_MESSAGES_MAX) {
		return pp_import_fail(import, PP_ERROR_LIMIT, error,
			"more than %u messages", PP_IMPORT_MESSAGES_MAX);
	}
	return TRUE;
}

gboolean pp_import_add(struct pp_import *import,
		       struct pp_import_record *record, GError **error)
{
	if (!import_check(import, record->uidl, error)) {
		pp_import_record_clear(record);
		return FALSE;
	}
	g_tree_insert(import->uidls, record->uidl,
		      GUINT_TO_POINTER(record->line));
	g_array_append_vals(import->records, record, 1);
	return TRUE;
}

gboolean pp_import_message(struct pp_import *import,
			   struct pp_import_record *record, GError **error)
{
	record->line = ++import->line_no;
	if (record->uidl != NULL)
		return pp_import_add(import, record, error);
	import->without++;
	pp_import_record_clear(record);
	return TRUE;
}

static void import_detect(struct pp_import *import, const char *line)
{
	if (g_str_has_prefix(line, "pop3-policy-uidls "))
		import->format = PP_IMPORT_OWN;
	else if (line[0] == '/')
		import->format = PP_IMPORT_COURIER;
	else if (g_str_has_prefix(line, "3 V") && strstr(line, " N") != NULL)
		import->format = PP_IMPORT_DOVECOT;
	else
		import->format = PP_IMPORT_LISTING;
}

static gboolean import_dispatch(struct pp_import *import, char *line,
				GError **error)
{
	if (import->format == PP_IMPORT_AUTO)
		import_detect(import, line);
	switch (import->format) {
	case PP_IMPORT_OWN:
		return pp_import_own_line(import, line, error);
	case PP_IMPORT_COURIER:
		return pp_import_courier_line(import, line, error);
	case PP_IMPORT_DOVECOT:
		return pp_import_dovecot_line(import, line, error);
	case PP_IMPORT_MESSAGES:
		g_assert_not_reached();
	case PP_IMPORT_AUTO:
	case PP_IMPORT_LISTING:
		break;
	}
	return pp_import_listing_line(import, line, error);
}

static gboolean in_message(const struct pp_import *import)
{
	return import->section == PP_SECTION_HEADER ||
		import->section == PP_SECTION_BODY;
}

static gboolean import_line(struct pp_import *import, GError **error)
{
	GString *line = import->line;

	import->line_no++;
	if (line->len > 0 && line->str[line->len - 1] == '\r')
		g_string_truncate(line, line->len - 1);
	if (!in_message(import) && memchr(line->str, '\0', line->len) != NULL) {
		return pp_import_fail(import, PP_ERROR_SYNTAX, error,
				      "holds a NUL");
	}
	if (!import_dispatch(import, line->str, error))
		return FALSE;
	g_string_truncate(line, 0);
	import->line_cut = FALSE;
	return TRUE;
}

/* Adds to the line, as much as it may have. */
static gboolean import_append(struct pp_import *import, const char *data,
			      gsize size, GError **error)
{
	gsize max = in_message(import) ? PP_IMPORT_HEADER_MAX_BYTES :
		PP_IMPORT_LINE_MAX_BYTES;

	if (size <= max - MIN(import->line->len, max)) {
		g_string_append_len(import->line, data, size);
		return TRUE;
	}
	import->line_cut = TRUE;
	if (in_message(import))
		return TRUE;
	import->line_no++;
	return pp_import_fail(import, PP_ERROR_LIMIT, error,
		"longer than %u bytes", PP_IMPORT_LINE_MAX_BYTES);
}

gboolean pp_import_push(struct pp_import *import, const char *data, gsize size,
			GError **error)
{
	const char *end;

	while ((end = memchr(data, '\n', size)) != NULL) {
		if (!import_append(import, data, end - data, error) ||
		    !import_line(import, error))
			return FALSE;
		size -= end + 1 - data;
		data = end + 1;
	}
	return import_append(import, data, size, error);
}

gboolean pp_import_end(struct pp_import *import, GError **error)
{
	if ((import->line->len > 0 || import->line_cut) &&
	    !import_line(import, error))
		return FALSE;
	switch (import->format) {
	case PP_IMPORT_OWN:
		return pp_import_own_end(import, error);
	case PP_IMPORT_LISTING:
		return pp_import_listing_end(import, error);
	case PP_IMPORT_AUTO:
	case PP_IMPORT_COURIER:
	case PP_IMPORT_DOVECOT:
	case PP_IMPORT_MESSAGES:
		break;
	}
	if (import->line_no > 0)
		return TRUE;
	import->line_no = 1;
	return pp_import_fail(import, PP_ERROR_SYNTAX, error,
			      "nothing is there");
}
