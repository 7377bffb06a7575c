/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   A set of counters: its sums, and its text by names. */
#include <string.h>
#include "pp-usage-private.h"
#include "pp-doc.h"
#include "pp-error.h"

static const char *const counter_names[PP_COUNTERS] = {
	[PP_SESSIONS] = "sessions",
	[PP_SESSIONS_ABORTED] = "sessions_aborted",
	[PP_SECONDS] = "seconds",
	[PP_RETR_COUNT] = "retr_count",
	[PP_RETR_BYTES] = "retr_bytes",
	[PP_TOP_COUNT] = "top_count",
	[PP_TOP_BYTES] = "top_bytes",
	[PP_RETR_ABORTED_COUNT] = "retr_aborted_count",
	[PP_RETR_ABORTED_BYTES] = "retr_aborted_bytes",
	[PP_TOP_ABORTED_COUNT] = "top_aborted_count",
	[PP_TOP_ABORTED_BYTES] = "top_aborted_bytes",
	[PP_AGAIN_COUNT] = "again_count",
	[PP_AGAIN_BYTES] = "again_bytes",
	[PP_UIDL_COUNT] = "uidl_count",
	[PP_LIST_COUNT] = "list_count",
	[PP_DELE_COUNT] = "dele_count",
	[PP_REMOVED_COUNT] = "removed_count",
	[PP_REMOVED_BYTES] = "removed_bytes",
	[PP_IN_BYTES] = "in_bytes",
	[PP_OUT_BYTES] = "out_bytes",
	[PP_FIRST_SESSION] = "first_session",
	[PP_LAST_SESSION] = "last_session"
};

const char *pp_counter_name(enum pp_counter counter)
{
	g_assert((guint)counter < PP_COUNTERS);
	return counter_names[counter];
}

/* PP_COUNTERS: there is none of that name. */
static guint find_counter(const char *name)
{
	guint i = 0;

	while (i < PP_COUNTERS && strcmp(counter_names[i], name) != 0)
		i++;
	return i;
}

void pp_counters_add(struct pp_counters *counters,
		     const struct pp_counters *other)
{
	for (guint i = 0; i < PP_COUNTERS; i++) {
		guint64 a = counters->value[i], b = other->value[i];

		if (i == PP_LAST_SESSION)
			a = MAX(a, b);
		else if (i == PP_FIRST_SESSION)
			a = a == 0 || (b != 0 && b < a) ? b : a;
		else
			a = pp_add_saturating(a, b);
		counters->value[i] = a;
	}
}

gboolean pp_counters_is_zero(const struct pp_counters *counters)
{
	for (guint i = 0; i < PP_COUNTERS; i++) {
		if (counters->value[i] != 0)
			return FALSE;
	}
	return TRUE;
}

gboolean pp_counters_filled(const struct pp_counters *before,
			    const struct pp_counters *after,
			    enum pp_counter counter)
{
	return before->value[counter] != G_MAXUINT64 &&
		after->value[counter] == G_MAXUINT64;
}

char *pp_counters_print(const struct pp_counters *counters, char separator)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < PP_COUNTERS; i++) {
		if (counters->value[i] == 0)
			continue;
		if (text->len > 0)
			g_string_append_c(text, separator);
		g_string_append_printf(text, "%s=%" G_GUINT64_FORMAT,
				       counter_names[i], counters->value[i]);
	}
	return g_string_free(text, FALSE);
}

gboolean pp_counters_set(struct pp_counters *counters, const char *name,
			 const char *value, GError **error)
{
	guint counter = find_counter(name);

	if (counter == PP_COUNTERS) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has an unknown counter '%.40s'", name);
		return FALSE;
	}
	if (!pp_parse_uint64(value, &counters->value[counter])) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has a bad number for '%s'", name);
		return FALSE;
	}
	return TRUE;
}

/* One NAME=VALUE of a list; SEEN are the names before it. */
static gboolean parse_pair(char *pair, struct pp_counters *counters,
			   GHashTable *seen, GError **error)
{
	char *value = strchr(pair, '=');

	if (value == NULL) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has '%.40s' without a value", pair);
		return FALSE;
	}
	*value++ = '\0';
	if (!g_hash_table_add(seen, pair)) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has '%.40s' twice", pair);
		return FALSE;
	}
	return pp_counters_set(counters, pair, value, error);
}

gboolean pp_counters_parse(const char *text, char separator,
			   struct pp_counters *counters_r, GError **error)
{
	const char delimiter[] = { separator, '\0' };
	struct pp_counters counters = { 0 };
	g_auto(GStrv) pairs = g_strsplit(text, delimiter, -1);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; pairs[i] != NULL; i++) {
		if (!parse_pair(pairs[i], &counters, seen, error))
			return FALSE;
	}
	*counters_r = counters;
	return TRUE;
}
