/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What the tests of retention share. */
#ifndef TEST_RETENTION_H
#define TEST_RETENTION_H

#include "pp-retention.h"

#define DAY G_GUINT64_CONSTANT(86400)
#define NOW (1000 * DAY)

static const struct pp_mailbox_id mailbox_id = {
	"0123456789abcdef0123456789abcdef", 1000
};

static inline struct pp_state *make_state(void)
{
	return pp_state_new(&mailbox_id, NOW);
}

static inline void set_time(struct pp_runs *runs, guint32 uid, guint64 time)
{
	if (time != 0)
		pp_runs_set(runs, uid, uid, time);
}

static inline struct pp_verdict verdict_at(const GArray *verdicts, guint i)
{
	return g_array_index(verdicts, struct pp_verdict, i);
}

#endif
