/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Runs as text, and what is left of them when messages are gone. */
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-runs.h"

#include <string.h>

char *pp_runs_encode(const struct pp_runs *runs)
{
	GString *str = g_string_new(NULL);
	const struct pp_run *run;
	guint32 prev_last = 0;
	guint64 time = 0;
	guint i;

	for (i = 0; i < pp_runs_count(runs); i++) {
		run = pp_runs_at(runs, i);
		if (i > 0)
			g_string_append_c(str, ',');
		if (run->first > prev_last + 1) {
			g_string_append_printf(str, "%u:",
					       run->first - prev_last - 1);
		}
		g_string_append_printf(str, "%u%c%" G_GUINT64_FORMAT,
				       run->last - run->first + 1,
				       run->time >= time ? '+' : '-',
				       run->time >= time ? run->time - time :
							   time - run->time);
		prev_last = run->last;
		time = run->time;
	}
	if (str->len == 0)
		g_string_append_c(str, '-');
	return g_string_free(str, FALSE);
}

/* Reads one token at *TEXT, which follows on RUN, into RUN. */
static gboolean parse_token(const char **text, struct pp_run *run)
{
	guint64 number, secs, gap = 0;
	gboolean back;

	if (!pp_scan_uint64(text, &number))
		return FALSE;
	if (**text == ':') {
		(*text)++;
		gap = number;
		if (!pp_scan_uint64(text, &number))
			return FALSE;
	}
	back = **text == '-';
	if (!back && **text != '+')
		return FALSE;
	(*text)++;
	if (!pp_scan_uint64(text, &secs))
		return FALSE;

	/* each checked by itself first, so that the sum cannot wrap */
	if (gap > G_MAXUINT32 || number < 1 || number > G_MAXUINT32 ||
	    run->last + gap + number > G_MAXUINT32)
		return FALSE;
	if (back ? secs > run->time : secs > G_MAXUINT64 - run->time)
		return FALSE;
	run->first = run->last + gap + 1;
	run->last = run->last + gap + number;
	run->time = back ? run->time - secs : run->time + secs;
	return TRUE;
}

static gboolean parse_tokens(struct pp_runs *runs, const char *text)
{
	struct pp_run run = { 0, 0, 0 };

	for (;;) {
		if (!parse_token(&text, &run))
			return FALSE;
		pp_runs_set(runs, run.first, run.last, run.time);
		if (*text == '\0')
			return TRUE;
		if (*text++ != ',')
			return FALSE;
	}
}

struct pp_runs *pp_runs_decode(const char *text, GError **error)
{
	struct pp_runs *runs = pp_runs_new();
	g_autofree char *again = NULL;

	/* what reads well but would be printed in another way was not printed
	   by us */
	if (strcmp(text, "-") == 0 || parse_tokens(runs, text))
		again = pp_runs_encode(runs);
	if (again == NULL || strcmp(text, again) != 0) {
		g_set_error_literal(error, PP_ERROR, PP_ERROR_SYNTAX,
				    "are not runs of UIDs");
		pp_runs_free(runs);
		return NULL;
	}
	return runs;
}

/* The index of the first of UIDS that is not below UID. */
static guint lower_bound(const guint32 *uids, guint count, guint64 uid)
{
	guint low = 0, high = count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (uids[mid] < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct prune {
	const guint32 *uids;
	guint count;

	struct pp_runs *kept;
	/* the last run that was kept: its UID, and the index behind the last
	   of its messages */
	guint32 last;
	guint next;
	enum pp_prune how;
};

/* Keeps what FIRST..LAST still has messages for. Unless it is to be exact, the
   gap goes where nothing is left between it and the run before: it would cost
   bytes, and coarsening joins only what touches. */
static void prune_run(struct prune *prune, guint32 first, guint32 last,
		      guint64 time)
{
	guint low = lower_bound(prune->uids, prune->count, first);
	guint high = lower_bound(prune->uids, prune->count,
				 (guint64)last + 1);

	if (low == high)
		return;
	first = prune->uids[low];
	last = prune->uids[high - 1];
	if (prune->how != PP_PRUNE_EXACT && low == prune->next &&
	    prune->last > 0)
		first = prune->last + 1;
	pp_runs_set(prune->kept, first, last, time);
	prune->last = last;
	prune->next = high;
}

/* Makes what is kept of RUNS cover the ends that RUNS covered, where nothing
   but gone messages is in them. */
static void prune_keep_ends(struct prune *prune, guint32 covered,
			    guint64 last_time)
{
	guint behind = lower_bound(prune->uids, prune->count,
				   (guint64)covered + 1);
	const struct pp_run *run;

	if (pp_runs_count(prune->kept) == 0) {
		if (behind == 0)
			pp_runs_set(prune->kept, 1, covered, last_time);
		return;
	}
	run = pp_runs_at(prune->kept, 0);
	if (run->first > 1 &&
	    lower_bound(prune->uids, prune->count, run->first) == 0)
		pp_runs_set(prune->kept, 1, run->first - 1, run->time);
	run = pp_runs_at(prune->kept, pp_runs_count(prune->kept) - 1);
	if (run->last < covered && prune->next == behind)
		pp_runs_set(prune->kept, run->last + 1, covered, run->time);
}

struct pp_runs *pp_runs_pruned(const struct pp_runs *runs,
			       const guint32 *uids, guint count, guint32 upto,
			       enum pp_prune how)
{
	struct prune prune = { uids, lower_bound(uids, count,
						 (guint64)upto + 1),
			       pp_runs_new(), 0, 0, how };
	guint i, runs_count = pp_runs_count(runs);
	guint32 covered = 0;
	guint64 last_time = 0;
	const struct pp_run *run;

	for (i = 0; i < runs_count; i++) {
		run = pp_runs_at(runs, i);
		if (run->first > upto)
			break;
		covered = MIN(run->last, upto);
		last_time = run->time;
		prune_run(&prune, run->first, covered, run->time);
	}
	if (how == PP_PRUNE_SPAN_ENDS && covered > 0)
		prune_keep_ends(&prune, covered, last_time);
	for (i = 0; i < runs_count; i++) {
		run = pp_runs_at(runs, i);
		if (run->last > upto)
			pp_runs_set(prune.kept, MAX(run->first, upto + 1),
				    run->last, run->time);
	}
	return prune.kept;
}
