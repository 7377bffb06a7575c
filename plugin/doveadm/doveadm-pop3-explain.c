/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 retention explain`. */
#include "pop3-policy-compat.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "pop3-policy-judge.h"
#include "doveadm-pop3.h"

#include <time.h>

/* A pass has looked, and what it left is for a later one. */
static bool explain_is_later(const struct doveadm_pop3_view *view)
{
	return view->md->set->removal == POP3_POLICY_REMOVAL_YES &&
		!pp_retention_is_due(view->state, &view->md->set->policy,
				     time(NULL));
}

static const char *explain_action(const struct pp_verdict *verdict, bool later)
{
	if (verdict->waits || (verdict->goes_now && later))
		return "waits";
	if (verdict->goes_now)
		return "goes now";
	if (verdict->due == 0)
		return "stays";
	/* it is due, and the clock is behind */
	return verdict->due <= (uint64_t)time(NULL) ? "waits" : "goes later";
}

static void explain_print(const struct doveadm_pop3_view *view,
			  struct mail *mail, const struct pp_verdict *verdict,
			  bool later)
{
	doveadm_print_num(verdict->uid);
	doveadm_print(!mail_set_uid(mail, verdict->uid) ? "-" :
		      pop3_policy_judge_uidl(view->md, view->state, mail));
	doveadm_print_num(verdict->size_bytes);
	doveadm_print(doveadm_pop3_time(verdict->first_seen, "-"));
	doveadm_print(doveadm_pop3_time(verdict->retrieved, "-"));
	doveadm_print(doveadm_pop3_time(verdict->deleted, "-"));
	doveadm_print(explain_action(verdict, later));
	doveadm_print(doveadm_pop3_time(verdict->due, "never"));
	doveadm_print(pp_rule_name(verdict->rule));
}

static void explain_print_all(const struct doveadm_pop3_view *view,
			      const GArray *verdicts)
{
	struct mail *mail = mail_alloc(view->trans, 0, NULL);
	bool later = explain_is_later(view);
	guint i;

	for (i = 0; i < verdicts->len; i++) T_BEGIN {
		explain_print(view, mail, &g_array_index(verdicts,
			struct pp_verdict, i), later);
	} T_END;
	mail_free(&mail);
}

static int explain_judged(struct doveadm_mail_cmd_context *ctx,
			  struct mail_user *user,
			  struct doveadm_pop3_view *view)
{
	const char *error;
	GArray *verdicts;
	bool clock_back;
	int ret;

	ret = pop3_policy_judge(view->md, view->box, view->trans, view->state,
				time(NULL), TRUE, &verdicts, &clock_back,
				&error);
	if (ret < 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	if (ret == 0) {
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_NOTPOSSIBLE,
			"INBOX is not the mailbox that the state knows: "
			"nothing is removed until a POP3 login recovered it");
	}
	if (clock_back) {
		e_warning(user->event, "pop3-policy: "
			"The clock is behind the time of an earlier session: "
			"nothing is removed");
	}
	explain_print_all(view, verdicts);
	g_array_unref(verdicts);
	return 0;
}

static int cmd_retention_explain_run(struct doveadm_mail_cmd_context *ctx,
				     struct mail_user *user)
{
	struct doveadm_pop3_view view;
	int ret;

	ret = doveadm_pop3_view_open(ctx, user, &view);
	if (ret <= 0)
		return ret;
	if (view.md->set->removal == POP3_POLICY_REMOVAL_NO) {
		e_info(user->event, "pop3-policy: pop3_policy_removal=no: "
		       "this is what would be, nothing is removed");
	}
	ret = explain_judged(ctx, user, &view);
	doveadm_pop3_view_close(&view);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_retention_explain_init)
{
	doveadm_print_header("uid", "UID",
			     DOVEADM_POP3_NUMBER);
	doveadm_print_header("uidl", "UIDL", 0);
	doveadm_print_header("size", "Size",
			     DOVEADM_POP3_NUMBER);
	doveadm_print_header("first_seen", "First seen", 0);
	doveadm_print_header("retrieved", "Retrieved", 0);
	doveadm_print_header("deleted", "Deleted", 0);
	doveadm_print_header("action", "Action", 0);
	doveadm_print_header("due", "When", 0);
	doveadm_print_header("rule", "Rule", 0);
}

static struct doveadm_mail_cmd_context *cmd_retention_explain_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);
	ctx->v.run = cmd_retention_explain_run;
	ctx->v.init = cmd_retention_explain_init;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_retention_explain = {
	.name = "pop3 retention explain",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_retention_explain_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};
