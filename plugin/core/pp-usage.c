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

static void file_begun(const char *name, GArray *filed)
{
	struct pp_usage_filed entry = { .begun = TRUE };

	g_strlcpy(entry.name, name, sizeof(entry.name));
	g_array_append_val(filed, entry);
}

/* FALSE: it is later than all that there were. */
static gboolean may_be_filed(const struct pp_usage *usage, const char *name)
{
	return usage->last_day[0] == '\0' ||
		strncmp(name, usage->last_day, strlen(name)) <= 0;
}

/* Counts into the period NAME, which becomes the current one. Names of one kind
   sort as their times do. LATE: an earlier one does not. */
static void add_to_period(const struct pp_usage *usage,
			  struct pp_counters *period, char *period_name,
			  const char *name, const struct pp_counters *counters,
			  gboolean late, GArray *filed)
{
	int order = strcmp(name, period_name);

	if (order < 0 && late) {
		file_late(name, filed);
		return;
	}
	if (order != 0) {
		if (*period_name != '\0')
			file_period(period_name, period, filed);
		memset(period, 0, sizeof(*period));
		strcpy(period_name, name);
		if (may_be_filed(usage, name))
			file_begun(name, filed);
	}
	pp_counters_add(period, counters);
}

static guint count_days(const struct pp_usage *usage)
{
	guint count = 0;

	while (count < PP_USAGE_DAYS_SURE && usage->days[count][0] != '\0')
		count++;
	return count;
}

/* DAY becomes the current one. Days that are still to come then were a wrong
   clock's. */
static void note_day(struct pp_usage *usage, const char *day)
{
	guint count = count_days(usage);

	while (count > 0 && strcmp(usage->days[count - 1], day) >= 0)
		usage->days[--count][0] = '\0';
	if (usage->day_name[0] == '\0' || strcmp(usage->day_name, day) >= 0)
		return;
	if (count == PP_USAGE_DAYS_SURE) {
		memmove(usage->days[0], usage->days[1],
			sizeof(usage->days) - sizeof(usage->days[0]));
		count--;
	}
	strcpy(usage->days[count], usage->day_name);
}

static char *format_time(guint64 when, const char *format)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(
		MIN(when, USAGE_TIME_MAX));

	return g_date_time_format(time, format);
}

static void note_first_day(struct pp_usage *usage, const char *day)
{
	guint64 first = usage->total.value[PP_FIRST_SESSION];

	if (usage->first_day[0] == '\0' && first != 0) {
		g_autofree char *name = format_time(first, "%Y-%m-%d");

		g_strlcpy(usage->first_day, name, sizeof(usage->first_day));
	}
	if (usage->first_day[0] == '\0' || strcmp(day, usage->first_day) < 0)
		g_strlcpy(usage->first_day, day, sizeof(usage->first_day));
}

static void add_to_day(struct pp_usage *usage, const char *day,
		       const struct pp_counters *counters, gboolean late,
		       GArray *filed)
{
	note_first_day(usage, day);
	if (!late || strcmp(day, usage->day_name) > 0)
		note_day(usage, day);
	add_to_period(usage, &usage->day, usage->day_name, day, counters, late,
		      filed);
	if (strcmp(day, usage->last_day) > 0)
		g_strlcpy(usage->last_day, day, sizeof(usage->last_day));
}

/* LATE: a line that is replayed. A day whose key is gone does not come back. */
static void add_counters(struct pp_usage *usage,
			 const struct pp_counters *counters, guint64 now,
			 gboolean late, GArray *filed)
{
	g_autofree char *month = format_time(now, "%Y-%m");
	g_autofree char *day = format_time(now, "%Y-%m-%d");
	gboolean gone = strcmp(day, usage->days_from) < 0;

	if (gone && !late && usage->day_name[0] != '\0') {
		pp_counters_add(&usage->month, counters);
		pp_counters_add(&usage->day, counters);
	} else {
		add_to_period(usage, &usage->month, usage->month_name, month,
			      counters, late, filed);
		if (!gone)
			add_to_day(usage, day, counters, late, filed);
	}
	pp_counters_add(&usage->total, counters);
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

gboolean pp_usage_take(struct pp_usage *usage, const char *name,
		       const char *doc, GError **error)
{
	struct pp_counters counters;

	if (!pp_usage_period_decode(doc, name, &counters, error))
		return FALSE;
	if (strcmp(name, usage->month_name) == 0)
		pp_counters_add(&usage->month, &counters);
	else if (strcmp(name, usage->day_name) == 0)
		pp_counters_add(&usage->day, &counters);
	return TRUE;
}

void pp_usage_reset(struct pp_usage *usage, guint64 now)
{
	memset(&usage->total, 0, sizeof(usage->total));
	memset(&usage->month, 0, sizeof(usage->month));
	memset(&usage->day, 0, sizeof(usage->day));
	usage->month_name[0] = '\0';
	usage->day_name[0] = '\0';
	usage->first_day[0] = '\0';
	usage->last_day[0] = '\0';
	usage->days_from[0] = '\0';
	memset(usage->days, 0, sizeof(usage->days));
	usage->forgotten = MAX(usage->forgotten, now);
}

static GDateTime *day_time(const char *name)
{
	g_autofree char *text = g_strconcat(name, "T00:00:00Z", NULL);

	return g_date_time_new_from_iso8601(text, NULL);
}

GPtrArray *pp_usage_expire(struct pp_usage *usage, guint keep_days, guint max)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDateTime) sure = NULL, keep = NULL, day = NULL;

	if (keep_days == 0 || count_days(usage) < PP_USAGE_DAYS_SURE)
		return names;
	sure = day_time(usage->days[0]);
	keep = g_date_time_add_days(sure, -(gint)MIN(keep_days, 3000000));
	day = day_time(usage->days_from[0] != '\0' ? usage->days_from :
		       usage->first_day);
	while (keep != NULL && day != NULL && names->len < max &&
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
