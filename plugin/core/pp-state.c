/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The state of a maildrop, in memory. */
#include "pp-state.h"

#include <string.h>

struct pp_state *pp_state_new(const struct pp_mailbox_id *mailbox,
			      guint64 now)
{
	struct pp_state *state = g_new0(struct pp_state, 1);

	state->mailbox = *mailbox;
	state->clock = now;
	state->map = pp_uidl_map_new();
	state->first_seen = pp_runs_new();
	state->retrieved = pp_runs_new();
	state->deleted = pp_runs_new();
	pp_uidl_map_set_rule(state->map, 1, PP_UID_MAX, 1,
			     mailbox->uidvalidity);
	pp_state_use_validity(state, mailbox->uidvalidity);
	return state;
}

struct pp_state *pp_state_copy(const struct pp_state *state)
{
	struct pp_state *copy = g_new0(struct pp_state, 1);

	*copy = *state;
	copy->map = pp_uidl_map_copy(state->map);
	copy->order = state->order == NULL ? NULL :
		g_array_copy(state->order);
	copy->first_seen = pp_runs_copy(state->first_seen);
	copy->retrieved = pp_runs_copy(state->retrieved);
	copy->deleted = pp_runs_copy(state->deleted);
	copy->policy = g_strdup(state->policy);
	copy->hidden_flag = g_strdup(state->hidden_flag);
	return copy;
}

void pp_state_free(struct pp_state *state)
{
	if (state == NULL)
		return;
	pp_uidl_map_free(state->map);
	g_clear_pointer(&state->order, g_array_unref);
	pp_runs_free(state->first_seen);
	pp_runs_free(state->retrieved);
	pp_runs_free(state->deleted);
	g_free(state->policy);
	g_free(state->hidden_flag);
	g_free(state);
}

guint32 pp_state_next_validity(const struct pp_state *state,
			       guint32 uidvalidity)
{
	if (uidvalidity > state->high_validity)
		return uidvalidity;
	if (state->high_validity == G_MAXUINT32)
		return G_MAXUINT32;
	return state->high_validity + 1;
}

void pp_state_use_validity(struct pp_state *state, guint32 validity)
{
	state->high_validity = MAX(state->high_validity, validity);
}

guint32 pp_state_open_rule(struct pp_state *state, guint32 first,
			   guint32 uidvalidity)
{
	guint32 validity = pp_state_next_validity(state, uidvalidity);

	pp_uidl_map_set_rule(state->map, first, PP_UID_MAX, first, validity);
	pp_state_use_validity(state, validity);
	return validity;
}

static void restart_times(struct pp_runs **runs, guint64 now)
{
	struct pp_runs *restarted = pp_runs_new();

	for (guint i = 0; i < pp_runs_count(*runs); i++) {
		const struct pp_run *run = pp_runs_at(*runs, i);

		/* a doubled grace lies in the future */
		pp_runs_set(restarted, run->first, run->last,
			    MAX(run->time, now));
	}
	pp_runs_free(*runs);
	*runs = restarted;
}

void pp_state_restart_times(struct pp_state *state, guint64 now)
{
	if (state->spans) {
		pp_runs_unset(state->retrieved, 1, PP_UID_MAX);
		pp_runs_unset(state->deleted, 1, PP_UID_MAX);
		state->spans = FALSE;
	}
	restart_times(&state->first_seen, now);
	restart_times(&state->retrieved, now);
	restart_times(&state->deleted, now);
}

void pp_state_skip_lost(struct pp_state *state, guint32 validity,
			guint32 uidvalidity)
{
	pp_state_use_validity(state, validity);
	(void)pp_state_open_rule(state, state->mark + 1, uidvalidity);
}

gboolean pp_state_set_order(struct pp_state *state, const guint32 *uids,
			    guint count)
{
	g_autofree char *text = NULL;

	g_clear_pointer(&state->order, g_array_unref);
	state->order = pp_order_new(uids, count);
	if (state->order == NULL)
		return TRUE;
	text = pp_order_encode(state->order);
	if (strlen(text) <= PP_ORDER_MAX_BYTES)
		return TRUE;
	g_clear_pointer(&state->order, g_array_unref);
	return FALSE;
}

/* Where UID stands in shown[], or belongs. */
static guint shown_index(const struct pp_state *state, guint32 uid)
{
	guint i = state->shown_count;

	while (i > 0 && state->shown[i - 1].uid >= uid)
		i--;
	return i;
}

/* The lowest UID goes where there is no room. */
static void shown_insert(struct pp_state *state, guint index, guint32 uid,
			 guint64 id)
{
	struct pp_shown *shown = state->shown;

	if (state->shown_count < PP_SHOWN_MAX) {
		memmove(shown + index + 1, shown + index,
			(state->shown_count - index) * sizeof(*shown));
		state->shown_count++;
	} else if (index == 0) {
		return;
	} else {
		index--;
		memmove(shown, shown + 1, index * sizeof(*shown));
	}
	shown[index].uid = uid;
	shown[index].id = id;
}

void pp_state_add_shown(struct pp_state *state, guint32 uid, guint64 id)
{
	guint index = shown_index(state, uid);

	if (index < state->shown_count && state->shown[index].uid == uid)
		state->shown[index].id = id;
	else
		shown_insert(state, index, uid, id);
	state->mark = MAX(state->mark, uid);
}

/* What is stored about a shown UID stays: of one generation, it is the same. */
static gboolean merge_shown(struct pp_state *state,
			    const struct pp_facts *facts)
{
	struct pp_shown before[PP_SHOWN_MAX];
	guint i, index;

	memcpy(before, state->shown, sizeof(before));
	for (i = 0; i < facts->shown_count; i++) {
		const struct pp_shown *shown = &facts->shown[i];

		index = shown_index(state, shown->uid);
		if (index == state->shown_count ||
		    state->shown[index].uid != shown->uid)
			shown_insert(state, index, shown->uid, shown->id);
		else if (state->shown[index].id == 0)
			state->shown[index].id = shown->id;
	}
	for (i = 0; i < state->shown_count; i++) {
		if (before[i].uid != state->shown[i].uid ||
		    before[i].id != state->shown[i].id)
			return TRUE;
	}
	return FALSE;
}

/* Sessions that overlap come here in any order. The count must not become less
   than what there is: mail would seem to have been brought back. */
static gboolean merge_count(struct pp_state *state,
			    const struct pp_facts *facts, gboolean raised)
{
	guint32 count = facts->count;

	if (count == G_MAXUINT32 || facts->view_upto < state->mark)
		return FALSE;
	if (!raised && !facts->brought_back)
		count = MIN(count, state->count);
	if (count == state->count)
		return FALSE;
	state->count = count;
	return TRUE;
}

static gboolean merge_mark(struct pp_state *state,
			   const struct pp_facts *facts)
{
	gboolean changed = FALSE;

	if (facts->mark > state->mark) {
		if (facts->host_uidls && state->host_first == 0)
			state->host_first = state->mark + 1;
		state->mark = facts->mark;
		changed = TRUE;
	}
	if (merge_count(state, facts, changed))
		changed = TRUE;
	return changed;
}

/* Returns how many UIDs of FACTS were not known before. */
static guint64 merge_runs(struct pp_runs *runs, const struct pp_runs *facts,
			  guint64 (*set)(struct pp_runs *runs, guint32 first,
					 guint32 last, guint64 time))
{
	const struct pp_run *run;
	guint64 changed = 0;
	guint i;

	if (facts == NULL)
		return 0;
	for (i = 0; i < pp_runs_count(facts); i++) {
		run = pp_runs_at(facts, i);
		changed += set(runs, run->first, run->last, run->time);
	}
	return changed;
}

guint pp_shown_last(const GArray *identities, struct pp_shown *shown_r)
{
	guint count = MIN(identities->len, PP_SHOWN_MAX);

	for (guint i = 0; i < count; i++) {
		const struct pp_identity *identity =
			&g_array_index(identities, struct pp_identity,
				       identities->len - count + i);

		shown_r[i].uid = identity->uid;
		shown_r[i].id = identity->id;
	}
	return count;
}

static guint64 merge_relisted(struct pp_state *state,
			      const struct pp_facts *facts)
{
	guint64 raised = 0;

	if (facts->relisted == NULL)
		return 0;
	for (guint i = 0; i < pp_runs_count(facts->relisted); i++) {
		const struct pp_run *run = pp_runs_at(facts->relisted, i);

		for (guint64 uid = run->first; uid <= run->last; uid++) {
			/* but for what was restored meanwhile */
			if (pp_runs_get(state->deleted, uid, NULL)) {
				raised += pp_runs_set_later(state->deleted,
							uid, uid, run->time);
			}
		}
	}
	return raised;
}

gboolean pp_state_merge(struct pp_state *state, const struct pp_facts *facts)
{
	gboolean changed;
	guint64 added = 0;

	if (facts->generation != state->generation)
		return FALSE;

	if (facts->brought_back)
		pp_state_restart_times(state, facts->now);
	changed = merge_mark(state, facts) || facts->brought_back;
	if (merge_shown(state, facts))
		changed = TRUE;
	if (facts->seen_upto > 0) {
		added += pp_runs_set_new(state->first_seen, 1,
					 facts->seen_upto, facts->first_seen);
	}
	added += merge_runs(state->retrieved, facts->retrieved,
			    pp_runs_set_new);
	added += merge_relisted(state, facts);
	added += merge_runs(state->deleted, facts->deleted,
			    pp_runs_set_later);
	state->clock = MAX(state->clock, facts->now);
	return changed || added > 0;
}

static void prune_runs(struct pp_runs **runs, const guint32 *uids, guint count,
		       guint32 upto, enum pp_prune how)
{
	struct pp_runs *pruned =
		pp_runs_pruned(*runs, uids, count, upto, how);

	pp_runs_free(*runs);
	*runs = pruned;
}

/* TRUE if there are still too many for that, and they go over gone ones. */
static gboolean prune_exact(struct pp_runs **runs, const guint32 *uids,
			    guint count, guint32 upto)
{
	prune_runs(runs, uids, count, upto, PP_PRUNE_EXACT);
	if (pp_runs_count(*runs) <= PP_RUNS_EXACT_MAX)
		return FALSE;
	prune_runs(runs, uids, count, upto, PP_PRUNE_SPAN);
	return TRUE;
}

void pp_state_prune_upto(struct pp_state *state, const guint32 *uids,
			 guint count, guint32 upto)
{
	prune_runs(&state->first_seen, uids, count, upto, PP_PRUNE_SPAN_ENDS);
	if (prune_exact(&state->retrieved, uids, count, upto))
		state->spans = TRUE;
	if (prune_exact(&state->deleted, uids, count, upto))
		state->spans = TRUE;
}

void pp_state_prune(struct pp_state *state, const guint32 *uids, guint count)
{
	pp_state_prune_upto(state, uids, count, PP_UID_MAX);
}
