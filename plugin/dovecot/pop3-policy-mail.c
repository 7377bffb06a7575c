/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The mail hooks. In a POP3 session they tell which message was sent whole;
   there, and in doveadm and dsync, they answer for a mail's UIDL. Nowhere else
   are they installed: precaching in imap or lmtp must not wait for a dict. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "ioloop.h"
#include "istream.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "ostream.h"
#include "pop3-policy-plugin.h"
#include "pop3-policy-session.h"

#define MAILBOX_CONTEXT(obj) \
	MODULE_CONTEXT(obj, pop3_policy_mailbox_module)

/* A mail gets its functions where it is allocated, by its mailbox: a hook into
   each mail would cost a RETR more than all the rest. */
struct pop3_policy_mailbox {
	union mailbox_module_context module_ctx;

	/* where its user's is, once there is one */
	struct pop3_policy_session *const *session;
	/* of the mailbox's mails, as the storage made them */
	struct mail_vfuncs mail_super;
};

static MODULE_CONTEXT_DEFINE_INIT(pop3_policy_mailbox_module,
				  &mail_storage_module_register);

static uint64_t
host_bytes(const struct client *client, enum pop3_policy_transfer_kind kind)
{
	return kind == POP3_POLICY_TRANSFER_RETR ?
		client->retr_bytes : client->top_bytes;
}

static void
fetch_is_whole(struct pop3_policy_session *session, struct mail *mail,
	       uint64_t bytes)
{
	struct pop3_policy_fetched *fetched;

	if ((session->state != NULL &&
	     pp_runs_get(session->state->retrieved, mail->uid, NULL)) ||
	    pp_runs_get(session->retrieved, mail->uid, NULL)) {
		session->counters.value[PP_AGAIN_COUNT]++;
		session->counters.value[PP_AGAIN_BYTES] += bytes;
		return;
	}
	fetched = array_append_space(&session->fetched);
	fetched->uid = mail->uid;
	/* what waits by now, read or not, was sent before the client can have
	   got this message */
	fetched->proof_offset = pop3_policy_gate_arrived(session);
}

/* The client went in the midst of it. The host counts what it has buffered,
   too. */
static void
transfer_aborted(struct pop3_policy_session *session, uint64_t bytes)
{
	bool retr = session->transfer.kind == POP3_POLICY_TRANSFER_RETR;
	uint64_t unsent =
		o_stream_get_buffer_used_size(session->client->output);
	uint64_t *values = session->counters.value;

	values[retr ? PP_RETR_ABORTED_COUNT : PP_TOP_ABORTED_COUNT]++;
	values[retr ? PP_RETR_ABORTED_BYTES : PP_TOP_ABORTED_BYTES] +=
		bytes - I_MIN(bytes, unsent);
}

/* The transfer of MAIL ended: the host frees the mail. A message is sent whole
   if the stream has no error and stands at its end. No one else looks at the
   stream's error: of a damaged message the host sends what there is. */
static void
transfer_finished(struct pop3_policy_session *session, struct mail *mail)
{
	const struct pop3_policy_transfer *transfer = &session->transfer;
	struct istream *stream = transfer->stream;
	bool retr = transfer->kind == POP3_POLICY_TRANSFER_RETR;
	uint64_t bytes = host_bytes(session->client, transfer->kind) -
		transfer->host_bytes;
	uint64_t *values = session->counters.value;

	if (unlikely(session->client->output->closed)) {
		transfer_aborted(session, bytes);
		return;
	}
	values[retr ? PP_RETR_COUNT : PP_TOP_COUNT]++;
	values[retr ? PP_RETR_BYTES : PP_TOP_BYTES] += bytes;
	if (stream->stream_errno == 0 && stream->eof &&
	    i_stream_get_data_size(stream) == 0)
		fetch_is_whole(session, mail, bytes);
}

static void pop3_policy_mail_close(struct mail *mail)
{
	struct pop3_policy_mailbox *pbox = MAILBOX_CONTEXT(mail->box);
	struct pop3_policy_session *session = *pbox->session;

	if (session != NULL && session->transfer.mail == mail) {
		if (session->client != NULL && session->gate != NULL)
			transfer_finished(session, mail);
		session->transfer.mail = NULL;
	}
	pbox->mail_super.close(mail);
}

/* What MAIL is read for. FALSE: the client is not sent it, as where sizes are
   looked up. */
static bool mail_get_transfer_kind(const struct mail_private *mail,
				   enum pop3_policy_transfer_kind *kind_r)
{
	const char *reason = mail->get_stream_reason;

	if (reason == NULL)
		return FALSE;
	if (strcmp(reason, "RETR") == 0)
		*kind_r = POP3_POLICY_TRANSFER_RETR;
	else if (strcmp(reason, "TOP") == 0)
		*kind_r = POP3_POLICY_TRANSFER_TOP;
	else
		return FALSE;
	return TRUE;
}

static int
pop3_policy_mail_get_stream(struct mail *mail, bool get_body,
			    struct message_size *hdr_size,
			    struct message_size *body_size,
			    struct istream **stream_r)
{
	struct pop3_policy_mailbox *pbox = MAILBOX_CONTEXT(mail->box);
	struct pop3_policy_session *session = *pbox->session;
	struct pop3_policy_transfer *transfer;

	if (pbox->mail_super.get_stream(mail, get_body, hdr_size, body_size,
					stream_r) < 0)
		return -1;
	if (session == NULL || session->client == NULL)
		return 0;
	transfer = &session->transfer;
	/* a RETR comes twice */
	if (transfer->mail != mail) {
		if (!mail_get_transfer_kind((struct mail_private *)mail,
					    &transfer->kind))
			return 0;
		transfer->mail = mail;
		transfer->host_bytes = host_bytes(session->client,
						  transfer->kind);
	}
	transfer->stream = *stream_r;
	return 0;
}

/* At QUIT the host only hides what the client DELEd: its grace begins. Noted
   here, by UID: after QUIT the view is another one, in which the numbers that
   the client used may be others' or nobody's. */
static void
pop3_policy_mail_update_keywords(struct mail *mail,
				 enum modify_type modify_type,
				 struct mail_keywords *keywords)
{
	struct pop3_policy_mailbox *pbox = MAILBOX_CONTEXT(mail->box);
	struct pop3_policy_session *session = *pbox->session;

	if (session != NULL && session->client != NULL &&
	    keywords == session->client->deleted_kw &&
	    modify_type == MODIFY_ADD) {
		pp_runs_set(session->deleted, mail->uid, mail->uid,
			    ioloop_time);
	}
	pbox->mail_super.update_keywords(mail, modify_type, keywords);
}

static int
pop3_policy_mail_get_special(struct mail *mail, enum mail_fetch_field field,
			     const char **value_r)
{
	struct pop3_policy_mailbox *pbox = MAILBOX_CONTEXT(mail->box);

	if (field == MAIL_FETCH_UIDL_BACKEND) {
		int ret = pop3_policy_answer_uidl(mail, value_r);

		if (ret != 0)
			return ret < 0 ? -1 : 0;
	}
	return pbox->mail_super.get_special(mail, field, value_r);
}

int pop3_policy_mail_host_uidl(struct mail *mail, const char **value_r)
{
	struct pop3_policy_mailbox *pbox = MAILBOX_CONTEXT(mail->box);

	if (pbox == NULL)
		return mail_get_special(mail, MAIL_FETCH_UIDL_BACKEND,
					value_r);
	return pbox->mail_super.get_special(mail, MAIL_FETCH_UIDL_BACKEND,
					    value_r);
}

static struct mail *
pop3_policy_mail_alloc(struct mailbox_transaction_context *t,
		       enum mail_fetch_field wanted_fields,
		       struct mailbox_header_lookup_ctx *wanted_headers)
{
	struct pop3_policy_mailbox *pbox = MAILBOX_CONTEXT(t->box);
	struct mail *mail = pbox->module_ctx.super.mail_alloc(t, wanted_fields,
							wanted_headers);
	struct mail_vfuncs *v = &((struct mail_private *)mail)->v;

	if (pbox->mail_super.close == NULL)
		pbox->mail_super = *v;
	v->close = pop3_policy_mail_close;
	v->get_stream = pop3_policy_mail_get_stream;
	v->update_keywords = pop3_policy_mail_update_keywords;
	v->get_special = pop3_policy_mail_get_special;
	return mail;
}

void pop3_policy_mailbox_allocated(struct mailbox *box)
{
	struct pop3_policy_session *const *session =
		pop3_policy_session_of(box->storage->user);
	struct mailbox_vfuncs *v = box->vlast;
	struct pop3_policy_mailbox *pbox;

	if (session == NULL || !box->inbox_user)
		return;
	pbox = p_new(box->pool, struct pop3_policy_mailbox, 1);
	pbox->session = session;
	pbox->module_ctx.super = *v;
	box->vlast = &pbox->module_ctx.super;
	v->mail_alloc = pop3_policy_mail_alloc;
	MODULE_CONTEXT_SET(box, pop3_policy_mailbox_module, pbox);
}

void pop3_policy_mail_proof(struct pop3_policy_session *session, uoff_t offset)
{
	struct pop3_policy_fetched *fetched;
	unsigned int i = 0;

	if (array_count(&session->fetched) == 0)
		return;
	if (o_stream_get_buffer_used_size(session->client->output) > 0) {
		/* not even written out: what has arrived proves nothing */
		offset = pop3_policy_gate_arrived(session);
		array_foreach_modifiable(&session->fetched, fetched)
			fetched->proof_offset = offset;
		return;
	}
	while (i < array_count(&session->fetched)) {
		fetched = array_idx_modifiable(&session->fetched, i);
		if (fetched->proof_offset > offset) {
			i++;
			continue;
		}
		pp_runs_set_new(session->retrieved, fetched->uid, fetched->uid,
				ioloop_time);
		array_delete(&session->fetched, i, 1);
	}
}
