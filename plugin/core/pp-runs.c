/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Facts about messages as runs of UIDs. */
#include "pp-runs.h"

struct pp_runs {
	GArray *array;	/* struct pp_run */
};

static struct pp_run *run_at(const struct pp_runs *runs, guint index)
{
	return &g_array_index(runs->array, struct pp_run, index);
}

static guint64 run_uids(const struct pp_run *run)
{
	return (guint64)run->last - run->first + 1;
}

/* Adds a run behind those of ARRAY, or makes the last one longer. */
static void run_append(GArray *array, guint32 first, guint32 last,
		       guint64 time)
{
	struct pp_run run = { first, last, time };
	struct pp_run *prev;

	if (array->len > 0) {
		prev = &g_array_index(array, struct pp_run, array->len - 1);
		if (prev->last + 1 == first && prev->time == time) {
			prev->last = last;
			return;
		}
	}
	g_array_append_val(array, run);
}

struct pp_runs *pp_runs_new(void)
{
	struct pp_runs *runs = g_new0(struct pp_runs, 1);

	runs->array = g_array_new(FALSE, FALSE, sizeof(struct pp_run));
	return runs;
}

struct pp_runs *pp_runs_copy(const struct pp_runs *runs)
{
	struct pp_runs *copy = pp_runs_new();

	g_array_append_vals(copy->array, runs->array->data, runs->array->len);
	return copy;
}

void pp_runs_free(struct pp_runs *runs)
{
	if (runs == NULL)
		return;
	g_array_unref(runs->array);
	g_free(runs);
}

/* The index of the first run that ends at or behind UID. */
static guint find_index(const struct pp_runs *runs, guint32 uid)
{
	guint low = 0, high = runs->array->len, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (run_at(runs, mid)->last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Runs LOW_R.. to before HIGH_R are those that overlap or touch FIRST..LAST. */
static void find_touched(const struct pp_runs *runs, guint32 first,
			 guint32 last, guint *low_r, guint *high_r)
{
	guint high;

	g_assert(first >= 1 && first <= last);
	*low_r = high = find_index(runs, first - 1);
	while (high < runs->array->len &&
	       run_at(runs, high)->first <= (guint64)last + 1)
		high++;
	*high_r = high;
}

static void splice(struct pp_runs *runs, guint low, guint high,
		   const GArray *pieces)
{
	if (high > low)
		g_array_remove_range(runs->array, low, high - low);
	if (pieces->len > 0) {
		g_array_insert_vals(runs->array, low, pieces->data,
				    pieces->len);
	}
}

/* Takes what ARRAY holds in place of all runs. */
static void replace(struct pp_runs *runs, GArray *array)
{
	g_array_unref(runs->array);
	runs->array = array;
}

gboolean pp_runs_get(const struct pp_runs *runs, guint32 uid, guint64 *time_r)
{
	guint index = find_index(runs, uid);
	const struct pp_run *run;

	if (index == runs->array->len)
		return FALSE;
	run = run_at(runs, index);
	if (run->first > uid)
		return FALSE;
	if (time_r != NULL)
		*time_r = run->time;
	return TRUE;
}

/* FIRST..LAST get *TIME, or nothing if that is NULL. */
static void put(struct pp_runs *runs, guint32 first, guint32 last,
		const guint64 *time)
{
	g_autoptr(GArray) pieces = NULL;
	const struct pp_run *run;
	guint low, high;

	find_touched(runs, first, last, &low, &high);
	pieces = g_array_new(FALSE, FALSE, sizeof(struct pp_run));
	if (low < high && run_at(runs, low)->first < first) {
		run = run_at(runs, low);
		run_append(pieces, run->first, MIN(run->last, first - 1),
			   run->time);
	}
	if (time != NULL)
		run_append(pieces, first, last, *time);
	if (low < high && run_at(runs, high - 1)->last > last) {
		run = run_at(runs, high - 1);
		run_append(pieces, MAX(run->first, last + 1), run->last,
			   run->time);
	}
	splice(runs, low, high, pieces);
}

/* TRUE if all runs end before UID: new mail is always there. */
static gboolean is_behind(const struct pp_runs *runs, guint32 uid)
{
	guint count = runs->array->len;

	return count == 0 || run_at(runs, count - 1)->last < uid;
}

void pp_runs_set(struct pp_runs *runs, guint32 first, guint32 last,
		 guint64 time)
{
	g_assert(first >= 1 && first <= last);
	if (is_behind(runs, first))
		run_append(runs->array, first, last, time);
	else
		put(runs, first, last, &time);
}

void pp_runs_unset(struct pp_runs *runs, guint32 first, guint32 last)
{
	if (!is_behind(runs, first))
		put(runs, first, last, NULL);
}

/* Appends RUN to PIECES. What of it lies in FIRST..LAST gets TIME where that is
   later. Returns how many UIDs that were. */
static guint64 append_raised(GArray *pieces, const struct pp_run *run,
			     guint32 first, guint32 last, guint64 time)
{
	first = MAX(first, run->first);
	last = MIN(last, run->last);
	if (first > last || time <= run->time) {
		run_append(pieces, run->first, run->last, run->time);
		return 0;
	}
	if (run->first < first)
		run_append(pieces, run->first, first - 1, run->time);
	run_append(pieces, first, last, time);
	if (run->last > last)
		run_append(pieces, last + 1, run->last, run->time);
	return (guint64)last - first + 1;
}

/* Those of FIRST..LAST without a time get TIME; with RAISE also those whose
   time is an earlier one. */
static G_GNUC_NO_INLINE guint64
fill_amid(struct pp_runs *runs, guint32 first, guint32 last, guint64 time,
	  gboolean raise)
{
	g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE,
					       sizeof(struct pp_run));
	guint64 next = first, changed = 0;
	const struct pp_run *run;
	guint i, low, high;

	find_touched(runs, first, last, &low, &high);
	for (i = low; i < high; i++) {
		run = run_at(runs, i);
		if (run->first > next) {
			changed += run->first - next;
			run_append(pieces, next, run->first - 1, time);
		}
		changed += append_raised(pieces, run, first, last,
					 raise ? time : 0);
		next = (guint64)run->last + 1;
	}
	if (next <= last) {
		changed += last - next + 1;
		run_append(pieces, next, last, time);
	}
	if (changed > 0)
		splice(runs, low, high, pieces);
	return changed;
}

/* One message after the other, as clients download them, goes behind all that
   is there, and costs next to nothing. */
static guint64 fill(struct pp_runs *runs, guint32 first, guint32 last,
		    guint64 time, gboolean raise)
{
	g_assert(first >= 1 && first <= last);
	if (!is_behind(runs, first))
		return fill_amid(runs, first, last, time, raise);
	run_append(runs->array, first, last, time);
	return (guint64)last - first + 1;
}

guint64 pp_runs_set_new(struct pp_runs *runs, guint32 first, guint32 last,
			guint64 time)
{
	return fill(runs, first, last, time, FALSE);
}

guint64 pp_runs_set_later(struct pp_runs *runs, guint32 first, guint32 last,
			  guint64 time)
{
	return fill(runs, first, last, time, TRUE);
}

guint pp_runs_count(const struct pp_runs *runs)
{
	return runs->array->len;
}

const struct pp_run *pp_runs_at(const struct pp_runs *runs, guint index)
{
	g_assert(index < runs->array->len);
	return run_at(runs, index);
}

guint64 pp_runs_uids(const struct pp_runs *runs)
{
	guint64 uids = 0;
	guint i;

	for (i = 0; i < runs->array->len; i++)
		uids += run_uids(run_at(runs, i));
	return uids;
}

/* Two runs without a gap between them: INDEX and the one behind it. */
struct pair {
	guint index;
	guint64 secs;	/* between their times */
};

static gint pair_cmp(gconstpointer a, gconstpointer b)
{
	const struct pair *pa = a, *pb = b;

	if (pa->secs != pb->secs)
		return pa->secs < pb->secs ? -1 : 1;
	return pa->index < pb->index ? -1 : pa->index > pb->index;
}

static GArray *sorted_pairs(const struct pp_runs *runs)
{
	GArray *pairs = g_array_new(FALSE, FALSE, sizeof(struct pair));
	const struct pp_run *a, *b;
	struct pair pair;

	for (pair.index = 0; pair.index + 1 < runs->array->len; pair.index++) {
		a = run_at(runs, pair.index);
		b = run_at(runs, pair.index + 1);
		if (a->last + 1 != b->first)
			continue;
		pair.secs = MAX(a->time, b->time) - MIN(a->time, b->time);
		g_array_append_val(pairs, pair);
	}
	g_array_sort(pairs, pair_cmp);
	return pairs;
}

/* Builds the runs anew, those of which JOINED says so together with the one
   behind them. */
static void join_pairs(struct pp_runs *runs, const gboolean *joined)
{
	GArray *array = g_array_new(FALSE, FALSE, sizeof(struct pp_run));
	const struct pp_run *a, *b;
	guint i;

	for (i = 0; i < runs->array->len; i++) {
		a = b = run_at(runs, i);
		if (joined[i])
			b = run_at(runs, ++i);
		run_append(array, a->first, b->last, MAX(a->time, b->time));
	}
	replace(runs, array);
}

/* Joins some of the EXCESS closest pairs, each run at most once, so that
   chains of close times are looked at again with the times that they have by
   then. FALSE if there is none. */
static gboolean coarsen_round(struct pp_runs *runs, guint excess)
{
	g_autoptr(GArray) pairs = sorted_pairs(runs);
	g_autofree gboolean *joined = g_new0(gboolean, runs->array->len);
	guint i, index;

	if (pairs->len == 0)
		return FALSE;
	for (i = 0; i < MIN(excess, pairs->len); i++) {
		index = g_array_index(pairs, struct pair, i).index;
		if (!joined[index + 1] && (index == 0 || !joined[index - 1]))
			joined[index] = TRUE;
	}
	join_pairs(runs, joined);
	return TRUE;
}

void pp_runs_coarsen(struct pp_runs *runs, guint max_runs)
{
	while (runs->array->len > max_runs) {
		if (!coarsen_round(runs, runs->array->len - max_runs))
			break;
	}
}

/* Smallest first; of equal ones the latest first: the oldest are removed
   first, which makes room. */
static gint run_size_cmp(gconstpointer a, gconstpointer b)
{
	const struct pp_run *ra = a, *rb = b;

	if (run_uids(ra) != run_uids(rb))
		return run_uids(ra) < run_uids(rb) ? -1 : 1;
	if (ra->time != rb->time)
		return ra->time > rb->time ? -1 : 1;
	return ra->first > rb->first ? -1 : 1;
}

static gint run_uid_cmp(gconstpointer a, gconstpointer b)
{
	const struct pp_run *ra = a, *rb = b;

	return ra->first < rb->first ? -1 : 1;
}

guint64 pp_runs_forget_smallest(struct pp_runs *runs, guint max_runs)
{
	guint64 forgotten = 0;
	guint i, excess;

	if (runs->array->len <= max_runs)
		return 0;
	excess = runs->array->len - max_runs;
	g_array_sort(runs->array, run_size_cmp);
	for (i = 0; i < excess; i++)
		forgotten += run_uids(run_at(runs, i));
	g_array_remove_range(runs->array, 0, excess);
	g_array_sort(runs->array, run_uid_cmp);
	return forgotten;
}
