/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-mailbox.h. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "mail-index.h"
#include "mail-search-build.h"
#include "mail-storage-private.h"
#include "pop3-policy-header.h"
#include "pop3-policy-mailbox.h"
#include "pp-doc.h"

/* The plugin and the doveadm module share no symbols, but the mailbox. */
#define MAILBOX_HOST_FIELD "pop3_policy_host_uidls"

void pop3_policy_mailbox_set_host(struct mailbox *box)
{
	event_add_str(box->event, MAILBOX_HOST_FIELD, "yes");
}

bool pop3_policy_mailbox_is_host(struct mailbox *box)
{
	return event_find_field_recursive(box->event,
					  MAILBOX_HOST_FIELD) != NULL;
}

int pop3_policy_mailbox_id(struct mailbox *box, struct pp_mailbox_id *id_r,
			   const char **error_r)
{
	struct mailbox_metadata metadata;
	struct mailbox_status status;

	if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0) {
		*error_r = t_strdup_printf("no mailbox GUID: %s",
			mailbox_get_last_internal_error(box, NULL));
		return -1;
	}
	mailbox_get_open_status(box, STATUS_UIDVALIDITY, &status);
	i_zero(id_r);
	i_strocpy(id_r->guid, guid_128_to_string(metadata.guid),
		  sizeof(id_r->guid));
	id_r->uidvalidity = status.uidvalidity;
	return 0;
}

static guint32
mailbox_view_count_upto(struct mail_index_view *view, guint32 uid)
{
	uint32_t seq1, seq2;

	if (uid == 0 ||
	    !mail_index_lookup_seq_range(view, 1, uid, &seq1, &seq2))
		return 0;
	return seq2;
}

guint32 pop3_policy_mailbox_count_upto(struct mailbox *box, guint32 uid)
{
	return mailbox_view_count_upto(box->view, uid);
}

/* Is the last of STATE's shown messages that is there still the same? */
static enum pp_identity_check
mailbox_check_last_shown(struct mailbox *box,
			 struct mailbox_transaction_context *trans,
			 const struct pp_state *state)
{
	enum pp_identity_check check = PP_IDENTITY_UNKNOWN;
	struct pp_identity identity;
	struct mail *mail;
	uint32_t seq = 0;
	guint i;

	for (i = state->shown_count; i > 0 && seq == 0; i--) {
		if (!mail_index_lookup_seq(box->view, state->shown[i-1].uid,
					   &seq))
			seq = 0;
	}
	if (seq == 0 || state->shown[i].id == 0)
		return PP_IDENTITY_UNKNOWN;
	mail = mail_alloc(trans, 0, NULL);
	mail_set_seq(mail, seq);
	if (pop3_policy_mail_identity(mail, &identity) == 0) {
		check = identity.id == state->shown[i].id ?
			PP_IDENTITY_SAME : PP_IDENTITY_OTHER;
	}
	mail_free(&mail);
	return check;
}

/* A view of what is there now, not when BOX was opened. On an error it is what
   it was. */
static struct mail_index_view *mailbox_view_now(struct mailbox *box)
{
	(void)mail_index_refresh(box->index);
	return mail_index_view_open(box->index);
}

guint32 pop3_policy_mailbox_uidnext_now(struct mailbox *box)
{
	struct mail_index_view *view = mailbox_view_now(box);
	guint32 uidnext = mail_index_get_header(view)->next_uid;

	mail_index_view_close(&view);
	return I_MAX(uidnext, mail_index_get_header(box->view)->next_uid);
}

/* How many of BOX's messages that STATE knows of are there. What has gone since
   BOX was opened is not, where another session has stored that by now. */
static guint32
mailbox_count_known(struct mailbox *box, const struct pp_state *state)
{
	guint32 count = pop3_policy_mailbox_count_upto(box, state->mark);
	struct mail_index_view *view;
	guint32 now;

	if (count <= state->count)
		return count;
	view = mailbox_view_now(box);
	now = mailbox_view_count_upto(view, state->mark);
	mail_index_view_close(&view);
	return CLAMP(now, state->count, count);
}

int pop3_policy_mailbox_now(struct mailbox *box,
			    struct mailbox_transaction_context *trans,
			    const struct pp_state *state,
			    struct pp_mailbox_now *now_r,
			    const char **error_r)
{
	struct mailbox_status status;

	i_zero(now_r);
	now_r->last_shown = PP_IDENTITY_UNKNOWN;
	if (pop3_policy_mailbox_id(box, &now_r->id, error_r) < 0)
		return -1;
	mailbox_get_open_status(box, STATUS_MESSAGES | STATUS_UIDNEXT,
				&status);
	now_r->uidnext = status.uidnext;
	now_r->messages = status.messages;
	if (state == NULL)
		return 0;
	/* a session that opened it later may have seen, and stored, more */
	if (now_r->uidnext <= state->mark)
		now_r->uidnext = pop3_policy_mailbox_uidnext_now(box);
	now_r->at_or_below_mark = mailbox_count_known(box, state);
	now_r->above_mark = now_r->messages -
		pop3_policy_mailbox_count_upto(box, state->mark);
	if (pp_mailbox_id_equal(&now_r->id, &state->mailbox))
		now_r->last_shown =
			mailbox_check_last_shown(box, trans, state);
	return 0;
}

GArray *pop3_policy_mailbox_uids(struct mailbox *box)
{
	struct mailbox_status status;
	GArray *uids;
	uint32_t seq, uid;
	guint32 value;

	mailbox_get_open_status(box, STATUS_MESSAGES, &status);
	uids = g_array_sized_new(FALSE, FALSE, sizeof(guint32),
				 status.messages);
	for (seq = 1; seq <= status.messages; seq++) {
		mail_index_lookup_uid(box->view, seq, &uid);
		value = uid;
		g_array_append_val(uids, value);
	}
	return uids;
}

const char *pop3_policy_mail_special(struct mail *mail,
				     enum mail_fetch_field field)
{
	const char *value;

	return mail_get_special(mail, field, &value) < 0 ? "" : value;
}

int pop3_policy_mail_identity(struct mail *mail,
			      struct pp_identity *identity_r)
{
	const char *storage_id, *guid;

	i_zero(identity_r);
	identity_r->uid = mail->uid;
	storage_id = pop3_policy_mail_special(mail, MAIL_FETCH_STORAGE_ID);
	if (storage_id[0] != '\0')
		identity_r->id = pp_hash64(storage_id, strlen(storage_id));
	guid = pop3_policy_mail_special(mail, MAIL_FETCH_GUID);
	if (guid[0] == '\0')
		return identity_r->id != 0 ? 0 : -1;
	if (identity_r->id == 0)
		identity_r->id = pp_hash64(guid, strlen(guid));
	else if (strcmp(storage_id, guid) != 0)
		identity_r->guid = pp_hash64(guid, strlen(guid));
	return 0;
}

static struct mail_search_context *
mailbox_search_from(struct mailbox_transaction_context *trans, uint32_t seq1,
		    uint32_t seq2, enum mail_fetch_field fields)
{
	struct mail_search_args *args = mail_search_build_init();
	struct mail_search_context *ctx;

	mail_search_build_add_seqset(args, seq1, seq2);
	ctx = mailbox_search_init(trans, args, NULL, fields, NULL);
	mail_search_args_unref(&args);
	return ctx;
}

/* What is read of MAIL is not for the host's cache. */
static void mailbox_mail_uncached(struct mail *mail)
{
	((struct mail_private *)mail)->v.set_uid_cache_updates(mail, TRUE);
}

int pop3_policy_mailbox_identities(struct mailbox *box,
				   struct mailbox_transaction_context *trans,
				   guint32 first,
				   enum pop3_policy_reading reading,
				   const struct pop3_policy_deadline *deadline,
				   GArray *entries)
{
	bool headers = reading == POP3_POLICY_READ_HEADERS;
	struct mail_search_context *ctx;
	struct pp_identity identity;
	struct mail *mail;
	uint32_t seq1, seq2;
	int ret = 1;

	if (!mail_index_lookup_seq_range(box->view, first, (uint32_t)-1,
					 &seq1, &seq2))
		return 1;
	ctx = mailbox_search_from(trans, seq1, seq2, 0);
	while (mailbox_search_next(ctx, &mail)) {
		if (ret > 0 && deadline != NULL &&
		    pop3_policy_deadline_left(deadline) == 0)
			ret = 0;
		if (ret == 0 && !headers)
			break;
		/* the last one is what the next login looks at */
		if (reading == POP3_POLICY_READ_ONCE && mail->seq < seq2)
			mailbox_mail_uncached(mail);
		(void)pop3_policy_mail_identity(mail, &identity);
		if (headers && ret > 0) T_BEGIN {
			identity.header = pop3_policy_mail_header_hash(mail);
		} T_END;
		g_array_append_val(entries, identity);
	}
	if (mailbox_search_deinit(&ctx) < 0)
		ret = -1;
	return ret;
}

/* What of a mail's flags and keywords counts. */
struct mailbox_marks {
	enum mail_flags protect_flags;
	const char *const *protect, *deleted_flag;
	/* there are keywords among them */
	bool keywords;
};

static void
mailbox_marks_init(struct mailbox_marks *marks, const char *const *protect,
		   const char *deleted_flag)
{
	static const struct {
		const char *name;
		enum mail_flags flag;
	} names[] = {
		{ "\\Flagged", MAIL_FLAGGED },
		{ "\\Seen", MAIL_SEEN },
		{ "\\Answered", MAIL_ANSWERED },
		{ "\\Draft", MAIL_DRAFT },
		{ "\\Deleted", MAIL_DELETED },
	};
	unsigned int i;

	i_zero(marks);
	marks->protect = protect;
	marks->deleted_flag = deleted_flag;
	marks->keywords = deleted_flag != NULL;
	for (; *protect != NULL; protect++) {
		for (i = 0; i < N_ELEMENTS(names); i++) {
			if (strcasecmp(*protect, names[i].name) == 0)
				break;
		}
		if (i < N_ELEMENTS(names))
			marks->protect_flags |= names[i].flag;
		else
			marks->keywords = TRUE;
	}
}

static void
mailbox_message_keywords(struct mail *mail, const struct mailbox_marks *marks,
			 struct pp_message *message)
{
	const char *const *keywords;

	for (keywords = mail_get_keywords(mail); *keywords != NULL;
	     keywords++) {
		if (str_array_icase_find(marks->protect, *keywords))
			message->is_protected = TRUE;
		if (marks->deleted_flag != NULL &&
		    strcasecmp(*keywords, marks->deleted_flag) == 0)
			message->hidden = TRUE;
	}
}

uint64_t pop3_policy_mailbox_size(struct mail *mail)
{
	uoff_t size;

	return mail_get_virtual_size(mail, &size) == 0 ? size : 0;
}

static void
mailbox_message_init(struct mail *mail, const struct mailbox_marks *marks,
		     bool sizes, struct pp_message *message)
{
	message->is_protected =
		(mail_get_flags(mail) & marks->protect_flags) != 0;
	if (marks->keywords)
		mailbox_message_keywords(mail, marks, message);
	if (sizes)
		message->size_bytes = pop3_policy_mailbox_size(mail);
}

/* Without a search, and without a mail where the index's own flags are all that
   is asked for: either would cost more than the rest. */
GArray *pop3_policy_mailbox_messages(struct mailbox *box,
				     struct mailbox_transaction_context *trans,
				     const char *const *protect,
				     const char *deleted_flag, bool sizes)
{
	const struct mail_index_record *rec;
	struct mailbox_marks marks;
	struct mailbox_status status;
	struct pp_message message;
	struct mail *mail;
	GArray *messages;
	uint32_t seq;
	bool look;

	mailbox_marks_init(&marks, protect, deleted_flag);
	look = sizes || marks.keywords || (marks.protect_flags &
		mailbox_get_private_flags_mask(box)) != 0;
	mailbox_get_open_status(box, STATUS_MESSAGES, &status);
	messages = g_array_sized_new(FALSE, FALSE, sizeof(message),
				     status.messages);
	mail = mail_alloc(trans, 0, NULL);
	for (seq = 1; seq <= status.messages; seq++) T_BEGIN {
		rec = mail_index_lookup(box->view, seq);
		i_zero(&message);
		message.uid = rec->uid;
		message.is_protected = (rec->flags & marks.protect_flags) != 0;
		if (look) {
			mail_set_seq(mail, seq);
			mailbox_message_init(mail, &marks, sizes, &message);
		}
		g_array_append_val(messages, message);
	} T_END;
	mail_free(&mail);
	return messages;
}
