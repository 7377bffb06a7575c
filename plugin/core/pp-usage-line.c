/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The log line of counters that could not be stored. User and session are
   escaped: a user may be called anything, and a log is read by lines and
   blanks. */
#include <string.h>
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-usage.h"

#define LINE_MARK "usage not stored, to be replayed: "

char *pp_usage_line_print(const char *user, const char *session,
			  guint64 ended, const struct pp_counters *counters)
{
	g_autofree char *user_text = pp_escape(user);
	g_autofree char *session_text = pp_escape(session);
	g_autofree char *numbers = pp_counters_print(counters, ' ');

	return g_strdup_printf(LINE_MARK "user=%s session=%s ended=%"
			       G_GUINT64_FORMAT " %s", user_text,
			       session_text, ended, numbers);
}

/* The last one: what is in front of it may be a user's name too, which is not
   escaped there. */
const char *pp_usage_line_find(const char *text)
{
	const char *found = g_strrstr(text, LINE_MARK);

	return found == NULL ? NULL : found + strlen(LINE_MARK);
}

/* The value of the field NAME at *TEXT, a new string or NULL. Moves *TEXT to
   the next one. */
static char *take_field(const char **text, const char *name)
{
	gsize length = strlen(name);
	const char *value = *text + length + 1, *end;

	if (!g_str_has_prefix(*text, name) || (*text)[length] != '=')
		return NULL;
	end = strchr(value, ' ');
	if (end == NULL)
		return NULL;
	*text = end + 1;
	return g_strndup(value, end - value);
}

static char *take_escaped(const char **text, const char *name)
{
	g_autofree char *value = take_field(text, name);

	return value == NULL ? NULL : pp_unescape(value);
}

gboolean pp_usage_line_parse(const char *text, struct pp_usage_line *line_r,
			     GError **error)
{
	g_autofree char *user = take_escaped(&text, "user");
	g_autofree char *session = take_escaped(&text, "session");
	g_autofree char *ended = take_field(&text, "ended");
	g_autofree char *numbers = g_strdup(text);
	struct pp_usage_line line = { 0 };

	if (user == NULL || session == NULL || ended == NULL ||
	    *user == '\0' || *session == '\0' ||
	    !pp_parse_uint64(ended, &line.ended)) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has no user, session or time");
		return FALSE;
	}
	if (!pp_counters_parse(g_strchomp(numbers), ' ', &line.counters,
			       error))
		return FALSE;
	line.user = g_steal_pointer(&user);
	line.session = g_steal_pointer(&session);
	*line_r = line;
	return TRUE;
}

void pp_usage_line_clear(struct pp_usage_line *line)
{
	g_clear_pointer(&line->user, g_free);
	g_clear_pointer(&line->session, g_free);
}
