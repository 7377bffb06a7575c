/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Usage: counters, the periods they are counted in, and their documents. */
#include "pp-usage.h"
#include "test-common.h"

/* 2026-11-24T12:00:00Z */
#define NOON G_GUINT64_CONSTANT(1795521600)
#define DAY G_GUINT64_CONSTANT(86400)
/* with room for some seconds */
#define LATEST (G_MAXUINT64 - 1000)

#define GOLDEN_COUNTERS \
	"total.sessions=2 total.retr_count=20 " \
	"total.retr_bytes=4096 total.first_session=1795521600 " \
	"total.last_session=1795608000 month=2026-11 month.sessions=2 " \
	"month.retr_count=20 month.retr_bytes=4096 " \
	"month.first_session=1795521600 month.last_session=1795608000 " \
	"day=2026-11-25 day.sessions=1 day.first_session=1795608000 " \
	"day.last_session=1795608000 ids=s1,a%2Cb%20c "
#define GOLDEN_TIMES \
	"ids_ended=1795521600,1795608000 replays=s3 " \
	"replays_ended=1795521600"
static const char golden_now[] =
	"pp1 usage bb75d29df6b335fc " GOLDEN_COUNTERS GOLDEN_TIMES
	" first_day=2026-11-24 last_day=2026-11-25 days=2026-11-24";
/* of a version that did not store which days there were */
static const char golden_without_days[] =
	"pp1 usage ec61b7b7e278fdc4 " GOLDEN_COUNTERS GOLDEN_TIMES;
/* of a version that did not store when they ended */
static const char golden_without_times[] =
	"pp1 usage fa211c4ee238294e " GOLDEN_COUNTERS "replays=s3";
static const char golden_period[] =
	"pp1 usage b0f81848dc792caf period=2026-11-24 sessions=2 "
	"retr_count=20 retr_bytes=4096 first_session=1795521600 "
	"last_session=1795521660";

static gboolean read_usage(const char *text, GError **error)
{
	struct pp_usage *usage = pp_usage_decode(text, error);

	if (usage == NULL)
		return FALSE;
	pp_usage_free(usage);
	return TRUE;
}

static gboolean read_period(const char *text, GError **error)
{
	struct pp_counters counters;

	return pp_usage_period_decode(text, "2026-11-24", &counters, error);
}

static struct pp_counters session_counters(guint64 retr_count, guint64 now)
{
	struct pp_counters counters = { 0 };

	counters.value[PP_SESSIONS] = 1;
	counters.value[PP_RETR_COUNT] = retr_count;
	counters.value[PP_FIRST_SESSION] = now;
	counters.value[PP_LAST_SESSION] = now;
	return counters;
}

/* Counts a session of that id; nothing but its number of RETRs. */
static gboolean add(struct pp_usage *usage, const char *id, guint64 retr_count,
		    guint64 now, GArray *filed)
{
	struct pp_counters counters = session_counters(retr_count, now);

	return pp_usage_add(usage, id, &counters, now, filed);
}

static void check_period(const struct pp_counters *counters, const char *name,
			 const char *expected_name, guint64 retr_count)
{
	g_assert_cmpstr(name, ==, expected_name);
	g_assert_cmpuint(counters->value[PP_RETR_COUNT], ==, retr_count);
}

static void check_usage(const struct pp_usage *usage, guint64 total,
			const char *month, guint64 month_count,
			const char *day, guint64 day_count)
{
	const struct pp_counters *counters;
	const char *name;

	g_assert_cmpuint(pp_usage_total(usage)->value[PP_RETR_COUNT], ==,
			 total);
	counters = pp_usage_month(usage, &name);
	check_period(counters, name, month, month_count);
	counters = pp_usage_day(usage, &name);
	check_period(counters, name, day, day_count);
}

static const char *const names[] = {
	"sessions", "sessions_aborted", "seconds", "retr_count", "retr_bytes",
	"top_count", "top_bytes", "retr_aborted_count", "retr_aborted_bytes",
	"top_aborted_count", "top_aborted_bytes", "again_count",
	"again_bytes", "uidl_count", "list_count", "dele_count",
	"removed_count", "removed_bytes", "in_bytes", "out_bytes",
	"first_session", "last_session"
};

static void test_names(void)
{
	g_assert_cmpuint(G_N_ELEMENTS(names), ==, PP_COUNTERS);
	for (guint i = 0; i < PP_COUNTERS; i++)
		g_assert_cmpstr(pp_counter_name(i), ==, names[i]);
}

struct add_row {
	const char *what;
	enum pp_counter counter;
	guint64 a, b, sum;
};

static const struct add_row add_rows[] = {
	{ "a sum", PP_RETR_BYTES, 5, 7, 12 },
	{ "just fits", PP_IN_BYTES, G_MAXUINT64 - 1, 1, G_MAXUINT64 },
	{ "saturates", PP_OUT_BYTES, G_MAXUINT64 - 1, 2, G_MAXUINT64 },
	{ "full stays full", PP_SECONDS, G_MAXUINT64, G_MAXUINT64,
	  G_MAXUINT64 },
	{ "the earliest", PP_FIRST_SESSION, 10, 9, 9 },
	{ "not the later", PP_FIRST_SESSION, 9, 10, 9 },
	{ "none before", PP_FIRST_SESSION, 0, 10, 10 },
	{ "none added", PP_FIRST_SESSION, 10, 0, 10 },
	{ "the latest", PP_LAST_SESSION, 9, 10, 10 },
	{ "not the earlier", PP_LAST_SESSION, 10, 9, 10 },
	{ "no last one added", PP_LAST_SESSION, 10, 0, 10 }
};

static void test_filled(void)
{
	struct pp_counters before = { 0 }, after = { 0 };

	before.value[PP_IN_BYTES] = G_MAXUINT64 - 1;
	after.value[PP_IN_BYTES] = G_MAXUINT64;
	before.value[PP_OUT_BYTES] = G_MAXUINT64;
	after.value[PP_OUT_BYTES] = G_MAXUINT64;
	for (guint i = 0; i < PP_COUNTERS; i++) {
		g_assert_cmpint(pp_counters_filled(&before, &after, i), ==,
				i == PP_IN_BYTES);
	}
}

static void test_add_counters(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(add_rows); i++) {
		const struct add_row *row = &add_rows[i];
		struct pp_counters a = { 0 }, b = { 0 };

		g_test_message("%s", row->what);
		g_assert_true(pp_counters_is_zero(&a));
		a.value[row->counter] = row->a;
		b.value[row->counter] = row->b;
		pp_counters_add(&a, &b);
		g_assert_cmpuint(a.value[row->counter], ==, row->sum);
		g_assert_false(pp_counters_is_zero(&a));
		/* nothing else moved */
		a.value[row->counter] = 0;
		g_assert_true(pp_counters_is_zero(&a));
	}
}

struct parse_row {
	const char *what, *text;
	/* of retr_count and last_session; valid: whether it parses */
	gboolean valid;
	guint64 retr_count, last_session;
};

static const struct parse_row parse_rows[] = {
	{ "nothing", "", TRUE, 0, 0 },
	{ "one", "retr_count=5", TRUE, 5, 0 },
	{ "two", "retr_count=5 last_session=6", TRUE, 5, 6 },
	{ "any order", "last_session=6 retr_count=5", TRUE, 5, 6 },
	{ "largest", "retr_count=18446744073709551615", TRUE, G_MAXUINT64, 0 },
	{ "too large", "retr_count=18446744073709551616", FALSE, 0, 0 },
	{ "unknown name", "retr_counts=5", FALSE, 0, 0 },
	{ "unknown name, 0", "retr=0", FALSE, 0, 0 },
	{ "empty name", "=5", FALSE, 0, 0 },
	{ "twice", "retr_count=5 retr_count=5", FALSE, 0, 0 },
	{ "twice, 0 first", "retr_count=0 retr_count=5", FALSE, 0, 0 },
	{ "no value", "retr_count=", FALSE, 0, 0 },
	{ "no =", "retr_count", FALSE, 0, 0 },
	{ "no number", "retr_count=x", FALSE, 0, 0 },
	{ "more than a number", "retr_count=5x", FALSE, 0, 0 },
	{ "two values", "retr_count=5=6", FALSE, 0, 0 },
	{ "negative", "retr_count=-1", FALSE, 0, 0 },
	{ "plus", "retr_count=+1", FALSE, 0, 0 },
	{ "hexadecimal", "retr_count=0x1", FALSE, 0, 0 },
	{ "blank in front", " retr_count=5", FALSE, 0, 0 },
	{ "blank behind", "retr_count=5 ", FALSE, 0, 0 },
	{ "two blanks", "retr_count=5  last_session=6", FALSE, 0, 0 },
	{ "blank in a number", "retr_count= 5", FALSE, 0, 0 },
	{ "another separator", "retr_count=5;last_session=6", FALSE, 0, 0 },
	{ "bad at the end", "retr_count=5 last_session=6 x", FALSE, 0, 0 }
};

static void test_parse_counters(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(parse_rows); i++) {
		const struct parse_row *row = &parse_rows[i];
		struct pp_counters counters = { .value[PP_SECONDS] = 77 };
		g_autoptr(GError) error = NULL;

		g_test_message("%s", row->what);
		g_assert_cmpint(pp_counters_parse(row->text, ' ', &counters,
						  &error), ==, row->valid);
		if (!row->valid) {
			g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
			g_assert_cmpuint(counters.value[PP_SECONDS], ==, 77);
			continue;
		}
		g_assert_no_error(error);
		g_assert_cmpuint(counters.value[PP_RETR_COUNT], ==,
				 row->retr_count);
		g_assert_cmpuint(counters.value[PP_LAST_SESSION], ==,
				 row->last_session);
		g_assert_cmpuint(counters.value[PP_SECONDS], ==, 0);
	}
}

static void test_print_counters(void)
{
	struct pp_counters counters = { 0 }, copy;
	g_autofree char *text = pp_counters_print(&counters, ' ');

	g_assert_cmpstr(text, ==, "");
	counters.value[PP_LAST_SESSION] = G_MAXUINT64;
	counters.value[PP_SESSIONS] = 1;
	g_free(text);
	text = pp_counters_print(&counters, ';');
	g_assert_cmpstr(text, ==,
			"sessions=1;last_session=18446744073709551615");

	for (guint i = 0; i < PP_COUNTERS; i++)
		counters.value[i] = G_MAXUINT64 - i;
	g_free(text);
	text = pp_counters_print(&counters, ',');
	g_assert_true(pp_counters_parse(text, ',', &copy, NULL));
	g_assert_cmpmem(&copy, sizeof(copy), &counters, sizeof(counters));
}

/* Sessions one after the other; what is filed by each. */
struct period_row {
	const char *what;
	guint64 now;
	const char *filed;	/* names and RETRs of what was finished */
	const char *month, *day;
	guint64 month_count, day_count;
};

/* each counts 1 RETR */
static const struct period_row period_rows[] = {
	{ "the first", NOON, "", "2026-11", "2026-11-24", 1, 1 },
	{ "the same day", NOON + DAY / 2 - 1, "",
	  "2026-11", "2026-11-24", 2, 2 },
	{ "the next one, first second", NOON + DAY / 2, "2026-11-24:2",
	  "2026-11", "2026-11-25", 3, 1 },
	{ "a late one counts to its own day", NOON, "2026-11-25:1",
	  "2026-11", "2026-11-24", 4, 3 },
	{ "and the current one goes on", NOON + DAY, "2026-11-24:3",
	  "2026-11", "2026-11-25", 5, 2 },
	{ "a clock that went back a year", NOON - 365 * DAY,
	  "2026-11:5 2026-11-25:2", "2025-11", "2025-11-24", 1, 1 },
	{ "and is right again", NOON + DAY, "2025-11:1 2025-11-24:1",
	  "2026-11", "2026-11-25", 6, 3 },
	{ "the last second of the month", NOON + 6 * DAY + DAY / 2 - 1,
	  "2026-11-25:3", "2026-11", "2026-11-30", 7, 1 },
	{ "the next month", NOON + 6 * DAY + DAY / 2,
	  "2026-11:7 2026-11-30:1", "2026-12", "2026-12-01", 1, 1 },
	{ "years later", NOON + 1000 * DAY,
	  "2026-12:1 2026-12-01:1", "2029-08", "2029-08-20", 1, 1 },
	{ "a clock out of its mind", G_MAXUINT64,
	  "2029-08:1 2029-08-20:1", "9999-12", "9999-12-31", 1, 1 }
};

static char *print_filed(const GArray *filed)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < filed->len; i++) {
		const struct pp_usage_filed *entry =
			&g_array_index(filed, struct pp_usage_filed, i);
		struct pp_counters counters;

		if (entry->begun)
			continue;
		g_assert_true(pp_usage_period_decode(entry->doc, entry->name,
						     &counters, NULL));
		if (text->len > 0)
			g_string_append_c(text, ' ');
		g_string_append_printf(text, "%s:%" G_GUINT64_FORMAT,
				       entry->name,
				       counters.value[PP_RETR_COUNT]);
	}
	return g_string_free(text, FALSE);
}

/* What a dict does, and whoever uses it: KEYS, name to document. */
static void store(struct pp_usage *usage, const GArray *filed,
		  GHashTable *keys)
{
	for (guint i = 0; i < filed->len; i++) {
		const struct pp_usage_filed *entry =
			&g_array_index(filed, struct pp_usage_filed, i);
		const char *doc = g_hash_table_lookup(keys, entry->name);

		if (!entry->begun) {
			g_hash_table_insert(keys, g_strdup(entry->name),
					    g_strdup(entry->doc));
		} else if (doc != NULL) {
			g_assert_true(pp_usage_take(usage, entry->name, doc,
						    NULL));
			g_hash_table_remove(keys, entry->name);
		}
	}
}

static guint count_begun(struct pp_usage *usage, guint64 now)
{
	g_autoptr(GArray) filed = pp_usage_filed_array();
	guint count = 0;

	g_assert_true(add(usage, "", 1, now, filed));
	for (guint i = 0; i < filed->len; i++)
		count += g_array_index(filed, struct pp_usage_filed, i).begun;
	return count;
}

/* What was never current need not be looked for. */
static void test_begun(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autofree char *doc = NULL;

	/* keys may be there without usage/now */
	g_assert_cmpuint(count_begun(usage, NOON), ==, 2);
	g_assert_cmpuint(count_begun(usage, NOON), ==, 0);
	g_assert_cmpuint(count_begun(usage, NOON + DAY), ==, 0);
	g_assert_cmpuint(count_begun(usage, NOON), ==, 1);
	g_assert_cmpuint(count_begun(usage, NOON + 40 * DAY), ==, 0);
	g_assert_cmpuint(count_begun(usage, NOON), ==, 2);
	doc = pp_usage_encode(usage);
	pp_usage_free(usage);
	usage = pp_usage_decode(doc, NULL);
	g_assert_cmpuint(count_begun(usage, NOON + 40 * DAY), ==, 2);
	g_assert_cmpuint(count_begun(usage, NOON + 41 * DAY), ==, 0);
	pp_usage_free(usage);
}

static void test_periods(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GHashTable) keys = g_hash_table_new_full(
		g_str_hash, g_str_equal, g_free, g_free);

	check_usage(usage, 0, "", 0, "", 0);
	for (guint i = 0; i < G_N_ELEMENTS(period_rows); i++) {
		const struct period_row *row = &period_rows[i];
		g_autoptr(GArray) filed = pp_usage_filed_array();
		g_autofree char *id = g_strdup_printf("s%u", i);
		g_autofree char *text = NULL;

		g_test_message("%s", row->what);
		g_assert_true(add(usage, id, 1, row->now, filed));
		text = print_filed(filed);
		g_assert_cmpstr(text, ==, row->filed);
		store(usage, filed, keys);
		check_usage(usage, i + 1, row->month, row->month_count,
			    row->day, row->day_count);
	}
	pp_usage_free(usage);
}

/* What was filed before stays in the array. */
static void test_filed_grows(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	g_autofree char *text = NULL;

	for (guint i = 0; i < 3; i++)
		g_assert_true(add(usage, "", 1, NOON + i * DAY, filed));
	text = print_filed(filed);
	g_assert_cmpstr(text, ==, "2026-11-24:1 2026-11-25:1");
	pp_usage_free(usage);
}

/* Replays a line of 1 RETR. */
static void check_replay(struct pp_usage *usage, const char *id, guint64 ended,
			 enum pp_replay expected)
{
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_counters counters = session_counters(1, ended);

	g_assert_cmpint(pp_usage_replay(usage, id, &counters, ended,
					MAX(ended, NOON), filed),
			==, expected);
}

static void test_once(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();

	g_assert_true(add(usage, "one", 1, NOON, filed));
	g_array_set_size(filed, 0);
	g_assert_false(add(usage, "one", 1, NOON + DAY, filed));
	g_assert_cmpuint(filed->len, ==, 0);
	check_usage(usage, 1, "2026-11", 1, "2026-11-24", 1);
	/* nor by a replay; and what a replay added no session adds */
	check_replay(usage, "one", NOON, PP_REPLAY_KNOWN);
	check_replay(usage, "two", NOON, PP_REPLAY_ADDED);
	check_replay(usage, "two", NOON, PP_REPLAY_KNOWN);
	g_assert_false(add(usage, "two", 1, NOON, filed));
	check_usage(usage, 2, "2026-11", 2, "2026-11-24", 2);

	/* without an id nothing is known of it */
	g_assert_true(add(usage, "", 1, NOON, filed));
	g_assert_true(add(usage, "", 1, NOON, filed));
	pp_usage_free(usage);
}

/* The last PP_USAGE_SESSIONS_MAX ids, oldest forgotten first. */
static void test_ids_bound(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();

	for (guint i = 0; i < PP_USAGE_SESSIONS_MAX; i++) {
		g_autofree char *id = g_strdup_printf("s%u", i);

		g_assert_true(add(usage, id, 1, NOON, filed));
	}
	g_assert_false(add(usage, "s0", 1, NOON, filed));
	g_assert_true(add(usage, "more", 1, NOON, filed));
	g_assert_false(add(usage, "s1", 1, NOON, filed));
	g_assert_true(add(usage, "s0", 1, NOON, filed));
	g_assert_true(add(usage, "s1", 1, NOON, filed));
	pp_usage_free(usage);
}

static void test_replays_bound(void)
{
	struct pp_usage *usage = pp_usage_new();

	for (guint i = 0; i <= PP_USAGE_REPLAYS_MAX; i++) {
		g_autofree char *id = g_strdup_printf("s%u", i);

		check_replay(usage, id, NOON + i, PP_REPLAY_ADDED);
	}
	check_replay(usage, "s1", NOON + 1, PP_REPLAY_KNOWN);
	check_replay(usage, "s0", NOON, PP_REPLAY_UNSURE);
	check_replay(usage, "new", NOON, PP_REPLAY_UNSURE);
	check_replay(usage, "new", NOON + 1, PP_REPLAY_ADDED);
	pp_usage_free(usage);
}

/* A line may be of a session whose id was forgotten: also after the document
   was written and read. */
static void test_unsure(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	g_autofree char *doc = NULL;

	/* the clock was ahead for one of them, and stays remembered */
	g_assert_true(add(usage, "ahead", 1, NOON + DAY, filed));
	for (guint i = 1; i <= PP_USAGE_SESSIONS_MAX; i++) {
		g_autofree char *id = g_strdup_printf("s%u", i);

		check_replay(usage, "none", 0, PP_REPLAY_UNSURE);
		g_assert_true(add(usage, id, 1, NOON + i, filed));
	}
	doc = pp_usage_encode(usage);
	pp_usage_free(usage);
	usage = pp_usage_decode(doc, NULL);
	g_assert_nonnull(usage);
	check_replay(usage, "ahead", NOON + DAY, PP_REPLAY_KNOWN);
	check_replay(usage, "s1", NOON + 1, PP_REPLAY_UNSURE);
	check_replay(usage, "s2", NOON + 2, PP_REPLAY_KNOWN);
	check_replay(usage, "other", NOON + 2, PP_REPLAY_ADDED);
	pp_usage_free(usage);
}

/* Documents without the times: what is forgotten then ended by the last
   session's end. */
static void test_unsure_without_times(void)
{
	g_autofree char *doc = test_sign("usage", "total.sessions=1 "
		"total.last_session=500 month=2026-11 day=2026-11-24 "
		"ids=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,"
		"22,23,24,25,26,27,28,29,30,31,32");
	struct pp_usage *usage = pp_usage_decode(doc, NULL);
	g_autoptr(GArray) filed = pp_usage_filed_array();

	g_assert_nonnull(usage);
	check_replay(usage, "32", 600, PP_REPLAY_KNOWN);
	g_assert_true(add(usage, "new", 1, NOON, filed));
	check_replay(usage, "1", 500, PP_REPLAY_UNSURE);
	check_replay(usage, "1", 501, PP_REPLAY_ADDED);
	pp_usage_free(usage);
}

/* What has not happened yet is known before it is called that. */
static void test_ahead(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_counters counters = session_counters(1, NOON);

	g_assert_true(add(usage, "a", 1, NOON + DAY, filed));
	g_assert_cmpint(pp_usage_replay(usage, "b", &counters, NOON + 1, NOON,
					filed), ==, PP_REPLAY_AHEAD);
	g_assert_cmpint(pp_usage_replay(usage, "a", &counters, NOON + DAY,
					NOON, filed), ==, PP_REPLAY_KNOWN);
	check_usage(usage, 1, "2026-11", 1, "2026-11-25", 1);
	g_assert_cmpint(pp_usage_replay(usage, "b", &counters, NOON + 1,
					NOON + 1, filed), ==, PP_REPLAY_ADDED);
	pp_usage_free(usage);
}

/* A replayed line goes to the month and the day in which it ended. */
static void test_late(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_counters counters = session_counters(1, NOON);
	const struct pp_usage_filed *late;

	g_assert_true(add(usage, "a", 1, NOON + 10 * DAY, filed));
	g_array_set_size(filed, 0);
	g_assert_cmpint(pp_usage_replay(usage, "b", &counters, NOON, NOON,
					filed), ==, PP_REPLAY_ADDED);
	check_usage(usage, 2, "2026-12", 1, "2026-12-04", 1);
	g_assert_cmpuint(filed->len, ==, 2);
	late = &g_array_index(filed, struct pp_usage_filed, 0);
	g_assert_cmpstr(late->name, ==, "2026-11");
	g_assert_null(late->doc);
	late = &g_array_index(filed, struct pp_usage_filed, 1);
	g_assert_cmpstr(late->name, ==, "2026-11-24");
	g_assert_null(late->doc);
	pp_usage_free(usage);
}

static void test_period_add(void)
{
	struct pp_counters counters = session_counters(5, NOON), sum;
	g_autofree char *first = NULL, *second = NULL, *none = NULL;
	g_autoptr(GError) error = NULL;

	first = pp_usage_period_add(NULL, "2026-11", &counters, NULL);
	second = pp_usage_period_add(first, "2026-11", &counters, NULL);
	g_assert_true(pp_usage_period_decode(second, "2026-11", &sum, NULL));
	g_assert_cmpuint(sum.value[PP_RETR_COUNT], ==, 10);
	none = pp_usage_period_add(first, "2026-12", &counters, &error);
	g_assert_null(none);
	g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
}

static void test_reset(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	g_autofree char *doc = NULL;

	g_assert_true(add(usage, "a", 1, NOON, filed));
	pp_usage_reset(usage, NOON + 5);
	doc = pp_usage_encode(usage);
	pp_usage_free(usage);
	usage = pp_usage_decode(doc, NULL);
	g_assert_nonnull(usage);
	check_usage(usage, 0, "", 0, "", 0);
	g_assert_false(add(usage, "a", 1, NOON, filed));
	check_replay(usage, "b", NOON + 5, PP_REPLAY_UNSURE);
	check_replay(usage, "b", NOON + 6, PP_REPLAY_ADDED);
	pp_usage_free(usage);
}

static void test_take(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	g_autoptr(GError) error = NULL;

	g_assert_true(add(usage, "a", 1, NOON, filed));
	g_assert_cmpuint(filed->len, ==, 2);
	g_assert_true(pp_usage_take(usage, "2026-11-24", golden_period, NULL));
	check_usage(usage, 1, "2026-11", 1, "2026-11-24", 21);
	g_assert_false(pp_usage_take(usage, "2026-11", golden_period,
				     &error));
	g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
	check_usage(usage, 1, "2026-11", 1, "2026-11-24", 21);
	pp_usage_free(usage);
}

struct expire_row {
	const char *what;
	guint keep_days, max;
	const char *names;
};

/* in this order; the first session was on the 14th, and there were three more
   days with sessions, of which the first was the 24th */
static const struct expire_row expire_rows[] = {
	{ "kept for ever", 0, 9, "" },
	{ "all are young enough", 10, 9, "" },
	{ "longer than there are dates", G_MAXUINT, 9, "" },
	{ "one is not", 9, 9, "2026-11-14" },
	{ "not again", 9, 9, "" },
	{ "a few at a time", 1, 3, "2026-11-15 2026-11-16 2026-11-17" },
	{ "and the rest", 1, 9, "2026-11-18 2026-11-19 2026-11-20 2026-11-21 "
	  "2026-11-22" }
};

static void check_expire(struct pp_usage *usage, const struct expire_row *row)
{
	g_autoptr(GPtrArray) names = pp_usage_expire(usage, row->keep_days,
						     row->max);
	g_autofree char *text = NULL;

	g_test_message("%s", row->what);
	g_ptr_array_add(names, NULL);
	text = g_strjoinv(" ", (char **)names->pdata);
	g_assert_cmpstr(text, ==, row->names);
}

static void test_expire(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_counters counters = session_counters(1, NOON);
	const struct expire_row not_yet = { "not yet", 1, 9, "" };

	check_expire(usage, &expire_rows[0]);
	g_assert_true(add(usage, "a", 1, NOON - 10 * DAY, filed));
	for (guint i = 0; i <= PP_USAGE_DAYS_SURE; i++) {
		/* it is the 24th only once this is sure */
		check_expire(usage, &not_yet);
		g_assert_true(add(usage, "", 1, NOON + i * 4 * DAY, filed));
	}
	for (guint i = 0; i < G_N_ELEMENTS(expire_rows); i++) {
		g_autofree char *doc = NULL;

		check_expire(usage, &expire_rows[i]);
		doc = pp_usage_encode(usage);
		pp_usage_free(usage);
		usage = pp_usage_decode(doc, NULL);
		g_assert_nonnull(usage);
	}
	/* what is gone does not come back; its month does */
	g_array_set_size(filed, 0);
	g_assert_cmpint(pp_usage_replay(usage, "c", &counters, NOON - 9 * DAY,
					NOON, filed), ==, PP_REPLAY_ADDED);
	g_assert_cmpuint(filed->len, ==, 1);
	check_usage(usage, 5, "2026-12", 1, "2026-12-02", 1);
	/* nor does it for a clock that is so far behind */
	g_assert_true(add(usage, "d", 1, NOON - 9 * DAY, filed));
	g_assert_cmpuint(filed->len, ==, 1);
	check_usage(usage, 6, "2026-12", 2, "2026-12-02", 2);
	pp_usage_free(usage);
}

/* A clock that is years ahead for a few days, in which all is counted where it
   says; and then it is right again. */
static void test_expire_ahead(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	const struct expire_row nothing = { "ahead", 10, 99, "" };
	/* the 28th is the last day but two */
	const struct expire_row sure = { "right", 1, 99,
		"2026-11-24 2026-11-25 2026-11-26" };
	guint i;

	for (i = 0; i < 5; i++)
		g_assert_true(add(usage, "", 1, NOON + i * DAY, filed));
	for (i = 0; i < PP_USAGE_DAYS_SURE; i++) {
		g_assert_true(add(usage, "", 1, NOON + (1000 + i) * DAY,
				  filed));
		check_expire(usage, &nothing);
	}
	for (i = 5; i < 5 + PP_USAGE_DAYS_SURE; i++) {
		g_assert_true(add(usage, "", 1, NOON + i * DAY, filed));
		check_expire(usage, &nothing);
	}
	check_expire(usage, &sure);
	pp_usage_free(usage);
}

/* What was counted first need not be a session. */
static void test_expire_removals(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_counters counters = { .value[PP_REMOVED_COUNT] = 1 };
	const struct expire_row row = { "removals", 1, 1, "2026-11-24" };

	for (guint i = 0; i < PP_USAGE_DAYS_SURE + 4; i++) {
		g_assert_true(pp_usage_add(usage, "", &counters,
					   NOON + i * DAY, filed));
	}
	check_expire(usage, &row);
	pp_usage_free(usage);
}

struct line_row {
	const char *what, *user, *session;
};

static const struct line_row line_rows[] = {
	{ "usual", "alice", "WbjqyZ8GBMKsEgAB" },
	{ "blanks and quotes", "it's \"a b\"", "a b" },
	{ "UTF-8", "gr\xc3\xbc\xc3\x9f" "e", "x" },
	{ "a percent sign", "50%20", "x%" },
	{ "a whole line", "usage not stored, to be replayed: user=bob "
	  "session=1 ended=1 sessions=7", "removal1/x" }
};

static void test_lines(void)
{
	struct pp_counters counters = session_counters(5, NOON);

	for (guint i = 0; i < G_N_ELEMENTS(line_rows); i++) {
		const struct line_row *row = &line_rows[i];
		struct pp_usage_line line;
		g_autofree char *text = pp_usage_line_print(
			row->user, row->session, NOON, &counters);
		/* a log has the name in front, too */
		g_autofree char *logged = g_strdup_printf(
			"Nov 24 pop3(%s)<1><2>: Error: pop3-policy: %s\r\n",
			row->user, text);

		g_test_message("%s", row->what);
		g_assert_true(pp_usage_line_has(logged));
		g_assert_true(pp_usage_line_parse(logged, &line, NULL));
		g_assert_cmpstr(line.user, ==, row->user);
		g_assert_cmpstr(line.session, ==, row->session);
		g_assert_cmpuint(line.ended, ==, NOON);
		g_assert_cmpmem(&line.counters, sizeof(counters), &counters,
				sizeof(counters));
		pp_usage_line_clear(&line);
	}
	g_assert_false(pp_usage_line_has("pop3(alice): Info: Disconnected"));
}

#define MARK "usage not stored, to be replayed: "
#define LEVEL "Error: pop3-policy: "
#define FIELDS "user=alice@example.com session=S/1 ended=1 sessions=7"

struct place_row {
	const char *what, *prefix;
	gboolean valid;
};

/* What may be in front of the plugin's words. */
static const struct place_row place_rows[] = {
	{ "nothing: cut out by somebody", "", TRUE },
	{ "a file", "2026-11-24 12:00:00 pop3(alice@example.com)<1><S/1>: "
	  LEVEL, TRUE },
	{ "another time", "24/Nov/2026 12:00:00.5 +0100: "
	  "pop3(alice@example.com)<1><S/1>: " LEVEL, TRUE },
	{ "no time", "pop3(alice@example.com)<1><S/1>: " LEVEL, TRUE },
	{ "syslog", "Nov 24 12:00:00 mx1 dovecot: "
	  "pop3(alice@example.com)<1><S/1>: " LEVEL, TRUE },
	{ "syslog, another time", "2026-11-24T12:00:00.5+01:00 mx1 "
	  "dovecot[12]: pop3(alice@example.com)<1><S/1>: " LEVEL, TRUE },
	{ "RFC 5424", "<19>1 2026-11-24T12:00:00Z mx1 dovecot 12 - - "
	  "pop3(alice@example.com)<1><S/1>: " LEVEL, TRUE },
	{ "doveadm", "doveadm(alice@example.com): " LEVEL, TRUE },
	{ "doveadm of elsewhere", "Nov 24 mx1 dovecot: "
	  "doveadm(::1,alice@example.com)<1><>: " LEVEL, TRUE },
	{ "a prefix of the administrator's", "Nov 24 mx1 dovecot: "
	  "pop3 alice@example.com - " LEVEL, TRUE },
	{ "the name alone", "pop3 [alice] " LEVEL, TRUE },
	{ "the session alone", "Nov 24 pop3-S/1: " LEVEL, TRUE },
	{ "no level", "pop3(alice@example.com)<1><S/1>: pop3-policy: ",
	  FALSE },
	{ "another level", "pop3(alice@example.com)<1><S/1>: Info: "
	  "pop3-policy: ", FALSE },
	{ "another plugin's", "pop3(alice@example.com)<1><S/1>: Error: x: ",
	  FALSE },
	{ "somebody else's", "pop3(bob)<1><2>: " LEVEL, FALSE },
	{ "a client's ID in a file", "Nov 24 imap(bob)<1><2>: Info: ID sent: "
	  "name=pop3(alice@example.com)<1><S/1>: " LEVEL, FALSE },
	{ "a client's ID, in syslog", "Nov 24 mx1 dovecot: imap(bob)<1><2>: "
	  "ID sent: name=pop3(alice@example.com)<1><S/1>: " LEVEL, FALSE },
	{ "short", "Nov 24 mx1 dovecot: imap(bob)<1><2>: ID sent: "
	  "name=S/1" LEVEL, FALSE },
	{ "without a tag", "Nov 24 mx1 imap(bob)<1><2>: ID sent: "
	  "name=alice@example.com: " LEVEL, FALSE },
	{ "before a login", "Nov 24 mx1 dovecot: imap-login: ID sent: "
	  "name=alice@example.com: " LEVEL, FALSE },
	{ "before a login, without a tag", "Nov 24 mx1 imap-login: ID sent: "
	  "name=alice@example.com: " LEVEL, FALSE },
	{ "a subject", "Nov 24 imap(alice@example.com)<1><2>: Info: save: "
	  "subject=" LEVEL, FALSE },
	{ "of an error", "Nov 24 imap(bob)<1><2>: Error: Mailbox "
	  "alice@example.com: " LEVEL, FALSE },
	{ "with a prefix of the administrator's", "Nov 24 mx1 dovecot: "
	  "imap bob - ID sent: name=alice@example.com: " LEVEL, FALSE },
	{ "with one, short", "Nov 24 mx1 dovecot: imap bob - ID sent: "
	  "name=alice@example.com " LEVEL, FALSE },
	{ "another level, and a prefix of the administrator's",
	  "Nov 24 imap alice - Info: " LEVEL, FALSE },
	{ "words cut out within", "x ", FALSE },
	{ "a blank", " ", FALSE }
};

static void test_places(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(place_rows); i++) {
		const struct place_row *row = &place_rows[i];
		g_autofree char *text = g_strconcat(row->prefix, MARK FIELDS,
						    NULL);
		struct pp_usage_line line = { .user = NULL };
		g_autoptr(GError) error = NULL;

		g_test_message("%s", row->what);
		g_assert_true(pp_usage_line_has(text));
		g_assert_cmpint(pp_usage_line_parse(text, &line, &error), ==,
				row->valid);
		if (!row->valid)
			g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
		pp_usage_line_clear(&line);
	}
}

static void test_place_of_a_removal(void)
{
	struct pp_usage_line line;

	g_assert_true(pp_usage_line_parse("Nov 24 <S/1>: " LEVEL MARK
		"user=alice session=removal12/S/1 ended=1 sessions=7", &line,
		NULL));
	pp_usage_line_clear(&line);
}

static const char *const bad_lines[] = {
	"", "user=", "user=a session=b ended=1", "user=a session=b sessions=1",
	"session=b user=a ended=1 sessions=1",
	"user= session=b ended=1 sessions=1",
	"user=%- session=b ended=1 sessions=1",
	"user=a session=%- ended=1 sessions=1",
	"user=a%2 session=b ended=1 sessions=1",
	"user=a session=b ended=x sessions=1",
	"user=a session=b ended=1 sessions=x",
	"user=a session=b ended=1 sessions=1 more=2",
	"user=a session=b ended=1 sessions=1 sess",
	"user=a session=b ended=1 sessions=1 sessions=1",
	"users=a session=b ended=1 sessions=1"
};

static void test_bad_lines(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(bad_lines); i++) {
		struct pp_usage_line line = { .user = NULL };
		g_autoptr(GError) error = NULL;
		g_autofree char *text = g_strconcat(MARK, bad_lines[i], NULL);

		g_test_message("%s", bad_lines[i]);
		g_assert_false(pp_usage_line_parse(text, &line, &error));
		g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
		g_assert_null(line.user);
	}
}

struct id_row {
	const char *what, *a, *b;
	gboolean same;
};

#define LONG_64 "0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef"

static const struct id_row id_rows[] = {
	{ "usual", "WbjqyZ8GBMKsEgAB", "WbjqyZ8GBMKsEgAB", TRUE },
	{ "different", "WbjqyZ8GBMKsEgAB", "WbjqyZ8GBMKsEgAC", FALSE },
	{ "a comma joins nothing", "a,b", "a", FALSE },
	{ "blank, newline, 8 bits", "a b\n\xff", "a b\n\xff", TRUE },
	{ "escaped or not", "a b", "a%20b", FALSE },
	{ "64 characters", LONG_64, LONG_64, TRUE },
	{ "64 and 65", LONG_64, LONG_64 "x", FALSE },
	{ "long ones differ at their ends", LONG_64 "x", LONG_64 "y", FALSE },
	{ "a long one", LONG_64 LONG_64, LONG_64 LONG_64, TRUE }
};

/* Ids are told apart also after the document was written and read. */
static void check_ids(const struct id_row *row)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	g_autofree char *doc = NULL;

	g_assert_true(add(usage, row->a, 1, NOON, filed));
	doc = pp_usage_encode(usage);
	pp_usage_free(usage);
	usage = pp_usage_decode(doc, NULL);
	g_assert_nonnull(usage);
	g_assert_cmpint(add(usage, row->b, 1, NOON, filed), ==, !row->same);
	pp_usage_free(usage);
}

static void test_ids(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(id_rows); i++) {
		g_test_message("%s", id_rows[i].what);
		check_ids(&id_rows[i]);
	}
}

/* The largest there can be stays below the bound, and comes back the same. */
static void test_largest(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_counters counters;
	g_autofree char *doc = NULL, *again = NULL;

	for (guint i = 0; i < PP_COUNTERS; i++)
		counters.value[i] = G_MAXUINT64;
	for (guint i = 0; i < 300; i++) {
		g_autofree char *id = g_strdup_printf(
			"\x01\x01\x01\x01%u" LONG_64 LONG_64, i);
		g_autofree char *replay = g_strconcat("r", id, NULL);

		g_assert_true(pp_usage_add(usage, id, &counters, LATEST + i,
					   filed));
		g_assert_cmpint(pp_usage_replay(usage, replay, &counters,
						LATEST + i, LATEST + i, filed),
				==, PP_REPLAY_ADDED);
	}
	doc = pp_usage_encode(usage);
	g_assert_cmpuint(strlen(doc), <=, PP_VALUE_MAX_BYTES);
	g_assert_cmpuint(strlen(doc), >, PP_VALUE_MAX_BYTES / 2);
	pp_usage_free(usage);
	usage = pp_usage_decode(doc, NULL);
	g_assert_nonnull(usage);
	again = pp_usage_encode(usage);
	g_assert_cmpstr(again, ==, doc);
	pp_usage_free(usage);
}

static void test_round_trip_empty(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autofree char *doc = pp_usage_encode(usage);

	pp_usage_free(usage);
	usage = pp_usage_decode(doc, NULL);
	g_assert_nonnull(usage);
	check_usage(usage, 0, "", 0, "", 0);
	pp_usage_free(usage);
}

static char *make_golden(void)
{
	struct pp_usage *usage = pp_usage_new();
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_counters counters = session_counters(20, NOON), none = { 0 };
	char *doc;

	counters.value[PP_RETR_BYTES] = 4096;
	g_assert_true(pp_usage_add(usage, "s1", &counters, NOON, filed));
	g_assert_true(add(usage, "a,b c", 0, NOON + DAY, filed));
	g_assert_cmpint(pp_usage_replay(usage, "s3", &none, NOON, NOON, filed),
			==, PP_REPLAY_ADDED);
	doc = pp_usage_encode(usage);
	pp_usage_free(usage);
	return doc;
}

/* Written by the first version: must be read and written like this for ever. */
static void test_golden(void)
{
	g_autofree char *doc = make_golden(), *again = NULL;
	struct pp_usage *usage;

	g_assert_cmpstr(doc, ==, golden_now);
	usage = pp_usage_decode(golden_now, NULL);
	g_assert_nonnull(usage);
	check_usage(usage, 20, "2026-11", 20, "2026-11-25", 0);
	again = pp_usage_encode(usage);
	g_assert_cmpstr(again, ==, golden_now);
	pp_usage_free(usage);
	usage = pp_usage_decode(golden_without_days, NULL);
	g_assert_nonnull(usage);
	check_usage(usage, 20, "2026-11", 20, "2026-11-25", 0);
	pp_usage_free(usage);
	usage = pp_usage_decode(golden_without_times, NULL);
	g_assert_nonnull(usage);
	check_usage(usage, 20, "2026-11", 20, "2026-11-25", 0);
	check_replay(usage, "s1", NOON, PP_REPLAY_KNOWN);
	pp_usage_free(usage);
}

static void test_golden_period(void)
{
	struct pp_counters counters = { 0 };
	g_autofree char *doc = NULL;
	gboolean valid;

	valid = pp_usage_period_decode(golden_period, "2026-11-24", &counters,
				       NULL);
	g_assert_true(valid);
	g_assert_cmpuint(counters.value[PP_SESSIONS], ==, 2);
	g_assert_cmpuint(counters.value[PP_RETR_COUNT], ==, 20);
	g_assert_cmpuint(counters.value[PP_LAST_SESSION], ==, NOON + 60);
	doc = pp_usage_period_encode("2026-11-24", &counters);
	g_assert_cmpstr(doc, ==, golden_period);
}

static void test_damaged(void)
{
	test_damage(read_usage, golden_now);
	test_damage(read_period, golden_period);
}

struct field_row {
	const char *what, *fields;
	gboolean valid;
};

static const struct field_row usage_fields[] = {
	{ "the least", "total.sessions=0", TRUE },
	{ "a field that later versions may add", "x-more=5", TRUE },
	{ "an unknown one", "more=5", FALSE },
	{ "an unknown set", "year.sessions=5", FALSE },
	{ "an unknown counter", "total.session=5", FALSE },
	{ "a counter of no set", "sessions=5", FALSE },
	{ "a finished period", "period=2026-11 sessions=5", FALSE },
	{ "a bad number", "total.sessions=5x", FALSE },
	{ "a month", "month=2026-11 month.sessions=1", TRUE },
	{ "a month in another order", "month.sessions=1 month=2026-11", TRUE },
	{ "a month without a name", "month.sessions=1", FALSE },
	{ "a day without a name", "month=2026-11 day.sessions=1", FALSE },
	{ "month 0", "month=2026-00", FALSE },
	{ "month 13", "month=2026-13", FALSE },
	{ "a month that is a day", "month=2026-11-24", FALSE },
	{ "a day that is a month", "day=2026-11", FALSE },
	{ "day 0", "day=2026-11-00", FALSE },
	{ "day 31 of 30", "day=2026-11-31", FALSE },
	{ "leap day", "day=2028-02-29", TRUE },
	{ "no leap year", "day=2026-02-29", FALSE },
	{ "a short month", "month=2026-1", FALSE },
	{ "a long year", "month=12026-11", FALSE },
	{ "a signed part", "month=2026-+1", FALSE },
	{ "ids", "ids=a,b,a", TRUE },
	{ "an empty id", "ids=a,,b", FALSE },
	{ "an empty id at the end", "ids=a,", FALSE },
	{ "a long id", "ids=" LONG_64, TRUE },
	{ "too long an id", "ids=" LONG_64 "x", FALSE },
	{ "32 ids", "ids=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"
	  "21,22,23,24,25,26,27,28,29,30,31,32", TRUE },
	{ "33 ids", "ids=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"
	  "21,22,23,24,25,26,27,28,29,30,31,32,33", FALSE },
	{ "times", "ids=a,b ids_ended=5,6", TRUE },
	{ "fewer times", "ids=a,b ids_ended=5", TRUE },
	{ "more times", "ids=a,b ids_ended=5,6,7", FALSE },
	{ "times alone", "replays_ended=5", FALSE },
	{ "a bad time", "ids=a,b ids_ended=5,x", FALSE },
	{ "an unknown list", "ids_more=5", FALSE },
	{ "forgotten", "forgotten=5", TRUE },
	{ "forgotten never", "forgotten=x", FALSE },
	{ "the first day", "days_from=2026-11-24", TRUE },
	{ "the first day a month", "days_from=2026-11", FALSE },
	{ "the first day with sessions", "first_day=2026-11-24", TRUE },
	{ "a first day that there is not", "first_day=2026-11-31", FALSE },
	{ "the latest day", "last_day=2026-11-24", TRUE },
	{ "a latest day that there is not", "last_day=x", FALSE },
	{ "days", "days=2026-11-24,2026-11-26", TRUE },
	{ "days, not in order", "days=2026-11-24,2026-11-24", FALSE },
	{ "a day that there is not", "days=2026-11-24,2026-11-31", FALSE },
	{ "an empty day", "days=2026-11-24,", FALSE },
	{ "three days", "days=2026-11-01,2026-11-02,2026-11-03", FALSE },
	{ "33 replays", "replays=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,"
	  "19,20,21,22,23,24,25,26,27,28,29,30,31,32,33", TRUE }
};

static const struct field_row period_fields[] = {
	{ "the least", "period=2026-11-24", TRUE },
	{ "a counter", "period=2026-11-24 sessions=1", TRUE },
	{ "a field that later versions may add",
	  "period=2026-11-24 x-more=1", TRUE },
	{ "another day", "period=2026-11-25 sessions=1", FALSE },
	{ "no period", "sessions=1", FALSE },
	{ "an unknown counter", "period=2026-11-24 session=1", FALSE },
	{ "a counter of usage/now",
	  "period=2026-11-24 total.sessions=1", FALSE },
	{ "a bad number", "period=2026-11-24 sessions=-1", FALSE }
};

static void check_fields(test_reader *reader, const struct field_row *row)
{
	g_autofree char *doc = test_sign("usage", row->fields);

	g_test_message("%s", row->what);
	if (row->valid)
		g_assert_true(reader(doc, NULL));
	else
		test_expect_error(reader, doc, PP_ERROR_SYNTAX);
}

static void test_fields(void)
{
	g_autofree char *other = test_sign("state", "total.sessions=0");

	for (guint i = 0; i < G_N_ELEMENTS(usage_fields); i++)
		check_fields(read_usage, &usage_fields[i]);
	for (guint i = 0; i < G_N_ELEMENTS(period_fields); i++)
		check_fields(read_period, &period_fields[i]);
	test_expect_error(read_usage, other, PP_ERROR_SYNTAX);
	test_expect_error(read_usage, "", PP_ERROR_SYNTAX);
	test_expect_error(read_usage, "pp2 usage x=1", PP_ERROR_VERSION);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/usage/names", test_names);
	g_test_add_func("/usage/add-counters", test_add_counters);
	g_test_add_func("/usage/filled", test_filled);
	g_test_add_func("/usage/parse-counters", test_parse_counters);
	g_test_add_func("/usage/print-counters", test_print_counters);
	g_test_add_func("/usage/begun", test_begun);
	g_test_add_func("/usage/periods", test_periods);
	g_test_add_func("/usage/filed-grows", test_filed_grows);
	g_test_add_func("/usage/once", test_once);
	g_test_add_func("/usage/ids-bound", test_ids_bound);
	g_test_add_func("/usage/replays-bound", test_replays_bound);
	g_test_add_func("/usage/unsure", test_unsure);
	g_test_add_func("/usage/unsure-without-times",
			test_unsure_without_times);
	g_test_add_func("/usage/ahead", test_ahead);
	g_test_add_func("/usage/late", test_late);
	g_test_add_func("/usage/period-add", test_period_add);
	g_test_add_func("/usage/reset", test_reset);
	g_test_add_func("/usage/take", test_take);
	g_test_add_func("/usage/expire", test_expire);
	g_test_add_func("/usage/expire-ahead", test_expire_ahead);
	g_test_add_func("/usage/expire-removals", test_expire_removals);
	g_test_add_func("/usage/lines", test_lines);
	g_test_add_func("/usage/places", test_places);
	g_test_add_func("/usage/place-of-a-removal", test_place_of_a_removal);
	g_test_add_func("/usage/bad-lines", test_bad_lines);
	g_test_add_func("/usage/ids", test_ids);
	g_test_add_func("/usage/largest", test_largest);
	g_test_add_func("/usage/round-trip-empty", test_round_trip_empty);
	g_test_add_func("/usage/golden", test_golden);
	g_test_add_func("/usage/golden-period", test_golden_period);
	g_test_add_func("/usage/damaged", test_damaged);
	g_test_add_func("/usage/fields", test_fields);
	return g_test_run();
}
