/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Retention: which message goes when, and why. Decided from the state's facts,
   the messages that are there, the rules and "now"; carried out elsewhere.
   On any doubt a message stays. */
#ifndef PP_RETENTION_H
#define PP_RETENTION_H

#include <glib.h>
#include "pp-state.h"

/* The rules of one user. A 0 switches a rule off. */
struct pp_policy {
	guint64 keep_retrieved_secs;
	guint64 keep_unretrieved_secs;
	guint64 keep_deleted_secs;
	guint64 max_retrieved_messages;
	guint64 max_retrieved_bytes;
	guint64 min_keep_secs;
	guint removal_limit_percent;	/* 1-100 */
	/* For pp_policy_hash() alone: what makes pp_message.is_protected, flags
	   and keywords, NULL-terminated (NULL: none), not owned; and whether
	   what goes is only told. */
	const char *const *protect;
	gboolean dry_run;
};

/* A message that is there. */
struct pp_message {
	guint32 uid;
	guint64 size_bytes;
	gboolean is_protected;	/* has a protected flag or keyword */
	gboolean hidden;	/* DELEd, waiting for the end of its grace */
};

enum pp_rule {
	/* why it goes */
	PP_RULE_KEEP_RETRIEVED,
	PP_RULE_KEEP_UNRETRIEVED,
	PP_RULE_KEEP_DELETED,
	PP_RULE_MAX_MESSAGES,
	PP_RULE_MAX_SIZE,
	/* why it stays */
	PP_RULE_STAYS_PROTECTED,
	PP_RULE_STAYS_NOT_RETRIEVED,	/* and no rule for unretrieved mail */
	PP_RULE_STAYS_UNKNOWN,		/* never seen by a session: no clock */
	PP_RULE_STAYS_NO_RULE		/* retrieved, but no rule asks for it */
};
/* "keep_retrieved", "max_retrieved_messages", "protected", ... */
const char *pp_rule_name(enum pp_rule rule);
/* TRUE for those that remove. */
gboolean pp_rule_removes(enum pp_rule rule);

/* What happens to a message. */
struct pp_verdict {
	guint32 uid;
	enum pp_rule rule;
	guint64 due;		/* when it goes, seconds since 1970; 0: never */
	guint64 kept_from;	/* of a protected one: when it would go */
	guint64 first_seen, retrieved, deleted;	/* 0: not known */
	guint64 size_bytes;
	gboolean goes_now;	/* due, and within this pass's limit */
	gboolean waits;		/* due, but left for a later pass */
};

/* Judges all MESSAGES (COUNT of them, sorted by UID). Several rules at once:
   the earliest moment that any allows; protect and min_keep always win. Caps
   take the oldest retrieval first (then the lowest UID) and count retrieved
   messages only: protected ones count and stay, hidden ones do not count. A
   message that a cap takes is due since the retrieval that pushed it out. A
   hidden one whose grace is over goes as KEEP_DELETED, whatever else would
   take it. Of what is due, removal_limit_percent of the maildrop's
   messages (at least PP_REMOVAL_ALWAYS_ALLOWED) go now, longest due first, less
   what went of STATE's pass if that is still under way; what clients DELEd is
   not counted and not limited. If NOW is before
   state->clock nothing goes now (clock_back_r TRUE). Returns an array of
   struct pp_verdict in the order of MESSAGES; g_array_unref(). */
GArray *pp_retention_judge(const struct pp_state *state,
			   const struct pp_policy *policy,
			   const struct pp_message *messages, guint count,
			   guint64 now, gboolean *clock_back_r);

/* TRUE if what is removed NOW counts as of the pass that STATE knows. */
gboolean pp_retention_pass_goes_on(const struct pp_state *state, guint64 now);
/* Notes that REMOVED of MESSAGES, which were there, went NOW by a rule that
   removal_limit_percent bounds. */
void pp_retention_note_removed(struct pp_state *state, guint64 now,
			       guint32 messages, guint32 removed);

/* When to look next, from the VERDICTS of a look that just removed what goes
   now, and noted it in STATE: the earliest due time left; where something waits
   the end of PP_REMOVAL_NEXT_PASS_SECS from the pass's beginning on (else from
   NOW on), before which nothing goes but what clients DELEd; where something
   would go but for a flag that may be taken away, NOW + the same;
   with keep_unretrieved never later than NOW + that time (mail that arrives
   without a session). G_MAXUINT64: never. */
guint64 pp_retention_next_look(const struct pp_state *state,
			       const GArray *verdicts,
			       const struct pp_policy *policy, guint64 now);

/* No message goes before this, by the facts of STATE alone: a lower bound,
   since what is not there any more, is protected or within a cap counts too.
   G_MAXUINT64: never. */
guint64 pp_retention_earliest(const struct pp_state *state,
			      const struct pp_policy *policy);

/* TRUE if removal has to look at the maildrop: the rules changed since the
   state's `due` was noted, or it has come, or is 0; and pp_retention_earliest()
   has come. Without rules always FALSE. */
gboolean pp_retention_is_due(const struct pp_state *state,
			     const struct pp_policy *policy, guint64 now);

/* Lowers state->due so that what FACTS just added is looked at in time, but
   not below state->clock. */
void pp_retention_note_facts(struct pp_state *state,
			     const struct pp_policy *policy,
			     const struct pp_facts *facts);

/* A hash of all that decides what goes, never 0. */
guint64 pp_policy_hash(const struct pp_policy *policy);
gboolean pp_policy_has_rules(const struct pp_policy *policy);

#endif
