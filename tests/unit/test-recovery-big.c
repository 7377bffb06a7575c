/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Recovery of large maildrops: what it costs to store. */
#include <string.h>
#include "pp-recovery.h"

#define GUID "0123456789abcdef0123456789abcdef"

/* A maildrop of 100,000 messages that was downloaded in 300 sessions. */
struct big_row {
	const char *what;
	guint old_step;		/* every so manyth UID is left out; 0: none */
	gboolean renumbered;	/* from 1 without gaps */
	guint max_segments;	/* of the map; 0: any number */
};

static const struct big_row big_rows[] = {
	{ "nothing was ever expunged", 0, TRUE, 2 },
	{ "UIDs stay, with gaps", 7, FALSE, 2 },
	{ "UIDs with gaps are renumbered", 7, TRUE, 0 }
};

#define BIG_MESSAGES 100000
#define BIG_SESSIONS 300

/* UIDs of the old messages, with ids that are in no order. */
static GArray *big_ledger(guint step)
{
	GArray *ledger = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	struct pp_identity identity = { 0 };

	while (ledger->len < BIG_MESSAGES) {
		identity.uid++;
		if (step != 0 && identity.uid % step == 0)
			continue;
		identity.id = identity.uid *
			G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
		g_array_append_val(ledger, identity);
	}
	return ledger;
}

static struct pp_state *big_state(const GArray *ledger)
{
	struct pp_mailbox_id id = { GUID, 1700000000 };
	struct pp_state *state = pp_state_new(&id, 1700000000);
	guint32 first = 1;

	for (guint i = 1; i <= BIG_SESSIONS; i++) {
		guint index = BIG_MESSAGES / BIG_SESSIONS * i;
		guint64 now = 1700000000 + i * 86400 + i * i % 3571;
		guint32 last;

		if (i == BIG_SESSIONS)
			index = BIG_MESSAGES;
		last = g_array_index(ledger, struct pp_identity,
				     index - 1).uid;
		pp_runs_set(state->first_seen, first, last, now);
		pp_runs_set(state->retrieved, first, last, now + i % 50);
		first = last + 1;
	}
	state->mark = first - 1;
	state->count = BIG_MESSAGES;
	return state;
}

static gsize encoded_size(const struct pp_state *state)
{
	g_autofree char *doc = NULL;
	g_autoptr(GPtrArray) chunks = NULL;
	guint64 forgotten;

	pp_state_encode(state, &doc, &chunks, &forgotten);
	g_assert_cmpuint(forgotten, ==, 0);
	return strlen(doc);
}

static void check_big(const struct big_row *row)
{
	g_autoptr(GArray) ledger = big_ledger(row->old_step);
	g_autoptr(GArray) messages = g_array_copy(ledger);
	struct pp_state *old = big_state(ledger);
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 1800000000 }, .messages = BIG_MESSAGES,
		.last_shown = PP_IDENTITY_OTHER
	};
	struct pp_recovery recovery;

	for (guint i = 0; row->renumbered && i < messages->len; i++)
		g_array_index(messages, struct pp_identity, i).uid = i + 1;
	mailbox.uidnext = g_array_index(messages, struct pp_identity,
					messages->len - 1).uid + 1;
	pp_recover(old, ledger, messages, &mailbox, 1900000000, TRUE,
		   &recovery);
	g_assert_cmpuint(recovery.recognised, ==, BIG_MESSAGES);
	g_assert_false(recovery.older_copy);
	if (row->max_segments != 0) {
		g_assert_cmpuint(pp_uidl_map_count(recovery.state->map), <=,
				 row->max_segments);
	}
	g_assert_cmpuint(pp_runs_count(recovery.state->first_seen), ==,
			 BIG_SESSIONS);
	g_assert_cmpuint(pp_runs_count(recovery.state->retrieved), ==,
			 BIG_SESSIONS);
	g_assert_cmpuint(encoded_size(recovery.state), <, 8 * 1024);
	/* no gaps between runs, which would keep them from being joined */
	pp_runs_coarsen(recovery.state->first_seen, 5);
	g_assert_cmpuint(pp_runs_count(recovery.state->first_seen), ==, 5);
	pp_state_free(recovery.state);
	pp_state_free(old);
}

static void test_big(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(big_rows); i++) {
		g_test_message("%s", big_rows[i].what);
		check_big(&big_rows[i]);
	}
}

/* 100,000 twins: anything quadratic would not end. */
static void test_twins(void)
{
	g_autoptr(GArray) messages = big_ledger(0);
	struct pp_state *old = big_state(messages);
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 1800000000 }, .uidnext = BIG_MESSAGES + 1,
		.messages = BIG_MESSAGES
	};
	struct pp_recovery recovery;

	for (guint i = 0; i < messages->len; i++)
		g_array_index(messages, struct pp_identity, i).id = 1;
	pp_recover(old, messages, messages, &mailbox, 1900000000, TRUE,
		   &recovery);
	g_assert_cmpuint(recovery.recognised, ==, BIG_MESSAGES);
	g_assert_cmpuint(pp_uidl_map_count(recovery.state->map), ==, 2);
	pp_state_free(recovery.state);
	pp_state_free(old);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/recovery-big/maildrops", test_big);
	g_test_add_func("/recovery-big/twins", test_twins);
	return g_test_run();
}
