/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 retention run`: what a session's end removes, for users who
   have none. Whoever is through is not due any more: so it can be stopped and
   started again. */
#include "pop3-policy-compat.h"
#include "guid.h"
#include "lib-signals.h"
#include "str.h"
#include "mail-storage-service.h"
#include "mail-user.h"
#include "doveadm.h"
#include "pop3-policy-removal.h"
#include "doveadm-pop3-users.h"

#include <stdio.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* the progress line is drawn so often */
#define RUN_PROGRESS_USECS (200 * 1000)
/* as a shell tells of SIGTERM */
#define RUN_EXIT_STOPPED (128 + 15)

struct run_context {
	struct doveadm_pop3_users all;
	bool dry_run, force;
	/* when it was drawn last; -1: nobody would see it */
	gint64 progress;

	/* for the summary */
	unsigned int users, opened, busy, errors;
	uint64_t messages, bytes, waiting;
	uint64_t by_rule[PP_RULE_STAYS_NO_RULE + 1];
};

static const char *
run_outcome(const struct pop3_policy_maildrop *md,
	    const struct pop3_policy_removal_result *result)
{
	if (result->clock_back)
		return "clock went back";
	if (result->changed)
		return "another mailbox";
	if (result->busy)
		return "busy";
	if (result->stopped)
		return "stopped";
	if (!result->skipped)
		return result->dry_run ? "dry run" : "done";
	if (!pp_policy_has_rules(&md->set->policy))
		return "no rules";
	return md->set->removal == POP3_POLICY_REMOVAL_NO ?
		"removal is off" : "not due";
}

static void run_count(struct run_context *ctx,
		      const struct pop3_policy_removal_result *result)
{
	if (result->opened)
		ctx->opened++;
	if (result->busy)
		ctx->busy++;
	ctx->messages += result->messages;
	ctx->bytes += result->bytes;
	ctx->waiting += result->waiting;
	for (unsigned int i = 0; i < N_ELEMENTS(ctx->by_rule); i++)
		ctx->by_rule[i] += result->by_rule[i];
}

/* Log lines and rows are written over it. */
static void run_progress(struct run_context *ctx)
{
	gint64 now;

	if (ctx->progress < 0)
		return;
	now = g_get_monotonic_time();
	if (now - ctx->progress < RUN_PROGRESS_USECS)
		return;
	ctx->progress = now;
	fprintf(stderr, "%u users, %u maildrops opened, %"PRIu64" messages, "
		"%u errors\033[K\r", ctx->users, ctx->opened, ctx->messages,
		ctx->errors);
	fflush(stderr);
}

static int run_print(struct run_context *ctx, struct pop3_policy_maildrop *md,
		     const struct pop3_policy_removal_result *result,
		     int ret, const char *error)
{
	run_count(ctx, result);
	doveadm_print(ret < 0 ? "failed" : run_outcome(md, result));
	doveadm_print_num(result->messages);
	doveadm_print_num(result->bytes);
	doveadm_print_num(result->waiting);
	if (ret < 0) {
		return doveadm_pop3_fail(&ctx->all.ctx, md->user,
					 MAIL_ERROR_TEMP, error);
	}
	if (result->stopped)
		ctx->all.ctx.exit_code = EX_TEMPFAIL;
	return 0;
}

/* Returns 1 if LOOK_ONLY and there is something to do, 0 if done, -1 after
   doveadm_pop3_fail(). */
static int run_md(struct run_context *ctx, struct pop3_policy_maildrop *md,
		  bool look_only)
{
	const struct pop3_policy_removal_params params = {
		.dry_run = ctx->dry_run,
		.read_only = ctx->dry_run,
		.force = ctx->force,
		.look_only = look_only,
		.by = "run",
		.id = guid_generate(),
		.now = time(NULL),
	};
	struct pop3_policy_removal_result result;
	const char *error = NULL;
	int ret;

	ret = pop3_policy_removal_run(md, &params, &result, &error);
	if (look_only && ret == 0 && !result.skipped) {
		if (signal_term_counter == ctx->all.signals)
			return 1;
		result.stopped = TRUE;
	}
	return run_print(ctx, md, &result, ret, error);
}

static int run_told(struct run_context *ctx, int ret)
{
	ctx->users++;
	if (ret < 0)
		ctx->errors++;
	run_progress(ctx);
	return ret;
}

/* Most have nothing to do, which one lookup tells. */
static bool
run_glance(struct doveadm_pop3_users *all, struct pop3_policy_maildrop *md)
{
	struct run_context *ctx = container_of(all, struct run_context, all);
	int ret = run_md(ctx, md, TRUE);

	if (ret <= 0)
		(void)run_told(ctx, ret);
	return ret <= 0;
}

static int cmd_retention_run_run(struct doveadm_mail_cmd_context *_ctx,
				 struct mail_user *user)
{
	struct run_context *ctx =
		container_of(_ctx, struct run_context, all.ctx);
	struct pop3_policy_maildrop *md;
	int ret;

	if (signal_term_counter != ctx->all.signals)
		return 0;
	ret = doveadm_pop3_open_dict(_ctx, user, &md);
	if (ret > 0) {
		ret = run_md(ctx, md, FALSE);
		pop3_policy_maildrop_deinit(&md);
	}
	return run_told(ctx, ret);
}

/* For doveadm "killed" is a failure like others. Whoever stopped a run is to
   see whether anything else was wrong. */
static void run_exit_code(struct run_context *ctx)
{
	if (signal_term_counter != ctx->all.signals && ctx->errors == 0 &&
	    ctx->all.ctx.exit_code == EX_TEMPFAIL && !doveadm_server)
		ctx->all.ctx.exit_code = RUN_EXIT_STOPPED;
}

static void cmd_retention_run_deinit(struct doveadm_mail_cmd_context *_ctx)
{
	struct run_context *ctx =
		container_of(_ctx, struct run_context, all.ctx);
	string_t *rules = t_str_new(128);

	doveadm_pop3_users_deinit(&ctx->all);
	run_exit_code(ctx);
	if (ctx->users == 0)
		return;
	if (ctx->progress > 0)
		fprintf(stderr, "\033[K");
	for (unsigned int i = 0; pp_rule_removes((enum pp_rule)i); i++) {
		str_printfa(rules, " %s=%"PRIu64,
			    pp_rule_name((enum pp_rule)i), ctx->by_rule[i]);
	}
	i_info("pop3-policy: Retention run%s%s: users=%u opened=%u "
	       "logged_in=%u errors=%u messages=%"PRIu64" bytes=%"PRIu64
	       " waiting=%"PRIu64"%s", ctx->dry_run ? " (dry run)" : "",
	       signal_term_counter != ctx->all.signals ? " (stopped)" : "",
	       ctx->users, ctx->opened, ctx->busy, ctx->errors, ctx->messages,
	       ctx->bytes, ctx->waiting, str_c(rules));
}

/* Namespaces take longer than all else of a user with nothing due. */
static void
cmd_retention_run_preinit(struct doveadm_mail_cmd_context *ctx)
{
	ctx->service_flags |= MAIL_STORAGE_SERVICE_FLAG_NO_NAMESPACES;
}

POP3_POLICY_DOVEADM_INIT(cmd_retention_run_init)
{
	struct run_context *ctx =
		container_of(_ctx, struct run_context, all.ctx);

	ctx->dry_run = doveadm_pop3_option(_ctx, "dry-run");
	ctx->force = doveadm_pop3_option(_ctx, "force");
	if (_ctx->iterate_single_user || doveadm_server ||
	    isatty(STDERR_FILENO) == 0)
		ctx->progress = -1;
	doveadm_print_header("outcome", "Outcome", 0);
	doveadm_print_header("messages", "Messages", DOVEADM_POP3_NUMBER);
	doveadm_print_header("bytes", "Bytes", DOVEADM_POP3_NUMBER);
	doveadm_print_header("waiting", "Waiting", DOVEADM_POP3_NUMBER);
}

static struct doveadm_mail_cmd_context *cmd_retention_run_alloc(void)
{
	struct run_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct run_context);
	ctx->all.ctx.v.preinit = cmd_retention_run_preinit;
	ctx->all.ctx.v.run = cmd_retention_run_run;
	ctx->all.ctx.v.init = cmd_retention_run_init;
	ctx->all.ctx.v.deinit = cmd_retention_run_deinit;
	doveadm_pop3_users_init(&ctx->all, run_glance, POP3_POLICY_KEY_STATE);
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&ctx->all.ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return &ctx->all.ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_retention_run = {
	.name = "pop3 retention run",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[--dry-run] [--force]",
	.mail_cmd = cmd_retention_run_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('f', "force", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
