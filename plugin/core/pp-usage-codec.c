/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The text of usage accounting: `usage/now` with its three sets of counters
   ("total.", "month.", "day.") and session ids, and a finished period. Counters
   that are 0 are left out. */
#include <string.h>
#include "pp-usage-private.h"
#include "pp-doc.h"
#include "pp-error.h"

#define DOC_KIND "usage"

char *pp_usage_id(const char *id)
{
	g_autofree char *escaped = pp_escape(id);
	GString *text = g_string_new(escaped);

	g_string_replace(text, ",", "%2C", 0);
	if (text->len > PP_USAGE_ID_MAX_LEN) {
		/* cut ids must still differ where the whole ones do */
		g_string_truncate(text, PP_USAGE_ID_MAX_LEN - 16);
		g_string_append_printf(text, "%016" G_GINT64_MODIFIER "x",
				       pp_hash64(id, strlen(id)));
	}
	return g_string_free(text, FALSE);
}

static void add_counters(GString *body, const char *prefix,
			 const struct pp_counters *counters)
{
	for (guint i = 0; i < PP_COUNTERS; i++) {
		g_autofree char *field = g_strconcat(prefix,
						     pp_counter_name(i), NULL);

		if (counters->value[i] != 0)
			pp_doc_add_uint(body, field, counters->value[i]);
	}
}

static void add_period(GString *body, const char *period, const char *name,
		       const struct pp_counters *counters)
{
	g_autofree char *prefix = g_strconcat(period, ".", NULL);

	if (*name == '\0')
		return;
	pp_doc_add(body, period, name);
	add_counters(body, prefix, counters);
}

static void add_list(GString *body, const char *name, const GArray *counted,
		     gboolean times)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (counted->len == 0)
		return;
	for (guint i = 0; i < counted->len; i++) {
		const struct pp_usage_counted *entry =
			&g_array_index(counted, struct pp_usage_counted, i);

		if (i > 0)
			g_string_append_c(text, ',');
		if (!times)
			g_string_append(text, entry->id);
		else
			g_string_append_printf(text, "%" G_GUINT64_FORMAT,
					       entry->ended);
	}
	pp_doc_add(body, name, text->str);
}

static void add_name(GString *body, const char *field, const char *name)
{
	if (*name != '\0')
		pp_doc_add(body, field, name);
}

static void add_days(GString *body, const struct pp_usage *usage)
{
	g_autoptr(GString) text = g_string_new(usage->days[0]);

	for (guint i = 1; i < PP_USAGE_DAYS_SURE; i++) {
		if (usage->days[i][0] != '\0')
			g_string_append_printf(text, ",%s", usage->days[i]);
	}
	add_name(body, "days", text->str);
}

char *pp_usage_encode(const struct pp_usage *usage)
{
	g_autoptr(GString) body = g_string_new(NULL);

	if (pp_counters_is_zero(&usage->total)) {
		/* a document has at least one field */
		pp_doc_add_uint(body, "total.sessions", 0);
	}
	add_counters(body, "total.", &usage->total);
	add_period(body, "month", usage->month_name, &usage->month);
	add_period(body, "day", usage->day_name, &usage->day);
	add_list(body, "ids", usage->sessions, FALSE);
	add_list(body, "ids_ended", usage->sessions, TRUE);
	add_list(body, "replays", usage->replays, FALSE);
	add_list(body, "replays_ended", usage->replays, TRUE);
	if (usage->forgotten > 0)
		pp_doc_add_uint(body, "forgotten", usage->forgotten);
	add_name(body, "first_day", usage->first_day);
	add_name(body, "last_day", usage->last_day);
	add_name(body, "days_from", usage->days_from);
	add_days(body, usage);
	return pp_doc_finish(DOC_KIND, body);
}

/* TRUE if NAME is a year and month (PARTS 2) or a day (3) of the calendar. */
static gboolean is_date(const char *name, guint parts)
{
	guint part[3] = { 0, 0, 1 };
	g_auto(GStrv) texts = g_strsplit(name, "-", -1);

	if (g_strv_length(texts) != parts)
		return FALSE;
	for (guint i = 0; i < parts; i++) {
		guint32 number;

		if (strlen(texts[i]) != (i == 0 ? 4 : 2) ||
		    !pp_parse_uint32(texts[i], &number))
			return FALSE;
		part[i] = number;
	}
	return part[1] <= 12 && part[2] <= 31 &&
		g_date_valid_dmy(part[2], part[1], part[0]);
}

static gboolean month_is_valid(const char *name)
{
	return is_date(name, 2);
}

static gboolean day_is_valid(const char *name)
{
	return is_date(name, 3);
}

static gboolean set_name(char *name, gsize size, const char *value,
			 gboolean valid, GError **error)
{
	if (!valid) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has a bad date '%.40s'", value);
		return FALSE;
	}
	g_strlcpy(name, value, size);
	return TRUE;
}

static gboolean set_id(struct pp_usage_counted *entry, const char *text)
{
	gsize length = strlen(text);

	g_strlcpy(entry->id, text, sizeof(entry->id));
	return length > 0 && length <= PP_USAGE_ID_MAX_LEN;
}

/* One of the two lists of which an array of at most MAX is made: ids, and when
   they ended. Either may come first. */
static gboolean set_list(GArray *counted, guint max, const char *value,
			 gboolean times, GError **error)
{
	g_auto(GStrv) texts = g_strsplit(value, ",", -1);
	guint count = g_strv_length(texts);
	gboolean valid = count <= max;

	if (valid && count > counted->len)
		g_array_set_size(counted, count);
	for (guint i = 0; valid && i < count; i++) {
		struct pp_usage_counted *entry =
			&g_array_index(counted, struct pp_usage_counted, i);

		valid = times ? pp_parse_uint64(texts[i], &entry->ended) :
			set_id(entry, texts[i]);
	}
	if (!valid) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has bad session ids");
	}
	return valid;
}

/* Reserved for what later versions may add without harm. */
static gboolean is_ignored(const char *name)
{
	return g_str_has_prefix(name, "x-");
}

/* A counter of one of the three sets, or anything unknown. */
static gboolean set_prefixed(struct pp_usage *usage, const char *name,
			     const char *value, GError **error)
{
	static const char *const prefixes[] = { "total.", "month.", "day." };
	struct pp_counters *sets[] = {
		&usage->total, &usage->month, &usage->day
	};

	for (guint i = 0; i < G_N_ELEMENTS(prefixes); i++) {
		if (g_str_has_prefix(name, prefixes[i])) {
			return pp_counters_set(sets[i],
					       name + strlen(prefixes[i]),
					       value, error);
		}
	}
	if (is_ignored(name))
		return TRUE;
	g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
		    "has an unknown field '%.40s'", name);
	return FALSE;
}

/* KIND is what follows the array's name. */
static gboolean set_ids(GArray *counted, guint max, const char *kind,
			const char *value, GError **error)
{
	gboolean times = strcmp(kind, "_ended") == 0;

	if (times || *kind == '\0')
		return set_list(counted, max, value, times, error);
	g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
		    "has an unknown field of ids");
	return FALSE;
}

static gboolean set_forgotten(struct pp_usage *usage, const char *value,
			      GError **error)
{
	if (pp_parse_uint64(value, &usage->forgotten))
		return TRUE;
	g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
		    "has a bad number for 'forgotten'");
	return FALSE;
}

/* Each later than the one before. */
static gboolean set_days(struct pp_usage *usage, const char *value,
			 GError **error)
{
	g_auto(GStrv) days = g_strsplit(value, ",", -1);
	const char *before = "";
	gboolean valid = g_strv_length(days) <= PP_USAGE_DAYS_SURE;

	for (guint i = 0; valid && days[i] != NULL; i++) {
		valid = day_is_valid(days[i]) && strcmp(before, days[i]) < 0;
		g_strlcpy(usage->days[i], days[i], sizeof(usage->days[i]));
		before = days[i];
	}
	if (!valid)
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX, "has bad days");
	return valid;
}

static gboolean set_field(struct pp_usage *usage, const char *name,
			  const char *value, GError **error)
{
	if (strcmp(name, "month") == 0) {
		return set_name(usage->month_name, sizeof(usage->month_name),
				value, month_is_valid(value), error);
	}
	if (strcmp(name, "day") == 0) {
		return set_name(usage->day_name, sizeof(usage->day_name),
				value, day_is_valid(value), error);
	}
	if (strcmp(name, "days") == 0)
		return set_days(usage, value, error);
	if (strcmp(name, "first_day") == 0) {
		return set_name(usage->first_day, sizeof(usage->first_day),
				value, day_is_valid(value), error);
	}
	if (strcmp(name, "last_day") == 0) {
		return set_name(usage->last_day, sizeof(usage->last_day),
				value, day_is_valid(value), error);
	}
	if (strcmp(name, "days_from") == 0) {
		return set_name(usage->days_from, sizeof(usage->days_from),
				value, day_is_valid(value), error);
	}
	if (g_str_has_prefix(name, "ids")) {
		return set_ids(usage->sessions, PP_USAGE_SESSIONS_MAX,
			       name + strlen("ids"), value, error);
	}
	if (g_str_has_prefix(name, "replays")) {
		return set_ids(usage->replays, PP_USAGE_REPLAYS_MAX,
			       name + strlen("replays"), value, error);
	}
	if (strcmp(name, "forgotten") == 0)
		return set_forgotten(usage, value, error);
	return set_prefixed(usage, name, value, error);
}

/* Counters of a period that has no name could never be filed. */
static gboolean check_names(const struct pp_usage *usage, GError **error)
{
	if ((usage->month_name[0] != '\0' ||
	     pp_counters_is_zero(&usage->month)) &&
	    (usage->day_name[0] != '\0' || pp_counters_is_zero(&usage->day)))
		return TRUE;
	g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
		    "has counters of a period without a name");
	return FALSE;
}

/* There may be more times than ids only by mistake. */
static gboolean check_ids(const GArray *counted, GError **error)
{
	for (guint i = 0; i < counted->len; i++) {
		if (g_array_index(counted, struct pp_usage_counted,
				  i).id[0] != '\0')
			continue;
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has times without session ids");
		return FALSE;
	}
	return TRUE;
}

struct pp_usage *pp_usage_decode(const char *text, GError **error)
{
	g_autoptr(GHashTable) doc = pp_doc_parse(DOC_KIND, text, error);
	struct pp_usage *usage;
	gpointer name, value;
	GHashTableIter iter;
	gboolean valid = TRUE;

	if (doc == NULL)
		return NULL;
	usage = pp_usage_new();
	g_hash_table_iter_init(&iter, doc);
	while (valid && g_hash_table_iter_next(&iter, &name, &value))
		valid = set_field(usage, name, value, error);
	if (valid && check_names(usage, error) &&
	    check_ids(usage->sessions, error) &&
	    check_ids(usage->replays, error))
		return usage;
	pp_usage_free(usage);
	return NULL;
}

char *pp_usage_period_encode(const char *name,
			     const struct pp_counters *counters)
{
	g_autoptr(GString) body = g_string_new(NULL);

	pp_doc_add(body, "period", name);
	add_counters(body, "", counters);
	return pp_doc_finish(DOC_KIND, body);
}

gboolean pp_usage_period_decode(const char *text, const char *name,
				struct pp_counters *counters_r,
				GError **error)
{
	g_autoptr(GHashTable) doc = pp_doc_parse(DOC_KIND, text, error);
	struct pp_counters counters = { 0 };
	gpointer field, value;
	GHashTableIter iter;

	if (doc == NULL)
		return FALSE;
	if (g_strcmp0(g_hash_table_lookup(doc, "period"), name) != 0) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "is not about the period %s", name);
		return FALSE;
	}
	g_hash_table_remove(doc, "period");
	g_hash_table_iter_init(&iter, doc);
	while (g_hash_table_iter_next(&iter, &field, &value)) {
		if (!is_ignored(field) &&
		    !pp_counters_set(&counters, field, value, error))
			return FALSE;
	}
	*counters_r = counters;
	return TRUE;
}

char *pp_usage_period_add(const char *doc, const char *name,
			  const struct pp_counters *counters, GError **error)
{
	struct pp_counters sum = { 0 };

	if (doc != NULL && !pp_usage_period_decode(doc, name, &sum, error))
		return NULL;
	pp_counters_add(&sum, counters);
	return pp_usage_period_encode(name, &sum);
}
