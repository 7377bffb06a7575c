/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Usage: the input is a list of counters, and a document's fields. */
#include "fuzz-common.h"
#include "pp-limits.h"
#include "pp-usage.h"

static void fuzz_counters(const char *text)
{
	struct pp_counters counters, again;
	g_autofree char *printed = NULL;

	if (!pp_counters_parse(text, ' ', &counters, NULL))
		return;
	printed = pp_counters_print(&counters, ' ');
	g_assert_true(pp_counters_parse(printed, ' ', &again, NULL));
	g_assert_cmpmem(&counters, sizeof(counters), &again, sizeof(again));
}

/* What was read is written and read the same, also after a session more. */
static void fuzz_again(struct pp_usage *usage)
{
	g_autofree char *doc = pp_usage_encode(usage);
	g_autofree char *doc_again = NULL;
	struct pp_usage *again = pp_usage_decode(doc, NULL);

	g_assert_nonnull(again);
	doc_again = pp_usage_encode(again);
	g_assert_cmpstr(doc, ==, doc_again);
	g_assert_cmpuint(strlen(doc), <=, PP_VALUE_MAX_BYTES);
	pp_usage_free(again);
}

static void fuzz_session(struct pp_usage *usage, const char *id)
{
	const struct pp_counters counters = { .value[PP_SESSIONS] = 1 };
	g_autoptr(GArray) filed = pp_usage_filed_array();
	guint i;

	pp_usage_add(usage, id, &counters, G_MAXUINT32, filed);
	for (i = 0; i < filed->len; i++) {
		const struct pp_usage_filed *entry =
			&g_array_index(filed, struct pp_usage_filed, i);
		struct pp_counters period;

		if (entry->begun)
			continue;
		g_assert_true(pp_usage_period_decode(entry->doc, entry->name,
						     &period, NULL));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = fuzz_text(data, size);
	g_autofree char *doc = fuzz_sign("usage", data, size);
	struct pp_counters counters;
	struct pp_usage *usage;

	fuzz_counters(text);
	pp_usage_period_decode(doc, "2026-11-24", &counters, NULL);
	usage = pp_usage_decode(doc, NULL);
	if (usage == NULL)
		return 0;
	fuzz_again(usage);
	fuzz_session(usage, text);
	g_ptr_array_unref(pp_usage_expire(usage, 1, 9));
	fuzz_again(usage);
	pp_usage_free(usage);
	return 0;
}
