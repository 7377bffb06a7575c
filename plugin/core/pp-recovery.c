/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Recovery: recognising messages after the mailbox changed under the state,
   and making the state that fits the mailbox as it is now. */
#include "pp-recovery.h"

/* The two sides of the matching. Which old UID a message has is in old_uids
   (0: not recognised); an old one that was found is in used. */
struct match {
	GArray *old;		/* struct pp_identity by UID, each UID once */
	const GArray *messages;	/* struct pp_identity by UID */
	guint8 *used;
	guint32 *old_uids;
	guint recognised;
};

/* A key of one side in sorting. */
struct match_key {
	guint64 key;
	guint index;
};

static const struct pp_identity *identity_at(const GArray *array, guint i)
{
	return &g_array_index(array, struct pp_identity, i);
}

static gint compare_uids(gconstpointer p1, gconstpointer p2)
{
	const struct pp_identity *a = p1, *b = p2;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

static gint compare_keys(gconstpointer p1, gconstpointer p2)
{
	const struct match_key *a = p1, *b = p2;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static gboolean is_same_place(const struct pp_state *old,
			      const struct pp_mailbox_now *mailbox)
{
	return pp_mailbox_id_equal(&old->mailbox, &mailbox->id) &&
		mailbox->uidnext > old->mark &&
		mailbox->last_shown != PP_IDENTITY_OTHER;
}

/* A UID means the same message in the same mailbox. So the ones that the
   ledger does not have (yet) can stand for themselves. */
static void add_old_by_uid(const struct pp_state *old, const GArray *messages,
			   GArray *entries)
{
	for (guint i = 0; i < messages->len; i++) {
		const struct pp_identity *message = identity_at(messages, i);

		if (message->uid <= old->mark)
			g_array_append_vals(entries, message, 1);
	}
}

/* Sorts by UID and keeps the first entry of each UID. */
static void sort_unique(GArray *entries)
{
	guint kept = 0;

	/* stable: what was added first stays first */
	g_array_sort(entries, compare_uids);
	for (guint i = 0; i < entries->len; i++) {
		if (kept > 0 && identity_at(entries, i)->uid ==
		    identity_at(entries, kept - 1)->uid)
			continue;
		g_array_index(entries, struct pp_identity, kept++) =
			*identity_at(entries, i);
	}
	g_array_set_size(entries, kept);
}

/* All that is known of shown messages that have a UIDL. */
static GArray *collect_old(const struct pp_state *old, const GArray *ledger,
			   const GArray *messages,
			   const struct pp_mailbox_now *mailbox)
{
	GArray *entries = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));

	for (guint i = 0; ledger != NULL && i < ledger->len; i++) {
		const struct pp_identity *entry = identity_at(ledger, i);

		if (entry->uid <= old->mark &&
		    pp_uidl_map_find(old->map, entry->uid) != NULL)
			g_array_append_vals(entries, entry, 1);
	}
	for (guint i = 0; i < old->shown_count; i++) {
		struct pp_identity entry = {
			.uid = old->shown[i].uid, .id = old->shown[i].id
		};

		if (pp_uidl_map_find(old->map, entry.uid) != NULL)
			g_array_append_val(entries, entry);
	}
	if (is_same_place(old, mailbox) &&
	    mailbox->last_shown == PP_IDENTITY_SAME)
		add_old_by_uid(old, messages, entries);
	sort_unique(entries);
	return entries;
}

static void match_pair(struct match *match, guint old_index, guint new_index)
{
	match->used[old_index] = TRUE;
	match->old_uids[new_index] = identity_at(match->old, old_index)->uid;
	match->recognised++;
}

/* Same UID and same id, for within one UIDVALIDITY: so that of twins the one
   that stayed is not taken for the one that went. */
static void match_unmoved(struct match *match)
{
	guint o = 0, n = 0;

	while (o < match->old->len && n < match->messages->len) {
		const struct pp_identity *a = identity_at(match->old, o);
		const struct pp_identity *b = identity_at(match->messages, n);

		if (a->uid < b->uid) {
			o++;
		} else if (a->uid > b->uid) {
			n++;
		} else {
			if (a->id != 0 && a->id == b->id)
				match_pair(match, o, n);
			o++;
			n++;
		}
	}
}

static guint64 id_of(const struct pp_identity *identity)
{
	return identity->id;
}

/* Formats other than maildir have the GUID as id, and a maildir's file name is
   its GUID where none is noted: comparable all the same. */
static guint64 guid_of(const struct pp_identity *identity)
{
	return identity->guid != 0 ? identity->guid : identity->id;
}

static guint64 header_of(const struct pp_identity *identity)
{
	return identity->header;
}

static void add_key(GArray *keys, guint64 key, guint index)
{
	struct match_key entry = { .key = key, .index = index };

	if (key != 0)
		g_array_append_val(keys, entry);
}

/* Matches what is left by one key. Both sides sorted by key, then UID: twins
   fall together in order, and the cost does not depend on how many there
   are. */
static void match_by(struct match *match,
		     guint64 (*key_of)(const struct pp_identity *))
{
	g_autoptr(GArray) a = g_array_new(FALSE, FALSE,
					  sizeof(struct match_key));
	g_autoptr(GArray) b = g_array_new(FALSE, FALSE,
					  sizeof(struct match_key));

	for (guint i = 0; i < match->old->len; i++) {
		if (!match->used[i])
			add_key(a, key_of(identity_at(match->old, i)), i);
	}
	for (guint i = 0; i < match->messages->len; i++) {
		if (match->old_uids[i] == 0)
			add_key(b, key_of(identity_at(match->messages, i)), i);
	}
	g_array_sort(a, compare_keys);
	g_array_sort(b, compare_keys);

	for (guint o = 0, n = 0; o < a->len && n < b->len; ) {
		const struct match_key *x =
			&g_array_index(a, struct match_key, o);
		const struct match_key *y =
			&g_array_index(b, struct match_key, n);

		if (x->key == y->key)
			match_pair(match, x->index, y->index);
		o += x->key <= y->key;
		n += y->key <= x->key;
	}
}

static void match_run(struct match *match, const struct pp_state *old,
		      const GArray *ledger, const GArray *messages,
		      const struct pp_mailbox_now *mailbox)
{
	match->old = collect_old(old, ledger, messages, mailbox);
	match->messages = messages;
	match->used = g_new0(guint8, match->old->len);
	match->old_uids = g_new0(guint32, messages->len);
	match->recognised = 0;

	if (pp_mailbox_id_equal(&old->mailbox, &mailbox->id))
		match_unmoved(match);
	match_by(match, id_of);
	match_by(match, guid_of);
	match_by(match, header_of);
}

static void match_clear(struct match *match)
{
	g_array_unref(match->old);
	g_free(match->used);
	g_free(match->old_uids);
}

/* All that was shown and is there is where it was, and nothing of it came up
   as new: some mail was expunged and some arrived. Then the open rule goes on;
   it may have been shown already, without the dict. */
static gboolean nothing_moved(const struct match *match,
			      const struct pp_state *old,
			      const struct pp_mailbox_now *mailbox)
{
	if (!is_same_place(old, mailbox))
		return FALSE;
	for (guint i = 0; i < match->messages->len; i++) {
		guint32 uid = identity_at(match->messages, i)->uid;

		if (match->old_uids[i] != (uid <= old->mark ? uid : 0))
			return FALSE;
	}
	return TRUE;
}

/* A rule under construction that holds for neighbours in the listing. UIDs
   between them do not exist, so it may go over them. */
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

static void rule_add(struct rule *rule, guint32 first, guint32 last,
		     guint32 old_first, guint32 validity)
{
	/* unsigned, so that old UIDs may be below or above */
	if (rule->first != 0 && rule->validity == validity &&
	    rule->old_first - rule->first == old_first - first) {
		rule->last = last;
		return;
	}
	rule_end(rule);
	rule->first = first;
	rule->last = last;
	rule->old_first = old_first;
	rule->validity = validity;
}

static void rule_keep(struct rule *rule, const struct pp_state *old,
		      guint32 old_uid, guint32 uid)
{
	const struct pp_uidl_seg *seg = pp_uidl_map_find(old->map, old_uid);

	if (seg->text != NULL) {
		rule_end(rule);
		pp_uidl_map_set_text(rule->map, uid, seg->text);
		return;
	}
	rule_add(rule, uid, uid, seg->old_first + (old_uid - seg->first),
		 seg->validity);
}

static void build_map(struct pp_state *state, const struct pp_state *old,
		      const struct match *match)
{
	guint32 validity = pp_state_next_validity(old,
						  state->mailbox.uidvalidity);
	struct rule rule = { .map = pp_uidl_map_new() };
	guint32 uid = 0;

	for (guint i = 0; i < match->messages->len; i++) {
		guint32 next = uid + 1;

		uid = identity_at(match->messages, i)->uid;
		if (match->old_uids[i] != 0)
			rule_keep(&rule, old, match->old_uids[i], uid);
		else
			rule_add(&rule, next, uid, next, validity);
	}
	if (uid < PP_UID_MAX) {
		rule_add(&rule, uid + 1, PP_UID_MAX, uid + 1, validity);
		pp_state_use_validity(state, validity);
	}
	rule_end(&rule);
	pp_uidl_map_free(state->map);
	state->map = rule.map;
}

/* A run of times under construction, for neighbours in the listing: it goes
   over UIDs that do not exist, and begins where the run before ended, so that
   times are few and can coarsen later. */
struct span {
	struct pp_runs *runs;
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
	guint32 first = span->time != 0 ? span->last + 1 : uid;

	if (time != span->time) {
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

/* The time of an old UID (0: none known), or NOW where times restart. */
static guint64 kept_time(const struct pp_runs *runs, guint32 old_uid,
			 gboolean restart, guint64 now)
{
	guint64 time;

	if (old_uid == 0 || !pp_runs_get(runs, old_uid, &time))
		return 0;
	return restart ? now : time;
}

static void build_facts(struct pp_state *state, const struct pp_state *old,
			const struct match *match, gboolean keep,
			gboolean restart, guint64 now)
{
	struct span seen = { .runs = pp_runs_new() };
	struct span retrieved = { .runs = pp_runs_new() };
	struct span deleted = { .runs = pp_runs_new() };

	for (guint i = 0; i < match->messages->len; i++) {
		guint32 uid = identity_at(match->messages, i)->uid;
		guint32 old_uid = keep ? match->old_uids[i] : 0;

		span_add(&seen, uid, old_uid == 0 || restart ? now :
			 kept_time(old->first_seen, old_uid, FALSE, now));
		span_add(&retrieved, uid, kept_time(old->retrieved, old_uid,
						    restart, now));
		span_add(&deleted, uid, kept_time(old->deleted, old_uid,
						  restart, now));
	}
	span_store(&seen, &state->first_seen);
	span_store(&retrieved, &state->retrieved);
	span_store(&deleted, &state->deleted);
}

/* What the state says about the mailbox as a whole. */
static void build_rest(struct pp_state *state, const GArray *messages,
		       guint64 now)
{
	guint shown = MIN(messages->len, PP_SHOWN_MAX);

	state->generation++;
	state->mark = 0;
	state->shown_count = 0;
	for (guint i = messages->len - shown; i < messages->len; i++) {
		const struct pp_identity *message = identity_at(messages, i);

		pp_state_add_shown(state, message->uid, message->id);
	}
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

void pp_recover(const struct pp_state *old, const GArray *ledger,
		const GArray *messages, const struct pp_mailbox_now *mailbox,
		guint64 now, gboolean pinned, struct pp_recovery *recovery_r)
{
	struct pp_state *state = pp_state_copy(old);
	struct match match;

	match_run(&match, old, ledger, messages, mailbox);
	state->mailbox = mailbox->id;
	recovery_r->state = state;
	recovery_r->recognised = match.recognised;
	recovery_r->lost = old->count > match.recognised ?
		old->count - match.recognised : 0;
	recovery_r->older_copy = is_older_copy(old, recovery_r, mailbox);

	recovery_r->same_mailbox = is_same_place(old, mailbox);
	recovery_r->unchanged = nothing_moved(&match, old, mailbox);
	if (recovery_r->unchanged) {
		state->count = match.recognised;
		recovery_r->older_copy = FALSE;
	} else {
		build_map(state, old, &match);
		build_facts(state, old, &match, pinned,
			    recovery_r->older_copy, now);
		build_rest(state, messages, now);
	}
	match_clear(&match);
}

gboolean pp_guard_acts(const struct pp_state *old,
		       const struct pp_recovery *recovery)
{
	return !recovery->same_mailbox &&
		recovery->lost >= PP_GUARD_MIN_MESSAGES &&
		recovery->lost >= old->count - recovery->lost;
}
