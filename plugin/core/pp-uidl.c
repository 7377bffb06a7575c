/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The UIDL map of a maildrop. */
#include "pp-uidl-private.h"
#include "pp-limits.h"

#include <string.h>

struct pp_uidl_map {
	GArray *array;	/* struct pp_uidl_seg, text owned */
};

static struct pp_uidl_seg *seg_at(const struct pp_uidl_map *map, guint index)
{
	return &g_array_index(map->array, struct pp_uidl_seg, index);
}

static void seg_clear(gpointer data)
{
	struct pp_uidl_seg *seg = data;

	g_free(seg->text);
}

static GArray *seg_array_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(struct pp_uidl_seg));
}

struct pp_uidl_map *pp_uidl_map_new(void)
{
	struct pp_uidl_map *map = g_new0(struct pp_uidl_map, 1);

	map->array = seg_array_new();
	return map;
}

struct pp_uidl_map *pp_uidl_map_copy(const struct pp_uidl_map *map)
{
	struct pp_uidl_map *copy = pp_uidl_map_new();
	guint i;

	g_array_append_vals(copy->array, map->array->data, map->array->len);
	for (i = 0; i < copy->array->len; i++)
		seg_at(copy, i)->text = g_strdup(seg_at(copy, i)->text);
	return copy;
}

void pp_uidl_map_free(struct pp_uidl_map *map)
{
	if (map == NULL)
		return;
	g_array_set_clear_func(map->array, seg_clear);
	g_array_unref(map->array);
	g_free(map);
}

/* The index of the first segment that ends at or behind UID. */
static guint find_index(const struct pp_uidl_map *map, guint32 uid)
{
	guint low = 0, high = map->array->len, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (seg_at(map, mid)->last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static gboolean seg_continues(const struct pp_uidl_seg *prev,
			      const struct pp_uidl_seg *seg)
{
	return prev->text == NULL && seg->text == NULL &&
		prev->validity == seg->validity &&
		(guint64)prev->last + 1 == seg->first &&
		(guint64)prev->old_first + (prev->last - prev->first) + 1 ==
		seg->old_first;
}

/* Adds SEG behind those of ARRAY, or makes the last one longer. */
static void seg_append(GArray *array, struct pp_uidl_seg seg)
{
	struct pp_uidl_seg *prev;

	if (array->len > 0) {
		prev = &g_array_index(array, struct pp_uidl_seg,
				      array->len - 1);
		if (seg_continues(prev, &seg)) {
			prev->last = seg.last;
			return;
		}
	}
	g_array_append_val(array, seg);
}

/* The part FIRST..LAST of SEG. Its text, if it has one, moves there. */
static struct pp_uidl_seg seg_cut(const struct pp_uidl_seg *seg,
				  guint32 first, guint32 last)
{
	struct pp_uidl_seg part = *seg;

	part.first = first;
	part.last = last;
	part.old_first += first - seg->first;
	return part;
}

/* Puts SEG in place of what was there, and takes its text. */
static void put(struct pp_uidl_map *map, struct pp_uidl_seg seg)
{
	g_autoptr(GArray) pieces = seg_array_new();
	guint i, low, high, left = 0, right = 0;
	struct pp_uidl_seg *old;

	/* with the neighbours, which it may continue */
	low = high = find_index(map, seg.first - 1);
	while (high < map->array->len &&
	       seg_at(map, high)->first <= (guint64)seg.last + 1)
		high++;
	if (low < high && seg_at(map, low)->first < seg.first) {
		old = seg_at(map, low);
		seg_append(pieces, seg_cut(old, old->first,
					   MIN(old->last, seg.first - 1)));
		left = 1;
	}
	seg_append(pieces, seg);
	if (low < high && seg_at(map, high - 1)->last > seg.last) {
		old = seg_at(map, high - 1);
		seg_append(pieces, seg_cut(old, MAX(old->first, seg.last + 1),
					   old->last));
		right = 1;
	}
	for (i = low + left; i + right < high; i++)
		g_free(seg_at(map, i)->text);
	/* without moving all that is behind, where one takes another's place */
	if (pieces->len == high - low) {
		memcpy(seg_at(map, low), pieces->data,
		       pieces->len * sizeof(seg));
		return;
	}
	if (high > low)
		g_array_remove_range(map->array, low, high - low);
	g_array_insert_vals(map->array, low, pieces->data, pieces->len);
}

void pp_uidl_map_set_rule(struct pp_uidl_map *map, guint32 first, guint32 last,
			  guint32 old_first, guint32 validity)
{
	struct pp_uidl_seg seg = { first, last, old_first, validity, NULL };

	g_assert(first >= 1 && first <= last);
	g_assert(old_first >= 1 && old_first <= PP_UID_MAX - (last - first));
	put(map, seg);
}

void pp_uidl_map_set_text(struct pp_uidl_map *map, guint32 uid,
			  const char *text)
{
	struct pp_uidl_seg seg = { uid, uid, 0, 0, NULL };

	g_assert(uid >= 1);
	g_assert(pp_uidl_is_valid(text));
	seg.text = g_strdup(text);
	put(map, seg);
}

gboolean pp_uidl_map_is_free(const struct pp_uidl_map *map, guint32 first,
			     guint32 last)
{
	guint index = find_index(map, first);

	return index == map->array->len || seg_at(map, index)->first > last;
}

gboolean pp_uidl_seg_is_open(const struct pp_uidl_seg *seg)
{
	return seg->last == PP_UID_MAX && seg->text == NULL;
}

gboolean pp_uidl_map_get_open(const struct pp_uidl_map *map, guint32 *first_r,
			      guint32 *validity_r)
{
	const struct pp_uidl_seg *seg;

	if (map->array->len == 0)
		return FALSE;
	seg = seg_at(map, map->array->len - 1);
	if (!pp_uidl_seg_is_open(seg))
		return FALSE;
	*first_r = seg->first;
	*validity_r = seg->validity;
	return TRUE;
}

guint pp_uidl_map_count(const struct pp_uidl_map *map)
{
	return map->array->len;
}

const struct pp_uidl_seg *pp_uidl_map_at(const struct pp_uidl_map *map,
					 guint index)
{
	g_assert(index < map->array->len);
	return seg_at(map, index);
}

const struct pp_uidl_seg *pp_uidl_map_find(const struct pp_uidl_map *map,
					   guint32 uid)
{
	guint index = find_index(map, uid);

	if (index == map->array->len || seg_at(map, index)->first > uid)
		return NULL;
	return seg_at(map, index);
}

gboolean pp_uidl_map_is_plain(const struct pp_uidl_map *map, guint32 validity)
{
	const struct pp_uidl_seg *seg;

	if (map->array->len != 1)
		return FALSE;
	seg = seg_at(map, 0);
	return pp_uidl_seg_is_open(seg) && seg->first == 1 &&
		seg->old_first == 1 && seg->validity == validity;
}

static void print_hex32(guint32 value, char *buf)
{
	static const char digits[] = "0123456789abcdef";
	int i;

	for (i = 7; i >= 0; i--) {
		buf[i] = digits[value & 15];
		value >>= 4;
	}
}

guint pp_uidl_print(const struct pp_uidl_seg *seg, guint32 uid, char *buf)
{
	gsize len;

	if (seg->text == NULL) {
		print_hex32(seg->old_first + (uid - seg->first), buf);
		print_hex32(seg->validity, buf + 8);
		buf[16] = '\0';
		return 16;
	}
	len = strlen(seg->text);
	memcpy(buf, seg->text, len + 1);
	return len;
}

char *pp_uidl_map_dup(const struct pp_uidl_map *map, guint32 uid)
{
	const struct pp_uidl_seg *seg = pp_uidl_map_find(map, uid);
	char buf[PP_UIDL_MAX_LEN + 1];

	if (seg == NULL)
		return NULL;
	pp_uidl_print(seg, uid, buf);
	return g_strdup(buf);
}

GTree *pp_uidl_tree_new(void)
{
	return g_tree_new((GCompareFunc)strcmp);
}

gboolean pp_uidl_is_valid(const char *text)
{
	gsize len = 0;

	while (text[len] >= 0x21 && text[len] <= 0x7e) {
		if (++len > PP_UIDL_MAX_LEN)
			return FALSE;
	}
	return len > 0 && text[len] == '\0';
}

static gboolean parse_hex32(const char *text, guint32 *value_r)
{
	guint32 value = 0;
	int i;

	for (i = 0; i < 8; i++) {
		if (!g_ascii_isxdigit(text[i]))
			return FALSE;
		value = value << 4 | g_ascii_xdigit_value(text[i]);
	}
	*value_r = value;
	return TRUE;
}

gboolean pp_uidl_is_rule_shape(const char *text, guint32 *uid_r,
			       guint32 *validity_r)
{
	guint32 uid, validity;

	if (!parse_hex32(text, &uid) || !parse_hex32(text + 8, &validity) ||
	    text[16] != '\0')
		return FALSE;
	*uid_r = uid;
	*validity_r = validity;
	return TRUE;
}
