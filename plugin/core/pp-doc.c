/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The envelope of every stored document. */
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-limits.h"

#include <errno.h>
#include <string.h>

#define DOC_PREFIX "pp1 "
#define CHECKSUM_LEN 16

static gboolean char_is_printable(char c)
{
	return c >= 0x21 && c <= 0x7e;
}

static gboolean text_is_printable(const char *text)
{
	if (*text == '\0')
		return FALSE;
	while (char_is_printable(*text))
		text++;
	return *text == '\0';
}

void pp_doc_add(GString *body, const char *name, const char *value)
{
	g_assert(text_is_printable(name) && strchr(name, '=') == NULL);
	g_assert(text_is_printable(value));

	g_string_append_c(body, ' ');
	g_string_append(body, name);
	g_string_append_c(body, '=');
	g_string_append(body, value);
}

void pp_doc_add_uint(GString *body, const char *name, guint64 value)
{
	char text[24];

	g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, value);
	pp_doc_add(body, name, text);
}

/* Writes CHECKSUM_LEN hex digits and a NUL. */
static void checksum_of(const char *text, char *checksum_r)
{
	g_autofree char *sha256 =
		g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

	g_strlcpy(checksum_r, sha256, CHECKSUM_LEN + 1);
}

char *pp_doc_finish(const char *kind, const GString *body)
{
	char checksum[CHECKSUM_LEN + 1];

	/* without a field there is nothing that tells a whole document from
	   one that was cut off */
	g_assert(body->len > 1);

	checksum_of(body->str + 1, checksum);
	return g_strconcat(DOC_PREFIX, kind, " ", checksum, body->str, NULL);
}

/* Where the rest of TEXT begins after "pp1 KIND ", or NULL. */
static const char *parse_prefix(const char *kind, const char *text,
				GError **error)
{
	const char *p = text;
	gsize kind_len = strlen(kind);

	if (!g_str_has_prefix(text, DOC_PREFIX)) {
		if (g_str_has_prefix(text, "pp") && g_ascii_isdigit(text[2])) {
			p += 2 + strspn(text + 2, "0123456789");
			if (*p == ' ' && text[2] != '0') {
				g_set_error(error, PP_ERROR, PP_ERROR_VERSION,
					    "written by a later version (%.*s)",
					    (int)MIN(p - text, 16), text);
				return NULL;
			}
		}
		g_set_error_literal(error, PP_ERROR, PP_ERROR_SYNTAX,
				    "does not begin with 'pp1'");
		return NULL;
	}
	p = text + strlen(DOC_PREFIX);
	if (strncmp(p, kind, kind_len) != 0 || p[kind_len] != ' ') {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "is not a '%s' document", kind);
		return NULL;
	}
	return p + kind_len + 1;
}

static gboolean checksum_is_there(const char *text)
{
	return strspn(text, "0123456789abcdef") == CHECKSUM_LEN &&
		text[CHECKSUM_LEN] == ' ';
}

/* The fields' part of TEXT, or NULL. */
static const char *parse_envelope(const char *kind, const char *text,
				  GError **error)
{
	char checksum[CHECKSUM_LEN + 1];
	const char *p;

	if (strlen(text) > PP_VALUE_MAX_BYTES) {
		g_set_error(error, PP_ERROR, PP_ERROR_LIMIT,
			    "is larger than %u bytes", PP_VALUE_MAX_BYTES);
		return NULL;
	}
	p = parse_prefix(kind, text, error);
	if (p == NULL)
		return NULL;
	if (!checksum_is_there(p)) {
		g_set_error_literal(error, PP_ERROR, PP_ERROR_SYNTAX,
				    "has no checksum");
		return NULL;
	}
	checksum_of(p + CHECKSUM_LEN + 1, checksum);
	if (strncmp(p, checksum, CHECKSUM_LEN) != 0) {
		g_set_error_literal(error, PP_ERROR, PP_ERROR_CHECKSUM,
				    "has a wrong checksum");
		return NULL;
	}
	return p + CHECKSUM_LEN + 1;
}

static gboolean parse_field(GHashTable *doc, const char *field, GError **error)
{
	const char *value = strchr(field, '=');
	g_autofree char *name = NULL;

	if (value == NULL || value == field || !text_is_printable(field) ||
	    value[1] == '\0') {
		g_set_error_literal(error, PP_ERROR, PP_ERROR_SYNTAX,
				    "has a field that is not NAME=VALUE");
		return FALSE;
	}
	name = g_strndup(field, value - field);
	if (g_hash_table_contains(doc, name)) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has '%s' twice", name);
		return FALSE;
	}
	g_hash_table_insert(doc, g_steal_pointer(&name), g_strdup(value + 1));
	return TRUE;
}

GHashTable *pp_doc_parse(const char *kind, const char *text, GError **error)
{
	g_autoptr(GHashTable) doc =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *body = parse_envelope(kind, text, error);
	g_auto(GStrv) fields = NULL;
	guint i;

	if (body == NULL)
		return NULL;
	/* an empty body splits into nothing */
	fields = g_strsplit(*body == '\0' ? " " : body, " ", -1);
	for (i = 0; fields[i] != NULL; i++) {
		if (!parse_field(doc, fields[i], error))
			return NULL;
	}
	return g_steal_pointer(&doc);
}

gboolean pp_doc_check_names(GHashTable *doc, const char *const *known,
			    GError **error)
{
	GHashTableIter iter;
	gpointer name;

	g_hash_table_iter_init(&iter, doc);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		if (g_str_has_prefix(name, "x-") ||
		    g_strv_contains(known, name))
			continue;
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has an unknown field '%.40s'", (char *)name);
		return FALSE;
	}
	return TRUE;
}

char *pp_doc_checksum(const char *text)
{
	const char *p;

	if (!g_str_has_prefix(text, DOC_PREFIX))
		return NULL;
	p = strchr(text + strlen(DOC_PREFIX), ' ');
	if (p == NULL || !checksum_is_there(p + 1))
		return NULL;
	return g_strndup(p + 1, CHECKSUM_LEN);
}

gboolean pp_parse_uint64(const char *text, guint64 *value_r)
{
	return g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, value_r,
					  NULL);
}

gboolean pp_parse_uint32(const char *text, guint32 *value_r)
{
	guint64 value;

	if (!pp_parse_uint64(text, &value) || value > G_MAXUINT32)
		return FALSE;
	*value_r = value;
	return TRUE;
}

gboolean pp_scan_uint64(const char **text, guint64 *value_r)
{
	guint64 value;
	char *end;

	if (!g_ascii_isdigit(**text) ||
	    (**text == '0' && g_ascii_isdigit((*text)[1])))
		return FALSE;
	errno = 0;
	value = g_ascii_strtoull(*text, &end, 10);
	if (errno != 0)
		return FALSE;
	*text = end;
	*value_r = value;
	return TRUE;
}

gboolean pp_scan_uint32(const char **text, guint32 *value_r)
{
	const char *p = *text;
	guint64 value;

	if (!pp_scan_uint64(&p, &value) || value > G_MAXUINT32)
		return FALSE;
	*text = p;
	*value_r = value;
	return TRUE;
}

gboolean pp_doc_get_uint64(GHashTable *doc, const char *name,
			   guint64 *value_r, GError **error)
{
	const char *text = g_hash_table_lookup(doc, name);

	if (text == NULL) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "has no '%s'", name);
		return FALSE;
	}
	if (!pp_parse_uint64(text, value_r)) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "'%s' is not a number", name);
		return FALSE;
	}
	return TRUE;
}

gboolean pp_doc_get_uint32(GHashTable *doc, const char *name,
			   guint32 *value_r, GError **error)
{
	guint64 value;

	if (!pp_doc_get_uint64(doc, name, &value, error))
		return FALSE;
	if (value > G_MAXUINT32) {
		g_set_error(error, PP_ERROR, PP_ERROR_SYNTAX,
			    "'%s' is too large", name);
		return FALSE;
	}
	*value_r = value;
	return TRUE;
}

guint64 pp_add_saturating(guint64 a, guint64 b)
{
	return a > G_MAXUINT64 - b ? G_MAXUINT64 : a + b;
}

guint64 pp_hash64(const void *data, gsize size)
{
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
	guint8 digest[32];
	gsize digest_len = sizeof(digest);
	guint64 hash;

	g_checksum_update(checksum, data, size);
	g_checksum_get_digest(checksum, digest, &digest_len);
	memcpy(&hash, digest, sizeof(hash));
	hash = GUINT64_FROM_BE(hash);
	/* 0 stands for "not known" wherever hashes are kept */
	return hash == 0 ? 1 : hash;
}

char *pp_escape(const char *text)
{
	GString *str;

	if (*text == '\0')
		return g_strdup("%-");
	str = g_string_new(NULL);
	for (; *text != '\0'; text++) {
		if (char_is_printable(*text) && *text != '%')
			g_string_append_c(str, *text);
		else
			g_string_append_printf(str, "%%%02X", (guchar)*text);
	}
	return g_string_free(str, FALSE);
}

/* The byte that the two upper case hex digits at TEXT stand for; 0 if they do
   not, since a NUL cannot be in a string either. */
static char unescape_byte(const char *text)
{
	if (!g_ascii_isxdigit(text[0]) || g_ascii_islower(text[0]) ||
	    !g_ascii_isxdigit(text[1]) || g_ascii_islower(text[1]))
		return '\0';
	return g_ascii_xdigit_value(text[0]) * 16 +
		g_ascii_xdigit_value(text[1]);
}

char *pp_unescape(const char *text)
{
	g_autoptr(GString) str = g_string_new(NULL);
	const char *p;
	char c;

	if (strcmp(text, "%-") == 0)
		return g_strdup("");
	if (!text_is_printable(text))
		return NULL;
	for (p = text; *p != '\0'; p++) {
		c = *p;
		if (c == '%') {
			c = unescape_byte(p + 1);
			if (c == '\0')
				return NULL;
			p += 2;
		}
		g_string_append_c(str, c);
	}
	return g_strdup(str->str);
}
