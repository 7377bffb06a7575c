/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The envelope of documents, escapes and numbers. */
#include "fuzz-common.h"

static void fuzz_escape(const char *text)
{
	g_autofree char *escaped = pp_escape(text);
	g_autofree char *again = pp_unescape(escaped);
	g_autofree char *unescaped = pp_unescape(text);

	g_assert_cmpstr(again, ==, text);
	(void)unescaped;
}

static void fuzz_numbers(const char *text)
{
	guint64 value = 0;
	guint32 value32 = 0;

	if (pp_parse_uint32(text, &value32)) {
		g_assert_true(pp_parse_uint64(text, &value));
		g_assert_cmpuint(value, ==, value32);
	}
	pp_scan_uint64(&text, &value);
}

/* Returns how many fields there are. */
static guint fuzz_parse(const char *text)
{
	g_autoptr(GHashTable) doc = pp_doc_parse("fuzz", text, NULL);
	g_autofree char *checksum = pp_doc_checksum(text);

	if (doc == NULL)
		return 0;
	g_assert_nonnull(checksum);
	return g_hash_table_size(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = fuzz_text(data, size);
	g_autofree char *doc = fuzz_sign("fuzz", data, size);

	fuzz_parse(text);
	fuzz_parse(doc);
	fuzz_escape(text);
	fuzz_numbers(text);
	return 0;
}
