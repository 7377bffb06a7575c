/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Grace after DELE, as a session sees it: the host hides the messages, by a
   flag; their time is noted where they are hidden (pop3-policy-mail.c). */
#include "pop3-policy-compat.h"
#include "pop3-policy-advice.h"
#include "pop3-policy-event.h"
#include "pop3-policy-order.h"
#include "pop3-policy-session.h"

/* The time of a message that is listed is written so often: once a day, and a
   part of the grace. */
#define RELISTED_SECS (24 * 60 * 60)
#define RELISTED_DIVISOR 8

static bool grace_host_hides(const struct pop3_policy_session *session)
{
	return session->deleted_flag != NULL &&
		session->client->set->parsed_delete_type ==
		POP3_DELETE_TYPE_FLAG;
}

/* What is listed again (the host's flag was taken away, or its setting) must
   not go by the old time as soon as it is hidden once more: its grace begins
   with the last day on which it was listed. */
static void grace_note_listed(struct pop3_policy_session *session)
{
	const struct pp_state *state = session->state;
	uint64_t secs = I_MIN(session->set->policy.keep_deleted_secs /
			      RELISTED_DIVISOR, RELISTED_SECS);
	uint32_t msgnum, uid;
	guint64 time;

	if (state == NULL || pp_runs_count(state->deleted) == 0)
		return;
	for (msgnum = 0; msgnum < session->client->messages_count; msgnum++) {
		uid = pop3_policy_client_uid(session->client, msgnum);
		if (!pp_runs_get(state->deleted, uid, &time) ||
		    time + secs >= (uint64_t)session->start_time)
			continue;
		if (session->relisted == NULL)
			session->relisted = pp_runs_new();
		pp_runs_set(session->relisted, uid, uid, session->start_time);
	}
}

void pop3_policy_grace_login(struct pop3_policy_session *session)
{
	const struct pop3_policy_settings *set = session->set;
	const struct pp_state *state = session->state;
	const char *const *lines = pop3_policy_advice(set);

	for (; *lines != NULL; lines++)
		e_warning(session->event, "%s", *lines);
	if (set->policy.keep_deleted_secs > 0 && !grace_host_hides(session)) {
		e_error(session->event, "pop3_policy_keep_deleted=%s needs "
			"Dovecot's pop3_delete_type=flag and "
			"pop3_deleted_flag: DELE removes at once, there is no "
			"grace", pop3_policy_advice_time(
					set->policy.keep_deleted_secs));
	}
	if (session->deleted_flag == NULL && state != NULL &&
	    state->hidden_flag != NULL && pp_runs_count(state->deleted) > 0) {
		e_warning(session->event, "pop3_deleted_flag was %s and is "
			  "not set any more: the messages that it hid are "
			  "listed again", state->hidden_flag);
	}
	grace_note_listed(session);
}

static bool grace_host_expunges(const struct pop3_policy_session *session)
{
	return session->deleted_flag != NULL && !grace_host_hides(session);
}

bool pop3_policy_grace_flag_changed(const struct pop3_policy_session *session,
				    const struct pp_state *state)
{
	return g_strcmp0(session->deleted_flag, state->hidden_flag) != 0 ||
		grace_host_expunges(session) != (state->host_expunges != 0);
}

bool pop3_policy_grace_note_flag(struct pop3_policy_session *session,
				 struct pp_state *state)
{
	if (!pop3_policy_grace_flag_changed(session, state))
		return FALSE;
	g_free(state->hidden_flag);
	state->hidden_flag = g_strdup(session->deleted_flag);
	state->host_expunges = grace_host_expunges(session);
	return TRUE;
}

/* A time that lies in the future by one grace ends two graces from now. */
static uint64_t grace_double(struct pop3_policy_session *session)
{
	uint64_t secs = session->set->policy.keep_deleted_secs, until = 0;
	struct pp_runs *later = pp_runs_new();
	const struct pp_run *run;
	guint i;

	for (i = 0; i < pp_runs_count(session->deleted); i++) {
		run = pp_runs_at(session->deleted, i);
		pp_runs_set(later, run->first, run->last, run->time + secs);
		until = I_MAX(until, run->time + 2 * secs);
	}
	pp_runs_free(session->deleted);
	session->deleted = later;
	return until;
}

void pop3_policy_grace_close(struct pop3_policy_session *session)
{
	const struct pop3_policy_settings *set = session->set;
	uint64_t deleted = pp_runs_uids(session->deleted);

	if (set->policy.keep_deleted_secs == 0 ||
	    set->mass_delete_percent == 0 ||
	    deleted < PP_MASS_DELETE_MIN_MESSAGES ||
	    deleted * 100 < (uint64_t)session->listed_messages *
	    set->mass_delete_percent)
		return;
	pop3_policy_event_mass_delete(session->event, deleted,
				      session->listed_messages,
				      grace_double(session));
}
