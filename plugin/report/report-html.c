/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See report-html.h. Pictures are drawn here, as SVG; the page's script only
   sorts tables. Its policy forbids the page to load anything. */
#include <string.h>
#include "report-html.h"

/* users with a bar of their own */
#define TOP_USERS 10
#define CHART_WIDTH 1000
#define CHART_HEIGHT 100

static const char page_css[] =
#include "page.css.inc"
;
static const char page_js[] =
#include "page.js.inc"
;

static void add_text(GString *html, const char *text)
{
	g_autofree char *escaped = g_markup_escape_text(text, -1);

	g_string_append(html, escaped);
}

/* "12 345 678", which every reader takes for what it is. */
static void add_number(GString *html, guint64 number)
{
	g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT,
						  number);
	gsize length = strlen(digits);

	for (gsize i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			g_string_append(html, "\xe2\x80\xaf");
		g_string_append_c(html, digits[i]);
	}
}

static void add_bytes(GString *html, guint64 bytes)
{
	g_autofree char *text = g_format_size_full(bytes,
						   G_FORMAT_SIZE_IEC_UNITS);

	add_text(html, text);
}

static void add_time(GString *html, guint64 when)
{
	g_autoptr(GDateTime) time = when == 0 ? NULL :
		g_date_time_new_from_unix_utc((gint64)when);
	g_autofree char *text = time == NULL ? NULL :
		g_date_time_format(time, "%Y-%m-%d %H:%M");

	g_string_append(html, text == NULL ? "\xe2\x80\x93" : text);
}

static void add_tile(GString *html, const char *name, guint64 value,
		     void (*print)(GString *html, guint64 value))
{
	g_string_append_printf(html, "<div><dt>%s</dt><dd>", name);
	print(html, value);
	g_string_append(html, "</dd></div>\n");
}

/* doveadm has a total for everybody, also who never came. */
static guint count_users(const struct report *report)
{
	guint count = 0;

	for (guint i = 0; i < report->users->len; i++) {
		const struct report_sum *sum = report->users->pdata[i];

		if (sum->counters.value[PP_SESSIONS] > 0)
			count++;
	}
	return count;
}

static void add_tiles(GString *html, const struct report *report)
{
	const struct pp_counters *total = &report->total;

	g_string_append(html, "<dl class=\"tiles\">\n");
	add_tile(html, "Users", count_users(report), add_number);
	add_tile(html, "Sessions", total->value[PP_SESSIONS], add_number);
	add_tile(html, "Messages", report_messages(total), add_number);
	add_tile(html, "Bytes of messages", report_bytes(total), add_bytes);
	add_tile(html, "Downloaded again", total->value[PP_AGAIN_COUNT],
		 add_number);
	add_tile(html, "Bytes sent", total->value[PP_OUT_BYTES], add_bytes);
	g_string_append(html, "</dl>\n");
}

static guint64 get_sessions(const struct pp_counters *counters)
{
	return counters->value[PP_SESSIONS];
}

struct chart {
	const char *name;
	guint64 (*get)(const struct pp_counters *counters);
	void (*print)(GString *html, guint64 value);
};

static const struct chart charts[] = {
	{ "Sessions", get_sessions, add_number },
	{ "Messages", report_messages, add_number },
	{ "Bytes of messages", report_bytes, add_bytes }
};

static guint64 chart_max(const struct report *report,
			 const struct chart *chart)
{
	guint64 max = 0;

	for (guint i = 0; i < report->periods->len; i++) {
		const struct report_sum *sum = report->periods->pdata[i];

		max = MAX(max, chart->get(&sum->counters));
	}
	return max;
}

static void add_bar(GString *html, const struct chart *chart,
		    const struct report_sum *sum, guint i, guint count,
		    guint64 max)
{
	double width = (double)CHART_WIDTH / count;
	guint64 value = chart->get(&sum->counters);
	double height = max == 0 ? 0 :
		(double)value / (double)max * CHART_HEIGHT;
	char x[G_ASCII_DTOSTR_BUF_SIZE], y[G_ASCII_DTOSTR_BUF_SIZE];
	char w[G_ASCII_DTOSTR_BUF_SIZE], h[G_ASCII_DTOSTR_BUF_SIZE];

	g_ascii_formatd(x, sizeof(x), "%.2f", i * width);
	g_ascii_formatd(y, sizeof(y), "%.2f", CHART_HEIGHT - height);
	g_ascii_formatd(w, sizeof(w), "%.2f", width * 0.8);
	g_ascii_formatd(h, sizeof(h), "%.2f", height);
	g_string_append_printf(html, "<rect x=\"%s\" y=\"%s\" width=\"%s\" "
			       "height=\"%s\"><title>", x, y, w, h);
	add_text(html, sum->name);
	g_string_append(html, ": ");
	chart->print(html, value);
	g_string_append(html, "</title></rect>\n");
}

static void add_chart(GString *html, const struct report *report,
		      const struct chart *chart)
{
	guint count = report->periods->len;
	guint64 max = chart_max(report, chart);
	const struct report_sum *first = report->periods->pdata[0];
	const struct report_sum *last = report->periods->pdata[count - 1];

	g_string_append_printf(html, "<figure><figcaption>%s, at most ",
			       chart->name);
	chart->print(html, max);
	g_string_append_printf(html, "</figcaption>\n<svg viewBox=\"0 0 %d %d\""
			       " preserveAspectRatio=\"none\" role=\"img\" "
			       "aria-label=\"%s\">\n", CHART_WIDTH,
			       CHART_HEIGHT, chart->name);
	for (guint i = 0; i < count; i++)
		add_bar(html, chart, report->periods->pdata[i], i, count, max);
	g_string_append(html, "</svg><div class=\"ends\"><span>");
	add_text(html, first->name);
	g_string_append(html, "</span><span>");
	add_text(html, last->name);
	g_string_append(html, "</span></div></figure>\n");
}

static void add_charts(GString *html, const struct report *report)
{
	if (report->periods->len == 0)
		return;
	g_string_append(html, "<h2>Over time</h2>\n");
	for (guint i = 0; i < G_N_ELEMENTS(charts); i++)
		add_chart(html, report, &charts[i]);
}

static void add_head(GString *html, const char *name, gboolean number)
{
	g_string_append_printf(html, "<th scope=\"col\"%s>%s</th>",
			       number ? " class=\"n\"" : "", name);
}

static void add_cell(GString *html, guint64 value,
		     void (*print)(GString *html, guint64 value))
{
	g_string_append_printf(html, "<td class=\"n\" data-v=\"%"
			       G_GUINT64_FORMAT "\">", value);
	print(html, value);
	g_string_append(html, "</td>");
}

struct column {
	const char *name;
	/* the counter, or what is made of several */
	enum pp_counter counter;
	guint64 (*get)(const struct pp_counters *counters);
	void (*print)(GString *html, guint64 value);
};

static const struct column all_columns[] = {
	{ "Sessions", PP_SESSIONS, NULL, add_number },
	{ "Aborted", PP_SESSIONS_ABORTED, NULL, add_number },
	{ "Messages", 0, report_messages, add_number },
	{ "Bytes", 0, report_bytes, add_bytes },
	{ "Deleted", PP_DELE_COUNT, NULL, add_number },
	{ "Removed", PP_REMOVED_COUNT, NULL, add_number },
	{ "Received", PP_IN_BYTES, NULL, add_bytes },
	{ "Sent", PP_OUT_BYTES, NULL, add_bytes },
	{ "First session", PP_FIRST_SESSION, NULL, add_time },
	{ "Last session", PP_LAST_SESSION, NULL, add_time },
	{ NULL, 0, NULL, NULL }
};

static const struct column last_columns[] = {
	{ "Last session", PP_LAST_SESSION, NULL, add_time },
	{ "Sessions", PP_SESSIONS, NULL, add_number },
	{ NULL, 0, NULL, NULL }
};

static const struct column again_columns[] = {
	{ "Messages again", PP_AGAIN_COUNT, NULL, add_number },
	{ "Bytes again", PP_AGAIN_BYTES, NULL, add_bytes },
	{ "Messages", 0, report_messages, add_number },
	{ NULL, 0, NULL, NULL }
};

static void add_row(GString *html, const struct column *columns,
		    const struct report_sum *sum)
{
	/* a name that is written from right to left stays in its cell */
	g_string_append(html, "<tr><td><bdi>");
	add_text(html, sum->name);
	g_string_append(html, "</bdi></td>");
	for (; columns->name != NULL; columns++) {
		add_cell(html, columns->get != NULL ?
			 columns->get(&sum->counters) :
			 sum->counters.value[columns->counter],
			 columns->print);
	}
	g_string_append(html, "</tr>\n");
}

static void add_table(GString *html, const char *id,
		      const struct column *columns, const GPtrArray *sums)
{
	const struct column *column;

	g_string_append_printf(html, "<div class=\"wide\"><table id=\"%s\">"
			       "<thead><tr>", id);
	add_head(html, "User", FALSE);
	for (column = columns; column->name != NULL; column++)
		add_head(html, column->name, TRUE);
	g_string_append(html, "</tr></thead>\n<tbody>\n");
	for (guint i = 0; i < sums->len; i++)
		add_row(html, columns, sums->pdata[i]);
	g_string_append(html, "</tbody></table></div>\n");
}

static gint compare_numbers(guint64 a, guint64 b)
{
	return a < b ? -1 : a > b;
}

static gint by_bytes(gconstpointer a, gconstpointer b)
{
	const struct report_sum *const *left = a, *const *right = b;

	return compare_numbers(report_bytes(&(*right)->counters),
			       report_bytes(&(*left)->counters));
}

static gint by_last(gconstpointer a, gconstpointer b)
{
	const struct report_sum *const *left = a, *const *right = b;

	return compare_numbers((*left)->counters.value[PP_LAST_SESSION],
			       (*right)->counters.value[PP_LAST_SESSION]);
}

static gint by_again(gconstpointer a, gconstpointer b)
{
	const struct report_sum *const *left = a, *const *right = b;

	return compare_numbers((*right)->counters.value[PP_AGAIN_BYTES],
			       (*left)->counters.value[PP_AGAIN_BYTES]);
}

/* The users in another order; those with none of COUNTER (PP_COUNTERS: of any)
   left out. */
static GPtrArray *users_by(const struct report *report, GCompareFunc compare,
			   enum pp_counter counter)
{
	GPtrArray *users = g_ptr_array_new();

	for (guint i = 0; i < report->users->len; i++) {
		struct report_sum *sum = report->users->pdata[i];

		if (counter == PP_COUNTERS ?
		    !pp_counters_is_zero(&sum->counters) :
		    sum->counters.value[counter] > 0)
			g_ptr_array_add(users, sum);
	}
	g_ptr_array_sort(users, compare);
	return users;
}

static void add_tables(GString *html, const struct report *report)
{
	g_autoptr(GPtrArray) all = users_by(report, by_bytes, PP_COUNTERS);
	g_autoptr(GPtrArray) top = users_by(report, by_bytes, PP_SESSIONS);
	g_autoptr(GPtrArray) last = users_by(report, by_last,
					     PP_LAST_SESSION);
	g_autoptr(GPtrArray) again = users_by(report, by_again,
					      PP_AGAIN_COUNT);

	if (top->len > TOP_USERS)
		g_ptr_array_set_size(top, TOP_USERS);
	g_string_append(html, "<h2>Top users, by bytes of messages</h2>\n");
	add_table(html, "top", all_columns, top);
	g_string_append(html, "<h2>Downloads repeated</h2>\n");
	add_table(html, "again", again_columns, again);
	g_string_append(html, "<h2>Who came last when</h2>\n");
	add_table(html, "last", last_columns, last);
	g_string_append(html, "<h2>All users</h2>\n");
	add_table(html, "all", all_columns, all);
}

static void add_title(GString *html, const struct report *report,
		      const char *title)
{
	const struct report_sum *first, *last;

	g_string_append(html, "<h1>");
	add_text(html, title);
	g_string_append(html, "</h1>\n<p>");
	if (report->periods->len > 0) {
		first = report->periods->pdata[0];
		last = report->periods->pdata[report->periods->len - 1];
		add_text(html, first->name);
		g_string_append(html, " to ");
		add_text(html, last->name);
		g_string_append(html, ". ");
	}
	g_string_append(html, "All times are in UTC.</p>\n");
}

char *report_html(const struct report *report, const char *title)
{
	GString *html = g_string_new(
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
		"<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\""
		"default-src 'none'; style-src 'unsafe-inline'; "
		"script-src 'unsafe-inline'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, "
		"initial-scale=1\">\n<title>");

	add_text(html, title);
	g_string_append_printf(html, "</title>\n<style>\n%s</style>\n</head>\n"
			       "<body>\n", page_css);
	add_title(html, report, title);
	add_tiles(html, report);
	add_charts(html, report);
	add_tables(html, report);
	g_string_append_printf(html, "<script>\n%s</script>\n</body>\n"
			       "</html>\n", page_js);
	return g_string_free(html, FALSE);
}
