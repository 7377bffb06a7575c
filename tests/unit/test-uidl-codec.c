/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   UIDL maps as text. */
#include "test-common.h"

static struct pp_uidl_map *map_from(const char *text)
{
	g_autoptr(GError) error = NULL;
	struct pp_uidl_map *map = pp_uidl_map_new();

	pp_uidl_map_decode(map, text, &error);
	g_assert_no_error(error);
	return map;
}

/* All of MAP as text, in one piece. */
static char *text_of(const struct pp_uidl_map *map)
{
	g_autoptr(GPtrArray) texts = pp_uidl_map_encode(map, G_MAXSIZE);

	g_assert_cmpuint(texts->len, ==, 1);
	return g_strdup(g_ptr_array_index(texts, 0));
}

static void assert_same(const struct pp_uidl_map *a,
			const struct pp_uidl_map *b)
{
	const struct pp_uidl_seg *sa, *sb;
	guint i;

	g_assert_cmpuint(pp_uidl_map_count(a), ==, pp_uidl_map_count(b));
	for (i = 0; i < pp_uidl_map_count(a); i++) {
		sa = pp_uidl_map_at(a, i);
		sb = pp_uidl_map_at(b, i);
		g_assert_cmpuint(sa->first, ==, sb->first);
		g_assert_cmpuint(sa->last, ==, sb->last);
		g_assert_cmpuint(sa->old_first, ==, sb->old_first);
		g_assert_cmpuint(sa->validity, ==, sb->validity);
		g_assert_cmpstr(sa->text, ==, sb->text);
	}
}

/* The format, for ever. */
static void test_golden(void)
{
	static const char golden[] =
		"40120@1.1790000000,\"a%25%2C\"b,2+1,3:1-39,1@7.5,"
		"2+0,10:\"c";
	struct pp_uidl_map *map = pp_uidl_map_new(), *again;
	g_autofree char *text = NULL;

	pp_uidl_map_set_rule(map, 1, 40120, 1, 1790000000);
	pp_uidl_map_set_text(map, 40121, "a%,\"b");
	pp_uidl_map_set_rule(map, 40122, 40123, 40122, 1790000000);
	pp_uidl_map_set_rule(map, 40127, 40127, 40085, 1790000000);
	pp_uidl_map_set_rule(map, 40128, 40128, 7, 5);
	pp_uidl_map_set_rule(map, 40129, 40130, 8, 5);
	pp_uidl_map_set_text(map, 40141, "c");
	pp_uidl_map_set_rule(map, 40142, PP_UID_MAX, 40142, 1795474171);
	text = text_of(map);
	/* 40128 and 40129 continue each other */
	g_assert_cmpstr(text, ==, "40120@1.1790000000,\"a%25%2C\"b,2+1,"
			"3:1-39,3@7.5,10:\"c");

	again = map_from(golden);
	pp_uidl_map_set_rule(again, 40142, PP_UID_MAX, 40142, 1795474171);
	assert_same(map, again);
	pp_uidl_map_free(map);
	pp_uidl_map_free(again);
}

/* Cut off, it is an error, or what stands there (that it was cut off shows in
   the document's checksum). */
static void test_truncated(void)
{
	static const char text[] =
		"40120@1.1790000000,\"a%25%2Cb,2+1,3:1-39,3@7.5,10:\"cd";
	guint i;

	for (i = 0; i < strlen(text); i++) {
		g_autofree char *cut = g_strndup(text, i);
		struct pp_uidl_map *map = pp_uidl_map_new();

		if (pp_uidl_map_decode(map, cut, NULL)) {
			g_autofree char *again = text_of(map);

			g_assert_cmpstr(again, ==, cut);
		}
		pp_uidl_map_free(map);
	}
}

static void test_bad(void)
{
	static const char *const rows[] = {
		"", ",", "1", "1@", "1@1", "1@1.", "1@.1", "@1.1", "1:", "--",
		"1:1", ":1@1.1", "1@1.1,", ",1@1.1", "1@1.1,,1+1", "1@1.1,-",
		"-,1@1.1", "1@1.1 ", "1 @1.1", "1@1.1.1", "1@1,1",
		"\"", "1:\"", "1\"a", "\"a b", "\"%", "\"%2c", "\"%00",
		"\"%-", "\"%20", "\"\xc3\xa4", "\"%C3%A4",
		/* not what is printed */
		"0@1.1", "0:1@1.1", "01@1.1", "1@01.1", "1@1.01",
		"1@1.1,1-0", "1@1.1,1@5.1",
		/* nothing that they could go on from */
		"1+1", "1-1", "\"a,1+1",
		/* old UIDs below 1 and past 32 bits */
		"1@0.1", "1@5.1,1-6", "2@4294967295.1", "1@4294967296.1",
		"1@4294967295.1,1+0", "1@1.1,1+4294967294",
		"1@1.1,1+18446744073709551615",
		"1@1.1,1-18446744073709551615",
		/* validities past 32 bits */
		"1@1.4294967296",
		/* UIDs past 32 bits; the highest is for the open end */
		"4294967295@1.1", "4294967296@1.1", "4294967294:1@1.1",
		"4294967295:\"a", "18446744073709551615:1@1.1",
		"18446744073709551615@1.1", "1@1.1,18446744073709551615:\"a",
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_uidl_map *map = pp_uidl_map_new();
		g_autoptr(GError) error = NULL;

		g_test_message("'%s'", rows[i]);
		g_assert_false(pp_uidl_map_decode(map, rows[i], &error));
		g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
		pp_uidl_map_free(map);
	}
}

static void test_bad_length(void)
{
	g_autofree char *uidl = g_strnfill(PP_UIDL_MAX_LEN + 1, '"');
	struct pp_uidl_map *map = pp_uidl_map_new();

	/* one '"' less of text than there are */
	g_assert_true(pp_uidl_map_decode(map, uidl, NULL));
	pp_uidl_map_free(map);

	g_free(uidl);
	uidl = g_strnfill(PP_UIDL_MAX_LEN + 2, '"');
	map = pp_uidl_map_new();
	g_assert_false(pp_uidl_map_decode(map, uidl, NULL));
	pp_uidl_map_free(map);
}

static void test_overlap(void)
{
	static const struct {
		const char *a, *b;
		gboolean overlap;
	} rows[] = {
		{ "5@1.9", "5:1@1.9", FALSE },
		{ "5@1.9", "4:1@1.9", TRUE },
		{ "5@1.9", "5@1.9", TRUE },
		{ "4:5@1.9", "4@1.9", FALSE },
		{ "4:5@1.9", "5@1.9", TRUE },
		{ "4:5@1.9", "20@1.9", TRUE },
		{ "4:5@1.9", "4:\"a", TRUE },
		{ "4:\"a", "4:\"b", TRUE },
		{ "4:\"a", "3:\"b", FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_uidl_map *map = map_from(rows[i].a);

		g_test_message("%s and %s", rows[i].a, rows[i].b);
		g_assert_cmpint(pp_uidl_map_decode(map, rows[i].b, NULL), !=,
				rows[i].overlap);
		pp_uidl_map_free(map);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/uidl-codec/golden", test_golden);
	g_test_add_func("/uidl-codec/truncated", test_truncated);
	g_test_add_func("/uidl-codec/bad", test_bad);
	g_test_add_func("/uidl-codec/bad-length", test_bad_length);
	g_test_add_func("/uidl-codec/overlap", test_overlap);
	return g_test_run();
}
