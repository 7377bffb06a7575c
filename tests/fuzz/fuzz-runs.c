/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Runs of UIDs as text. */
#include "fuzz-common.h"
#include "pp-runs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = fuzz_text(data, size);
	g_autofree char *again = NULL;
	struct pp_runs *runs = pp_runs_decode(text, NULL);
	guint64 uids;

	if (runs == NULL)
		return 0;
	again = pp_runs_encode(runs);
	g_assert_cmpstr(again, ==, text);

	uids = pp_runs_uids(runs);
	pp_runs_coarsen(runs, 3);
	g_assert_cmpuint(pp_runs_uids(runs), ==, uids);
	uids -= pp_runs_forget_smallest(runs, 3);
	g_assert_cmpuint(pp_runs_uids(runs), ==, uids);
	g_assert_cmpuint(pp_runs_count(runs), <=, 3);
	pp_runs_free(runs);
	return 0;
}
