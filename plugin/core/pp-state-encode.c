/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The documents of a state, written. Lists of numbers are joined by '.', a
   field of which nothing is known is left out. */
#include "pp-state.h"
#include "pp-doc.h"
#include "pp-mailbox-id.h"

#include <string.h>

/* What the envelope of a chunk needs at most, rounded up. */
#define CHUNK_ENVELOPE_BYTES 128
/* The same for a state, with the names of the facts. */
#define STATE_ENVELOPE_BYTES 128
/* So few runs of a kind are coarsened no further: then runs are forgotten. */
#define COARSEST_RUNS 64

enum fact {
	FACT_FIRST_SEEN,
	FACT_RETRIEVED,
	FACT_DELETED,
	FACTS
};

static const char *const fact_names[FACTS] = { "seen", "retr", "dele" };

/* What is written must be readable, so no rule is above it. */
static guint32 highest_validity(const struct pp_state *state)
{
	guint32 validity = state->high_validity;
	const struct pp_uidl_seg *seg;
	guint i;

	for (i = 0; i < pp_uidl_map_count(state->map); i++) {
		seg = pp_uidl_map_at(state->map, i);
		if (seg->text == NULL)
			validity = MAX(validity, seg->validity);
	}
	return validity;
}

static void add_shown(GString *body, const struct pp_state *state)
{
	g_autoptr(GString) str = g_string_new(NULL);
	guint i;

	if (state->shown_count == 0)
		return;
	for (i = 0; i < state->shown_count; i++) {
		if (i > 0)
			g_string_append_c(str, ',');
		g_string_append_printf(str, "%u.%" G_GUINT64_FORMAT,
				       state->shown[i].uid,
				       state->shown[i].id);
	}
	pp_doc_add(body, "shown", str->str);
}

static void add_numbers(GString *body, const char *name, guint64 a, guint64 b)
{
	g_autofree char *text = NULL;

	if (a == 0 && b == 0)
		return;
	text = g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT,
			       a, b);
	pp_doc_add(body, name, text);
}

static void add_three(GString *body, const char *name, guint32 a, guint32 b,
		      guint32 c)
{
	g_autofree char *text = NULL;

	if (a == 0 && b == 0 && c == 0)
		return;
	text = g_strdup_printf("%u.%u.%u", a, b, c);
	pp_doc_add(body, name, text);
}

/* Of which it is asked whether they are exact. */
static gboolean has_runs(const struct pp_state *state)
{
	return pp_runs_count(state->retrieved) > 0 ||
		pp_runs_count(state->deleted) > 0;
}

static void add_pass(GString *body, const struct pp_state *state)
{
	g_autofree char *text = NULL;

	if (state->pass_time == 0)
		return;
	text = g_strdup_printf("%" G_GUINT64_FORMAT ".%u.%u.%u",
			       state->pass_time, state->pass_messages,
			       state->pass_removed, state->pass_told != 0);
	pp_doc_add(body, "pass", text);
}

static void add_text(GString *body, const char *name, const char *text,
		     gsize max_bytes)
{
	g_autofree char *escaped = NULL;

	if (text == NULL)
		return;
	g_assert(strlen(text) <= max_bytes);
	escaped = pp_escape(text);
	pp_doc_add(body, name, escaped);
}

static void add_open(GString *body, const struct pp_uidl_map *map)
{
	const struct pp_uidl_seg *seg;
	guint32 first, validity;

	if (!pp_uidl_map_get_open(map, &first, &validity))
		return;
	seg = pp_uidl_map_find(map, first);
	add_three(body, "open", first, seg->old_first, validity);
}

static void add_order(GString *body, const GArray *order)
{
	g_autofree char *text = NULL;

	if (order == NULL)
		return;
	text = pp_order_encode(order);
	g_assert(strlen(text) <= PP_ORDER_MAX_BYTES);
	pp_doc_add(body, "order", text);
}

static char *chunk_encode(const char *text, const char *prev_checksum)
{
	g_autoptr(GString) body = g_string_new(NULL);

	if (*prev_checksum != '\0')
		pp_doc_add(body, "prev", prev_checksum);
	pp_doc_add(body, "map", text);
	return pp_doc_finish("uidl", body);
}

/* Makes documents of TEXTS. CHECKSUM_R, of 17 bytes, is the last one's. */
static void encode_chunks(GPtrArray *texts, GPtrArray *chunks,
			  char *checksum_r)
{
	guint i;

	*checksum_r = '\0';
	for (i = 0; i < texts->len; i++) {
		g_autofree char *checksum = NULL;
		char *doc = chunk_encode(g_ptr_array_index(texts, i),
					 checksum_r);

		g_ptr_array_add(chunks, doc);
		checksum = pp_doc_checksum(doc);
		g_strlcpy(checksum_r, checksum, 17);
	}
}

static void add_chunks(GString *body, guint chunks, const char *checksum)
{
	g_autofree char *text = g_strdup_printf("%u.%s", chunks, checksum);

	pp_doc_add(body, "chunks", text);
}

static void add_map(GString *body, const struct pp_state *state,
		    GPtrArray *chunks)
{
	g_autoptr(GPtrArray) texts =
		pp_uidl_map_encode(state->map, PP_VALUE_MAX_BYTES -
				   CHUNK_ENVELOPE_BYTES);
	const char *text = g_ptr_array_index(texts, 0);
	gboolean fits = texts->len == 1 &&
		strlen(text) <= PP_MAP_INLINE_MAX_BYTES;
	char checksum[17];

	add_open(body, state->map);
	if (state->chunks_added < state->chunks) {
		g_assert(fits);
		add_chunks(body, state->chunks, state->chunks_checksum);
	}
	if (fits) {
		if (strcmp(text, "-") != 0)
			pp_doc_add(body, "map", text);
		return;
	}
	encode_chunks(texts, chunks, checksum);
	add_chunks(body, chunks->len, checksum);
}

static gsize facts_bytes(struct pp_runs *const *facts)
{
	gsize bytes = 0;
	guint i;

	for (i = 0; i < FACTS; i++) {
		g_autofree char *text = pp_runs_encode(facts[i]);

		bytes += strlen(text);
	}
	return bytes;
}

static void facts_coarsen(struct pp_runs *const *facts, guint max_runs)
{
	guint i;

	for (i = 0; i < FACTS; i++)
		pp_runs_coarsen(facts[i], max_runs);
}

static guint64 facts_forget(struct pp_runs *const *facts, guint max_runs)
{
	guint64 forgotten = 0;

	/* of these the next session just says that it saw them first */
	pp_runs_forget_smallest(facts[FACT_FIRST_SEEN], max_runs);
	forgotten += pp_runs_forget_smallest(facts[FACT_RETRIEVED], max_runs);
	forgotten += pp_runs_forget_smallest(facts[FACT_DELETED], max_runs);
	return forgotten;
}

/* Makes FACTS fit into ROOM bytes. Returns how many messages lost a time. */
static guint64 facts_fit(struct pp_runs *const *facts, gsize room)
{
	guint64 forgotten;
	guint max_runs;

	facts_coarsen(facts, PP_RUNS_MAX);
	forgotten = facts_forget(facts, PP_RUNS_MAX);

	max_runs = PP_RUNS_MAX;
	while (max_runs > COARSEST_RUNS && facts_bytes(facts) > room) {
		max_runs -= max_runs / 8;
		facts_coarsen(facts, max_runs);
	}
	max_runs = PP_RUNS_MAX;
	while (max_runs > 1 && facts_bytes(facts) > room) {
		max_runs -= (max_runs + 7) / 8;
		forgotten += facts_forget(facts, max_runs);
	}
	return forgotten;
}

static guint64 add_facts(GString *body, const struct pp_state *state)
{
	struct pp_runs *facts[FACTS] = {
		pp_runs_copy(state->first_seen),
		pp_runs_copy(state->retrieved),
		pp_runs_copy(state->deleted)
	};
	guint64 forgotten;
	guint i;

	forgotten = facts_fit(facts, PP_VALUE_MAX_BYTES -
			      STATE_ENVELOPE_BYTES - body->len);
	for (i = 0; i < FACTS; i++) {
		g_autofree char *text = pp_runs_encode(facts[i]);

		if (pp_runs_count(facts[i]) > 0)
			pp_doc_add(body, fact_names[i], text);
		pp_runs_free(facts[i]);
	}
	return forgotten;
}

void pp_state_encode(const struct pp_state *state, char **doc_r,
		     GPtrArray **chunks_r, guint64 *forgotten_r)
{
	g_autoptr(GString) body = g_string_new(NULL);
	GPtrArray *chunks = g_ptr_array_new_with_free_func(g_free);

	pp_mailbox_id_add(body, &state->mailbox);
	pp_doc_add_uint(body, "generation", state->generation);
	pp_doc_add_uint(body, "mark", state->mark);
	pp_doc_add_uint(body, "count", state->count);
	pp_doc_add_uint(body, "high", highest_validity(state));
	pp_doc_add_uint(body, "clock", state->clock);
	add_shown(body, state);
	add_three(body, "ledger", state->ledger_chunks,
		  state->ledger_last_first, state->ledger_upto);
	add_numbers(body, "due", state->due, state->due_rules);
	add_pass(body, state);
	add_numbers(body, "bucket", state->bucket_time, state->bucket_millis);
	add_text(body, "policy", state->policy, PP_POLICY_MAX_BYTES);
	add_text(body, "hidden", state->hidden_flag, PP_FLAG_MAX_BYTES);
	if (!state->spans && has_runs(state))
		pp_doc_add_uint(body, "exact", 1);
	if (state->host_expunges)
		pp_doc_add_uint(body, "expunges", 1);
	if (state->host_first != 0)
		pp_doc_add_uint(body, "host", state->host_first);
	add_order(body, state->order);
	add_map(body, state, chunks);
	*forgotten_r = add_facts(body, state);

	*doc_r = pp_doc_finish("state", body);
	*chunks_r = chunks;
}
