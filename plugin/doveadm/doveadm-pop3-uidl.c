/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 uidl list`, and maildrops as the other `uidl` commands see
   them. */
#include "pop3-policy-compat.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "pop3-policy-book.h"
#include "pop3-policy-judge.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-sight.h"
#include "doveadm-pop3-uidl.h"

#include <sysexits.h>
#include <time.h>

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

/* Takes the look lock, the file of which may not be there yet: nobody logged
   in. 0, or -1 after doveadm_pop3_fail(). */
static int drop_look(struct doveadm_mail_cmd_context *ctx,
		     struct mail_user *user, struct doveadm_pop3_drop *drop)
{
	const char *error;
	int ret;

	ret = pop3_policy_maildrop_create_files(drop->md, drop->box, &error);
	if (ret == 0)
		error = "INBOX's control directory cannot be used";
	if (ret <= 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	ret = pop3_policy_files_look_alone(drop->md->files, &error);
	if (ret > 0)
		return 0;
	if (ret == 0)
		error = "A POP3 session looks at this maildrop: try again "
			"when it is over";
	return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
}

static int drop_fill(struct doveadm_mail_cmd_context *ctx,
		     struct mail_user *user, bool alone,
		     struct doveadm_pop3_drop *drop)
{
	const char *error;
	int ret;

	ret = pop3_policy_judge_open(user, &drop->box, &error);
	if (ret < 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	if (ret == 0) {
		e_info(user->event, "pop3-policy: There is no INBOX");
		return 0;
	}
	pop3_policy_mailbox_set_host(drop->box);
	if ((alone && drop_look(ctx, user, drop) < 0) ||
	    doveadm_pop3_lookup(ctx, drop->md, &drop->state) < 0)
		return -1;
	drop->trans = mailbox_transaction_begin(drop->box, 0, __func__);
	return 1;
}

int doveadm_pop3_drop_open(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user, bool alone,
			   struct doveadm_pop3_drop *drop_r)
{
	int ret;

	i_zero(drop_r);
	ret = doveadm_pop3_open(ctx, user, &drop_r->md);
	if (ret <= 0)
		return ret;
	ret = drop_fill(ctx, user, alone, drop_r);
	if (ret > 0 && drop_r->md->set->uidl == POP3_POLICY_UIDL_HOST) {
		ret = doveadm_pop3_fail(ctx, user, MAIL_ERROR_NOTPOSSIBLE,
			"pop3_policy_uidl=host: UIDLs are not the plugin's");
	}
	if (ret <= 0)
		doveadm_pop3_drop_close(drop_r);
	return ret;
}

void doveadm_pop3_drop_close(struct doveadm_pop3_drop *drop)
{
	if (drop->trans != NULL)
		mailbox_transaction_rollback(&drop->trans);
	if (drop->box != NULL)
		mailbox_free(&drop->box);
	pp_state_free(drop->state);
	drop->state = NULL;
	pop3_policy_maildrop_deinit(&drop->md);
}

int doveadm_pop3_drop_decide(struct doveadm_pop3_drop *drop,
			     const struct pp_state *state,
			     enum pp_login_action *action_r,
			     enum pp_refusal *why_r, const char **error_r)
{
	pop3_policy_files_read_witness(drop->md->files, &drop->witness);
	if (pop3_policy_mailbox_now(drop->box, drop->trans, state, &drop->now,
				    error_r) < 0)
		return -1;
	*action_r = pp_login_decide(state != NULL ? PP_LOOKUP_FOUND :
				    PP_LOOKUP_NOTHING, state, &drop->witness,
				    &drop->now, TRUE, why_r);
	return 0;
}

const char *doveadm_pop3_drop_trouble(enum pp_login_action action,
				      enum pp_refusal why)
{
	if (action == PP_LOGIN_RECOVER) {
		return "INBOX is not the mailbox that the state knows: the "
			"next POP3 login, or doveadm pop3 uidl repair, "
			"recovers its UIDLs";
	}
	if (action == PP_LOGIN_REPEATS) {
		return "INBOX is an older copy of the mailbox that was shown: "
			"the next POP3 login, or doveadm pop3 uidl repair, "
			"sees to it";
	}
	if (action != PP_LOGIN_REFUSE)
		return "";
	return why == PP_REFUSAL_LOST ?
		"The dict has no state, but the witness beside the mailbox "
		"says that there was one (restore the dict, or see doveadm "
		"pop3 uidl repair --accept-loss)" :
		"The dict is an older copy than the witness beside the "
		"mailbox knows (restore the newer one, or see doveadm pop3 "
		"uidl repair --accept-loss)";
}

static int drop_host_uidl(struct mail *mail, const char **value_r)
{
	return mail_get_special(mail, MAIL_FETCH_UIDL_BACKEND, value_r);
}

/* What was shown in an outage, without being stored. */
static guint32 drop_shown_unstored(const struct doveadm_pop3_drop *drop)
{
	return drop->witness.status == PP_WITNESS_THERE &&
		drop->witness.uidvalidity == drop->now.id.uidvalidity ?
		drop->witness.shown : 0;
}

int doveadm_pop3_drop_sight(struct doveadm_pop3_drop *drop,
			    struct pp_state *state, bool first, bool xuidl,
			    const char **error_r)
{
	const struct pop3_policy_sight params = {
		.box = drop->box,
		.trans = drop->trans,
		.set = drop->md->set,
		.event = drop->md->user->event,
		.reuse_xuidl = xuidl,
		.shown_unstored = drop_shown_unstored(drop),
		.host_uidl = drop_host_uidl,
	};

	return pop3_policy_sight(&params, state, first, error_r);
}

guint32 doveadm_pop3_drop_shown_upto(const struct doveadm_pop3_drop *drop,
				     const struct pp_state *state)
{
	return I_MAX(state->mark, drop_shown_unstored(drop));
}

static void drop_merge_facts(struct pp_state *state,
			     const struct pop3_policy_settings *set,
			     const GArray *identities)
{
	struct pp_shown shown[PP_SHOWN_MAX];
	struct pp_facts facts = {
		.generation = state->generation,
		.now = time(NULL),
		.count = identities->len,
		/* no session looks */
		.view_upto = PP_UID_MAX,
		.shown = shown,
		.shown_count = pp_shown_last(identities, shown),
		.first_seen = time(NULL),
	};

	facts.mark = facts.shown_count == 0 ? 0 :
		shown[facts.shown_count - 1].uid;
	facts.seen_upto = facts.mark;
	(void)pp_state_merge(state, &facts);
	pp_retention_note_facts(state, &set->policy, &facts);
}

int doveadm_pop3_drop_shown(struct doveadm_pop3_drop *drop,
			    const struct pop3_policy_deadline *deadline,
			    struct pop3_policy_change *change,
			    const GArray *identities, const char **error_r)
{
	struct pp_state *state = *change->state;
	g_autoptr(GArray) new_ones =
		g_array_new(FALSE, FALSE, sizeof(struct pp_identity));

	change->state_changed = TRUE;
	drop_merge_facts(state, drop->md->set, identities);
	for (guint i = 0; i < identities->len; i++) {
		const struct pp_identity *identity =
			&g_array_index(identities, struct pp_identity, i);

		if (identity->uid > state->ledger_upto)
			g_array_append_vals(new_ones, identity, 1);
	}
	if (new_ones->len == 0)
		return 0;
	return pop3_policy_book_append(drop->md, deadline, change, drop->box,
				       new_ones, state->mark, error_r);
}
