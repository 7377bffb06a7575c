/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 uidl repair`: what a login refuses, or does by itself, done by
   an admin who has looked. */
#include "pop3-policy-compat.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "pop3-policy-event.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-recover.h"
#include "doveadm-pop3-uidl.h"

#include <sysexits.h>
#include <time.h>

struct repair_run {
	struct doveadm_mail_cmd_context *ctx;
	struct doveadm_pop3_drop drop;
	struct pop3_policy_deadline deadline;
	struct pop3_policy_recover recover;
	struct event *event;
	bool dry_run, accept_loss, accept_current, xuidl;

	enum pp_login_action action;
	enum pp_refusal why;
	const char *outcome;
	guint recognised, lost;
	guint32 generation;
	/* it is up to the admin */
	bool refused;
};

static int repair_refuse(struct repair_run *run, const char *message,
			 const char **error_r)
{
	run->refused = TRUE;
	*error_r = message;
	return -1;
}

static void repair_skip_lost(struct repair_run *run, struct pp_state *state)
{
	if (run->drop.witness.status != PP_WITNESS_NONE)
		pp_state_skip_lost(state,
				   I_MAX(run->drop.witness.validity, 1),
				   run->drop.now.id.uidvalidity);
}

static void repair_replace(struct pop3_policy_change *change,
			   struct pp_state *state)
{
	pp_state_free(*change->state);
	*change->state = state;
}

/* The state for the mailbox as it is now. 1, 0: nothing changed, -1. */
static int repair_recover(struct repair_run *run,
			  struct pop3_policy_change *change,
			  const char **error_r)
{
	struct pp_recovery recovery;

	if (pop3_policy_recover_match(&run->recover, *change->state,
				      &run->drop.now, &recovery, error_r) < 0)
		return -1;
	run->recognised = recovery.recognised;
	run->lost = recovery.lost;
	if (!recovery.unchanged && !run->accept_loss && !run->accept_current &&
	    (pp_guard_acts(*change->state, &recovery) ||
	     pp_recovery_is_early(&recovery, &run->drop.now))) {
		pp_state_free(recovery.state);
		return repair_refuse(run, t_strdup_printf(
			"Of %u shown messages %u are recognised, %u are gone "
			"or cannot be: nothing is changed. Bring the mail "
			"back, or accept that with --accept-loss",
			(*change->state)->count, run->recognised, run->lost),
			error_r);
	}
	if (recovery.unchanged)
		pop3_policy_recover_clear(&run->recover);
	else if (!run->dry_run)
		pop3_policy_recover_log(&run->recover, run->event,
					*change->state, &run->drop.now,
					&recovery);
	run->outcome = recovery.unchanged ? "nothing to do" : "recovered";
	repair_replace(change, recovery.state);
	return recovery.unchanged ? 0 : 1;
}

static int repair_lost(struct repair_run *run,
		       struct pop3_policy_change *change, const char **error_r)
{
	struct pp_state *state;

	if (!run->accept_loss) {
		return repair_refuse(run, "The dict has no state, but the "
			"witness beside the mailbox says that there was one: "
			"restore the dict; or accept the maildrop as it is "
			"with --accept-loss: all UIDLs of rules change",
			error_r);
	}
	state = pp_state_new(&run->drop.now.id, time(NULL));
	*change->state = state;
	repair_skip_lost(run, state);
	run->outcome = "made anew";
	return doveadm_pop3_drop_sight(&run->drop, state, TRUE, run->xuidl,
				       error_r) < 0 ? -1 : 1;
}

static int repair_older(struct repair_run *run,
			struct pop3_policy_change *change, const char **error_r)
{
	if (!run->accept_loss) {
		return repair_refuse(run, "The dict is an older copy than the "
			"witness beside the mailbox knows: restore the newer "
			"one; or go on with this one with --accept-loss: "
			"UIDLs that it does not know change", error_r);
	}
	repair_skip_lost(run, *change->state);
	if (pp_mailbox_changed(*change->state, &run->drop.now) &&
	    repair_recover(run, change, error_r) < 0)
		return -1;
	run->outcome = "accepted";
	return 1;
}

/* UIDs that were shown in an outage are to be given again. As a login does. */
static int repair_repeats(struct repair_run *run,
			  struct pop3_policy_change *change,
			  const char **error_r)
{
	repair_skip_lost(run, *change->state);
	pp_state_restart_times(*change->state, run->recover.now);
	if (pp_mailbox_changed(*change->state, &run->drop.now) &&
	    repair_recover(run, change, error_r) < 0)
		return -1;
	run->outcome = "recovered";
	return 1;
}

/* The truth is what the host shows now, whatever was shown before. Times stay
   where messages are recognised. */
static int repair_current(struct repair_run *run,
			  struct pop3_policy_change *change,
			  const char **error_r)
{
	struct pp_state *state = *change->state;
	guint32 uidvalidity = run->drop.now.id.uidvalidity;

	if (state == NULL) {
		*change->state = state = pp_state_new(&run->drop.now.id,
						      time(NULL));
	} else if (pp_mailbox_changed(state, &run->drop.now)) {
		if (repair_recover(run, change, error_r) < 0)
			return -1;
		state = *change->state;
	}
	pp_state_use_validity(state, run->drop.witness.validity);
	pp_uidl_map_free(state->map);
	state->map = pp_uidl_map_new();
	(void)pp_state_open_rule(state, 1, uidvalidity);
	state->host_first = 1;
	if (doveadm_pop3_drop_sight(&run->drop, state, TRUE, run->xuidl,
				    error_r) < 0)
		return -1;
	state->host_first = 0;
	run->outcome = "accepted";
	return 1;
}

static int repair_decided(struct repair_run *run,
			  struct pop3_policy_change *change,
			  const char **error_r)
{
	if (run->accept_current)
		return repair_current(run, change, error_r);
	if (run->action == PP_LOGIN_RECOVER)
		return repair_recover(run, change, error_r);
	if (run->action == PP_LOGIN_REPEATS)
		return repair_repeats(run, change, error_r);
	if (run->action == PP_LOGIN_REFUSE) {
		return run->why == PP_REFUSAL_LOST ?
			repair_lost(run, change, error_r) :
			repair_older(run, change, error_r);
	}
	return 0;
}

static int repair_change(struct pop3_policy_change *change, void *context,
			 const char **error_r)
{
	struct repair_run *run = context;
	int ret;

	if (doveadm_pop3_drop_decide(&run->drop, *change->state, &run->action,
				     &run->why, error_r) < 0)
		return -1;
	ret = repair_decided(run, change, error_r);
	/* that may have read all mail; now the dict has its time */
	run->deadline = doveadm_pop3_deadline(run->drop.md);
	if (ret <= 0 || run->dry_run)
		return ret < 0 ? -1 : 0;
	if (pop3_policy_recover_book_with(&run->recover, change, error_r) < 0)
		return -1;
	change->state_changed = TRUE;
	run->generation = (*change->state)->generation;
	return 1;
}

static int repair_book(struct pop3_policy_change *change, void *context,
		       const char **error_r)
{
	struct repair_run *run = context;

	return pop3_policy_recover_book(&run->recover, change,
					run->generation, error_r);
}

/* The host's dbox shows nothing where its index is gone, without an error. */
static bool repair_needs_resync(struct repair_run *run)
{
	struct doveadm_pop3_drop *drop = &run->drop;
	const char *name = drop->box->storage->name;

	return drop->state != NULL && drop->now.messages < drop->state->count &&
		(strcmp(name, "sdbox") == 0 || strcmp(name, "mdbox") == 0) &&
		!pp_mailbox_id_equal(&drop->now.id, &drop->state->mailbox);
}

static int repair_resync(struct repair_run *run, const char **error_r)
{
	struct doveadm_pop3_drop *drop = &run->drop;
	int ret;

	if (pop3_policy_mailbox_now(drop->box, drop->trans, drop->state,
				    &drop->now, error_r) < 0)
		return -1;
	if (run->dry_run || !repair_needs_resync(run))
		return 0;
	e_info(run->event, "INBOX lacks messages that were shown: it is "
	       "resynchronised, as by doveadm force-resync");
	mailbox_transaction_rollback(&drop->trans);
	ret = mailbox_sync(drop->box, MAILBOX_SYNC_FLAG_FORCE_RESYNC |
			   MAILBOX_SYNC_FLAG_FIX_INCONSISTENT);
	if (ret < 0) {
		*error_r = t_strdup_printf("INBOX cannot be resynchronised: %s",
			mailbox_get_last_internal_error(drop->box, NULL));
	}
	drop->trans = mailbox_transaction_begin(drop->box, 0, __func__);
	return ret;
}

static int repair_store(struct repair_run *run, const char **error_r)
{
	struct pop3_policy_maildrop *md = run->drop.md;

	if (repair_resync(run, error_r) < 0)
		return -1;
	run->deadline = doveadm_pop3_deadline(md);
	run->recover.md = md;
	run->recover.deadline = &run->deadline;
	run->recover.box = run->drop.box;
	run->recover.trans = run->drop.trans;
	run->recover.now = time(NULL);
	run->recover.pinned = TRUE;
	if (pop3_policy_maildrop_change(md, &run->deadline, TRUE, FALSE,
					repair_change, run, error_r) < 0)
		return -1;
	if (run->recover.identities == NULL || run->dry_run)
		return 0;
	/* a large ledger follows */
	run->deadline = doveadm_pop3_deadline(md);
	if (pop3_policy_maildrop_change(md, &run->deadline, TRUE, FALSE,
					repair_book, run, error_r) < 0) {
		e_warning(run->event, "The UIDLs are repaired, the ledger is "
			  "not stored: a later session does that: %s",
			  *error_r);
	}
	return 0;
}

static int cmd_uidl_repair_run(struct doveadm_mail_cmd_context *ctx,
			       struct mail_user *user)
{
	struct repair_run run = {
		.ctx = ctx,
		.dry_run = doveadm_pop3_option(ctx, "dry-run"),
		.accept_loss = doveadm_pop3_option(ctx, "accept-loss"),
		.accept_current = doveadm_pop3_option(ctx, "accept-current"),
		.xuidl = doveadm_pop3_option(ctx, "xuidl"),
		.outcome = "nothing to do",
	};
	const char *error;
	int ret;

	ret = doveadm_pop3_drop_open(ctx, user, TRUE, &run.drop);
	if (ret <= 0)
		return ret;
	run.event = pop3_policy_event_create(user);
	ret = repair_store(&run, &error);
	if (ret < 0) {
		ret = doveadm_pop3_fail(ctx, user, run.refused ?
			MAIL_ERROR_NOTPOSSIBLE : MAIL_ERROR_TEMP, error);
		if (run.refused)
			ctx->exit_code = EX_DATAERR;
	} else {
		doveadm_print(run.dry_run &&
			      strcmp(run.outcome, "nothing to do") != 0 ?
			      t_strconcat("would be ", run.outcome, NULL) :
			      run.outcome);
		doveadm_print_num(run.recognised);
		doveadm_print_num(run.lost);
		ret = 0;
	}
	pop3_policy_recover_clear(&run.recover);
	event_unref(&run.event);
	doveadm_pop3_drop_close(&run.drop);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_uidl_repair_init)
{
	if (doveadm_pop3_option(_ctx, "accept-loss") &&
	    doveadm_pop3_option(_ctx, "accept-current"))
		i_fatal_status(EX_USAGE, "--accept-loss or --accept-current");
	doveadm_print_header_simple("outcome");
	doveadm_print_header("recognised", "recognised", DOVEADM_POP3_NUMBER);
	doveadm_print_header("lost", "lost", DOVEADM_POP3_NUMBER);
}

static struct doveadm_mail_cmd_context *cmd_uidl_repair_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);
	ctx->v.run = cmd_uidl_repair_run;
	ctx->v.init = cmd_uidl_repair_init;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_repair = {
	.name = "pop3 uidl repair",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX
		"[--dry-run] [--accept-loss | --accept-current [--xuidl]]",
	.mail_cmd = cmd_uidl_repair_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('l', "accept-loss", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('c', "accept-current", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('x', "xuidl", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
