/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   UIDLs of others become those of a state. */
#include "pp-adopt.h"
#include "pp-error.h"

#include <string.h>

/* A message that gets another UIDL. */
struct plan_entry {
	guint32 uid;
	const struct pp_import_record *record;
};

/* Who has which UIDL: texts by themselves, rules by validity and old UID. */
struct holders {
	GTree *texts;		/* UIDL -> UID */
	GArray *rules;		/* struct pp_uidl_seg */
};

static gint compare_rules(gconstpointer p1, gconstpointer p2)
{
	const struct pp_uidl_seg *a = p1, *b = p2;

	if (a->validity != b->validity)
		return a->validity < b->validity ? -1 : 1;
	return a->old_first < b->old_first ? -1 : a->old_first > b->old_first;
}

/* Of UIDs from UIDNEXT on nobody has one yet. */
static void holders_init(struct holders *holders,
			 const struct pp_uidl_map *map, guint32 uidnext)
{
	guint count = pp_uidl_map_count(map);

	holders->texts = pp_uidl_tree_new();
	holders->rules = g_array_new(FALSE, FALSE, sizeof(struct pp_uidl_seg));
	for (guint i = 0; i < count; i++) {
		struct pp_uidl_seg seg = *pp_uidl_map_at(map, i);

		if (seg.text != NULL) {
			g_tree_insert(holders->texts, seg.text,
				      GUINT_TO_POINTER(seg.first));
		} else if (seg.first < uidnext) {
			seg.last = MIN(seg.last, uidnext - 1);
			g_array_append_val(holders->rules, seg);
		}
	}
	g_array_sort(holders->rules, compare_rules);
}

static void holders_clear(struct holders *holders)
{
	g_tree_unref(holders->texts);
	g_array_unref(holders->rules);
}

/* TEXT is exactly what a rule prints. */
static gboolean is_printed_rule(const char *text, guint32 *uid_r,
				guint32 *validity_r)
{
	struct pp_uidl_seg seg = { 1, 1, 0, 0, NULL };
	char buf[PP_UIDL_MAX_LEN + 1];

	if (!pp_uidl_is_rule_shape(text, &seg.old_first, &seg.validity) ||
	    seg.old_first == 0)
		return FALSE;
	pp_uidl_print(&seg, 1, buf);
	*uid_r = seg.old_first;
	*validity_r = seg.validity;
	return strcmp(buf, text) == 0;
}

/* The last rule of VALIDITY that begins at or before OLD_UID. */
static const struct pp_uidl_seg *
holders_rule(const struct holders *holders, guint32 old_uid, guint32 validity)
{
	struct pp_uidl_seg key = { .old_first = old_uid, .validity = validity };
	guint low = 0, high = holders->rules->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;

		if (compare_rules(&g_array_index(holders->rules,
						 struct pp_uidl_seg, middle),
				  &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? NULL :
		&g_array_index(holders->rules, struct pp_uidl_seg, low - 1);
}

/* The UID that has TEXT, or 0. */
static guint32 holders_find(const struct holders *holders, const char *text)
{
	const struct pp_uidl_seg *seg;
	guint32 old_uid, validity;

	if (!is_printed_rule(text, &old_uid, &validity)) {
		return GPOINTER_TO_UINT(g_tree_lookup(holders->texts, text));
	}
	seg = holders_rule(holders, old_uid, validity);
	if (seg == NULL || seg->validity != validity ||
	    old_uid - seg->old_first > seg->last - seg->first)
		return 0;
	return seg->first + (old_uid - seg->old_first);
}

static gboolean plan_has(const GArray *plan, guint32 uid)
{
	guint low = 0, high = plan->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;

		if (g_array_index(plan, struct plan_entry, middle).uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->len &&
		g_array_index(plan, struct plan_entry, low).uid == uid;
}

/* What is to be done, by UID. */
static GArray *plan_make(const struct pp_adopt *adopt,
			 const struct pp_state *state, guint32 shown,
			 gboolean force, struct pp_adopt_counts *counts)
{
	GArray *plan = g_array_new(FALSE, FALSE, sizeof(struct plan_entry));

	for (guint i = 0; i < adopt->messages->len; i++) {
		struct plan_entry entry = {
			.uid = g_array_index(adopt->messages,
					     struct pp_adopt_message,
					     i).identity.uid
		};
		g_autofree char *uidl = NULL;

		if (adopt->record_of[i] == PP_ADOPT_NONE) {
			counts->left++;
			continue;
		}
		entry.record = &g_array_index(adopt->records,
					      struct pp_import_record,
					      adopt->record_of[i]);
		uidl = pp_uidl_map_dup(state->map, entry.uid);
		counts->matched++;
		if (g_strcmp0(uidl, entry.record->uidl) == 0)
			counts->same++;
		else if (entry.uid <= shown && !force)
			counts->kept++;
		else
			g_array_append_val(plan, entry);
	}
	counts->stored = plan->len;
	return plan;
}

static gboolean is_there(const struct pp_adopt *adopt, guint32 uid)
{
	for (guint i = 0; i < adopt->messages->len; i++) {
		if (g_array_index(adopt->messages, struct pp_adopt_message,
				  i).identity.uid == uid)
			return TRUE;
	}
	return FALSE;
}

/* Nobody else may have one of the UIDLs, but for those who get another one: by
   the plan, or, where theirs was not shown yet, as one of YIELDING. Nor may a
   message that is gone: clients that know its UIDL would never fetch the other
   one. */
static gboolean plan_check(const GArray *plan, const struct pp_adopt *adopt,
			   const struct pp_state *state,
			   guint32 shown, guint32 uidnext, GArray *yielding,
			   GError **error)
{
	struct holders holders;
	gboolean ret = TRUE;

	holders_init(&holders, state->map, uidnext);
	for (guint i = 0; i < plan->len && ret; i++) {
		const struct plan_entry *entry =
			&g_array_index(plan, struct plan_entry, i);
		guint32 uid = holders_find(&holders, entry->record->uidl);
		guint32 old_uid, validity;

		if (pp_uidl_is_rule_shape(entry->record->uidl, &old_uid,
					  &validity) &&
		    validity > PP_VALIDITY_FOREIGN_MAX) {
			g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
				"line %u: UIDL %s would leave none for mail "
				"to come", entry->record->line,
				entry->record->uidl);
			ret = FALSE;
			continue;
		}
		if (uid == 0 || plan_has(plan, uid))
			continue;
		if (uid > shown) {
			g_array_append_val(yielding, uid);
			continue;
		}
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			is_there(adopt, uid) ?
			"line %u: UIDL %s would be there twice: for UID %u, "
			"and UID %u has it" :
			"line %u: UIDL %s cannot be UID %u's: it was shown for "
			"UID %u, which is gone (leave out this line)",
			entry->record->line, entry->record->uidl, entry->uid,
			uid);
		ret = FALSE;
	}
	holders_clear(&holders);
	return ret;
}

static void plan_yield(const GArray *yielding, struct pp_state *state)
{
	guint32 validity = pp_state_next_validity(state,
						  state->mailbox.uidvalidity);

	for (guint i = 0; i < yielding->len; i++) {
		guint32 uid = g_array_index(yielding, guint32, i);

		pp_uidl_map_set_rule(state->map, uid, uid, uid, validity);
		pp_state_use_validity(state, validity);
	}
}

static void plan_carry_out(const GArray *plan, const GArray *yielding,
			   struct pp_state *state, guint32 uidnext)
{
	guint32 old_uid, validity, open_first, open_validity = 0;
	gboolean taken = FALSE;

	(void)pp_uidl_map_get_open(state->map, &open_first, &open_validity);
	for (guint i = 0; i < plan->len; i++) {
		const struct plan_entry *entry =
			&g_array_index(plan, struct plan_entry, i);
		const char *uidl = entry->record->uidl;

		/* in capitals too */
		if (pp_uidl_is_rule_shape(uidl, &old_uid, &validity)) {
			pp_state_use_validity(state, validity);
			taken = taken || validity == open_validity;
		}
		if (is_printed_rule(uidl, &old_uid, &validity)) {
			pp_uidl_map_set_rule(state->map, entry->uid,
					     entry->uid, old_uid, validity);
		} else {
			pp_uidl_map_set_text(state->map, entry->uid, uidl);
		}
	}
	plan_yield(yielding, state);
	/* the witness knows the open rule's validity only */
	if ((taken || state->high_validity > open_validity) &&
	    uidnext < PP_UID_MAX) {
		(void)pp_state_open_rule(state, uidnext,
					 state->mailbox.uidvalidity);
	}
}

gboolean pp_adopt_apply(const struct pp_adopt *adopt, struct pp_state *state,
			guint32 shown, guint32 uidnext, gboolean force,
			struct pp_adopt_counts *counts_r, GError **error)
{
	struct pp_adopt_counts counts = { 0 };
	g_autoptr(GArray) plan = NULL;
	g_autoptr(GArray) yielding =
		g_array_new(FALSE, FALSE, sizeof(guint32));

	for (guint i = 0; i < adopt->records->len; i++) {
		if (adopt->message_of[i] != PP_ADOPT_NONE)
			continue;
		if (adopt->ambiguous[i])
			counts.ambiguous++;
		else
			counts.unmatched++;
	}
	plan = plan_make(adopt, state, shown, force, &counts);
	if (!plan_check(plan, adopt, state, shown, uidnext, yielding, error))
		return FALSE;
	plan_carry_out(plan, yielding, state, uidnext);
	*counts_r = counts;
	return TRUE;
}

/* Where a message stands. */
struct listed {
	guint record, position;
	guint32 uid;
};

static gint compare_listed(gconstpointer p1, gconstpointer p2)
{
	const struct listed *a = p1, *b = p2;

	/* PP_ADOPT_NONE is the highest */
	if (a->record != b->record)
		return a->record < b->record ? -1 : 1;
	if (a->position != b->position)
		return a->position < b->position ? -1 : 1;
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

gboolean pp_adopt_order(const struct pp_adopt *adopt, struct pp_state *state)
{
	guint count = adopt->messages->len;
	g_autoptr(GArray) listed = g_array_sized_new(FALSE, FALSE,
		sizeof(struct listed), count);
	g_autoptr(GArray) before = state->order == NULL ? NULL :
		g_array_copy(state->order);
	g_autofree guint32 *uids = g_new(guint32, count);

	for (guint i = 0; i < count; i++) {
		struct listed entry = {
			.record = adopt->record_of[i],
			.uid = g_array_index(adopt->messages,
					     struct pp_adopt_message,
					     i).identity.uid
		};

		if (before != NULL)
			entry.position = pp_order_position(before, entry.uid);
		g_array_append_val(listed, entry);
	}
	g_array_sort(listed, compare_listed);
	for (guint i = 0; i < count; i++)
		uids[i] = g_array_index(listed, struct listed, i).uid;
	if (pp_state_set_order(state, uids, count))
		return TRUE;
	state->order = g_steal_pointer(&before);
	return FALSE;
}
