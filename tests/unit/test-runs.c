/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Runs of UIDs, also against an array with a time for each UID. */
#include "test-common.h"
#include "pp-limits.h"
#include "pp-runs.h"

/* UIDs of the naive model, from 1 on; the last of them stands for the highest
   UID that there is, where additions would wrap. */
#define MODEL_UIDS 120
#define UNKNOWN G_MAXUINT64

struct model {
	guint64 time[MODEL_UIDS + 1];
};

static guint32 model_uid(guint uid, gboolean high)
{
	return high ? PP_UID_MAX - MODEL_UIDS + uid : uid;
}

static void model_init(struct model *model)
{
	guint uid;

	for (uid = 0; uid <= MODEL_UIDS; uid++)
		model->time[uid] = UNKNOWN;
}

/* Sorted, no overlap, neighbours with the same time are one. */
static void assert_canonical(const struct pp_runs *runs)
{
	const struct pp_run *run, *prev = NULL;
	guint i;

	for (i = 0; i < pp_runs_count(runs); i++) {
		run = pp_runs_at(runs, i);
		g_assert_cmpuint(run->first, >=, 1);
		g_assert_cmpuint(run->first, <=, run->last);
		if (prev != NULL) {
			g_assert_cmpuint(prev->last, <, run->first);
			g_assert_true(prev->last + 1 != run->first ||
				      prev->time != run->time);
		}
		prev = run;
	}
}

static void assert_model(const struct pp_runs *runs,
			 const struct model *model, gboolean high)
{
	guint64 time, known = 0;
	guint uid;

	for (uid = 1; uid <= MODEL_UIDS; uid++) {
		if (!pp_runs_get(runs, model_uid(uid, high), &time))
			time = UNKNOWN;
		else
			known++;
		g_assert_cmpuint(time, ==, model->time[uid]);
	}
	g_assert_cmpuint(pp_runs_uids(runs), ==, known);
	assert_canonical(runs);
}

static void assert_same(const struct pp_runs *a, const struct pp_runs *b)
{
	g_autofree char *text_a = pp_runs_encode(a);
	g_autofree char *text_b = pp_runs_encode(b);

	g_assert_cmpstr(text_a, ==, text_b);
}

static void assert_round_trip(const struct pp_runs *runs)
{
	g_autofree char *text = pp_runs_encode(runs);
	g_autoptr(GError) error = NULL;
	struct pp_runs *again = pp_runs_decode(text, &error);

	g_assert_no_error(error);
	assert_same(runs, again);
	pp_runs_free(again);
}

static void random_range(guint *first_r, guint *last_r)
{
	guint a = g_test_rand_int_range(1, MODEL_UIDS + 1);
	guint b = a + g_test_rand_int_range(0, 12);

	*first_r = a;
	*last_r = MIN(b, MODEL_UIDS);
}

static void random_step(struct pp_runs *runs, struct model *model,
			gboolean high)
{
	guint64 time = 1000 + g_test_rand_int_range(0, 4), added = 0, got;
	gint what = g_test_rand_int_range(0, 4);
	guint uid, first, last;

	random_range(&first, &last);
	for (uid = first; uid <= last; uid++) {
		if (what == 1 && model->time[uid] != UNKNOWN)
			continue;
		if (what == 3 && model->time[uid] != UNKNOWN &&
		    model->time[uid] >= time)
			continue;
		model->time[uid] = what == 2 ? UNKNOWN : time;
		added++;
	}
	first = model_uid(first, high);
	last = model_uid(last, high);
	if (what == 0) {
		pp_runs_set(runs, first, last, time);
	} else if (what == 1) {
		got = pp_runs_set_new(runs, first, last, time);
		g_assert_cmpuint(got, ==, added);
	} else if (what == 3) {
		got = pp_runs_set_later(runs, first, last, time);
		g_assert_cmpuint(got, ==, added);
	} else {
		pp_runs_unset(runs, first, last);
	}
}

static void test_random(gconstpointer data)
{
	gboolean high = GPOINTER_TO_INT(data);
	guint round, step;

	for (round = 0; round < 200; round++) {
		struct pp_runs *runs = pp_runs_new();
		struct model model;

		model_init(&model);
		for (step = 0; step < 60; step++) {
			random_step(runs, &model, high);
			assert_model(runs, &model, high);
		}
		assert_round_trip(runs);
		pp_runs_free(runs);
	}
}

static struct pp_runs *random_runs(struct model *model)
{
	struct pp_runs *runs = pp_runs_new();
	guint step;

	model_init(model);
	for (step = 0; step < 60; step++)
		random_step(runs, model, FALSE);
	return runs;
}

static void test_random_copy(void)
{
	struct model model;
	struct pp_runs *runs = random_runs(&model);
	struct pp_runs *copy = pp_runs_copy(runs);

	pp_runs_set(runs, 1, MODEL_UIDS, 1);
	assert_model(copy, &model, FALSE);
	pp_runs_free(runs);
	pp_runs_free(copy);
	pp_runs_free(NULL);
}

static guint touching_pairs(const struct pp_runs *runs)
{
	guint i, pairs = 0;

	for (i = 1; i < pp_runs_count(runs); i++) {
		if (pp_runs_at(runs, i - 1)->last + 1 ==
		    pp_runs_at(runs, i)->first)
			pairs++;
	}
	return pairs;
}

/* Nobody loses a time or gets an earlier one, and nobody gets one from
   nowhere. */
static void test_random_coarsen(void)
{
	guint round, uid, max, before;
	guint64 time;

	for (round = 0; round < 500; round++) {
		struct model model;
		struct pp_runs *runs = random_runs(&model);

		max = g_test_rand_int_range(0, 20);
		before = pp_runs_count(runs);
		pp_runs_coarsen(runs, max);
		assert_canonical(runs);
		for (uid = 1; uid <= MODEL_UIDS; uid++) {
			if (!pp_runs_get(runs, uid, &time))
				time = UNKNOWN;
			if (model.time[uid] == UNKNOWN)
				g_assert_cmpuint(time, ==, UNKNOWN);
			else
				g_assert_cmpuint(time, >=, model.time[uid]);
			g_assert_cmpuint(time == UNKNOWN, ==,
					 model.time[uid] == UNKNOWN);
		}
		if (pp_runs_count(runs) > max)
			g_assert_cmpuint(touching_pairs(runs), ==, 0);
		/* no more than was asked for */
		g_assert_cmpuint(pp_runs_count(runs), <=, before);
		if (before <= max)
			g_assert_cmpuint(pp_runs_count(runs), ==, before);
		pp_runs_free(runs);
	}
}

static void test_random_forget(void)
{
	guint round, uid, max, before;
	guint64 time, forgotten, lost;

	for (round = 0; round < 500; round++) {
		struct model model;
		struct pp_runs *runs = random_runs(&model);

		max = g_test_rand_int_range(0, 20);
		before = pp_runs_count(runs);
		forgotten = pp_runs_forget_smallest(runs, max);
		assert_canonical(runs);
		g_assert_cmpuint(pp_runs_count(runs), ==, MIN(before, max));
		for (lost = 0, uid = 1; uid <= MODEL_UIDS; uid++) {
			if (pp_runs_get(runs, uid, &time))
				g_assert_cmpuint(time, ==, model.time[uid]);
			else if (model.time[uid] != UNKNOWN)
				lost++;
		}
		g_assert_cmpuint(forgotten, ==, lost);
		pp_runs_free(runs);
	}
}

/* Messages that are there keep exactly what they had; nothing above UPTO is
   touched; of the gone ones nothing costs a gap. */
static void test_random_pruned(void)
{
	guint round, uid, upto, count, there;
	guint64 time;

	for (round = 0; round < 1000; round++) {
		struct model model;
		struct pp_runs *runs = random_runs(&model), *pruned;
		guint32 uids[MODEL_UIDS];
		enum pp_prune how = g_test_rand_int_range(0, 3);

		upto = g_test_rand_int_range(1, MODEL_UIDS + 2);
		there = g_test_rand_int_range(0, 5);
		for (count = 0, uid = 1; uid <= MODEL_UIDS; uid++) {
			if (g_test_rand_int_range(0, 4) < (gint)there)
				uids[count++] = uid;
			else if (uid <= upto)
				model.time[uid] = UNKNOWN - 1;
		}
		pruned = pp_runs_pruned(runs, uids, count, upto, how);
		assert_canonical(pruned);
		g_assert_cmpuint(pp_runs_count(pruned), <=,
				 pp_runs_count(runs) + 1);
		for (uid = 1; uid <= MODEL_UIDS; uid++) {
			if (model.time[uid] == UNKNOWN - 1)
				continue;
			if (!pp_runs_get(pruned, uid, &time))
				time = UNKNOWN;
			g_assert_cmpuint(time, ==, model.time[uid]);
		}
		pp_runs_free(runs);
		pp_runs_free(pruned);
	}
}

static struct pp_runs *runs_from(const char *text)
{
	g_autoptr(GError) error = NULL;
	struct pp_runs *runs = pp_runs_decode(text, &error);

	g_assert_no_error(error);
	return runs;
}

#define EXACT PP_PRUNE_EXACT
#define SPAN PP_PRUNE_SPAN
#define ENDS PP_PRUNE_SPAN_ENDS

static void test_pruned(void)
{
	static const struct {
		const char *runs;
		guint32 uids[6];
		guint count;
		guint32 upto;
		enum pp_prune how;
		const char *pruned;
	} rows[] = {
		/* everything there */
		{ "2+9,1+1", { 1, 2, 3 }, 3, PP_UID_MAX, SPAN, "2+9,1+1" },
		/* cut to the first and the last, gaps inside stay */
		{ "10+9", { 3, 8 }, 2, PP_UID_MAX, SPAN, "2:6+9" },
		{ "10+9", { 3, 8 }, 2, PP_UID_MAX, ENDS, "10+9" },
		/* a run without a message goes */
		{ "5+9,5+1,5+1", { 1, 12 }, 2, PP_UID_MAX, SPAN,
		  "1+9,11+2" },
		/* ... but not where a message of no run is in between */
		{ "5+9,5:5+1", { 1, 7, 12 }, 3, PP_UID_MAX, SPAN,
		  "1+9,10:1+1" },
		/* exact: only what there was */
		{ "5+9,5+1,5+1", { 1, 12 }, 2, PP_UID_MAX, EXACT,
		  "1+9,10:1+2" },
		{ "5+9,5:5+0", { 1, 4, 12 }, 3, PP_UID_MAX, EXACT,
		  "4+9,7:1+0" },
		{ "10+9", { 3, 8 }, 2, PP_UID_MAX, EXACT, "2:6+9" },
		{ "5+9,5+1", { 1 }, 1, 7, EXACT, "1+9,6:3+1" },
		{ "5+9,5+1", { 0 }, 0, PP_UID_MAX, EXACT, "-" },
		/* the same time on both sides: one run */
		{ "5+9,5:5+0", { 1, 12 }, 2, PP_UID_MAX, SPAN, "12+9" },
		/* the ends */
		{ "5+9,5+1", { 7, 8 }, 2, PP_UID_MAX, ENDS, "10+10" },
		{ "5:5+9,5+1", { 2, 7 }, 2, PP_UID_MAX, ENDS, "6:9+9" },
		/* nothing is there any more */
		{ "5+9,5+1", { 0 }, 0, PP_UID_MAX, SPAN, "-" },
		{ "5+9,5+1", { 0 }, 0, PP_UID_MAX, ENDS, "10+10" },
		{ "-", { 0 }, 0, PP_UID_MAX, ENDS, "-" },
		{ "-", { 1 }, 1, PP_UID_MAX, ENDS, "-" },
		/* only one is, of which nothing is known */
		{ "5:5+9", { 3 }, 1, PP_UID_MAX, ENDS, "-" },
		/* above UPTO nobody looked */
		{ "5+9,5+1", { 1 }, 1, 7, SPAN, "1+9,6:3+1" },
		{ "5+9,5+1", { 1 }, 1, 7, ENDS, "7+9,3+1" },
		{ "5+9,5+1", { 1, 9 }, 2, 7, ENDS, "7+9,3+1" },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_runs *runs = runs_from(rows[i].runs);
		struct pp_runs *pruned =
			pp_runs_pruned(runs, rows[i].uids, rows[i].count,
				       rows[i].upto, rows[i].how);
		g_autofree char *text = pp_runs_encode(pruned);

		g_test_message("row %u: %s", i, rows[i].runs);
		g_assert_cmpstr(text, ==, rows[i].pruned);
		pp_runs_free(runs);
		pp_runs_free(pruned);
	}
}

static void test_coarsen(void)
{
	static const struct {
		const char *runs;
		guint max;
		const char *coarse;
	} rows[] = {
		{ "1+5,1+1,1+9", 3, "1+5,1+1,1+9" },
		/* the closest first, and the later time */
		{ "1+5,1+1,1+9", 2, "2+6,1+9" },
		{ "1+9,1-1,1+9", 2, "2+9,1+8" },
		/* a chain of close times before a far one */
		{ "1+1,1+1,1+1,1+900", 2, "3+3,1+900" },
		{ "1+5,1+1,1+9", 1, "3+15" },
		{ "1+5,1+1,1+9", 0, "3+15" },
		/* nothing is known of a gap, so nothing joins over it */
		{ "1+5,1:1+1,1+9", 1, "1+5,1:2+10" },
		{ "1+5,1:1+0,1:1+0", 1, "1+5,1:1+0,1:1+0" },
		{ "-", 0, "-" },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_runs *runs = runs_from(rows[i].runs);
		g_autofree char *text = NULL;

		g_test_message("row %u: %s to %u", i, rows[i].runs,
			       rows[i].max);
		pp_runs_coarsen(runs, rows[i].max);
		text = pp_runs_encode(runs);
		g_assert_cmpstr(text, ==, rows[i].coarse);
		pp_runs_free(runs);
	}
}

static void test_forget(void)
{
	static const struct {
		const char *runs;
		guint max;
		const char *left;
		guint64 forgotten;
	} rows[] = {
		{ "2+5,1+1", 2, "2+5,1+1", 0 },
		{ "2+5,1+1", 1, "2+5", 1 },
		{ "1+5,2+1", 1, "1:2+6", 1 },
		{ "1+5,2+1", 0, "-", 3 },
		/* of equal ones the oldest stay: they are removed first */
		{ "1+5,1-1,1+9", 1, "1:1+4", 2 },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_runs *runs = runs_from(rows[i].runs);
		g_autofree char *text = NULL;
		guint64 forgotten;

		g_test_message("row %u: %s", i, rows[i].runs);
		forgotten = pp_runs_forget_smallest(runs, rows[i].max);
		text = pp_runs_encode(runs);
		g_assert_cmpstr(text, ==, rows[i].left);
		g_assert_cmpuint(forgotten, ==, rows[i].forgotten);
		pp_runs_free(runs);
	}
}

/* Every other message of many, in each order: nothing is quadratic, or this
   is what one waits for. */
static void test_many(void)
{
	struct pp_runs *runs = pp_runs_new();
	guint32 uid;

	for (uid = 1; uid <= 100000; uid += 2)
		pp_runs_set(runs, uid, uid, uid);
	g_assert_cmpuint(pp_runs_count(runs), ==, 50000);
	assert_round_trip(runs);
	g_assert_cmpuint(pp_runs_set_new(runs, 1, 100000, 7), ==, 50000);
	g_assert_cmpuint(pp_runs_uids(runs), ==, 100000);
	pp_runs_coarsen(runs, 700);
	g_assert_cmpuint(pp_runs_count(runs), ==, 700);
	g_assert_cmpuint(pp_runs_uids(runs), ==, 100000);
	pp_runs_free(runs);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_data_func("/runs/random", GINT_TO_POINTER(FALSE),
			     test_random);
	g_test_add_data_func("/runs/random-highest", GINT_TO_POINTER(TRUE),
			     test_random);
	g_test_add_func("/runs/random-copy", test_random_copy);
	g_test_add_func("/runs/random-coarsen", test_random_coarsen);
	g_test_add_func("/runs/random-forget", test_random_forget);
	g_test_add_func("/runs/random-pruned", test_random_pruned);
	g_test_add_func("/runs/coarsen", test_coarsen);
	g_test_add_func("/runs/forget", test_forget);
	g_test_add_func("/runs/pruned", test_pruned);
	g_test_add_func("/runs/many", test_many);
	return g_test_run();
}
