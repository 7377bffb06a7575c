/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The state of a maildrop: merging, pruning, validities. Its documents are in
   test-state-codec.c. */
#include "test-common.h"
#include "pp-state.h"

static const struct pp_mailbox_id mailbox = {
	"0123456789abcdef0123456789abcdef", 1795474171
};

static struct pp_runs *runs_from(const char *text)
{
	g_autoptr(GError) error = NULL;
	struct pp_runs *runs = pp_runs_decode(text, &error);

	g_assert_no_error(error);
	return runs;
}

static void set_runs(struct pp_runs **runs, const char *text)
{
	pp_runs_free(*runs);
	*runs = runs_from(text);
}

static void assert_runs(const struct pp_runs *runs, const char *wanted)
{
	g_autofree char *text = pp_runs_encode(runs);

	g_assert_cmpstr(text, ==, wanted);
}

/* The shown UIDs, joined by spaces. */
static char *shown_text(const struct pp_state *state)
{
	GString *str = g_string_new(NULL);
	guint i;

	for (i = 0; i < state->shown_count; i++) {
		g_string_append_printf(str, "%s%u.%" G_GUINT64_FORMAT,
				       i > 0 ? " " : "", state->shown[i].uid,
				       state->shown[i].id);
	}
	return g_string_free(str, FALSE);
}

static void test_new(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 123);

	g_assert_true(pp_mailbox_id_equal(&state->mailbox, &mailbox));
	g_assert_cmpuint(state->generation, ==, 0);
	g_assert_cmpuint(state->mark, ==, 0);
	g_assert_cmpuint(state->clock, ==, 123);
	g_assert_cmpuint(state->high_validity, ==, mailbox.uidvalidity);
	g_assert_true(pp_uidl_map_is_plain(state->map, mailbox.uidvalidity));
	pp_state_free(state);
	pp_state_free(NULL);
}

static void test_copy(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 123), *copy;

	state->policy = g_strdup("keep_retrieved=1");
	state->hidden_flag = g_strdup("Hidden");
	state->host_expunges = TRUE;
	set_runs(&state->retrieved, "5+9");
	pp_state_add_shown(state, 3, 33);
	copy = pp_state_copy(state);
	pp_state_free(state);

	g_assert_cmpstr(copy->policy, ==, "keep_retrieved=1");
	g_assert_cmpstr(copy->hidden_flag, ==, "Hidden");
	g_assert_true(copy->host_expunges);
	assert_runs(copy->retrieved, "5+9");
	g_assert_cmpuint(copy->shown[0].id, ==, 33);
	pp_state_free(copy);
}

/* No validity is ever used twice, until there is no number left. */
static void test_validity(void)
{
	static const struct {
		guint32 high, uidvalidity, next;
	} rows[] = {
		{ 100, 101, 101 },
		{ 100, 100, 101 },
		{ 100, 99, 101 },
		{ 100, 0, 101 },
		{ 0, 0, 1 },
		{ 100, G_MAXUINT32, G_MAXUINT32 },
		{ G_MAXUINT32 - 1, 5, G_MAXUINT32 },
		{ G_MAXUINT32, 5, G_MAXUINT32 },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_state *state = pp_state_new(&mailbox, 1);
		guint32 first, validity;

		g_test_message("row %u", i);
		state->high_validity = rows[i].high;
		g_assert_cmpuint(pp_state_next_validity(state,
							rows[i].uidvalidity),
				 ==, rows[i].next);
		g_assert_cmpuint(state->high_validity, ==, rows[i].high);
		g_assert_cmpuint(pp_state_open_rule(state, 7,
						    rows[i].uidvalidity),
				 ==, rows[i].next);
		g_assert_cmpuint(state->high_validity, ==, rows[i].next);
		g_assert_true(pp_uidl_map_get_open(state->map, &first,
						   &validity));
		g_assert_cmpuint(first, ==, 7);
		g_assert_cmpuint(validity, ==, rows[i].next);
		pp_state_free(state);
	}
}

static void test_use_validity(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1);

	pp_state_use_validity(state, 5);
	g_assert_cmpuint(state->high_validity, ==, mailbox.uidvalidity);
	pp_state_use_validity(state, mailbox.uidvalidity + 5);
	g_assert_cmpuint(state->high_validity, ==, mailbox.uidvalidity + 5);
	pp_state_free(state);
}

static void test_shown(void)
{
	static const struct {
		guint32 uids[12];
		const char *shown;
		guint32 mark;
	} rows[] = {
		{ { 0 }, "", 0 },
		{ { 5 }, "5.50", 5 },
		{ { 5, 7, 6 }, "5.50 6.60 7.70", 7 },
		{ { 5, 5 }, "5.50", 5 },
		/* the last ones */
		{ { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 },
		  "3.30 4.40 5.50 6.60 7.70 8.80 9.90 10.100", 10 },
		{ { 1, 2, 3, 5, 6, 7, 8, 9, 4 },
		  "2.20 3.30 4.40 5.50 6.60 7.70 8.80 9.90", 9 },
		/* too old to be kept */
		{ { 11, 12, 13, 14, 15, 16, 17, 18, 4 },
		  "11.110 12.120 13.130 14.140 15.150 16.160 17.170 18.180",
		  18 },
	};
	guint i, j;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_state *state = pp_state_new(&mailbox, 1);
		g_autofree char *text = NULL;

		g_test_message("row %u", i);
		for (j = 0; rows[i].uids[j] != 0; j++) {
			pp_state_add_shown(state, rows[i].uids[j],
					   rows[i].uids[j] * 10);
		}
		text = shown_text(state);
		g_assert_cmpstr(text, ==, rows[i].shown);
		g_assert_cmpuint(state->mark, ==, rows[i].mark);
		pp_state_free(state);
	}
}

/* A state with mark 10, 8 messages, all of them first seen at 100 by a
   session that retrieved 1-5 at 110 and DELEd 10 at 105. Generation 3, clock
   120. */
static struct pp_state *merge_state(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 120);

	state->generation = 3;
	state->count = 8;
	set_runs(&state->first_seen, "10+100");
	set_runs(&state->retrieved, "5+110");
	set_runs(&state->deleted, "9:1+105");
	pp_state_add_shown(state, 9, 90);
	pp_state_add_shown(state, 10, 100);
	return state;
}

static const struct pp_shown shown_old[] = { { 9, 90 }, { 10, 100 } };
static const struct pp_shown shown_new[] = { { 10, 100 }, { 12, 120 } };
/* one of these has another id now: what is stored stays */
static const struct pp_shown shown_other[] = { { 9, 91 } };

struct merge_row {
	const char *comment;
	guint32 generation, mark, count;
	const struct pp_shown *shown;
	guint shown_count;
	const char *retrieved, *deleted;
	guint32 seen_upto;
	guint64 now;

	gboolean changed;
	guint32 state_mark, state_count;
	const char *state_shown, *state_seen, *state_retr, *state_dele;
	guint64 state_clock;
};

static const struct merge_row merge_rows[] = {
	{ "an idle poll", 3, 10, 8, shown_old, 2, NULL, NULL, 10, 200,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  200 },
	{ "nothing known", 3, 0, G_MAXUINT32, NULL, 0, NULL, NULL, 0, 0,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  120 },
	{ "a lower mark", 3, 9, 8, NULL, 0, NULL, NULL, 9, 200,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  200 },
	{ "a clock that is behind", 3, 10, 8, NULL, 0, NULL, NULL, 0, 50,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  120 },
	{ "retrieved before", 3, 10, 8, NULL, 0, "5+190", NULL, 10, 200,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  200 },
	{ "another id", 3, 10, 8, shown_other, 1, NULL, NULL, 10, 200,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  200 },
	{ "a message gone", 3, 10, 7, NULL, 0, NULL, NULL, 10, 200,
	  TRUE, 10, 7, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  200 },
	{ "new mail", 3, 12, 10, shown_new, 2, NULL, NULL, 12, 200,
	  TRUE, 12, 10, "9.90 10.100 12.120", "10+100,2+100", "5+110",
	  "9:1+105", 200 },
	{ "retrieved", 3, 10, 8, NULL, 0, "7+190", NULL, 10, 200,
	  TRUE, 10, 8, "9.90 10.100", "10+100", "5+110,2+80", "9:1+105",
	  200 },
	{ "deleted", 3, 10, 8, NULL, 0, NULL, "1:1+190", 10, 200,
	  TRUE, 10, 8, "9.90 10.100", "10+100", "5+110", "1:1+190,7:1-85",
	  200 },
	{ "deleted again", 3, 10, 8, NULL, 0, NULL, "9:1+195", 10, 200,
	  TRUE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+195",
	  200 },
	{ "deleted again, by a clock that is behind", 3, 10, 8, NULL, 0, NULL,
	  "9:1+104", 10, 200,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  200 },
	{ "recovered meanwhile", 2, 99, 99, shown_new, 2, "99+1", "99+1",
	  99, 200,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  120 },
	{ "recovered, but not yet here", 4, 99, 99, NULL, 0, NULL, NULL,
	  99, 200,
	  FALSE, 10, 8, "9.90 10.100", "10+100", "5+110", "9:1+105",
	  120 },
};

static void merge_row(const struct merge_row *row)
{
	struct pp_state *state = merge_state();
	struct pp_runs *retrieved = row->retrieved == NULL ? NULL :
		runs_from(row->retrieved);
	struct pp_runs *deleted = row->deleted == NULL ? NULL :
		runs_from(row->deleted);
	const struct pp_facts facts = {
		.generation = row->generation, .now = row->now,
		.mark = row->mark, .count = row->count,
		.view_upto = row->mark,
		.shown = row->shown, .shown_count = row->shown_count,
		.retrieved = retrieved, .deleted = deleted,
		.seen_upto = row->seen_upto, .first_seen = 200
	};
	g_autofree char *shown = NULL;

	g_assert_cmpint(pp_state_merge(state, &facts), ==, row->changed);
	g_assert_cmpuint(state->mark, ==, row->state_mark);
	g_assert_cmpuint(state->count, ==, row->state_count);
	g_assert_cmpuint(state->clock, ==, row->state_clock);
	shown = shown_text(state);
	g_assert_cmpstr(shown, ==, row->state_shown);
	assert_runs(state->first_seen, row->state_seen);
	assert_runs(state->retrieved, row->state_retr);
	assert_runs(state->deleted, row->state_dele);

	/* once is enough */
	g_assert_false(pp_state_merge(state, &facts));
	pp_runs_free(retrieved);
	pp_runs_free(deleted);
	pp_state_free(state);
}

/* The state has the mark 10 and 8 messages. */
static const struct count_row {
	const char *comment;
	guint32 mark, view_upto, count;
	gboolean brought_back;
	guint32 state_count;
} count_rows[] = {
	{ "less", 10, 10, 5, FALSE, 5 },
	{ "none", 0, 10, 0, FALSE, 0 },
	{ "who saw more looked earlier", 10, 10, 9, FALSE, 8 },
	{ "who saw no new mail looked earlier", 7, 9, 5, FALSE, 8 },
	{ "new mail", 12, 14, 10, FALSE, 10 },
	{ "new mail, others gone", 12, 12, 3, FALSE, 3 },
	{ "brought back", 10, 10, 9, TRUE, 9 },
	{ "brought back, with less", 10, 10, 6, TRUE, 6 },
	{ "brought back, in an earlier view", 9, 9, 9, TRUE, 8 },
	{ "not known", 10, 10, G_MAXUINT32, TRUE, 8 },
};

static void test_merge_count(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(count_rows); i++) {
		const struct count_row *row = &count_rows[i];
		struct pp_state *state = merge_state();
		const struct pp_facts facts = {
			.generation = 3, .now = 200, .mark = row->mark,
			.count = row->count, .view_upto = row->view_upto,
			.brought_back = row->brought_back
		};

		g_test_message("%s", row->comment);
		g_assert_cmpint(pp_state_merge(state, &facts), ==,
				row->brought_back || row->state_count != 8);
		g_assert_cmpuint(state->count, ==, row->state_count);
		assert_runs(state->retrieved, row->brought_back ? "5+200" :
			    "5+110");
		pp_state_free(state);
	}
}

static void test_merge(void)
{
	guint i;

	for (i = 0; i < G_N_ELEMENTS(merge_rows); i++) {
		g_test_message("%s", merge_rows[i].comment);
		merge_row(&merge_rows[i]);
	}
}

/* An id that was not known is filled in. */
static void test_restart_times(void)
{
	struct pp_mailbox_id id = { { 1 }, 7 };
	struct pp_state *state = pp_state_new(&id, 1);
	guint64 time;

	pp_runs_set(state->first_seen, 1, 5, 100);
	pp_runs_set(state->retrieved, 2, 3, 150);
	/* a grace that was doubled */
	pp_runs_set(state->deleted, 3, 3, 900);
	pp_state_restart_times(state, 500);
	g_assert_true(pp_runs_get(state->first_seen, 5, &time));
	g_assert_cmpuint(time, ==, 500);
	g_assert_true(pp_runs_get(state->retrieved, 2, &time));
	g_assert_cmpuint(time, ==, 500);
	g_assert_false(pp_runs_get(state->retrieved, 4, &time));
	g_assert_true(pp_runs_get(state->deleted, 3, &time));
	g_assert_cmpuint(time, ==, 900);
	pp_state_free(state);
}

static void test_merge_unknown_id(void)
{
	static const struct pp_shown shown = { 9, 90 };
	struct pp_state *state = pp_state_new(&mailbox, 1);
	struct pp_facts facts = {
		.mark = 9, .count = G_MAXUINT32, .shown = &shown,
		.shown_count = 1
	};

	pp_state_add_shown(state, 9, 0);
	g_assert_true(pp_state_merge(state, &facts));
	g_assert_cmpuint(state->shown[0].id, ==, 90);
	pp_state_free(state);
}

/* It gets a later time, but none that was restored gets one. */
static void test_merge_relisted(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1);
	struct pp_runs *relisted = pp_runs_new();
	struct pp_facts facts = { .count = G_MAXUINT32, .relisted = relisted };

	pp_runs_set(state->deleted, 2, 3, 100);
	pp_runs_set(state->deleted, 4, 4, 900);
	pp_runs_set(relisted, 1, 2, 500);
	pp_runs_set(relisted, 4, 5, 500);
	g_assert_true(pp_state_merge(state, &facts));
	assert_runs(state->deleted, "1:1+500,1-400,1+800");
	g_assert_false(pp_state_merge(state, &facts));
	pp_runs_free(relisted);
	pp_state_free(state);
}

static void test_prune(void)
{
	static const guint32 uids[] = { 3, 5, 12 };
	struct pp_state *state = pp_state_new(&mailbox, 1);
	g_autofree char *uidl = NULL;

	set_runs(&state->first_seen, "10+100,5+50");
	set_runs(&state->retrieved, "4+110,4:2+50,4+5");
	set_runs(&state->deleted, "2+110");
	pp_uidl_map_set_text(state->map, 1, "explicit");
	pp_state_prune(state, uids, G_N_ELEMENTS(uids));
	assert_runs(state->first_seen, "5+100,10+50");
	assert_runs(state->retrieved, "2:1+110,8:1+55");
	g_assert_false(state->spans);
	assert_runs(state->deleted, "-");
	/* 1 is gone, its UIDL must not come back for another message */
	uidl = pp_uidl_map_dup(state->map, 1);
	g_assert_cmpstr(uidl, ==, "explicit");
	pp_state_free(state);
}

/* Only every second message is left of those that were retrieved at different
   times: as long as there are not too many, none of the others counts. */
static void test_prune_many(void)
{
	static const guint counts[] = {
		PP_RUNS_EXACT_MAX, PP_RUNS_EXACT_MAX + 1
	};

	for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
		struct pp_state *state = pp_state_new(&mailbox, 1);
		guint32 uids[PP_RUNS_EXACT_MAX + 1];
		gboolean spans = i > 0;

		for (guint n = 0; n < counts[i]; n++) {
			uids[n] = 2 * n + 2;
			pp_runs_set(state->retrieved, uids[n], uids[n], n + 1);
		}
		pp_state_prune(state, uids, counts[i]);
		g_assert_cmpint(state->spans, ==, spans);
		g_assert_cmpint(pp_runs_get(state->retrieved, 3, NULL), ==,
				spans);
		g_assert_cmpuint(pp_runs_count(state->retrieved), ==,
				 counts[i]);
		/* what cannot be told apart is not believed */
		pp_state_restart_times(state, 5000);
		g_assert_cmpint(pp_runs_get(state->retrieved, 2, NULL), ==,
				!spans);
		g_assert_false(state->spans);
		pp_state_free(state);
	}
}

/* A session whose view ends at 7 says nothing about 8. */
static void test_prune_upto(void)
{
	static const guint32 uids[] = { 3 };
	struct pp_state *state = pp_state_new(&mailbox, 1);

	set_runs(&state->retrieved, "7+110,1+50,1:1+5");
	pp_state_prune_upto(state, uids, 1, 7);
	assert_runs(state->retrieved, "2:1+110,4:1+50,1:1+5");
	pp_state_free(state);
}

static guint random_uids(guint32 *uids, guint32 upto, guint percent)
{
	guint32 uid;
	guint count = 0;

	for (uid = 1; uid <= upto; uid++) {
		if (g_test_rand_int_range(0, 100) < (gint)percent)
			uids[count++] = uid;
	}
	return count;
}

/* What was pruned once leaves nothing for the next idle session to say. */
static void test_prune_idle(void)
{
	static const guint percents[] = { 0, 3, 50, 97, 100 };
	guint32 uids[500];
	guint i, round;

	for (i = 0; i < G_N_ELEMENTS(percents) * 20; i++) {
		struct pp_state *state = pp_state_new(&mailbox, 1);
		struct pp_facts facts = {
			.mark = 500, .count = G_MAXUINT32, .now = 1
		};
		guint count;

		for (round = 1; round <= 50; round++) {
			facts.seen_upto = round * 10;
			facts.first_seen = round * 1000;
			pp_state_merge(state, &facts);
		}
		count = random_uids(uids, 500, percents[i / 20]);
		pp_state_prune(state, uids, count);
		facts.first_seen = 1000000;
		g_assert_false(pp_state_merge(state, &facts));
		g_assert_cmpuint(pp_runs_count(state->first_seen), <=,
				 MAX(count, 1));
		pp_state_free(state);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/state/new", test_new);
	g_test_add_func("/state/copy", test_copy);
	g_test_add_func("/state/validity", test_validity);
	g_test_add_func("/state/use-validity", test_use_validity);
	g_test_add_func("/state/shown", test_shown);
	g_test_add_func("/state/merge", test_merge);
	g_test_add_func("/state/merge-count", test_merge_count);
	g_test_add_func("/state/merge-unknown-id", test_merge_unknown_id);
	g_test_add_func("/state/restart-times", test_restart_times);
	g_test_add_func("/state/merge-relisted", test_merge_relisted);
	g_test_add_func("/state/prune", test_prune);
	g_test_add_func("/state/prune-many", test_prune_many);
	g_test_add_func("/state/prune-upto", test_prune_upto);
	g_test_add_func("/state/prune-idle", test_prune_idle);
	return g_test_run();
}
