/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Usage accounting: counters of a user for the total, this month and this day
   (UTC), in one document (`usage/now`); finished months and days are filed
   under `usage/YYYY-MM` and `usage/YYYY-MM-DD`. A session belongs to the day
   on which it ended. */
#ifndef PP_USAGE_H
#define PP_USAGE_H

#include <glib.h>
#include "pp-limits.h"

enum pp_counter {
	PP_SESSIONS,
	PP_SESSIONS_ABORTED,
	PP_SECONDS,
	PP_RETR_COUNT,
	PP_RETR_BYTES,
	PP_TOP_COUNT,
	PP_TOP_BYTES,
	PP_RETR_ABORTED_COUNT,
	PP_RETR_ABORTED_BYTES,
	PP_TOP_ABORTED_COUNT,
	PP_TOP_ABORTED_BYTES,
	PP_AGAIN_COUNT,
	PP_AGAIN_BYTES,
	PP_UIDL_COUNT,
	PP_LIST_COUNT,
	PP_DELE_COUNT,
	PP_REMOVED_COUNT,
	PP_REMOVED_BYTES,
	PP_IN_BYTES,
	PP_OUT_BYTES,
	/* the last two are times: the earliest and the latest win */
	PP_FIRST_SESSION,
	PP_LAST_SESSION,
	PP_COUNTERS
};

/* "sessions", "sessions_aborted", ... as in documents, events and reports. */
const char *pp_counter_name(enum pp_counter counter);

struct pp_counters {
	guint64 value[PP_COUNTERS];
};

/* Adds OTHER to COUNTERS; sums saturate at G_MAXUINT64. Times: see above. */
void pp_counters_add(struct pp_counters *counters,
		     const struct pp_counters *other);
gboolean pp_counters_is_zero(const struct pp_counters *counters);
/* TRUE if COUNTER was not at its limit BEFORE and is AFTER. */
gboolean pp_counters_filled(const struct pp_counters *before,
			    const struct pp_counters *after,
			    enum pp_counter counter);
/* "name=value name=value ..." of those that are not 0, joined by SEPARATOR. A
   new string. */
char *pp_counters_print(const struct pp_counters *counters, char separator);
/* Reads what pp_counters_print() printed. FALSE with ERROR set (SYNTAX) for
   unknown names, bad numbers, the same name twice. */
gboolean pp_counters_parse(const char *text, char separator,
			   struct pp_counters *counters_r, GError **error);

struct pp_usage;

struct pp_usage *pp_usage_new(void);
void pp_usage_free(struct pp_usage *usage);

/* A document that pp_usage_encode() printed; NULL with ERROR set. */
struct pp_usage *pp_usage_decode(const char *text, GError **error);
/* The `usage/now` document, a new string. Never above PP_VALUE_MAX_BYTES. */
char *pp_usage_encode(const struct pp_usage *usage);

/* A finished period, to be stored under `usage/<name>`. */
struct pp_usage_filed {
	char name[11];		/* "2026-11" or "2026-11-24" */
	char *doc;
	gboolean begun;		/* it is current now: see pp_usage_take() */
};

/* Adds what session SESSION_ID, which ended at NOW, counted. FALSE, and
   nothing was added, if that id is among the last PP_USAGE_SESSIONS_MAX: it
   was counted before. An empty id is not remembered: always added. NOW's month
   and day become the current ones, whether they are later or earlier (a clock
   was wrong); those that were are appended to FILED (an array made with
   pp_usage_filed_array()), and what became current, too: for these the caller
   has to look whether they were filed before. A NOW before the days that
   pp_usage_expire() named counts to the current month and day. COUNTERS are
   added as they are: the caller sets PP_SESSIONS and the two times. */
gboolean pp_usage_add(struct pp_usage *usage, const char *session_id,
		      const struct pp_counters *counters, guint64 now,
		      GArray *filed);
GArray *pp_usage_filed_array(void);
/* Takes over DOC, the stored document of the current month or day NAME, which
   has no key of its own as long as it is current. FALSE with ERROR set if it
   cannot be read. */
gboolean pp_usage_take(struct pp_usage *usage, const char *name,
		       const char *doc, GError **error);

/* What became of a replayed line. */
enum pp_replay {
	PP_REPLAY_KNOWN,	/* it was counted before */
	PP_REPLAY_UNSURE,	/* so old that it may have been */
	PP_REPLAY_AHEAD,	/* its end is yet to come: a clock was wrong */
	PP_REPLAY_ADDED
};
/* The same for a logged line that is replayed later. Its session, which ended
   at ENDED, is remembered among the last PP_USAGE_REPLAYS_MAX replayed ones; it
   is NOW.
   Nothing is added but for PP_REPLAY_ADDED. A month or day before the current
   one is appended to FILED with the doc NULL: the caller has to add COUNTERS
   to its document, pp_usage_period_add(). */
enum pp_replay
pp_usage_replay(struct pp_usage *usage, const char *session_id,
		const struct pp_counters *counters, guint64 ended,
		guint64 now, GArray *filed);

/* All counters are 0 again. What ended up to NOW is known or unsure for
   pp_usage_replay(). */
void pp_usage_reset(struct pp_usage *usage, guint64 now);

/* Names of days before the last KEEP_DAYS, at most MAX, whose keys may still be
   there: the caller unsets those that are. They are not named again. The last
   KEEP_DAYS end PP_USAGE_DAYS_SURE days with sessions ago. An array of strings;
   empty for KEEP_DAYS 0. */
GPtrArray *pp_usage_expire(struct pp_usage *usage, guint keep_days, guint max);

/* Total; current month and day with their names (NULL or "" where none). */
const struct pp_counters *pp_usage_total(const struct pp_usage *usage);
const struct pp_counters *pp_usage_month(const struct pp_usage *usage,
					 const char **name_r);
const struct pp_counters *pp_usage_day(const struct pp_usage *usage,
				       const char **name_r);

/* The document of a finished period, and back. */
char *pp_usage_period_encode(const char *name,
			     const struct pp_counters *counters);
gboolean pp_usage_period_decode(const char *text, const char *name,
				struct pp_counters *counters_r,
				GError **error);
/* The document DOC (NULL: there is none yet) of the finished period NAME with
   COUNTERS added, a new string; NULL with ERROR set if DOC cannot be read. */
char *pp_usage_period_add(const char *doc, const char *name,
			  const struct pp_counters *counters, GError **error);

/* The log line of a session that could not be stored. */
struct pp_usage_line {
	char *user, *session;
	guint64 ended;
	struct pp_counters counters;
};

/* "usage not stored, to be replayed: user=..." as a new string. */
char *pp_usage_line_print(const char *user, const char *session,
			  guint64 ended, const struct pp_counters *counters);
/* TRUE if there are the words of such a line in TEXT, a line of a log. */
gboolean pp_usage_line_has(const char *text);
/* Reads such a line, with what the log has in front of it. FALSE with ERROR set
   (SYNTAX) if it cannot be read, or may be what a user got into another line:
   there is more in front than a log prefix with the user's name or the session
   (nothing is right, too). pp_usage_line_clear() frees the two strings. */
gboolean pp_usage_line_parse(const char *text, struct pp_usage_line *line_r,
			     GError **error);
void pp_usage_line_clear(struct pp_usage_line *line);

#endif
