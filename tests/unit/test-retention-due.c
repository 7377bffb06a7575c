/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Retention: when to look at a maildrop. */
#include "test-retention.h"

static void add_verdict(GArray *verdicts, guint64 due, gboolean goes_now,
			gboolean waits)
{
	struct pp_verdict verdict = {
		.due = due, .goes_now = goes_now, .waits = waits
	};

	g_array_append_val(verdicts, verdict);
}

/* Of a maildrop from which nothing was removed. */
static guint64 next_look(const GArray *verdicts, const struct pp_policy *policy,
			 guint64 now)
{
	struct pp_state *state = make_state();
	guint64 next = pp_retention_next_look(state, verdicts, policy, now);

	pp_state_free(state);
	return next;
}

static void test_next_look(void)
{
	g_autoptr(GArray) verdicts = g_array_new(FALSE, FALSE,
						 sizeof(struct pp_verdict));
	struct pp_policy policy = { .keep_retrieved_secs = DAY };

	g_assert_cmpuint(next_look(verdicts, &policy, NOW), ==,
			 G_MAXUINT64);
	/* stays; goes now; later; earlier than that; waits */
	add_verdict(verdicts, 0, FALSE, FALSE);
	add_verdict(verdicts, NOW - DAY, TRUE, FALSE);
	g_assert_cmpuint(next_look(verdicts, &policy, NOW), ==,
			 G_MAXUINT64);
	add_verdict(verdicts, NOW + 9 * DAY, FALSE, FALSE);
	g_assert_cmpuint(next_look(verdicts, &policy, NOW), ==,
			 NOW + 9 * DAY);
	add_verdict(verdicts, NOW + 5 * DAY, FALSE, FALSE);
	g_assert_cmpuint(next_look(verdicts, &policy, NOW), ==,
			 NOW + 5 * DAY);
	/* mail that arrives without a session */
	policy.keep_unretrieved_secs = 3 * DAY;
	g_assert_cmpuint(next_look(verdicts, &policy, NOW), ==,
			 NOW + 3 * DAY);
	add_verdict(verdicts, NOW - DAY, FALSE, TRUE);
	g_assert_cmpuint(next_look(verdicts, &policy, NOW), ==,
			 NOW + PP_REMOVAL_NEXT_PASS_SECS);
	/* what is due before that would wait as well */
	g_assert_cmpuint(next_look(verdicts, &policy, G_MAXUINT64 - 1), ==,
			 G_MAXUINT64);
}

/* Until the pass that is under way is a day old nothing goes but what clients
   DELEd. */
static void test_next_look_of_a_pass(void)
{
	static const guint64 begin = NOW - DAY / 4;
	g_autoptr(GArray) verdicts = g_array_new(FALSE, FALSE,
						 sizeof(struct pp_verdict));
	struct pp_policy policy = { .keep_retrieved_secs = DAY };
	struct pp_state *state = make_state();
	struct pp_verdict deleted = {
		.rule = PP_RULE_KEEP_DELETED, .due = NOW + 600
	};

	pp_retention_note_removed(state, begin, 100, 50);
	add_verdict(verdicts, NOW - DAY, FALSE, TRUE);
	add_verdict(verdicts, NOW + 3600, FALSE, FALSE);
	g_assert_cmpuint(pp_retention_next_look(state, verdicts, &policy, NOW),
			 ==, begin + PP_REMOVAL_NEXT_PASS_SECS);
	g_array_append_val(verdicts, deleted);
	g_assert_cmpuint(pp_retention_next_look(state, verdicts, &policy, NOW),
			 ==, NOW + 600);
	pp_state_free(state);
}

/* Its flag may be taken away: it is looked at once a day. */
static void test_next_look_of_protected(void)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = { .keep_retrieved_secs = 5 * DAY };
	struct pp_message message = { .uid = 1, .is_protected = TRUE };
	gboolean clock_back;

	pp_runs_set(state->first_seen, 1, 1, DAY);
	for (guint retrieved = 0; retrieved <= 1000; retrieved += 10) {
		g_autoptr(GArray) verdicts = NULL;

		set_time(state->retrieved, 1, retrieved * DAY);
		verdicts = pp_retention_judge(state, &policy, &message, 1, NOW,
					      &clock_back);
		g_assert_cmpuint(verdict_at(verdicts, 0).due, ==, 0);
		g_assert_cmpuint(
			next_look(verdicts, &policy, NOW), ==,
			retrieved == 0 ? G_MAXUINT64 :
			NOW + (retrieved == 1000 ? 5 : 1) * DAY);
	}
	pp_state_free(state);
}

static void test_is_due(void)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = { .keep_retrieved_secs = DAY };
	struct pp_policy none = { .min_keep_secs = DAY };

	/* nobody has looked yet, but there is nothing */
	g_assert_false(pp_retention_is_due(state, &policy, NOW));
	set_time(state->retrieved, 5, NOW - DAY + 1);
	g_assert_false(pp_retention_is_due(state, &policy, NOW));
	g_assert_true(pp_retention_is_due(state, &policy, NOW + 1));
	g_assert_false(pp_retention_is_due(state, &none, NOW + 1));

	/* somebody has, and noted when to look */
	state->due = NOW + 9;
	state->due_rules = pp_policy_hash(&policy);
	g_assert_false(pp_retention_is_due(state, &policy, NOW + 8));
	g_assert_true(pp_retention_is_due(state, &policy, NOW + 9));
	state->due = G_MAXUINT64;
	g_assert_false(pp_retention_is_due(state, &policy, NOW + 9));
	/* other rules */
	policy.min_keep_secs = 1;
	g_assert_true(pp_retention_is_due(state, &policy, NOW + 9));
	pp_state_free(state);
}

/* Facts of UIDs 1 to 9, and when the first of them may go. In days. */
struct earliest_row {
	const char *what;
	guint keep_retrieved, keep_unretrieved, keep_deleted;
	guint max_messages, max_bytes, min_keep;
	/* first seen: 1-3, 4-6, 7-9; retrieved: 1-2, 3, 7-9; deleted: 9 */
	guint first_seen[3], retrieved[3], deleted;
	guint earliest;	/* 0: never */
};

static const struct earliest_row earliest_rows[] = {
	{ "nothing known", 1, 1, 1, 1, 1, 1, { 0 }, { 0 }, 0, 0 },
	{ "no rules", 0, 0, 0, 0, 0, 1, { 1, 2, 3 }, { 1, 2, 3 }, 4, 0 },
	{ "the oldest retrieval", 7, 0, 0, 0, 0, 1,
	  { 10, 10, 10 }, { 30, 20, 40 }, 5, 27 },
	{ "nothing retrieved", 7, 0, 0, 0, 0, 1, { 10, 10, 10 }, { 0 }, 5, 0 },
	{ "min_keep is longer", 7, 0, 0, 0, 0, 9,
	  { 10, 10, 10 }, { 30, 20, 40 }, 0, 29 },
	{ "the oldest unretrieved", 0, 7, 0, 0, 0, 1,
	  { 20, 10, 30 }, { 0 }, 0, 17 },
	{ "the oldest is retrieved", 0, 7, 0, 0, 0, 1,
	  { 10, 20, 30 }, { 50, 50, 0 }, 0, 27 },
	{ "half of it only", 0, 7, 0, 0, 0, 1,
	  { 10, 20, 30 }, { 50, 0, 50 }, 0, 17 },
	{ "all are retrieved but the last ones", 0, 7, 0, 0, 0, 1,
	  { 10, 0, 30 }, { 50, 50, 0 }, 0, 37 },
	{ "all are retrieved", 0, 7, 0, 0, 0, 1,
	  { 10, 0, 30 }, { 50, 50, 50 }, 0, 0 },
	{ "DELEd", 9, 9, 7, 0, 0, 30, { 10, 10, 10 }, { 30, 20, 40 }, 5, 12 },
	{ "within the cap", 0, 0, 0, 6, 0, 1, { 0 }, { 30, 20, 40 }, 0, 0 },
	{ "beyond the cap", 0, 0, 0, 5, 0, 1, { 0 }, { 30, 20, 40 }, 0, 21 },
	{ "sizes are not known", 0, 0, 0, 0, 9, 2, { 0 }, { 30, 20, 40 }, 0,
	  22 },
	{ "several rules", 7, 7, 7, 1, 1, 1, { 10, 10, 10 }, { 30, 20, 40 },
	  50, 17 },
};

static void set_times(struct pp_runs *runs, guint32 first, guint32 last,
		      guint days)
{
	if (days != 0)
		pp_runs_set(runs, first, last, days * DAY);
}

static void test_earliest(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(earliest_rows); i++) {
		const struct earliest_row *row = &earliest_rows[i];
		struct pp_state *state = make_state();
		struct pp_policy policy = {
			.keep_retrieved_secs = row->keep_retrieved * DAY,
			.keep_unretrieved_secs = row->keep_unretrieved * DAY,
			.keep_deleted_secs = row->keep_deleted * DAY,
			.max_retrieved_messages = row->max_messages,
			.max_retrieved_bytes = row->max_bytes,
			.min_keep_secs = row->min_keep * DAY
		};

		g_test_message("%s", row->what);
		for (guint j = 0; j < 3; j++) {
			set_times(state->first_seen, 3 * j + 1, 3 * j + 3,
				  row->first_seen[j]);
		}
		set_times(state->retrieved, 1, 2, row->retrieved[0]);
		set_times(state->retrieved, 3, 3, row->retrieved[1]);
		set_times(state->retrieved, 7, 9, row->retrieved[2]);
		set_times(state->deleted, 9, 9, row->deleted);
		g_assert_cmpuint(pp_retention_earliest(state, &policy), ==,
				 row->earliest == 0 ? G_MAXUINT64 :
				 row->earliest * DAY);
		pp_state_free(state);
	}
}

#define RANDOM_UIDS 12

/* Any time, or none. */
static void random_runs(GRand *rand, struct pp_runs *runs)
{
	for (guint32 uid = 1; uid <= RANDOM_UIDS; uid++) {
		set_times(runs, uid, uid, g_rand_boolean(rand) ? 0 :
			  (guint)g_rand_int_range(rand, 1, 9));
	}
}

static guint64 random_days(GRand *rand)
{
	return (guint64)MAX(g_rand_int_range(rand, -4, 6), 0) * DAY;
}

/* Whatever the mailbox has: no verdict is earlier. */
static void check_random(GRand *rand)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = {
		.keep_retrieved_secs = random_days(rand),
		.keep_unretrieved_secs = random_days(rand),
		.keep_deleted_secs = random_days(rand),
		.max_retrieved_messages = random_days(rand) / DAY,
		.max_retrieved_bytes = random_days(rand) / DAY,
		.min_keep_secs = random_days(rand),
		.removal_limit_percent = 100
	};
	struct pp_message messages[RANDOM_UIDS];
	g_autoptr(GArray) verdicts = NULL;
	guint64 earliest, due;
	gboolean clock_back;

	random_runs(rand, state->first_seen);
	random_runs(rand, state->retrieved);
	random_runs(rand, state->deleted);
	earliest = pp_retention_earliest(state, &policy);
	for (guint i = 0; i < RANDOM_UIDS; i++) {
		messages[i] = (struct pp_message) {
			.uid = i + 1,
			.size_bytes = (guint64)g_rand_int_range(rand, 0, 3),
			.is_protected = g_rand_int_range(rand, 0, 5) == 0,
			.hidden = g_rand_boolean(rand)
		};
	}
	verdicts = pp_retention_judge(state, &policy, messages, RANDOM_UIDS,
				      NOW, &clock_back);
	for (guint i = 0; i < RANDOM_UIDS; i++) {
		due = MAX(verdict_at(verdicts, i).due,
			  verdict_at(verdicts, i).kept_from);
		if (due != 0)
			g_assert_cmpuint(earliest, <=, due);
	}
	pp_state_free(state);
}

static void test_earliest_random(void)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed(
		(guint32)g_test_rand_int());

	for (guint i = 0; i < 20000; i++)
		check_random(rand);
}

/* Each member counts, and only some are rules. */
static void test_policy(void)
{
	static const char *const flag[] = { "\\Flagged", NULL };
	static const char *const flags[] = { "\\Flagged", "Keep", NULL };
	guint64 hashes[11];

	for (guint i = 0; i < G_N_ELEMENTS(hashes); i++) {
		struct pp_policy policy = {
			.keep_retrieved_secs = i == 1,
			.keep_unretrieved_secs = i == 2,
			.keep_deleted_secs = i == 3,
			.max_retrieved_messages = i == 4,
			.max_retrieved_bytes = i == 5,
			.min_keep_secs = i == 6,
			.removal_limit_percent = i == 7,
			.dry_run = i == 8,
			.protect = i == 9 ? flag : i == 10 ? flags : NULL
		};

		g_assert_cmpint(pp_policy_has_rules(&policy), ==,
				i >= 1 && i <= 5);
		hashes[i] = pp_policy_hash(&policy);
		g_assert_cmpuint(hashes[i], !=, 0);
		for (guint j = 0; j < i; j++)
			g_assert_cmpuint(hashes[i], !=, hashes[j]);
	}
}

struct note_row {
	const char *what;
	struct pp_policy policy;
	/* in days: of the facts; the state's due before (0: look) and after */
	guint retrieved, deleted, first_seen;
	guint before, after;
};

static const struct note_row note_rows[] = {
	{ "nothing", { .keep_retrieved_secs = DAY }, 0, 0, 0, 2000, 2000 },
	{ "retrieved", { .keep_retrieved_secs = 5 * DAY },
	  1000, 0, 0, 2000, 1005 },
	{ "never later", { .keep_retrieved_secs = 5 * DAY },
	  1000, 0, 0, 1001, 1001 },
	{ "not known yet stays so", { .keep_retrieved_secs = 5 * DAY },
	  1000, 0, 0, 0, 0 },
	{ "min_keep", { .keep_retrieved_secs = 5 * DAY,
			.min_keep_secs = 7 * DAY }, 1000, 0, 0, 2000, 1007 },
	{ "DELEd", { .keep_deleted_secs = 3 * DAY },
	  0, 1000, 0, 2000, 1003 },
	{ "first seen", { .keep_unretrieved_secs = 90 * DAY },
	  0, 0, 1000, 2000, 1090 },
	{ "seen, but no rule", { .keep_retrieved_secs = DAY },
	  0, 1000, 1000, 2000, 2000 },
	{ "a cap that is full", { .max_retrieved_messages = 1 },
	  1000, 0, 0, 2000, 1000 },
	{ "a cap that is not", { .max_retrieved_messages = 2 },
	  1000, 0, 0, 2000, 2000 },
	{ "sizes are not known here", { .max_retrieved_bytes = 1000 },
	  1000, 0, 0, 2000, 1000 }
};

static void check_note(const struct note_row *row)
{
	struct pp_state *state = make_state();
	struct pp_runs *retrieved = pp_runs_new(), *deleted = pp_runs_new();
	struct pp_facts facts = {
		.retrieved = retrieved, .deleted = deleted, .now = NOW,
		.count = G_MAXUINT32, .first_seen = row->first_seen * DAY,
		.seen_upto = row->first_seen != 0 ? 5 : 0
	};

	/* two messages */
	for (guint32 uid = 4; uid <= 5; uid++) {
		set_time(retrieved, uid, row->retrieved * DAY);
		set_time(deleted, uid, row->deleted * DAY);
	}
	state->due = row->before * DAY;
	g_assert_true(pp_state_merge(state, &facts) || row->first_seen +
		      row->retrieved + row->deleted == 0);
	pp_retention_note_facts(state, &row->policy, &facts);
	g_assert_cmpuint(state->due, ==, row->after * DAY);
	pp_runs_free(retrieved);
	pp_runs_free(deleted);
	pp_state_free(state);
}

static void test_note(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(note_rows); i++) {
		g_test_message("%s", note_rows[i].what);
		check_note(&note_rows[i]);
	}
}

/* Nothing goes until a clock that went back has caught up: nor is anything
   looked at. */
static void test_note_by_a_clock_that_went_back(void)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = { .max_retrieved_bytes = 1 };
	struct pp_runs *retrieved = pp_runs_new();
	struct pp_facts facts = {
		.retrieved = retrieved, .now = NOW - DAY, .count = G_MAXUINT32
	};

	set_time(retrieved, 5, NOW - DAY);
	state->due = NOW + DAY;
	pp_retention_note_facts(state, &policy, &facts);
	g_assert_cmpuint(state->due, ==, NOW);
	pp_runs_free(retrieved);
	pp_state_free(state);
}

static void test_note_without_facts(void)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = { .keep_retrieved_secs = DAY };
	struct pp_facts facts = { .now = NOW };

	state->due = NOW;
	pp_retention_note_facts(state, &policy, &facts);
	g_assert_cmpuint(state->due, ==, NOW);
	pp_state_free(state);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/retention/next-look", test_next_look);
	g_test_add_func("/retention/next-look-of-a-pass",
			test_next_look_of_a_pass);
	g_test_add_func("/retention/next-look-of-protected",
			test_next_look_of_protected);
	g_test_add_func("/retention/is-due", test_is_due);
	g_test_add_func("/retention/policy", test_policy);
	g_test_add_func("/retention/note", test_note);
	g_test_add_func("/retention/note-without-facts",
			test_note_without_facts);
	g_test_add_func("/retention/note-by-a-clock-that-went-back",
			test_note_by_a_clock_that_went_back);
	g_test_add_func("/retention/earliest", test_earliest);
	g_test_add_func("/retention/earliest-random", test_earliest_random);
	return g_test_run();
}
