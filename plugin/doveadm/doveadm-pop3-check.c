/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 state check`: what is wrong with a maildrop's state, or with
   the settings that act on it. */
#include "pop3-policy-compat.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm.h"
#include "pop3-policy-advice.h"
#include "pop3-policy-judge.h"
#include "pop3-policy-mailbox.h"
#include "doveadm-pop3-users.h"

#include <sysexits.h>
#include <time.h>

struct check {
	struct doveadm_mail_cmd_context *ctx;
	struct doveadm_pop3_view view;
	bool dry_run;
	/* "warning" or "error" was printed */
	bool found;
};

static void check_print(struct check *check, const char *severity,
			const char *text)
{
	doveadm_print(severity);
	doveadm_print(text);
	if (strcmp(severity, "note") != 0)
		check->found = TRUE;
}

/* As the last session had it: doveadm does not know pop3's own settings. */
static void check_grace(struct check *check)
{
	const struct pp_state *state = check->view.state;
	const char *what;

	/* before the first session nothing is known of it */
	if (state == NULL)
		return;
	if (state->hidden_flag == NULL)
		what = "Dovecot had no pop3_deleted_flag";
	else if (state->host_expunges)
		what = "Dovecot's pop3_delete_type was not flag";
	else
		return;
	check_print(check, "error", t_strdup_printf(
		"pop3_policy_keep_deleted is set, but in the last session %s: "
		"DELE removes at once, there is no grace", what));
}

static void check_settings(struct check *check)
{
	const struct pop3_policy_settings *set = check->view.md->set;
	const char *const *lines = pop3_policy_advice(set);

	for (; *lines != NULL; lines++)
		check_print(check, "warning", *lines);
	if (set->removal_blocked) {
		check_print(check, "error", "A setting has a bad value: "
			    "nothing is removed");
	}
	if (set->policy.keep_deleted_secs > 0)
		check_grace(check);
}

static void check_clock(struct check *check)
{
	uint64_t clock = check->view.state->clock;

	if ((uint64_t)time(NULL) >= clock)
		return;
	check_print(check, "warning", t_strdup_printf(
		"The clock is behind %s, when a session ended: nothing is "
		"removed until then", doveadm_pop3_time(clock, "-")));
}

/* How many messages have a time of deletion, and how many are hidden. */
static void check_count(struct check *check, unsigned int *deleted_r,
			unsigned int *hidden_r)
{
	struct doveadm_pop3_view *view = &check->view;
	const struct pp_message *message;
	GArray *messages;
	guint i;

	messages = pop3_policy_mailbox_messages(view->box, view->trans,
						view->md->set->policy.protect,
						view->state->hidden_flag,
						FALSE);
	*deleted_r = *hidden_r = 0;
	for (i = 0; i < messages->len; i++) {
		message = &g_array_index(messages, struct pp_message, i);
		if (message->hidden)
			(*hidden_r)++;
		if (pp_runs_get(view->state->deleted, message->uid, NULL))
			(*deleted_r)++;
	}
	g_array_unref(messages);
}

static void check_print_hidden(struct check *check, unsigned int hidden)
{
	const char *flag = check->view.state->hidden_flag;
	const char *now = pop3_policy_settings_deleted_flag(
						check->view.md->user);

	if (strcasecmp(now, flag) == 0) {
		check_print(check, "note", t_strdup_printf(
			"%u messages that clients deleted are hidden by %s: "
			"without this pop3_deleted_flag they would be listed "
			"again", hidden, flag));
		return;
	}
	check_print(check, "warning", t_strdup_printf(
		"%u messages that clients deleted are hidden by %s, but "
		"pop3_deleted_flag is %s: if it is not set in protocol pop3 "
		"{ }, where doveadm does not see it, the next POP3 session "
		"lists them again", hidden, flag,
		*now == '\0' ? "not set" : now));
}

static void check_hidden(struct check *check)
{
	const char *flag = check->view.state->hidden_flag;
	unsigned int deleted, hidden;

	check_count(check, &deleted, &hidden);
	if (flag == NULL && deleted > 0) {
		check_print(check, "warning", t_strdup_printf(
			"%u messages that clients deleted are listed again, "
			"since Dovecot has no pop3_deleted_flag any more",
			deleted));
	}
	if (hidden > 0)
		check_print_hidden(check, hidden);
}

/* What the next login has to see to, or NULL. */
static const char *check_compare(struct doveadm_pop3_view *view,
				 const struct pp_mailbox_now *now)
{
	struct pp_witness witness;
	enum pp_refusal why;

	if (pp_mailbox_changed(view->state, now))
		return "INBOX is not the mailbox that the state knows";
	pop3_policy_files_read_witness(view->md->files, &witness);
	if (pp_login_decide(PP_LOOKUP_FOUND, view->state, &witness, now,
			    view->md->set->uidl != POP3_POLICY_UIDL_HOST,
			    &why) == PP_LOGIN_REPEATS)
		return "INBOX is an older copy of the mailbox that was shown";
	return NULL;
}

static int check_mailbox(struct check *check, const char **error_r)
{
	struct doveadm_pop3_view *view = &check->view;
	struct pp_mailbox_now now;
	const char *text;

	if (pop3_policy_mailbox_now(view->box, view->trans, view->state, &now,
				    error_r) < 0)
		return -1;
	text = check_compare(view, &now);
	if (text == NULL) {
		check_hidden(check);
		return 0;
	}
	check_print(check, "warning", t_strconcat(text, ": the next POP3 login "
		    "recovers it, until then nothing is removed", NULL));
	return 0;
}

static bool witness_fits(const struct pp_witness *have,
			 const struct pp_witness *want)
{
	return have->status == PP_WITNESS_THERE &&
		have->uidvalidity == want->uidvalidity &&
		have->validity == want->validity && have->plain == want->plain;
}

/* Writes a witness that is missing, after a mailbox was moved. One that knows
   a later state than the dict's stays: the dict is an older copy. Called with
   the write lock, in which it is read again. */
static int check_write_witness(struct pop3_policy_change *change,
			       void *context, const char **error_r)
{
	struct check *check = context;
	struct pop3_policy_files *files = check->view.md->files;
	struct pp_witness have, want;
	const char *text = "The witness beside the mailbox is missing or "
		"cannot be read";

	if (*change->state == NULL)
		return 0;
	pp_witness_from_state(*change->state, &want);
	pop3_policy_files_read_witness(files, &have);
	if (witness_fits(&have, &want))
		return 0;
	if (have.status == PP_WITNESS_THERE) {
		check_print(check, have.validity > want.validity ? "error" :
			    "note", have.validity > want.validity ?
			    "The state is older than the witness beside the "
			    "mailbox: the dict is an older copy" :
			    "The witness beside the mailbox is behind: the "
			    "next change of the state writes it");
		return 0;
	}
	if (check->dry_run) {
		check_print(check, "warning", text);
		return 0;
	}
	if (pop3_policy_files_write_witness(files, &want, error_r) < 0)
		return -1;
	check_print(check, "note", t_strconcat(text, ": written", NULL));
	return 0;
}

static int check_run(struct check *check, const char **error_r)
{
	struct pop3_policy_maildrop *md = check->view.md;
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(md);

	check_settings(check);
	check_clock(check);
	if (check_mailbox(check, error_r) < 0)
		return -1;
	return pop3_policy_maildrop_change(md, &deadline, TRUE, FALSE,
					   check_write_witness, check,
					   error_r) < 0 ? -1 : 0;
}

static int cmd_state_check_run(struct doveadm_mail_cmd_context *ctx,
			       struct mail_user *user)
{
	struct check check = {
		.ctx = ctx,
		.dry_run = doveadm_pop3_option(ctx, "dry-run"),
	};
	const char *error;
	int ret;

	ret = doveadm_pop3_open(ctx, user, &check.view.md);
	if (ret <= 0)
		return ret;
	ret = doveadm_pop3_view_fill(ctx, user, &check.view);
	if (ret == 0)
		check_settings(&check);
	else if (ret > 0 && check_run(&check, &error) < 0)
		ret = doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	if (ret >= 0 && check.found)
		ctx->exit_code = EX_DATAERR;
	doveadm_pop3_view_close(&check.view);
	return ret < 0 ? -1 : 0;
}

POP3_POLICY_DOVEADM_INIT(cmd_state_check_init)
{
	doveadm_print_header_simple("severity");
	doveadm_print_header_simple("finding");
}

static struct doveadm_mail_cmd_context *cmd_state_check_alloc(void)
{
	struct doveadm_pop3_users *all;

	all = doveadm_mail_cmd_alloc(struct doveadm_pop3_users);
	all->ctx.v.run = cmd_state_check_run;
	all->ctx.v.init = cmd_state_check_init;
	doveadm_pop3_users_init(all, NULL, NULL);
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&all->ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return &all->ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_state_check = {
	.name = "pop3 state check",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[--dry-run]",
	.mail_cmd = cmd_state_check_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
