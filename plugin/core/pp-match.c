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

gboolean pp_match_is_same_place(const struct pp_state *old,
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
	GArray *entries = g_array_sized_new(FALSE, FALSE,
		sizeof(struct pp_identity),
		(ledger != NULL ? ledger->len : 0) + old->shown_count);

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
	if (pp_match_is_same_place(old, mailbox) &&
	    mailbox->last_shown == PP_IDENTITY_SAME)
		add_old_by_uid(old, messages, entries);
	sort_unique(entries);
	return entries;
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
		guint32 x = identity_at(match->old, key_at(a, o)->index)->uid;
		guint32 y = pp_match_uid(match, key_at(b, n)->index);

		if (x == y)
			match_pair(match, key_at(a, o)->index,
				   key_at(b, n)->index);
		o += x <= y;
		n += y <= x;
	}
}

/* How many of KEYS from START to END are not matched yet. */
static guint count_old_left(const struct pp_match *match, const GArray *keys,
			    guint start, guint end)
{
	guint left = 0;

	for (guint i = start; i < end; i++)
		left += !match->used[key_at(keys, i)->index];
	return left;
}

static guint count_new_left(const struct pp_match *match, const GArray *keys,
			    guint start, guint end)
{
	guint left = 0;

	for (guint i = start; i < end; i++)
		left += match->found[key_at(keys, i)->index] == PP_MATCH_NONE;
	return left;
}

/* Twins, where some of them are gone, or new, are told apart by their UIDs,
   should they have kept them; else the oldest ones are gone, the newest ones
   new. */
static void match_group(struct pp_match *match, const GArray *a, guint o,
			guint o_end, const GArray *b, guint n, guint n_end)
{
	guint old_left, new_left;

	if (o_end - o != n_end - n)
		match_group_by_uid(match, a, o, o_end, b, n, n_end);
	old_left = count_old_left(match, a, o, o_end);
	new_left = count_new_left(match, b, n, n_end);
	while (o < o_end && n < n_end) {
		if (match->used[key_at(a, o)->index]) {
			o++;
		} else if (old_left > new_left) {
			old_left--;
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
			add_key(a, key_of(identity_at(match->old, i)), i);
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
	match->old = collect_old(old, ledger, messages, mailbox);
	match->messages = messages;
	match->used = g_new0(gboolean, match->old->len);
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

	return found != PP_MATCH_NONE ? identity_at(match->old, found)->uid : 0;
}

void pp_match_clear(struct pp_match *match)
{
	g_array_unref(match->old);
	g_free(match->used);
	g_free(match->found);
}

