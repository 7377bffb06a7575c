/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The closed part of UIDL maps as text. */
#include "fuzz-common.h"
#include "pp-uidl.h"

/* Small pieces of MAP make MAP again. */
static void fuzz_again(const struct pp_uidl_map *map)
{
	g_autoptr(GPtrArray) whole = pp_uidl_map_encode(map, G_MAXSIZE);
	g_autoptr(GPtrArray) pieces = pp_uidl_map_encode(map, 300);
	g_autoptr(GPtrArray) whole_again = NULL;
	struct pp_uidl_map *again = pp_uidl_map_new();
	guint i;

	for (i = 0; i < pieces->len; i++) {
		g_assert_true(pp_uidl_map_decode(again, pieces->pdata[i],
						 NULL));
	}
	whole_again = pp_uidl_map_encode(again, G_MAXSIZE);
	g_assert_cmpstr(whole->pdata[0], ==, whole_again->pdata[0]);
	pp_uidl_map_free(again);
}

static void fuzz_uidls(const struct pp_uidl_map *map)
{
	const struct pp_uidl_seg *seg;
	guint i;

	for (i = 0; i < pp_uidl_map_count(map); i++) {
		g_autofree char *uidl = NULL;

		seg = pp_uidl_map_at(map, i);
		uidl = pp_uidl_map_dup(map, seg->last);
		g_assert_true(pp_uidl_is_valid(uidl));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = fuzz_text(data, size);
	struct pp_uidl_map *map = pp_uidl_map_new();
	guint32 uid, validity;

	pp_uidl_is_rule_shape(text, &uid, &validity);
	if (pp_uidl_map_decode(map, text, NULL)) {
		fuzz_again(map);
		fuzz_uidls(map);
	}
	pp_uidl_map_free(map);
	return 0;
}
