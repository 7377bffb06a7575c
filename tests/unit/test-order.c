/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The order of a listing: as text, and what a recovery makes of it. */
#include <stdlib.h>
#include "test-common.h"
#include "pp-recovery.h"

#define GUID "0123456789abcdef0123456789abcdef"

static GArray *parse_uids(const char *text)
{
	GArray *uids = g_array_new(FALSE, FALSE, sizeof(guint32));

	while (*text != '\0') {
		char *end;
		guint32 uid = strtoul(text, &end, 10);

		g_array_append_val(uids, uid);
		text = end + (*end == ' ');
	}
	return uids;
}

static void test_text(void)
{
	static const struct {
		const char *uids;
		const char *text;	/* NULL: no order is needed */
	} rows[] = {
		{ "", NULL },
		{ "7", NULL },
		{ "1 2 3", NULL },
		{ "3 9 4294967295", NULL },
		{ "2 1", "2,1" },
		{ "1 2 5 3 4 6", "1-2,5,3-4,6" },
		/* 8 does not exist: 7 and 9 are neighbours */
		{ "7 9 3", "7-9,3" },
		{ "9 7 3 1", "9,7,3,1" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GArray) uids = parse_uids(rows[i].uids);
		g_autoptr(GArray) again = NULL;
		GArray *order;
		g_autofree char *text = NULL, *text_again = NULL;

		g_test_message("%s", rows[i].uids);
		order = pp_order_new((guint32 *)(void *)uids->data, uids->len);
		if (rows[i].text == NULL) {
			g_assert_null(order);
			continue;
		}
		text = pp_order_encode(order);
		g_assert_cmpstr(text, ==, rows[i].text);
		again = pp_order_decode(text);
		g_assert_nonnull(again);
		text_again = pp_order_encode(again);
		g_assert_cmpstr(text_again, ==, text);
		for (guint n = 1; n < uids->len; n++) {
			guint32 uid = g_array_index(uids, guint32, n);
			guint32 before = g_array_index(uids, guint32, n - 1);

			g_assert_cmpuint(pp_order_position(again, uid), >=,
					 pp_order_position(again, before));
		}
		g_array_unref(order);
	}
}

static void test_position(void)
{
	g_autoptr(GArray) order = pp_order_decode("10-20,5,30");

	g_assert_cmpuint(pp_order_position(order, 15), ==, 0);
	g_assert_cmpuint(pp_order_position(order, 5), ==, 1);
	g_assert_cmpuint(pp_order_position(order, 30), ==, 2);
	/* what it does not know comes behind */
	g_assert_cmpuint(pp_order_position(order, 1), ==, 3);
	g_assert_cmpuint(pp_order_position(order, 21), ==, 3);
	g_assert_cmpuint(pp_order_position(order, 31), ==, 3);
}

static void test_broken(void)
{
	static const char *const rows[] = {
		"", ",", "0", "1,", ",1", "1,1", "1-1", "2-1", "1-", "-1",
		"1-5,3", "3,1-5", "01", "1 2", "a", "4294967296", "1--2",
		"1,2-4294967296",
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i]);
		g_assert_null(pp_order_decode(rows[i]));
	}
}

static char *order_text(const struct pp_state *state)
{
	return state->order == NULL ? g_strdup("-") :
		pp_order_encode(state->order);
}

/* A mailbox of which message i has the identity IDS[i]. */
static GArray *messages_of(const guint32 *ids, guint count)
{
	GArray *messages = g_array_new(FALSE, FALSE,
				       sizeof(struct pp_identity));

	for (guint i = 0; i < count; i++) {
		struct pp_identity message = { .uid = i + 1, .id = ids[i] };

		g_array_append_val(messages, message);
	}
	return messages;
}

/* STATE for a mailbox with those identities and another UIDVALIDITY. */
static struct pp_state *recovered(struct pp_state *state,
				  const GArray *ledger, const guint32 *ids,
				  guint count, gboolean *lost_r)
{
	g_autoptr(GArray) messages = messages_of(ids, count);
	struct pp_mailbox_now mailbox = {
		.id = { GUID, state->mailbox.uidvalidity + 1 },
		.uidnext = count + 1, .messages = count
	};
	struct pp_recovery recovery;

	pp_recover(state, ledger, messages, &mailbox, 1, TRUE, &recovery);
	pp_state_free(state);
	*lost_r = recovery.order_lost;
	return recovery.state;
}

static void test_recovery(void)
{
	static const guint32 first[] = { 11, 12, 13, 14 };
	static const struct {
		guint32 ids[6];
		guint count;
		const char *expected;
	} rows[] = {
		{ { 11, 12, 13, 14 }, 4, "-" },
		/* 15 is new */
		{ { 11, 13, 14, 12, 15 }, 5, "1,4,2-3" },
		/* what was new is listed behind, also from then on */
		{ { 15, 12, 11, 14, 13 }, 5, "3,2,5,4,1" },
		/* the order of UIDs again */
		{ { 11, 12, 13, 14, 15, 16 }, 6, "-" },
		/* one that nobody knows is no reason for an order */
		{ { 21, 11, 12, 13, 14, 15 }, 6, "-" },
		{ { 12, 11 }, 2, "2,1" },
	};
	struct pp_mailbox_id id = { GUID, 1000 };
	struct pp_state *state = pp_state_new(&id, 1);
	GArray *ledger = messages_of(first, G_N_ELEMENTS(first));
	gboolean lost;

	state->mark = state->count = G_N_ELEMENTS(first);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = NULL;

		state = recovered(state, ledger, rows[i].ids, rows[i].count,
				  &lost);
		text = order_text(state);
		g_assert_cmpstr(text, ==, rows[i].expected);
		g_assert_false(lost);
		g_array_unref(ledger);
		ledger = messages_of(rows[i].ids, rows[i].count);
	}
	g_array_unref(ledger);
	pp_state_free(state);
}

/* Too long for a state: the order of UIDs, and that is told. */
static void test_too_long(void)
{
	struct pp_mailbox_id id = { GUID, 1000 };
	struct pp_state *state = pp_state_new(&id, 1);
	guint32 ids[3000];
	GArray *ledger;
	gboolean lost;

	for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = i + 1;
	state->mark = state->count = G_N_ELEMENTS(ids);
	ledger = messages_of(ids, G_N_ELEMENTS(ids));
	for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = G_N_ELEMENTS(ids) - i;
	state = recovered(state, ledger, ids, G_N_ELEMENTS(ids), &lost);
	g_assert_true(lost);
	g_assert_null(state->order);
	g_array_unref(ledger);
	pp_state_free(state);
}

static void test_state(void)
{
	static const guint32 uids[] = { 1, 2, 9, 3, 4, 5, 6, 7, 8 };
	struct pp_mailbox_id id = { GUID, 1000 };
	struct pp_state *state = pp_state_new(&id, 1), *again, *copy;
	g_autofree char *doc = NULL, *doc_again = NULL;

	g_assert_true(pp_state_set_order(state, uids, G_N_ELEMENTS(uids)));
	copy = pp_state_copy(state);
	pp_state_free(state);
	doc = test_encode_whole(copy);
	g_assert_nonnull(strstr(doc, " order=1-2,9,3-8 "));
	again = test_state_from(doc);
	doc_again = test_encode_whole(again);
	g_assert_cmpstr(doc, ==, doc_again);
	pp_state_free(copy);
	pp_state_free(again);
}

int main(int argc, char *argv[])
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/order/text", test_text);
	g_test_add_func("/order/position", test_position);
	g_test_add_func("/order/broken", test_broken);
	g_test_add_func("/order/recovery", test_recovery);
	g_test_add_func("/order/too-long", test_too_long);
	g_test_add_func("/order/state", test_state);
	return g_test_run();
}
