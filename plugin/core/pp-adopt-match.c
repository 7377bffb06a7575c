/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Which message is which record. */
#include "pp-adopt.h"
#include "pp-doc.h"

#include <string.h>

/* One side's key in sorting; 0: has none. */
struct adopt_key {
	guint64 key, second;
	guint index;
};

typedef struct adopt_key record_key_func(const struct pp_import_record *);
typedef struct adopt_key message_key_func(const struct pp_adopt_message *);

struct adopt_pass {
	record_key_func *record_key;
	message_key_func *message_key;
	/* several with the same key are copies of each other */
	gboolean copies;
};

static const struct pp_import_record *record_at(const struct pp_adopt *adopt,
						guint i)
{
	return &g_array_index(adopt->records, struct pp_import_record, i);
}

static const struct pp_adopt_message *message_at(const struct pp_adopt *adopt,
						 guint i)
{
	return &g_array_index(adopt->messages, struct pp_adopt_message, i);
}

static guint64 text_hash(const char *text)
{
	return text == NULL ? 0 : pp_hash64(text, strlen(text));
}

static struct adopt_key record_id(const struct pp_import_record *record)
{
	return (struct adopt_key){ .key = text_hash(record->id) };
}

/* A storage id may have become the GUID of a format that has none of the
   kind. */
static struct adopt_key record_guid(const struct pp_import_record *record)
{
	return (struct adopt_key){
		.key = text_hash(record->guid != NULL ? record->guid :
				 record->id)
	};
}

static struct adopt_key record_other(const struct pp_import_record *record)
{
	return (struct adopt_key){ .key = record->other_guid };
}

static struct adopt_key record_whole(const struct pp_import_record *record)
{
	return (struct adopt_key){
		.key = record->size == PP_SIZE_UNKNOWN ? 0 : record->header,
		.second = record->size
	};
}

static struct adopt_key record_header(const struct pp_import_record *record)
{
	return (struct adopt_key){ .key = record->header };
}

/* Only for what nothing else is known of: where there is an id that is not
   found, the message is gone, and another one may have its size. */
static struct adopt_key record_size(const struct pp_import_record *record)
{
	return (struct adopt_key){
		.key = record->header == 0 && record->id == NULL &&
			record->guid == NULL &&
			record->size != PP_SIZE_UNKNOWN,
		.second = record->size
	};
}

static struct adopt_key message_id(const struct pp_adopt_message *message)
{
	return (struct adopt_key){ .key = message->identity.id };
}

static struct adopt_key message_guid(const struct pp_adopt_message *message)
{
	return (struct adopt_key){
		.key = message->identity.guid != 0 ? message->identity.guid :
			message->identity.id
	};
}

static struct adopt_key message_whole(const struct pp_adopt_message *message)
{
	return (struct adopt_key){
		.key = message->size == PP_SIZE_UNKNOWN ? 0 :
			message->identity.header,
		.second = message->size
	};
}

static struct adopt_key message_header(const struct pp_adopt_message *message)
{
	return (struct adopt_key){ .key = message->identity.header };
}

static struct adopt_key message_size(const struct pp_adopt_message *message)
{
	return (struct adopt_key){
		.key = message->size != PP_SIZE_UNKNOWN,
		.second = message->size
	};
}

static gint compare_values(const struct adopt_key *a,
			   const struct adopt_key *b)
{
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->second < b->second ? -1 : a->second > b->second;
}

static gint compare_keys(gconstpointer p1, gconstpointer p2)
{
	const struct adopt_key *a = p1, *b = p2;
	gint ret = compare_values(a, b);

	if (ret != 0)
		return ret;
	return a->index < b->index ? -1 : a->index > b->index;
}

static GArray *keys_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(struct adopt_key));
}

static void keys_add(GArray *keys, struct adopt_key key, guint index)
{
	key.index = index;
	if (key.key != 0)
		g_array_append_val(keys, key);
}

static void match_pair(struct pp_adopt *adopt, guint record, guint message)
{
	adopt->message_of[record] = message;
	adopt->record_of[message] = record;
}

static const struct adopt_key *key_at(const GArray *keys, guint i)
{
	return &g_array_index(keys, struct adopt_key, i);
}

/* How many keys from START on are the same. */
static guint keys_run(const GArray *keys, guint start)
{
	guint end = start + 1;

	while (end < keys->len &&
	       compare_values(key_at(keys, start), key_at(keys, end)) == 0)
		end++;
	return end - start;
}

static void match_run(struct pp_adopt *adopt, const GArray *records, guint r,
		      guint record_count, const GArray *messages, guint m,
		      guint message_count, gboolean copies, gboolean by_order)
{
	gboolean alone = record_count == 1 && message_count == 1;

	if (alone || by_order || (copies && record_count == message_count)) {
		for (guint i = 0; i < MIN(record_count, message_count); i++) {
			match_pair(adopt, key_at(records, r + i)->index,
				   key_at(messages, m + i)->index);
		}
		return;
	}
	for (guint i = 0; i < record_count; i++)
		adopt->ambiguous[key_at(records, r + i)->index] = TRUE;
}

/* Matches what is left by one key: both sides sorted by it, then by order. */
static void match_pass(struct pp_adopt *adopt, const struct adopt_pass *pass,
		       gboolean by_order)
{
	g_autoptr(GArray) records = keys_new();
	g_autoptr(GArray) messages = keys_new();
	guint r = 0, m = 0;

	for (guint i = 0; i < adopt->records->len; i++) {
		if (adopt->message_of[i] == PP_ADOPT_NONE) {
			keys_add(records, pass->record_key(record_at(adopt,
								     i)), i);
		}
	}
	for (guint i = 0; records->len > 0 && i < adopt->messages->len; i++) {
		if (adopt->record_of[i] == PP_ADOPT_NONE) {
			keys_add(messages, pass->message_key(message_at(adopt,
									i)), i);
		}
	}
	g_array_sort(records, compare_keys);
	g_array_sort(messages, compare_keys);
	while (r < records->len && m < messages->len) {
		gint ret = compare_values(key_at(records, r),
					  key_at(messages, m));
		guint record_count, message_count;

		if (ret != 0) {
			r += ret < 0;
			m += ret > 0;
			continue;
		}
		record_count = keys_run(records, r);
		message_count = keys_run(messages, m);
		match_run(adopt, records, r, record_count, messages, m,
			  message_count, pass->copies, by_order);
		r += record_count;
		m += message_count;
	}
}

/* May the record be the message, which is at the same place in the order? */
static gboolean may_be_same(const struct pp_adopt *adopt,
			    const struct pp_import_record *record,
			    const struct pp_adopt_message *message)
{
	guint64 header = message->identity.header;

	if (record->header != 0 && header != 0 && record->header != header)
		return FALSE;
	if (record->size == PP_SIZE_UNKNOWN || message->size == PP_SIZE_UNKNOWN)
		return adopt->records->len == adopt->messages->len;
	return record->size == message->size;
}

static void match_in_order(struct pp_adopt *adopt)
{
	guint count = MIN(adopt->records->len, adopt->messages->len);

	for (guint i = 0; i < count; i++) {
		if (adopt->message_of[i] == i)
			continue;
		if (adopt->message_of[i] != PP_ADOPT_NONE ||
		    adopt->record_of[i] != PP_ADOPT_NONE ||
		    !may_be_same(adopt, record_at(adopt, i),
				 message_at(adopt, i)))
			break;
		match_pair(adopt, i, i);
	}
}

void pp_adopt_match(struct pp_adopt *adopt, gboolean by_order,
		    gboolean by_size)
{
	static const struct adopt_pass ids[] = {
		{ record_id, message_id, TRUE },
		{ record_guid, message_guid, TRUE },
		{ record_other, message_guid, TRUE },
	}, headers[] = {
		{ record_whole, message_whole, TRUE },
		{ record_header, message_header, FALSE },
	}, size = { record_size, message_size, FALSE };
	guint i;

	for (i = 0; i < adopt->records->len; i++) {
		adopt->message_of[i] = PP_ADOPT_NONE;
		adopt->ambiguous[i] = FALSE;
	}
	for (i = 0; i < adopt->messages->len; i++)
		adopt->record_of[i] = PP_ADOPT_NONE;
	for (i = 0; i < G_N_ELEMENTS(ids); i++)
		match_pass(adopt, &ids[i], by_order);
	if (by_order)
		match_in_order(adopt);
	for (i = 0; i < G_N_ELEMENTS(headers); i++)
		match_pass(adopt, &headers[i], by_order);
	if (by_size)
		match_pass(adopt, &size, by_order);
}

void pp_adopt_init(struct pp_adopt *adopt, const GArray *records,
		   const GArray *messages)
{
	adopt->records = records;
	adopt->messages = messages;
	adopt->message_of = g_new(guint, records->len);
	adopt->record_of = g_new(guint, messages->len);
	adopt->ambiguous = g_new0(gboolean, records->len);
}

void pp_adopt_clear(struct pp_adopt *adopt)
{
	g_free(adopt->message_of);
	g_free(adopt->record_of);
	g_free(adopt->ambiguous);
}
