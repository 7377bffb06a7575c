/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The ledger's chunks. */
#include "test-common.h"
#include "pp-ledger.h"
#include "pp-limits.h"

static const struct pp_mailbox_id mailbox = {
	"0123456789abcdef0123456789abcdef", 1795474171
};

#define HEAD "guid=0123456789abcdef0123456789abcdef uidvalidity=1795474171"

#define GOLDEN "pp1 ledger 9e5d5b4131401d5b " HEAD " " \
	"ids=AAAAAAAAAAE,ASNFZ4mrze8.//////////8!/ty6mHZUMhA," \
	"-!AAAAAAAAAAI,4294967290:gAAAAAAAAAA,-"

static const struct pp_identity golden_entries[] = {
	{ 1, 1, 0, 0 },
	{ 2, G_GUINT64_CONSTANT(0x0123456789abcdef), G_MAXUINT64,
	  G_GUINT64_CONSTANT(0xfedcba9876543210) },
	{ 3, 0, 0, 2 },
	{ PP_UID_MAX - 1, G_GUINT64_CONSTANT(1) << 63, 0, 0 },
	{ PP_UID_MAX, 0, 0, 0 },
};

static GArray *entries_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
}

static gboolean read_ledger(const char *text, GError **error)
{
	g_autoptr(GArray) entries = entries_new();
	struct pp_mailbox_id id;
	gboolean good = pp_ledger_decode(text, &id, entries, error);

	if (!good)
		g_assert_cmpuint(entries->len, ==, 0);
	return good;
}

static void assert_entries(const GArray *entries,
			   const struct pp_identity *wanted, guint count)
{
	const struct pp_identity *entry;
	guint i;

	g_assert_cmpuint(entries->len, ==, count);
	for (i = 0; i < count; i++) {
		entry = &g_array_index(entries, struct pp_identity, i);
		g_assert_cmpuint(entry->uid, ==, wanted[i].uid);
		g_assert_cmphex(entry->id, ==, wanted[i].id);
		g_assert_cmphex(entry->guid, ==, wanted[i].guid);
		g_assert_cmphex(entry->header, ==, wanted[i].header);
	}
}

/* The format, for ever. */
static void test_golden(void)
{
	g_autoptr(GArray) entries = entries_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	struct pp_mailbox_id id;
	guint next;

	text = pp_ledger_encode(&mailbox, golden_entries,
				G_N_ELEMENTS(golden_entries), 0, &next);
	g_assert_cmpstr(text, ==, GOLDEN);
	g_assert_cmpuint(next, ==, G_N_ELEMENTS(golden_entries));

	g_assert_true(pp_ledger_decode(GOLDEN, &id, entries, &error));
	g_assert_no_error(error);
	g_assert_true(pp_mailbox_id_equal(&id, &mailbox));
	assert_entries(entries, golden_entries, G_N_ELEMENTS(golden_entries));
}

static void test_damaged(void)
{
	test_damage(read_ledger, GOLDEN);
}

static void test_empty(void)
{
	g_autoptr(GArray) entries = entries_new();
	g_autofree char *text = NULL;
	struct pp_mailbox_id id;
	guint next;

	text = pp_ledger_encode(&mailbox, NULL, 0, 0, &next);
	g_assert_cmpuint(next, ==, 0);
	g_assert_true(pp_ledger_decode(text, &id, entries, NULL));
	g_assert_cmpuint(entries->len, ==, 0);
}

static void test_equal(void)
{
	struct pp_mailbox_id other = mailbox;

	g_assert_true(pp_mailbox_id_equal(&mailbox, &other));
	other.uidvalidity++;
	g_assert_false(pp_mailbox_id_equal(&mailbox, &other));
	other = mailbox;
	other.guid[31] = '0';
	g_assert_false(pp_mailbox_id_equal(&mailbox, &other));
}

/* What a decoder of base64 lets pass is not what was printed. */
static void test_bad(void)
{
	static const char *const rows[] = {
		HEAD " ids=",
		HEAD " ids=,",
		HEAD " ids=AAAAAAAAAAE,",
		HEAD " ids=,AAAAAAAAAAE",
		HEAD " ids=AAAAAAAAAA",
		HEAD " ids=AAAAAAAAAAEA",
		HEAD " ids=AAAAAAAAAAF",
		HEAD " ids=AAAAAAAAAAE=",
		HEAD " ids=AAAAAA-AAAE",
		HEAD " ids=AAAAAA.AAAE",
		/* a hash that is not known is left out */
		HEAD " ids=AAAAAAAAAAA",
		HEAD " ids=-.AAAAAAAAAAA",
		HEAD " ids=-!AAAAAAAAAAA",
		HEAD " ids=-.",
		HEAD " ids=-!",
		HEAD " ids=--",
		/* in this order */
		HEAD " ids=-!AAAAAAAAAAE.AAAAAAAAAAE",
		HEAD " ids=-.AAAAAAAAAAE.AAAAAAAAAAE",
		HEAD " ids=0:-",
		HEAD " ids=01:-",
		HEAD " ids=1:",
		HEAD " ids=:-",
		HEAD " ids=1:1:-",
		/* UIDs past 32 bits */
		HEAD " ids=4294967295:-",
		HEAD " ids=4294967294:-,-",
		HEAD " ids=18446744073709551615:-",
		HEAD " ids=18446744073709551616:-",
		HEAD " ids=- more=1",
		"ids=-",
		"guid=0123456789abcdef0123456789abcdef ids=-",
		"guid=0123456789abcdef0123456789abcde uidvalidity=1 ids=-",
		"guid=0123456789abcdef0123456789abcdef0 uidvalidity=1 ids=-",
		"guid=0123456789ABCDEF0123456789abcdef uidvalidity=1 ids=-",
		"guid=0123456789abcdef0123456789abcdef uidvalidity=4294967296",
		"uidvalidity=1 ids=-",
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = test_sign("ledger", rows[i]);

		g_test_message("%s", rows[i]);
		test_expect_error(read_ledger, text, PP_ERROR_SYNTAX);
	}
}

static guint64 random64(void)
{
	return (guint64)(guint32)g_test_rand_int() << 32 |
		(guint32)g_test_rand_int();
}

static void test_chunks(gconstpointer data)
{
	guint gap = GPOINTER_TO_UINT(data);
	g_autoptr(GArray) entries = entries_new(), again = entries_new();
	struct pp_identity *array;
	struct pp_mailbox_id id;
	gsize bytes = 0;
	guint i, next;

	g_array_set_size(entries, 100000);
	array = (struct pp_identity *)entries->data;
	for (i = 0; i < entries->len; i++) {
		array[i].uid = (i + 1) * (gap + 1);
		array[i].id = random64();
		array[i].guid = random64();
		array[i].header = random64();
	}
	for (i = 0; i < entries->len; i = next) {
		g_autofree char *text =
			pp_ledger_encode(&mailbox, array, entries->len, i,
					 &next);

		g_assert_cmpuint(next, >, i);
		g_assert_cmpuint(strlen(text), <=, PP_VALUE_MAX_BYTES);
		bytes += strlen(text);
		g_assert_true(pp_ledger_decode(text, &id, again, NULL));
		g_assert_cmpuint(again->len, ==, next);
	}
	assert_entries(again, array, entries->len);
	g_test_message("%.1f bytes a message", bytes / 100000.0);
	g_assert_cmpuint(bytes, <, 40 * 100000);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ledger/golden", test_golden);
	g_test_add_func("/ledger/damaged", test_damaged);
	g_test_add_func("/ledger/empty", test_empty);
	g_test_add_func("/ledger/equal", test_equal);
	g_test_add_func("/ledger/bad", test_bad);
	g_test_add_data_func("/ledger/chunks", GUINT_TO_POINTER(0),
			     test_chunks);
	g_test_add_data_func("/ledger/chunks-gaps", GUINT_TO_POINTER(1),
			     test_chunks);
	return g_test_run();
}
