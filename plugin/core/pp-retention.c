/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Retention: which message goes when, and why. */
#include <string.h>
#include "pp-retention.h"
#include "pp-doc.h"

/* What a judgement is made of. */
struct judge {
	const struct pp_policy *policy;
	guint64 now;
	gboolean clock_back;
	/* for each message the moment at which a cap took it, 0: none did */
	guint64 *over_messages, *over_size;
};

/* A retrieved message, in the order in which caps take them. */
struct retrieval {
	guint64 time, size_bytes;
	guint index;
};

static const char *const rule_names[] = {
	[PP_RULE_KEEP_RETRIEVED] = "keep_retrieved",
	[PP_RULE_KEEP_UNRETRIEVED] = "keep_unretrieved",
	[PP_RULE_KEEP_DELETED] = "keep_deleted",
	[PP_RULE_MAX_MESSAGES] = "max_retrieved_messages",
	[PP_RULE_MAX_SIZE] = "max_retrieved_size",
	[PP_RULE_STAYS_PROTECTED] = "protected",
	[PP_RULE_STAYS_NOT_RETRIEVED] = "not_retrieved",
	[PP_RULE_STAYS_UNKNOWN] = "unknown",
	[PP_RULE_STAYS_NO_RULE] = "no_rule"
};

const char *pp_rule_name(enum pp_rule rule)
{
	g_assert((guint)rule < G_N_ELEMENTS(rule_names));
	return rule_names[rule];
}

gboolean pp_rule_removes(enum pp_rule rule)
{
	return rule <= PP_RULE_MAX_SIZE;
}

static guint64 time_of(const struct pp_runs *runs, guint32 uid)
{
	guint64 time;

	return pp_runs_get(runs, uid, &time) ? time : 0;
}

static GArray *collect_facts(const struct pp_state *state,
			     const struct pp_message *messages, guint count)
{
	GArray *verdicts = g_array_sized_new(FALSE, TRUE,
					     sizeof(struct pp_verdict), count);

	g_array_set_size(verdicts, count);
	for (guint i = 0; i < count; i++) {
		struct pp_verdict *verdict =
			&g_array_index(verdicts, struct pp_verdict, i);
		guint32 uid = messages[i].uid;

		verdict->uid = uid;
		verdict->size_bytes = messages[i].size_bytes;
		verdict->first_seen = time_of(state->first_seen, uid);
		verdict->retrieved = time_of(state->retrieved, uid);
		verdict->deleted = time_of(state->deleted, uid);
	}
	return verdicts;
}

static gint compare_retrievals(gconstpointer p1, gconstpointer p2)
{
	const struct retrieval *a = p1, *b = p2;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* Retrieved messages, oldest retrieval first. What is hidden has left the
   maildrop as its client sees it: it takes no place from the others. */
static GArray *list_retrievals(const GArray *verdicts,
			       const struct pp_message *messages)
{
	GArray *list = g_array_new(FALSE, FALSE, sizeof(struct retrieval));

	for (guint i = 0; i < verdicts->len; i++) {
		const struct pp_verdict *verdict =
			&g_array_index(verdicts, struct pp_verdict, i);
		struct retrieval entry = {
			.time = verdict->retrieved,
			.size_bytes = verdict->size_bytes,
			.index = i
		};

		if (verdict->retrieved != 0 && !messages[i].hidden)
			g_array_append_val(list, entry);
	}
	g_array_sort(list, compare_retrievals);
	return list;
}

/* A message is beyond a cap since the newest retrievals, without it, first
   filled that: so the moment does not depend on when somebody looks. */
static void find_over_messages(const GArray *list, guint64 max_messages,
			       guint64 *over)
{
	for (guint64 i = 0, end = max_messages; end < list->len; i++, end++) {
		over[g_array_index(list, struct retrieval, i).index] =
			g_array_index(list, struct retrieval, end).time;
	}
}

static void find_over_size(const GArray *list, guint64 max_bytes,
			   guint64 *over)
{
	guint64 sum = 0;
	guint first = 0;

	/* sum is the size of FIRST up to I: the longest such that fits */
	for (guint i = 0; i < list->len; i++) {
		const struct retrieval *last =
			&g_array_index(list, struct retrieval, i);

		sum = pp_add_saturating(sum, last->size_bytes);
		while (first <= i && sum > max_bytes) {
			const struct retrieval *entry =
				&g_array_index(list, struct retrieval, first);

			over[entry->index] = last->time;
			sum -= entry->size_bytes;
			first++;
		}
	}
}

static void find_over_caps(struct judge *judge, const GArray *verdicts,
			   const struct pp_message *messages)
{
	g_autoptr(GArray) list = list_retrievals(verdicts, messages);

	judge->over_messages = g_new0(guint64, verdicts->len);
	judge->over_size = g_new0(guint64, verdicts->len);
	if (judge->policy->max_retrieved_messages > 0) {
		find_over_messages(list, judge->policy->max_retrieved_messages,
				   judge->over_messages);
	}
	if (judge->policy->max_retrieved_bytes > 0) {
		find_over_size(list, judge->policy->max_retrieved_bytes,
			       judge->over_size);
	}
}

/* Takes RULE for a message where it comes first. DUE 0: it does not apply. */
static void take_rule(struct pp_verdict *verdict, enum pp_rule rule,
		      guint64 due)
{
	if (due == 0 || (verdict->due != 0 && verdict->due <= due))
		return;
	verdict->rule = rule;
	verdict->due = due;
}

/* FROM + SECS; 0 where either is not set. */
static guint64 rule_time(guint64 from, guint64 secs)
{
	return from == 0 || secs == 0 ? 0 : pp_add_saturating(from, secs);
}

/* Why a message stays that no rule removes. */
static enum pp_rule stays_rule(const struct pp_verdict *verdict)
{
	if (verdict->retrieved != 0)
		return PP_RULE_STAYS_NO_RULE;
	if (verdict->first_seen == 0)
		return PP_RULE_STAYS_UNKNOWN;
	return PP_RULE_STAYS_NOT_RETRIEVED;
}

static guint64 min_keep_end(const struct pp_policy *policy,
			    const struct pp_verdict *verdict)
{
	guint64 from = verdict->retrieved;

	if (from == 0)
		from = verdict->first_seen;
	/* it was seen at the latest when it was DELEd */
	if (from == 0)
		from = verdict->deleted;
	return pp_add_saturating(from, policy->min_keep_secs);
}

static void judge_one(const struct judge *judge, guint i,
		      const struct pp_message *message,
		      struct pp_verdict *verdict)
{
	const struct pp_policy *policy = judge->policy;
	guint64 earliest = min_keep_end(policy, verdict), grace_end = 0;

	if (message->hidden) {
		grace_end = rule_time(verdict->deleted,
				      policy->keep_deleted_secs);
	}
	take_rule(verdict, PP_RULE_KEEP_DELETED, grace_end);
	/* what its client DELEd goes for that reason, once it may */
	if (grace_end == 0 || MAX(grace_end, earliest) > judge->now) {
		take_rule(verdict, PP_RULE_KEEP_RETRIEVED,
			  rule_time(verdict->retrieved,
				    policy->keep_retrieved_secs));
		take_rule(verdict, PP_RULE_MAX_MESSAGES,
			  judge->over_messages[i]);
		take_rule(verdict, PP_RULE_MAX_SIZE, judge->over_size[i]);
		if (verdict->retrieved == 0) {
			take_rule(verdict, PP_RULE_KEEP_UNRETRIEVED,
				  rule_time(verdict->first_seen,
					    policy->keep_unretrieved_secs));
		}
	}

	if (verdict->due == 0)
		verdict->rule = stays_rule(verdict);
	else
		verdict->due = MAX(verdict->due, earliest);
	if (message->is_protected) {
		verdict->rule = PP_RULE_STAYS_PROTECTED;
		verdict->kept_from = verdict->due;
		verdict->due = 0;
	}
}

static gint compare_due(gconstpointer p1, gconstpointer p2)
{
	const struct pp_verdict *a = *(struct pp_verdict *const *)p1;
	const struct pp_verdict *b = *(struct pp_verdict *const *)p2;

	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

gboolean pp_retention_pass_goes_on(const struct pp_state *state, guint64 now)
{
	return state->pass_time != 0 && now >= state->pass_time &&
		now - state->pass_time < PP_REMOVAL_NEXT_PASS_SECS;
}

/* How many messages may go now, of COUNT that are there. */
static guint64 pass_limit(const struct pp_state *state,
			  const struct pp_policy *policy, guint count,
			  guint64 now)
{
	guint64 limit, percent = policy->removal_limit_percent;
	gboolean goes_on = pp_retention_pass_goes_on(state, now);

	if (percent >= 100)
		return G_MAXUINT64;
	limit = percent * (goes_on ? state->pass_messages : count) / 100;
	limit = MAX(limit, PP_REMOVAL_ALWAYS_ALLOWED);
	if (goes_on)
		limit -= MIN(limit, state->pass_removed);
	return limit;
}

void pp_retention_note_removed(struct pp_state *state, guint64 now,
			       guint32 messages, guint32 removed)
{
	if (!pp_retention_pass_goes_on(state, now)) {
		if (removed == 0)
			return;
		state->pass_time = now;
		state->pass_messages = messages;
		state->pass_removed = 0;
		state->pass_told = FALSE;
	}
	state->pass_removed =
		MIN((guint64)state->pass_removed + removed, G_MAXUINT32);
}

static void choose_now(const struct judge *judge, const struct pp_state *state,
		       GArray *verdicts)
{
	g_autoptr(GPtrArray) limited = g_ptr_array_new();
	guint64 limit = pass_limit(state, judge->policy, verdicts->len,
				   judge->now);

	for (guint i = 0; i < verdicts->len; i++) {
		struct pp_verdict *verdict =
			&g_array_index(verdicts, struct pp_verdict, i);

		if (verdict->due == 0 || verdict->due > judge->now)
			continue;
		if (verdict->rule == PP_RULE_KEEP_DELETED)
			verdict->goes_now = TRUE;
		else
			g_ptr_array_add(limited, verdict);
	}
	g_ptr_array_sort(limited, compare_due);
	for (guint i = 0; i < limited->len; i++) {
		struct pp_verdict *verdict = g_ptr_array_index(limited, i);

		verdict->goes_now = i < limit;
		verdict->waits = i >= limit;
	}
}

GArray *pp_retention_judge(const struct pp_state *state,
			   const struct pp_policy *policy,
			   const struct pp_message *messages, guint count,
			   guint64 now, gboolean *clock_back_r)
{
	struct judge judge = {
		.policy = policy, .now = now, .clock_back = now < state->clock
	};
	GArray *verdicts = collect_facts(state, messages, count);

	find_over_caps(&judge, verdicts, messages);
	for (guint i = 0; i < count; i++) {
		judge_one(&judge, i, &messages[i],
			  &g_array_index(verdicts, struct pp_verdict, i));
	}
	if (!judge.clock_back)
		choose_now(&judge, state, verdicts);
	g_free(judge.over_messages);
	g_free(judge.over_size);
	*clock_back_r = judge.clock_back;
	return verdicts;
}
