/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What a session found out becomes stored: ledger and mark before new UIDs are
   shown; all else when the client is gone. */
#include "pop3-policy-compat.h"
#include "ioloop.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "master-service.h"
#include "ostream.h"
#include "pop3-policy-book.h"
#include "pop3-policy-event.h"
#include "pop3-policy-header.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-removal.h"
#include "pop3-policy-session.h"

/* Collecting the identities of a maildrop's first sight may take long: at UIDL
   this part of the deadline is spent on it, the rest is done at close. */
#define STORE_NEW_COLLECT_DIVISOR 4
/* Header hashes are noted for this many of the messages that a session
   retrieved: each is a file that has to be opened again. */
#define CLOSE_HEADERS_MAX 250
/* times of gone messages are forgotten once there are so many runs of a kind */
#define CLOSE_PRUNE_RUNS (PP_RUNS_MAX / 8)
/* a removal at close stops after this */
#define CLOSE_REMOVAL_MSECS 2000

struct close_context {
	struct pop3_policy_session *session;
	const struct pop3_policy_deadline *deadline;
	/* the state that the facts are about */
	const struct pp_state *base;
	struct pp_facts facts;
	/* identities for the ledger, up to which UID, and the mailbox that
	   they were taken from */
	GArray *identities;
	guint32 identities_upto;
	struct mailbox *box;
	/* header hashes of what was retrieved (struct pp_identity) */
	GArray *headers;
	struct pp_shown shown[PP_SHOWN_MAX];
	bool want_state, usage_unreadable;
	/* the merged state, for the removal that may follow */
	struct pp_state *state;
};

/* Identities of what the ledger does not have yet, for as long as DEADLINE
   lasts. */
static void
close_collect(struct close_context *ctx,
	      struct mailbox_transaction_context *trans,
	      const struct pop3_policy_deadline *deadline)
{
	struct pop3_policy_session *session = ctx->session;
	const struct pp_identity *last;
	int ret;

	ret = pop3_policy_mailbox_identities(ctx->box, trans,
					     ctx->base->ledger_upto + 1,
					     POP3_POLICY_READ_ONCE, deadline,
					     ctx->identities);
	ctx->identities_upto = ctx->base->ledger_upto;
	/* what came after this session's view is for the next one */
	while (ctx->identities->len > 0) {
		last = &g_array_index(ctx->identities, struct pp_identity,
				      ctx->identities->len - 1);
		if (last->uid <= session->highest_uid) {
			ctx->identities_upto = last->uid;
			break;
		}
		g_array_set_size(ctx->identities, ctx->identities->len - 1);
		ret = 1;
	}
	if (ret > 0)
		ctx->identities_upto = session->highest_uid;
	ctx->facts.shown = ctx->shown;
	ctx->facts.shown_count = pp_shown_last(ctx->identities, ctx->shown);
}

/* Header hashes of what this session retrieved, by which it is recognised once
   storage id and GUID are others. */
static void
close_collect_headers(struct close_context *ctx,
		      struct mailbox_transaction_context *trans,
		      const struct pop3_policy_deadline *deadline)
{
	struct pop3_policy_session *session = ctx->session;
	struct mail *mail = mail_alloc(trans, 0, NULL);
	struct pp_identity identity;
	const struct pp_run *run;
	uint32_t seq, seq1, seq2;
	guint i, count = pp_runs_count(session->retrieved);

	for (i = 0; i < count && ctx->headers->len < CLOSE_HEADERS_MAX; i++) {
		run = pp_runs_at(session->retrieved, i);
		if (!mail_index_lookup_seq_range(ctx->box->view, run->first,
						 run->last, &seq1, &seq2))
			continue;
		for (seq = seq1; seq <= seq2 &&
		     ctx->headers->len < CLOSE_HEADERS_MAX &&
		     pop3_policy_deadline_left(deadline) > 0; seq++) T_BEGIN {
			mail_set_seq(mail, seq);
			i_zero(&identity);
			identity.uid = mail->uid;
			identity.header = pop3_policy_mail_header_hash(mail);
			if (identity.header != 0)
				g_array_append_val(ctx->headers, identity);
		} T_END;
	}
	mail_free(&mail);
}

static void close_facts_init(struct close_context *ctx)
{
	struct pop3_policy_session *session = ctx->session;
	struct pp_facts *facts = &ctx->facts;

	facts->generation = ctx->base->generation;
	facts->now = ioloop_time;
	facts->mark = session->highest_uid;
	facts->host_uidls = session->set->uidl == POP3_POLICY_UIDL_HOST;
	facts->count = G_MAXUINT32;
	facts->view_upto = session->view_upto;
	facts->brought_back = session->brought_back;
	facts->seen_upto = session->highest_uid;
	facts->first_seen = session->start_time;
}

/* Times of messages that are gone, once there are many: a client that deletes
   what it downloads leaves some at each session. */
static void close_prune(struct close_context *ctx, struct pp_state *state)
{
	GArray *uids;

	if (ctx->box == NULL ||
	    (pp_runs_count(state->first_seen) < CLOSE_PRUNE_RUNS &&
	     pp_runs_count(state->retrieved) < CLOSE_PRUNE_RUNS &&
	     pp_runs_count(state->deleted) < CLOSE_PRUNE_RUNS))
		return;
	uids = pop3_policy_mailbox_uids(ctx->box);
	pp_state_prune_upto(state, (const guint32 *)(void *)uids->data,
			    uids->len, ctx->session->highest_uid);
	g_array_unref(uids);
}

static int close_change(struct pop3_policy_change *change, void *context,
			const char **error_r)
{
	struct close_context *ctx = context;
	struct pop3_policy_session *session = ctx->session;
	guint32 generation;
	struct pp_state *state;

	if (pop3_policy_change_count(change, session->id, &session->counters,
				     session->counters.value[PP_LAST_SESSION],
				     error_r) < 0)
		return -1;
	ctx->usage_unreadable = change->usage_unreadable;
	if (!ctx->want_state)
		return 1;
	state = *change->state;
	if (state == NULL) {
		*error_r = "state: is gone";
		return -1;
	}
	generation = ctx->base->generation;
	if (state->generation == generation && ctx->identities->len > 0 &&
	    state->ledger_upto < ctx->identities_upto &&
	    state->ledger_upto == ctx->base->ledger_upto) {
		if (pop3_policy_book_append(session->md, ctx->deadline, change,
					    ctx->box, ctx->identities,
					    ctx->identities_upto,
					    error_r) < 0)
			return -1;
		change->state_changed = TRUE;
	}
	if (state->generation == generation &&
	    pop3_policy_book_note_headers(session->md, ctx->deadline, change,
					  ctx->headers, error_r) < 0)
		return -1;
	if (pp_state_merge(state, &ctx->facts)) {
		pp_retention_note_facts(state, &session->set->policy,
					&ctx->facts);
		change->state_changed = TRUE;
	}
	if (pop3_policy_grace_note_flag(session, state))
		change->state_changed = TRUE;
	if (change->state_changed)
		close_prune(ctx, state);
	ctx->state = pp_state_copy(state);
	return 1;
}

/* Collects what is stored of new UIDs before they are shown. BASE: the state
   that this session works with. */
static void store_new_init(struct close_context *ctx,
			   struct pop3_policy_session *session,
			   const struct pop3_policy_deadline *deadline,
			   const struct pp_state *base)
{
	/* what is left has to do for the commit */
	struct pop3_policy_deadline collect = pop3_policy_deadline_in(
		I_MIN(session->set->dict_timeout_msecs /
		      STORE_NEW_COLLECT_DIVISOR,
		      pop3_policy_deadline_left(deadline) / 2));

	i_zero(ctx);
	ctx->session = session;
	ctx->deadline = deadline;
	ctx->base = base;
	ctx->want_state = TRUE;
	ctx->box = session->client->mailbox;
	ctx->identities = g_array_new(FALSE, FALSE,
				      sizeof(struct pp_identity));
	ctx->headers = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	close_facts_init(ctx);
	/* never behind the mark, should this session not come to its end */
	ctx->facts.count = session->messages;
	close_collect(ctx, session->client->trans, &collect);
}

static void close_context_deinit(struct close_context *ctx)
{
	pp_state_free(ctx->state);
	g_array_unref(ctx->identities);
	g_array_unref(ctx->headers);
}

int pop3_policy_store_new_with(struct pop3_policy_session *session,
			       const struct pop3_policy_deadline *deadline,
			       struct pop3_policy_change *change,
			       const char **error_r)
{
	struct close_context ctx;
	int ret;

	if (session->highest_uid <= (*change->state)->mark ||
	    session->highest_uid - (*change->state)->mark >
	    POP3_POLICY_BOOK_WITH_LOGIN_MAX ||
	    pop3_policy_store_has_ledger_dict(session->md->store))
		return 0;
	store_new_init(&ctx, session, deadline, *change->state);
	ret = close_change(change, &ctx, error_r);
	close_context_deinit(&ctx);
	return ret < 0 ? -1 : 0;
}

void pop3_policy_store_new(struct pop3_policy_session *session)
{
	struct pop3_policy_deadline deadline;
	struct close_context ctx;
	const char *error;

	/* a first state, or a recovered one, may have no ledger yet */
	if (session->new_stored ||
	    session->highest_uid <= (session->state->ledger_upto == 0 ? 0 :
				     session->state->mark))
		return;
	session->new_stored = TRUE;
	deadline = pop3_policy_deadline_in(session->set->dict_timeout_msecs);
	if (session->plain) {
		pop3_policy_maildrop_shown(session->md, &deadline,
					   session->highest_uid);
		return;
	}
	store_new_init(&ctx, session, &deadline, session->state);
	if (pop3_policy_maildrop_change(session->md, &deadline, TRUE, FALSE,
					close_change, &ctx, &error) < 0) {
		pop3_policy_session_failed(session, "commit", error,
			"new mail is shown by the rule that was stored before, "
			"and noted in a later session");
		pop3_policy_maildrop_shown(session->md, &deadline,
					   session->highest_uid);
	} else if (ctx.state != NULL &&
		   ctx.state->generation == session->state->generation) {
		pp_state_free(session->state);
		session->state = ctx.state;
		ctx.state = NULL;
	}
	close_context_deinit(&ctx);
}

/* INBOX again: the client's was freed with it. */
static struct mailbox *
close_open_inbox(struct pop3_policy_session *session,
		 struct mailbox_transaction_context **trans_r)
{
	struct mail_namespace *ns =
		mail_namespace_find_inbox(session->user->namespaces);
	struct mailbox *box = mailbox_alloc(ns->list, "INBOX",
		MAILBOX_FLAG_READONLY | MAILBOX_FLAG_IGNORE_ACLS);
	struct pp_mailbox_id id;
	const char *error;

	if (mailbox_open(box) < 0 ||
	    pop3_policy_mailbox_id(box, &id, &error) < 0 ||
	    !pp_mailbox_id_equal(&id, &session->state->mailbox)) {
		mailbox_free(&box);
		return NULL;
	}
	*trans_r = mailbox_transaction_begin(box, 0, __func__);
	return box;
}

/* A failed commit's numbers, in the form that `usage replay` reads. */
static void close_log_usage(struct pop3_policy_session *session)
{
	g_autofree char *line = pp_usage_line_print(session->user->username,
		session->id, session->counters.value[PP_LAST_SESSION],
		&session->counters);

	e_error(session->event, "%s", line);
}

/* One that this session's facts are about. */
static bool close_has_state(const struct pop3_policy_session *session)
{
	return session->state != NULL && !session->plain && !session->absent;
}

static bool close_has_facts(struct pop3_policy_session *session)
{
	const struct pp_state *state = session->state;

	return session->highest_uid > state->mark ||
		session->highest_uid > state->ledger_upto ||
		pp_runs_count(session->retrieved) > 0 ||
		pp_runs_count(session->deleted) > 0 ||
		session->relisted != NULL ||
		session->messages != state->count || session->brought_back ||
		pop3_policy_grace_flag_changed(session, state);
}

/* Collecting leaves time for the commit. */
static void close_collect_all(struct close_context *ctx,
			      struct mailbox_transaction_context *trans)
{
	struct pop3_policy_deadline collect =
		pop3_policy_deadline_in(
			pop3_policy_deadline_left(ctx->deadline) / 2);

	if (ctx->session->highest_uid > ctx->session->state->ledger_upto)
		close_collect(ctx, trans, &collect);
	if (ctx->session->pinned)
		close_collect_headers(ctx, trans, &collect);
}

static void close_merge(struct pop3_policy_session *session,
			struct close_context *ctx)
{
	struct mailbox_transaction_context *trans = NULL;
	const char *error;
	int ret;

	if (close_has_state(session)) {
		close_facts_init(ctx);
		ctx->facts.count = session->messages;
		ctx->facts.retrieved = session->retrieved;
		ctx->facts.deleted = session->deleted;
		ctx->facts.relisted = session->relisted;
		ctx->want_state = close_has_facts(session);
		if ((session->highest_uid > session->state->ledger_upto ||
		     pp_runs_count(session->retrieved) > 0) &&
		    !pop3_policy_store_has_failed(session->md->store)) {
			ctx->box = close_open_inbox(session, &trans);
			if (ctx->box != NULL)
				close_collect_all(ctx, trans);
		}
	}
	if (!ctx->want_state && !session->set->usage)
		return;
	ret = pop3_policy_maildrop_change(session->md, ctx->deadline,
					  ctx->want_state,
					  session->set->usage, close_change,
					  ctx, &error);
	if (ret < 0) {
		pop3_policy_session_failed(session, "commit", error,
			"what this session retrieved counts as not retrieved "
			"and is kept longer");
	}
	if (session->set->usage && (ret < 0 || ctx->usage_unreadable))
		close_log_usage(session);
	if (ctx->box != NULL) {
		mailbox_transaction_rollback(&trans);
		mailbox_free(&ctx->box);
	}
}

/* This process was asked to end, or the server was: a session may go on for half
   a minute after that, until its process is, too. After a reload the new master
   process is not this one's, and it is left to a later session. */
static bool close_server_ends(void)
{
	return master_service_is_killed(master_service) ||
		master_service_is_master_stopped(master_service);
}

/* Retention, if it is due and nobody else looks. */
static void close_remove(struct pop3_policy_session *session,
			 const struct pp_state *state)
{
	struct pop3_policy_removal_params params = {
		.by = "session",
		.id = session->id,
		.now = ioloop_time,
		.budget_msecs = CLOSE_REMOVAL_MSECS,
	};
	struct pop3_policy_removal_result result;
	const char *error;

	if (session->set->removal == POP3_POLICY_REMOVAL_NO ||
	    !pp_retention_is_due(state, &session->set->policy, ioloop_time) ||
	    close_server_ends())
		return;
	if (pop3_policy_removal_run(session->md, &params, &result,
				    &error) < 0) {
		e_error(session->event, "Removal stopped: %s (what is due "
			"stays until a later pass)", error);
	}
}

void pop3_policy_close(struct pop3_policy_session *session)
{
	struct pop3_policy_deadline deadline;
	struct close_context ctx;
	const struct pp_state *state;

	if (!session->accepted)
		return;
	session->counters.value[PP_OUT_BYTES] = session->output->offset -
		o_stream_get_buffer_used_size(session->output);
	pop3_policy_grace_close(session);
	deadline = pop3_policy_deadline_in(session->set->dict_timeout_msecs);
	i_zero(&ctx);
	ctx.session = session;
	ctx.deadline = &deadline;
	ctx.base = session->state;
	ctx.identities = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	ctx.headers = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	if (session->md->store != NULL)
		close_merge(session, &ctx);
	else if (session->set->usage)
		close_log_usage(session);
	state = ctx.state != NULL ? ctx.state : session->state;
	if (close_has_state(session) && session->md->store != NULL &&
	    !pop3_policy_store_has_failed(session->md->store))
		close_remove(session, state);
	close_context_deinit(&ctx);
	pop3_policy_event_session_finished(session->event,
					   session->id,
					   &session->counters);
}
