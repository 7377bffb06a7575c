/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 retention restore`: what a client deleted, and the host hides
   until its grace is over, is listed again under its old UIDL. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm.h"
#include "pop3-policy-judge.h"
#include "pop3-policy-mailbox.h"
#include "doveadm-pop3.h"

#include <sysexits.h>
#include <time.h>

struct restore_context {
	struct doveadm_mail_cmd_context ctx;

	/* which ones: NULL, 0 or FALSE where not asked for */
	const char *const *uidls;
	uint64_t since;
	bool all, dry_run;
};

/* One user's. */
struct restore {
	const struct restore_context *ctx;
	struct doveadm_pop3_view view;
	uint64_t now;
	ARRAY_TYPE(uint32_t) uids;
	unsigned int matched_uidls;
};

static bool restore_wants(struct restore *restore, const char *uidl,
			  uint64_t deleted)
{
	const struct restore_context *ctx = restore->ctx;

	if (ctx->uidls != NULL && str_array_find(ctx->uidls, uidl)) {
		restore->matched_uidls++;
		return TRUE;
	}
	return ctx->all || (ctx->since != 0 && deleted >= ctx->since);
}

/* When UID was deleted, 0: not known. */
static uint64_t restore_deleted(const struct restore *restore, uint32_t uid)
{
	guint64 deleted;

	return pp_runs_get(restore->view.state->deleted, uid, &deleted) ?
		deleted : 0;
}

static void restore_find_one(struct restore *restore, struct mail *mail,
			     uint32_t uid)
{
	const struct pp_state *state = restore->view.state;
	const char *uidl;
	uint64_t deleted;

	if (!mail_set_uid(mail, uid))
		return;
	uidl = pop3_policy_judge_uidl(restore->view.md, state, mail);
	deleted = restore_deleted(restore, uid);
	if (!restore_wants(restore, uidl, deleted))
		return;
	array_push_back(&restore->uids, &uid);
}

/* The hidden messages that are asked for. */
static void restore_find(struct restore *restore)
{
	struct doveadm_pop3_view *view = &restore->view;
	const struct pp_message *message;
	GArray *messages;
	struct mail *mail;
	guint i;

	messages = pop3_policy_mailbox_messages(view->box, view->trans,
						view->md->set->policy.protect,
						view->state->hidden_flag,
						FALSE);
	mail = mail_alloc(view->trans, 0, NULL);
	for (i = 0; i < messages->len; i++) T_BEGIN {
		message = &g_array_index(messages, struct pp_message, i);
		if (message->hidden)
			restore_find_one(restore, mail, message->uid);
	} T_END;
	mail_free(&mail);
	g_array_unref(messages);
}

/* Whoever brings mail back missed it: all its clocks start again, or its old
   retrieval would take it away at the next pass. */
static int
restore_change(struct pop3_policy_change *change, void *context,
	       const char **error_r)
{
	struct restore *restore = context;
	struct pp_state *state = *change->state;
	uint32_t uid;

	if (state == NULL ||
	    state->generation != restore->view.state->generation ||
	    !pp_mailbox_id_equal(&state->mailbox,
				 &restore->view.state->mailbox)) {
		*error_r = "state: changed meanwhile";
		return -1;
	}
	array_foreach_elem(&restore->uids, uid) {
		pp_runs_unset(state->deleted, uid, uid);
		pp_runs_unset(state->retrieved, uid, uid);
		pp_runs_set(state->first_seen, uid, uid, restore->now);
	}
	change->state_changed = TRUE;
	return 1;
}

static int restore_unhide(struct restore *restore, const char **error_r)
{
	struct doveadm_pop3_view *view = &restore->view;
	const char *names[] = { view->state->hidden_flag, NULL };
	struct mail_keywords *keywords =
		mailbox_keywords_create_valid(view->box, names);
	struct mail *mail = mail_alloc(view->trans, 0, NULL);
	uint32_t uid;
	int ret = 0;

	array_foreach_elem(&restore->uids, uid) {
		if (mail_set_uid(mail, uid))
			mail_update_keywords(mail, MODIFY_REMOVE, keywords);
	}
	mail_free(&mail);
	mailbox_keywords_unref(&keywords);
	if (mailbox_transaction_commit(&view->trans) < 0 ||
	    mailbox_sync(view->box, 0) < 0) {
		*error_r = t_strdup_printf("The messages are still hidden: %s",
			mailbox_get_last_internal_error(view->box, NULL));
		ret = -1;
	}
	view->trans = mailbox_transaction_begin(view->box, 0, __func__);
	return ret;
}

/* The state first: where only that is done the messages are hidden, but not
   purged, and can be asked for again. */
static int restore_apply(struct restore *restore, const char **error_r)
{
	struct doveadm_pop3_view *view = &restore->view;
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(view->md);

	if (array_count(&restore->uids) == 0 || restore->ctx->dry_run)
		return 0;
	if (pop3_policy_maildrop_change(view->md, &deadline, TRUE, FALSE,
					restore_change, restore, error_r) < 0)
		return -1;
	return restore_unhide(restore, error_r);
}

static void restore_print(struct restore *restore)
{
	struct doveadm_pop3_view *view = &restore->view;
	struct mail *mail = mail_alloc(view->trans, 0, NULL);
	uint32_t uid;

	array_foreach_elem(&restore->uids, uid) T_BEGIN {
		doveadm_print_num(uid);
		doveadm_print(!mail_set_uid(mail, uid) ? "-" :
			      pop3_policy_judge_uidl(view->md, view->state,
						     mail));
		doveadm_print(doveadm_pop3_time(restore_deleted(restore, uid),
						"-"));
		doveadm_print(restore->ctx->dry_run ? "would be restored" :
			      "restored");
	} T_END;
	mail_free(&mail);
}

/* With the look lock, as a session: no removal goes on meanwhile. */
static int restore_run(struct restore *restore, const char **error_r)
{
	struct doveadm_pop3_view *view = &restore->view;
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(view->md);
	struct pp_mailbox_now now;
	int ret;

	ret = pop3_policy_maildrop_create_files(view->md, view->box, error_r);
	if (ret == 0)
		*error_r = "INBOX's control directory cannot be used";
	if (ret <= 0)
		return -1;
	ret = pop3_policy_files_look(view->md->files, &deadline, error_r);
	if (ret == 0)
		*error_r = "A removal goes on, try again";
	if (ret <= 0)
		return -1;
	/* what a removal took away since the view was opened */
	mailbox_transaction_rollback(&view->trans);
	ret = mailbox_sync(view->box, MAILBOX_SYNC_FLAG_FULL_READ);
	view->trans = mailbox_transaction_begin(view->box, 0, __func__);
	if (ret < 0) {
		*error_r = mailbox_get_last_internal_error(view->box, NULL);
		return -1;
	}
	if (pop3_policy_mailbox_now(view->box, view->trans, view->state, &now,
				    error_r) < 0)
		return -1;
	if (pp_mailbox_changed(view->state, &now)) {
		*error_r = "INBOX is not the mailbox that the state knows: "
			"the next POP3 login recovers it";
		return -1;
	}
	restore_find(restore);
	if (restore_apply(restore, error_r) < 0)
		return -1;
	restore_print(restore);
	return 0;
}

static int restore_view(struct restore *restore, struct mail_user *user,
			struct doveadm_mail_cmd_context *ctx)
{
	const char *error;

	if (restore->view.state->hidden_flag == NULL) {
		e_info(user->event, "pop3-policy: Nothing is hidden: the last "
		       "session had no pop3_deleted_flag");
		return 0;
	}
	if (restore_run(restore, &error) < 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	if (restore->ctx->uidls != NULL && ctx->iterate_single_user &&
	    restore->matched_uidls <
	    str_array_length(restore->ctx->uidls)) {
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_NOTFOUND,
			"Not all of these UIDLs are hidden messages' ones");
	}
	return 0;
}

static int cmd_retention_restore_run(struct doveadm_mail_cmd_context *_ctx,
				     struct mail_user *user)
{
	struct restore_context *ctx =
		container_of(_ctx, struct restore_context, ctx);
	struct restore restore = { .ctx = ctx, .now = time(NULL) };
	int ret;

	ret = doveadm_pop3_view_open(_ctx, user, &restore.view);
	if (ret <= 0)
		return ret;
	i_array_init(&restore.uids, 16);
	ret = restore_view(&restore, user, _ctx);
	array_free(&restore.uids);
	doveadm_pop3_view_close(&restore.view);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_retention_restore_init)
{
	struct restore_context *ctx =
		container_of(_ctx, struct restore_context, ctx);
	const char *since;
	time_t timestamp;
	bool utc;

	ctx->all = doveadm_pop3_option(_ctx, "all");
	ctx->dry_run = doveadm_pop3_option(_ctx, "dry-run");
	(void)doveadm_cmd_param_array(_ctx->cctx, "uidl", &ctx->uidls);
	if (doveadm_cmd_param_str(_ctx->cctx, "since", &since)) {
		if (mail_parse_human_timestamp(since, &timestamp, &utc) < 0 ||
		    timestamp <= 0) {
			i_fatal_status(EX_USAGE, "--since: Not a time: %s",
				       since);
		}
		ctx->since = timestamp;
	}
	if (!ctx->all && ctx->since == 0 && ctx->uidls == NULL) {
		i_fatal_status(EX_USAGE, "Which messages? Give --uidl, "
			       "--since or --all");
	}
	doveadm_print_header("uid", "UID", DOVEADM_POP3_NUMBER);
	doveadm_print_header("uidl", "UIDL", 0);
	doveadm_print_header("deleted", "Deleted", 0);
	doveadm_print_header("outcome", "Outcome", 0);
}

static struct doveadm_mail_cmd_context *cmd_retention_restore_alloc(void)
{
	struct restore_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct restore_context);
	ctx->ctx.v.run = cmd_retention_restore_run;
	ctx->ctx.v.init = cmd_retention_restore_init;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&ctx->ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return &ctx->ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_retention_restore = {
	.name = "pop3 retention restore",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX
		"[--dry-run] [--uidl <uidl>] [--since <time>] [--all]",
	.mail_cmd = cmd_retention_restore_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('U', "uidl", CMD_PARAM_ARRAY, 0)
DOVEADM_CMD_PARAM('s', "since", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('a', "all", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
