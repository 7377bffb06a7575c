/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Texts of UIDLs from elsewhere. */
#include "fuzz-common.h"
#include "pp-import.h"
#include "pp-uidl.h"

static guint64 fuzz_header(const char *header, gsize size,
			   void *context G_GNUC_UNUSED)
{
	return pp_hash64(header, size);
}

static struct pp_import *fuzz_read(const char *data, gsize size, gsize step)
{
	struct pp_import *import = pp_import_new(PP_IMPORT_AUTO, fuzz_header,
						 NULL);

	for (gsize pos = 0; pos < size; pos += step) {
		if (!pp_import_push(import, data + pos, MIN(step, size - pos),
				    NULL)) {
			pp_import_free(import);
			return NULL;
		}
	}
	if (pp_import_end(import, NULL))
		return import;
	pp_import_free(import);
	return NULL;
}

static GString *fuzz_export(struct pp_import *import)
{
	GArray *records = pp_import_records(import);
	GString *str = g_string_new(NULL);

	pp_export_begin(str);
	for (guint i = 0; i < records->len; i++) {
		const struct pp_import_record *record =
			&g_array_index(records, struct pp_import_record, i);

		g_assert_true(pp_uidl_is_valid(record->uidl));
		pp_export_record(str, record);
	}
	pp_export_end(str, records->len);
	return str;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pp_import *whole = fuzz_read((const char *)data, size,
					    MAX(size, 1));
	struct pp_import *pieces = fuzz_read((const char *)data, size, 3);
	struct pp_import *again;
	g_autoptr(GString) a = NULL;
	g_autoptr(GString) b = NULL;
	g_autoptr(GString) c = NULL;

	g_assert_true((whole == NULL) == (pieces == NULL));
	if (whole == NULL)
		return 0;
	a = fuzz_export(whole);
	b = fuzz_export(pieces);
	g_assert_cmpstr(a->str, ==, b->str);
	again = fuzz_read(a->str, a->len, a->len);
	/* a record may be longer than a line may be, once it is escaped */
	if (again != NULL) {
		c = fuzz_export(again);
		g_assert_cmpstr(a->str, ==, c->str);
	}
	pp_import_free(whole);
	pp_import_free(pieces);
	pp_import_free(again);
	return 0;
}
