/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See report-data.h. */
#include <stdio.h>
#include <string.h>
#include <json-glib/json-glib.h>
#include "pp-doc.h"
#include "report-data.h"

/* more than ten years of days: a wrong clock's year 9999 is not drawn */
#define REPORT_PERIODS_MAX 4000

enum row_kind {
	ROW_TOTAL,
	ROW_MONTH,
	ROW_DAY,
	ROW_KINDS
};

struct row {
	char *user, *period;
	enum row_kind kind;
	struct pp_counters counters;
};

static void row_free(gpointer data)
{
	struct row *row = data;

	g_free(row->user);
	g_free(row->period);
	g_free(row);
}

static void sum_free(gpointer data)
{
	struct report_sum *sum = data;

	g_free(sum->name);
	g_free(sum);
}

/* Of what JsonReader calls a value: a text, or a number. NULL if neither. */
static char *node_text(JsonNode *node)
{
	if (node == NULL || !JSON_NODE_HOLDS_VALUE(node))
		return NULL;
	if (json_node_get_value_type(node) == G_TYPE_STRING)
		return json_node_dup_string(node);
	if (json_node_get_value_type(node) == G_TYPE_INT64) {
		return g_strdup_printf("%" G_GINT64_FORMAT,
				       json_node_get_int(node));
	}
	return NULL;
}

static char *member_text(JsonObject *object, const char *name)
{
	return node_text(json_object_get_member(object, name));
}

static gboolean parse_time(const char *text, guint64 *value_r)
{
	g_autoptr(GDateTime) time = NULL;

	if (strcmp(text, "-") == 0)
		return TRUE;
	time = g_date_time_new_from_iso8601(text, NULL);
	if (time == NULL || g_date_time_to_unix(time) < 0)
		return FALSE;
	*value_r = (guint64)g_date_time_to_unix(time);
	return TRUE;
}

/* A counter that is not there is 0: an older version may not have had it. */
static gboolean parse_counter(JsonObject *object, enum pp_counter counter,
			      guint64 *value_r, GError **error)
{
	const char *name = pp_counter_name(counter);
	g_autofree char *text = member_text(object, name);
	gboolean valid;

	if (!json_object_has_member(object, name))
		return TRUE;
	if (text == NULL)
		valid = FALSE;
	else if (counter == PP_FIRST_SESSION || counter == PP_LAST_SESSION)
		valid = parse_time(text, value_r);
	else
		valid = pp_parse_uint64(text, value_r);
	if (!valid) {
		g_set_error(error, JSON_PARSER_ERROR,
			    JSON_PARSER_ERROR_INVALID_DATA,
			    "'%s' is no value of %s",
			    text == NULL ? "what is there" : text, name);
	}
	return valid;
}

static gboolean parse_period(struct row *row)
{
	g_autoptr(GDateTime) time = NULL;
	g_autofree char *text = NULL;

	if (row->period == NULL)
		return FALSE;
	if (strcmp(row->period, "total") == 0) {
		row->kind = ROW_TOTAL;
		return TRUE;
	}
	row->kind = strlen(row->period) == strlen("2026-11") ? ROW_MONTH :
		ROW_DAY;
	text = g_strconcat(row->period, row->kind == ROW_MONTH ? "-01" : "",
			   "T00:00:00Z", NULL);
	time = g_date_time_new_from_iso8601(text, NULL);
	return time != NULL && strlen(text) == strlen("2026-11-24T00:00:00Z");
}

static struct row *parse_row(JsonNode *node, const char *default_user,
			     GError **error)
{
	struct row *row = g_new0(struct row, 1);
	JsonObject *object;
	gboolean valid = FALSE;

	if (JSON_NODE_HOLDS_OBJECT(node)) {
		object = json_node_get_object(node);
		row->user = member_text(object, "username");
		if (row->user == NULL)
			row->user = g_strdup(default_user);
		row->period = member_text(object, "period");
		valid = parse_period(row);
	}
	if (!valid) {
		g_set_error(error, JSON_PARSER_ERROR,
			    JSON_PARSER_ERROR_INVALID_DATA,
			    "a row is not of `doveadm pop3 usage show`");
	}
	for (guint i = 0; valid && i < PP_COUNTERS; i++) {
		valid = parse_counter(object, i, &row->counters.value[i],
				      error);
	}
	if (valid)
		return row;
	row_free(row);
	return NULL;
}

/* Puts quotes around numbers that are not in texts and may not fit into the
   signed ones that the library has. NULL with ERROR set. */
static char *quote_numbers(const char *json, gssize length, GError **error)
{
	g_autoptr(GRegex) regex = g_regex_new(
		"\"(?:[^\"\\\\]++|\\\\.)*+\"(*SKIP)(*FAIL)|"
		"(?<![\\d.eE+-])\\d{19,20}(?![\\d.eE])",
		G_REGEX_RAW | G_REGEX_DOTALL, 0, error);

	return regex == NULL ? NULL :
		g_regex_replace(regex, json, length, 0, "\"\\0\"", 0, error);
}

static GPtrArray *parse_rows(const char *json, gssize length,
			     const char *default_user, GError **error)
{
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(row_free);
	g_autofree char *text = quote_numbers(json, length, error);
	JsonNode *root;
	JsonArray *array;

	if (text == NULL ||
	    !json_parser_load_from_data(parser, text, -1, error))
		return NULL;
	root = json_parser_get_root(parser);
	if (root == NULL || !JSON_NODE_HOLDS_ARRAY(root)) {
		g_set_error(error, JSON_PARSER_ERROR,
			    JSON_PARSER_ERROR_INVALID_DATA,
			    "it is no list of rows");
		return NULL;
	}
	array = json_node_get_array(root);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		struct row *row = parse_row(json_array_get_element(array, i),
					    default_user, error);

		if (row == NULL)
			return NULL;
		g_ptr_array_add(rows, row);
	}
	return g_steal_pointer(&rows);
}

static void add_sum(GHashTable *sums, const char *name,
		    const struct pp_counters *counters)
{
	struct report_sum *sum = g_hash_table_lookup(sums, name);

	if (sum == NULL) {
		sum = g_new0(struct report_sum, 1);
		sum->name = g_strdup(name);
		g_hash_table_insert(sums, sum->name, sum);
	}
	pp_counters_add(&sum->counters, counters);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
	const struct report_sum *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* Takes the sums out of SUMS. */
static GPtrArray *sorted(GHashTable *sums)
{
	GPtrArray *array = g_ptr_array_new_with_free_func(sum_free);
	GHashTableIter iter;
	gpointer sum;

	g_hash_table_iter_init(&iter, sums);
	while (g_hash_table_iter_next(&iter, NULL, &sum))
		g_ptr_array_add(array, sum);
	g_ptr_array_sort(array, compare_names);
	return array;
}

static void next_period(GDate *date, gboolean month)
{
	if (month)
		g_date_add_months(date, 1);
	else
		g_date_add_days(date, 1);
}

/* Periods in which nobody came have no rows, but a place in a picture. */
static void fill_gaps(GHashTable *sums, gboolean month)
{
	const struct pp_counters none = { 0 };
	g_autoptr(GPtrArray) names = sorted(sums);
	const struct report_sum *first, *last;
	char name[sizeof("2026-11-24")];
	guint year, number, day = 1, count = 0;
	GDate date;

	g_ptr_array_set_free_func(names, NULL);
	if (names->len == 0)
		return;
	first = names->pdata[0];
	last = names->pdata[names->len - 1];
	if (sscanf(first->name, "%4u-%2u-%2u", &year, &number, &day) < 2)
		return;
	g_date_clear(&date, 1);
	g_date_set_dmy(&date, day, number, year);
	do {
		g_date_strftime(name, sizeof(name),
				month ? "%Y-%m" : "%Y-%m-%d", &date);
		add_sum(sums, name, &none);
		next_period(&date, month);
	} while (strcmp(name, last->name) < 0 &&
		 ++count < REPORT_PERIODS_MAX);
}

/* The finest kind of period that there is, and the one that users' sums are
   made of. */
static void find_kinds(const GPtrArray *rows, enum row_kind *time_kind_r,
		       enum row_kind *user_kind_r)
{
	gboolean found[ROW_KINDS] = { FALSE };

	for (guint i = 0; i < rows->len; i++)
		found[((const struct row *)rows->pdata[i])->kind] = TRUE;
	*time_kind_r = found[ROW_DAY] ? ROW_DAY : ROW_MONTH;
	*user_kind_r = found[ROW_TOTAL] ? ROW_TOTAL : *time_kind_r;
}

static struct report *make_report(const GPtrArray *rows)
{
	struct report *report = g_new0(struct report, 1);
	g_autoptr(GHashTable) users = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) periods =
		g_hash_table_new(g_str_hash, g_str_equal);
	enum row_kind time_kind, user_kind;

	find_kinds(rows, &time_kind, &user_kind);
	for (guint i = 0; i < rows->len; i++) {
		const struct row *row = rows->pdata[i];

		if (row->kind == user_kind) {
			add_sum(users, row->user, &row->counters);
			pp_counters_add(&report->total, &row->counters);
		}
		if (row->kind == time_kind)
			add_sum(periods, row->period, &row->counters);
	}
	fill_gaps(periods, time_kind == ROW_MONTH);
	report->users = sorted(users);
	report->periods = sorted(periods);
	return report;
}

struct report *report_parse(const char *json, gssize length,
			    const char *default_user, GError **error)
{
	g_autoptr(GPtrArray) rows = parse_rows(json, length, default_user,
					       error);

	return rows == NULL ? NULL : make_report(rows);
}

void report_free(struct report *report)
{
	if (report == NULL)
		return;
	g_ptr_array_unref(report->users);
	g_ptr_array_unref(report->periods);
	g_free(report);
}

static guint64 saturated(guint64 a, guint64 b)
{
	return a > G_MAXUINT64 - b ? G_MAXUINT64 : a + b;
}

guint64 report_messages(const struct pp_counters *counters)
{
	return saturated(counters->value[PP_RETR_COUNT],
			 counters->value[PP_TOP_COUNT]);
}

guint64 report_bytes(const struct pp_counters *counters)
{
	return saturated(counters->value[PP_RETR_BYTES],
			 counters->value[PP_TOP_BYTES]);
}
