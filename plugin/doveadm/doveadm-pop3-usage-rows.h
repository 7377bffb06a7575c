/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What `doveadm pop3 usage show` prints: a row for each user and period, by
   doveadm's printer or as CSV, as they come or sorted. */
#ifndef DOVEADM_POP3_USAGE_ROWS_H
#define DOVEADM_POP3_USAGE_ROWS_H

#include "doveadm-pop3.h"

struct doveadm_pop3_usage_rows {
	struct doveadm_mail_cmd_context *ctx;
	/* the counter to sort by; PP_COUNTERS: as they come */
	guint sort;
	uint32_t limit, printed;
	bool csv;
	/* struct usage_row, where they are sorted */
	GArray *rows;
};

/* The command CTX was allocated. */
void doveadm_pop3_usage_rows_init(struct doveadm_pop3_usage_rows *rows,
				  struct doveadm_mail_cmd_context *ctx);
/* Its options are known (--csv, --limit, --sort; what makes no sense there ends
   the process with EX_USAGE): prints the header. */
void doveadm_pop3_usage_rows_begin(struct doveadm_pop3_usage_rows *rows);
void doveadm_pop3_usage_rows_add(struct doveadm_pop3_usage_rows *rows,
				 const struct mail_user *user,
				 const char *period,
				 const struct pp_counters *counters);
/* Prints what was kept to be sorted, and frees. */
void doveadm_pop3_usage_rows_end(struct doveadm_pop3_usage_rows *rows);

#endif
