/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Recognising messages: by UID and id in the same mailbox, then by id, by GUID,
   by headers. */
#include "pp-match.h"

/* A key of one side in sorting. */
struct match_key {
	guint64 key;
	guint index;
};

static const struct pp_identity *identity_at(const GArray *array, guint i)
{
	return &g_array_index(array, struct pp_identity, i);
}

static gint compare_keys(gconstpointer p1, gconstpointer p2)
{
	const struct match_key *a = p1, *b = p2;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

gboolean pp_match_is_same_place(const struct pp_state *old,
				const struct pp_mailbox_now *mailbox)
{
	return pp_mailbox_id_equal(&old->mailbox, &mailbox->id) &&
		mailbox->uidnext > old->mark &&
		mailbox->last_shown != PP_IDENTITY_OTHER;
}

static guint ledger_len(const struct pp_match *match)
{
	return match->ledger != NULL ? match->ledger->len : 0;
}

/* What is known at PLACE: the ledger's entries, those of the state's own last
   ones, the messages themselves. */
static const struct pp_identity *
place_at(const struct pp_match *match, guint place)
{
	if (place < ledger_len(match))
		return identity_at(match->ledger, place);
	place -= ledger_len(match);
	if (place < match->shown->len)
		return identity_at(match->shown, place);
	return identity_at(match->messages, place - match->shown->len);
}

static guint old_place(const struct pp_match *match, guint i)
{
	return g_array_index(match->old, guint, i);
}

static const struct pp_identity *old_at(const struct pp_match *match, guint i)
{
	return place_at(match, old_place(match, i));
}

static gint
compare_places(gconstpointer p1, gconstpointer p2, gpointer context)
{
	const struct pp_match *match = context;
	guint a = *(const guint *)p1, b = *(const guint *)p2;
	guint32 x = place_at(match, a)->uid, y = place_at(match, b)->uid;

	if (x != y)
		return x < y ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* Sorts by UID and keeps the first place of each UID. */
static void sort_unique(struct pp_match *match)
{
	guint kept = 0;

	g_array_sort_with_data(match->old, compare_places, match);
	for (guint i = 0; i < match->old->len; i++) {
		if (kept > 0 &&
		    old_at(match, i)->uid == old_at(match, kept - 1)->uid)
			continue;
		g_array_index(match->old, guint, kept++) = old_place(match, i);
	}
	g_array_set_size(match->old, kept);
}

static void collect_shown(struct pp_match *match, const struct pp_state *old)
{
	match->shown = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	for (guint i = 0; i < old->shown_count; i++) {
		struct pp_identity entry = {
			.uid = old->shown[i].uid, .id = old->shown[i].id
		};

		g_array_append_val(match->shown, entry);
	}
}

/* All that is known of shown messages that have a UIDL. A UID means the same
   message in the same mailbox: there those that the ledger does not have (yet)
   can stand for themselves. Places, and no copies: a large maildrop's are as
   large as all else that a recovery needs. */
static void collect_old(struct pp_match *match, const struct pp_state *old,
			const struct pp_mailbox_now *mailbox)
{
	guint known, places;

	collect_shown(match, old);
	known = places = ledger_len(match) + match->shown->len;
	match->old = g_array_sized_new(FALSE, FALSE, sizeof(guint), places);
	if (pp_match_is_same_place(old, mailbox) &&
	    mailbox->last_shown == PP_IDENTITY_SAME)
		places += match->messages->len;
	for (guint i = 0; i < places; i++) {
		guint32 uid = place_at(match, i)->uid;

		if (uid <= old->mark &&
		    (i >= known || pp_uidl_map_find(old->map, uid) != NULL))
			g_array_append_val(match->old, i);
	}
	sort_unique(match);
}

static void match_pair(struct pp_match *match, guint old_index, guint new_index)
{
	match->used[old_index] = TRUE;
	match->found[new_index] = old_index;
	match->recognised++;
}

/* Same UID and same id, for within one UIDVALIDITY: so that of twins the one
   that stayed is not taken for the one that went. */
static void match_unmoved(struct pp_match *match)
{
	guint o = 0, n = 0;

	while (o < match->old->len && n < match->messages->len) {
		const struct pp_identity *a = old_at(match, o);
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

static const struct match_key *key_at(const GArray *keys, guint i)
{
	return &g_array_index(keys, struct match_key, i);
}

/* Where the group of equal keys that begins at START ends. */
static guint group_end(const GArray *keys, guint start)
{
	guint end = start;

	while (end < keys->len &&
	       key_at(keys, end)->key == key_at(keys, start)->key)
		end++;
	return end;
}

/* Pairs of a group that have the same UID. */
static void match_group_by_uid(struct pp_match *match, const GArray *a,
			       guint o, guint o_end, const GArray *b, guint n,
			       guint n_end)
{
	while (o < o_end && n < n_end) {
		guint32 x = old_at(match, key_at(a, o)->index)->uid;
		guint32 y = pp_match_uid(match, key_at(b, n)->index);

		if (x == y)
			match_pair(match, key_at(a, o)->index,
				   key_at(b, n)->index);
		o += x <= y;
		n += y <= x;
	}
}

/* Twins, where some of them are gone, or new, are told apart by their UIDs,
   should they have kept them; else the oldest ones are gone, the newest ones
   new. */
static void match_group(struct pp_match *match, const GArray *a, guint o,
			guint o_end, const GArray *b, guint n, guint n_end)
{
	guint old_count = o_end - o, new_count = n_end - n;
	guint gone = old_count - MIN(old_count, new_count);

	if (old_count != new_count)
		match_group_by_uid(match, a, o, o_end, b, n, n_end);
	while (o < o_end && n < n_end) {
		if (match->used[key_at(a, o)->index]) {
			o++;
		} else if (gone > 0) {
			gone--;
			o++;
		} else if (match->found[key_at(b, n)->index] !=
			   PP_MATCH_NONE) {
			n++;
		} else {
			match_pair(match, key_at(a, o++)->index,
				   key_at(b, n++)->index);
		}
	}
}

/* Matches what is left by one key. Both sides sorted by key, then UID: twins
   fall together in order, and the cost does not depend on how many there
   are. */
static void match_by(struct pp_match *match,
		     guint64 (*key_of)(const struct pp_identity *))
{
	g_autoptr(GArray) a = g_array_sized_new(FALSE, FALSE,
		sizeof(struct match_key), match->old->len - match->recognised);
	g_autoptr(GArray) b = g_array_sized_new(FALSE, FALSE,
		sizeof(struct match_key),
		match->messages->len - match->recognised);

	for (guint i = 0; i < match->old->len; i++) {
		if (!match->used[i])
			add_key(a, key_of(old_at(match, i)), i);
	}
	for (guint i = 0; i < match->messages->len; i++) {
		if (match->found[i] == PP_MATCH_NONE)
			add_key(b, key_of(identity_at(match->messages, i)), i);
	}
	g_array_sort(a, compare_keys);
	g_array_sort(b, compare_keys);

	for (guint o = 0, n = 0; o < a->len && n < b->len; ) {
		guint64 x = key_at(a, o)->key, y = key_at(b, n)->key;
		guint o_end, n_end;

		if (x != y) {
			o += x < y;
			n += y < x;
			continue;
		}
		o_end = group_end(a, o);
		n_end = group_end(b, n);
		match_group(match, a, o, o_end, b, n, n_end);
		o = o_end;
		n = n_end;
	}
}

void pp_match_init(struct pp_match *match, const struct pp_state *old,
		   const GArray *ledger, const GArray *messages,
		   const struct pp_mailbox_now *mailbox)
{
	match->ledger = ledger;
	match->messages = messages;
	collect_old(match, old, mailbox);
	match->used = g_new0(guint8, match->old->len);
	match->found = g_new(guint, messages->len);
	match->recognised = 0;
	for (guint i = 0; i < messages->len; i++)
		match->found[i] = PP_MATCH_NONE;

	if (pp_mailbox_id_equal(&old->mailbox, &mailbox->id))
		match_unmoved(match);
	match_by(match, id_of);
	match_by(match, guid_of);
	match_by(match, header_of);
}

guint32 pp_match_uid(const struct pp_match *match, guint index)
{
	return identity_at(match->messages, index)->uid;
}

guint32 pp_match_old_uid(const struct pp_match *match, guint index)
{
	guint found = match->found[index];

	return found != PP_MATCH_NONE ? old_at(match, found)->uid : 0;
}

guint64 pp_match_header(const struct pp_match *match, guint index)
{
	guint64 header = identity_at(match->messages, index)->header;
	guint found = match->found[index];

	return header == 0 && found != PP_MATCH_NONE ?
		old_at(match, found)->header : header;
}

void pp_match_clear(struct pp_match *match)
{
	g_array_unref(match->old);
	g_array_unref(match->shown);
	g_free(match->used);
	g_free(match->found);
}

