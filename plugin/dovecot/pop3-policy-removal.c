/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-removal.h. Each batch is a pass of its own: lock, read the
   state, synchronise, judge, expunge, log, commit, unlock. So whatever a
   session did between two batches is known to the second one, and whatever
   stops a pass stops it between two complete steps. */
#include "pop3-policy-compat.h"
#include "lib-signals.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "master-service.h"
#include "pop3-policy-event.h"
#include "pop3-policy-judge.h"
#include "pop3-policy-removal-private.h"

#include <sys/stat.h>

static void removal_gone_clear(void *data)
{
	struct removal_gone *gone = data;

	i_free(gone->uidl);
}

static void removal_log(struct removal *r)
{
	const struct removal_gone *gone;
	guint i;

	for (i = 0; i < r->gone->len; i++) {
		gone = &g_array_index(r->gone, struct removal_gone, i);
		pop3_policy_trace_removed(r->trace, gone->uidl,
					  &gone->verdict, r->result->dry_run);
	}
}

static void removal_count(struct removal *r)
{
	const struct pp_verdict *verdict;
	guint i;

	for (i = 0; i < r->gone->len; i++) {
		verdict = &g_array_index(r->gone, struct removal_gone,
					 i).verdict;
		r->counters.value[PP_REMOVED_COUNT]++;
		r->counters.value[PP_REMOVED_BYTES] += verdict->size_bytes;
		r->result->by_rule[verdict->rule]++;
	}
	r->result->messages += r->counters.value[PP_REMOVED_COUNT];
	r->result->bytes += r->counters.value[PP_REMOVED_BYTES];
}

/* What was picked stays after all: it waits for the next pass, or else every
   session would try, and fail, again. */
static void removal_turn_back(struct removal *r)
{
	struct pp_verdict *verdict;
	guint i;

	for (i = 0; i < r->verdicts->len; i++) {
		verdict = &g_array_index(r->verdicts, struct pp_verdict, i);
		if (verdict->goes_now) {
			verdict->goes_now = FALSE;
			verdict->waits = TRUE;
		}
	}
	g_array_set_size(r->gone, 0);
}

/* Expunges and logs one batch. The lines come once the transaction is
   committed and before the synchronisation that takes the files away: from
   there on nothing but a later synchronisation is needed, by whomever. Logged
   before the commit, a full disk or a lazy_expunge over quota would make each
   pass tell of removals that never were, again and again. A process killed
   in between loses lines; that is a moment without any waiting in it. */
static int removal_expunge(struct removal *r, const char **error_r)
{
	unsigned int count;
	int ret = 0;

	pop3_policy_removal_pick(r);
	count = r->gone->len;
	/* a maildir's expunges would fail one by one, with success at last */
	if (count > 0 && !r->result->dry_run && mailbox_is_readonly(r->box)) {
		*error_r = t_strdup_printf(
			"INBOX is read-only, %u messages stay", count);
		mailbox_transaction_rollback(&r->trans);
		removal_turn_back(r);
		return -1;
	}
	if (mailbox_transaction_commit(&r->trans) < 0) {
		*error_r = t_strdup_printf(
			"Removing %u messages failed, they stay: %s", count,
			mailbox_get_last_internal_error(r->box, NULL));
		removal_turn_back(r);
		ret = -1;
	}
	removal_log(r);
	removal_count(r);
	if (r->result->dry_run) {
		/* it is all still there */
		removal_turn_back(r);
	} else if (ret == 0 && count > 0 && mailbox_sync(r->box, 0) < 0) {
		*error_r = t_strdup_printf(
			"Removed messages are still to be taken from the disk: "
			"%s", mailbox_get_last_internal_error(r->box, NULL));
		ret = -1;
	}
	return ret;
}

static uint64_t removal_count_going(const GArray *verdicts, bool waiting)
{
	const struct pp_verdict *verdict;
	uint64_t count = 0;
	guint i;

	for (i = 0; i < verdicts->len; i++) {
		verdict = &g_array_index(verdicts, struct pp_verdict, i);
		if (waiting ? verdict->waits : verdict->goes_now)
			count++;
	}
	return count;
}

static bool removal_is_killed(struct removal *r)
{
	if (signal_term_counter != r->signals ||
	    master_service_is_killed(master_service))
		r->killed = TRUE;
	return r->killed;
}

/* Stops before a batch: what the one before it noted was to wait a day. */
static int removal_stop(struct removal *r, const char **error_r)
{
	r->result->stopped = TRUE;
	return r->batches == 0 ? 0 : pop3_policy_removal_commit(r, error_r);
}

/* Judges and removes in the state and the mailbox as they are now. Returns 1
   if there is more to do, 0 if not, -1 and *error_r. */
static int removal_judged(struct removal *r, const char **error_r)
{
	const char *error;
	int ret;

	if (removal_is_killed(r))
		return removal_stop(r, error_r);
	r->trans = mailbox_transaction_begin(r->box, 0, "pop3-policy removal");
	ret = pop3_policy_judge(r->md, r->box, r->trans, r->state,
				r->params->now, FALSE, &r->verdicts,
				&r->result->clock_back, error_r);
	if (ret <= 0) {
		r->result->changed = ret == 0;
		mailbox_transaction_rollback(&r->trans);
		return ret;
	}
	if (r->batches == 0) {
		r->allowed = removal_count_going(r->verdicts, FALSE);
		r->was_told = r->state->pass_told &&
			pp_retention_pass_goes_on(r->state, r->params->now);
	}
	r->batches++;
	r->left_for_removal = pop3_policy_deadline_left(&r->quick);
	r->result->waiting = removal_count_going(r->verdicts, TRUE);
	ret = removal_expunge(r, error_r);
	(void)removal_is_killed(r);
	if (!r->result->dry_run)
		r->result->waiting = removal_count_going(r->verdicts, TRUE);
	/* what was removed is counted in any case */
	if (pop3_policy_removal_commit(r, &error) < 0) {
		*error_r = ret == 0 ? error :
			t_strdup_printf("%s; %s", *error_r, error);
		ret = -1;
	}
	if (ret < 0)
		return -1;
	return r->allowed > 0 && r->gone->len > 0 ? 1 : 0;
}

static bool removal_is_off(const struct removal *r)
{
	const struct pop3_policy_settings *set = r->md->set;

	return !pp_policy_has_rules(&set->policy) ||
		(set->removal == POP3_POLICY_REMOVAL_NO && !r->params->dry_run);
}

/* The state, if there is something to do. 1, 0, or -1 and *error_r. */
static int removal_load(struct removal *r, const char **error_r)
{
	struct pop3_policy_deadline deadline =
		pop3_policy_deadline_in(r->md->set->dict_timeout_msecs);

	switch (pop3_policy_maildrop_load(r->md, &deadline, &r->state,
					  error_r)) {
	case PP_LOOKUP_FOUND:
		break;
	case PP_LOOKUP_NOTHING:
		return 0;
	case PP_LOOKUP_FAILED:
	case PP_LOOKUP_DAMAGED:
		return -1;
	}
	/* by what the user's own policy is by now */
	if (removal_is_off(r))
		return 0;
	r->result->dry_run = r->params->dry_run ||
		r->md->set->removal == POP3_POLICY_REMOVAL_DRY_RUN;
	return r->params->force || r->batches > 0 ||
		pp_retention_is_due(r->state, &r->md->set->policy,
				    r->params->now) ? 1 : 0;
}

static int removal_sync(struct removal *r, const char **error_r)
{
	if (r->box == NULL)
		return pop3_policy_judge_open(r->md->user, &r->box, error_r);
	/* All that this process changed since it opened INBOX the host knows,
	   and it sees what others do: it lists a maildir again only then. */
	if (mailbox_sync(r->box, 0) < 0) {
		*error_r = t_strdup_printf("INBOX cannot be synchronised: %s",
			mailbox_get_last_internal_error(r->box, NULL));
		return -1;
	}
	return 1;
}

static void removal_batch_free(struct removal *r)
{
	pp_state_free(r->state);
	r->state = NULL;
	if (r->verdicts != NULL)
		g_array_unref(r->verdicts);
	r->verdicts = NULL;
	if (r->gone != NULL)
		g_array_set_size(r->gone, 0);
	i_zero(&r->counters);
}

/* One batch. Returns 1 if there is more to do, 0 if not, -1 and *error_r. */
static int removal_batch(struct removal *r, const char **error_r)
{
	int ret;

	ret = pop3_policy_files_look_alone(r->md->files, error_r);
	if (ret <= 0) {
		r->result->busy = ret == 0;
		return ret;
	}
	ret = removal_load(r, error_r);
	if (ret > 0)
		ret = removal_sync(r, error_r);
	if (ret == 0)
		r->result->skipped = r->batches == 0;
	if (ret > 0)
		ret = removal_judged(r, error_r);
	removal_batch_free(r);
	pop3_policy_files_look_release(r->md->files);
	return ret;
}

/* A batch costs a look at all messages, however few it removes, and after it
   the host may write its cache anew. So the next one is to take as long as a
   quick one may: a look as this one's, and messages at the pace of this one's.
   No batch is made for the rest alone: at most twice as long is quick, too. */
static uint64_t removal_next_max(const struct removal *r)
{
	uint64_t left = pop3_policy_deadline_left(&r->quick), max;

	if (left == 0)
		return PP_REMOVAL_BATCH;
	max = r->batch_max * r->left_for_removal /
		(r->left_for_removal - left + 1);
	if (r->allowed <= 2 * max)
		max = r->allowed;
	return CLAMP(max, PP_REMOVAL_BATCH, PP_REMOVAL_BATCH_MAX);
}

static int removal_timed_batch(struct removal *r, const char **error_r)
{
	int ret;

	r->quick = pop3_policy_deadline_in(PP_REMOVAL_BATCH_QUICK_MSECS);
	/* a batch may end before it knows; more than this is never left */
	r->left_for_removal = PP_REMOVAL_BATCH_QUICK_MSECS;
	ret = removal_batch(r, error_r);
	r->batch_max = removal_next_max(r);
	return ret;
}

static bool removal_has_to_stop(struct removal *r)
{
	return r->killed || (r->params->budget_msecs > 0 &&
			     pop3_policy_deadline_left(&r->end) == 0);
}

static void removal_log_waiting(struct removal *r)
{
	if (r->result->stopped) {
		e_info(r->event, "%"PRIu64" more messages are due, and wait "
		       "for the next pass: this process is being stopped",
		       r->result->waiting);
		return;
	}
	if (r->result->busy) {
		e_info(r->event, "%"PRIu64" more messages are due, and wait "
		       "for a later pass: a session looks at the maildrop",
		       r->result->waiting);
		return;
	}
	if (r->was_told && r->result->messages == 0)
		return;
	e_info(r->event, "%"PRIu64" more messages are due, and wait for a "
	       "pass a day later (time was up, or "
	       "pop3_policy_removal_limit_percent=%u)", r->result->waiting,
	       r->md->set->policy.removal_limit_percent);
}

static int removal_batches(struct removal *r, const char **error_r)
{
	int ret;

	do {
		T_BEGIN {
			ret = removal_timed_batch(r, error_r);
		} T_END_PASS_STR_IF(ret < 0, error_r);
	} while (ret > 0 && !removal_has_to_stop(r));
	if (ret > 0 && r->killed)
		r->result->stopped = TRUE;
	if (ret >= 0 && r->result->waiting > 0)
		removal_log_waiting(r);
	if (r->result->clock_back) {
		e_warning(r->event, "The clock is behind the time of an "
			  "earlier session: nothing is removed until it has "
			  "caught up");
	}
	return ret < 0 ? -1 : 0;
}

/* 1 if INBOX is there, 0 if not, -1 and *error_r. The host would make it, or its
   root, if it was asked. */
static int removal_find_inbox(struct mail_user *user, const char **error_r)
{
	struct mail_namespace *ns = mail_namespace_find_inbox(user->namespaces);
	const char *path;
	struct stat st;

	if (mailbox_list_get_path(ns->list, "INBOX",
				  MAILBOX_LIST_PATH_TYPE_MAILBOX, &path) <= 0)
		return 0;
	if (stat(path, &st) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	*error_r = t_strdup_printf("stat(%s) failed: %m", path);
	return -1;
}

/* Without a control directory INBOX is opened to make one: whoever moved the
   mail may have left it behind, and a user who never logs in has nobody else
   who makes it. But a volume that is not mounted is left alone. */
static int removal_files(struct removal *r, const char **error_r)
{
	struct pop3_policy_maildrop *md = r->md;
	int ret;

	if (md->user->namespaces == NULL &&
	    mail_namespaces_init(md->user, error_r) < 0)
		return -1;
	ret = pop3_policy_maildrop_create_files(md, NULL, error_r);
	if (ret != 0 || r->params->read_only)
		return ret;
	ret = removal_find_inbox(md->user, error_r);
	if (ret > 0)
		ret = pop3_policy_judge_open(md->user, &r->box, error_r);
	if (ret > 0)
		ret = pop3_policy_maildrop_create_files(md, r->box, error_r);
	return ret;
}

int pop3_policy_removal_run(struct pop3_policy_maildrop *md,
			    const struct pop3_policy_removal_params *params,
			    struct pop3_policy_removal_result *result_r,
			    const char **error_r)
{
	struct removal r = {
		.md = md, .params = params, .result = result_r,
		.batch_max = PP_REMOVAL_BATCH,
		.signals = signal_term_counter
	};
	int ret;

	i_zero(result_r);
	/* By one lookup it is known of most users that there is nothing to do;
	   with the lock it is read again. */
	ret = removal_load(&r, error_r);
	removal_batch_free(&r);
	if (ret > 0 && params->look_only)
		return 0;
	if (ret > 0)
		ret = removal_files(&r, error_r);
	if (ret <= 0) {
		if (r.box != NULL)
			mailbox_free(&r.box);
		result_r->skipped = ret == 0;
		return ret;
	}
	r.event = pop3_policy_event_create(md->user);
	r.trace = pop3_policy_trace_init(md->user, params->by, params->id,
					 params->now);
	r.gone = g_array_new(FALSE, FALSE, sizeof(struct removal_gone));
	g_array_set_clear_func(r.gone, removal_gone_clear);
	r.end = pop3_policy_deadline_in(params->budget_msecs);
	ret = removal_batches(&r, error_r);
	result_r->opened = r.box != NULL;
	if (r.box != NULL)
		mailbox_free(&r.box);
	g_array_unref(r.gone);
	pop3_policy_trace_deinit(&r.trace);
	event_unref(&r.event);
	return ret;
}
