/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `+OK Logged in.` is held back until INBOX is open and the state is there;
   whatever refuses a login does so here and nowhere else. The host offers no
   place for that: an ostream holds its lines, and the output's flush callback
   is the first thing that runs with INBOX open. */
#include "pop3-policy-compat.h"
#include "buffer.h"
#include "ioloop.h"
#include "istream.h"
#include "ostream-private.h"
#include "mail-error.h"
#include "mail-user.h"
#include "pop3-policy-event.h"
#include "pop3-policy-order.h"
#include "pop3-policy-session.h"

/* what the host sends once a user is logged in */
#define LOGIN_OK "+OK Logged in.\r\n"
/* how long a login waits for a removal's batch to end */
#define LOGIN_LOOK_WAIT_MSECS 3000

#pragma weak client_send_line
#pragma weak client_destroy

struct pop3_policy_hold {
	struct ostream_private ostream;
	buffer_t *held;
	bool holding;
};

static int login_flush_start(struct pop3_policy_session *session);

static ssize_t
hold_sendv(struct ostream_private *stream, const struct const_iovec *iov,
	   unsigned int iov_count)
{
	struct pop3_policy_hold *hold =
		container_of(stream, struct pop3_policy_hold, ostream);
	ssize_t ret = 0;
	unsigned int i;

	if (hold->holding) {
		for (i = 0; i < iov_count; i++) {
			buffer_append(hold->held, iov[i].iov_base,
				      iov[i].iov_len);
			ret += iov[i].iov_len;
		}
	} else if ((ret = o_stream_sendv(stream->parent, iov,
					 iov_count)) < 0) {
		o_stream_copy_error_from_parent(stream);
		return -1;
	}
	stream->ostream.offset += ret;
	return ret;
}

static int hold_flush(struct ostream_private *stream)
{
	struct pop3_policy_hold *hold =
		container_of(stream, struct pop3_policy_hold, ostream);
	int ret;

	if (hold->holding)
		return 1;
	ret = o_stream_flush(stream->parent);
	if (ret < 0)
		o_stream_copy_error_from_parent(stream);
	return ret;
}

static void hold_destroy(struct iostream_private *stream)
{
	struct pop3_policy_hold *hold =
		container_of(stream, struct pop3_policy_hold,
			     ostream.iostream);

	buffer_free(&hold->held);
	o_stream_unref(&hold->ostream.parent);
}

static void hold_create(struct pop3_policy_session *session)
{
	struct client *client = session->client;
	struct ostream *output = client->output;
	struct pop3_policy_hold *hold = i_new(struct pop3_policy_hold, 1);

	hold->held = buffer_create_dynamic(default_pool, 64);
	hold->holding = TRUE;
	hold->ostream.sendv = hold_sendv;
	hold->ostream.flush = hold_flush;
	hold->ostream.iostream.destroy = hold_destroy;
	client->output = o_stream_create(&hold->ostream, output,
					 o_stream_get_fd(output));
	o_stream_unref(&output);
	session->hold = hold;
}

/* Lets go what is held; with DROP_OK without the host's "+OK Logged in.".
   Returns TRUE if there was anything else. */
static bool hold_release(struct pop3_policy_session *session, bool drop_ok)
{
	struct pop3_policy_hold *hold = session->hold;
	size_t skip = 0, size = hold->held->used;

	session->hold = NULL;
	hold->holding = FALSE;
	if (drop_ok && size >= strlen(LOGIN_OK) &&
	    memcmp(hold->held->data, LOGIN_OK, strlen(LOGIN_OK)) == 0)
		skip = strlen(LOGIN_OK);
	if (size > skip) {
		o_stream_nsend(hold->ostream.parent,
			       CONST_PTR_OFFSET(hold->held->data, skip),
			       size - skip);
	}
	/* the offset counts what reaches the client */
	hold->ostream.ostream.offset -= skip;
	buffer_set_used_size(hold->held, 0);
	return size > skip;
}

/* Takes the holding stream out of the chain; where rawlog was put around it,
   it stays and only passes on. */
static void hold_remove(struct pop3_policy_session *session,
			struct pop3_policy_hold *hold)
{
	struct client *client = session->client;
	struct ostream *output = client->output;

	if (output != &hold->ostream.ostream)
		return;
	client->output = hold->ostream.parent;
	o_stream_ref(client->output);
	o_stream_unref(&output);
}

static void login_wake(struct pop3_policy_session *session)
{
	o_stream_set_flush_callback(session->client->output,
				    login_flush_start, session);
	o_stream_set_flush_pending(session->client->output, TRUE);
}

/* Runs inside the dict's callback: only notes the answer. */
static void login_lookup_callback(int ret, const char *value,
				  const char *error, void *context)
{
	struct pop3_policy_session *session = context;

	session->lookup_done = TRUE;
	session->lookup_ret = ret;
	session->lookup_value = i_strdup(value);
	session->lookup_error = i_strdup(error);
	if (session->to_deadline != NULL) {
		timeout_remove(&session->to_deadline);
		login_wake(session);
	}
}

void pop3_policy_login_begin(struct pop3_policy_session *session)
{
	hold_create(session);
	if (session->md->store == NULL) {
		/* could not be opened: said when the session is decided */
		session->lookup_done = TRUE;
		session->lookup_ret = -1;
		return;
	}
	pop3_policy_store_lookup_async(session->md->store,
				       POP3_POLICY_KEY_STATE,
				       login_lookup_callback, session);
}

/* A removal works in batches and gives its lock up in between. */
static void login_look(struct pop3_policy_session *session)
{
	const char *error;
	struct mailbox *box = session->client->mailbox;
	int ret = pop3_policy_maildrop_create_files(session->md, box, &error);

	if (ret > 0) {
		ret = pop3_policy_files_look(session->md->files,
					     &session->look_deadline, &error);
	}
	if (ret < 0) {
		e_error(session->event, "%s (nothing is removed from this "
			"maildrop)", error);
	}
}

void pop3_policy_login_namespaces(struct pop3_policy_session *session)
{
	struct client *client = session->client;

	session->namespaces_created = TRUE;
	session->look_deadline =
		pop3_policy_deadline_in(LOGIN_LOOK_WAIT_MSECS);
	login_look(session);
	/* no command is read before the session is decided */
	io_remove(&client->io);
	session->host_flush = client->output->real_stream->callback;
	session->host_flush_context = client->output->real_stream->context;
	login_wake(session);
}

static int login_flush_wait(struct pop3_policy_session *session ATTR_UNUSED)
{
	return 1;
}

static void login_deadline_final(struct pop3_policy_session *session)
{
	timeout_remove(&session->to_deadline);
	pop3_policy_store_abandon(session->md->store);
	session->lookup_done = TRUE;
	session->lookup_ret = -1;
	session->lookup_error = i_strdup_printf("no answer in %u ms",
					session->set->dict_timeout_msecs);
	login_wake(session);
}

/* The ioloop runs due timers before ready sockets: an answer that is there is
   read before the second timer. */
static void login_deadline(struct pop3_policy_session *session)
{
	timeout_remove(&session->to_deadline);
	session->to_deadline = timeout_add_short(0, login_deadline_final,
						 session);
}

/* A client that goes while the host writes to it, here or when the ostream is
   uncorked behind this, is not noticed: nothing calls the host any more, which
   waits for its idle timeout. */
static bool login_flush_is_gone(struct client *client)
{
	o_stream_uncork(client->output);
	return client->output->closed || client->output->stream_errno != 0;
}

static int login_flush(struct pop3_policy_session *session)
{
	int ret;

	pop3_policy_session_ref(session);
	ret = session->host_flush(session->host_flush_context);
	if (session->client != NULL) {
		pop3_policy_gate_flushed(session);
		if (login_flush_is_gone(session->client)) {
			client_destroy(session->client, NULL);
			ret = 1;
		}
	}
	pop3_policy_session_unref(&session);
	return ret;
}

static int login_refuse(struct pop3_policy_session *session, const char *reply)
{
	struct client *client = session->client;

	(void)hold_release(session, TRUE);
	client_send_line(client, "-ERR %s", reply);
	client_destroy(client, "pop3-policy refused the login");
	return 1;
}

/* INBOX is open, or the host has destroyed the client by now. */
static int login_flush_start(struct pop3_policy_session *session)
{
	struct pop3_policy_hold *hold = session->hold;
	const char *reply;

	if (!session->deadline_began) {
		/* only here: opening INBOX may have taken any time, in which
		   nobody could read the answer */
		session->deadline_began = TRUE;
		session->deadline = pop3_policy_deadline_in(
					session->set->dict_timeout_msecs);
	}
	if (!session->lookup_done) {
		session->to_deadline =
			timeout_add(session->set->dict_timeout_msecs,
				    login_deadline, session);
		o_stream_set_flush_callback(session->client->output,
					    login_flush_wait, session);
		return 1;
	}
	/* INBOX may have been created only now */
	if (session->md->files == NULL)
		login_look(session);
	reply = pop3_policy_decide(session);
	if (reply != NULL)
		return login_refuse(session, reply);
	if (session->pinned)
		pop3_policy_order_apply(session->client, session->state);
	session->accepted = TRUE;
	pop3_policy_grace_login(session);
	(void)hold_release(session, FALSE);
	hold_remove(session, hold);
	o_stream_set_flush_callback(session->client->output, login_flush,
				    session);
	pop3_policy_gate_install(session);
	return login_flush(session);
}

void pop3_policy_login_destroy(struct pop3_policy_session *session)
{
	timeout_remove(&session->to_deadline);
	if (session->md->store != NULL)
		pop3_policy_store_abandon(session->md->store);
	if (session->hold == NULL)
		return;
	/* INBOX could not be opened, or the server is being stopped: the
	   host's one -ERR in place of +OK */
	if (!hold_release(session, TRUE)) {
		o_stream_nsend_str(session->client->output,
				   "-ERR [SYS/TEMP] "MAIL_ERRSTR_CRITICAL_MSG
				   "\r\n");
	}
}
