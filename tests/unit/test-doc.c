/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The envelope of documents. */
#include "test-common.h"
#include "pp-limits.h"

#define GOLDEN "pp1 test f6e5471fb32818d9 a=1 name=va=lue big=" \
	"18446744073709551615"

static gboolean read_doc(const char *text, GError **error)
{
	g_autoptr(GHashTable) doc = pp_doc_parse("test", text, error);

	return doc != NULL;
}

static void test_round_trip(void)
{
	g_autoptr(GString) body = g_string_new(NULL);
	g_autoptr(GHashTable) doc = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL, *checksum = NULL;
	guint64 big;

	pp_doc_add_uint(body, "a", 1);
	pp_doc_add(body, "name", "va=lue");
	pp_doc_add_uint(body, "big", G_MAXUINT64);
	text = pp_doc_finish("test", body);
	g_assert_cmpstr(text, ==, GOLDEN);
	checksum = pp_doc_checksum(text);
	g_assert_cmpstr(checksum, ==, "f6e5471fb32818d9");

	doc = pp_doc_parse("test", GOLDEN, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(g_hash_table_size(doc), ==, 3);
	g_assert_cmpstr(g_hash_table_lookup(doc, "name"), ==, "va=lue");
	g_assert_true(pp_doc_get_uint64(doc, "big", &big, &error));
	g_assert_cmpuint(big, ==, G_MAXUINT64);
}

static void test_damaged(void)
{
	test_damage(read_doc, GOLDEN);
}

static void test_envelope(void)
{
	static const struct {
		const char *text;
		enum pp_error code;
	} rows[] = {
		{ "", PP_ERROR_SYNTAX },
		{ "\n", PP_ERROR_SYNTAX },
		{ "pp", PP_ERROR_SYNTAX },
		{ "pp1", PP_ERROR_SYNTAX },
		{ "pp1 ", PP_ERROR_SYNTAX },
		{ "pp0 test f6e5471fb32818d9 a=1", PP_ERROR_SYNTAX },
		{ "PP1 test f6e5471fb32818d9 a=1", PP_ERROR_SYNTAX },
		/* later versions may look different in all but this */
		{ "pp2 ", PP_ERROR_VERSION },
		{ "pp10 test", PP_ERROR_VERSION },
		{ "pp2", PP_ERROR_SYNTAX },
		/* another kind, or none */
		{ "pp1 state f6e5471fb32818d9 a=1", PP_ERROR_SYNTAX },
		{ "pp1 test2 f6e5471fb32818d9 a=1", PP_ERROR_SYNTAX },
		{ "pp1  f6e5471fb32818d9 a=1", PP_ERROR_SYNTAX },
		/* checksums of another shape */
		{ "pp1 test f6e5471fb32818d a=1", PP_ERROR_SYNTAX },
		{ "pp1 test f6e5471fb32818d94 a=1", PP_ERROR_SYNTAX },
		{ "pp1 test F6E5471FB32818D9 a=1", PP_ERROR_SYNTAX },
		{ "pp1 test a=1 f6e5471fb32818d9", PP_ERROR_SYNTAX },
		{ "pp1 test f6e5471fb32818d9 a=1", PP_ERROR_CHECKSUM },
		/* nothing behind it: the checksum of nothing */
		{ "pp1 test e3b0c44298fc1c14", PP_ERROR_SYNTAX },
		{ "pp1 test e3b0c44298fc1c14 ", PP_ERROR_SYNTAX },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("'%s'", rows[i].text);
		test_expect_error(read_doc, rows[i].text, rows[i].code);
	}
}

static void test_fields(void)
{
	static const struct {
		const char *fields;
		gboolean good;
	} rows[] = {
		{ "a=1", TRUE },
		{ "a==", TRUE },
		{ "a=1 b=1", TRUE },
		{ "a", FALSE },
		{ "=1", FALSE },
		{ "a=", FALSE },
		{ "a=1 ", FALSE },
		{ " a=1", FALSE },
		{ "a=1  b=2", FALSE },
		{ "a=1 a=2", FALSE },
		{ "a=1\tb=2", FALSE },
		{ "a=1\n", FALSE },
		{ "a=\xc3\xa4", FALSE },
		{ "a=\x7f", FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *doc = test_sign("test", rows[i].fields);

		g_test_message("'%s'", rows[i].fields);
		if (rows[i].good)
			g_assert_true(read_doc(doc, NULL));
		else
			test_expect_error(read_doc, doc, PP_ERROR_SYNTAX);
	}
}

static void test_size(void)
{
	g_autofree char *value = g_strnfill(PP_VALUE_MAX_BYTES - 28, 'v');
	g_autofree char *fields = g_strconcat("a=", value, NULL);
	g_autofree char *fits = test_sign("test", fields);
	g_autofree char *more = g_strconcat(fits, "v", NULL);

	g_assert_cmpuint(strlen(fits), ==, PP_VALUE_MAX_BYTES);
	g_assert_true(read_doc(fits, NULL));
	test_expect_error(read_doc, more, PP_ERROR_LIMIT);
}

static void test_names(void)
{
	static const char *const known[] = { "a", "b", NULL };
	static const struct {
		const char *fields;
		gboolean good;
	} rows[] = {
		{ "a=1", TRUE },
		{ "b=1 a=1", TRUE },
		{ "a=1 x-later=1", TRUE },
		{ "a=1 c=1", FALSE },
		{ "A=1", FALSE },
		{ "ab=1", FALSE },
		{ "x=1", FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = test_sign("test", rows[i].fields);
		g_autoptr(GHashTable) doc = pp_doc_parse("test", text, NULL);
		g_autoptr(GError) error = NULL;

		g_test_message("'%s'", rows[i].fields);
		g_assert_cmpint(pp_doc_check_names(doc, known, &error), ==,
				rows[i].good);
		g_assert_cmpint(error == NULL, ==, rows[i].good);
	}
}

static void test_checksum(void)
{
	static const char *const rows[] = {
		"", "pp1 ", "pp1 test", "pp1 test ", "pp1 test f6e5471fb32818d",
		"pp1 test f6e5471fb32818d9", "pp2 test f6e5471fb32818d9 a=1",
		"pp1 test f6e5471fb32818d94 a=1",
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *checksum = pp_doc_checksum(rows[i]);

		g_test_message("'%s'", rows[i]);
		g_assert_null(checksum);
	}
}

static void test_numbers(void)
{
	static const struct {
		const char *text;
		gboolean is64, is32;
		guint64 value;
	} rows[] = {
		{ "0", TRUE, TRUE, 0 },
		{ "4294967295", TRUE, TRUE, G_MAXUINT32 },
		{ "4294967296", TRUE, FALSE, G_GUINT64_CONSTANT(4294967296) },
		{ "18446744073709551615", TRUE, FALSE, G_MAXUINT64 },
		{ "18446744073709551616", FALSE, FALSE, 0 },
		{ "99999999999999999999999", FALSE, FALSE, 0 },
		{ "", FALSE, FALSE, 0 },
		{ "-", FALSE, FALSE, 0 },
		{ "-1", FALSE, FALSE, 0 },
		{ "+1", FALSE, FALSE, 0 },
		{ " 1", FALSE, FALSE, 0 },
		{ "1 ", FALSE, FALSE, 0 },
		{ "0x1", FALSE, FALSE, 0 },
		{ "1.0", FALSE, FALSE, 0 },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		guint64 value = 77;
		guint32 value32 = 77;

		g_test_message("'%s'", rows[i].text);
		g_assert_cmpint(pp_parse_uint64(rows[i].text, &value), ==,
				rows[i].is64);
		g_assert_cmpuint(value, ==, rows[i].is64 ? rows[i].value : 77);
		g_assert_cmpint(pp_parse_uint32(rows[i].text, &value32), ==,
				rows[i].is32);
		g_assert_cmpuint(value32, ==,
				 rows[i].is32 ? rows[i].value : 77);
	}
}

static void test_scan(void)
{
	static const struct {
		const char *text;
		gboolean good;
		guint64 value;
		const char *rest;
	} rows[] = {
		{ "0", TRUE, 0, "" },
		{ "0+1", TRUE, 0, "+1" },
		{ "12:34", TRUE, 12, ":34" },
		{ "18446744073709551615,", TRUE, G_MAXUINT64, "," },
		{ "18446744073709551616,", FALSE, 77, NULL },
		{ "01", FALSE, 77, NULL },
		{ "", FALSE, 77, NULL },
		{ "-1", FALSE, 77, NULL },
		{ " 1", FALSE, 77, NULL },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *p = rows[i].text;
		guint64 value = 77;

		g_test_message("'%s'", rows[i].text);
		g_assert_cmpint(pp_scan_uint64(&p, &value), ==, rows[i].good);
		g_assert_cmpuint(value, ==, rows[i].value);
		g_assert_cmpstr(p, ==, rows[i].good ? rows[i].rest :
				rows[i].text);
	}
}

static void test_get(void)
{
	g_autofree char *text = test_sign("test", "a=4294967296 b=x");
	g_autoptr(GHashTable) doc = pp_doc_parse("test", text, NULL);
	static const struct {
		const char *name;
		gboolean is64;
	} rows[] = {
		{ "a", TRUE },
		{ "b", FALSE },
		{ "c", FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL, error32 = NULL;
		guint64 value = 0;
		guint32 value32 = 0;

		g_test_message("'%s'", rows[i].name);
		g_assert_cmpint(pp_doc_get_uint64(doc, rows[i].name, &value,
						  &error), ==, rows[i].is64);
		g_assert_cmpint(error == NULL, ==, rows[i].is64);
		g_assert_false(pp_doc_get_uint32(doc, rows[i].name, &value32,
						 &error32));
		g_assert_error(error32, PP_ERROR, PP_ERROR_SYNTAX);
		g_assert_nonnull(strstr(error32->message, rows[i].name));
	}
}

static void test_escape(void)
{
	static const struct {
		const char *text, *escaped;
	} rows[] = {
		{ "", "%-" },
		{ "-", "-" },
		{ "%-", "%25-" },
		{ "abc~!", "abc~!" },
		{ "a b", "a%20b" },
		{ "100%", "100%25" },
		{ "\r\n\t", "%0D%0A%09" },
		{ "\xc3\xa4\x7f\xff", "%C3%A4%7F%FF" },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *escaped = pp_escape(rows[i].text);
		g_autofree char *text = pp_unescape(rows[i].escaped);

		g_test_message("'%s'", rows[i].escaped);
		g_assert_cmpstr(escaped, ==, rows[i].escaped);
		g_assert_cmpstr(text, ==, rows[i].text);
	}
}

static void test_unescape_bad(void)
{
	static const char *const rows[] = {
		"", "%", "%2", "a%", "%-a", "a%-", "%00", "%2c", "%G0", "%0G",
		"a b", "\x7f", "\xc3\xa4", "\n",
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = pp_unescape(rows[i]);

		g_test_message("'%s'", rows[i]);
		g_assert_null(text);
	}
}

static void test_hash(void)
{
	/* the beginning of SHA-256, for ever: identities are stored */
	g_assert_cmphex(pp_hash64("", 0), ==,
			G_GUINT64_CONSTANT(0xe3b0c44298fc1c14));
	g_assert_cmphex(pp_hash64("abc", 3), ==,
			G_GUINT64_CONSTANT(0xba7816bf8f01cfea));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/doc/round-trip", test_round_trip);
	g_test_add_func("/doc/damaged", test_damaged);
	g_test_add_func("/doc/envelope", test_envelope);
	g_test_add_func("/doc/fields", test_fields);
	g_test_add_func("/doc/size", test_size);
	g_test_add_func("/doc/names", test_names);
	g_test_add_func("/doc/checksum", test_checksum);
	g_test_add_func("/doc/numbers", test_numbers);
	g_test_add_func("/doc/scan", test_scan);
	g_test_add_func("/doc/get", test_get);
	g_test_add_func("/doc/escape", test_escape);
	g_test_add_func("/doc/unescape-bad", test_unescape_bad);
	g_test_add_func("/doc/hash", test_hash);
	return g_test_run();
}
