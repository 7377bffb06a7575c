/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   How large the documents of large maildrops are, and what they keep. */
#include "test-common.h"

static const struct pp_mailbox_id mailbox = {
	"0123456789abcdef0123456789abcdef", 1795474171
};

/* 100,000 messages, downloaded in 300 sessions at irregular times. */
static struct pp_state *sessions_state(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1);
	guint64 now = 1760000000;
	guint32 uid = 0, upto;
	guint i;

	for (i = 0; i < 300; i++) {
		now += g_test_rand_int_range(20 * 3600, 40 * 3600);
		upto = (i + 1) * 100000 / 300;
		if (i < 299)
			upto += g_test_rand_int_range(-60, 61);
		pp_runs_set_new(state->first_seen, uid + 1, upto, now);
		pp_runs_set_new(state->retrieved, uid + 1, upto,
				now + g_test_rand_int_range(1, 600));
		uid = upto;
	}
	state->count = 100000;
	state->clock = now;
	for (i = 0; i < PP_SHOWN_MAX; i++)
		pp_state_add_shown(state, uid - i, G_MAXUINT64 - i);
	state->ledger_chunks = 120;
	state->ledger_last_first = 99000;
	state->ledger_upto = 100000;
	state->due = now;
	state->due_rules = G_MAXUINT64;
	return state;
}

static void test_size_sessions(void)
{
	struct pp_state *state = sessions_state(), *again;
	g_autofree char *doc = test_encode_whole(state), *doc_again = NULL;
	g_autofree char *recovered = NULL;

	g_test_message("%zu bytes", strlen(doc));
	g_assert_cmpuint(strlen(doc), <, 8 * 1024);
	again = test_state_from(doc);
	doc_again = test_encode_whole(again);
	g_assert_cmpstr(doc, ==, doc_again);
	g_assert_cmpuint(pp_runs_count(again->retrieved), ==, 300);

	/* a new UIDVALIDITY, and nothing had been expunged */
	pp_uidl_map_set_rule(again->map, 1, 100000, 1, mailbox.uidvalidity);
	pp_state_open_rule(again, 100001, mailbox.uidvalidity + 5000);
	recovered = test_encode_whole(again);
	g_test_message("%zu bytes after a recovery", strlen(recovered));
	g_assert_cmpuint(strlen(recovered), <, 8 * 1024);
	pp_state_free(state);
	pp_state_free(again);
}

/* Nobody has a time that he did not have, or an earlier one. Returns how many
   have none any more. */
static guint64 assert_not_earlier(const struct pp_runs *before,
				  const struct pp_runs *after)
{
	guint64 was, is, lost = 0;
	guint32 uid;

	for (uid = 1; uid <= 100001; uid++) {
		if (!pp_runs_get(before, uid, &was))
			g_assert_false(pp_runs_get(after, uid, NULL));
		else if (!pp_runs_get(after, uid, &is))
			lost++;
		else
			g_assert_cmpuint(is, >=, was);
	}
	return lost;
}

static void assert_fits(const struct pp_state *state, gboolean forgets)
{
	g_autoptr(GPtrArray) chunks = NULL;
	g_autofree char *doc = NULL;
	struct pp_state *again, *before = pp_state_copy(state);
	guint64 forgotten, lost;

	doc = test_encode(state, &chunks, &forgotten);
	again = test_decode_all(doc, chunks);
	lost = assert_not_earlier(state->retrieved, again->retrieved) +
		assert_not_earlier(state->deleted, again->deleted);
	assert_not_earlier(state->first_seen, again->first_seen);
	g_test_message("%zu bytes, %" G_GUINT64_FORMAT " forgotten",
		       strlen(doc), forgotten);
	g_assert_cmpuint(forgotten, ==, lost);
	g_assert_cmpint(forgotten > 0, ==, forgets);

	/* the state itself is left as it was */
	g_assert_cmpuint(pp_runs_count(before->retrieved), ==,
			 pp_runs_count(state->retrieved));
	pp_state_free(before);
	pp_state_free(again);
}

static void test_size_alternating(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1);
	guint32 uid;

	for (uid = 1; uid <= 100000; uid++) {
		pp_runs_set(state->first_seen, uid, uid, 1000 + uid * 7);
		if (uid % 2 == 0)
			pp_runs_set(state->retrieved, uid, uid, uid * 9);
		if (uid % 3 == 0)
			pp_runs_set(state->deleted, uid, uid, uid * 11);
	}
	assert_fits(state, TRUE);
	pp_state_free(state);
}

/* They would fit, but no state has so many runs. */
static void test_size_too_many_runs(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1);
	guint32 uid;

	for (uid = 1; uid <= 4 * PP_RUNS_MAX; uid += 2) {
		pp_runs_set(state->first_seen, uid, uid, 5);
		pp_runs_set(state->retrieved, uid, uid, 5);
	}
	assert_fits(state, TRUE);
	pp_state_free(state);
}

/* Everything but the facts as large as it may be. */
static void fill_up(struct pp_state *state)
{
	g_autofree char *uidl = g_strnfill(PP_UIDL_MAX_LEN, '%');
	guint i;

	for (i = 1; i <= 19; i++)
		pp_uidl_map_set_text(state->map, i, uidl);
	state->policy = g_strnfill(PP_POLICY_MAX_BYTES, '%');
	state->hidden_flag = g_strnfill(PP_FLAG_MAX_BYTES, '%');
	state->host_expunges = TRUE;
	for (i = 0; i < PP_SHOWN_MAX; i++)
		pp_state_add_shown(state, PP_UID_MAX - i, G_MAXUINT64);
	state->ledger_chunks = PP_CHUNKS_MAX;
	state->ledger_last_first = G_MAXUINT32;
	state->ledger_upto = state->count = state->generation = G_MAXUINT32;
	state->due = state->due_rules = state->bucket_time = G_MAXUINT64;
	state->bucket_millis = G_MAXUINT32;
	state->pass_time = G_MAXUINT64;
	state->pass_messages = state->pass_removed = G_MAXUINT32;
	state->pass_told = TRUE;
}

/* Each message at another time, but without gaps: coarsened, not forgotten. */
static void test_size_coarsens(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1);
	guint32 uid;

	fill_up(state);
	for (uid = 1; uid <= 100000; uid++) {
		pp_runs_set(state->first_seen, uid, uid,
			    1700000000 + uid * 100);
		pp_runs_set(state->retrieved, uid, uid,
			    1800000000 - uid * 100);
		pp_runs_set(state->deleted, uid, uid,
			    g_test_rand_int_range(1, G_MAXINT));
	}
	assert_fits(state, FALSE);
	pp_state_free(state);
}

/* Runs of the longest tokens there are, and everything else as long. */
static void test_size_longest(void)
{
	struct pp_state *state = pp_state_new(&mailbox, G_MAXUINT64), *again;
	g_autoptr(GPtrArray) chunks = NULL;
	g_autofree char *doc = NULL;
	guint64 forgotten;
	guint i;

	fill_up(state);
	for (i = 0; i < 2 * PP_RUNS_MAX; i++) {
		guint32 uid = 1 + i * 3000000;
		guint64 time = i % 2 == 0 ? G_MAXUINT64 : 0;

		pp_runs_set(state->first_seen, uid, uid + 1200000, time);
		pp_runs_set(state->retrieved, uid, uid + 1200000, time);
		pp_runs_set(state->deleted, uid, uid + 1200000, time);
	}
	doc = test_encode(state, &chunks, &forgotten);
	again = test_state_from(doc);
	g_test_message("%zu bytes", strlen(doc));
	g_assert_cmpuint(pp_runs_count(again->retrieved), >, 64);
	g_assert_cmpstr(again->policy, ==, state->policy);
	pp_state_free(again);
	pp_state_free(state);
}

/* A recovered maildrop of which 30 % had been expunged here and there. */
static struct pp_state *gaps_state(guint32 *upto_r)
{
	struct pp_state *state = sessions_state();
	guint32 uid = 0, old;

	for (old = 1; old <= 100000; old++) {
		if (g_test_rand_int_range(0, 10) < 3)
			continue;
		uid++;
		pp_uidl_map_set_rule(state->map, uid, uid, old,
				     mailbox.uidvalidity);
	}
	pp_state_open_rule(state, uid + 1, mailbox.uidvalidity + 1000);
	*upto_r = uid;
	return state;
}

static void assert_same_uidls(const struct pp_state *a,
			      const struct pp_state *b, guint32 upto)
{
	guint32 uid;

	for (uid = 1; uid <= upto; uid++) {
		g_autofree char *ua = pp_uidl_map_dup(a->map, uid);
		g_autofree char *ub = pp_uidl_map_dup(b->map, uid);

		g_assert_cmpstr(ua, ==, ub);
	}
}

static void test_size_gaps(void)
{
	guint32 upto;
	struct pp_state *state = gaps_state(&upto), *again;
	g_autoptr(GPtrArray) chunks = NULL;
	g_autofree char *doc = NULL;
	guint64 forgotten;

	doc = test_encode(state, &chunks, &forgotten);
	g_test_message("%zu bytes and %u chunks", strlen(doc), chunks->len);
	g_assert_cmpuint(strlen(doc), <, 8 * 1024);
	g_assert_cmpuint(forgotten, ==, 0);
	g_assert_cmpuint(chunks->len, >, 1);
	again = test_decode_all(doc, chunks);
	assert_same_uidls(state, again, upto + 100);
	pp_state_free(state);
	pp_state_free(again);
}

/* One chunk would fit into the state, but takes the room of facts. */
static void test_size_one_chunk(void)
{
	struct pp_state *state = sessions_state(), *again;
	g_autoptr(GPtrArray) chunks = NULL;
	g_autofree char *doc = NULL;
	guint64 forgotten;
	guint32 uid;

	for (uid = 1; uid <= 1000; uid++)
		pp_uidl_map_set_text(state->map, uid, "0123456789");
	doc = test_encode(state, &chunks, &forgotten);
	g_assert_cmpuint(strlen(doc), <, 8 * 1024);
	g_assert_cmpuint(chunks->len, ==, 1);
	again = test_decode_all(doc, chunks);
	assert_same_uidls(state, again, 2000);
	pp_state_free(state);
	pp_state_free(again);
}

/* A session that never needed the chunks leaves them as they are. */
static void test_chunks_not_loaded(void)
{
	guint32 upto, first, validity;
	struct pp_state *state = gaps_state(&upto), *half, *again;
	g_autoptr(GPtrArray) chunks = NULL, none = NULL;
	g_autofree char *doc = NULL, *doc_half = NULL;
	guint64 forgotten;

	doc = test_encode(state, &chunks, &forgotten);
	half = test_state_from(doc);
	half->mark = upto + 100;
	doc_half = test_encode(half, &none, &forgotten);
	g_assert_cmpuint(none->len, ==, 0);
	again = test_decode_all(doc_half, chunks);
	g_assert_cmpuint(again->mark, ==, upto + 100);
	assert_same_uidls(state, again, upto + 100);
	pp_state_free(again);
	g_clear_pointer(&doc_half, g_free);
	g_clear_pointer(&none, g_ptr_array_unref);

	/* another open rule: what the one before it leaves is kept too */
	g_assert_true(pp_uidl_map_get_open(half->map, &first, &validity));
	pp_state_open_rule(half, upto + 50, 1);
	pp_state_open_rule(state, upto + 50, 1);
	doc_half = test_encode(half, &none, &forgotten);
	g_assert_cmpuint(none->len, ==, 0);
	again = test_decode_all(doc_half, chunks);
	assert_same_uidls(state, again, upto + 100);
	pp_state_free(again);
	pp_state_free(half);
	pp_state_free(state);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/state-size/sessions", test_size_sessions);
	g_test_add_func("/state-size/alternating", test_size_alternating);
	g_test_add_func("/state-size/coarsens", test_size_coarsens);
	g_test_add_func("/state-size/longest", test_size_longest);
	g_test_add_func("/state-size/too-many-runs",
			test_size_too_many_runs);
	g_test_add_func("/state-size/one-chunk", test_size_one_chunk);
	g_test_add_func("/state-size/gaps", test_size_gaps);
	g_test_add_func("/state-size/chunks-not-loaded",
			test_chunks_not_loaded);
	return g_test_run();
}
