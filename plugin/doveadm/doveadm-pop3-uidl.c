/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 uidl ...`. */
#include "pop3-policy-compat.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "pop3-policy-mailbox.h"
#include "doveadm-pop3.h"

static void uidl_list_print(const struct pp_state *state, uint32_t uid)
{
	const struct pp_uidl_seg *seg = pp_uidl_map_find(state->map, uid);
	char buf[PP_UIDL_MAX_LEN + 1];

	if (seg == NULL)
		i_strocpy(buf, "-", sizeof(buf));
	else
		(void)pp_uidl_print(seg, uid, buf);
	doveadm_print_num(uid);
	doveadm_print(buf);
	doveadm_print(uid <= state->mark ? "yes" : "no");
	doveadm_print(seg == NULL ? "none" :
		      seg->text != NULL ? "explicit" : "rule");
}

/* TRUE if the view's state is about the view's mailbox; else the user is told
   and the exit code set. */
static bool uidl_view_is_known(struct doveadm_mail_cmd_context *ctx,
			       struct mail_user *user,
			       struct doveadm_pop3_view *view)
{
	struct pp_mailbox_now now;
	const char *error;

	if (pop3_policy_mailbox_now(view->box, view->trans, view->state,
				    &now, &error) < 0) {
		(void)doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
		return FALSE;
	}
	if (pp_mailbox_changed(view->state, &now)) {
		(void)doveadm_pop3_fail(ctx, user, MAIL_ERROR_NOTPOSSIBLE,
			"INBOX is not the mailbox that the state knows: "
			"the next POP3 login recovers its UIDLs");
		return FALSE;
	}
	return TRUE;
}

static int cmd_uidl_list_run(struct doveadm_mail_cmd_context *ctx,
			     struct mail_user *user)
{
	struct doveadm_pop3_view view;
	GArray *uids;
	guint i;
	int ret;

	ret = doveadm_pop3_view_open(ctx, user, &view);
	if (ret <= 0)
		return ret;
	if (!uidl_view_is_known(ctx, user, &view)) {
		ret = -1;
	} else {
		if (view.md->set->uidl == POP3_POLICY_UIDL_HOST)
			e_info(user->event, "pop3-policy: "
			       "pop3_policy_uidl=host: these are not shown");
		uids = pop3_policy_mailbox_uids(view.box);
		for (i = 0; i < uids->len; i++)
			uidl_list_print(view.state,
					g_array_index(uids, guint32, i));
		g_array_unref(uids);
	}
	doveadm_pop3_view_close(&view);
	return ret < 0 ? -1 : 0;
}

POP3_POLICY_DOVEADM_INIT(cmd_uidl_list_init)
{
	doveadm_print_header("uid", "UID",
			     DOVEADM_POP3_NUMBER);
	doveadm_print_header("uidl", "UIDL", 0);
	doveadm_print_header("shown", "Shown", 0);
	doveadm_print_header("kind", "Kind", 0);
}

static struct doveadm_mail_cmd_context *cmd_uidl_list_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);
	ctx->v.run = cmd_uidl_list_run;
	ctx->v.init = cmd_uidl_list_init;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_list = {
	.name = "pop3 uidl list",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_uidl_list_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};
