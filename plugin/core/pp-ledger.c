/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The ledger's chunks. An entry is

       [GAP:]ID[.GUID][!HEADER]

   joined by ',': GAP as in pp-runs.h, the hashes as 11 characters of base64,
   ID as '-' where it is not known. */
#include "pp-ledger.h"
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-limits.h"
#include "pp-mailbox-id.h"

#include <string.h>

/* base64 of 64 bits, without the '=' behind it */
#define HASH_LEN 11

gboolean pp_mailbox_id_equal(const struct pp_mailbox_id *a,
			     const struct pp_mailbox_id *b)
{
	return a->uidvalidity == b->uidvalidity &&
		strcmp(a->guid, b->guid) == 0;
}

void pp_mailbox_id_add(GString *body, const struct pp_mailbox_id *mailbox)
{
	g_assert(strlen(mailbox->guid) == sizeof(mailbox->guid) - 1);
	pp_doc_add(body, "guid", mailbox->guid);
	pp_doc_add_uint(body, "uidvalidity", mailbox->uidvalidity);
}

gboolean pp_mailbox_id_get(GHashTable *doc, struct pp_mailbox_id *mailbox_r,
			   GError **error)
{
	const char *guid = g_hash_table_lookup(doc, "guid");
	guint32 uidvalidity;

	if (guid == NULL || strlen(guid) != sizeof(mailbox_r->guid) - 1 ||
	    strspn(guid, "0123456789abcdef") != strlen(guid)) {
		g_set_error_literal(error, PP_ERROR, PP_ERROR_SYNTAX,
				    "'guid' is not a mailbox GUID");
		return FALSE;
	}
	if (!pp_doc_get_uint32(doc, "uidvalidity", &uidvalidity, error))
		return FALSE;
	memcpy(mailbox_r->guid, guid, sizeof(mailbox_r->guid));
	mailbox_r->uidvalidity = uidvalidity;
	return TRUE;
}

static void print_hash(char *buf, guint64 hash)
{
	guint64 bytes = GUINT64_TO_BE(hash);
	gint state = 0, save = 0;
	char text[16];
	gsize len;

	len = g_base64_encode_step((const guchar *)&bytes, sizeof(bytes),
				   FALSE, text, &state, &save);
	g_base64_encode_close(FALSE, text + len, &state, &save);
	memcpy(buf, text, HASH_LEN);
}

static void add_hash(GString *str, char prefix, guint64 hash)
{
	char buf[HASH_LEN];

	if (hash == 0)
		return;
	print_hash(buf, hash);
	g_string_append_c(str, prefix);
	g_string_append_len(str, buf, sizeof(buf));
}

static void print_entry(GString *str, const struct pp_identity *entry,
			guint32 prev_uid)
{
	char buf[HASH_LEN];

	if (prev_uid > 0)
		g_string_append_c(str, ',');
	if (entry->uid > prev_uid + 1) {
		g_string_append_printf(str, "%u:", entry->uid - prev_uid - 1);
	}
	if (entry->id == 0) {
		g_string_append_c(str, '-');
	} else {
		print_hash(buf, entry->id);
		g_string_append_len(str, buf, sizeof(buf));
	}
	add_hash(str, '.', entry->guid);
	add_hash(str, '!', entry->header);
}

char *pp_ledger_encode(const struct pp_mailbox_id *mailbox,
		       const struct pp_identity *entries, guint count,
		       guint start, guint *next_r)
{
	g_autoptr(GString) body = g_string_new(NULL);
	g_autoptr(GString) ids = g_string_new(NULL);
	guint32 prev_uid = 0;
	/* the envelope and the name of the field */
	gsize room, fits;
	guint i;

	pp_mailbox_id_add(body, mailbox);
	room = PP_VALUE_MAX_BYTES - body->len - 64;
	for (i = start; i < count; i++) {
		g_assert(entries[i].uid > prev_uid);
		fits = ids->len;
		print_entry(ids, &entries[i], prev_uid);
		if (ids->len > room) {
			g_string_truncate(ids, fits);
			break;
		}
		prev_uid = entries[i].uid;
	}
	if (ids->len > 0)
		pp_doc_add(body, "ids", ids->str);
	*next_r = i;
	return pp_doc_finish("ledger", body);
}

static gboolean scan_hash(const char **text, guint64 *hash_r)
{
	gint state = 0;
	guint save = 0;
	guchar bytes[12];
	guint64 hash;
	char again[HASH_LEN];
	gsize len = strnlen(*text, HASH_LEN);

	if (len < HASH_LEN)
		return FALSE;
	len = g_base64_decode_step(*text, HASH_LEN, bytes, &state, &save);
	len += g_base64_decode_step("=", 1, bytes + len, &state, &save);
	if (len != sizeof(hash))
		return FALSE;
	memcpy(&hash, bytes, sizeof(hash));
	hash = GUINT64_FROM_BE(hash);
	/* the decoder skips what is not base64 */
	print_hash(again, hash);
	if (hash == 0 || memcmp(*text, again, HASH_LEN) != 0)
		return FALSE;
	*text += HASH_LEN;
	*hash_r = hash;
	return TRUE;
}

static gboolean scan_optional_hash(const char **text, char prefix,
				   guint64 *hash_r)
{
	if (**text != prefix)
		return TRUE;
	(*text)++;
	return scan_hash(text, hash_r);
}

/* How long a GAP and its ':' at TEXT are. Hashes may begin with digits too,
   but have no ':'. */
static gboolean scan_gap(const char **text, guint64 *gap_r)
{
	gsize digits = strspn(*text, "0123456789");

	*gap_r = 0;
	if ((*text)[digits] != ':')
		return TRUE;
	if (!pp_scan_uint64(text, gap_r) || *gap_r == 0 ||
	    *gap_r > G_MAXUINT32)
		return FALSE;
	(*text)++;
	return TRUE;
}

static gboolean parse_entry(const char **text, guint32 prev_uid,
			    struct pp_identity *entry_r)
{
	struct pp_identity entry = { 0, 0, 0, 0 };
	guint64 gap;

	if (!scan_gap(text, &gap) || prev_uid + gap + 1 > PP_UID_MAX)
		return FALSE;
	entry.uid = prev_uid + gap + 1;
	if (**text == '-')
		(*text)++;
	else if (!scan_hash(text, &entry.id))
		return FALSE;
	if (!scan_optional_hash(text, '.', &entry.guid) ||
	    !scan_optional_hash(text, '!', &entry.header))
		return FALSE;
	*entry_r = entry;
	return TRUE;
}

static gboolean parse_entries(const char *text, GArray *entries)
{
	struct pp_identity entry = { 0, 0, 0, 0 };

	for (;;) {
		if (!parse_entry(&text, entry.uid, &entry))
			return FALSE;
		g_array_append_val(entries, entry);
		if (*text == '\0')
			return TRUE;
		if (*text++ != ',')
			return FALSE;
	}
}

gboolean pp_ledger_decode(const char *text, struct pp_mailbox_id *mailbox_r,
			  GArray *entries, GError **error)
{
	static const char *const names[] = {
		"guid", "uidvalidity", "ids", NULL
	};
	g_autoptr(GHashTable) doc = pp_doc_parse("ledger", text, error);
	struct pp_mailbox_id mailbox;
	const char *ids;
	guint before = entries->len;

	if (doc == NULL || !pp_doc_check_names(doc, names, error) ||
	    !pp_mailbox_id_get(doc, &mailbox, error))
		return FALSE;
	ids = g_hash_table_lookup(doc, "ids");
	if (ids != NULL && !parse_entries(ids, entries)) {
		g_array_set_size(entries, before);
		g_set_error_literal(error, PP_ERROR, PP_ERROR_SYNTAX,
				    "'ids' is not a list of identities");
		return FALSE;
	}
	*mailbox_r = mailbox;
	return TRUE;
}
