/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-book.h. */
#include "pop3-policy-compat.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "pop3-policy-book.h"

static const char *book_key(guint32 chunk)
{
	return t_strdup_printf("ledger/%u", chunk);
}

/* How many chunks, from the last one back, are looked at to note headers: what
   is retrieved is new as a rule. */
#define BOOK_NOTE_MAX_CHUNKS 8

/* The chunk as it is, or is about to be, stored; NULL: nothing there. */
static int book_lookup(struct pop3_policy_maildrop *md,
		       const struct pop3_policy_deadline *deadline,
		       const struct pop3_policy_change *change,
		       guint32 chunk, const char **value_r,
		       const char **error_r)
{
	const char *key = book_key(chunk);

	*value_r = pop3_policy_change_pending(change, key);
	if (*value_r != NULL)
		return 0;
	return pop3_policy_store_lookup(md->store, pool_datastack_create(),
					deadline, &key, 1, value_r, error_r);
}

/* Decodes a chunk of STATE's mailbox into ENTRIES. */
static bool book_decode(const struct pp_state *state, const char *value,
			GArray *entries)
{
	struct pp_mailbox_id mailbox;
	guint count = entries->len;

	if (value == NULL ||
	    !pp_ledger_decode(value, &mailbox, entries, NULL))
		return FALSE;
	if (pp_mailbox_id_equal(&mailbox, &state->mailbox))
		return TRUE;
	/* its UIDs are those of another mailbox */
	g_array_set_size(entries, count);
	return FALSE;
}

/* Drops the entries of messages that are gone, and what STATE does not know of:
   a ledger with a dict of its own is stored first, and then the state may not
   have been. */
static void book_drop(GArray *entries, const struct pp_state *state,
		      struct mailbox *box)
{
	const struct pp_identity *identity;
	guint i, kept = 0;
	uint32_t seq;

	for (i = 0; i < entries->len; i++) {
		identity = &g_array_index(entries, struct pp_identity, i);
		if (identity->uid > state->ledger_upto ||
		    !mail_index_lookup_seq(box->view, identity->uid, &seq))
			continue;
		g_array_index(entries, struct pp_identity, kept++) =
			*identity;
	}
	g_array_set_size(entries, kept);
}

/* TRUE; or FALSE where they are more chunks than a state may name: the ledger
   begins anew, and whoever commits next collects all that is there. */
static bool book_write(struct pop3_policy_change *change, guint32 chunk,
		       const GArray *entries)
{
	struct pp_state *state = *change->state;
	const struct pp_identity *identities =
		(const struct pp_identity *)entries->data;
	guint start = 0, next;

	while (start < entries->len) {
		g_autofree char *doc = NULL;

		if (chunk >= PP_CHUNKS_MAX) {
			state->ledger_chunks = 0;
			state->ledger_last_first = 0;
			state->ledger_upto = 0;
			return FALSE;
		}
		doc = pp_ledger_encode(&state->mailbox, identities,
				       entries->len, start, &next);
		pop3_policy_change_write(change, book_key(chunk), doc);
		state->ledger_last_first = identities[start].uid;
		state->ledger_chunks = ++chunk;
		start = next;
	}
	return TRUE;
}

int pop3_policy_book_append(struct pop3_policy_maildrop *md,
			    const struct pop3_policy_deadline *deadline,
			    struct pop3_policy_change *change,
			    struct mailbox *box, const GArray *new_entries,
			    guint32 upto, const char **error_r)
{
	struct pp_state *state = *change->state;
	g_autoptr(GArray) entries = g_array_new(FALSE, FALSE,
						sizeof(struct pp_identity));
	guint32 chunk = state->ledger_chunks;
	const char *value;

	if (chunk > 0) {
		if (book_lookup(md, deadline, change, chunk - 1, &value,
				error_r) < 0)
			return -1;
		/* what cannot be read is not overwritten: a new one is begun */
		if (book_decode(state, value, entries))
			chunk--;
	}
	book_drop(entries, state, box);
	g_array_append_vals(entries, new_entries->data, new_entries->len);
	if (book_write(change, chunk, entries))
		state->ledger_upto = upto;
	return 0;
}

/* Copies the header hashes of HEADERS into ENTRIES (both by UID). Returns TRUE
   if there was one that ENTRIES did not have. */
static bool book_merge_headers(GArray *entries, const GArray *headers)
{
	const struct pp_identity *header;
	struct pp_identity *entry;
	bool changed = FALSE;
	guint e = 0, h = 0;

	while (e < entries->len && h < headers->len) {
		entry = &g_array_index(entries, struct pp_identity, e);
		header = &g_array_index(headers, struct pp_identity, h);
		if (header->uid == entry->uid && entry->header == 0) {
			entry->header = header->header;
			changed = TRUE;
		}
		if (header->uid <= entry->uid)
			h++;
		else
			e++;
	}
	return changed;
}

/* A chunk that grows too long keeps what it has: the entries behind it are in
   another one. */
static void book_rewrite(struct pop3_policy_change *change, guint32 chunk,
			 const GArray *entries)
{
	g_autofree char *doc = NULL;
	guint next;

	doc = pp_ledger_encode(&(*change->state)->mailbox,
			       (const struct pp_identity *)
			       (const void *)entries->data, entries->len, 0,
			       &next);
	if (next == entries->len)
		pop3_policy_change_write(change, book_key(chunk), doc);
}

int pop3_policy_book_note_headers(struct pop3_policy_maildrop *md,
				  const struct pop3_policy_deadline *deadline,
				  struct pop3_policy_change *change,
				  const GArray *headers, const char **error_r)
{
	struct pp_state *state = *change->state;
	guint32 chunk = state->ledger_chunks, first_uid, looked;
	const char *value;

	if (headers->len == 0)
		return 0;
	first_uid = g_array_index(headers, struct pp_identity, 0).uid;
	for (looked = 0; chunk > 0 && looked < BOOK_NOTE_MAX_CHUNKS;
	     looked++) {
		g_autoptr(GArray) entries =
			g_array_new(FALSE, FALSE, sizeof(struct pp_identity));

		if (book_lookup(md, deadline, change, --chunk, &value,
				error_r) < 0)
			return -1;
		if (!book_decode(state, value, entries) || entries->len == 0)
			continue;
		if (book_merge_headers(entries, headers))
			book_rewrite(change, chunk, entries);
		if (g_array_index(entries, struct pp_identity, 0).uid <=
		    first_uid)
			break;
	}
	return 0;
}

/* Chunk I, which holds VALUE, cannot be used. */
static void book_leave(struct pop3_policy_book_left *left, guint32 i,
		       const char *value)
{
	g_autoptr(GArray) entries =
		g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	struct pp_mailbox_id mailbox;

	left->count++;
	left->behind = i + 1;
	if (value != NULL && !pp_ledger_decode(value, &mailbox, entries, NULL))
		left->damaged = TRUE;
}

GArray *pop3_policy_book_read(struct pop3_policy_maildrop *md,
			      const struct pop3_policy_deadline *deadline,
			      const struct pp_state *state,
			      struct pop3_policy_book_left *left_r,
			      const char **error_r)
{
	guint32 i, count = state->ledger_chunks;
	const char **keys = t_new(const char *, count + 1);
	const char **values = t_new(const char *, count + 1);
	pool_t pool = pool_alloconly_create("pop3-policy ledger", 1024 * 32);
	GArray *entries = NULL;

	for (i = 0; i < count; i++)
		keys[i] = book_key(i);
	if (pop3_policy_store_lookup(md->store, pool, deadline, keys, count,
				     values, error_r) == 0) {
		entries = g_array_new(FALSE, FALSE,
				      sizeof(struct pp_identity));
		i_zero(left_r);
		for (i = 0; i < count; i++) {
			if (!book_decode(state, values[i], entries))
				book_leave(left_r, i, values[i]);
		}
	}
	pool_unref(&pool);
	return entries;
}

int pop3_policy_book_fill_headers(struct pop3_policy_maildrop *md,
				  const struct pop3_policy_deadline *deadline,
				  struct pop3_policy_change *change,
				  const GArray *headers, const char **error_r)
{
	struct pop3_policy_book_left left;
	g_autoptr(GArray) entries =
		pop3_policy_book_read(md, deadline, *change->state, &left,
				      error_r);

	if (entries == NULL)
		return -1;
	/* what cannot be read is not overwritten; all else is behind it
	   where a recovery began the ledger anew */
	if (left.count != left.behind) {
		*error_r = "parts of the ledger cannot be read";
		return -1;
	}
	if (book_merge_headers(entries, headers))
		(void)book_write(change, left.behind, entries);
	return 0;
}
