/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 uidl verify`: are the UIDLs those that another server, or an
   earlier listing, has? */
#include "pop3-policy-compat.h"
#include "mail-user.h"
#include "pop3-policy-mailbox.h"
#include "doveadm-pop3-uidl.h"

#include <time.h>

struct verify_context {
	struct doveadm_mail_cmd_context ctx;
	struct doveadm_pop3_source source;
};

struct verify_run {
	struct verify_context *ctx;
	struct doveadm_pop3_drop drop;
	struct doveadm_pop3_match match;
	/* UIDL -> index of its message + 1; and of each message */
	GTree *holders;
	GPtrArray *uidls;
	guint differences;
};

/* What a login would show. */
static int verify_state(struct verify_run *run, const char **error_r)
{
	struct doveadm_pop3_drop *drop = &run->drop;
	enum pp_login_action action;
	enum pp_refusal why;
	bool first = drop->state == NULL;

	if (doveadm_pop3_drop_decide(drop, drop->state, &action, &why,
				     error_r) < 0)
		return -1;
	*error_r = doveadm_pop3_drop_trouble(action, why);
	if (**error_r != '\0')
		return -1;
	if (first)
		drop->state = pp_state_new(&drop->now.id, time(NULL));
	return doveadm_pop3_drop_sight(drop, drop->state, first, FALSE,
				       error_r);
}

static guint32 verify_uid(const struct verify_run *run, guint message)
{
	return g_array_index(run->match.messages, struct pp_adopt_message,
			     message).identity.uid;
}

static void verify_holders(struct verify_run *run)
{
	char *uidl;

	for (guint i = 0; i < run->match.messages->len; i++) {
		uidl = pp_uidl_map_dup(run->drop.state->map,
				       verify_uid(run, i));
		if (uidl == NULL)
			uidl = g_strdup("");
		g_ptr_array_add(run->uidls, uidl);
		g_tree_insert(run->holders, uidl, GUINT_TO_POINTER(i + 1));
	}
}

static void verify_print(struct verify_run *run, const char *uidl,
			 const char *outcome, guint message)
{
	run->differences++;
	doveadm_print(uidl);
	doveadm_print(outcome);
	doveadm_print(message == PP_ADOPT_NONE ? "-" :
		      dec2str(verify_uid(run, message)));
	doveadm_print(message == PP_ADOPT_NONE ? "-" :
		      g_ptr_array_index(run->uidls, message));
}

static void verify_record(struct verify_run *run, guint index)
{
	const struct pp_import_record *record =
		&g_array_index(run->match.adopt.records,
			       struct pp_import_record, index);
	guint message = run->match.adopt.message_of[index];
	guint holder = GPOINTER_TO_UINT(g_tree_lookup(run->holders,
						      record->uidl));

	if (holder == 0) {
		verify_print(run, record->uidl, message == PP_ADOPT_NONE ?
			     "gone" : "changed", message);
	} else if (message != PP_ADOPT_NONE && message != holder - 1) {
		verify_print(run, record->uidl, "another message's",
			     holder - 1);
	}
}

static int verify_opened(struct verify_run *run, struct mail_user *user,
			 const char **error_r)
{
	struct doveadm_pop3_records records;
	int ret = 0;

	*error_r = NULL;
	if (doveadm_pop3_records_read(&run->ctx->ctx, user, &run->ctx->source,
				      &records) < 0)
		return -1;
	if (verify_state(run, error_r) < 0 ||
	    doveadm_pop3_match(&run->drop, &records, FALSE, &run->match,
			       error_r) < 0) {
		ret = -1;
	} else {
		verify_holders(run);
		for (guint i = 0; i < records.records->len; i++)
			verify_record(run, i);
		doveadm_pop3_match_free(&run->match);
	}
	doveadm_pop3_records_free(&records);
	return ret;
}

static int cmd_uidl_verify_run(struct doveadm_mail_cmd_context *_ctx,
			       struct mail_user *user)
{
	struct verify_run run = {
		.ctx = container_of(_ctx, struct verify_context, ctx)
	};
	const char *error;
	int ret;

	ret = doveadm_pop3_drop_open(_ctx, user, FALSE, &run.drop);
	if (ret <= 0)
		return ret;
	run.holders = pp_uidl_tree_new();
	run.uidls = g_ptr_array_new_with_free_func(g_free);
	ret = verify_opened(&run, user, &error);
	if (ret < 0 && error != NULL) {
		(void)doveadm_pop3_fail(_ctx, user, MAIL_ERROR_NOTPOSSIBLE,
					error);
	}
	if (run.differences > 0 && _ctx->exit_code == 0)
		_ctx->exit_code = 1;
	g_tree_unref(run.holders);
	g_ptr_array_unref(run.uidls);
	doveadm_pop3_drop_close(&run.drop);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_uidl_verify_init)
{
	struct verify_context *ctx =
		container_of(_ctx, struct verify_context, ctx);

	doveadm_pop3_source_init(_ctx, &ctx->source);
	doveadm_print_header_simple("uidl");
	doveadm_print_header_simple("difference");
	doveadm_print_header_simple("uid");
	doveadm_print_header_simple("now");
}

static void cmd_uidl_verify_deinit(struct doveadm_mail_cmd_context *_ctx)
{
	struct verify_context *ctx =
		container_of(_ctx, struct verify_context, ctx);

	doveadm_pop3_source_deinit(&ctx->source);
}

static struct doveadm_mail_cmd_context *cmd_uidl_verify_alloc(void)
{
	struct verify_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct verify_context);
	ctx->source.fd = -1;
	ctx->ctx.v.run = cmd_uidl_verify_run;
	ctx->ctx.v.init = cmd_uidl_verify_init;
	ctx->ctx.v.deinit = cmd_uidl_verify_deinit;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&ctx->ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return &ctx->ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_verify = {
	.name = "pop3 uidl verify",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"<file>|--from <mailbox>",
	.mail_cmd = cmd_uidl_verify_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('m', "from", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "path", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
