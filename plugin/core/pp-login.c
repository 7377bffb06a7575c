/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What to do at login: decided from what the dict answered, the witness and
   the mailbox. */
#include "pp-recovery.h"

gboolean pp_mailbox_changed(const struct pp_state *state,
			    const struct pp_mailbox_now *mailbox)
{
	if (!pp_mailbox_id_equal(&state->mailbox, &mailbox->id))
		return TRUE;
	if (mailbox->uidnext <= state->mark)
		return TRUE;
	if (mailbox->last_shown == PP_IDENTITY_OTHER)
		return TRUE;
	return mailbox->at_or_below_mark < state->count &&
		mailbox->above_mark > 0;
}

gboolean pp_mailbox_brought_back(const struct pp_state *state,
				 const struct pp_mailbox_now *mailbox)
{
	return !pp_mailbox_changed(state, mailbox) &&
		mailbox->at_or_below_mark > state->count;
}

/* Every UIDL of this mailbox is known without the state. Not so in an older
   copy, where UIDs that were shown in an outage are to be given again. */
static gboolean witness_is_plain(const struct pp_witness *witness,
				 const struct pp_mailbox_now *mailbox)
{
	return witness->status == PP_WITNESS_THERE && witness->plain &&
		witness->uidvalidity == mailbox->id.uidvalidity &&
		witness->shown < mailbox->uidnext;
}

/* The witness is written after a commit: where it is ahead, what the dict has
   is an older copy, which would use validities a second time. */
static gboolean state_is_older(const struct pp_state *state,
			       const struct pp_witness *witness)
{
	guint32 first, validity;

	if (witness->status != PP_WITNESS_THERE)
		return FALSE;
	if (!pp_uidl_map_get_open(state->map, &first, &validity))
		validity = state->high_validity;
	return witness->validity > validity;
}

static gboolean uids_repeat(const struct pp_state *state,
			    const struct pp_witness *witness,
			    const struct pp_mailbox_now *mailbox)
{
	guint32 first, validity;

	return witness->status == PP_WITNESS_THERE &&
		pp_uidl_map_get_open(state->map, &first, &validity) &&
		witness->validity == validity &&
		witness->uidvalidity == mailbox->id.uidvalidity &&
		witness->shown > state->mark &&
		mailbox->uidnext <= witness->shown;
}

static enum pp_login_action refuse(enum pp_refusal why, enum pp_refusal *why_r)
{
	*why_r = why;
	return PP_LOGIN_REFUSE;
}

static enum pp_login_action
decide_found(const struct pp_state *state, const struct pp_witness *witness,
	     const struct pp_mailbox_now *mailbox, gboolean pinned,
	     enum pp_refusal *why_r)
{
	if (pinned && state_is_older(state, witness))
		return refuse(PP_REFUSAL_OLDER, why_r);
	if (pinned && uids_repeat(state, witness, mailbox))
		return PP_LOGIN_REPEATS;
	if (pp_mailbox_changed(state, mailbox))
		return PP_LOGIN_RECOVER;
	return PP_LOGIN_SERVE;
}

static enum pp_login_action
decide_nothing(const struct pp_witness *witness,
	       const struct pp_mailbox_now *mailbox, gboolean pinned,
	       enum pp_refusal *why_r)
{
	if (!pinned || witness->status == PP_WITNESS_NONE)
		return PP_LOGIN_FIRST_SIGHT;
	if (witness_is_plain(witness, mailbox))
		return PP_LOGIN_ANEW;
	return refuse(PP_REFUSAL_LOST, why_r);
}

static enum pp_login_action
decide_failed(const struct pp_witness *witness,
	      const struct pp_mailbox_now *mailbox, gboolean pinned,
	      enum pp_refusal *why_r)
{
	if (!pinned || witness->status == PP_WITNESS_NONE)
		return PP_LOGIN_OFF;
	if (witness_is_plain(witness, mailbox))
		return PP_LOGIN_PLAIN;
	return refuse(PP_REFUSAL_UNREACHABLE, why_r);
}

enum pp_login_action
pp_login_decide(enum pp_lookup lookup, const struct pp_state *state,
		const struct pp_witness *witness,
		const struct pp_mailbox_now *mailbox, gboolean pinned,
		enum pp_refusal *why_r)
{
	*why_r = PP_REFUSAL_NONE;
	switch (lookup) {
	case PP_LOOKUP_FOUND:
		return decide_found(state, witness, mailbox, pinned, why_r);
	case PP_LOOKUP_NOTHING:
		return decide_nothing(witness, mailbox, pinned, why_r);
	case PP_LOOKUP_FAILED:
		return decide_failed(witness, mailbox, pinned, why_r);
	case PP_LOOKUP_DAMAGED:
		break;
	}
	return refuse(PP_REFUSAL_DAMAGED, why_r);
}
