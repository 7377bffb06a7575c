/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   States: the input is a document's fields. */
#include "fuzz-common.h"
#include "pp-state.h"

static void fuzz_again(const struct pp_state *state)
{
	g_autofree char *doc = NULL, *doc_again = NULL;
	g_autoptr(GPtrArray) chunks = NULL, chunks_again = NULL;
	guint64 forgotten;
	struct pp_state *again;
	guint i, count;

	pp_state_encode(state, &doc, &chunks, &forgotten);
	again = pp_state_decode(doc, &count, NULL);
	g_assert_nonnull(again);
	g_assert_cmpuint(count, ==, MAX(chunks->len, state->chunks));
	for (i = 0; i < chunks->len; i++) {
		g_assert_true(pp_state_add_chunk(again, i, chunks->pdata[i],
						 NULL));
	}
	pp_state_encode(again, &doc_again, &chunks_again, &forgotten);
	g_assert_cmpstr(doc, ==, doc_again);
	pp_state_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *doc = fuzz_sign("state", data, size);
	g_autofree char *chunk = fuzz_sign("uidl", data, size);
	struct pp_state *state;
	guint chunks;

	state = pp_state_decode(doc, &chunks, NULL);
	if (state == NULL)
		return 0;
	fuzz_again(state);
	pp_state_add_chunk(state, 0, chunk, NULL);
	pp_state_free(state);
	return 0;
}
