/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Retention: when to look at a maildrop, which most of the time is not now. */
#include <string.h>
#include "pp-retention.h"
#include "pp-doc.h"

static gboolean some_wait(const GArray *verdicts)
{
	for (guint i = 0; i < verdicts->len; i++) {
		if (g_array_index(verdicts, struct pp_verdict, i).waits)
			return TRUE;
	}
	return FALSE;
}

guint64 pp_retention_next_look(const struct pp_state *state,
			       const GArray *verdicts,
			       const struct pp_policy *policy, guint64 now)
{
	guint64 next_look = pp_add_saturating(now, PP_REMOVAL_NEXT_PASS_SECS);
	guint64 next_pass = next_look, next = G_MAXUINT64;
	gboolean waits = some_wait(verdicts);

	if (pp_retention_pass_goes_on(state, now)) {
		next_pass = pp_add_saturating(state->pass_time,
					      PP_REMOVAL_NEXT_PASS_SECS);
	}
	for (guint i = 0; i < verdicts->len; i++) {
		const struct pp_verdict *verdict =
			&g_array_index(verdicts, struct pp_verdict, i);

		if (verdict->waits)
			next = MIN(next, next_pass);
		else if (verdict->kept_from != 0)
			next = MIN(next, MAX(verdict->kept_from, next_look));
		else if (waits && verdict->rule != PP_RULE_KEEP_DELETED &&
			 verdict->due != 0 && !verdict->goes_now)
			/* it would wait, too */
			next = MIN(next, MAX(verdict->due, next_pass));
		else if (verdict->due != 0 && !verdict->goes_now)
			next = MIN(next, verdict->due);
	}
	if (policy->keep_unretrieved_secs > 0) {
		next = MIN(next, pp_add_saturating(now,
						policy->keep_unretrieved_secs));
	}
	return next;
}

static guint64 oldest(const struct pp_runs *runs)
{
	guint64 time = G_MAXUINT64;

	for (guint i = 0; i < pp_runs_count(runs); i++)
		time = MIN(time, pp_runs_at(runs, i)->time);
	return time;
}

/* TRUE if RUNS have a time for all of FIRST..LAST. *index is where the search
   begins, and where the next one may: FIRST only grows. */
static gboolean covers(const struct pp_runs *runs, guint32 first, guint32 last,
		       guint *index)
{
	for (; *index < pp_runs_count(runs); (*index)++) {
		const struct pp_run *run = pp_runs_at(runs, *index);

		if (run->first > first)
			return FALSE;
		if (run->last >= last)
			return TRUE;
		if (run->last >= first)
			first = run->last + 1;
	}
	return FALSE;
}

/* When the first was seen of those that were never retrieved. */
static guint64 oldest_unretrieved(const struct pp_state *state)
{
	guint64 time = G_MAXUINT64;
	guint index = 0;

	for (guint i = 0; i < pp_runs_count(state->first_seen); i++) {
		const struct pp_run *run = pp_runs_at(state->first_seen, i);

		if (!covers(state->retrieved, run->first, run->last, &index))
			time = MIN(time, run->time);
	}
	return time;
}

static gboolean may_be_over_caps(const struct pp_state *state,
				 const struct pp_policy *policy)
{
	return policy->max_retrieved_bytes > 0 ||
		(policy->max_retrieved_messages > 0 &&
		 pp_runs_uids(state->retrieved) >
		 policy->max_retrieved_messages);
}

guint64 pp_retention_earliest(const struct pp_state *state,
			      const struct pp_policy *policy)
{
	guint64 keep, min_keep = policy->min_keep_secs, time = G_MAXUINT64;

	if (policy->keep_retrieved_secs > 0) {
		keep = MAX(policy->keep_retrieved_secs, min_keep);
		time = pp_add_saturating(oldest(state->retrieved), keep);
	}
	if (may_be_over_caps(state, policy)) {
		time = MIN(time, pp_add_saturating(oldest(state->retrieved),
						min_keep));
	}
	if (policy->keep_deleted_secs > 0) {
		time = MIN(time, pp_add_saturating(oldest(state->deleted),
						policy->keep_deleted_secs));
	}
	if (policy->keep_unretrieved_secs > 0) {
		keep = MAX(policy->keep_unretrieved_secs, min_keep);
		time = MIN(time, pp_add_saturating(oldest_unretrieved(state),
						keep));
	}
	return time;
}

static guint64 newest(const struct pp_runs *runs, guint64 time)
{
	for (guint i = 0; i < pp_runs_count(runs); i++)
		time = MAX(time, pp_runs_at(runs, i)->time);
	return time;
}

/* The latest moment that a look can have named for the next one, but for
   "never". What is behind it is of a clock that was ahead. */
static guint64 latest_due(const struct pp_state *state,
			  const struct pp_policy *policy, guint64 now)
{
	guint64 keep = MAX(policy->keep_retrieved_secs,
			   policy->keep_unretrieved_secs);
	guint64 time = MAX(now, state->clock);

	keep = MAX(keep, policy->keep_deleted_secs);
	keep = MAX(keep, policy->min_keep_secs);
	keep = MAX(keep, PP_REMOVAL_NEXT_PASS_SECS);
	time = newest(state->first_seen, time);
	time = newest(state->retrieved, time);
	time = newest(state->deleted, time);
	return pp_add_saturating(time, keep);
}

gboolean pp_retention_is_due(const struct pp_state *state,
			     const struct pp_policy *policy, guint64 now)
{
	if (!pp_policy_has_rules(policy))
		return FALSE;
	if (state->due > now && state->due_rules == pp_policy_hash(policy) &&
	    (state->due == G_MAXUINT64 ||
	     state->due <= latest_due(state, policy, now)))
		return FALSE;
	return pp_retention_earliest(state, policy) <= now;
}

static void lower_due(struct pp_state *state, guint64 due)
{
	/* 0 is "look", which is lower than anything. By a clock that went back
	   nothing goes before it has caught up. */
	state->due = MIN(state->due, MAX(due, state->clock));
}

static void note_retrieved(struct pp_state *state,
			   const struct pp_policy *policy,
			   const struct pp_runs *runs)
{
	gboolean over_caps = may_be_over_caps(state, policy);

	for (guint i = 0; i < pp_runs_count(runs); i++) {
		guint64 time = pp_runs_at(runs, i)->time;

		if (policy->keep_retrieved_secs > 0) {
			lower_due(state, pp_add_saturating(time,
					MAX(policy->keep_retrieved_secs,
					    policy->min_keep_secs)));
		}
		/* pushes older ones out, some of which may go at once */
		if (over_caps)
			lower_due(state, time);
	}
}

static void note_deleted(struct pp_state *state,
			 const struct pp_policy *policy,
			 const struct pp_runs *runs)
{
	if (policy->keep_deleted_secs == 0)
		return;
	for (guint i = 0; i < pp_runs_count(runs); i++) {
		lower_due(state, pp_add_saturating(pp_runs_at(runs, i)->time,
						policy->keep_deleted_secs));
	}
}

void pp_retention_note_facts(struct pp_state *state,
			     const struct pp_policy *policy,
			     const struct pp_facts *facts)
{
	if (facts->retrieved != NULL)
		note_retrieved(state, policy, facts->retrieved);
	if (facts->deleted != NULL)
		note_deleted(state, policy, facts->deleted);
	if (facts->seen_upto > 0 && policy->keep_unretrieved_secs > 0) {
		lower_due(state, pp_add_saturating(facts->first_seen,
						policy->keep_unretrieved_secs));
	}
}

guint64 pp_policy_hash(const struct pp_policy *policy)
{
	static const char *const none[] = { NULL };
	g_autofree char *protect = g_strjoinv(" ", (char **)
		(policy->protect != NULL ? policy->protect : none));
	g_autofree char *text = g_strdup_printf(
		"%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
		" %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
		" %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u %d %s",
		policy->keep_retrieved_secs, policy->keep_unretrieved_secs,
		policy->keep_deleted_secs, policy->max_retrieved_messages,
		policy->max_retrieved_bytes, policy->min_keep_secs,
		policy->removal_limit_percent, policy->dry_run, protect);
	guint64 hash = pp_hash64(text, strlen(text));

	return hash != 0 ? hash : 1;
}

gboolean pp_policy_has_rules(const struct pp_policy *policy)
{
	return policy->keep_retrieved_secs > 0 ||
		policy->keep_unretrieved_secs > 0 ||
		policy->keep_deleted_secs > 0 ||
		policy->max_retrieved_messages > 0 ||
		policy->max_retrieved_bytes > 0;
}
