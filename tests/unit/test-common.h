/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What the tests of documents share. */
#ifndef TEST_COMMON_H
#define TEST_COMMON_H

#include "pp-doc.h"
#include "pp-error.h"
#include "pp-state.h"

#include <string.h>

/* A document of KIND with the right checksum over FIELDS, whatever they are. */
static inline char *test_sign(const char *kind, const char *fields)
{
	g_autoptr(GString) body = g_string_new(" ");

	g_string_append(body, fields);
	return pp_doc_finish(kind, body);
}

/* Reads TEXT as what is tested. FALSE with ERROR set if it cannot be read. */
typedef gboolean test_reader(const char *text, GError **error);

static inline void test_expect_error(test_reader *reader, const char *text,
				     gint code)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(reader(text, &error));
	g_assert_error(error, PP_ERROR, code);
}

/* DOC, which can be read, cannot be read when it was cut off anywhere, nor
   when any character of it is another one. */
static inline void test_damage(test_reader *reader, const char *doc)
{
	g_autofree char *copy = g_strdup(doc);
	gsize i;

	g_assert_true(reader(doc, NULL));
	for (i = 0; i < strlen(doc); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *cut = g_strndup(doc, i);

		g_assert_false(reader(cut, &error));
		g_assert_true(error->domain == PP_ERROR);

		copy[i] = doc[i] == '0' ? '1' : '0';
		g_assert_false(reader(copy, NULL));
		copy[i] = doc[i];
	}
}

/*
 * States
 */

static inline struct pp_state *test_state_from(const char *text)
{
	g_autoptr(GError) error = NULL;
	struct pp_state *state;
	guint chunks;

	state = pp_state_decode(text, &chunks, &error);
	g_assert_no_error(error);
	return state;
}

static inline char *test_encode(const struct pp_state *state,
				GPtrArray **chunks_r, guint64 *forgotten_r)
{
	char *doc;
	guint i;

	pp_state_encode(state, &doc, chunks_r, forgotten_r);
	g_assert_cmpuint(strlen(doc), <=, PP_VALUE_MAX_BYTES);
	for (i = 0; i < (*chunks_r)->len; i++) {
		g_assert_cmpuint(strlen((*chunks_r)->pdata[i]), <=,
				 PP_VALUE_MAX_BYTES);
	}
	return doc;
}

/* The one document of STATE, of which nothing was forgotten. */
static inline char *test_encode_whole(const struct pp_state *state)
{
	g_autoptr(GPtrArray) chunks = NULL;
	guint64 forgotten;
	char *doc = test_encode(state, &chunks, &forgotten);

	g_assert_cmpuint(chunks->len, ==, 0);
	g_assert_cmpuint(forgotten, ==, 0);
	return doc;
}

static inline struct pp_state *test_decode_all(const char *doc,
					       GPtrArray *chunks)
{
	g_autoptr(GError) error = NULL;
	struct pp_state *state;
	guint i, count;

	state = pp_state_decode(doc, &count, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(count, ==, chunks->len);
	for (i = 0; i < count; i++) {
		pp_state_add_chunk(state, i, chunks->pdata[i], &error);
		g_assert_no_error(error);
	}
	return state;
}

#endif
