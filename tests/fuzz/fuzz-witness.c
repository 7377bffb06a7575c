/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The witness: the input is the file, and the fields of its line. */
#include "fuzz-common.h"
#include "pp-witness.h"

static void fuzz_file(const char *data, gsize size)
{
	char line[PP_WITNESS_BYTES];
	struct pp_witness witness, again;

	pp_witness_parse(data, size, &witness);
	if (witness.status != PP_WITNESS_THERE)
		return;
	pp_witness_print(&witness, line);
	pp_witness_parse(line, sizeof(line), &again);
	g_assert_true(pp_witness_equal(&witness, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *doc = fuzz_sign("witness", data, size);
	g_autofree char *line =
		g_strdup_printf("%-*s\n", PP_WITNESS_BYTES - 1, doc);

	fuzz_file((const char *)data, size);
	fuzz_file(line, strlen(line));
	return 0;
}
