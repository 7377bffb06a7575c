/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The trace of a removal: one line and one event for each message. There may
   be tens of thousands in a pass, so that what they have in common is made
   once, and so is the event of neighbours: it is sent for each of them. */
#ifndef POP3_POLICY_TRACE_H
#define POP3_POLICY_TRACE_H

#include "pp-retention.h"

struct mail_user;
struct pop3_policy_trace;

/* BY is "session" or "run", ID which one; NOW is when. */
struct pop3_policy_trace *
pop3_policy_trace_init(struct mail_user *user, const char *by, const char *id,
		       uint64_t now);
/* NULL is fine. */
void pop3_policy_trace_deinit(struct pop3_policy_trace **trace);

/* A message of this UIDL went. DRY_RUN says "would be removed", and the event
   has no name: a metric that counts removals must not count what stayed. */
void pop3_policy_trace_removed(struct pop3_policy_trace *trace,
			       const char *uidl,
			       const struct pp_verdict *verdict, bool dry_run);

#endif
