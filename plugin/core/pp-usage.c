/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Usage accounting: counters, and the periods that they are counted in. */
#include <string.h>
#include "pp-usage-private.h"
#include "pp-doc.h"

/* 9999-12-31T23:59:59Z: what GDateTime can name in four digits */
#define USAGE_TIME_MAX G_GUINT64_CONSTANT(253402300799)

struct pp_usage *pp_usage_new(void)
{
	struct pp_usage *usage = g_new0(struct pp_usage, 1);

	usage->sessions = g_array_new(FALSE, TRUE,
				      sizeof(struct pp_usage_counted));
	usage->replays = g_array_new(FALSE, TRUE,
				     sizeof(struct pp_usage_counted));
	return usage;
}

void pp_usage_free(struct pp_usage *usage)
{
	if (usage == NULL)
		return;
	g_array_unref(usage->sessions);
	g_array_unref(usage->replays);
	g_free(usage);
}

static void filed_clear(gpointer data)
{
	struct pp_usage_filed *filed = data;

	g_free(filed->doc);
}

GArray *pp_usage_filed_array(void)
{
	GArray *filed = g_array_new(FALSE, TRUE,
				    sizeof(struct pp_usage_filed));

	g_array_set_clear_func(filed, filed_clear);
	return filed;
}

static struct pp_usage_counted *get_counted(const GArray *array, guint i)
{
	return &g_array_index(array, struct pp_usage_counted, i);
}

static gboolean has_id(const GArray *array, const char *id)
{
	for (guint i = 0; i < array->len; i++) {
		if (strcmp(get_counted(array, i)->id, id) == 0)
			return TRUE;
	}
	return FALSE;
}

/* Forgets the one that ended first, so that the time up to which nothing is
   sure moves as little as it can. */
static void forget_one(struct pp_usage *usage, GArray *array)
{
	guint first = 0;
	guint64 ended;

	for (guint i = 1; i < array->len; i++) {
		if (get_counted(array, i)->ended <
		    get_counted(array, first)->ended)
			first = i;
	}
	ended = get_counted(array, first)->ended;
	if (ended == 0)
		ended = usage->total.value[PP_LAST_SESSION];
	usage->forgotten = MAX(usage->forgotten, ended);
	g_array_remove_index(array, first);
}

static void remember_id(struct pp_usage *usage, GArray *array, guint max,
			const char *id, guint64 ended)
{
	struct pp_usage_counted counted = { .ended = ended };

	while (array->len >= max)
		forget_one(usage, array);
	g_strlcpy(counted.id, id, sizeof(counted.id));
	g_array_append_val(array, counted);
}

static void file_period(const char *name, const struct pp_counters *counters,
			GArray *filed)
{
	struct pp_usage_filed entry = {
		.doc = pp_usage_period_encode(name, counters)
	};

	g_strlcpy(entry.name, name, sizeof(entry.name));
	g_array_append_val(filed, entry);
}

/* To be added to what is stored: see pp_usage_replay(). */
static void file_late(const char *name, GArray *filed)
{
	struct pp_usage_filed entry = { .doc = NULL };

	g_strlcpy(entry.name, name, sizeof(entry.name));
	g_array_append_val(filed, entry);
}

/* Counts into the period NAME, unless a later one has begun. Names of one kind
   sort as their times do. */
static void add_to_period(struct pp_counters *period, char *period_name,
			  const char *name, const struct pp_counters *counters,
			  gboolean late, GArray *filed)
{
	int order = strcmp(name, period_name);

	if (order < 0 && late) {
		file_late(name, filed);
		return;
	}
	if (order > 0) {
		if (*period_name != '\0')
			file_period(period_name, period, filed);
		memset(period, 0, sizeof(*period));
		strcpy(period_name, name);
	}
	pp_counters_add(period, counters);
}

/* LATE: a period that is over gets them all the same. */
static void add_counters(struct pp_usage *usage,
			 const struct pp_counters *counters, guint64 now,
			 gboolean late, GArray *filed)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(
		MIN(now, USAGE_TIME_MAX));
	g_autofree char *month = g_date_time_format(time, "%Y-%m");
	g_autofree char *day = g_date_time_format(time, "%Y-%m-%d");

	pp_counters_add(&usage->total, counters);
	add_to_period(&usage->month, usage->month_name, month, counters, late,
		      filed);
	/* a day whose key is gone does not come back */
	if (!late || strcmp(day, usage->days_from) >= 0) {
		add_to_period(&usage->day, usage->day_name, day, counters,
			      late, filed);
	}
}

static gboolean is_known(const struct pp_usage *usage, const char *known_as)
{
	return has_id(usage->sessions, known_as) ||
		has_id(usage->replays, known_as);
}

gboolean pp_usage_add(struct pp_usage *usage, const char *session_id,
		      const struct pp_counters *counters, guint64 now,
		      GArray *filed)
{
	if (session_id != NULL && *session_id != '\0') {
		g_autofree char *known_as = pp_usage_id(session_id);

		if (is_known(usage, known_as))
			return FALSE;
		remember_id(usage, usage->sessions, PP_USAGE_SESSIONS_MAX,
			    known_as, now);
	}
	add_counters(usage, counters, now, FALSE, filed);
	return TRUE;
}

enum pp_replay
pp_usage_replay(struct pp_usage *usage, const char *session_id,
		const struct pp_counters *counters, guint64 ended,
		guint64 now, GArray *filed)
{
	g_autofree char *known_as = pp_usage_id(session_id);

	if (is_known(usage, known_as))
		return PP_REPLAY_KNOWN;
	if (ended > now)
		return PP_REPLAY_AHEAD;
	if (ended <= usage->forgotten)
		return PP_REPLAY_UNSURE;
	remember_id(usage, usage->replays, PP_USAGE_REPLAYS_MAX, known_as,
		    ended);
	add_counters(usage, counters, ended, TRUE, filed);
	return PP_REPLAY_ADDED;
}

void pp_usage_reset(struct pp_usage *usage, guint64 now)
{
	memset(&usage->total, 0, sizeof(usage->total));
	memset(&usage->month, 0, sizeof(usage->month));
	memset(&usage->day, 0, sizeof(usage->day));
	usage->month_name[0] = '\0';
	usage->day_name[0] = '\0';
	usage->days_from[0] = '\0';
	usage->forgotten = MAX(usage->forgotten, now);
}

static GDateTime *day_time(const char *name)
{
	g_autofree char *text = g_strconcat(name, "T00:00:00Z", NULL);

	return g_date_time_new_from_iso8601(text, NULL);
}

/* The first day that may have a key of its own. */
static GDateTime *first_day(const struct pp_usage *usage)
{
	guint64 first = usage->total.value[PP_FIRST_SESSION];

	if (usage->days_from[0] != '\0')
		return day_time(usage->days_from);
	return g_date_time_new_from_unix_utc(MIN(first, USAGE_TIME_MAX));
}

GPtrArray *pp_usage_expire(struct pp_usage *usage, guint keep_days, guint max)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDateTime) today = NULL, keep = NULL, day = NULL;

	if (keep_days == 0 || usage->day_name[0] == '\0')
		return names;
	today = day_time(usage->day_name);
	keep = g_date_time_add_days(today, -(gint)MIN(keep_days, 3000000));
	day = first_day(usage);
	while (keep != NULL && names->len < max &&
	       g_date_time_compare(day, keep) < 0) {
		g_autoptr(GDateTime) next = g_date_time_add_days(day, 1);
		g_autofree char *from = g_date_time_format(next, "%Y-%m-%d");

		g_ptr_array_add(names, g_date_time_format(day, "%Y-%m-%d"));
		g_strlcpy(usage->days_from, from, sizeof(usage->days_from));
		g_date_time_unref(day);
		day = g_steal_pointer(&next);
	}
	return names;
}

const struct pp_counters *pp_usage_total(const struct pp_usage *usage)
{
	return &usage->total;
}

const struct pp_counters *pp_usage_month(const struct pp_usage *usage,
					 const char **name_r)
{
	*name_r = usage->month_name;
	return &usage->month;
}

const struct pp_counters *pp_usage_day(const struct pp_usage *usage,
				       const char **name_r)
{
	*name_r = usage->day_name;
	return &usage->day;
}
