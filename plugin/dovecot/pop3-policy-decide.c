/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   INBOX is open, the state is there or will not come: what this session is.
   The core decides from the facts; what has to be stored before anything is
   shown (a first state, explicit UIDLs, a recovery) is stored here, under the
   write lock and from what is stored by then. */
#include "pop3-policy-compat.h"
#include "ioloop.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "pop3-policy-event.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-session.h"

#define REFUSED_REPLY \
	"[SYS/TEMP] The mailbox is not available at the moment, " \
	"try again later."

struct decide_context {
	struct pop3_policy_session *session;
	const struct pop3_policy_deadline *deadline;
	enum pp_login_action action;
	struct pp_mailbox_now now;
	/* the state that was stored, or found stored */
	struct pp_state *result;
	/* the state was lost, or is an older copy, and the guard only logs: the
	   highest validity that the witness knows was used; else 0 */
	guint32 lost_validity;
	/* of a recovery: the identities of all messages, for the ledger */
	GArray *identities;
	bool guard_refused;
};

static bool session_is_pinned(const struct pop3_policy_session *session)
{
	return session->set->uidl != POP3_POLICY_UIDL_HOST;
}

static const char *
decide_refuse(struct pop3_policy_session *session, const char *reason,
	      const char *message)
{
	pop3_policy_event_login_refused(session->event, reason,
		t_strconcat("Login refused: ", message, NULL));
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
	session->pinned = session_is_pinned(session);
	return NULL;
}

/* What is stored by now must be about the mailbox that this session has open.
   0, or -1. */
static int
decide_same_mailbox(const struct decide_context *ctx,
		    const struct pp_state *state, const char **error_r)
{
	if (pp_mailbox_id_equal(&state->mailbox, &ctx->now.id))
		return 0;
	*error_r = "state: another session knows another mailbox";
	return -1;
}

/* What was stored after STATE is lost. The validities that it may have used are
   not used again. */
static void decide_skip_lost(struct decide_context *ctx, struct pp_state *state)
{
	if (ctx->lost_validity == 0)
		return;
	pp_state_use_validity(state, ctx->lost_validity);
	(void)pp_state_open_rule(state, state->mark + 1,
				 ctx->now.id.uidvalidity);
	ctx->lost_validity = 0;
}

static int
decide_first(struct decide_context *ctx, struct pop3_policy_change *change,
	     const char **error_r)
{
	struct pop3_policy_session *session = ctx->session;

	if (*change->state != NULL) {
		/* another session was faster */
		return decide_same_mailbox(ctx, *change->state, error_r);
	}
	*change->state = pp_state_new(&ctx->now.id, ioloop_time);
	decide_skip_lost(ctx, *change->state);
	if (session_is_pinned(session) &&
	    ctx->action == PP_LOGIN_FIRST_SIGHT &&
	    pop3_policy_sight(session, *change->state, TRUE, error_r) < 0)
		return -1;
	change->state_changed = TRUE;
	return 1;
}

static int
decide_texts(struct decide_context *ctx, struct pop3_policy_change *change,
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
		change->state_changed = TRUE;
	}
	ret = pop3_policy_sight(ctx->session, *change->state, FALSE, error_r);
	if (ret > 0)
		change->state_changed = TRUE;
	return ret < 0 ? -1 : change->state_changed;
}

/* TRUE: the login has to be refused. */
static bool decide_guard(struct decide_context *ctx,
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
		"login refused, nothing is removed. Bring the mail back "
		"(mount, doveadm force-resync, restore); where it is rightly "
		"gone, doveadm pop3 state delete" :
		"the session goes on, since pop3_policy_uidl_guard is log");
	pop3_policy_event_guard(session->event, old->count,
				recovery->recognised, recovery->lost, refuses,
				message);
	ctx->guard_refused = refuses;
	return refuses;
}

static bool ledger_has_headers(const GArray *ledger)
{
	guint i;

	for (i = 0; i < ledger->len; i++) {
		if (g_array_index(ledger, struct pp_identity, i).header != 0)
			return TRUE;
	}
	return FALSE;
}

/* Recognises messages, with their headers read or not. 0, or -1 and
   *error_r. */
static int
decide_recognise(struct decide_context *ctx, const struct pp_state *old,
		 const GArray *ledger, bool headers,
		 struct pp_recovery *recovery_r, const char **error_r)
{
	struct pop3_policy_session *session = ctx->session;
	struct client *client = session->client;

	g_array_set_size(ctx->identities, 0);
	if (pop3_policy_mailbox_identities(client->mailbox, client->trans, 1,
					   headers, NULL,
					   ctx->identities) < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(
						client->mailbox, NULL));
		return -1;
	}
	pp_recover(old, ledger, ctx->identities, &ctx->now, ioloop_time,
		   session_is_pinned(session), recovery_r);
	return 0;
}

/* Storage ids and GUIDs are at hand. Only where they do not tell what became of
   shown messages all headers are read. */
static int
decide_match(struct decide_context *ctx, const struct pp_state *old,
	     struct pp_recovery *recovery_r, unsigned int *left_out_r,
	     const char **error_r)
{
	g_autoptr(GArray) ledger =
		pop3_policy_book_read(ctx->session->md, ctx->deadline, old,
				      left_out_r, error_r);

	if (ledger == NULL)
		return -1;
	if (ctx->identities == NULL) {
		ctx->identities = g_array_new(FALSE, FALSE,
					      sizeof(struct pp_identity));
	}
	if (decide_recognise(ctx, old, ledger, FALSE, recovery_r,
			     error_r) < 0)
		return -1;
	if (recovery_r->unchanged || recovery_r->lost == 0 ||
	    recovery_r->recognised == ctx->identities->len ||
	    !ledger_has_headers(ledger))
		return 0;
	pp_state_free(recovery_r->state);
	return decide_recognise(ctx, old, ledger, TRUE, recovery_r, error_r);
}

static void decide_log_recovery(struct decide_context *ctx,
				const struct pp_state *old,
				const struct pp_recovery *recovery,
				unsigned int left_out)
{
	e_info(ctx->session->event, "The mailbox changed (UIDVALIDITY %u -> "
	       "%u): %u of %u shown messages are recognised and keep their "
	       "UIDLs%s%s", old->mailbox.uidvalidity, ctx->now.id.uidvalidity,
	       recovery->recognised, old->count, recovery->older_copy ?
	       "; an older copy was brought back, all times start again" : "",
	       left_out > 0 ? "; parts of the ledger could not be used" : "");
}

static int
decide_recover(struct decide_context *ctx, struct pop3_policy_change *change,
	       const char **error_r)
{
	struct client *client = ctx->session->client;
	struct pp_recovery recovery;
	unsigned int left_out;

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
	if (decide_match(ctx, *change->state, &recovery, &left_out,
			 error_r) < 0)
		return -1;
	if (!recovery.unchanged && session_is_pinned(ctx->session) &&
	    decide_guard(ctx, *change->state, &recovery)) {
		pp_state_free(recovery.state);
		*error_r = "the guard refused";
		return -1;
	}
	change->state_changed = !recovery.unchanged;
	if (recovery.unchanged) {
		/* only mail that was expunged: nothing to store */
		g_array_unref(ctx->identities);
		ctx->identities = NULL;
	} else {
		decide_log_recovery(ctx, *change->state, &recovery, left_out);
	}
	pp_state_free(*change->state);
	*change->state = recovery.state;
	return recovery.unchanged ? 0 : 1;
}

static int decide_change(struct pop3_policy_change *change, void *context,
			 const char **error_r)
{
	struct decide_context *ctx = context;
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
	if (ret >= 0)
		ctx->result = pp_state_copy(*change->state);
	return ret;
}

static int book_change(struct pop3_policy_change *change, void *context,
		       const char **error_r)
{
	struct decide_context *ctx = context;
	struct pop3_policy_session *session = ctx->session;

	if (*change->state == NULL || ctx->identities->len == 0 ||
	    (*change->state)->generation != session->state->generation)
		return 0;
	(*change->state)->ledger_chunks = 0;
	if (pop3_policy_book_append(session->md, ctx->deadline, change,
				    session->client->mailbox, ctx->identities,
				    (*change->state)->mark, error_r) < 0)
		return -1;
	change->state_changed = TRUE;
	pp_state_free(session->state);
	session->state = pp_state_copy(*change->state);
	return 1;
}

/* Stores what has to be stored before anything is shown. 0, or -1. */
static int decide_store(struct decide_context *ctx, const char **error_r)
{
	struct pop3_policy_session *session = ctx->session;
	const char *error;
	int ret;

	ret = pop3_policy_maildrop_change(session->md, ctx->deadline, TRUE,
					  FALSE, decide_change, ctx, error_r);
	if (ret < 0) {
		pp_state_free(ctx->result);
		ctx->result = NULL;
	} else {
		pp_state_free(session->state);
		session->state = ctx->result;
		session->pinned = session_is_pinned(session);
		/* the ledger follows; where that fails it is caught up at
		   close */
		if (ctx->identities != NULL) {
			(void)pop3_policy_maildrop_change(session->md,
				ctx->deadline, TRUE, FALSE, book_change, ctx,
				&error);
		}
	}
	if (ctx->identities != NULL)
		g_array_unref(ctx->identities);
	ctx->identities = NULL;
	ctx->result = NULL;
	return ret < 0 ? -1 : 0;
}

static const char *decide_first_sight(struct decide_context *ctx)
{
	struct pop3_policy_session *session = ctx->session;
	const char *error;

	if (decide_store(ctx, &error) == 0) {
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
	return decide_off(session, "commit", error);
}

/* The state fits. New mail may need an explicit UIDL. */
static const char *decide_serve(struct decide_context *ctx)
{
	struct pop3_policy_session *session = ctx->session;
	struct pp_state *copy;
	const char *error;
	int ret = 0;

	session->pinned = session_is_pinned(session);
	if (!session->pinned || (ctx->lost_validity == 0 &&
	    session->highest_uid <= session->state->mark))
		return NULL;
	/* asked of a copy: only where there is one it is decided for good,
	   under the write lock */
	copy = pp_state_copy(session->state);
	ret = pop3_policy_sight(session, copy, FALSE, &error);
	pp_state_free(copy);
	if (ret > 0 || (ret == 0 && ctx->lost_validity != 0)) {
		ctx->action = PP_LOGIN_SERVE;
		ret = decide_store(ctx, &error);
	}
	if (ret == 0)
		return NULL;
	return decide_refuse(session, "commit", t_strdup_printf(
		"New mail needs UIDLs of its own, which could not be stored: "
		"%s (tried again at the next login)", error));
}

static const char *decide_recovery(struct decide_context *ctx)
{
	struct pop3_policy_session *session = ctx->session;
	const char *error;

	if (decide_store(ctx, &error) == 0)
		return decide_serve(ctx);
	if (ctx->guard_refused)
		return REFUSED_REPLY;
	if (!session_is_pinned(session)) {
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

	switch (why) {
	case PP_REFUSAL_NONE:
		i_unreached();
	case PP_REFUSAL_DAMAGED:
		reason = "damaged";
		message = t_strdup_printf(
			"The stored value cannot be read: priv/pop3-policy/%s "
			"(nothing is overwritten or removed; restore the key "
			"from a backup, or give it up with doveadm pop3 state "
			"delete)", error);
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
		message = "The dict has no state, but the witness beside the "
			"mailbox says that there was one (restore the dict; "
			"where the account was made anew, doveadm pop3 state "
			"delete)";
		break;
	case PP_REFUSAL_OLDER:
		reason = "older";
		message = "The dict is an older copy than the witness beside "
			"the mailbox knows (restore the newer one, or give it "
			"up with doveadm pop3 state delete)";
		break;
	}
	return decide_refuse(session, reason, message);
}

/* With the guard on `log` a lost or older state is no reason to refuse. */
static void
decide_lost(struct decide_context *ctx, const struct pp_state *state,
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

static void decide_lookup(struct decide_context *ctx, enum pp_lookup *lookup_r,
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
					       error_r);
	/* the user's own policy came with it */
	session->set = session->md->set;
}

static const char *
decide_action(struct decide_context *ctx, struct pp_state *state,
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
	}
	i_unreached();
}

const char *pop3_policy_decide(struct pop3_policy_session *session)
{
	struct client *client = session->client;
	struct decide_context ctx = {
		.session = session,
		.deadline = &session->deadline,
	};
	struct pp_state *state = NULL;
	struct pp_witness witness;
	enum pp_refusal why = PP_REFUSAL_NONE;
	enum pp_lookup lookup;
	const char *error = "", *box_error;

	decide_lookup(&ctx, &lookup, &state, &error);
	i_zero(&witness);
	if (session->md->files != NULL)
		pop3_policy_files_read_witness(session->md->files, &witness);
	if (pop3_policy_mailbox_now(client->mailbox, client->trans, state,
				    &ctx.now, &box_error) < 0) {
		pp_state_free(state);
		return decide_refuse(session, "unreachable", box_error);
	}
	ctx.action = pp_login_decide(lookup, state, &witness, &ctx.now,
				     session_is_pinned(session), &why);
	if (witness.status == PP_WITNESS_THERE &&
	    witness.uidvalidity == ctx.now.id.uidvalidity)
		session->shown_unstored = witness.shown;
	if (ctx.action == PP_LOGIN_REFUSE)
		decide_lost(&ctx, state, &witness, why);
	session->messages = ctx.now.messages;
	if (ctx.now.messages > 0) {
		mail_index_lookup_uid(client->mailbox->view, ctx.now.messages,
				      &session->highest_uid);
	}
	return decide_action(&ctx, state, why, error);
}
