/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Chunks of the ledger: the input is a document's fields. */
#include "fuzz-common.h"
#include "pp-ledger.h"

static char *fuzz_encode(const struct pp_mailbox_id *mailbox,
			 const GArray *entries, guint *next_r)
{
	return pp_ledger_encode(mailbox,
				(const struct pp_identity *)entries->data,
				entries->len, 0, next_r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *doc = fuzz_sign("ledger", data, size);
	g_autofree char *again = NULL, *third = NULL;
	g_autoptr(GArray) entries =
		g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	g_autoptr(GArray) entries_again =
		g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	struct pp_mailbox_id mailbox;
	guint next, next_again;

	if (!pp_ledger_decode(doc, &mailbox, entries, NULL))
		return 0;
	again = fuzz_encode(&mailbox, entries, &next);
	g_assert_true(pp_ledger_decode(again, &mailbox, entries_again, NULL));
	third = fuzz_encode(&mailbox, entries_again, &next_again);
	g_assert_cmpuint(next, ==, next_again);
	g_assert_cmpstr(again, ==, third);
	return 0;
}
