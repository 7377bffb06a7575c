/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What to do at login, decided from the state, the witness and the mailbox;
   and recovery: recognising messages after the mailbox changed under the
   state. Pure: every fact is an argument. */
#ifndef PP_RECOVERY_H
#define PP_RECOVERY_H

#include <glib.h>
#include "pp-state.h"
#include "pp-witness.h"

enum pp_lookup {
	PP_LOOKUP_FOUND,
	PP_LOOKUP_NOTHING,	/* the dict answered: nothing there */
	PP_LOOKUP_FAILED,	/* failed, late, or the dict cannot be opened */
	PP_LOOKUP_DAMAGED	/* found, but cannot be read */
};

enum pp_identity_check {
	PP_IDENTITY_SAME,
	PP_IDENTITY_OTHER,
	PP_IDENTITY_UNKNOWN	/* that message is gone, or cannot be asked */
};

/* The mailbox as it is at login, all of it known without reading mail. */
struct pp_mailbox_now {
	struct pp_mailbox_id id;
	guint32 uidnext;
	guint32 messages;
	/* messages with UID <= the state's mark */
	guint32 at_or_below_mark;
	/* messages above it */
	guint32 above_mark;
	/* the last of state->shown[] that is there: is it the same message? */
	enum pp_identity_check last_shown;
};

enum pp_login_action {
	/* the state fits: go on */
	PP_LOGIN_SERVE,
	/* no state and no witness: first sight */
	PP_LOGIN_FIRST_SIGHT,
	/* no state, but a plain witness with this UIDVALIDITY, and no UID that
	   it says was shown comes again: the state is made anew (uid + 0 and
	   that validity, all that is there was shown, clocks start now) */
	PP_LOGIN_ANEW,
	/* another mailbox than the state's: recover */
	PP_LOGIN_RECOVER,
	/* an older copy of the state's mailbox: UIDs that the witness says were
	   shown by the open rule, while it could not be stored, are to be given
	   again. All times restart, mail above the mark gets a validity above
	   the witness's. It may look as if mail had been expunged, too: then
	   recover as well (pp_mailbox_changed()) */
	PP_LOGIN_REPEATS,
	/* the dict is out of reach: UIDLs by uid + 0 and the witness's
	   validity; no facts are stored */
	PP_LOGIN_PLAIN,
	/* the dict is out of reach and there is no witness: the plugin is off
	   for this session, the host's own UIDLs */
	PP_LOGIN_OFF,
	/* refuse the login, for the reason in *why_r */
	PP_LOGIN_REFUSE
};

enum pp_refusal {
	PP_REFUSAL_NONE,
	PP_REFUSAL_DAMAGED,	/* the state cannot be read */
	PP_REFUSAL_UNREACHABLE,	/* dict out of reach, maildrop has exceptions */
	PP_REFUSAL_LOST,	/* nothing there, but a witness */
	PP_REFUSAL_OLDER	/* witness's validity is above that of the
				   state's open rule */
};

/* Decides (design, sections 4 and 10); the one place for logins, removal and
   doveadm: only where it says SERVE are STATE's facts the mailbox's. STATE is
   NULL unless FOUND. PINNED is whether UIDLs are ours (`pin` and `guid`); with
   `host` nobody is refused but for a damaged state. */
enum pp_login_action
pp_login_decide(enum pp_lookup lookup, const struct pp_state *state,
		const struct pp_witness *witness,
		const struct pp_mailbox_now *mailbox, gboolean pinned,
		enum pp_refusal *why_r);

/* TRUE if MAILBOX, which is the one that STATE knows, has more messages at or
   below the mark than at the last session's end: mail that had gone was brought
   back under its old UIDs. */
gboolean pp_mailbox_brought_back(const struct pp_state *state,
				 const struct pp_mailbox_now *mailbox);

/* TRUE if MAILBOX is another one than STATE knows: another GUID or
   UIDVALIDITY; UIDNEXT at or below the mark (an older copy); the last shown
   UID with another identity; or fewer messages at or below the mark than at
   the last session's end together with new UIDs. */
gboolean pp_mailbox_changed(const struct pp_state *state,
			    const struct pp_mailbox_now *mailbox);

struct pp_recovery {
	/* the state for the mailbox as it is now; free with pp_state_free() */
	struct pp_state *state;
	/* shown messages that were recognised, and messages that had been
	   shown and were there at the last session's end but were not */
	guint recognised, lost;
	/* an older copy was brought back: all times restarted */
	gboolean older_copy;
	/* the order of the listing is too long to be kept: it is that of UIDs
	   now */
	gboolean order_lost;
	/* it is the mailbox that the state knows: what is lost was expunged */
	gboolean same_mailbox;
	/* all that was shown and is there is where it was: some mail was
	   expunged, some arrived. The state is the old one (also its mark and
	   ledger) but for its count of messages */
	gboolean unchanged;
};

/* Recognises messages. OLD is the stored state, LEDGER its identities (struct
   pp_identity, sorted by old UID; entries above its mark are ignored),
   MESSAGES all that are in the mailbox now (struct pp_identity, sorted by UID,
   "header" may be 0). Matched by id, then by guid, then by header; among
   identical ones by order. Within one UIDVALIDITY, UID and id together come
   first, and what the ledger does not have (yet) is known by its UID alone.

   Where all that was shown is still where it was, see `unchanged`: the open
   rule goes on then, which may have been shown already while the dict was out
   of reach. Otherwise what is recognised keeps its UIDL and its times, and all
   else gets a rule with a validity never used before, UIDs between messages
   too. The mark becomes the highest UID there is; the generation goes up by
   one; the ledger has to be written anew (ledger_* are 0), of MESSAGES, which
   get the header hashes that LEDGER has of them, and removal looks again (due
   is 0).

   What is recognised is listed in the order that it had, all else behind it
   where that is not the order of UIDs.

   An older copy: UIDNEXT is at or below the mark with the same UIDVALIDITY, or
   with another one and something is lost too; or more is recognised than the
   last session left. Then all times become NOW. PINNED FALSE
   (`host`): neither facts (all are new) nor UIDLs are kept, and
   state->host_first is 1. LEDGER may be NULL. */
void pp_recover(const struct pp_state *old, const GArray *ledger,
		GArray *messages, const struct pp_mailbox_now *mailbox,
		guint64 now, gboolean pinned, struct pp_recovery *recovery_r);

/* TRUE if the guard has to act: in another mailbox than the state knows at
   least PP_GUARD_MIN_MESSAGES shown messages, and half of those that were there
   at the last session's end, are lost. In the same mailbox what is gone was
   expunged, all of it too. */
gboolean pp_guard_acts(const struct pp_state *old,
		       const struct pp_recovery *recovery);

/* TRUE if RECOVERY is not to be stored: another mailbox than the state knows is
   there, and it is empty. The mail may be away (a disk, a dbox without its
   index) and come back; until other mail comes nobody needs another state. */
gboolean pp_recovery_is_early(const struct pp_recovery *recovery,
			      const struct pp_mailbox_now *mailbox);

#endif
