/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The witness beside the mailbox. */
#include "test-common.h"
#include "pp-state.h"
#include "pp-witness.h"

#define GOLDEN_LINE "pp1 witness b3937c1d5b7ef510 " \
	"uidvalidity=1795474171 validity=1795474172 plain=0"

static const struct pp_mailbox_id mailbox = {
	"0123456789abcdef0123456789abcdef", 1795474171
};

static void assert_status(const char *data, gsize size,
			  enum pp_witness_status status)
{
	struct pp_witness witness;

	memset(&witness, 0x55, sizeof(witness));
	pp_witness_parse(data, size, &witness);
	g_assert_cmpint(witness.status, ==, status);
	if (status != PP_WITNESS_THERE) {
		g_assert_false(witness.plain);
		g_assert_cmpuint(witness.validity, ==, 0);
	}
}

/* The line, as it stands in the file, for ever. */
static void test_golden(void)
{
	static const struct pp_witness wanted = {
		PP_WITNESS_THERE, 1795474171, 1795474172, FALSE, 0
	};
	char buf[PP_WITNESS_BYTES + 1], golden[PP_WITNESS_BYTES + 1];
	struct pp_witness witness;

	g_snprintf(golden, sizeof(golden), "%-*s\n", PP_WITNESS_BYTES - 1,
		   GOLDEN_LINE);
	buf[PP_WITNESS_BYTES] = '\0';
	pp_witness_print(&wanted, buf);
	g_assert_cmpstr(buf, ==, golden);

	pp_witness_parse(golden, PP_WITNESS_BYTES, &witness);
	g_assert_true(pp_witness_equal(&witness, &wanted));
}

static void test_round_trip(void)
{
	static const struct pp_witness rows[] = {
		{ PP_WITNESS_THERE, 0, 0, FALSE, 0 },
		{ PP_WITNESS_THERE, 1, 1, TRUE, 0 },
		{ PP_WITNESS_THERE, G_MAXUINT32, G_MAXUINT32, TRUE, 0 },
		{ PP_WITNESS_THERE, 1, 2, FALSE, 3 },
		{ PP_WITNESS_THERE, G_MAXUINT32, G_MAXUINT32, TRUE,
		  G_MAXUINT32 },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		char buf[PP_WITNESS_BYTES];
		struct pp_witness witness;

		pp_witness_print(&rows[i], buf);
		pp_witness_parse(buf, sizeof(buf), &witness);
		g_assert_true(pp_witness_equal(&witness, &rows[i]));
	}
}

static void test_damaged(void)
{
	static const struct pp_witness plain = {
		PP_WITNESS_THERE, 1795474171, 1795474171, TRUE, 0
	};
	char buf[PP_WITNESS_BYTES + 1], byte;
	gsize i;

	pp_witness_print(&plain, buf);
	assert_status(buf, 0, PP_WITNESS_NONE);
	for (i = 1; i < PP_WITNESS_BYTES; i++)
		assert_status(buf, i, PP_WITNESS_UNREADABLE);
	for (i = 0; i < PP_WITNESS_BYTES; i++) {
		byte = buf[i];
		buf[i] = byte == '0' ? '1' : '0';
		assert_status(buf, PP_WITNESS_BYTES, PP_WITNESS_UNREADABLE);
		buf[i] = '\0';
		assert_status(buf, PP_WITNESS_BYTES, PP_WITNESS_UNREADABLE);
		buf[i] = byte;
	}
	buf[PP_WITNESS_BYTES - 1] = ' ';
	assert_status(buf, PP_WITNESS_BYTES, PP_WITNESS_UNREADABLE);
	buf[PP_WITNESS_BYTES - 1] = '\n';
	/* somebody appended something: the line is whole */
	buf[PP_WITNESS_BYTES] = 'x';
	assert_status(buf, PP_WITNESS_BYTES + 1, PP_WITNESS_THERE);
}

static void test_bad(void)
{
	static const struct {
		const char *fields;
		enum pp_witness_status status;
	} rows[] = {
		{ "uidvalidity=1 validity=1 plain=1", PP_WITNESS_THERE },
		{ "uidvalidity=1 validity=1 plain=1 x-a=b", PP_WITNESS_THERE },
		{ "uidvalidity=1 validity=1 plain=2", PP_WITNESS_UNREADABLE },
		{ "uidvalidity=1 validity=1 plain=x", PP_WITNESS_UNREADABLE },
		{ "uidvalidity=1 validity=1", PP_WITNESS_UNREADABLE },
		{ "uidvalidity=1 plain=1", PP_WITNESS_UNREADABLE },
		{ "validity=1 plain=1", PP_WITNESS_UNREADABLE },
		{ "uidvalidity=4294967296 validity=1 plain=1",
		  PP_WITNESS_UNREADABLE },
		{ "uidvalidity=1 validity=1 plain=1 more=1",
		  PP_WITNESS_UNREADABLE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *doc = test_sign("witness", rows[i].fields);
		char buf[PP_WITNESS_BYTES + 1];

		g_test_message("%s", rows[i].fields);
		g_snprintf(buf, sizeof(buf), "%-*s\n", PP_WITNESS_BYTES - 1,
			   doc);
		assert_status(buf, PP_WITNESS_BYTES, rows[i].status);
	}
}

static void test_equal(void)
{
	static const struct pp_witness a = { PP_WITNESS_THERE, 1, 2, TRUE, 0 };
	static const struct {
		struct pp_witness b;
		gboolean equal;
	} rows[] = {
		{ { PP_WITNESS_THERE, 1, 2, TRUE, 0 }, TRUE },
		{ { PP_WITNESS_THERE, 1, 2, 2, 0 }, TRUE },
		{ { PP_WITNESS_THERE, 1, 2, FALSE, 0 }, FALSE },
		{ { PP_WITNESS_THERE, 1, 3, TRUE, 0 }, FALSE },
		{ { PP_WITNESS_THERE, 2, 2, TRUE, 0 }, FALSE },
		{ { PP_WITNESS_THERE, 1, 2, TRUE, 1 }, FALSE },
		{ { PP_WITNESS_UNREADABLE, 1, 2, TRUE, 0 }, FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("row %u", i);
		g_assert_cmpint(pp_witness_equal(&a, &rows[i].b), ==,
				rows[i].equal);
	}
}

static void test_from_state(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 100);
	struct pp_witness witness;

	pp_witness_from_state(state, &witness);
	g_assert_cmpint(witness.status, ==, PP_WITNESS_THERE);
	g_assert_cmpuint(witness.uidvalidity, ==, 1795474171);
	g_assert_cmpuint(witness.validity, ==, 1795474171);
	g_assert_true(witness.plain);

	/* a closed part that was not loaded is an exception too */
	state->chunks = 1;
	pp_witness_from_state(state, &witness);
	g_assert_false(witness.plain);
	state->chunks = 0;

	pp_state_open_rule(state, 10, 1795474171);
	pp_witness_from_state(state, &witness);
	g_assert_cmpuint(witness.uidvalidity, ==, 1795474171);
	g_assert_cmpuint(witness.validity, ==, 1795474172);
	g_assert_false(witness.plain);
	pp_state_free(state);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/witness/golden", test_golden);
	g_test_add_func("/witness/round-trip", test_round_trip);
	g_test_add_func("/witness/damaged", test_damaged);
	g_test_add_func("/witness/bad", test_bad);
	g_test_add_func("/witness/equal", test_equal);
	g_test_add_func("/witness/from-state", test_from_state);
	return g_test_run();
}
