/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The closed part of a UIDL map as text. */
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-limits.h"
#include "pp-uidl-private.h"

#include <string.h>

/* Where a text stands: what the next token is relative to. */
struct codec {
	guint32 last;		/* UID of the last token */
	gboolean has_rule;
	guint32 validity;	/* of the last rule */
	guint64 old_next;	/* the old UID that would continue it */
};

static void codec_note_rule(struct codec *codec, const struct pp_uidl_seg *seg)
{
	codec->has_rule = TRUE;
	codec->validity = seg->validity;
	codec->old_next = (guint64)seg->old_first + (seg->last - seg->first) +
		1;
}

static void print_text(GString *str, const char *text)
{
	g_autofree char *escaped = pp_escape(text);
	const char *p;

	g_string_append_c(str, '"');
	for (p = escaped; *p != '\0'; p++) {
		if (*p == ',')
			g_string_append(str, "%2C");
		else
			g_string_append_c(str, *p);
	}
}

static void print_rule(GString *str, const struct codec *codec,
		       const struct pp_uidl_seg *seg)
{
	g_string_append_printf(str, "%u", seg->last - seg->first + 1);
	if (!codec->has_rule || codec->validity != seg->validity) {
		g_string_append_printf(str, "@%u.%u", seg->old_first,
				       seg->validity);
	} else if (seg->old_first >= codec->old_next) {
		g_string_append_printf(str, "+%" G_GUINT64_FORMAT,
				       seg->old_first - codec->old_next);
	} else {
		g_string_append_printf(str, "-%" G_GUINT64_FORMAT,
				       codec->old_next - seg->old_first);
	}
}

static void print_token(GString *str, struct codec *codec,
			const struct pp_uidl_seg *seg)
{
	if (str->len > 0)
		g_string_append_c(str, ',');
	if (seg->first > codec->last + 1) {
		g_string_append_printf(str, "%u:",
				       seg->first - codec->last - 1);
	}
	if (seg->text != NULL) {
		print_text(str, seg->text);
	} else {
		print_rule(str, codec, seg);
		codec_note_rule(codec, seg);
	}
	codec->last = seg->last;
}

GPtrArray *pp_uidl_map_encode(const struct pp_uidl_map *map, gsize max_bytes)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
	GString *str = g_string_new(NULL);
	struct codec codec = { 0, FALSE, 0, 0 };
	const struct pp_uidl_seg *seg;
	gsize fits;
	guint i;

	for (i = 0; i < pp_uidl_map_count(map); i++) {
		seg = pp_uidl_map_at(map, i);
		if (pp_uidl_seg_is_open(seg))
			break;
		fits = str->len;
		print_token(str, &codec, seg);
		if (str->len <= max_bytes || fits == 0)
			continue;
		/* once more, as the first of the next text */
		g_string_truncate(str, fits);
		g_ptr_array_add(texts, g_string_free(str, FALSE));
		str = g_string_new(NULL);
		memset(&codec, 0, sizeof(codec));
		print_token(str, &codec, seg);
	}
	if (str->len == 0)
		g_string_append_c(str, '-');
	g_ptr_array_add(texts, g_string_free(str, FALSE));
	return texts;
}

/* The old UID that follows from a rule's token at *TEXT, behind its length;
   also the validity, where it is another one. */
static gboolean parse_old(const char **text, const struct codec *codec,
			  guint64 *old_r, guint32 *validity_r)
{
	guint64 number;
	char kind = **text;

	if (kind == '\0')
		return FALSE;
	(*text)++;
	if (!pp_scan_uint64(text, &number) || number > G_MAXUINT32)
		return FALSE;
	switch (kind) {
	case '@':
		*old_r = number;
		if (*(*text)++ != '.')
			return FALSE;
		return pp_scan_uint32(text, validity_r) &&
			!(codec->has_rule && codec->validity == *validity_r);
	case '+':
		*old_r = codec->old_next + number;
		break;
	case '-':
		if (number == 0 || number > codec->old_next)
			return FALSE;
		*old_r = codec->old_next - number;
		break;
	default:
		return FALSE;
	}
	*validity_r = codec->validity;
	return codec->has_rule;
}

static gboolean parse_rule(struct pp_uidl_map *map, struct codec *codec,
			   const char **text, guint64 first, guint64 len)
{
	struct pp_uidl_seg seg = { 0, 0, 0, 0, NULL };
	guint64 old;

	if (len < 1 || first + len - 1 >= PP_UID_MAX)
		return FALSE;
	if (!parse_old(text, codec, &old, &seg.validity) ||
	    old < 1 || old + len - 1 > PP_UID_MAX)
		return FALSE;
	seg.first = first;
	seg.last = first + len - 1;
	seg.old_first = old;
	if (!pp_uidl_map_is_free(map, seg.first, seg.last))
		return FALSE;
	pp_uidl_map_set_rule(map, seg.first, seg.last, seg.old_first,
			     seg.validity);
	codec_note_rule(codec, &seg);
	codec->last = seg.last;
	return TRUE;
}

static gboolean parse_text(struct pp_uidl_map *map, struct codec *codec,
			   const char **text, guint64 uid)
{
	gsize len = strcspn(*text, ",");
	g_autofree char *escaped = g_strndup(*text, len);
	g_autofree char *uidl = pp_unescape(escaped);

	if (uid > PP_UID_MAX || uidl == NULL || !pp_uidl_is_valid(uidl) ||
	    !pp_uidl_map_is_free(map, uid, uid))
		return FALSE;
	pp_uidl_map_set_text(map, uid, uidl);
	codec->last = uid;
	*text += len;
	return TRUE;
}

static gboolean parse_token(struct pp_uidl_map *map, struct codec *codec,
			    const char **text)
{
	guint64 number = 0, first = (guint64)codec->last + 1;

	if (**text != '"' && !pp_scan_uint64(text, &number))
		return FALSE;
	if (**text == ':') {
		if (number == 0 || number > G_MAXUINT32)
			return FALSE;
		first += number;
		number = 0;
		(*text)++;
		if (**text != '"' && !pp_scan_uint64(text, &number))
			return FALSE;
	}
	if (**text == '"') {
		(*text)++;
		return number == 0 && parse_text(map, codec, text, first);
	}
	return number <= G_MAXUINT32 &&
		parse_rule(map, codec, text, first, number);
}

static gboolean parse_tokens(struct pp_uidl_map *map, const char *text)
{
	struct codec codec = { 0, FALSE, 0, 0 };

	for (;;) {
		if (!parse_token(map, &codec, &text))
			return FALSE;
		if (*text == '\0')
			return TRUE;
		if (*text++ != ',')
			return FALSE;
	}
}

gboolean pp_uidl_map_decode(struct pp_uidl_map *map, const char *text,
			    GError **error)
{
	if (strcmp(text, "-") == 0 || parse_tokens(map, text))
		return TRUE;
	g_set_error_literal(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "is not a list of UIDLs");
	return FALSE;
}
