/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 usage show`. Finished days and months are looked up by their
   names: not all dicts can iterate. */
#include "pop3-policy-compat.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm-pop3-users.h"
#include "doveadm-pop3-usage-rows.h"

#include <sysexits.h>

/* more than ten years of days */
#define USAGE_MAX_PERIODS 4000

enum usage_by {
	USAGE_BY_DEFAULT,	/* total, this month, this day */
	USAGE_BY_TOTAL,
	USAGE_BY_MONTH,
	USAGE_BY_DAY
};

struct usage_show_context {
	struct doveadm_pop3_users all;
	enum usage_by by;
	/* names of the periods, in order; empty without a range */
	GPtrArray *periods;
	struct doveadm_pop3_usage_rows rows;
};

static void usage_print_now(struct usage_show_context *ctx,
			    const struct mail_user *user,
			    const struct pp_usage *usage)
{
	const struct pp_counters *counters;
	const char *name;

	doveadm_pop3_usage_rows_add(&ctx->rows, user, "total",
				    pp_usage_total(usage));
	if (ctx->by == USAGE_BY_TOTAL)
		return;
	counters = pp_usage_month(usage, &name);
	if (name != NULL && *name != '\0')
		doveadm_pop3_usage_rows_add(&ctx->rows, user, name, counters);
	counters = pp_usage_day(usage, &name);
	if (name != NULL && *name != '\0')
		doveadm_pop3_usage_rows_add(&ctx->rows, user, name, counters);
}

static int usage_fail(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user, const char *key,
		      const char *error)
{
	return doveadm_pop3_fail(ctx, user, MAIL_ERROR_NOTPOSSIBLE,
				 t_strdup_printf("%s: %s", key, error));
}

/* A finished one. What cannot be read is told, and the others are shown. */
static int usage_print_finished(struct usage_show_context *ctx,
				struct mail_user *user, const char *name,
				const char *key, const char *value)
{
	g_autoptr(GError) error = NULL;
	struct pp_counters counters;

	if (value == NULL)
		return 0;
	if (!pp_usage_period_decode(value, name, &counters, &error))
		return usage_fail(&ctx->all.ctx, user, key, error->message);
	doveadm_pop3_usage_rows_add(&ctx->rows, user, name, &counters);
	return 0;
}

static int usage_print_periods(struct usage_show_context *ctx,
			       struct pop3_policy_maildrop *md,
			       const struct pp_usage *usage,
			       const char *const *keys,
			       const char *const *values)
{
	const struct pp_counters *current;
	const char *name, *current_name;
	int ret = 0;
	guint i;

	current = ctx->by == USAGE_BY_MONTH ?
		pp_usage_month(usage, &current_name) :
		pp_usage_day(usage, &current_name);
	for (i = 0; i < ctx->periods->len; i++) {
		name = g_ptr_array_index(ctx->periods, i);
		if (g_strcmp0(name, current_name) == 0)
			doveadm_pop3_usage_rows_add(&ctx->rows, md->user,
						    name, current);
		else if (usage_print_finished(ctx, md->user, name, keys[i],
					      values[i]) < 0)
			ret = -1;
	}
	return ret;
}

static int usage_show_range(struct usage_show_context *ctx,
			    struct pop3_policy_maildrop *md,
			    const struct pp_usage *usage)
{
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(md);
	guint count = ctx->periods->len;
	const char **keys = t_new(const char *, count + 1);
	const char **values = t_new(const char *, count + 1);
	const char *error;
	guint i;

	for (i = 0; i < count; i++) {
		keys[i] = t_strdup_printf("usage/%s",
			(const char *)g_ptr_array_index(ctx->periods, i));
	}
	if (pop3_policy_store_lookup(md->store, pool_datastack_create(),
				     &deadline, keys, count, values,
				     &error) < 0)
		return doveadm_pop3_fail(&ctx->all.ctx, md->user,
					 MAIL_ERROR_TEMP, error);
	return usage_print_periods(ctx, md, usage, keys, values);
}

static int usage_show(struct usage_show_context *ctx,
		      struct pop3_policy_maildrop *md)
{
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(md);
	g_autoptr(GError) gerror = NULL;
	const char *error, *value, *key = POP3_POLICY_KEY_USAGE;
	struct pp_usage *usage;
	int ret = 0;

	if (pop3_policy_store_lookup(md->store, pool_datastack_create(),
				     &deadline, &key, 1, &value, &error) < 0)
		return doveadm_pop3_fail(&ctx->all.ctx, md->user,
					 MAIL_ERROR_TEMP, error);
	usage = value == NULL ? pp_usage_new() :
		pp_usage_decode(value, &gerror);
	if (usage == NULL) {
		ret = usage_fail(&ctx->all.ctx, md->user, key, gerror->message);
		/* what was finished before can be read all the same */
		usage = pp_usage_new();
	} else if (ctx->periods->len == 0) {
		usage_print_now(ctx, md->user, usage);
	}
	if (ctx->periods->len > 0 && usage_show_range(ctx, md, usage) < 0)
		ret = -1;
	pp_usage_free(usage);
	return ret;
}

static int cmd_usage_show_run(struct doveadm_mail_cmd_context *_ctx,
			      struct mail_user *user)
{
	struct usage_show_context *ctx =
		container_of(_ctx, struct usage_show_context, all.ctx);
	struct pop3_policy_maildrop *md;
	int ret;

	ret = doveadm_pop3_open_dict(_ctx, user, &md);
	if (ret <= 0)
		return ret;
	ret = usage_show(ctx, md);
	pop3_policy_maildrop_deinit(&md);
	return ret;
}

/* The dict is all that it needs. */
static bool
usage_show_glance(struct doveadm_pop3_users *all,
		  struct pop3_policy_maildrop *md)
{
	(void)usage_show(container_of(all, struct usage_show_context, all), md);
	return TRUE;
}

/* YYYY-MM-DD, or YYYY-MM for its first day (LAST: its last one). */
static GDateTime *usage_parse_date(const char *text, bool last)
{
	g_autoptr(GDateTime) first = NULL, next = NULL;

	if (strlen(text) != strlen("YYYY-MM")) {
		return g_date_time_new_from_iso8601(
			t_strconcat(text, "T00:00:00Z", NULL), NULL);
	}
	first = g_date_time_new_from_iso8601(
		t_strconcat(text, "-01T00:00:00Z", NULL), NULL);
	if (first == NULL || !last)
		return g_steal_pointer(&first);
	next = g_date_time_add_months(first, 1);
	return next == NULL ? NULL : g_date_time_add_days(next, -1);
}

static GDateTime *usage_option_date(struct doveadm_mail_cmd_context *ctx,
				    const char *name, bool last,
				    const char *default_text)
{
	const char *text = default_text;
	GDateTime *date;

	(void)doveadm_cmd_param_str(ctx->cctx, name, &text);
	date = usage_parse_date(text, last);
	if (date == NULL) {
		i_fatal_status(EX_USAGE, "--%s: '%s' is not a date: "
			       "YYYY-MM-DD or YYYY-MM", name, text);
	}
	return date;
}

/* Notes all periods of a range. */
static void usage_init_range(struct usage_show_context *ctx)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *month = g_date_time_format(now, "%Y-%m");
	g_autofree char *today = g_date_time_format(now, "%Y-%m-%d");
	const char *since = ctx->by == USAGE_BY_DAY ? month :
		t_strdup_printf("%.4s-01", month);
	GDateTime *date = usage_option_date(&ctx->all.ctx, "since", FALSE,
					    since);
	g_autoptr(GDateTime) until =
		usage_option_date(&ctx->all.ctx, "until", TRUE, today);
	GDateTime *next;

	while (date != NULL && g_date_time_compare(date, until) <= 0) {
		if (ctx->periods->len == USAGE_MAX_PERIODS) {
			i_fatal_status(EX_USAGE, "More than %u periods "
				       "at once", USAGE_MAX_PERIODS);
		}
		g_ptr_array_add(ctx->periods, g_date_time_format(date,
			ctx->by == USAGE_BY_DAY ? "%Y-%m-%d" : "%Y-%m"));
		next = ctx->by == USAGE_BY_DAY ?
			g_date_time_add_days(date, 1) :
			g_date_time_add_months(date, 1);
		g_date_time_unref(date);
		date = next;
	}
	g_clear_pointer(&date, g_date_time_unref);
	if (ctx->periods->len == 0)
		i_fatal_status(EX_USAGE, "--since is after --until");
}

static void usage_init_options(struct usage_show_context *ctx)
{
	struct doveadm_cmd_context *cctx = ctx->all.ctx.cctx;
	const char *by = NULL, *value;
	bool range = doveadm_cmd_param_str(cctx, "since", &value);

	range = doveadm_cmd_param_str(cctx, "until", &value) || range;
	if (doveadm_cmd_param_str(cctx, "by", &by)) {
		if (strcmp(by, "day") == 0)
			ctx->by = USAGE_BY_DAY;
		else if (strcmp(by, "month") == 0)
			ctx->by = USAGE_BY_MONTH;
		else if (strcmp(by, "total") == 0)
			ctx->by = USAGE_BY_TOTAL;
		else
			i_fatal_status(EX_USAGE, "--by: day, month or total");
	} else if (range) {
		ctx->by = USAGE_BY_DAY;
	}
	if (ctx->by == USAGE_BY_TOTAL && range) {
		i_fatal_status(EX_USAGE,
			       "There is one total: it has no range");
	}
}

POP3_POLICY_DOVEADM_INIT(cmd_usage_show_init)
{
	struct usage_show_context *ctx =
		container_of(_ctx, struct usage_show_context, all.ctx);

	usage_init_options(ctx);
	if (ctx->by == USAGE_BY_DAY || ctx->by == USAGE_BY_MONTH)
		usage_init_range(ctx);
	doveadm_pop3_usage_rows_begin(&ctx->rows);
}

static void cmd_usage_show_deinit(struct doveadm_mail_cmd_context *_ctx)
{
	struct usage_show_context *ctx =
		container_of(_ctx, struct usage_show_context, all.ctx);

	doveadm_pop3_users_deinit(&ctx->all);
	doveadm_pop3_usage_rows_end(&ctx->rows);
	g_ptr_array_unref(ctx->periods);
}

static struct doveadm_mail_cmd_context *cmd_usage_show_alloc(void)
{
	struct usage_show_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct usage_show_context);
	ctx->all.ctx.v.run = cmd_usage_show_run;
	ctx->all.ctx.v.init = cmd_usage_show_init;
	ctx->all.ctx.v.deinit = cmd_usage_show_deinit;
	/* it needs the dict alone: with many users most of the time would go
	   into their mailboxes */
	ctx->all.ctx.service_flags |= MAIL_STORAGE_SERVICE_FLAG_NO_NAMESPACES |
		MAIL_STORAGE_SERVICE_FLAG_NO_CHDIR;
	ctx->periods = g_ptr_array_new_with_free_func(g_free);
	doveadm_pop3_usage_rows_init(&ctx->rows, &ctx->all.ctx);
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&ctx->all.ctx);
	doveadm_pop3_users_init(&ctx->all, usage_show_glance,
				POP3_POLICY_KEY_USAGE);
	doveadm_print_init(DOVEADM_PRINT_TYPE_FLOW);
	return &ctx->all.ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_usage_show = {
	.name = "pop3 usage show",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX
		"[--since <date>] [--until <date>] [--by day|month|total] "
		"[--sort <counter>] [--limit <rows>] [--csv]",
	.mail_cmd = cmd_usage_show_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('s', "since", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('t', "until", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('b', "by", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('o', "sort", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('l', "limit", CMD_PARAM_INT64, 0)
DOVEADM_CMD_PARAM('c', "csv", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
