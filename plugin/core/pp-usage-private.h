/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What pp-usage.c (counting), pp-usage-counters.c (a set of counters) and
   pp-usage-codec.c (text) share. */
#ifndef PP_USAGE_PRIVATE_H
#define PP_USAGE_PRIVATE_H

#include "pp-usage.h"

#define PP_USAGE_MONTH_SIZE sizeof("2026-11")
#define PP_USAGE_DAY_SIZE sizeof("2026-11-24")

struct pp_usage_counted {
	char id[PP_USAGE_ID_MAX_LEN + 1];	/* as in the document */
	guint64 ended;				/* 0: not known */
};

struct pp_usage {
	struct pp_counters total, month, day;
	/* "" where nothing was counted yet */
	char month_name[PP_USAGE_MONTH_SIZE];
	char day_name[PP_USAGE_DAY_SIZE];
	/* struct pp_usage_counted, in the order in which they came */
	GArray *sessions, *replays;
	/* when the latest one ended that is no longer among them */
	guint64 forgotten;
	/* the first day on which something was counted, and the latest that
	   any clock said */
	char first_day[PP_USAGE_DAY_SIZE], last_day[PP_USAGE_DAY_SIZE];
	/* keys of days before this one are gone; "" if all may be there */
	char days_from[PP_USAGE_DAY_SIZE];
	/* the current days before this one, in their order, "" behind them */
	char days[PP_USAGE_DAYS_SURE][PP_USAGE_DAY_SIZE];
};

/* Sets the counter NAME of COUNTERS. FALSE with ERROR set (SYNTAX) for an
   unknown name or a bad number. */
gboolean pp_counters_set(struct pp_counters *counters, const char *name,
			 const char *value, GError **error);

/* ID as it stands in documents: no space and no comma, at most
   PP_USAGE_ID_MAX_LEN characters. A new string. */
char *pp_usage_id(const char *id);

#endif
