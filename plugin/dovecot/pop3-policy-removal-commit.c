/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What a removal stores: see pop3-policy-removal.h. */
#include "pop3-policy-compat.h"
#include "mail-user.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-removal-private.h"

static void
removal_change_state(struct removal *r, struct pp_state *state, uint64_t due)
{
	GArray *uids = pop3_policy_mailbox_uids(r->box);
	const guint32 *values = (const guint32 *)(void *)uids->data;
	guint32 count = 0;
	guint i;

	for (i = 0; i < uids->len && values[i] <= state->mark; i++)
		count++;
	pp_state_prune(state, values, uids->len);
	/* who could not get the look lock may have shown more */
	if (state->mark == r->state->mark)
		state->count = count;
	state->due = due;
	state->due_rules = pp_policy_hash(&r->md->set->policy);
	g_array_unref(uids);
}

/* The session itself was counted under its id. A long one is cut at its end. */
static const char *removal_usage_id(struct removal *r)
{
	return t_strdup_printf("removal%u/%s", r->batches, r->params->id);
}

/* A batch that was the last one because of a signal is gone on with as soon as
   somebody can; whoever ran out of time or over the limit waits a day. A clock
   that went back is told of once: nobody looks until it has caught up. */
static uint64_t
removal_next_look(const struct removal *r, const struct pp_state *state)
{
	if (r->result->clock_back)
		return r->state->clock;
	if (r->killed && r->allowed > 0)
		return 0;
	return pp_retention_next_look(state, r->verdicts, &r->md->set->policy,
				      r->params->now);
}

/* How many went by rules that the limit is for. */
static guint32 removal_count_limited(const struct removal *r)
{
	const struct removal_gone *gone;
	guint32 count = 0;
	guint i;

	for (i = 0; i < r->gone->len; i++) {
		gone = &g_array_index(r->gone, struct removal_gone, i);
		if (gone->verdict.rule != PP_RULE_KEEP_DELETED)
			count++;
	}
	return r->result->dry_run ? 0 : count;
}

static int
removal_change_callback(struct pop3_policy_change *change, void *context,
			const char **error_r)
{
	struct removal *r = context;
	struct pp_state *state = *change->state;
	uint64_t due;

	if (state == NULL) {
		*error_r = "state: is gone";
		return -1;
	}
	if (r->verdicts != NULL) {
		pp_retention_note_removed(state, r->params->now,
					  r->verdicts->len,
					  removal_count_limited(r));
	}
	/* the pass is at its end for today */
	if (r->allowed == 0 && r->result->waiting > 0 &&
	    pp_retention_pass_goes_on(state, r->params->now))
		state->pass_told = TRUE;
	due = removal_next_look(r, state);
	/* Somebody who could not get the look lock may have recovered the
	   maildrop: then UIDs here and there are not the same messages. */
	if (state->generation == r->state->generation &&
	    pp_mailbox_id_equal(&state->mailbox, &r->state->mailbox) &&
	    (!pp_counters_is_zero(&r->counters) || state->due != due ||
	     state->due_rules != pp_policy_hash(&r->md->set->policy))) {
		removal_change_state(r, state, due);
		change->state_changed = TRUE;
	}
	if (pop3_policy_change_count(change, removal_usage_id(r), &r->counters,
				     r->params->now, error_r) < 0)
		return -1;
	r->usage_unreadable = change->usage_unreadable;
	return change->state_changed || change->usage_changed ? 1 : 0;
}

int pop3_policy_removal_commit(struct removal *r, const char **error_r)
{
	struct pop3_policy_deadline deadline =
		pop3_policy_deadline_in(r->md->set->dict_timeout_msecs);
	bool usage = r->md->set->usage && !r->result->dry_run &&
		!pp_counters_is_zero(&r->counters);
	g_autofree char *line = NULL;
	const char *error;
	int ret;

	if (r->params->read_only)
		return 0;
	if (r->result->dry_run)
		i_zero(&r->counters);
	ret = pop3_policy_maildrop_change(r->md, &deadline, TRUE, usage,
					  removal_change_callback, r, &error);
	if (usage && (ret < 0 || r->usage_unreadable)) {
		line = pp_usage_line_print(r->md->user->username,
					   removal_usage_id(r),
					   r->params->now, &r->counters);
		e_error(r->event, "%s", line);
	}
	if (ret >= 0)
		return 0;
	*error_r = t_strdup_printf("Commit failed: %s", error);
	return -1;
}
