/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 uidl import`: messages get the UIDLs that another server
   showed for them. */
#include "pop3-policy-compat.h"
#include "mail-user.h"
#include "pop3-policy-mailbox.h"
#include "doveadm-pop3-uidl.h"

#include <sysexits.h>
#include <time.h>

struct import_context {
	struct doveadm_mail_cmd_context ctx;
	struct doveadm_pop3_source source;
	bool dry_run, force, by_order, order;
};

/* One user's turn. */
struct import_run {
	struct import_context *ctx;
	struct doveadm_pop3_drop drop;
	struct doveadm_pop3_match match;
	struct pop3_policy_deadline deadline;
	struct pp_adopt_counts counts;
	/* it is the file that is wrong */
	bool bad_data;
	bool order_lost;
};

static int import_prepare(struct import_run *run, struct pp_state **state,
			  const char **error_r)
{
	enum pp_login_action action;
	enum pp_refusal why;
	bool first = *state == NULL;

	if (doveadm_pop3_drop_decide(&run->drop, *state, &action, &why,
				     error_r) < 0)
		return -1;
	*error_r = doveadm_pop3_drop_trouble(action, why);
	if (**error_r != '\0')
		return -1;
	if (first)
		*state = pp_state_new(&run->drop.now.id, time(NULL));
	return doveadm_pop3_drop_sight(&run->drop, *state, first, FALSE,
				       error_r);
}

static int import_change(struct pop3_policy_change *change, void *context,
			 const char **error_r)
{
	struct import_run *run = context;
	g_autoptr(GError) error = NULL;
	struct pp_state *state;

	if (import_prepare(run, change->state, error_r) < 0)
		return -1;
	/* that may have read all mail; now the dict has its time */
	run->deadline = doveadm_pop3_deadline(run->drop.md);
	state = *change->state;
	if (!pp_adopt_apply(&run->match.adopt, state,
			    doveadm_pop3_drop_shown_upto(&run->drop, state),
			    run->drop.now.uidnext, run->ctx->force,
			    &run->counts, &error)) {
		*error_r = t_strdup_printf("%s (nothing is stored)",
					   error->message);
		run->bad_data = TRUE;
		return -1;
	}
	if (run->ctx->order)
		run->order_lost = !pp_adopt_order(&run->match.adopt, state);
	if (run->ctx->dry_run ||
	    (run->counts.stored == 0 && !run->ctx->order))
		return 0;
	if (doveadm_pop3_drop_shown(&run->drop, &run->deadline, change,
				    run->match.identities, error_r) < 0)
		return -1;
	return 1;
}

static void import_print(const struct import_run *run, guint without)
{
	const struct pp_adopt_counts *counts = &run->counts;

	doveadm_print_num(counts->matched);
	doveadm_print_num(counts->stored);
	doveadm_print_num(counts->same);
	doveadm_print_num(counts->kept);
	doveadm_print_num(counts->ambiguous);
	doveadm_print_num(counts->unmatched);
	doveadm_print_num(without);
	doveadm_print_num(counts->left);
	if (run->order_lost) {
		e_warning(run->drop.md->user->event, "pop3-policy: "
			  "The order of this listing is too long to be kept: "
			  "messages are listed as before");
	}
	if (counts->kept > 0) {
		e_info(run->drop.md->user->event, "pop3-policy: "
		       "%u messages were shown with another UIDL, which they "
		       "keep (--force changes it)", counts->kept);
	}
	if (counts->ambiguous > 0 && !run->ctx->by_order) {
		e_info(run->drop.md->user->event, "pop3-policy: "
		       "%u UIDLs could be those of several messages "
		       "(--by-order takes them in the order of both)",
		       counts->ambiguous);
	}
}

static int import_matched(struct import_run *run, struct mail_user *user,
			  guint without)
{
	struct doveadm_mail_cmd_context *ctx = &run->ctx->ctx;
	const char *error;

	run->deadline = doveadm_pop3_deadline(run->drop.md);
	if (pop3_policy_maildrop_change(run->drop.md, &run->deadline, TRUE,
					FALSE, import_change, run,
					&error) < 0) {
		(void)doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
		if (run->bad_data)
			ctx->exit_code = EX_DATAERR;
		return -1;
	}
	import_print(run, without);
	return 0;
}

static int import_opened(struct import_run *run, struct mail_user *user)
{
	struct doveadm_mail_cmd_context *ctx = &run->ctx->ctx;
	struct doveadm_pop3_records records;
	const char *error;
	int ret;

	if (doveadm_pop3_records_read(ctx, user, &run->ctx->source,
				      &records) < 0)
		return -1;
	if (doveadm_pop3_match(&run->drop, &records, run->ctx->by_order,
			       &run->match, &error) < 0) {
		ret = doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	} else {
		ret = import_matched(run, user,
				     pp_import_without(records.import));
		doveadm_pop3_match_free(&run->match);
	}
	doveadm_pop3_records_free(&records);
	return ret;
}

static int cmd_uidl_import_run(struct doveadm_mail_cmd_context *_ctx,
			       struct mail_user *user)
{
	struct import_run run = {
		.ctx = container_of(_ctx, struct import_context, ctx)
	};
	int ret;

	ret = doveadm_pop3_drop_open(_ctx, user, TRUE, &run.drop);
	if (ret <= 0)
		return ret;
	ret = import_opened(&run, user);
	doveadm_pop3_drop_close(&run.drop);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_uidl_import_init)
{
	static const char *const columns[] = {
		"matched", "stored", "unchanged", "kept", "ambiguous",
		"unmatched", "without_uidl", "left"
	};
	struct import_context *ctx =
		container_of(_ctx, struct import_context, ctx);

	ctx->dry_run = doveadm_pop3_option(_ctx, "dry-run");
	ctx->force = doveadm_pop3_option(_ctx, "force");
	ctx->by_order = doveadm_pop3_option(_ctx, "by-order");
	ctx->order = doveadm_pop3_option(_ctx, "order");
	doveadm_pop3_source_init(_ctx, &ctx->source);
	for (unsigned int i = 0; i < N_ELEMENTS(columns); i++) {
		doveadm_print_header(columns[i], columns[i],
				     DOVEADM_POP3_NUMBER);
	}
}

static void cmd_uidl_import_deinit(struct doveadm_mail_cmd_context *_ctx)
{
	struct import_context *ctx =
		container_of(_ctx, struct import_context, ctx);

	doveadm_pop3_source_deinit(&ctx->source);
}

static struct doveadm_mail_cmd_context *cmd_uidl_import_alloc(void)
{
	struct import_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct import_context);
	ctx->source.fd = -1;
	ctx->ctx.v.run = cmd_uidl_import_run;
	ctx->ctx.v.init = cmd_uidl_import_init;
	ctx->ctx.v.deinit = cmd_uidl_import_deinit;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&ctx->ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return &ctx->ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_import = {
	.name = "pop3 uidl import",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX
		"[--dry-run] [--force] [--by-order] [--order] "
		"<file>|--from <mailbox>",
	.mail_cmd = cmd_uidl_import_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('o', "force", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('b', "by-order", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('r', "order", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('m', "from", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "path", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
