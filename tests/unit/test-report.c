/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The report: what is read, and a page that shows names as text. */
#include <string.h>
#include "report-html.h"

#define ROW(user, period, counters) \
	"{\"username\":\"" user "\",\"period\":\"" period "\"," counters "}"

static struct report *parse(const char *json)
{
	g_autoptr(GError) error = NULL;
	struct report *report = report_parse(json, -1, "me", &error);

	g_assert_no_error(error);
	g_assert_nonnull(report);
	return report;
}

static const struct report_sum *get(const GPtrArray *sums, guint i)
{
	g_assert_cmpuint(i, <, sums->len);
	return sums->pdata[i];
}

static void test_totals(void)
{
	struct report *report = parse("["
		ROW("b", "total", "\"sessions\":\"5\",\"retr_count\":3") ","
		ROW("b", "2026-11", "\"sessions\":\"4\"") ","
		ROW("b", "2026-11-24", "\"sessions\":\"1\"") ","
		ROW("a", "total", "\"sessions\":\"7\",\"top_count\":\"2\","
		    "\"last_session\":\"2026-11-24T10:00:00Z\","
		    "\"first_session\":\"-\"") "]");

	g_assert_cmpuint(report->users->len, ==, 2);
	g_assert_cmpstr(get(report->users, 0)->name, ==, "a");
	g_assert_cmpuint(get(report->users, 1)->counters.value[PP_SESSIONS],
			 ==, 5);
	g_assert_cmpuint(report->total.value[PP_SESSIONS], ==, 12);
	g_assert_cmpuint(report->total.value[PP_LAST_SESSION], ==,
			 1795514400);
	g_assert_cmpuint(report_messages(&report->total), ==, 5);
	g_assert_cmpuint(report->periods->len, ==, 1);
	g_assert_cmpuint(get(report->periods, 0)->counters.value[PP_SESSIONS],
			 ==, 1);
	report_free(report);
}

/* Without totals users are the sums of their days; days without a row are in
   the picture, over the end of a month. */
static void test_days(void)
{
	struct report *report = parse("["
		ROW("b", "2026-12-02", "\"sessions\":\"1\"") ","
		ROW("a", "2026-11-29", "\"sessions\":\"2\"") ","
		ROW("b", "2026-11-29", "\"sessions\":\"3\"") "]");

	g_assert_cmpuint(get(report->users, 1)->counters.value[PP_SESSIONS],
			 ==, 4);
	g_assert_cmpuint(report->periods->len, ==, 4);
	g_assert_cmpstr(get(report->periods, 1)->name, ==, "2026-11-30");
	g_assert_cmpstr(get(report->periods, 3)->name, ==, "2026-12-02");
	g_assert_cmpuint(get(report->periods, 0)->counters.value[PP_SESSIONS],
			 ==, 5);
	report_free(report);
}

static void test_months(void)
{
	struct report *report = parse("["
		ROW("a", "2026-11", "\"sessions\":\"2\"") ","
		ROW("a", "2027-02", "\"sessions\":\"3\"") "]");

	g_assert_cmpuint(report->periods->len, ==, 4);
	g_assert_cmpstr(get(report->periods, 2)->name, ==, "2027-01");
	report_free(report);
}

static void test_one_user_and_none(void)
{
	struct report *report = parse("[{\"period\":\"total\","
				      "\"sessions\":1}]");
	g_autofree char *html = NULL;

	g_assert_cmpstr(get(report->users, 0)->name, ==, "me");
	report_free(report);
	report = parse("[]");
	g_assert_cmpuint(report->users->len, ==, 0);
	html = report_html(report, "none");
	g_assert_nonnull(strstr(html, "<h1>none</h1>"));
	report_free(report);
}

static const char *const bad_inputs[] = {
	"", "{}", "[1]", "[{}]", "[{\"period\":\"x\"}]",
	"[{\"period\":\"2026-13\"}]", "[{\"period\":\"2026-11-24T\"}]",
	"[{\"period\":\"total\",\"sessions\":\"-1\"}]",
	"[{\"period\":\"total\",\"sessions\":-1}]",
	"[{\"period\":\"total\",\"sessions\":\"x\"}]",
	"[{\"period\":\"total\",\"sessions\":1e16}]",
	"[{\"period\":\"total\",\"sessions\":1.0}]",
	"[{\"period\":\"total\",\"sessions\":null}]",
	"[{\"period\":\"total\",\"sessions\":[1]}]",
	"[{\"period\":\"total\",\"sessions\":18446744073709551616}]",
	"[{\"period\":\"total\",\"sessions\":-9223372036854775808}]",
	"[{\"period\":\"total\",\"sessions\":1234567890123456789.5}]",
	"[{\"period\":\"total\",\"last_session\":\"today\"}]",
	"[{\"period\":\"total\"}", "[{\"period\":\"total\"},"
};

static void test_bad(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(bad_inputs); i++) {
		g_autoptr(GError) error = NULL;

		g_test_message("%s", bad_inputs[i]);
		g_assert_null(report_parse(bad_inputs[i], -1, "me", &error));
		g_assert_nonnull(error);
	}
}

static guint count(const char *text, const char *part)
{
	guint n = 0;

	while ((text = strstr(text, part)) != NULL) {
		text += strlen(part);
		n++;
	}
	return n;
}

/* As they stand in JSON, and how the page has to show them. */
static const struct {
	const char *json, *html;
} names[] = {
	{ "<script>alert(1)</script>",
	  "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" },
	{ "\\\"><img src=x onerror=alert(1)>",
	  "<bdi>&quot;&gt;&lt;img src=x onerror=alert(1)&gt;</bdi>" },
	{ "a&lt;b'", "<bdi>a&amp;lt;b&apos;</bdi>" },
	{ "</td></table>", "<bdi>&lt;/td&gt;&lt;/table&gt;</bdi>" },
	{ "gr\xc3\xbc\xc3\x9f" "e", "<bdi>gr\xc3\xbc\xc3\x9f" "e</bdi>" },
	{ "<!--", "<bdi>&lt;!--</bdi>" }
};

static void test_hostile_names(void)
{
	g_autoptr(GString) json = g_string_new("[");
	g_autofree char *html = NULL;
	struct report *report;

	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_string_append_printf(json, "%s" ROW("%s", "total",
			"\"sessions\":1,\"again_count\":1,"
			"\"last_session\":\"2026-11-24T10:00:00Z\""),
			i > 0 ? "," : "", names[i].json);
	}
	g_string_append_c(json, ']');
	report = parse(json->str);
	html = report_html(report, "</title><script>alert(2)</script>");
	report_free(report);
	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_test_message("%s", names[i].json);
		g_assert_cmpuint(count(html, names[i].html), ==, 4);
	}
	g_assert_cmpuint(count(html, "<script"), ==, 1);
	g_assert_cmpuint(count(html, "</script"), ==, 1);
	g_assert_cmpuint(count(html, "</title>\n"), ==, 1);
	g_assert_cmpuint(count(html, "<img"), ==, 0);
	g_assert_cmpuint(count(html, "<!--"), ==, 0);
}

static void test_asks_nobody(void)
{
	struct report *report = parse("["
		ROW("a", "2026-11-24", "\"sessions\":\"2\"") "]");
	g_autofree char *html = report_html(report, "t");
	static const char *const never[] = {
		"http:", "https:", "//", " src=", " href=", "url(", "@import",
		"fetch(", "eval("
	};

	for (guint i = 0; i < G_N_ELEMENTS(never); i++) {
		g_test_message("%s", never[i]);
		g_assert_null(strstr(html, never[i]));
	}
	g_assert_nonnull(strstr(html, "default-src 'none'"));
	report_free(report);
}

static void test_saturated(void)
{
	struct report *report = parse("["
		ROW("a", "total", "\"sessions\":\"1\",\"retr_bytes\":"
		    "\"18446744073709551615\",\"top_bytes\":\"5\"") "]");
	g_autofree char *html = report_html(report, "t");

	g_assert_cmpuint(report_bytes(&report->total), ==, G_MAXUINT64);
	g_assert_nonnull(strstr(html, "data-v=\"18446744073709551615\""));
	report_free(report);
}

/* Who never came is no user of POP3; whose mail retention removed is told. */
static void test_who_never_came(void)
{
	struct report *report = parse("["
		ROW("never", "total", "\"sessions\":0") ","
		ROW("removed", "total", "\"removed_count\":5") ","
		ROW("came", "total", "\"sessions\":1") "]");
	g_autofree char *html = report_html(report, "t");

	g_assert_cmpuint(count(html, "<dt>Users</dt><dd>1</dd>"), ==, 1);
	g_assert_cmpuint(count(html, "<bdi>never</bdi>"), ==, 0);
	g_assert_cmpuint(count(html, "<bdi>removed</bdi>"), ==, 1);
	g_assert_cmpuint(count(html, "<bdi>came</bdi>"), ==, 2);
	report_free(report);
}

/* As doveadm prints numbers: without quotes, whatever their size; and a user's
   name that looks like one. */
static void test_large(void)
{
	struct report *report = parse("["
		ROW("\\\"a:1234567890123456789,\\\\", "total",
		    "\"sessions\":9223372036854775808,\"retr_bytes\":"
		    "18446744073709551615,\"in_bytes\":"
		    "9223372036854775807,\"out_bytes\":"
		    "1000000000000000000") "]");

	g_assert_cmpstr(get(report->users, 0)->name, ==,
			"\"a:1234567890123456789,\\");
	g_assert_cmpuint(report->total.value[PP_SESSIONS], ==,
			 G_GUINT64_CONSTANT(9223372036854775808));
	g_assert_cmpuint(report->total.value[PP_RETR_BYTES], ==, G_MAXUINT64);
	g_assert_cmpuint(report->total.value[PP_IN_BYTES], ==, G_MAXINT64);
	g_assert_cmpuint(report->total.value[PP_OUT_BYTES], ==,
			 G_GUINT64_CONSTANT(1000000000000000000));
	report_free(report);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/report/totals", test_totals);
	g_test_add_func("/report/days", test_days);
	g_test_add_func("/report/months", test_months);
	g_test_add_func("/report/one-user-and-none", test_one_user_and_none);
	g_test_add_func("/report/bad", test_bad);
	g_test_add_func("/report/hostile-names", test_hostile_names);
	g_test_add_func("/report/asks-nobody", test_asks_nobody);
	g_test_add_func("/report/saturated", test_saturated);
	g_test_add_func("/report/who-never-came", test_who_never_came);
	g_test_add_func("/report/large", test_large);
	return g_test_run();
}
