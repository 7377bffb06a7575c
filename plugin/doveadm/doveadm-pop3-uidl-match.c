/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Which message of the maildrop is which that another server had. Ids are at
   hand, sizes cost more, headers most: each is read only for what is still
   open. */
#include "pop3-policy-compat.h"
#include "guid.h"
#include "mail-storage-private.h"
#include "pop3-policy-header.h"
#include "pop3-policy-mailbox.h"
#include "pp-doc.h"
#include "doveadm-pop3-uidl.h"

static struct pp_import_record *
match_record(struct doveadm_pop3_match *match, guint i)
{
	return &g_array_index((GArray *)match->adopt.records,
			      struct pp_import_record, i);
}

static struct pp_adopt_message *
match_message(struct doveadm_pop3_match *match, guint i)
{
	return &g_array_index(match->messages, struct pp_adopt_message, i);
}

/* What dbox makes of a GUID that is not one of 128 bits: a file name. */
static void match_other_guids(struct doveadm_pop3_match *match)
{
	for (guint i = 0; i < match->adopt.records->len; i++) T_BEGIN {
		struct pp_import_record *record = match_record(match, i);
		const char *guid = record->guid != NULL ? record->guid :
			record->id;
		guid_128_t guid_128;
		const char *text;

		if (guid != NULL &&
		    guid_128_from_string(guid, guid_128) < 0) {
			mail_generate_guid_128_hash(guid, guid_128);
			text = guid_128_to_string(guid_128);
			record->other_guid = pp_hash64(text, strlen(text));
		}
	} T_END;
}

static int match_messages(struct doveadm_pop3_drop *drop,
			  struct doveadm_pop3_match *match,
			  const char **error_r)
{
	if (pop3_policy_mailbox_identities(drop->box, drop->trans, 1,
					   POP3_POLICY_READ_ONCE, NULL,
					   match->identities) < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(drop->box,
								    NULL));
		return -1;
	}
	for (guint i = 0; i < match->identities->len; i++) {
		struct pp_adopt_message message = {
			.identity = g_array_index(match->identities,
						  struct pp_identity, i),
			.size = PP_SIZE_UNKNOWN
		};

		g_array_append_val(match->messages, message);
	}
	return 0;
}

/* Is there a record without a message yet of which FIELD is known? */
static bool match_is_open(struct doveadm_pop3_match *match, bool sizes)
{
	for (guint i = 0; i < match->adopt.records->len; i++) {
		const struct pp_import_record *record = match_record(match, i);

		if (match->adopt.message_of[i] == PP_ADOPT_NONE &&
		    (sizes ? record->size != PP_SIZE_UNKNOWN :
		     record->header != 0))
			return TRUE;
	}
	return FALSE;
}

/* Sizes, or headers, of messages that are no record's yet. */
static void match_read_messages(struct doveadm_pop3_drop *drop,
				struct doveadm_pop3_match *match, bool sizes)
{
	struct mail *mail = mail_alloc(drop->trans, 0, NULL);
	uoff_t size;

	for (guint i = 0; i < match->messages->len; i++) T_BEGIN {
		struct pp_adopt_message *message = match_message(match, i);

		if (match->adopt.record_of[i] == PP_ADOPT_NONE &&
		    mail_set_uid(mail, message->identity.uid)) {
			if (!sizes) {
				message->identity.header =
					pop3_policy_mail_header_hash(mail);
			} else if (mail_get_virtual_size(mail, &size) == 0) {
				message->size = size;
			}
		}
	} T_END;
	mail_free(&mail);
}

/* Headers of records that have no message yet, where they are mails too. */
static void match_read_records(struct doveadm_pop3_records *records,
			       struct doveadm_pop3_match *match)
{
	struct mail *mail;

	if (records->box == NULL)
		return;
	mail = mail_alloc(records->trans, MAIL_FETCH_STREAM_HEADER, NULL);
	for (guint i = 0; i < records->records->len; i++) T_BEGIN {
		if (match->adopt.message_of[i] == PP_ADOPT_NONE) {
			mail_set_seq(mail, g_array_index(records->seqs,
							 guint32, i));
			match_record(match, i)->header =
				pop3_policy_mail_header_hash(mail);
		}
	} T_END;
	mail_free(&mail);
}

static bool match_all_found(struct doveadm_pop3_match *match)
{
	for (guint i = 0; i < match->adopt.records->len; i++) {
		if (match->adopt.message_of[i] == PP_ADOPT_NONE)
			return FALSE;
	}
	return TRUE;
}

static void match_run(struct doveadm_pop3_drop *drop,
		      struct doveadm_pop3_records *records, bool by_order,
		      struct doveadm_pop3_match *match)
{
	pp_adopt_match(&match->adopt, FALSE, FALSE);
	if (match_all_found(match))
		return;
	if (match_is_open(match, TRUE))
		match_read_messages(drop, match, TRUE);
	pp_adopt_match(&match->adopt, by_order, FALSE);
	if (match_all_found(match))
		return;
	match_read_records(records, match);
	if (match_is_open(match, FALSE))
		match_read_messages(drop, match, FALSE);
	pp_adopt_match(&match->adopt, by_order, TRUE);
}

int doveadm_pop3_match(struct doveadm_pop3_drop *drop,
		       struct doveadm_pop3_records *records, bool by_order,
		       struct doveadm_pop3_match *match_r,
		       const char **error_r)
{
	match_r->identities = g_array_new(FALSE, FALSE,
					  sizeof(struct pp_identity));
	match_r->messages = g_array_new(FALSE, FALSE,
					sizeof(struct pp_adopt_message));
	if (match_messages(drop, match_r, error_r) < 0) {
		g_array_unref(match_r->identities);
		g_array_unref(match_r->messages);
		return -1;
	}
	pp_adopt_init(&match_r->adopt, records->records, match_r->messages);
	match_other_guids(match_r);
	match_run(drop, records, by_order, match_r);
	return 0;
}

void doveadm_pop3_match_free(struct doveadm_pop3_match *match)
{
	pp_adopt_clear(&match->adopt);
	g_array_unref(match->messages);
	g_array_unref(match->identities);
}
