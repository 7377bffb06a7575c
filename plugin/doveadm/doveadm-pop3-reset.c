/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 usage reset`: all counters of a user begin anew. */
#include "pop3-policy-compat.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm-pop3.h"

#include <time.h>

/* Where nobody knows since when there are keys: more than ten years. */
#define RESET_DAYS_MAX 4000
#define RESET_AHEAD_SECS (366 * 86400)
/* 9999-12-31: the last day with a name */
#define RESET_TIME_MAX 253402214400LL

struct reset {
	struct pop3_policy_maildrop *md;
	const struct pop3_policy_deadline *deadline;
	uint64_t now;
	bool dry_run;
	/* keys that are there */
	GPtrArray *keys;
};

static void reset_add_key(GPtrArray *keys, char *name)
{
	g_ptr_array_add(keys, g_strconcat("usage/", name, NULL));
	g_free(name);
}

/* Keys of all days from FIRST to LAST, at most RESET_DAYS_MAX, and of their
   months. */
static void reset_add_days(GPtrArray *keys, uint64_t first, uint64_t last)
{
	g_autoptr(GDateTime) end = g_date_time_new_from_unix_utc(
		(gint64)I_MIN(last, RESET_TIME_MAX));
	g_autoptr(GDateTime) day =
		g_date_time_add_days(end, -RESET_DAYS_MAX);
	int month = 0;

	if (first > (uint64_t)I_MAX(g_date_time_to_unix(day), 0)) {
		g_date_time_unref(day);
		day = g_date_time_new_from_unix_utc(
			(gint64)I_MIN(first, RESET_TIME_MAX));
	}
	/* a day more: time of day must not matter */
	while (day != NULL &&
	       g_date_time_difference(day, end) < G_TIME_SPAN_DAY) {
		g_autoptr(GDateTime) today = g_steal_pointer(&day);

		reset_add_key(keys, g_date_time_format(today, "%Y-%m-%d"));
		if (g_date_time_get_month(today) != month)
			reset_add_key(keys,
				      g_date_time_format(today, "%Y-%m"));
		month = g_date_time_get_month(today);
		day = g_date_time_add_days(today, 1);
	}
}

/* Keys from FIRST to now, and where a clock was ahead those of the year before
   LAST, which is where it was. */
static GPtrArray *
reset_all_keys(const struct reset *reset, uint64_t first, uint64_t last)
{
	GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);

	reset_add_days(keys, I_MIN(first, reset->now), reset->now);
	if (last > reset->now)
		reset_add_days(keys, I_MAX(reset->now, last - RESET_AHEAD_SECS),
			       last);
	return keys;
}

/* usage/now as it is to be, after all that is remembered of sessions. */
static struct pp_usage *
reset_usage(struct reset *reset, const char *value, uint64_t *first_r,
	    uint64_t *last_r)
{
	g_autoptr(GError) error = NULL;
	struct pp_usage *usage;

	/* finished periods may be there without it */
	*first_r = *last_r = 0;
	if (value == NULL)
		return pp_usage_new();
	usage = pp_usage_decode(value, &error);
	if (usage != NULL) {
		*first_r = pp_usage_total(usage)->value[PP_FIRST_SESSION];
		*last_r = pp_usage_total(usage)->value[PP_LAST_SESSION];
		return usage;
	}
	e_warning(reset->md->user->event, "pop3-policy: usage/now: %s: it %s",
		  error->message, reset->dry_run ? "would be made anew" :
		  "is made anew");
	return pp_usage_new();
}

static int reset_find_keys(struct reset *reset, uint64_t first, uint64_t last,
			   const char **error_r)
{
	g_autoptr(GPtrArray) all = reset_all_keys(reset, first, last);
	const char **values = t_new(const char *, all->len + 1);
	guint i;

	if (pop3_policy_store_lookup(reset->md->store,
				     pool_datastack_create(), reset->deadline,
				     (const char *const *)all->pdata,
				     all->len, values, error_r) < 0)
		return -1;
	for (i = 0; i < all->len; i++) {
		if (values[i] != NULL)
			g_ptr_array_add(reset->keys, g_strdup(all->pdata[i]));
	}
	return 0;
}

static int reset_change(struct pop3_policy_change *change, void *context,
			const char **error_r)
{
	struct reset *reset = context;
	const char *value, *key = POP3_POLICY_KEY_USAGE;
	g_autofree char *doc = NULL;
	struct pp_usage *usage;
	uint64_t first, last;
	guint i;

	/* not by the change's own reading: a damaged one can be reset, too */
	if (pop3_policy_store_lookup(reset->md->store, pool_datastack_create(),
				     reset->deadline, &key, 1, &value,
				     error_r) < 0)
		return -1;
	usage = reset_usage(reset, value, &first, &last);
	pp_usage_reset(usage, reset->now);
	doc = pp_usage_encode(usage);
	pp_usage_free(usage);
	if (reset_find_keys(reset, first, last, error_r) < 0)
		return -1;
	for (i = 0; i < reset->keys->len; i++) {
		pop3_policy_change_write(change,
			g_ptr_array_index(reset->keys, i), NULL);
	}
	if (value != NULL) {
		g_ptr_array_insert(reset->keys, 0, g_strdup(key));
		pop3_policy_change_write(change, key, doc);
	}
	return reset->dry_run || reset->keys->len == 0 ? 0 : 1;
}

static const char *reset_outcome(const struct reset *reset, const char *key)
{
	if (strcmp(key, POP3_POLICY_KEY_USAGE) == 0)
		return reset->dry_run ? "would be reset" : "reset";
	return reset->dry_run ? "would be deleted" : "deleted";
}

static int reset_run(struct doveadm_mail_cmd_context *ctx, struct reset *reset)
{
	struct pop3_policy_deadline deadline =
		doveadm_pop3_deadline(reset->md);
	const char *error;
	guint i;

	reset->deadline = &deadline;
	if (pop3_policy_maildrop_change(reset->md, &deadline, FALSE, FALSE,
					reset_change, reset, &error) < 0)
		return doveadm_pop3_fail(ctx, reset->md->user,
					 MAIL_ERROR_TEMP, error);
	for (i = 0; i < reset->keys->len; i++) {
		const char *key = g_ptr_array_index(reset->keys, i);

		doveadm_print(key);
		doveadm_print(reset_outcome(reset, key));
	}
	return 0;
}

static int cmd_usage_reset_run(struct doveadm_mail_cmd_context *ctx,
			       struct mail_user *user)
{
	struct reset reset = {
		.now = time(NULL),
		.dry_run = doveadm_pop3_option(ctx, "dry-run"),
	};
	int ret;

	ret = doveadm_pop3_open(ctx, user, &reset.md);
	if (ret <= 0)
		return ret;
	reset.keys = g_ptr_array_new_with_free_func(g_free);
	ret = reset_run(ctx, &reset);
	g_ptr_array_unref(reset.keys);
	pop3_policy_maildrop_deinit(&reset.md);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_usage_reset_init)
{
	doveadm_print_header_simple("key");
	doveadm_print_header_simple("outcome");
}

static struct doveadm_mail_cmd_context *cmd_usage_reset_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);
	ctx->v.run = cmd_usage_reset_run;
	ctx->v.init = cmd_usage_reset_init;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_usage_reset = {
	.name = "pop3 usage reset",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[--dry-run]",
	.mail_cmd = cmd_usage_reset_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
