/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See doveadm-pop3-usage-rows.h. */
#include "pop3-policy-compat.h"
#include "ostream.h"
#include "str.h"
#include "mail-user.h"
#include "doveadm-pop3-usage-rows.h"

#include <sysexits.h>

struct usage_row {
	char *user, *period;
	struct pp_counters counters;
};

static bool usage_is_time(int counter)
{
	return counter == PP_FIRST_SESSION || counter == PP_LAST_SESSION;
}

/* RFC 4180: in quotes where there is need, and quotes in it twice. */
static const char *usage_csv_field(const char *text)
{
	g_auto(GStrv) parts = NULL;
	g_autofree char *joined = NULL;

	if (strpbrk(text, "\",\r\n") == NULL)
		return text;
	parts = g_strsplit(text, "\"", -1);
	joined = g_strjoinv("\"\"", parts);
	return t_strconcat("\"", joined, "\"", NULL);
}

static const char *
usage_value(const struct pp_counters *counters, int counter, const char *none)
{
	if (usage_is_time(counter))
		return doveadm_pop3_time(counters->value[counter], none);
	return t_strdup_printf("%"PRIu64, (uint64_t)counters->value[counter]);
}

static void usage_csv_header(void)
{
	string_t *line = t_str_new(512);
	int i;

	str_append(line, "username,period");
	for (i = 0; i < PP_COUNTERS; i++) {
		str_append_c(line, ',');
		str_append(line, pp_counter_name((enum pp_counter)i));
	}
	str_append(line, "\r\n");
	o_stream_nsend(doveadm_print_ostream, str_data(line), str_len(line));
}

static void usage_csv_row(const struct usage_row *row)
{
	string_t *line = t_str_new(512);
	int i;

	str_append(line, usage_csv_field(row->user));
	str_append_c(line, ',');
	str_append(line, row->period);
	for (i = 0; i < PP_COUNTERS; i++) {
		str_append_c(line, ',');
		str_append(line, usage_value(&row->counters, i, ""));
	}
	str_append(line, "\r\n");
	o_stream_nsend(doveadm_print_ostream, str_data(line), str_len(line));
}

static void rows_print(struct doveadm_pop3_usage_rows *rows,
		       const struct usage_row *row)
{
	int i;

	if (rows->limit > 0 && rows->printed == rows->limit)
		return;
	rows->printed++;
	if (rows->csv) {
		usage_csv_row(row);
		return;
	}
	if (!rows->ctx->iterate_single_user)
		doveadm_print_sticky("username", row->user);
	doveadm_print(row->period);
	for (i = 0; i < PP_COUNTERS; i++)
		doveadm_print(usage_value(&row->counters, i, "-"));
}

/* The most of the counter first; equal ones by name. */
static gint rows_compare(gconstpointer _a, gconstpointer _b, gpointer context)
{
	const struct doveadm_pop3_usage_rows *rows = context;
	const struct usage_row *a = _a, *b = _b;
	guint64 left = a->counters.value[rows->sort];
	guint64 right = b->counters.value[rows->sort];
	int order;

	if (left != right)
		return left > right ? -1 : 1;
	order = strcmp(a->user, b->user);
	return order != 0 ? order : strcmp(a->period, b->period);
}

static void usage_row_clear(gpointer data)
{
	struct usage_row *row = data;

	g_free(row->user);
	g_free(row->period);
}

void doveadm_pop3_usage_rows_init(struct doveadm_pop3_usage_rows *rows,
				  struct doveadm_mail_cmd_context *ctx)
{
	i_zero(rows);
	rows->ctx = ctx;
	rows->sort = PP_COUNTERS;
	rows->rows = g_array_new(FALSE, FALSE, sizeof(struct usage_row));
	g_array_set_clear_func(rows->rows, usage_row_clear);
}

static void rows_read_options(struct doveadm_pop3_usage_rows *rows)
{
	struct doveadm_cmd_context *cctx = rows->ctx->cctx;
	const char *name;
	int64_t limit;

	rows->csv = doveadm_pop3_option(rows->ctx, "csv");
	if (doveadm_cmd_param_int64(cctx, "limit", &limit)) {
		if (limit < 1 || limit > UINT32_MAX)
			i_fatal_status(EX_USAGE, "--limit: 1 or more");
		rows->limit = limit;
	}
	if (!doveadm_cmd_param_str(cctx, "sort", &name))
		return;
	rows->sort = 0;
	while (rows->sort < PP_COUNTERS &&
	       strcmp(name, pp_counter_name(rows->sort)) != 0)
		rows->sort++;
	if (rows->sort == PP_COUNTERS) {
		i_fatal_status(EX_USAGE, "--sort: there is no counter '%s'",
			       name);
	}
}

void doveadm_pop3_usage_rows_begin(struct doveadm_pop3_usage_rows *rows)
{
	const char *name;
	int i;

	rows_read_options(rows);
	if (rows->csv) {
		usage_csv_header();
		return;
	}
	doveadm_print_header_simple("period");
	for (i = 0; i < PP_COUNTERS; i++) {
		name = pp_counter_name((enum pp_counter)i);
		doveadm_print_header(name, name, usage_is_time(i) ? 0 :
				     DOVEADM_POP3_NUMBER);
	}
}

void doveadm_pop3_usage_rows_add(struct doveadm_pop3_usage_rows *rows,
				 const struct mail_user *user,
				 const char *period,
				 const struct pp_counters *counters)
{
	struct usage_row row = { .counters = *counters };

	if (rows->sort != PP_COUNTERS) {
		row.user = g_strdup(user->username);
		row.period = g_strdup(period);
		g_array_append_val(rows->rows, row);
		return;
	}
	T_BEGIN {
		row.user = t_strdup_noconst(user->username);
		row.period = t_strdup_noconst(period);
		rows_print(rows, &row);
	} T_END;
}

void doveadm_pop3_usage_rows_end(struct doveadm_pop3_usage_rows *rows)
{
	guint i;

	g_array_sort_with_data(rows->rows, rows_compare, rows);
	for (i = 0; i < rows->rows->len; i++) T_BEGIN {
		rows_print(rows, &g_array_index(rows->rows, struct usage_row,
						i));
	} T_END;
	g_array_unref(rows->rows);
}
