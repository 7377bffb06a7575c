/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What a report is made of: sums by user and by period, read from the JSON of
   `doveadm pop3 usage show`. */
#ifndef REPORT_DATA_H
#define REPORT_DATA_H

#include "pp-usage.h"

struct report_sum {
	char *name;	/* a user's, or that of a month or day */
	struct pp_counters counters;
};

struct report {
	/* struct report_sum */
	GPtrArray *users;	/* by name */
	GPtrArray *periods;	/* all from the first to the last, in order */
	struct pp_counters total;
};

/* Reads JSON text. Where it has a user's total, that is the user's sum; else
   the sum of the user's days, or of the months where there are no days. Rows
   without a user's name are DEFAULT_USER's. NULL with ERROR set. */
struct report *report_parse(const char *json, gssize length,
			    const char *default_user, GError **error);
void report_free(struct report *report);

/* Completed messages and their bytes, by RETR and TOP. */
guint64 report_messages(const struct pp_counters *counters);
guint64 report_bytes(const struct pp_counters *counters);

#endif
