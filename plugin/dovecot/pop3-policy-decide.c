/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   INBOX is open, the state is there or will not come: what this session is.
   The core decides from the facts; what has to be stored before anything is
   shown is stored by pop3-policy-decide-store.c. */
#include "pop3-policy-compat.h"
#include "ioloop.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "pop3-policy-decide.h"
#include "pop3-policy-event.h"

#define REFUSED_REPLY \
	"[SYS/TEMP] The mailbox is not available at the moment, " \
	"try again later."

/* MESSAGE NULL: the line is another event's. */
static const char *
decide_refuse(struct pop3_policy_session *session, const char *reason,
	      const char *message)
{
	if (message != NULL)
		message = t_strconcat("Login refused: ", message, NULL);
	pop3_policy_event_login_refused(session->event, reason, message);
	return REFUSED_REPLY;
}

/* Without a state: the host's own UIDLs, as if there were no plugin. */
static const char *
decide_off(struct pop3_policy_session *session, const char *operation,
	   const char *error)
{
	pop3_policy_session_failed(session, operation, error,
		"this maildrop has no state yet, the session goes on with the "
		"host's own UIDLs and without policy");
	return NULL;
}

/* UIDLs by uid + 0 and the UIDVALIDITY, which the witness says they are. */
static const char *
decide_plain(struct pop3_policy_session *session,
	     const struct pp_mailbox_now *now, const char *operation,
	     const char *error)
{
	pop3_policy_session_failed(session, operation, error,
		"UIDLs are given by the witness beside the mailbox, nothing is "
		"removed");
	session->state = pp_state_new(&now->id, ioloop_time);
	session->plain = TRUE;
	session->pinned = pop3_policy_session_pins(session);
	return NULL;
}

static const char *decide_first_sight(struct pop3_policy_decide *ctx)
{
	struct pop3_policy_session *session = ctx->session;
	bool lost = ctx->lost_validity != 0 &&
		pop3_policy_session_pins(session);
	const char *error;

	if (pop3_policy_decide_store(ctx, &error) == 0) {
		if (ctx->action == PP_LOGIN_ANEW) {
			e_warning(session->event, "The dict had lost the "
				  "state of this maildrop: it was made anew "
				  "from the witness beside the mailbox. UIDLs "
				  "are what they were, all times start now");
		}
		return NULL;
	}
	if (ctx->action == PP_LOGIN_ANEW)
		return decide_plain(session, &ctx->now, "commit", error);
	if (lost) {
		/* the host's own are not what was shown */
		return decide_refuse(session, "commit", t_strdup_printf(
			"The dict had lost the state of this maildrop, and a "
			"new one could not be stored: %s (tried again at the "
			"next login)", error));
	}
	return decide_off(session, "commit", error);
}

/* The state fits. New mail may need an explicit UIDL. */
static const char *decide_serve(struct pop3_policy_decide *ctx)
{
	struct pop3_policy_session *session = ctx->session;
	const char *error;
	int ret;

	session->pinned = pop3_policy_session_pins(session);
	if (!session->pinned || (ctx->lost_validity == 0 &&
	    session->state->host_first == 0 &&
	    session->highest_uid <= session->state->mark))
		return NULL;
	/* only where there is one it is decided, under the write lock */
	ret = pop3_policy_decide_needs_sight(session, &error);
	if (ret > 0 || (ret == 0 && (ctx->lost_validity != 0 ||
				     session->state->host_first != 0))) {
		ctx->action = PP_LOGIN_SERVE;
		ret = pop3_policy_decide_store(ctx, &error);
	}
	if (ret == 0)
		return NULL;
	return decide_refuse(session, "commit", t_strdup_printf(
		"New mail needs UIDLs of its own, which could not be stored: "
		"%s (tried again at the next login)", error));
}

static const char *decide_recovery(struct pop3_policy_decide *ctx)
{
	struct pop3_policy_session *session = ctx->session;
	const char *error;

	if (pop3_policy_decide_store(ctx, &error) == 0)
		return session->absent ? NULL : decide_serve(ctx);
	if (ctx->guard_refused)
		return decide_refuse(session, "guard", NULL);
	if (!pop3_policy_session_pins(session)) {
		pop3_policy_session_failed(session, "commit", error,
			"what is known of this maildrop is not used in this "
			"session, nothing is removed");
		return NULL;
	}
	return decide_refuse(session, "commit", t_strdup_printf(
		"The mailbox changed, and the recovery of its UIDLs could not "
		"be stored: %s (tried again at the next login)", error));
}

static const char *
decide_refusal(struct pop3_policy_session *session, enum pp_refusal why,
	       const char *error)
{
	const char *reason = "", *message = "";
	const char *user = session->user->username;

	switch (why) {
	case PP_REFUSAL_NONE:
		i_unreached();
	case PP_REFUSAL_DAMAGED:
		reason = "damaged";
		message = t_strdup_printf(
			"The stored value cannot be read: priv/pop3-policy/%s "
			"(nothing is overwritten or removed; restore the key "
			"from a backup, or give it up with doveadm pop3 state "
			"delete -u %s)", error, user);
		break;
	case PP_REFUSAL_UNREACHABLE:
		reason = "unreachable";
		message = t_strdup_printf(
			"The dict is out of reach and this maildrop has UIDLs "
			"that only it knows: %s (tried again at the next "
			"login)", error);
		break;
	case PP_REFUSAL_LOST:
		reason = "lost";
		message = t_strdup_printf(
			"The dict has no state, but the witness beside the "
			"mailbox says that there was one (restore the dict; or "
			"accept the loss with doveadm pop3 uidl repair -u %s "
			"--accept-loss; where the account was made anew, "
			"doveadm pop3 state delete -u %s)", user, user);
		break;
	case PP_REFUSAL_OLDER:
		reason = "older";
		message = t_strdup_printf(
			"The dict is an older copy than the witness beside "
			"the mailbox knows (restore the newer one, or accept "
			"the loss with doveadm pop3 uidl repair -u %s "
			"--accept-loss)", user);
		break;
	}
	if (why == PP_REFUSAL_LOST || why == PP_REFUSAL_OLDER) {
		pop3_policy_event_guard(session->event, 0, 0, 0, TRUE,
			t_strconcat("Login refused: ", message, NULL));
		message = NULL;
	}
	return decide_refuse(session, reason, message);
}

/* With the guard on `log` a lost or older state is no reason to refuse. */
static void
decide_lost(struct pop3_policy_decide *ctx, const struct pp_state *state,
	    const struct pp_witness *witness, enum pp_refusal why)
{
	struct pop3_policy_session *session = ctx->session;

	if (session->set->guard_refuses ||
	    (why != PP_REFUSAL_LOST && why != PP_REFUSAL_OLDER))
		return;
	pop3_policy_event_guard(session->event, 0, 0, 0, FALSE,
		why == PP_REFUSAL_LOST ?
		"The dict has no state, but the witness beside the mailbox "
		"says that there was one: the state is made anew, since "
		"pop3_policy_uidl_guard is log" :
		"The dict is an older copy than the witness beside the mailbox "
		"knows: the session goes on with it, since "
		"pop3_policy_uidl_guard is log");
	ctx->lost_validity = I_MAX(witness->validity, 1);
	if (state == NULL)
		ctx->action = PP_LOGIN_FIRST_SIGHT;
	else if (pp_mailbox_changed(state, &ctx->now))
		ctx->action = PP_LOGIN_RECOVER;
	else
		ctx->action = PP_LOGIN_SERVE;
}

/* An older copy of the mailbox is there: UIDs that were shown in an outage, and
   could not be stored, are other mail's by now, or will be. */
static void
decide_repeats(struct pop3_policy_decide *ctx, const struct pp_state *state,
	       const struct pp_witness *witness)
{
	struct pop3_policy_session *session = ctx->session;

	e_warning(session->event, "The mailbox is an older copy: UIDs up to %u "
		  "were shown while nothing could be stored. Mail above UID "
		  "%u gets new UIDLs, and all times start again",
		  witness->shown, state->mark);
	session->shown_unstored = 0;
	ctx->older_copy = TRUE;
	ctx->lost_validity = witness->validity;
	ctx->action = pp_mailbox_changed(state, &ctx->now) ?
		PP_LOGIN_RECOVER : PP_LOGIN_SERVE;
}

/* Mail that had gone is there again under its UIDs, which its UIDLs go with.
   Its times are stored with what the session finds out. */
static void decide_brought_back(struct pop3_policy_decide *ctx,
				const struct pp_state *state)
{
	struct pop3_policy_session *session = ctx->session;

	if (ctx->action != PP_LOGIN_SERVE ||
	    !pp_mailbox_brought_back(state, &ctx->now))
		return;
	session->brought_back = TRUE;
	/* an older copy was told of */
	if (!ctx->older_copy) {
		ctx->brought_back =
			ctx->now.at_or_below_mark - state->count;
	}
}

static void
decide_lookup(struct pop3_policy_decide *ctx, enum pp_lookup *lookup_r,
	      struct pp_state **state_r, const char **error_r)
{
	struct pop3_policy_session *session = ctx->session;

	if (session->lookup_ret < 0) {
		*lookup_r = PP_LOOKUP_FAILED;
		*error_r = session->lookup_error != NULL ?
			session->lookup_error : "it cannot be opened";
		return;
	}
	*lookup_r = pop3_policy_maildrop_parse(session->md, ctx->deadline,
					       session->lookup_value, state_r,
					       NULL, error_r);
	/* the user's own policy came with it */
	session->set = session->md->set;
}

static const char *
decide_action(struct pop3_policy_decide *ctx, struct pp_state *state,
	      enum pp_refusal why, const char *error)
{
	struct pop3_policy_session *session = ctx->session;

	switch (ctx->action) {
	case PP_LOGIN_SERVE:
		session->state = state;
		return decide_serve(ctx);
	case PP_LOGIN_FIRST_SIGHT:
	case PP_LOGIN_ANEW:
		return decide_first_sight(ctx);
	case PP_LOGIN_RECOVER:
		pp_state_free(state);
		return decide_recovery(ctx);
	case PP_LOGIN_PLAIN:
		return decide_plain(session, &ctx->now, "lookup", error);
	case PP_LOGIN_OFF:
		return decide_off(session, "lookup", error);
	case PP_LOGIN_REFUSE:
		pp_state_free(state);
		return decide_refusal(session, why, error);
	case PP_LOGIN_REPEATS:
		break;	/* it became another one */
	}
	i_unreached();
}

/* What the core makes of the facts. 0, or -1 and *error_r. */
static int
decide_compare(struct pop3_policy_decide *ctx, enum pp_lookup lookup,
	       const struct pp_state *state, struct pp_witness *witness_r,
	       enum pp_refusal *why_r, const char **error_r)
{
	struct pop3_policy_session *session = ctx->session;
	struct client *client = session->client;

	i_zero(witness_r);
	if (session->md->files != NULL)
		pop3_policy_files_read_witness(session->md->files, witness_r);
	if (pop3_policy_mailbox_now(client->mailbox, client->trans, state,
				    &ctx->now, error_r) < 0)
		return -1;
	/* shown by an earlier session, or by one that came later */
	if (ctx->now.uidnext <= witness_r->shown) {
		ctx->now.uidnext =
			pop3_policy_mailbox_uidnext_now(client->mailbox);
	}
	ctx->action = pp_login_decide(lookup, state, witness_r, &ctx->now,
				      pop3_policy_session_pins(session),
				      why_r);
	return 0;
}

/* The witness is written after the state, and was read after it was looked up,
   as chunks of UIDLs are: another session may have stored both in between. */
static bool
decide_may_be_stale(const struct pop3_policy_decide *ctx, enum pp_refusal why)
{
	return ctx->action == PP_LOGIN_ANEW ||
		(ctx->action == PP_LOGIN_REFUSE &&
		 (why == PP_REFUSAL_LOST || why == PP_REFUSAL_OLDER ||
		  why == PP_REFUSAL_DAMAGED));
}

const char *pop3_policy_decide(struct pop3_policy_session *session)
{
	struct client *client = session->client;
	struct pop3_policy_decide ctx = {
		.session = session,
		.deadline = &session->deadline,
	};
	struct pp_state *state = NULL;
	struct pp_witness witness;
	enum pp_refusal why = PP_REFUSAL_NONE;
	enum pp_lookup lookup;
	const char *error = "", *box_error, *reason;
	int ret;

	decide_lookup(&ctx, &lookup, &state, &error);
	ret = decide_compare(&ctx, lookup, state, &witness, &why, &box_error);
	if (ret == 0 && decide_may_be_stale(&ctx, why)) {
		pp_state_free(state);
		state = NULL;
		lookup = pop3_policy_maildrop_load(session->md, ctx.deadline,
						   &state, &error);
		ret = decide_compare(&ctx, lookup, state, &witness, &why,
				     &box_error);
	}
	if (ret < 0) {
		pp_state_free(state);
		return decide_refuse(session, "mailbox", box_error);
	}
	if (witness.status == PP_WITNESS_THERE &&
	    witness.uidvalidity == ctx.now.id.uidvalidity)
		session->shown_unstored = witness.shown;
	if (ctx.action == PP_LOGIN_REFUSE)
		decide_lost(&ctx, state, &witness, why);
	else if (ctx.action == PP_LOGIN_REPEATS)
		decide_repeats(&ctx, state, &witness);
	decide_brought_back(&ctx, state);
	session->messages = ctx.now.messages;
	session->view_upto =
		mail_index_get_header(client->mailbox->view)->next_uid - 1;
	if (ctx.now.messages > 0) {
		mail_index_lookup_uid(client->mailbox->view, ctx.now.messages,
				      &session->highest_uid);
	}
	reason = decide_action(&ctx, state, why, error);
	if (reason == NULL && ctx.brought_back > 0) {
		e_warning(session->event, "%u messages that had gone are there "
			  "again: all times start again", ctx.brought_back);
	}
	return reason;
}
