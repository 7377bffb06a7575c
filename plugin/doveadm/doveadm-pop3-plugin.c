/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See doveadm-pop3.h. */
#include "pop3-policy-compat.h"
#include "ostream.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm.h"
#include "pop3-policy-event.h"
#include "pop3-policy-judge.h"
#include "doveadm-pop3.h"

#include <sysexits.h>

struct module;

/* doveadm finds them by the name of the file. */
POP3_POLICY_EXPORT extern const char *doveadm_pop3_policy_plugin_version;
POP3_POLICY_EXPORT
void doveadm_pop3_policy_plugin_init(struct module *module);
POP3_POLICY_EXPORT void doveadm_pop3_policy_plugin_deinit(void);

const char *doveadm_pop3_policy_plugin_version = DOVECOT_ABI_VERSION;

int doveadm_pop3_fail(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user, enum mail_error error,
		      const char *text)
{
	e_error(user->event, "pop3-policy: %s", text);
	doveadm_mail_failed_error(ctx, error);
	return -1;
}

static int doveadm_pop3_is_off(struct doveadm_mail_cmd_context *ctx,
			       struct mail_user *user)
{
	const char *text = "pop3-policy: No dict is set for this user: "
		"the plugin is off";

	/* for -A it is as good a setting as any other */
	if (!ctx->iterate_single_user) {
		e_info(user->event, "%s", text);
		return 0;
	}
	e_error(user->event, "%s", text);
	ctx->exit_code = EX_CONFIG;
	return -1;
}

int doveadm_pop3_open_dict(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user,
			   struct pop3_policy_maildrop **md_r)
{
	struct pop3_policy_maildrop *md = NULL;
	const char *error;
	int ret;

	ret = pop3_policy_maildrop_init(user, &md, &error);
	if (ret == 0)
		return doveadm_pop3_is_off(ctx, user);
	if (ret < 0) {
		pop3_policy_maildrop_deinit(&md);
		error = t_strdup_printf("The dict cannot be opened: %s",
					error);
		(void)doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
		ctx->exit_code = EX_CONFIG;
		return -1;
	}
	*md_r = md;
	return 1;
}

int doveadm_pop3_open(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user,
		      struct pop3_policy_maildrop **md_r)
{
	const char *error;
	int ret;

	ret = doveadm_pop3_open_dict(ctx, user, md_r);
	if (ret > 0 && pop3_policy_maildrop_files(*md_r, &error) < 0) {
		pop3_policy_maildrop_deinit(md_r);
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	}
	return ret;
}

int doveadm_pop3_lookup(struct doveadm_mail_cmd_context *ctx,
			struct pop3_policy_maildrop *md,
			struct pp_state **state_r)
{
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(md);
	const char *error;

	switch (pop3_policy_maildrop_load(md, &deadline, state_r, &error)) {
	case PP_LOOKUP_FOUND:
		return 1;
	case PP_LOOKUP_NOTHING:
		return 0;
	case PP_LOOKUP_FAILED:
		error = t_strdup_printf("The state cannot be had: %s", error);
		return doveadm_pop3_fail(ctx, md->user, MAIL_ERROR_TEMP,
					 error);
	case PP_LOOKUP_DAMAGED:
		break;
	}
	error = t_strdup_printf("The state is damaged: %s (logins are refused "
				"until it is restored from a backup, or "
				"deleted with `doveadm pop3 state delete`)",
				error);
	return doveadm_pop3_fail(ctx, md->user, MAIL_ERROR_NOTPOSSIBLE,
				 error);
}

int doveadm_pop3_load(struct doveadm_mail_cmd_context *ctx,
		      struct pop3_policy_maildrop *md,
		      struct pp_state **state_r)
{
	int ret = doveadm_pop3_lookup(ctx, md, state_r);

	if (ret == 0)
		e_info(md->user->event, "pop3-policy: "
		       "There is no state: no POP3 session since the plugin "
		       "is on, or it was lost");
	return ret;
}

int doveadm_pop3_view_fill(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user,
			   struct doveadm_pop3_view *view)
{
	const char *error;
	int ret;

	ret = doveadm_pop3_load(ctx, view->md, &view->state);
	if (ret <= 0)
		return ret;
	ret = pop3_policy_judge_open(user, &view->box, &error);
	if (ret < 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	if (ret == 0) {
		e_info(user->event, "pop3-policy: There is no INBOX");
		return 0;
	}
	view->trans = mailbox_transaction_begin(view->box, 0, "doveadm pop3");
	return 1;
}

int doveadm_pop3_view_open(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user,
			   struct doveadm_pop3_view *view_r)
{
	int ret;

	i_zero(view_r);
	ret = doveadm_pop3_open(ctx, user, &view_r->md);
	if (ret <= 0)
		return ret;
	ret = doveadm_pop3_view_fill(ctx, user, view_r);
	if (ret <= 0)
		doveadm_pop3_view_close(view_r);
	return ret;
}

void doveadm_pop3_view_close(struct doveadm_pop3_view *view)
{
	if (view->trans != NULL)
		mailbox_transaction_rollback(&view->trans);
	if (view->box != NULL)
		mailbox_free(&view->box);
	pp_state_free(view->state);
	view->state = NULL;
	pop3_policy_maildrop_deinit(&view->md);
}

struct pop3_policy_deadline
doveadm_pop3_deadline(const struct pop3_policy_maildrop *md)
{
	return pop3_policy_deadline_in(md->set->dict_timeout_msecs);
}

const char *doveadm_pop3_time(uint64_t when, const char *none)
{
	return pop3_policy_time_text(when, none);
}

bool doveadm_pop3_option(struct doveadm_mail_cmd_context *ctx,
			 const char *name)
{
	bool value;

	return doveadm_cmd_param_bool(ctx->cctx, name, &value) && value;
}

void doveadm_pop3_policy_plugin_init(struct module *module ATTR_UNUSED)
{
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_uidl_list);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_uidl_export);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_uidl_import);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_uidl_verify);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_uidl_repair);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_retention_explain);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_retention_run);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_retention_restore);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_usage_replay);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_usage_reset);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_policy_get);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_policy_set);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_policy_unset);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_usage_show);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_state_check);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_state_show);
	doveadm_cmd_register_ver2(&doveadm_cmd_pop3_state_delete);
}

void doveadm_pop3_policy_plugin_deinit(void)
{
	/* All commands ran. A dict operation that was abandoned cannot be
	   freed, and doveadm would report that as leaks, line by line. */
	if (!doveadm_server && pop3_policy_store_process_must_end()) {
		doveadm_print_deinit();
		(void)o_stream_flush(doveadm_print_ostream);
		lib_exit(doveadm_exit_code);
	}
}
