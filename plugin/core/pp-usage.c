/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Usage accounting: counters, and the periods that they are counted in. */
#include <string.h>
#include "pp-usage-private.h"

/* 9999-12-31T23:59:59Z: what GDateTime can name in four digits */
#define USAGE_TIME_MAX G_GUINT64_CONSTANT(253402300799)

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
			a = a > G_MAXUINT64 - b ? G_MAXUINT64 : a + b;
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

struct pp_usage *pp_usage_new(void)
{
	struct pp_usage *usage = g_new0(struct pp_usage, 1);

	usage->sessions = g_ptr_array_new_with_free_func(g_free);
	usage->replays = g_ptr_array_new_with_free_func(g_free);
	return usage;
}

void pp_usage_free(struct pp_usage *usage)
{
	if (usage == NULL)
		return;
	g_ptr_array_unref(usage->sessions);
	g_ptr_array_unref(usage->replays);
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

static gboolean has_id(const GPtrArray *ids, const char *id)
{
	for (guint i = 0; i < ids->len; i++) {
		if (strcmp(ids->pdata[i], id) == 0)
			return TRUE;
	}
	return FALSE;
}

static void remember_id(GPtrArray *ids, const char *id, guint max)
{
	g_ptr_array_add(ids, g_strdup(id));
	if (ids->len > max)
		g_ptr_array_remove_range(ids, 0, ids->len - max);
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

/* Counts into the period NAME, unless a later one has begun. Names of one kind
   sort as their times do. */
static void add_to_period(struct pp_counters *period, char *period_name,
			  const char *name, const struct pp_counters *counters,
			  GArray *filed)
{
	if (strcmp(name, period_name) > 0) {
		if (*period_name != '\0')
			file_period(period_name, period, filed);
		memset(period, 0, sizeof(*period));
		strcpy(period_name, name);
	}
	pp_counters_add(period, counters);
}

static void add_counters(struct pp_usage *usage,
			 const struct pp_counters *counters, guint64 now,
			 GArray *filed)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(
		MIN(now, USAGE_TIME_MAX));
	g_autofree char *month = g_date_time_format(time, "%Y-%m");
	g_autofree char *day = g_date_time_format(time, "%Y-%m-%d");

	pp_counters_add(&usage->total, counters);
	add_to_period(&usage->month, usage->month_name, month, counters,
		      filed);
	add_to_period(&usage->day, usage->day_name, day, counters, filed);
}

static gboolean add_once(struct pp_usage *usage, const char *id, GPtrArray *ids,
			 guint max, const struct pp_counters *counters,
			 guint64 now, GArray *filed)
{
	if (id != NULL && *id != '\0') {
		g_autofree char *known_as = pp_usage_id(id);

		if (has_id(usage->sessions, known_as) ||
		    has_id(usage->replays, known_as))
			return FALSE;
		remember_id(ids, known_as, max);
	}
	add_counters(usage, counters, now, filed);
	return TRUE;
}

gboolean pp_usage_add(struct pp_usage *usage, const char *session_id,
		      const struct pp_counters *counters, guint64 now,
		      GArray *filed)
{
	return add_once(usage, session_id, usage->sessions,
			PP_USAGE_SESSIONS_MAX, counters, now, filed);
}

gboolean pp_usage_replay(struct pp_usage *usage, const char *session_id,
			 const struct pp_counters *counters, guint64 ended,
			 GArray *filed)
{
	return add_once(usage, session_id, usage->replays,
			PP_USAGE_REPLAYS_MAX, counters, ended, filed);
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
