/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 policy ...`: the user's own policy, which is kept in the
   state. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "str.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-pop3.h"

#include <sysexits.h>

struct policy_context {
	struct doveadm_mail_cmd_context ctx;

	/* "NAME=VALUE" to set, or "NAME" to unset */
	const char *const *args;
	bool all, unset;
};

/* TEXT's fields, without empty ones. From the data stack. */
static const char *const *policy_fields(const char *text)
{
	return t_strsplit_spaces(text == NULL ? "" : text, ";");
}

static const char *field_name(const char *field)
{
	return t_strcut(field, '=');
}

static bool field_is_in(const char *const *fields, const char *name)
{
	for (; *fields != NULL; fields++) {
		if (strcmp(field_name(*fields), name) == 0)
			return TRUE;
	}
	return FALSE;
}

static void policy_print(const struct mail_user *user, const char *text)
{
	const char *const *fields = policy_fields(text), *name, *value;

	for (; *fields != NULL; fields++) {
		name = field_name(*fields);
		doveadm_print(name);
		value = strchr(*fields, '=');
		doveadm_print(value == NULL ? "" : value + 1);
		doveadm_print(pop3_policy_own_is_overridden(user, name) ?
			      "no, a userdb field is" : "yes");
	}
}

/* OLD without the names in CTX, and with what it sets. */
static const char *
policy_changed(const struct policy_context *ctx, const char *old)
{
	const char *const *fields = policy_fields(old);
	string_t *str = t_str_new(256);
	unsigned int i;

	for (; *fields != NULL; fields++) {
		if (!ctx->all &&
		    !field_is_in(ctx->args, field_name(*fields)))
			str_printfa(str, "%s;", *fields);
	}
	for (i = 0; !ctx->unset && ctx->args[i] != NULL; i++)
		str_printfa(str, "%s;", ctx->args[i]);
	return str_c(str);
}

static int policy_change(struct pop3_policy_change *change, void *context,
			 const char **error_r)
{
	const struct policy_context *ctx = context;
	struct pp_state *state = *change->state;
	const char *text;

	if (state == NULL) {
		*error_r = "There is no state to keep it in: the first POP3 "
			"login makes one (until then use a userdb field)";
		return -1;
	}
	text = policy_changed(ctx, state->policy);
	if (strlen(text) > PP_POLICY_MAX_BYTES) {
		*error_r = "The policy would be too long";
		return -1;
	}
	if (strcmp(text, state->policy == NULL ? "" : state->policy) == 0)
		return 0;
	g_free(state->policy);
	state->policy = *text == '\0' ? NULL : g_strdup(text);
	change->state_changed = TRUE;
	return 1;
}

static int policy_run_md(struct policy_context *ctx, struct mail_user *user,
			 struct pop3_policy_maildrop *md)
{
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(md);
	struct pp_state *state;
	const char *error;
	int ret;

	if ((ctx->args != NULL || ctx->all) &&
	    pop3_policy_maildrop_change(md, &deadline, TRUE, FALSE,
					policy_change, ctx, &error) < 0) {
		return doveadm_pop3_fail(&ctx->ctx, user, MAIL_ERROR_TEMP,
					 error);
	}
	ret = doveadm_pop3_load(&ctx->ctx, md, &state);
	if (ret > 0) {
		policy_print(user, state->policy);
		pp_state_free(state);
	}
	return ret < 0 ? -1 : 0;
}

static int cmd_policy_run(struct doveadm_mail_cmd_context *_ctx,
			  struct mail_user *user)
{
	struct policy_context *ctx =
		container_of(_ctx, struct policy_context, ctx);
	struct pop3_policy_maildrop *md;
	int ret;

	ret = doveadm_pop3_open(_ctx, user, &md);
	if (ret <= 0)
		return ret;
	ret = policy_run_md(ctx, user, md);
	pop3_policy_maildrop_deinit(&md);
	return ret;
}

static void policy_init_columns(void)
{
	doveadm_print_header_simple("name");
	doveadm_print_header_simple("value");
	doveadm_print_header_simple("in_force");
}

POP3_POLICY_DOVEADM_INIT(cmd_policy_get_init)
{
	policy_init_columns();
}

POP3_POLICY_DOVEADM_INIT(cmd_policy_set_init)
{
	struct policy_context *ctx =
		container_of(_ctx, struct policy_context, ctx);
	const char *name, *error;
	unsigned int i;

	if (!doveadm_cmd_param_array(_ctx->cctx, "setting", &ctx->args))
		i_fatal_status(EX_USAGE, "Set what? Give NAME=VALUE");
	for (i = 0; ctx->args[i] != NULL; i++) {
		name = field_name(ctx->args[i]);
		if (strchr(ctx->args[i], '=') == NULL) {
			i_fatal_status(EX_USAGE, "%s: Not NAME=VALUE",
				       ctx->args[i]);
		}
		if (pop3_policy_own_check(name, strchr(ctx->args[i], '=') + 1,
					  &error) < 0)
			i_fatal_status(EX_USAGE, "%s", error);
		if (field_is_in(ctx->args + i + 1, name))
			i_fatal_status(EX_USAGE, "%s is set twice", name);
	}
	policy_init_columns();
}

POP3_POLICY_DOVEADM_INIT(cmd_policy_unset_init)
{
	struct policy_context *ctx =
		container_of(_ctx, struct policy_context, ctx);

	ctx->unset = TRUE;
	ctx->all = doveadm_pop3_option(_ctx, "all");
	if (!doveadm_cmd_param_array(_ctx->cctx, "name", &ctx->args) &&
	    !ctx->all)
		i_fatal_status(EX_USAGE, "Unset what? Give names, or --all");
	policy_init_columns();
}

static struct policy_context *policy_alloc(void)
{
	struct policy_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct policy_context);
	ctx->ctx.v.run = cmd_policy_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

static struct doveadm_mail_cmd_context *cmd_policy_get_alloc(void)
{
	struct policy_context *ctx = policy_alloc();

	ctx->ctx.v.init = cmd_policy_get_init;
	return &ctx->ctx;
}

static struct doveadm_mail_cmd_context *cmd_policy_set_alloc(void)
{
	struct policy_context *ctx = policy_alloc();

	ctx->ctx.v.init = cmd_policy_set_init;
	return &ctx->ctx;
}

static struct doveadm_mail_cmd_context *cmd_policy_unset_alloc(void)
{
	struct policy_context *ctx = policy_alloc();

	ctx->ctx.v.init = cmd_policy_unset_init;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&ctx->ctx);
	return &ctx->ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_policy_get = {
	.name = "pop3 policy get",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_policy_get_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_pop3_policy_set = {
	.name = "pop3 policy set",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"<name>=<value> [...]",
	.mail_cmd = cmd_policy_set_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('\0', "setting", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_pop3_policy_unset = {
	.name = "pop3 policy unset",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"<name> [...] | --all",
	.mail_cmd = cmd_policy_unset_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('a', "all", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', "name", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
