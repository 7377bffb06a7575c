/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Birth and death of a session. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "hostpid.h"
#include "ioloop.h"
#include "istream.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "ostream.h"
#include "pop3-policy-event.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-session.h"

/* The host is about to take the client apart: what it knows is taken over. */
static void session_note_end(struct pop3_policy_session *session)
{
	struct client *client = session->client;
	uint64_t *values = session->counters.value;

	session->listed_messages = client->messages_count;
	values[PP_SESSIONS] = 1;
	if (!client->quit_seen)
		values[PP_SESSIONS_ABORTED] = 1;
	values[PP_SECONDS] = ioloop_time > session->start_time ?
		ioloop_time - session->start_time : 0;
	values[PP_FIRST_SESSION] = ioloop_time;
	values[PP_LAST_SESSION] = ioloop_time;
	values[PP_IN_BYTES] = client->input->v_offset;
	/* closing it may still write something */
	session->output = client->output;
	o_stream_ref(session->output);
	if (client->delete_success)
		values[PP_DELE_COUNT] = client->deleted_count;
	else
		pp_runs_unset(session->deleted, 1, PP_UID_MAX);
	if (client->mailbox != NULL && client->mailbox->view != NULL) {
		session->messages =
			pop3_policy_mailbox_count_upto(client->mailbox,
						       session->highest_uid);
	}
}

static void
session_client_destroy(struct client *client, const char *reason)
{
	struct pop3_policy_session *session =
		pop3_policy_session_get(client->user);

	pop3_policy_login_destroy(session);
	if (session->accepted)
		session_note_end(session);
	/* frees the client and its user, and with it the user's reference */
	session->super.destroy(client, reason);
}

struct pop3_policy_session *
pop3_policy_session_create(struct client *client,
			   struct pop3_policy_maildrop *md)
{
	struct pop3_policy_session *session =
		i_new(struct pop3_policy_session, 1);

	session->refcount = 1;
	session->client = client;
	session->user = client->user;
	session->md = md;
	session->set = md->set;
	session->start_time = ioloop_time;
	/* none where pop3 runs on stdin; usage wants one that never repeats */
	session->id = client->user->session_id != NULL ?
		i_strdup(client->user->session_id) :
		i_strdup_printf("%s.%"PRIdTIME_T, my_pid, ioloop_time);
	if (client->set->pop3_deleted_flag[0] != '\0' &&
	    strlen(client->set->pop3_deleted_flag) <= PP_FLAG_MAX_BYTES) {
		session->deleted_flag =
			i_strdup(client->set->pop3_deleted_flag);
	}
	session->event = pop3_policy_event_create(client->user);
	session->retrieved = pp_runs_new();
	session->deleted = pp_runs_new();
	i_array_init(&session->fetched, 8);
	session->super = client->v;
	client->v.destroy = session_client_destroy;
	pop3_policy_login_begin(session);
	return session;
}

void pop3_policy_session_ref(struct pop3_policy_session *session)
{
	session->refcount++;
}

void pop3_policy_session_unref(struct pop3_policy_session **_session)
{
	struct pop3_policy_session *session = *_session;

	*_session = NULL;
	i_assert(session->refcount > 0);
	if (--session->refcount > 0)
		return;
	timeout_remove(&session->to_deadline);
	pp_state_free(session->state);
	pp_runs_free(session->retrieved);
	pp_runs_free(session->deleted);
	pp_runs_free(session->relisted);
	array_free(&session->fetched);
	event_unref(&session->event);
	o_stream_unref(&session->output);
	i_free(session->lookup_value);
	i_free(session->lookup_error);
	i_free(session->id);
	i_free(session->deleted_flag);
	i_free(session);
}

void pop3_policy_session_failed(struct pop3_policy_session *session,
				const char *operation, const char *error,
				const char *consequence)
{
	if (session->failure_logged)
		return;
	session->failure_logged = TRUE;
	pop3_policy_event_state_failed(session->event, operation,
		t_strdup_printf("The dict's %s failed: %s: %s", operation,
				error, consequence));
}
