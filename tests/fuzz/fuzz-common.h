/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What the fuzz targets share. What was read is printed and read again: a
   target aborts where that is not the same. */
#ifndef FUZZ_COMMON_H
#define FUZZ_COMMON_H

#include "pp-doc.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* DATA as a string, up to its first NUL. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	return g_strndup((const char *)data, size);
}

/* DATA as the fields of a document of KIND with the right checksum: no fuzzer
   finds one, and what is behind it must be reached. */
static inline char *fuzz_sign(const char *kind, const uint8_t *data,
			      size_t size)
{
	g_autofree char *text = fuzz_text(data, size);
	g_autoptr(GString) body = g_string_new(" ");

	g_string_append(body, text);
	/* a document has a field */
	if (*text == '\0')
		g_string_append_c(body, '=');
	return pp_doc_finish(kind, body);
}

#endif
