/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The state of a maildrop: what must be remembered between sessions. One
   document (`state`), loaded by one lookup at login; where the closed part of
   the UIDL map is large it is in documents of its own (`uidl/<n>`), which the
   state names with their checksums. */
#ifndef PP_STATE_H
#define PP_STATE_H

#include <glib.h>
#include "pp-ledger.h"
#include "pp-limits.h"
#include "pp-order.h"
#include "pp-runs.h"
#include "pp-uidl.h"

struct pp_shown {
	guint32 uid;
	guint64 id;	/* struct pp_identity.id */
};

struct pp_state {
	struct pp_mailbox_id mailbox;
	/* counts recoveries: a session whose state has another generation
	   than the stored one has facts about other UIDs */
	guint32 generation;
	/* highest UID shown so far, 0 = none */
	guint32 mark;
	/* messages at or below the mark at the last session's end */
	guint32 count;
	/* highest validity that any rule, or storage UIDL of a rule's shape,
	   ever used */
	guint32 high_validity;
	/* the latest "now" that any session has seen: a clock that is behind
	   it went back, and nothing is removed */
	guint64 clock;
	/* the last shown messages, oldest first; also when gone */
	struct pp_shown shown[PP_SHOWN_MAX];
	guint shown_count;

	/* the first UID that sessions showed under the host's own UIDLs
	   (pop3_policy_uidl = host), 0: none. Once UIDLs are pinned again,
	   what the host shows is taken over from there on. */
	guint32 host_first;

	struct pp_uidl_map *map;
	/* the order of the listing (pp-order.h), NULL: by UID */
	GArray *order;
	struct pp_runs *first_seen, *retrieved, *deleted;
	/* retrieved and deleted may have UIDs of gone messages that were never
	   retrieved, or DELEd: see PP_RUNS_EXACT_MAX */
	gboolean spans;

	/* the ledger: how many chunks there are, first UID of the last one,
	   and up to which UID it goes */
	guint32 ledger_chunks, ledger_last_first, ledger_upto;

	/* when removal has to look again (0: not known, look), and
	   pp_policy_hash() of the rules that this came from */
	guint64 due, due_rules;
	/* when a removal last began to count what removal_limit_percent bounds
	   (0: never), how many messages there were, and how many went since:
	   see PP_REMOVAL_NEXT_PASS_SECS */
	guint64 pass_time;
	guint32 pass_messages, pass_removed;
	/* that more is due was told */
	gboolean pass_told;
	/* login delay: tokens in 1/1000 and the time they were counted at */
	guint64 bucket_time;
	guint32 bucket_millis;
	/* the user's own policy ("name=value;..."), or NULL; at most
	   PP_POLICY_MAX_BYTES: who sets it checks that */
	char *policy;
	/* the keyword of messages that the host hides after DELE
	   (pop3_deleted_flag), as the last session had it, or NULL; at most
	   PP_FLAG_MAX_BYTES: who sets it checks that */
	char *hidden_flag;
	/* it had such a flag, and yet removed at once (pop3_delete_type) */
	gboolean host_expunges;

	/* chunks that the decoded document named, and how many of them were
	   added. Fewer: the closed part of the map is not here. */
	guint chunks, chunks_added;
	/* checksums: of the last chunk, and of the last one added */
	char chunks_checksum[17], chunks_added_checksum[17];
};

/* A state for a maildrop that was never seen: mark 0, one open-ended rule from
   UID 1 with the mailbox's UIDVALIDITY. */
struct pp_state *pp_state_new(const struct pp_mailbox_id *mailbox,
			      guint64 now);
struct pp_state *pp_state_copy(const struct pp_state *state);
void pp_state_free(struct pp_state *state);

/* The validity that a new rule of a mailbox with UIDVALIDITY gets: that, if it
   is higher than every one ever used, else one more than the highest ever
   used. Saturates at G_MAXUINT32. Does not change STATE. */
guint32 pp_state_next_validity(const struct pp_state *state,
			       guint32 uidvalidity);
/* Notes that VALIDITY was used. */
void pp_state_use_validity(struct pp_state *state, guint32 validity);

/* Makes the open-ended rule for UIDs from FIRST on: uid + 0 with a validity
   never used before. Returns that validity. */
guint32 pp_state_open_rule(struct pp_state *state, guint32 first,
			   guint32 uidvalidity);
/* All times that STATE has are NOW, but for those in the future: mail was
   brought back, since it was missed. Where runs span gone messages, and so may
   have what came back without ever having been retrieved, or DELEd, these times
   are forgotten: all of it counts as not retrieved. */
void pp_state_restart_times(struct pp_state *state, guint64 now);
/* What was stored after STATE is lost: the validities up to VALIDITY, which it
   may have used, are not used again. */
void pp_state_skip_lost(struct pp_state *state, guint32 validity,
			guint32 uidvalidity);

/* Notes the order of the listing: UIDS are as it has them. FALSE if its text
   would be longer than PP_ORDER_MAX_BYTES; then it is the order of UIDs. */
gboolean pp_state_set_order(struct pp_state *state, const guint32 *uids,
			    guint count);

/* Notes UID as shown with identity ID (in shown[]); raises the mark. */
void pp_state_add_shown(struct pp_state *state, guint32 uid, guint64 id);

/* The documents of STATE. *doc_r is `state`; *chunks_r (strings) are
   `uidl/0`.., empty where the map is inline. Both are new (g_free(),
   g_ptr_array_unref()). Facts that do not fit coarsen, then the smallest runs
   are forgotten; *forgotten_r is how many messages lost their retrieval or
   deletion time by that. STATE itself is left as it is.

   Where STATE named chunks that were not added, they stay as they are stored:
   the document names them again, and *chunks_r is empty. Such a state's map
   must not be changed but for the open-ended rule. */
void pp_state_encode(const struct pp_state *state, char **doc_r,
		     GPtrArray **chunks_r, guint64 *forgotten_r);

/* Parses a state. Where its map is in chunks, *chunks_r is how many are
   needed, and the state has no map but the open-ended rule until
   pp_state_add_chunk() was called for each, in order. NULL with ERROR set if
   it cannot be read. The document names how many chunks there are and the
   checksum of the last; each chunk names that of the one before it. */
struct pp_state *pp_state_decode(const char *text, guint *chunks_r,
				 GError **error);
/* Adds chunk INDEX. FALSE with ERROR set if it is damaged or is not the one
   that the state names (the map then has a part of it: throw STATE away). */
gboolean pp_state_add_chunk(struct pp_state *state, guint index,
			    const char *text, GError **error);

/* The last of IDENTITIES (struct pp_identity, by UID), which a state remembers,
   into an array of PP_SHOWN_MAX. Returns how many. */
guint pp_shown_last(const GArray *identities, struct pp_shown *shown_r);

/* What a session found out, applied to the state that is stored at its end
   (which other sessions may have changed meanwhile). */
struct pp_facts {
	guint32 generation;	/* of the state that the session worked with */
	guint64 now;
	/* mark, and identities, of what was shown */
	guint32 mark;
	const struct pp_shown *shown;
	guint shown_count;
	/* the session showed the host's own UIDLs */
	gboolean host_uidls;
	/* messages at or below the mark at the end; G_MAXUINT32: not known.
	   Counted in a view of UIDs up to this one. */
	guint32 count, view_upto;
	/* there were more of them than the state knew at the beginning: all
	   times that are known restart */
	gboolean brought_back;
	/* what was retrieved, and DELEd: runs of UIDs, which may span UIDs
	   that do not exist (any more). NULL: nothing */
	const struct pp_runs *retrieved;
	const struct pp_runs *deleted;
	/* what the session listed, and when, although it has an earlier time
	   of deletion, which becomes that. NULL: nothing */
	const struct pp_runs *relisted;
	/* UIDs up to this one that have no first-seen time get FIRST_SEEN */
	guint32 seen_upto;
	guint64 first_seen;
};

/* Merges FACTS: times that are known never move, but for a message that is
   DELEd again, since somebody listed it again: the later time counts. The mark
   only grows, and for the same mark the count only falls: who saw more there
   looked earlier. Returns TRUE if STATE changed in a way that is worth a
   commit. Facts of another generation change nothing. */
gboolean pp_state_merge(struct pp_state *state, const struct pp_facts *facts);

/* Drops what is known only about UIDs that no longer exist: UIDS (sorted) are
   all that are there. A run that still has a message is cut to its first and
   last; gaps inside it stay. Past PP_RUNS_EXACT_MAX of them, and of first seen
   always, the later one of two runs without a message in between begins behind
   the earlier one, and STATE spans. First seen: the ends stay, so that
   the next merge does not take gone messages for new ones. The UIDL map is
   left alone: no UIDL may come back for another message. */
void pp_state_prune(struct pp_state *state, const guint32 *uids, guint count);
/* The same where UIDS are those up to UPTO only (a view's next UID - 1): what
   another session knows about later ones stays. */
void pp_state_prune_upto(struct pp_state *state, const guint32 *uids,
			 guint count, guint32 upto);

#endif
