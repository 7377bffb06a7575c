/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What pp-usage.c (counting) and pp-usage-codec.c (text) share. */
#ifndef PP_USAGE_PRIVATE_H
#define PP_USAGE_PRIVATE_H

#include "pp-usage.h"

#define PP_USAGE_MONTH_SIZE sizeof("2026-11")
#define PP_USAGE_DAY_SIZE sizeof("2026-11-24")

struct pp_usage {
	struct pp_counters total, month, day;
	/* "" where nothing was counted yet */
	char month_name[PP_USAGE_MONTH_SIZE];
	char day_name[PP_USAGE_DAY_SIZE];
	/* ids as in the document (pp_usage_id()), oldest first */
	GPtrArray *sessions, *replays;
};

/* ID as it stands in documents: no space and no comma, at most
   PP_USAGE_ID_MAX_LEN characters. A new string. */
char *pp_usage_id(const char *id);

#endif
