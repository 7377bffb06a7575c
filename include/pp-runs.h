/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Facts about messages as runs of UIDs: POP3 clients download in batches, so
   100,000 messages are a few hundred runs. A run says "UIDs FIRST to LAST
   (inclusive) have this time". Runs are sorted, never overlap, and neighbours
   with the same time are one run. */
#ifndef PP_RUNS_H
#define PP_RUNS_H

#include <glib.h>

struct pp_run {
	guint32 first, last;	/* UIDs, 1 <= first <= last */
	guint64 time;		/* seconds since 1970, UTC */
};

struct pp_runs;

struct pp_runs *pp_runs_new(void);
struct pp_runs *pp_runs_copy(const struct pp_runs *runs);
void pp_runs_free(struct pp_runs *runs);

/* TRUE and the time of UID, or FALSE where nothing is known. *time_r may be
   NULL. Logarithmic. */
gboolean pp_runs_get(const struct pp_runs *runs, guint32 uid, guint64 *time_r);

/* Sets FIRST..LAST to TIME, whatever was there. */
void pp_runs_set(struct pp_runs *runs, guint32 first, guint32 last,
		 guint64 time);
/* Sets those of FIRST..LAST of which nothing is known yet: the first fact
   counts and never moves. Returns how many UIDs were set. */
guint64 pp_runs_set_new(struct pp_runs *runs, guint32 first, guint32 last,
			guint64 time);
/* Sets those of FIRST..LAST that have an earlier time, or none: the last fact
   counts. Returns how many UIDs were set. */
guint64 pp_runs_set_later(struct pp_runs *runs, guint32 first, guint32 last,
			  guint64 time);
/* Forgets FIRST..LAST. */
void pp_runs_unset(struct pp_runs *runs, guint32 first, guint32 last);

guint pp_runs_count(const struct pp_runs *runs);
/* The INDEXth run, in UID order. Valid until the next change. */
const struct pp_run *pp_runs_at(const struct pp_runs *runs, guint index);
/* How many UIDs have a time. */
guint64 pp_runs_uids(const struct pp_runs *runs);

/* Lowers the number of runs to MAX_RUNS where that is possible by giving
   neighbouring runs without a gap between them the LATER of their two times
   (the closest times first), so that mail is kept longer, never shorter. */
void pp_runs_coarsen(struct pp_runs *runs, guint max_runs);
/* Forgets the smallest runs until MAX_RUNS are left. Returns how many UIDs
   have no time any more. */
guint64 pp_runs_forget_smallest(struct pp_runs *runs, guint max_runs);

enum pp_prune {
	PP_PRUNE_EXACT,
	/* a run reaches back to the one before it where no message is left in
	   between: then they can coarsen */
	PP_PRUNE_SPAN,
	/* and the UIDs of gone messages in front of the first and behind the
	   last message keep a time, so that nothing takes them for new ones */
	PP_PRUNE_SPAN_ENDS
};

/* What is left of RUNS when UIDS (sorted) are all messages up to UPTO that are
   there: runs without a message go, the others are cut to their first and last
   one. What is above UPTO stays as it is. A new struct. */
struct pp_runs *pp_runs_pruned(const struct pp_runs *runs,
			       const guint32 *uids, guint count, guint32 upto,
			       enum pp_prune how);

/* The text of RUNS, without spaces: tokens joined by ',', each
   [GAP:]LENGTH[+-]SECONDS, where GAP is the number of UIDs without a time
   since the run before (left out where 0) and SECONDS the difference to the
   time of the run before (the first: to 1970). No run: "-". A new string. */
char *pp_runs_encode(const struct pp_runs *runs);
/* NULL with ERROR set (SYNTAX) for anything that pp_runs_encode() does not
   print. */
struct pp_runs *pp_runs_decode(const char *text, GError **error);

#endif
