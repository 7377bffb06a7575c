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
/* what is between the log prefix and the mark */
#define LINE_LEVEL "Error: pop3-policy: "

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
static const char *find_mark(const char *text)
{
	return g_strrstr(text, LINE_MARK);
}

gboolean pp_usage_line_has(const char *text)
{
	return find_mark(text) != NULL;
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

static gboolean parse_fields(const char *text, struct pp_usage_line *line_r,
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

/* Prefixes are the administrator's, but have the user's name, or what is before
   its @, or the session. */
static gboolean names_line(const char *prefix, const struct pp_usage_line *line)
{
	g_auto(GStrv) parts = g_strsplit(line->user, "@", 2);
	const char *session = line->session;

	if (g_str_has_prefix(session, "removal") &&
	    strchr(session, '/') != NULL)
		session = strchr(session, '/') + 1;
	return strstr(prefix, parts[0]) != NULL ||
		strstr(prefix, session) != NULL;
}

/* FALSE if there is a level's word, or a ": " at another place than the end of
   a syslog tag in front and the end of all: what Dovecot logs begins with words
   of its own, and these with one of the two. */
static gboolean is_prefix(const char *text)
{
	static const char *const levels[] = {
		"Debug: ", "Info: ", "Warning: ", "Error: ", "Fatal: ",
		"Panic: "
	};
	const char *colon = strstr(text, ": ");

	for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
		if (strstr(text, levels[i]) != NULL)
			return FALSE;
	}
	if (colon != NULL && colon[2] != '\0' &&
	    strcspn(text, "(<") > (gsize)(colon - text))
		colon = strstr(colon + 2, ": ");
	return colon == NULL || colon[2] == '\0';
}

/* TRUE if the plugin wrote LINE at MARK in TEXT, and no user got it into
   another line of the log: see DESIGN, section 5. */
static gboolean is_own(const char *text, const char *mark,
		       const struct pp_usage_line *line)
{
	g_autoptr(GString) prefix = g_string_new_len(text, mark - text);

	if (mark == text)
		return TRUE;
	if (!g_str_has_suffix(prefix->str, LINE_LEVEL))
		return FALSE;
	g_string_truncate(prefix, prefix->len - strlen(LINE_LEVEL));
	if (!names_line(prefix->str, line))
		return FALSE;
	/* a user may be called anything */
	g_string_replace(prefix, line->user, "_", 0);
	return is_prefix(prefix->str);
}

gboolean pp_usage_line_parse(const char *text, struct pp_usage_line *line_r,
			     GError **error)
{
	const char *mark = find_mark(text);
	struct pp_usage_line line;

	g_assert(mark != NULL);
	if (!parse_fields(mark + strlen(LINE_MARK), &line, error))
		return FALSE;
	if (is_own(text, mark, &line)) {
		*line_r = line;
		return TRUE;
	}
	pp_usage_line_clear(&line);
	g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
		    "is not the plugin's own: in front of its words is "
		    "something else than a log prefix of this user");
	return FALSE;
}

void pp_usage_line_clear(struct pp_usage_line *line)
{
	g_clear_pointer(&line->user, g_free);
	g_clear_pointer(&line->session, g_free);
}
