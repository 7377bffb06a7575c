/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The documents of a state, read. */
#include "pp-state.h"
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-mailbox-id.h"

#include <string.h>

static gboolean syntax_error(GError **error, const char *name)
{
	g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
		    "'%s' is not what it should be", name);
	return FALSE;
}

static gboolean limit_error(GError **error, const char *name)
{
	g_set_error(error, PP_ERROR, PP_ERROR_LIMIT, "'%s' is too long", name);
	return FALSE;
}

/* Reads COUNT numbers joined by '.', up to MAX each. */
static gboolean scan_numbers(const char **text, guint count,
			     const guint64 *max, guint64 *values_r)
{
	guint i;

	for (i = 0; i < count; i++) {
		if (i > 0 && *(*text)++ != '.')
			return FALSE;
		if (!pp_scan_uint64(text, &values_r[i]) ||
		    values_r[i] > max[i])
			return FALSE;
	}
	return TRUE;
}

/* The same as the whole of the field NAME; zeros where it is not there. */
static gboolean get_numbers(GHashTable *doc, const char *name, guint count,
			    const guint64 *max, guint64 *values_r,
			    GError **error)
{
	const char *text = g_hash_table_lookup(doc, name);

	memset(values_r, 0, count * sizeof(*values_r));
	if (text == NULL)
		return TRUE;
	if (!scan_numbers(&text, count, max, values_r) || *text != '\0')
		return syntax_error(error, name);
	return TRUE;
}

static const guint64 max_32_32_32[] = {
	G_MAXUINT32, G_MAXUINT32, G_MAXUINT32
};
static const guint64 max_64_64[] = { G_MAXUINT64, G_MAXUINT64 };
static const guint64 max_32_64[] = { G_MAXUINT32, G_MAXUINT64 };
static const guint64 max_64_32[] = { G_MAXUINT64, G_MAXUINT32 };
static const guint64 max_64_32_32_1[] = {
	G_MAXUINT64, G_MAXUINT32, G_MAXUINT32, 1
};

static gboolean get_shown(GHashTable *doc, struct pp_state *state,
			  GError **error)
{
	const char *text = g_hash_table_lookup(doc, "shown");
	guint64 values[2];
	guint32 prev = 0;

	if (text == NULL)
		return TRUE;
	for (;;) {
		if (state->shown_count == PP_SHOWN_MAX)
			return limit_error(error, "shown");
		if (!scan_numbers(&text, 2, max_32_64, values) ||
		    values[0] <= prev)
			return syntax_error(error, "shown");
		prev = values[0];
		state->shown[state->shown_count].uid = prev;
		state->shown[state->shown_count++].id = values[1];
		if (*text == '\0')
			return TRUE;
		if (*text++ != ',')
			return syntax_error(error, "shown");
	}
}

static gboolean get_text(GHashTable *doc, const char *name, gsize max_bytes,
			 char **text_r, GError **error)
{
	const char *text = g_hash_table_lookup(doc, name);

	if (text == NULL)
		return TRUE;
	*text_r = pp_unescape(text);
	if (*text_r == NULL)
		return syntax_error(error, name);
	if (strlen(*text_r) > max_bytes)
		return limit_error(error, name);
	return TRUE;
}

static gboolean get_open(GHashTable *doc, struct pp_state *state,
			 GError **error)
{
	guint64 open[3];

	/* without it new mail would have no UIDL */
	if (!g_hash_table_contains(doc, "open"))
		return syntax_error(error, "open");
	if (!get_numbers(doc, "open", 3, max_32_32_32, open, error))
		return FALSE;
	/* old UIDs above the UIDs would overflow at the open end */
	if (open[1] < 1 || open[1] > open[0] || open[2] > state->high_validity)
		return syntax_error(error, "open");
	pp_uidl_map_set_rule(state->map, open[0], PP_UID_MAX, open[1],
			     open[2]);
	return TRUE;
}

static gboolean get_order(GHashTable *doc, struct pp_state *state,
			  GError **error)
{
	const char *text = g_hash_table_lookup(doc, "order");

	if (text == NULL)
		return TRUE;
	if (strlen(text) > PP_ORDER_MAX_BYTES)
		return limit_error(error, "order");
	state->order = pp_order_decode(text);
	return state->order != NULL || syntax_error(error, "order");
}

static gboolean get_chunks(GHashTable *doc, struct pp_state *state,
			   GError **error)
{
	const char *text = g_hash_table_lookup(doc, "chunks");
	guint32 chunks;

	if (text == NULL)
		return TRUE;
	if (!pp_scan_uint32(&text, &chunks) || chunks == 0 || *text++ != '.' ||
	    strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return syntax_error(error, "chunks");
	if (chunks > PP_CHUNKS_MAX)
		return limit_error(error, "chunks");
	state->chunks = chunks;
	g_strlcpy(state->chunks_checksum, text, 17);
	return TRUE;
}

static gboolean get_map(GHashTable *doc, struct pp_state *state,
			GError **error)
{
	const char *text = g_hash_table_lookup(doc, "map");

	if (!get_open(doc, state, error))
		return FALSE;
	if (text != NULL && strlen(text) > PP_MAP_INLINE_MAX_BYTES)
		return limit_error(error, "map");
	if (text != NULL && !pp_uidl_map_decode(state->map, text, NULL))
		return syntax_error(error, "map");
	return get_chunks(doc, state, error);
}

static gboolean get_fact(GHashTable *doc, const char *name,
			 struct pp_runs **runs, GError **error)
{
	const char *text = g_hash_table_lookup(doc, name);
	struct pp_runs *decoded;

	if (text == NULL)
		return TRUE;
	decoded = pp_runs_decode(text, NULL);
	if (decoded == NULL)
		return syntax_error(error, name);
	pp_runs_free(*runs);
	*runs = decoded;
	if (pp_runs_count(decoded) > PP_RUNS_MAX)
		return limit_error(error, name);
	return TRUE;
}

/* 1, or it is not there. */
static gboolean get_flag(GHashTable *doc, const char *name, gboolean *flag,
			 GError **error)
{
	const char *text = g_hash_table_lookup(doc, name);

	if (text == NULL)
		return TRUE;
	*flag = strcmp(text, "1") == 0;
	return *flag || syntax_error(error, name);
}

static gboolean get_facts(GHashTable *doc, struct pp_state *state,
			  GError **error)
{
	gboolean exact = FALSE;

	if (!get_fact(doc, "seen", &state->first_seen, error) ||
	    !get_fact(doc, "retr", &state->retrieved, error) ||
	    !get_fact(doc, "dele", &state->deleted, error) ||
	    !get_flag(doc, "exact", &exact, error))
		return FALSE;
	state->spans = !exact && (pp_runs_count(state->retrieved) > 0 ||
				  pp_runs_count(state->deleted) > 0);
	return TRUE;
}

static gboolean get_header(GHashTable *doc, struct pp_state *state,
			   GError **error)
{
	return pp_mailbox_id_get(doc, &state->mailbox, error) &&
		pp_doc_get_uint32(doc, "generation", &state->generation,
				  error) &&
		pp_doc_get_uint32(doc, "mark", &state->mark, error) &&
		pp_doc_get_uint32(doc, "count", &state->count, error) &&
		pp_doc_get_uint32(doc, "high", &state->high_validity, error) &&
		pp_doc_get_uint64(doc, "clock", &state->clock, error);
}

static gboolean get_marks(GHashTable *doc, struct pp_state *state,
			  GError **error)
{
	guint64 ledger[3], due[2], pass[4], bucket[2];

	if (!get_numbers(doc, "ledger", 3, max_32_32_32, ledger, error) ||
	    !get_numbers(doc, "due", 2, max_64_64, due, error) ||
	    !get_numbers(doc, "pass", 4, max_64_32_32_1, pass, error) ||
	    !get_numbers(doc, "bucket", 2, max_64_32, bucket, error))
		return FALSE;
	if (ledger[0] > PP_CHUNKS_MAX)
		return limit_error(error, "ledger");
	state->ledger_chunks = ledger[0];
	state->ledger_last_first = ledger[1];
	state->ledger_upto = ledger[2];
	state->due = due[0];
	state->due_rules = due[1];
	state->pass_time = pass[0];
	state->pass_messages = pass[1];
	state->pass_removed = pass[2];
	state->pass_told = pass[3];
	state->bucket_time = bucket[0];
	state->bucket_millis = bucket[1];
	return TRUE;
}

static gboolean get_all(GHashTable *doc, struct pp_state *state,
			GError **error)
{
	static const char *const names[] = {
		"guid", "uidvalidity", "generation", "mark", "count", "high",
		"clock", "shown", "ledger", "due", "pass", "bucket",
		"policy", "hidden", "exact", "expunges", "host", "order",
		"open", "map",
		"chunks", "seen", "retr", "dele", NULL
	};

	return pp_doc_check_names(doc, names, error) &&
		get_header(doc, state, error) &&
		get_shown(doc, state, error) &&
		get_marks(doc, state, error) &&
		get_text(doc, "policy", PP_POLICY_MAX_BYTES, &state->policy,
			 error) &&
		get_text(doc, "hidden", PP_FLAG_MAX_BYTES,
			 &state->hidden_flag, error) &&
		get_flag(doc, "expunges", &state->host_expunges, error) &&
		(!g_hash_table_contains(doc, "host") ||
		 pp_doc_get_uint32(doc, "host", &state->host_first, error)) &&
		get_order(doc, state, error) &&
		get_map(doc, state, error) &&
		get_facts(doc, state, error);
}

struct pp_state *pp_state_decode(const char *text, guint *chunks_r,
				 GError **error)
{
	g_autoptr(GHashTable) doc = pp_doc_parse("state", text, error);
	struct pp_state *state;

	if (doc == NULL)
		return NULL;
	state = g_new0(struct pp_state, 1);
	state->map = pp_uidl_map_new();
	state->first_seen = pp_runs_new();
	state->retrieved = pp_runs_new();
	state->deleted = pp_runs_new();
	if (!get_all(doc, state, error)) {
		pp_state_free(state);
		return NULL;
	}
	*chunks_r = state->chunks;
	return state;
}

static gboolean wrong_chunk(GError **error)
{
	g_set_error_literal(error, PP_ERROR, PP_ERROR_CHECKSUM,
			    "is not the chunk that the state names");
	return FALSE;
}

/* Each chunk vouches for the one before it, the state for the last one. */
static gboolean chunk_is_expected(const struct pp_state *state, guint index,
				  const char *prev, const char *checksum)
{
	if (index != state->chunks_added || index >= state->chunks)
		return FALSE;
	if (g_strcmp0(prev, index == 0 ? NULL :
		      state->chunks_added_checksum) != 0)
		return FALSE;
	return index + 1 < state->chunks ||
		strcmp(checksum, state->chunks_checksum) == 0;
}

gboolean pp_state_add_chunk(struct pp_state *state, guint index,
			    const char *text, GError **error)
{
	static const char *const names[] = { "prev", "map", NULL };
	g_autoptr(GHashTable) doc = pp_doc_parse("uidl", text, error);
	g_autofree char *checksum = NULL;
	const char *map;

	if (doc == NULL || !pp_doc_check_names(doc, names, error))
		return FALSE;
	checksum = pp_doc_checksum(text);
	if (!chunk_is_expected(state, index, g_hash_table_lookup(doc, "prev"),
			       checksum))
		return wrong_chunk(error);
	map = g_hash_table_lookup(doc, "map");
	if (map == NULL || !pp_uidl_map_decode(state->map, map, NULL))
		return syntax_error(error, "map");
	g_strlcpy(state->chunks_added_checksum, checksum, 17);
	state->chunks_added++;
	return TRUE;
}
