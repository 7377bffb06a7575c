/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Retention: which message goes when, and why; the caps, the limit of a pass.
   Times of the tables are in days. */
#include "test-retention.h"

/* One message under one policy. */
struct one_row {
	const char *what;
	/* keep retrieved, unretrieved, deleted; caps; min_keep */
	guint keep_retrieved, keep_unretrieved, keep_deleted;
	guint max_messages, max_bytes, min_keep;
	/* the message: times (0: not known), flags; it has 10 bytes */
	guint first_seen, retrieved, deleted;
	gboolean is_protected, hidden;
	enum pp_rule rule;
	guint due;
	gboolean goes_now;
};

static const struct one_row one_rows[] = {
	/* keep_retrieved */
	{ "retrieved long enough ago",
	  14, 0, 0, 0, 0, 1, 900, 986, 0, FALSE, FALSE,
	  PP_RULE_KEEP_RETRIEVED, 1000, TRUE },
	{ "not yet",
	  14, 0, 0, 0, 0, 1, 900, 987, 0, FALSE, FALSE,
	  PP_RULE_KEEP_RETRIEVED, 1001, FALSE },
	{ "never retrieved",
	  14, 0, 0, 0, 0, 1, 900, 0, 0, FALSE, FALSE,
	  PP_RULE_STAYS_NOT_RETRIEVED, 0, FALSE },
	{ "retrieved, first sight not known",
	  14, 0, 0, 0, 0, 1, 0, 900, 0, FALSE, FALSE,
	  PP_RULE_KEEP_RETRIEVED, 914, TRUE },
	{ "no rule for retrieved mail",
	  0, 30, 0, 0, 0, 1, 900, 950, 0, FALSE, FALSE,
	  PP_RULE_STAYS_NO_RULE, 0, FALSE },
	{ "no rule at all",
	  0, 0, 0, 0, 0, 1, 900, 950, 900, FALSE, TRUE,
	  PP_RULE_STAYS_NO_RULE, 0, FALSE },
	/* keep_unretrieved */
	{ "never retrieved, long enough there",
	  14, 90, 0, 0, 0, 1, 910, 0, 0, FALSE, FALSE,
	  PP_RULE_KEEP_UNRETRIEVED, 1000, TRUE },
	{ "retrieved late: that clock counts",
	  14, 90, 0, 0, 0, 1, 800, 990, 0, FALSE, FALSE,
	  PP_RULE_KEEP_RETRIEVED, 1004, FALSE },
	{ "never seen by a session: no clock",
	  14, 90, 7, 0, 0, 1, 0, 0, 0, FALSE, FALSE,
	  PP_RULE_STAYS_UNKNOWN, 0, FALSE },
	/* keep_deleted */
	{ "DELEd, its grace is over",
	  0, 0, 7, 0, 0, 1, 900, 0, 993, FALSE, TRUE,
	  PP_RULE_KEEP_DELETED, 1000, TRUE },
	{ "DELEd, in its grace",
	  0, 0, 7, 0, 0, 1, 900, 0, 994, FALSE, TRUE,
	  PP_RULE_KEEP_DELETED, 1001, FALSE },
	{ "restored: the grace counts no more",
	  0, 0, 7, 0, 0, 1, 900, 0, 900, FALSE, FALSE,
	  PP_RULE_STAYS_NOT_RETRIEVED, 0, FALSE },
	{ "hidden, but nobody knows since when",
	  0, 0, 7, 0, 0, 1, 900, 0, 0, FALSE, TRUE,
	  PP_RULE_STAYS_NOT_RETRIEVED, 0, FALSE },
	{ "no other time than that of the DELE",
	  0, 0, 7, 0, 0, 10, 0, 0, 990, FALSE, TRUE,
	  PP_RULE_KEEP_DELETED, 1000, TRUE },
	{ "DELEd and retrieved: the earlier one",
	  14, 0, 7, 0, 0, 1, 900, 991, 995, FALSE, TRUE,
	  PP_RULE_KEEP_DELETED, 1002, FALSE },
	{ "DELEd and retrieved: the earlier one, the other way",
	  14, 0, 30, 0, 0, 1, 900, 980, 995, FALSE, TRUE,
	  PP_RULE_KEEP_RETRIEVED, 994, TRUE },
	{ "where both took it its client's DELE did",
	  14, 0, 7, 0, 0, 1, 900, 950, 990, FALSE, TRUE,
	  PP_RULE_KEEP_DELETED, 997, TRUE },
	/* caps on a single message */
	{ "larger than the cap all alone",
	  0, 0, 0, 0, 9, 1, 900, 950, 0, FALSE, FALSE,
	  PP_RULE_MAX_SIZE, 951, TRUE },
	{ "as large as the cap",
	  0, 0, 0, 0, 10, 1, 900, 950, 0, FALSE, FALSE,
	  PP_RULE_STAYS_NO_RULE, 0, FALSE },
	{ "a cap takes nothing that was not retrieved",
	  0, 0, 0, 1, 1, 1, 900, 0, 0, FALSE, FALSE,
	  PP_RULE_STAYS_NOT_RETRIEVED, 0, FALSE },
	{ "what is hidden is not the caps' business",
	  0, 0, 0, 1, 1, 1, 900, 950, 950, FALSE, TRUE,
	  PP_RULE_STAYS_NO_RULE, 0, FALSE },
	/* min_keep */
	{ "after it was retrieved",
	  2, 0, 0, 0, 0, 5, 900, 996, 0, FALSE, FALSE,
	  PP_RULE_KEEP_RETRIEVED, 1001, FALSE },
	{ "that is over",
	  2, 0, 0, 0, 0, 5, 900, 995, 0, FALSE, FALSE,
	  PP_RULE_KEEP_RETRIEVED, 1000, TRUE },
	{ "after it was first seen",
	  0, 2, 0, 0, 0, 5, 996, 0, 0, FALSE, FALSE,
	  PP_RULE_KEEP_UNRETRIEVED, 1001, FALSE },
	{ "of a DELEd one",
	  0, 0, 1, 0, 0, 5, 996, 0, 997, FALSE, TRUE,
	  PP_RULE_KEEP_DELETED, 1001, FALSE },
	{ "of one beyond a cap",
	  0, 0, 0, 0, 9, 5, 900, 998, 0, FALSE, FALSE,
	  PP_RULE_MAX_SIZE, 1003, FALSE },
	{ "none",
	  0, 0, 0, 0, 9, 0, 900, 1000, 0, FALSE, FALSE,
	  PP_RULE_MAX_SIZE, 1000, TRUE },
	/* protect */
	{ "protected and retrieved",
	  14, 0, 0, 0, 0, 1, 900, 950, 0, TRUE, FALSE,
	  PP_RULE_STAYS_PROTECTED, 0, FALSE },
	{ "protected and DELEd",
	  14, 90, 7, 1, 1, 1, 800, 800, 800, TRUE, TRUE,
	  PP_RULE_STAYS_PROTECTED, 0, FALSE },
	{ "protected and never seen",
	  14, 0, 0, 0, 0, 1, 0, 0, 0, TRUE, FALSE,
	  PP_RULE_STAYS_PROTECTED, 0, FALSE }
};

static struct pp_policy row_policy(const struct one_row *row)
{
	struct pp_policy policy = {
		.keep_retrieved_secs = row->keep_retrieved * DAY,
		.keep_unretrieved_secs = row->keep_unretrieved * DAY,
		.keep_deleted_secs = row->keep_deleted * DAY,
		.max_retrieved_messages = row->max_messages,
		.max_retrieved_bytes = row->max_bytes,
		.min_keep_secs = row->min_keep * DAY,
		.removal_limit_percent = 20
	};

	return policy;
}

static void check_one(const struct one_row *row)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = row_policy(row);
	struct pp_message message = {
		.uid = 5, .size_bytes = 10,
		.is_protected = row->is_protected, .hidden = row->hidden
	};
	g_autoptr(GArray) verdicts = NULL;
	struct pp_verdict verdict;
	gboolean clock_back = TRUE;

	set_time(state->first_seen, 5, row->first_seen * DAY);
	set_time(state->retrieved, 5, row->retrieved * DAY);
	set_time(state->deleted, 5, row->deleted * DAY);
	verdicts = pp_retention_judge(state, &policy, &message, 1, NOW,
				      &clock_back);
	g_assert_false(clock_back);
	g_assert_cmpuint(verdicts->len, ==, 1);
	verdict = verdict_at(verdicts, 0);
	g_assert_cmpuint(verdict.uid, ==, 5);
	g_assert_cmpuint(verdict.size_bytes, ==, 10);
	g_assert_cmpuint(verdict.first_seen, ==, row->first_seen * DAY);
	g_assert_cmpuint(verdict.retrieved, ==, row->retrieved * DAY);
	g_assert_cmpuint(verdict.deleted, ==, row->deleted * DAY);
	g_assert_cmpstr(pp_rule_name(verdict.rule), ==,
			pp_rule_name(row->rule));
	g_assert_cmpint(pp_rule_removes(verdict.rule), ==, verdict.due != 0);
	g_assert_cmpuint(verdict.due, ==, row->due * DAY);
	g_assert_cmpint(verdict.goes_now, ==, row->goes_now);
	g_assert_false(verdict.waits);
	pp_state_free(state);
}

static void test_one(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(one_rows); i++) {
		g_test_message("%s", one_rows[i].what);
		check_one(&one_rows[i]);
	}
}

static void test_names(void)
{
	static const char *const names[] = {
		"keep_retrieved", "keep_unretrieved", "keep_deleted",
		"max_retrieved_messages", "max_retrieved_size", "protected",
		"not_retrieved", "unknown", "no_rule"
	};

	g_assert_cmpuint(G_N_ELEMENTS(names), ==, PP_RULE_STAYS_NO_RULE + 1);
	for (guint i = 0; i < G_N_ELEMENTS(names); i++)
		g_assert_cmpstr(pp_rule_name(i), ==, names[i]);
}

/* Messages of UIDs 1, 2, ..: retrieved on day, size; what of them a cap
   takes: the day since when. */
struct cap_row {
	const char *what;
	guint64 max_messages, max_bytes;
	struct {
		guint retrieved;
		guint64 size;
		gboolean is_protected, hidden;
		guint due;	/* 0: stays */
	} messages[6];
};

static const struct cap_row cap_rows[] = {
	{ "as many as the cap", 3, 0,
	  { { 900, 1, FALSE, FALSE, 0 }, { 901, 1, FALSE, FALSE, 0 },
	    { 902, 1, FALSE, FALSE, 0 } } },
	{ "oldest retrieval first, since the one that pushed it out", 2, 0,
	  { { 903, 1, FALSE, FALSE, 0 }, { 901, 1, FALSE, FALSE, 903 },
	    { 900, 1, FALSE, FALSE, 902 }, { 902, 1, FALSE, FALSE, 0 } } },
	{ "of one retrieval the lowest UID first", 2, 0,
	  { { 900, 1, FALSE, FALSE, 900 }, { 900, 1, FALSE, FALSE, 900 },
	    { 900, 1, FALSE, FALSE, 0 }, { 900, 1, FALSE, FALSE, 0 } } },
	{ "a protected one counts and stays", 2, 0,
	  { { 900, 1, TRUE, FALSE, 0 }, { 901, 1, FALSE, FALSE, 903 },
	    { 902, 1, FALSE, FALSE, 0 }, { 903, 1, TRUE, FALSE, 0 } } },
	{ "a hidden one takes no place", 2, 0,
	  { { 900, 1, FALSE, FALSE, 0 }, { 901, 1, FALSE, TRUE, 0 },
	    { 902, 1, FALSE, FALSE, 0 }, { 903, 1, FALSE, TRUE, 0 } } },
	{ "what was not retrieved takes no place", 1, 0,
	  { { 0, 1, FALSE, FALSE, 0 }, { 901, 1, FALSE, FALSE, 0 },
	    { 0, 1, FALSE, FALSE, 0 } } },
	{ "size, the sum fits", 0, 30,
	  { { 900, 10, FALSE, FALSE, 0 }, { 901, 10, FALSE, FALSE, 0 },
	    { 902, 10, FALSE, FALSE, 0 } } },
	{ "size, one byte too much", 0, 29,
	  { { 900, 10, FALSE, FALSE, 902 }, { 901, 10, FALSE, FALSE, 0 },
	    { 902, 10, FALSE, FALSE, 0 } } },
	{ "a large one pushes several out", 0, 30,
	  { { 900, 10, FALSE, FALSE, 903 }, { 901, 10, FALSE, FALSE, 903 },
	    { 902, 10, FALSE, FALSE, 0 }, { 903, 20, FALSE, FALSE, 0 } } },
	{ "a too large one takes all before it along", 0, 30,
	  { { 900, 10, FALSE, FALSE, 901 }, { 901, 31, FALSE, FALSE, 901 },
	    { 902, 10, FALSE, FALSE, 0 } } },
	{ "sums saturate", 0, G_MAXUINT64 - 1,
	  { { 900, G_MAXUINT64 - 1, FALSE, FALSE, 901 },
	    { 901, G_MAXUINT64 - 1, FALSE, FALSE, 0 } } },
	{ "both caps: the earlier moment", 2, 25,
	  { { 900, 10, FALSE, FALSE, 902 }, { 901, 10, FALSE, FALSE, 902 },
	    { 902, 20, FALSE, FALSE, 0 } } }
};

static void check_caps(const struct cap_row *row)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = {
		.max_retrieved_messages = row->max_messages,
		.max_retrieved_bytes = row->max_bytes,
		.removal_limit_percent = 20
	};
	struct pp_message messages[G_N_ELEMENTS(row->messages)];
	g_autoptr(GArray) verdicts = NULL;
	gboolean clock_back;
	guint count = 0;

	for (; count < G_N_ELEMENTS(messages) &&
	     row->messages[count].size != 0; count++) {
		guint32 uid = count + 1;

		messages[count] = (struct pp_message) {
			.uid = uid, .size_bytes = row->messages[count].size,
			.is_protected = row->messages[count].is_protected,
			.hidden = row->messages[count].hidden
		};
		set_time(state->first_seen, uid, 800 * DAY);
		set_time(state->retrieved, uid,
			 row->messages[count].retrieved * DAY);
	}
	verdicts = pp_retention_judge(state, &policy, messages, count, NOW,
				      &clock_back);
	for (guint i = 0; i < count; i++) {
		g_assert_cmpuint(verdict_at(verdicts, i).due, ==,
				 row->messages[i].due * DAY);
		g_assert_cmpint(verdict_at(verdicts, i).goes_now, ==,
				row->messages[i].due != 0);
	}
	pp_state_free(state);
}

static void test_caps(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(cap_rows); i++) {
		g_test_message("%s", cap_rows[i].what);
		check_caps(&cap_rows[i]);
	}
}

/* COUNT messages, of which the first DUE are due by keep_retrieved, the lowest
   UID last, and the last DELETED by keep_deleted. */
struct limit_row {
	const char *what;
	guint count, percent, due, deleted;
	guint go, wait;
};

static const struct limit_row limit_rows[] = {
	{ "50 are always allowed", 60, 1, 50, 0, 50, 0 },
	{ "51 are not", 60, 1, 51, 0, 50, 1 },
	{ "a fifth of 1000", 1000, 20, 300, 0, 200, 100 },
	{ "rounded down", 1004, 20, 300, 0, 200, 100 },
	{ "all", 1000, 100, 1000, 0, 1000, 0 },
	{ "more than all is all", 1000, 4000000000U, 1000, 0, 1000, 0 },
	{ "no percentage: 50 all the same", 1000, 0, 300, 0, 50, 250 },
	{ "DELEd ones are not limited", 1000, 1, 0, 600, 600, 0 },
	{ "and not counted", 1000, 1, 60, 600, 650, 10 },
	{ "nothing due", 1000, 20, 0, 0, 0, 0 },
	{ "nothing there", 0, 20, 0, 0, 0, 0 }
};

static void check_limit(const struct limit_row *row)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = {
		.keep_retrieved_secs = DAY, .keep_deleted_secs = DAY,
		.removal_limit_percent = row->percent
	};
	g_autofree struct pp_message *messages =
		g_new0(struct pp_message, row->count + 1);
	g_autoptr(GArray) verdicts = NULL;
	guint go = 0, wait = 0;
	gboolean clock_back;

	for (guint i = 0; i < row->count; i++) {
		messages[i].uid = i + 1;
		messages[i].hidden = i >= row->count - row->deleted;
		set_time(state->first_seen, i + 1, DAY);
		if (i < row->due)
			set_time(state->retrieved, i + 1, 500 * DAY - i);
		if (messages[i].hidden)
			set_time(state->deleted, i + 1, 900 * DAY);
	}
	verdicts = pp_retention_judge(state, &policy, messages, row->count,
				      NOW, &clock_back);
	for (guint i = 0; i < row->count; i++) {
		struct pp_verdict verdict = verdict_at(verdicts, i);

		go += verdict.goes_now;
		wait += verdict.waits;
		g_assert_false(verdict.goes_now && verdict.waits);
		/* longest due first: the lowest UIDs wait */
		g_assert_cmpint(verdict.waits, ==, i < row->wait);
	}
	g_assert_cmpuint(go, ==, row->go);
	g_assert_cmpuint(wait, ==, row->wait);
	g_assert_cmpuint(pp_retention_next_look(state, verdicts, &policy, NOW),
			 ==, row->wait > 0 ? NOW + DAY : G_MAXUINT64);
	pp_state_free(state);
}

static void test_limit(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(limit_rows); i++) {
		g_test_message("%s", limit_rows[i].what);
		check_limit(&limit_rows[i]);
	}
}

/* 1000 messages, all due; how many of them go by a pass that removed REMOVED of
   MESSAGES some SECS ago. */
static guint goes_after_by(guint percent, guint64 secs, guint32 messages,
			   guint32 removed)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = {
		.keep_retrieved_secs = DAY, .removal_limit_percent = percent
	};
	g_autofree struct pp_message *all = g_new0(struct pp_message, 1000);
	g_autoptr(GArray) verdicts = NULL;
	gboolean clock_back;
	guint go = 0;

	for (guint i = 0; i < 1000; i++)
		all[i].uid = i + 1;
	pp_runs_set(state->first_seen, 1, 1000, DAY);
	pp_runs_set(state->retrieved, 1, 1000, DAY);
	pp_retention_note_removed(state, NOW - secs, messages, removed);
	verdicts = pp_retention_judge(state, &policy, all, 1000, NOW,
				      &clock_back);
	for (guint i = 0; i < 1000; i++)
		go += verdict_at(verdicts, i).goes_now;
	pp_state_free(state);
	return go;
}

static guint goes_after(guint64 secs, guint32 messages, guint32 removed)
{
	return goes_after_by(20, secs, messages, removed);
}

static void test_limit_of_a_day(void)
{
	g_assert_cmpuint(goes_after_by(99, 60, 1000, 990), ==, 0);
	/* no limit at all: more may have come since */
	g_assert_cmpuint(goes_after_by(100, 60, 50, 50), ==, 1000);
	g_assert_cmpuint(goes_after(60, 1000, 0), ==, 200);
	g_assert_cmpuint(goes_after(60, 1250, 250), ==, 0);
	/* of what there was when the pass began, not of what is left */
	g_assert_cmpuint(goes_after(60, 1100, 100), ==, 120);
	g_assert_cmpuint(goes_after(60, 100, 49), ==, 1);
	g_assert_cmpuint(goes_after(60, 100, 1000), ==, 0);
	g_assert_cmpuint(goes_after(PP_REMOVAL_NEXT_PASS_SECS - 1, 1250, 250),
			 ==, 0);
	g_assert_cmpuint(goes_after(PP_REMOVAL_NEXT_PASS_SECS, 1250, 250),
			 ==, 200);
}

/* Those of one pass are counted from its first removal on. */
static void test_note_removed(void)
{
	struct pp_state *state = make_state();

	pp_retention_note_removed(state, NOW, 1000, 0);
	g_assert_cmpuint(state->pass_time, ==, 0);
	pp_retention_note_removed(state, NOW, 1000, 150);
	pp_retention_note_removed(state, NOW + 3600, 850, 50);
	g_assert_cmpuint(state->pass_time, ==, NOW);
	g_assert_cmpuint(state->pass_messages, ==, 1000);
	g_assert_cmpuint(state->pass_removed, ==, 200);
	pp_retention_note_removed(state, NOW + DAY, 800, 10);
	g_assert_cmpuint(state->pass_time, ==, NOW + DAY);
	g_assert_cmpuint(state->pass_messages, ==, 800);
	g_assert_cmpuint(state->pass_removed, ==, 10);
	/* a clock that went back */
	g_assert_false(pp_retention_pass_goes_on(state, NOW));
	pp_state_free(state);
}

static void test_clock_back(void)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = {
		.keep_retrieved_secs = DAY, .keep_deleted_secs = DAY,
		.removal_limit_percent = 20
	};
	struct pp_message messages[] = {
		{ .uid = 1 }, { .uid = 2, .hidden = TRUE }
	};
	g_autoptr(GArray) verdicts = NULL;
	gboolean clock_back = FALSE;

	pp_runs_set(state->first_seen, 1, 2, DAY);
	pp_runs_set(state->retrieved, 1, 1, DAY);
	pp_runs_set(state->deleted, 2, 2, DAY);
	verdicts = pp_retention_judge(state, &policy, messages, 2, NOW - 1,
				      &clock_back);
	g_assert_true(clock_back);
	for (guint i = 0; i < 2; i++) {
		g_assert_cmpuint(verdict_at(verdicts, i).due, ==, 2 * DAY);
		g_assert_false(verdict_at(verdicts, i).goes_now);
		g_assert_false(verdict_at(verdicts, i).waits);
	}
	/* looks again at the next session */
	g_assert_cmpuint(pp_retention_next_look(state, verdicts, &policy,
						NOW - 1), ==, 2 * DAY);
	pp_state_free(state);
}

/* A keeping time without end never comes. */
static void test_overflow(void)
{
	struct pp_state *state = make_state();
	struct pp_policy policy = {
		.keep_retrieved_secs = G_MAXUINT64,
		.keep_unretrieved_secs = G_MAXUINT64 - 5,
		.removal_limit_percent = 20
	};
	struct pp_message messages[] = { { .uid = 1 }, { .uid = 2 } };
	g_autoptr(GArray) verdicts = NULL;
	gboolean clock_back;

	pp_runs_set(state->first_seen, 1, 2, DAY);
	pp_runs_set(state->retrieved, 1, 1, DAY);
	verdicts = pp_retention_judge(state, &policy, messages, 2, NOW,
				      &clock_back);
	for (guint i = 0; i < 2; i++) {
		g_assert_cmpuint(verdict_at(verdicts, i).due, ==,
				 G_MAXUINT64);
		g_assert_false(verdict_at(verdicts, i).goes_now);
	}
	g_assert_cmpuint(pp_retention_next_look(state, verdicts, &policy, NOW),
			 ==, G_MAXUINT64);

	policy.min_keep_secs = G_MAXUINT64;
	policy.keep_retrieved_secs = 1;
	g_array_unref(verdicts);
	verdicts = pp_retention_judge(state, &policy, messages, 2, NOW,
				      &clock_back);
	g_assert_cmpuint(verdict_at(verdicts, 0).due, ==, G_MAXUINT64);
	g_assert_false(verdict_at(verdicts, 0).goes_now);
	pp_state_free(state);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/retention/one", test_one);
	g_test_add_func("/retention/names", test_names);
	g_test_add_func("/retention/caps", test_caps);
	g_test_add_func("/retention/limit", test_limit);
	g_test_add_func("/retention/limit-of-a-day", test_limit_of_a_day);
	g_test_add_func("/retention/note-removed", test_note_removed);
	g_test_add_func("/retention/clock-back", test_clock_back);
	g_test_add_func("/retention/overflow", test_overflow);
	return g_test_run();
}
