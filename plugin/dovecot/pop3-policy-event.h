/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Events of category "pop3-policy" (design, section 8). Each is also the log
   line, where there is one. */
#ifndef POP3_POLICY_EVENT_H
#define POP3_POLICY_EVENT_H

#include "pp-retention.h"
#include "pp-usage.h"

struct event;
struct mail_user;

extern struct event_category event_category_pop3_policy;

/* An event for USER with the category and the log prefix "pop3-policy: ".
   event_unref() it. */
struct event *pop3_policy_event_create(struct mail_user *user);

/* WHEN in UTC, as far as the year 9999, or NONE for 0. From the data stack. */
const char *pop3_policy_time_text(uint64_t when, const char *none);
/* NUM as events can have it: their numbers are signed. */
intmax_t pop3_policy_event_num(uint64_t num);

void pop3_policy_event_session_finished(struct event *event,
					const char *session_id,
					const struct pp_counters *counters);
/* The line about those counters that reached their limit between BEFORE and
   AFTER, if there are any. */
void pop3_policy_event_counters_full(struct event *event,
				     const struct pp_counters *before,
				     const struct pp_counters *after);
/* REASON: "damaged", "unreachable", "mailbox", "lost", "older", "guard",
   "commit", "delay". The line is MESSAGE; NULL: another event has it. */
void pop3_policy_event_login_refused(struct event *event, const char *reason,
				     const char *message);
void pop3_policy_event_guard(struct event *event, unsigned int shown,
			     unsigned int recognised, unsigned int lost,
			     bool refused, const char *message);
/* A client DELEd DELETED of LISTED messages in one session; they are kept until
   UNTIL. */
void pop3_policy_event_mass_delete(struct event *event, unsigned int deleted,
				   unsigned int listed, uint64_t until);
/* A dict operation failed: OPERATION "lookup" or "commit". The line is
   MESSAGE, as an error. */
void pop3_policy_event_state_failed(struct event *event,
				    const char *operation,
				    const char *message);

#endif
