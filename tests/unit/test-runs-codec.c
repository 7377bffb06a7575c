/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Runs of UIDs as text. */
#include "test-common.h"

static void assert_same(const struct pp_runs *a, const struct pp_runs *b)
{
	g_autofree char *text_a = pp_runs_encode(a);
	g_autofree char *text_b = pp_runs_encode(b);

	g_assert_cmpstr(text_a, ==, text_b);
}

static struct pp_runs *runs_from(const char *text)
{
	g_autoptr(GError) error = NULL;
	struct pp_runs *runs = pp_runs_decode(text, &error);

	g_assert_no_error(error);
	return runs;
}

/* The format, for ever. */
static void test_golden(void)
{
	struct pp_runs *runs = pp_runs_new();
	struct pp_runs *again;
	g_autofree char *text = NULL;
	static const char golden[] =
		"100+1795474171,23+86400,1877:1-60,"
		"4294965292:1+18446744071913991044,1-18446744073709551555";

	pp_runs_set(runs, 1, 100, 1795474171);
	pp_runs_set(runs, 101, 123, 1795560571);
	pp_runs_set(runs, 2001, 2001, 1795560511);
	pp_runs_set(runs, PP_UID_MAX - 1, PP_UID_MAX - 1,
		    G_GUINT64_CONSTANT(18446744073709551555));
	pp_runs_set(runs, PP_UID_MAX, PP_UID_MAX, 0);
	text = pp_runs_encode(runs);
	g_assert_cmpstr(text, ==, golden);

	again = runs_from(golden);
	g_assert_cmpuint(pp_runs_count(again), ==, 5);
	g_assert_cmpuint(pp_runs_at(again, 2)->first, ==, 2001);
	g_assert_cmpuint(pp_runs_at(again, 2)->time, ==, 1795560511);
	assert_same(runs, again);
	pp_runs_free(runs);
	pp_runs_free(again);
}

/* Cut off, it is an error, or what stands there: whole tokens. (That it was cut
   off shows in the document's checksum.) */
static void test_truncated(void)
{
	static const char text[] = "100+1795474171,23+86400,1877:1-60";
	guint i;

	for (i = 0; i < strlen(text); i++) {
		g_autofree char *cut = g_strndup(text, i);
		struct pp_runs *runs = pp_runs_decode(cut, NULL);

		if (runs != NULL) {
			g_autofree char *again = pp_runs_encode(runs);

			g_assert_cmpstr(again, ==, cut);
		}
		pp_runs_free(runs);
	}
}

static void test_bad(void)
{
	static const char *const rows[] = {
		"", ",", "1", "1+", "+1", "1:", "1:+1", "1:1", ":1+1", "--",
		"-1", "1+1,", ",1+1", "1+1,,1+2", "1+1,-", "-,1+1",
		"1+1 ", " 1+1", "1 +1", "1+-1", "1++1", "1:1:1+1",
		/* not what is printed */
		"0+1", "0:1+1", "01+1", "1+01", "1-0", "1+1,1-0",
		/* neighbours with the same time */
		"1+1,1+0",
		/* times below 0 and past 64 bits */
		"1-1", "1+5,1-6", "1+18446744073709551616",
		"1+18446744073709551615,1+1",
		/* UIDs past 32 bits */
		"4294967296+1", "4294967295:1+1", "4294967295+1,1+1",
		"1+1,4294967295+1", "18446744073709551615:1+1",
		"18446744073709551615+1", "1:18446744073709551615+1",
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		struct pp_runs *runs = pp_runs_decode(rows[i], &error);

		g_test_message("'%s'", rows[i]);
		g_assert_null(runs);
		g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/runs-codec/golden", test_golden);
	g_test_add_func("/runs-codec/truncated", test_truncated);
	g_test_add_func("/runs-codec/bad", test_bad);
	return g_test_run();
}
