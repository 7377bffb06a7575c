/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The order of a listing: kept as ranges, so that it is short where few
   messages moved. */
#include "pp-order.h"
#include "pp-doc.h"

static struct pp_order_range *range_at(const GArray *order, guint i)
{
	return &g_array_index(order, struct pp_order_range, i);
}

static gint compare_first(gconstpointer p1, gconstpointer p2)
{
	const struct pp_order_range *a = p1, *b = p2;

	return a->first < b->first ? -1 : a->first > b->first;
}

static gint compare_position(gconstpointer p1, gconstpointer p2)
{
	const struct pp_order_range *a = p1, *b = p2;

	return a->position < b->position ? -1 : a->position > b->position;
}

/* UIDS as ranges of one each, sorted by UID. */
static GArray *singles_new(const guint32 *uids, guint count)
{
	GArray *singles = g_array_sized_new(FALSE, FALSE,
					    sizeof(struct pp_order_range),
					    count);

	for (guint i = 0; i < count; i++) {
		struct pp_order_range single = { uids[i], uids[i], i };

		g_array_append_val(singles, single);
	}
	g_array_sort(singles, compare_first);
	return singles;
}

/* Positions become those of ranges, without gaps. */
static void number_ranges(GArray *order)
{
	g_array_sort(order, compare_position);
	for (guint i = 0; i < order->len; i++)
		range_at(order, i)->position = i;
	g_array_sort(order, compare_first);
}

GArray *pp_order_new(const guint32 *uids, guint count)
{
	GArray *order = singles_new(uids, count);
	guint kept = 0, position = 0;

	for (guint i = 0; i < order->len; i++) {
		struct pp_order_range single = *range_at(order, i);

		/* neighbours by UID, and in the listing too */
		if (kept > 0 && single.position == position + 1)
			range_at(order, kept - 1)->last = single.last;
		else
			*range_at(order, kept++) = single;
		position = single.position;
	}
	g_array_set_size(order, kept);
	number_ranges(order);
	if (order->len <= 1)
		g_clear_pointer(&order, g_array_unref);
	return order;
}

guint pp_order_position(const GArray *order, guint32 uid)
{
	guint low = 0, high = order->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;
		const struct pp_order_range *range = range_at(order, middle);

		if (uid >= range->first && uid <= range->last)
			return range->position;
		if (uid < range->first)
			high = middle;
		else
			low = middle + 1;
	}
	return order->len;
}

char *pp_order_encode(const GArray *order)
{
	g_autoptr(GArray) listed = g_array_copy((GArray *)order);
	GString *text = g_string_new(NULL);

	g_array_sort(listed, compare_position);
	for (guint i = 0; i < listed->len; i++) {
		const struct pp_order_range *range = range_at(listed, i);

		g_string_append_printf(text, i > 0 ? ",%u" : "%u",
				       range->first);
		if (range->last > range->first)
			g_string_append_printf(text, "-%u", range->last);
	}
	return g_string_free(text, FALSE);
}

static gboolean scan_range(const char **text, struct pp_order_range *range)
{
	if (!pp_scan_uint32(text, &range->first) || range->first == 0)
		return FALSE;
	range->last = range->first;
	if (**text != '-')
		return TRUE;
	(*text)++;
	return pp_scan_uint32(text, &range->last) &&
		range->last > range->first;
}

static gboolean has_overlap(const GArray *order)
{
	for (guint i = 1; i < order->len; i++) {
		if (range_at(order, i)->first <= range_at(order, i - 1)->last)
			return TRUE;
	}
	return FALSE;
}

GArray *pp_order_decode(const char *text)
{
	g_autoptr(GArray) order =
		g_array_new(FALSE, FALSE, sizeof(struct pp_order_range));

	for (;; text++) {
		struct pp_order_range range = { .position = order->len };

		if (!scan_range(&text, &range))
			return NULL;
		g_array_append_val(order, range);
		if (*text != ',')
			break;
	}
	g_array_sort(order, compare_first);
	return *text == '\0' && !has_overlap(order) ?
		g_steal_pointer(&order) : NULL;
}
