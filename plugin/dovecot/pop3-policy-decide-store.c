/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What has to be stored before anything is shown: a first state, explicit
   UIDLs, a recovery. All of it happens under the write lock and from what is
   stored by then, since another session may have been faster. */
#include "pop3-policy-compat.h"
#include "ioloop.h"
#include "mail-storage-private.h"
#include "pop3-policy-decide.h"
#include "pop3-policy-event.h"
#include "pop3-policy-order.h"
#include "pop3-policy-sight.h"

/* What is stored by now must be about the mailbox that this session has open.
   0, or -1. */
static int
decide_same_mailbox(const struct pop3_policy_decide *ctx,
		    const struct pp_state *state, const char **error_r)
{
	if (pp_mailbox_id_equal(&state->mailbox, &ctx->now.id))
		return 0;
	*error_r = "state: another session knows another mailbox";
	return -1;
}

static void
decide_skip_lost(struct pop3_policy_decide *ctx, struct pp_state *state)
{
	if (ctx->lost_validity == 0)
		return;
	pp_state_skip_lost(state, ctx->lost_validity,
			   ctx->now.id.uidvalidity);
	ctx->lost_validity = 0;
}

static void decide_sight_init(struct pop3_policy_session *session,
			      struct pop3_policy_sight *params_r)
{
	i_zero(params_r);
	params_r->box = session->client->mailbox;
	params_r->trans = session->client->trans;
	params_r->set = session->set;
	params_r->event = session->event;
	params_r->reuse_xuidl = session->client->set->pop3_reuse_xuidl;
	params_r->shown_unstored = session->shown_unstored;
	params_r->host_uidl = pop3_policy_mail_host_uidl;
}

int pop3_policy_decide_sight(struct pop3_policy_session *session,
			     struct pp_state *state, bool first,
			     const char **error_r)
{
	struct pop3_policy_sight params;

	decide_sight_init(session, &params);
	return pop3_policy_sight(&params, state, first, error_r);
}

int pop3_policy_decide_needs_sight(struct pop3_policy_session *session,
				   const char **error_r)
{
	struct pop3_policy_sight params;

	decide_sight_init(session, &params);
	return pop3_policy_sight_needed(&params, session->state,
					session->state->host_first != 0,
					error_r);
}

/* What will be shown goes with what was decided: one commit less. */
static int
decide_new(struct pop3_policy_decide *ctx, struct pop3_policy_change *change,
	   const char **error_r)
{
	return pop3_policy_store_new_with(ctx->session, ctx->deadline, change,
					  error_r) < 0 ? -1 : 1;
}

static int
decide_texts(struct pop3_policy_decide *ctx, struct pop3_policy_change *change,
	     const char **error_r)
{
	int ret;

	if (*change->state == NULL) {
		*error_r = "state: is gone";
		return -1;
	}
	if (decide_same_mailbox(ctx, *change->state, error_r) < 0)
		return -1;
	if (ctx->lost_validity != 0) {
		decide_skip_lost(ctx, *change->state);
		if (ctx->older_copy)
			pp_state_restart_times(*change->state, ioloop_time);
		change->state_changed = TRUE;
	}
	ret = pop3_policy_decide_sight(ctx->session, *change->state,
				       (*change->state)->host_first != 0,
				       error_r);
	if (ret > 0 || (*change->state)->host_first != 0)
		change->state_changed = TRUE;
	(*change->state)->host_first = 0;
	if (ret < 0 || !change->state_changed)
		return ret < 0 ? -1 : 0;
	return decide_new(ctx, change, error_r);
}

/* Another session was faster with a first state, which knows what was lost.
   This one may see mail that came since. */
static int
decide_slower(struct pop3_policy_decide *ctx,
	      struct pop3_policy_change *change, const char **error_r)
{
	ctx->lost_validity = 0;
	if (pop3_policy_session_pins(ctx->session))
		return decide_texts(ctx, change, error_r);
	return decide_same_mailbox(ctx, *change->state, error_r);
}

/* A first state says of all that is there what its UIDL is, and nobody is to
   decide that again, by another format or policy: it counts as shown, also
   where its identities follow later. */
static int
decide_made(struct pop3_policy_decide *ctx, struct pop3_policy_change *change,
	    const char **error_r)
{
	int ret = decide_new(ctx, change, error_r);

	if (ret > 0 && (*change->state)->mark < ctx->session->highest_uid) {
		(*change->state)->mark = ctx->session->highest_uid;
		(*change->state)->count = ctx->session->messages;
	}
	return ret;
}

static int
decide_first(struct pop3_policy_decide *ctx, struct pop3_policy_change *change,
	     const char **error_r)
{
	struct pop3_policy_session *session = ctx->session;
	struct pop3_policy_sight params;

	if (*change->state != NULL)
		return decide_slower(ctx, change, error_r);
	decide_sight_init(session, &params);
	/* where a state was lost it is not the first time: mail may have come
	   whose sender chose its X-UIDL */
	if (ctx->lost_validity != 0)
		params.reuse_xuidl = FALSE;
	*change->state = pp_state_new(&ctx->now.id, ioloop_time);
	decide_skip_lost(ctx, *change->state);
	if (pop3_policy_session_pins(session) &&
	    ctx->action == PP_LOGIN_FIRST_SIGHT &&
	    pop3_policy_sight(&params, *change->state, TRUE, error_r) < 0)
		return -1;
	change->state_changed = TRUE;
	return pop3_policy_session_pins(session) ?
		decide_made(ctx, change, error_r) : 1;
}

/* TRUE: the login has to be refused. */
static bool decide_guard(struct pop3_policy_decide *ctx,
			 const struct pp_state *old,
			 const struct pp_recovery *recovery)
{
	struct pop3_policy_session *session = ctx->session;
	bool refuses = session->set->guard_refuses;
	const char *message;

	if (!pp_guard_acts(old, recovery))
		return FALSE;
	message = t_strdup_printf(
		"The mailbox is another one than the state knows: of %u shown "
		"messages %u are recognised, %u are gone or cannot be; %s",
		old->count, recovery->recognised, recovery->lost, refuses ?
		t_strdup_printf("login refused, nothing is removed. Bring the "
			"mail back (mount, restore) and try doveadm pop3 uidl "
			"repair -u %s; where it is rightly gone, the same with "
			"--accept-loss", session->user->username) :
		"the session goes on, since pop3_policy_uidl_guard is log");
	pop3_policy_event_guard(session->event, old->count,
				recovery->recognised, recovery->lost, refuses,
				message);
	ctx->guard_refused = refuses;
	return refuses;
}

/* Nothing of it is there: TRUE if the state waits for it, as it is. */
static bool decide_absent(struct pop3_policy_decide *ctx,
			  const struct pp_state *old,
			  const struct pp_recovery *recovery)
{
	struct pop3_policy_session *session = ctx->session;
	const char *user = session->user->username;

	session->absent = pop3_policy_session_pins(session) &&
		pp_recovery_is_early(recovery, &ctx->now);
	if (session->absent && !pp_guard_acts(old, recovery)) {
		e_warning(session->event, "The mailbox is another one than the "
			  "state knows, and empty: the UIDLs of %u messages "
			  "are kept until other mail comes. Bring the mail "
			  "back (mount, restore) and try doveadm pop3 uidl "
			  "repair -u %s; where it is rightly gone, the same "
			  "with --accept-loss", old->count, user);
	}
	return session->absent;
}

static int
decide_recover(struct pop3_policy_decide *ctx,
	       struct pop3_policy_change *change, const char **error_r)
{
	struct client *client = ctx->session->client;
	struct pp_recovery recovery;

	if (*change->state == NULL) {
		*error_r = "state: is gone";
		return -1;
	}
	/* compared anew: another session may have been faster */
	if (pop3_policy_mailbox_now(client->mailbox, client->trans,
				    *change->state, &ctx->now, error_r) < 0)
		return -1;
	if (!pp_mailbox_changed(*change->state, &ctx->now))
		return 0;
	/* what is new gets one that no state that was lost used */
	if (ctx->lost_validity != 0)
		pp_state_use_validity(*change->state, ctx->lost_validity);
	if (pop3_policy_recover_match(&ctx->recover, *change->state, &ctx->now,
				      &recovery, error_r) < 0)
		return -1;
	if (!recovery.unchanged && pop3_policy_session_pins(ctx->session) &&
	    decide_guard(ctx, *change->state, &recovery)) {
		pp_state_free(recovery.state);
		*error_r = "the guard refused";
		return -1;
	}
	if (decide_absent(ctx, *change->state, &recovery)) {
		pop3_policy_recover_clear(&ctx->recover);
		pp_state_free(recovery.state);
		return 0;
	}
	change->state_changed = !recovery.unchanged;
	if (recovery.unchanged) {
		/* only mail that was expunged: nothing to store */
		pop3_policy_recover_clear(&ctx->recover);
	} else {
		pop3_policy_recover_log(&ctx->recover, ctx->session->event,
					*change->state, &ctx->now, &recovery);
	}
	pp_state_free(*change->state);
	*change->state = recovery.state;
	if (pop3_policy_recover_book_with(&ctx->recover, change, error_r) < 0)
		return -1;
	return recovery.unchanged ? 0 : 1;
}

static void decide_recover_init(struct pop3_policy_decide *ctx)
{
	struct pop3_policy_recover *recover = &ctx->recover;
	struct client *client = ctx->session->client;

	i_zero(recover);
	recover->md = ctx->session->md;
	recover->deadline = ctx->deadline;
	recover->box = client->mailbox;
	recover->trans = client->trans;
	recover->now = ioloop_time;
	recover->pinned = pop3_policy_session_pins(ctx->session);
}

static int decide_change(struct pop3_policy_change *change, void *context,
			 const char **error_r)
{
	struct pop3_policy_decide *ctx = context;
	int ret;

	switch (ctx->action) {
	case PP_LOGIN_FIRST_SIGHT:
	case PP_LOGIN_ANEW:
		ret = decide_first(ctx, change, error_r);
		break;
	case PP_LOGIN_RECOVER:
		ret = decide_recover(ctx, change, error_r);
		break;
	default:
		ret = decide_texts(ctx, change, error_r);
		break;
	}
	if (ret > 0 && *change->state != NULL &&
	    pop3_policy_session_pins(ctx->session))
		pop3_policy_order_note(ctx->session->client, *change->state);
	if (ret >= 0)
		ctx->result = pp_state_copy(*change->state);
	return ret;
}

static int book_change(struct pop3_policy_change *change, void *context,
		       const char **error_r)
{
	struct pop3_policy_decide *ctx = context;
	struct pop3_policy_session *session = ctx->session;

	int ret;

	ret = pop3_policy_recover_book(&ctx->recover, change,
				       session->state->generation, error_r);
	if (ret > 0) {
		pp_state_free(session->state);
		session->state = pp_state_copy(*change->state);
	}
	return ret;
}

/* Stores what has to be stored before anything is shown. 0, or -1. */
int pop3_policy_decide_store(struct pop3_policy_decide *ctx,
			     const char **error_r)
{
	struct pop3_policy_session *session = ctx->session;
	const char *error;
	int ret;

	decide_recover_init(ctx);
	ret = pop3_policy_maildrop_change(session->md, ctx->deadline, TRUE,
					  FALSE, decide_change, ctx, error_r);
	if (ret < 0) {
		pp_state_free(ctx->result);
		ctx->result = NULL;
	} else {
		pp_state_free(session->state);
		session->state = ctx->result;
		session->pinned = pop3_policy_session_pins(session);
		/* a large ledger follows; where that fails it is caught up
		   at close */
		if (ctx->recover.identities != NULL) {
			(void)pop3_policy_maildrop_change(session->md,
				ctx->deadline, TRUE, FALSE, book_change, ctx,
				&error);
		}
	}
	pop3_policy_recover_clear(&ctx->recover);
	ctx->result = NULL;
	return ret < 0 ? -1 : 0;
}
