/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The witness beside the mailbox. */
#include "pp-witness.h"
#include "pp-doc.h"
#include "pp-state.h"

#include <string.h>

void pp_witness_from_state(const struct pp_state *state,
			   struct pp_witness *witness_r)
{
	struct pp_witness witness = { PP_WITNESS_THERE, 0, 0, FALSE, 0 };
	guint32 first;

	witness.uidvalidity = state->mailbox.uidvalidity;
	pp_uidl_map_get_open(state->map, &first, &witness.validity);
	/* a map whose closed part was not loaded looks plain, but is not */
	witness.plain = state->chunks == 0 &&
		pp_uidl_map_is_plain(state->map, witness.uidvalidity);
	*witness_r = witness;
}

gboolean pp_witness_equal(const struct pp_witness *a,
			  const struct pp_witness *b)
{
	return a->status == b->status && a->uidvalidity == b->uidvalidity &&
		a->validity == b->validity && !a->plain == !b->plain &&
		a->shown == b->shown;
}

void pp_witness_print(const struct pp_witness *witness, char *buf)
{
	g_autoptr(GString) body = g_string_new(NULL);
	g_autofree char *doc = NULL;
	gsize len;

	pp_doc_add_uint(body, "uidvalidity", witness->uidvalidity);
	pp_doc_add_uint(body, "validity", witness->validity);
	pp_doc_add_uint(body, "plain", witness->plain ? 1 : 0);
	if (witness->shown != 0)
		pp_doc_add_uint(body, "shown", witness->shown);
	doc = pp_doc_finish("witness", body);
	len = strlen(doc);
	g_assert(len < PP_WITNESS_BYTES);

	memset(buf, ' ', PP_WITNESS_BYTES);
	memcpy(buf, doc, len);
	buf[PP_WITNESS_BYTES - 1] = '\n';
}

static gboolean parse_fields(GHashTable *doc, struct pp_witness *witness)
{
	static const char *const names[] = {
		"uidvalidity", "validity", "plain", "shown", NULL
	};
	guint32 plain;

	if (!pp_doc_check_names(doc, names, NULL) ||
	    !pp_doc_get_uint32(doc, "uidvalidity", &witness->uidvalidity,
			       NULL) ||
	    !pp_doc_get_uint32(doc, "validity", &witness->validity, NULL) ||
	    !pp_doc_get_uint32(doc, "plain", &plain, NULL) || plain > 1 ||
	    (g_hash_table_contains(doc, "shown") &&
	     !pp_doc_get_uint32(doc, "shown", &witness->shown, NULL)))
		return FALSE;
	witness->plain = plain == 1;
	return TRUE;
}

static gboolean parse_line(const char *data, gsize size,
			   struct pp_witness *witness)
{
	g_autoptr(GHashTable) doc = NULL;
	char line[PP_WITNESS_BYTES + 1];

	if (size < PP_WITNESS_BYTES || data[PP_WITNESS_BYTES - 1] != '\n' ||
	    memchr(data, '\0', PP_WITNESS_BYTES) != NULL)
		return FALSE;
	memcpy(line, data, PP_WITNESS_BYTES);
	line[PP_WITNESS_BYTES] = '\0';
	g_strchomp(line);
	doc = pp_doc_parse("witness", line, NULL);
	return doc != NULL && parse_fields(doc, witness);
}

void pp_witness_parse(const char *data, gsize size,
		      struct pp_witness *witness_r)
{
	struct pp_witness witness = { PP_WITNESS_THERE, 0, 0, FALSE, 0 };
	static const struct pp_witness none = {
		PP_WITNESS_NONE, 0, 0, FALSE, 0
	};
	static const struct pp_witness unreadable = {
		PP_WITNESS_UNREADABLE, 0, 0, FALSE, 0
	};

	if (size == 0)
		*witness_r = none;
	else if (parse_line(data, size, &witness))
		*witness_r = witness;
	else
		*witness_r = unreadable;
}
