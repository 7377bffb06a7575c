/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Between deciding what a session is (pop3-policy-decide.c) and storing what
   has to be stored before anything is shown (pop3-policy-decide-store.c). */
#ifndef POP3_POLICY_DECIDE_H
#define POP3_POLICY_DECIDE_H

#include "pop3-policy-mailbox.h"
#include "pop3-policy-recover.h"
#include "pop3-policy-session.h"

struct pop3_policy_decide {
	struct pop3_policy_session *session;
	const struct pop3_policy_deadline *deadline;
	enum pp_login_action action;
	struct pp_mailbox_now now;
	/* the state that was stored, or found stored */
	struct pp_state *result;
	/* the state was lost, or is an older copy, and the guard only logs, or
	   the mailbox is one: the highest validity that the witness knows was
	   used; else 0 */
	guint32 lost_validity;
	/* the mailbox is, as only the witness told: its times restart */
	bool older_copy;
	/* messages that had gone and are there again, to be told of */
	guint32 brought_back;
	struct pop3_policy_recover recover;
	bool guard_refused;
};

/* UIDLs are the plugin's, not the host's. */
static inline bool
pop3_policy_session_pins(const struct pop3_policy_session *session)
{
	return session->set->uidl != POP3_POLICY_UIDL_HOST;
}

/* pop3_policy_sight() for the session, and pop3_policy_sight_needed(). */
int pop3_policy_decide_sight(struct pop3_policy_session *session,
			     struct pp_state *state, bool first,
			     const char **error_r);
int pop3_policy_decide_needs_sight(struct pop3_policy_session *session,
				   const char **error_r);

/* Does what ctx->action asks for: makes the first state, decides explicit
   UIDLs, or recovers, under the write lock and from what is stored by then;
   commits it. Returns 0, the session then has the state; or -1 and *error_r:
   nothing was stored, or it is not known (ctx->guard_refused: the guard acted,
   and has said so). */
int pop3_policy_decide_store(struct pop3_policy_decide *ctx,
			     const char **error_r);

#endif
