/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Recovery: making the state that fits the mailbox as it is now, from what was
   recognised. */
#include "pp-match.h"

/* All that was shown and is there is where it was, and nothing of it came up
   as new: some mail was expunged and some arrived. Then the open rule goes on;
   it may have been shown already, without the dict. */
static gboolean nothing_moved(const struct pp_match *match,
			      const struct pp_state *old,
			      const struct pp_mailbox_now *mailbox)
{
	if (!pp_match_is_same_place(old, mailbox))
		return FALSE;
	for (guint i = 0; i < match->messages->len; i++) {
		guint32 uid = pp_match_uid(match, i);

		if (pp_match_old_uid(match, i) != (uid <= old->mark ? uid : 0))
			return FALSE;
	}
	return TRUE;
}

/* A rule under construction: segments that continue each other are joined
   before they go into the map. */
struct rule {
	struct pp_uidl_map *map;
	guint32 first, last, old_first, validity;
};

static void rule_end(struct rule *rule)
{
	if (rule->first != 0) {
		pp_uidl_map_set_rule(rule->map, rule->first, rule->last,
				     rule->old_first, rule->validity);
	}
	rule->first = 0;
}

static gboolean rule_continues(const struct rule *rule, guint32 first,
			       guint32 old_first, guint32 validity)
{
	/* unsigned, so that old UIDs may be below or above */
	return rule->first != 0 && rule->validity == validity &&
		rule->old_first - rule->first == old_first - first;
}

static void rule_add(struct rule *rule, guint32 first, guint32 last,
		     guint32 old_first, guint32 validity)
{
	if (first > last)
		return;
	if (!rule_continues(rule, first, old_first, validity)) {
		rule_end(rule);
		rule->first = first;
		rule->old_first = old_first;
		rule->validity = validity;
	}
	rule->last = last;
}

/* TRUE if the rule of message INDEX, which was in SEG, may go on from the one
   before it over UIDs that do not exist: of the UIDLs between them none is
   another message's now. */
static gboolean may_go_over_gap(const struct pp_match *match, guint index,
				const struct pp_uidl_seg *seg)
{
	guint i;

	if (index == 0 || match->found[index - 1] == PP_MATCH_NONE ||
	    pp_match_old_uid(match, index - 1) < seg->first)
		return FALSE;
	i = match->found[index - 1] + 1;
	while (i < match->found[index] && !match->used[i])
		i++;
	return i == match->found[index];
}

/* Message INDEX keeps its UIDL. A rule goes over UIDs that do not exist where
   it can, so that it is one where nothing moved but much had been expunged
   before. Where it cannot, UIDs from NEXT on get VALIDITY: should a message
   come up there, its UIDL is a new one. */
static void rule_keep(struct rule *rule, const struct pp_state *old,
		      const struct pp_match *match, guint index, guint32 next,
		      guint32 validity)
{
	guint32 uid = pp_match_uid(match, index);
	guint32 old_uid = pp_match_old_uid(match, index);
	const struct pp_uidl_seg *seg = pp_uidl_map_find(old->map, old_uid);
	guint32 old_first = seg->old_first + (old_uid - seg->first);

	if (seg->text != NULL) {
		rule_add(rule, next, uid - 1, next, validity);
		rule_end(rule);
		pp_uidl_map_set_text(rule->map, uid, seg->text);
		return;
	}
	if (!rule_continues(rule, uid, old_first, seg->validity) ||
	    (next < uid && !may_go_over_gap(match, index, seg)))
		rule_add(rule, next, uid - 1, next, validity);
	rule_add(rule, uid, uid, old_first, seg->validity);
}

static void build_map(struct pp_state *state, const struct pp_state *old,
		      const struct pp_match *match)
{
	guint32 validity = pp_state_next_validity(old,
						  state->mailbox.uidvalidity);
	struct rule rule = { .map = pp_uidl_map_new() };
	guint32 uid = 0;

	for (guint i = 0; i < match->messages->len; i++) {
		guint32 next = uid + 1;

		uid = pp_match_uid(match, i);
		if (match->found[i] != PP_MATCH_NONE)
			rule_keep(&rule, old, match, i, next, validity);
		else
			rule_add(&rule, next, uid, next, validity);
	}
	if (uid < PP_UID_MAX)
		rule_add(&rule, uid + 1, PP_UID_MAX, uid + 1, validity);
	rule_end(&rule);
	pp_state_use_validity(state, validity);
	pp_uidl_map_free(state->map);
	state->map = rule.map;
}

/* A run of times under construction, for neighbours in the listing. Unless it
   is exact it goes over UIDs that do not exist, and begins where the run before
   ended. */
struct span {
	struct pp_runs *runs;
	gboolean exact;
	guint32 first, last;
	guint64 time;		/* 0: the message before has none */
};

static void span_end(struct span *span)
{
	if (span->time != 0)
		pp_runs_set(span->runs, span->first, span->last, span->time);
	span->time = 0;
}

static void span_add(struct span *span, guint32 uid, guint64 time)
{
	guint32 first = span->time != 0 && !span->exact ? span->last + 1 : uid;

	if (time != span->time || (span->exact && span->last + 1 != uid)) {
		span_end(span);
		span->first = first;
		span->time = time;
	}
	span->last = uid;
}

static void span_store(struct span *span, struct pp_runs **runs)
{
	span_end(span);
	pp_runs_free(*runs);
	*runs = span->runs;
}

/* The time of an old UID (0: none known), or NOW where times restart and it is
   not in the future. */
static guint64 kept_time(const struct pp_runs *runs, guint32 old_uid,
			 gboolean restart, guint64 now)
{
	guint64 time;

	if (old_uid == 0 || !pp_runs_get(runs, old_uid, &time))
		return 0;
	return restart ? MAX(time, now) : time;
}

/* Those of a large maildrop may be too many. */
static void prune_facts(struct pp_state *state, const struct pp_match *match)
{
	guint count = match->messages->len;
	g_autofree guint32 *uids = g_new(guint32, count);

	for (guint i = 0; i < count; i++)
		uids[i] = pp_match_uid(match, i);
	pp_state_prune(state, uids, count);
}

static void build_facts(struct pp_state *state, const struct pp_state *old,
			const struct pp_match *match, gboolean keep,
			gboolean restart, guint64 now)
{
	struct span seen = { .runs = pp_runs_new() };
	struct span retrieved = { .runs = pp_runs_new(), .exact = TRUE };
	struct span deleted = { .runs = pp_runs_new(), .exact = TRUE };
	/* see pp_state_restart_times() */
	gboolean known = !restart || !old->spans;

	for (guint i = 0; i < match->messages->len; i++) {
		guint32 uid = pp_match_uid(match, i);
		guint32 old_uid = keep ? pp_match_old_uid(match, i) : 0;

		span_add(&seen, uid, old_uid == 0 || restart ? now :
			 kept_time(old->first_seen, old_uid, FALSE, now));
		span_add(&retrieved, uid,
			 kept_time(old->retrieved, known ? old_uid : 0,
				   restart, now));
		span_add(&deleted, uid,
			 kept_time(old->deleted, known ? old_uid : 0,
				   restart, now));
	}
	span_store(&seen, &state->first_seen);
	span_store(&retrieved, &state->retrieved);
	span_store(&deleted, &state->deleted);
	state->spans = FALSE;
	prune_facts(state, match);
}

/* A recognised message in the listing as it was. */
struct listed {
	guint position;
	guint32 old_uid, uid;
};

static gint compare_listed(gconstpointer p1, gconstpointer p2)
{
	const struct listed *a = p1, *b = p2;

	if (a->position != b->position)
		return a->position < b->position ? -1 : 1;
	return a->old_uid < b->old_uid ? -1 : a->old_uid > b->old_uid;
}

static gboolean build_order(struct pp_state *state, const struct pp_state *old,
			    const struct pp_match *match)
{
	g_autoptr(GArray) listed =
		g_array_new(FALSE, FALSE, sizeof(struct listed));
	g_autofree guint32 *uids = g_new(guint32, match->recognised);

	for (guint i = 0; i < match->messages->len; i++) {
		guint32 old_uid = pp_match_old_uid(match, i);
		struct listed message = {
			.old_uid = old_uid, .uid = pp_match_uid(match, i),
			.position = old->order == NULL ? 0 :
				pp_order_position(old->order, old_uid)
		};

		if (old_uid != 0)
			g_array_append_val(listed, message);
	}
	g_array_sort(listed, compare_listed);
	for (guint i = 0; i < listed->len; i++)
		uids[i] = g_array_index(listed, struct listed, i).uid;
	return pp_state_set_order(state, uids, listed->len);
}

/* What the state says about the mailbox as a whole. */
static void build_rest(struct pp_state *state, const GArray *messages,
		       guint64 now)
{
	state->generation++;
	state->shown_count = pp_shown_last(messages, state->shown);
	state->mark = state->shown_count == 0 ? 0 :
		state->shown[state->shown_count - 1].uid;
	state->count = messages->len;
	state->clock = MAX(state->clock, now);
	state->ledger_chunks = 0;
	state->ledger_last_first = 0;
	state->ledger_upto = 0;
	state->due = 0;
	state->due_rules = 0;
}

/* Was mail brought back? Where UIDs went back that had a meaning (the same
   UIDVALIDITY), or where they went back and the newest are missing; or where
   more is there than the last session left. An index that was lost with
   nothing else is none of these: maildir then counts from 1 again. */
static gboolean is_older_copy(const struct pp_state *old,
			      const struct pp_recovery *recovery,
			      const struct pp_mailbox_now *mailbox)
{
	if (recovery->recognised > old->count)
		return TRUE;
	if (mailbox->uidnext > old->mark)
		return FALSE;
	return mailbox->id.uidvalidity == old->mailbox.uidvalidity ||
		recovery->lost > 0;
}

/* Most are recognised without a look at their headers: what is known of those
   goes into the new ledger, or the next recovery would miss it. */
static void keep_headers(GArray *messages, const struct pp_match *match)
{
	for (guint i = 0; i < messages->len; i++) {
		g_array_index(messages, struct pp_identity, i).header =
			pp_match_header(match, i);
	}
}

/* With `host` all was, and is, shown as the host says. */
static void reset_map(struct pp_state *state)
{
	pp_uidl_map_free(state->map);
	state->map = pp_uidl_map_new();
	(void)pp_state_open_rule(state, 1, state->mailbox.uidvalidity);
}

void pp_recover(const struct pp_state *old, const GArray *ledger,
		GArray *messages, const struct pp_mailbox_now *mailbox,
		guint64 now, gboolean pinned, struct pp_recovery *recovery_r)
{
	struct pp_state *state = pp_state_copy(old);
	struct pp_match match;

	pp_match_init(&match, old, ledger, messages, mailbox);
	state->mailbox = mailbox->id;
	recovery_r->state = state;
	recovery_r->recognised = match.recognised;
	recovery_r->lost = old->count > match.recognised ?
		old->count - match.recognised : 0;
	recovery_r->older_copy = is_older_copy(old, recovery_r, mailbox);

	recovery_r->same_mailbox = pp_match_is_same_place(old, mailbox);
	recovery_r->order_lost = FALSE;
	recovery_r->unchanged = nothing_moved(&match, old, mailbox);
	if (recovery_r->unchanged) {
		state->count = match.recognised;
		recovery_r->older_copy = FALSE;
	} else {
		if (pinned)
			build_map(state, old, &match);
		else
			reset_map(state);
		recovery_r->order_lost = !build_order(state, old, &match);
		state->host_first = pinned ? 0 : 1;
		build_facts(state, old, &match, pinned,
			    recovery_r->older_copy, now);
		build_rest(state, messages, now);
		keep_headers(messages, &match);
	}
	pp_match_clear(&match);
}

gboolean pp_guard_acts(const struct pp_state *old,
		       const struct pp_recovery *recovery)
{
	return !recovery->same_mailbox &&
		recovery->lost >= PP_GUARD_MIN_MESSAGES &&
		recovery->lost >= old->count - recovery->lost;
}

gboolean pp_recovery_is_early(const struct pp_recovery *recovery,
			      const struct pp_mailbox_now *mailbox)
{
	return !recovery->same_mailbox && mailbox->messages == 0 &&
		recovery->lost > 0;
}
