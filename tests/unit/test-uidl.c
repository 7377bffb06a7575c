/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   UIDL maps, also against an array with a text for each UID. */
#include "test-common.h"
#include "pp-limits.h"
#include "pp-uidl.h"

#include <stdio.h>

/* UIDs of the naive model, from 1 on */
#define MODEL_UIDS 100

struct model {
	char uidl[MODEL_UIDS + 1][PP_UIDL_MAX_LEN + 1];	/* "": none */
};

static struct pp_uidl_map *map_from(const char *text)
{
	g_autoptr(GError) error = NULL;
	struct pp_uidl_map *map = pp_uidl_map_new();

	pp_uidl_map_decode(map, text, &error);
	g_assert_no_error(error);
	return map;
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

/* Sorted, no overlap, what continues is one segment. */
static void assert_canonical(const struct pp_uidl_map *map)
{
	const struct pp_uidl_seg *seg, *prev = NULL;
	guint i;

	for (i = 0; i < pp_uidl_map_count(map); i++) {
		seg = pp_uidl_map_at(map, i);
		g_assert_cmpuint(seg->first, <=, seg->last);
		if (seg->text != NULL)
			g_assert_cmpuint(seg->first, ==, seg->last);
		if (prev != NULL) {
			g_assert_cmpuint(prev->last, <, seg->first);
			g_assert_false(prev->text == NULL &&
				       seg->text == NULL &&
				       prev->last + 1 == seg->first &&
				       prev->validity == seg->validity &&
				       prev->old_first + (prev->last -
							  prev->first) + 1 ==
				       seg->old_first);
		}
		prev = seg;
	}
}

static void assert_model(const struct pp_uidl_map *map,
			 const struct model *model)
{
	guint uid;

	for (uid = 1; uid <= MODEL_UIDS; uid++) {
		g_autofree char *uidl = pp_uidl_map_dup(map, uid);

		g_assert_cmpstr(uidl == NULL ? "" : uidl, ==,
				model->uidl[uid]);
	}
	assert_canonical(map);
}

static void random_rule(struct pp_uidl_map *map, struct model *model)
{
	guint first = g_test_rand_int_range(1, MODEL_UIDS + 1);
	guint last = first + g_test_rand_int_range(0, 12);
	guint old = first + g_test_rand_int_range(0, 6);
	guint validity = 0xabcdef00 + g_test_rand_int_range(0, 2);
	guint uid;

	old = MAX(old, 4) - 3;
	last = MIN(last, MODEL_UIDS);
	if (g_test_rand_int_range(0, 20) == 0) {
		old = first;
		last = PP_UID_MAX;
	}
	pp_uidl_map_set_rule(map, first, last, old, validity);
	for (uid = first; uid <= MIN(last, MODEL_UIDS); uid++) {
		snprintf(model->uidl[uid], sizeof(model->uidl[uid]),
			 "%08x%08x", old + (uid - first), validity);
	}
}

static void random_text(struct pp_uidl_map *map, struct model *model)
{
	guint uid = g_test_rand_int_range(1, MODEL_UIDS + 1);
	char *uidl = model->uidl[uid];
	gint i, len = g_test_rand_int_range(1, PP_UIDL_MAX_LEN + 1);

	for (i = 0; i < len; i++)
		uidl[i] = g_test_rand_int_range(0x21, 0x7f);
	uidl[len] = '\0';
	pp_uidl_map_set_text(map, uid, uidl);
}

static void random_step(struct pp_uidl_map *map, struct model *model)
{
	if (g_test_rand_int_range(0, 4) == 0)
		random_text(map, model);
	else
		random_rule(map, model);
}

/* TEXTS, in any order, and MAP's open rule make MAP again. */
static void assert_decodes(const struct pp_uidl_map *map,
			   const GPtrArray *texts)
{
	struct pp_uidl_map *again = pp_uidl_map_new();
	guint32 first, validity;
	guint i;

	if (pp_uidl_map_get_open(map, &first, &validity)) {
		pp_uidl_map_set_rule(again, first, PP_UID_MAX,
				     pp_uidl_map_find(map, first)->old_first,
				     validity);
	}
	for (i = texts->len; i > 0; i--) {
		g_autoptr(GError) error = NULL;

		pp_uidl_map_decode(again, texts->pdata[i - 1], &error);
		g_assert_no_error(error);
	}
	assert_same(map, again);
	pp_uidl_map_free(again);
}

static void assert_round_trip(const struct pp_uidl_map *map, gsize max_bytes)
{
	g_autoptr(GPtrArray) texts = pp_uidl_map_encode(map, max_bytes);
	guint i;

	for (i = 0; i < texts->len; i++) {
		g_assert_cmpuint(strlen(texts->pdata[i]), >, 0);
		g_assert_cmpuint(strlen(texts->pdata[i]), <=, max_bytes);
	}
	assert_decodes(map, texts);
}

static void test_random(void)
{
	struct model *model = g_new(struct model, 1);
	guint round, step;

	for (round = 0; round < 200; round++) {
		struct pp_uidl_map *map = pp_uidl_map_new(), *copy;

		memset(model, 0, sizeof(*model));
		for (step = 0; step < 40; step++) {
			random_step(map, model);
			assert_model(map, model);
		}
		assert_round_trip(map, G_MAXSIZE);
		assert_round_trip(map, 300);
		copy = pp_uidl_map_copy(map);
		pp_uidl_map_free(map);
		assert_model(copy, model);
		pp_uidl_map_free(copy);
	}
	pp_uidl_map_free(NULL);
	g_free(model);
}

static void test_print(void)
{
	static const struct {
		guint32 uid, validity;
		const char *uidl;
	} rows[] = {
		{ 1, 1795474171, "000000016b04c2fb" },
		{ 0x12345678, 0x9abcdef0, "123456789abcdef0" },
		{ PP_UID_MAX, G_MAXUINT32, "ffffffffffffffff" },
		{ 0x00a00b00, 0, "00a00b0000000000" },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_uidl_map *map = pp_uidl_map_new();
		char buf[PP_UIDL_MAX_LEN + 1];

		g_test_message("%s", rows[i].uidl);
		pp_uidl_map_set_rule(map, 1, PP_UID_MAX, 1, rows[i].validity);
		g_assert_cmpuint(pp_uidl_print(pp_uidl_map_at(map, 0),
					       rows[i].uid, buf), ==, 16);
		g_assert_cmpstr(buf, ==, rows[i].uidl);
		pp_uidl_map_free(map);
	}
}

/* The listing of a large maildrop is what snprintf() would make of it. */
static void test_print_many(void)
{
	struct pp_uidl_map *map = pp_uidl_map_new();
	char buf[PP_UIDL_MAX_LEN + 1], wanted[PP_UIDL_MAX_LEN + 1];
	guint32 uid;

	pp_uidl_map_set_rule(map, 1, PP_UID_MAX, 1, 1795474171);
	pp_uidl_map_set_rule(map, 500, 90000, 70000, 0xfedcba98);
	for (uid = 1; uid <= 100000; uid++) {
		guint32 old = uid < 500 || uid > 90000 ? uid :
			uid - 500 + 70000;

		snprintf(wanted, sizeof(wanted), "%08x%08x", old,
			 old == uid ? 1795474171 : 0xfedcba98);
		pp_uidl_print(pp_uidl_map_find(map, uid), uid, buf);
		g_assert_cmpstr(buf, ==, wanted);
	}
	pp_uidl_map_free(map);
}

static void test_valid(void)
{
	g_autofree char *longest = g_strnfill(PP_UIDL_MAX_LEN, 'x');
	g_autofree char *longer = g_strnfill(PP_UIDL_MAX_LEN + 1, 'x');
	const struct {
		const char *text;
		gboolean valid;
	} rows[] = {
		{ "a", TRUE },
		{ "!~,\"%", TRUE },
		{ longest, TRUE },
		{ longer, FALSE },
		{ "", FALSE },
		{ " ", FALSE },
		{ "a b", FALSE },
		{ "a\n", FALSE },
		{ "a\x7f", FALSE },
		{ "\xc3\xa4", FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("'%s'", rows[i].text);
		g_assert_cmpint(pp_uidl_is_valid(rows[i].text), ==,
				rows[i].valid);
	}
}

static void test_rule_shape(void)
{
	static const struct {
		const char *text;
		gboolean shape;
		guint32 uid, validity;
	} rows[] = {
		{ "000000016b04c2fb", TRUE, 1, 1795474171 },
		{ "FFFFFFFFabcdefAB", TRUE, G_MAXUINT32, 0xabcdefab },
		{ "0000000000000000", TRUE, 0, 0 },
		{ "", FALSE, 7, 7 },
		{ "000000016b04c2f", FALSE, 7, 7 },
		{ "000000016b04c2fb0", FALSE, 7, 7 },
		{ "000000016b04c2fg", FALSE, 7, 7 },
		{ "+00000016b04c2fb", FALSE, 7, 7 },
		{ "0x0000016b04c2fb", FALSE, 7, 7 },
		{ "00000001.6b04c2f", FALSE, 7, 7 },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		guint32 uid = 7, validity = 7;

		g_test_message("'%s'", rows[i].text);
		g_assert_cmpint(pp_uidl_is_rule_shape(rows[i].text, &uid,
						      &validity), ==,
				rows[i].shape);
		g_assert_cmpuint(uid, ==, rows[i].uid);
		g_assert_cmpuint(validity, ==, rows[i].validity);
	}
}

static void test_open_and_plain(void)
{
	static const struct {
		/* closed part, then an open rule (from 0: none) */
		const char *closed;
		guint32 first, old, validity;
		gboolean open, plain;
	} rows[] = {
		{ "-", 0, 0, 0, FALSE, FALSE },
		{ "5@1.9", 0, 0, 0, FALSE, FALSE },
		{ "-", 1, 1, 9, TRUE, TRUE },
		/* what continues is one rule */
		{ "5@1.9", 6, 6, 9, TRUE, TRUE },
		{ "5@1.8", 6, 6, 9, TRUE, FALSE },
		{ "4@1.9", 6, 6, 9, TRUE, FALSE },
		{ "-", 2, 2, 9, TRUE, FALSE },
		{ "-", 2, 1, 9, TRUE, FALSE },
		{ "-", 1, 1, 8, TRUE, FALSE },
		{ "\"a", 2, 2, 9, TRUE, FALSE },
		/* at the highest UID a text is a text */
		{ "4294967294:\"a", 0, 0, 0, FALSE, FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pp_uidl_map *map = map_from(rows[i].closed);
		guint32 first, validity;

		g_test_message("row %u: %s", i, rows[i].closed);
		if (rows[i].first > 0) {
			pp_uidl_map_set_rule(map, rows[i].first, PP_UID_MAX,
					     rows[i].old, rows[i].validity);
		}
		g_assert_cmpint(pp_uidl_map_get_open(map, &first, &validity),
				==, rows[i].open);
		if (rows[i].open)
			g_assert_cmpuint(validity, ==, rows[i].validity);
		g_assert_cmpint(pp_uidl_map_is_plain(map, 9), ==,
				rows[i].plain);
		pp_uidl_map_free(map);
	}
}

/* A recovered maildrop of which 30 % had been expunged here and there. */
static void test_gaps(void)
{
	struct pp_uidl_map *map = pp_uidl_map_new();
	g_autoptr(GPtrArray) texts = NULL;
	guint32 uid = 0, old;
	gsize bytes = 0;
	guint i;

	for (old = 1; old <= 100000; old++) {
		if (g_test_rand_int_range(0, 10) < 3)
			continue;
		uid++;
		pp_uidl_map_set_rule(map, uid, uid, old, 1790000000);
	}
	pp_uidl_map_set_rule(map, uid + 1, PP_UID_MAX, uid + 1, 1795474171);
	texts = pp_uidl_map_encode(map, PP_VALUE_MAX_BYTES);
	for (i = 0; i < texts->len; i++) {
		g_assert_cmpuint(strlen(texts->pdata[i]), <=,
				 PP_VALUE_MAX_BYTES);
		bytes += strlen(texts->pdata[i]);
	}
	g_test_message("%zu bytes for %u messages", bytes, uid);
	g_assert_cmpuint(bytes, <, 2 * uid);
	assert_decodes(map, texts);
	pp_uidl_map_free(map);
}

/* Texts of which each character is escaped. */
static void test_texts(void)
{
	struct pp_uidl_map *map = pp_uidl_map_new();
	g_autofree char *uidl = g_strnfill(PP_UIDL_MAX_LEN, '%');
	guint32 uid;

	for (uid = 1; uid <= 4000; uid += 2)
		pp_uidl_map_set_text(map, uid, uidl);
	assert_round_trip(map, PP_VALUE_MAX_BYTES);
	pp_uidl_map_free(map);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/uidl/random", test_random);
	g_test_add_func("/uidl/print", test_print);
	g_test_add_func("/uidl/print-many", test_print_many);
	g_test_add_func("/uidl/valid", test_valid);
	g_test_add_func("/uidl/rule-shape", test_rule_shape);
	g_test_add_func("/uidl/open-and-plain", test_open_and_plain);
	g_test_add_func("/uidl/gaps", test_gaps);
	g_test_add_func("/uidl/texts", test_texts);
	return g_test_run();
}
