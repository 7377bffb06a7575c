/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-event.h. */
#include "pop3-policy-compat.h"
#include "str.h"
#include "time-util.h"
#include "mail-user.h"
#include "pop3-policy-event.h"
#include "pp-doc.h"

/* 9999-12-31T23:59:59Z */
#define TIME_TEXT_MAX 253402300799

struct event_category event_category_pop3_policy = {
	.name = "pop3-policy",
};

struct event *pop3_policy_event_create(struct mail_user *user)
{
	struct event *event = event_create(user->event);

	event_add_category(event, &event_category_pop3_policy);
	event_set_append_log_prefix(event, "pop3-policy: ");
	return event;
}

intmax_t pop3_policy_event_num(uint64_t num)
{
	return num > INTMAX_MAX ? INTMAX_MAX : (intmax_t)num;
}

static void event_add_time(struct event *event, const char *key, uint64_t when)
{
	/* 0 is "not known", which is not 1970 */
	if (when != 0)
		event_add_int(event, key, pop3_policy_event_num(when));
}

const char *pop3_policy_time_text(uint64_t when, const char *none)
{
	if (when == 0)
		return none;
	/* no clock says it, but a stored number may: gmtime() has an end */
	when = I_MIN(when, TIME_TEXT_MAX);
	return t_strfgmtime("%Y-%m-%dT%H:%M:%SZ", (time_t)when);
}

static const char *event_time_text(uint64_t when)
{
	return pop3_policy_time_text(when, "-");
}

void pop3_policy_event_session_finished(struct event *parent,
					const char *session_id,
					const struct pp_counters *counters)
{
	struct event *event = event_create(parent);

	event_set_name(event, "pop3_policy_session_finished");
	for (int i = 0; i < PP_COUNTERS; i++) {
		event_add_int(event, pp_counter_name((enum pp_counter)i),
			      pop3_policy_event_num(counters->value[i]));
	}
	e_debug(event, "Session %s finished", session_id);
	event_unref(&event);
}

void pop3_policy_event_counters_full(struct event *event,
				     const struct pp_counters *before,
				     const struct pp_counters *after)
{
	string_t *names = t_str_new(64);

	for (int i = 0; i < PP_COUNTERS; i++) {
		if (pp_counters_filled(before, after, (enum pp_counter)i))
			str_printfa(names, " %s",
				    pp_counter_name((enum pp_counter)i));
	}
	if (str_len(names) > 0) {
		e_warning(event, "pop3-policy: Counters have reached their "
			  "limit and stay there:%s (doveadm pop3 usage reset "
			  "begins anew)", str_c(names));
	}
}

void pop3_policy_event_login_refused(struct event *parent, const char *reason,
				     const char *message)
{
	struct event *event = event_create(parent);

	event_set_name(event, "pop3_policy_login_refused");
	event_add_str(event, "reason", reason);
	if (message == NULL)
		e_debug(event, "Login refused: %s", reason);
	/* a client that comes too often is no fault of the server's */
	else if (strcmp(reason, "delay") == 0)
		e_info(event, "%s", message);
	else
		e_error(event, "%s", message);
	event_unref(&event);
}

void pop3_policy_event_guard(struct event *parent, unsigned int shown,
			     unsigned int recognised, unsigned int lost,
			     bool refused, const char *message)
{
	struct event *event = event_create(parent);

	event_set_name(event, "pop3_policy_uidl_guard");
	event_add_int(event, "shown", shown);
	event_add_int(event, "recognised", recognised);
	event_add_int(event, "lost", lost);
	event_add_str(event, "refused", refused ? "yes" : "no");
	if (refused)
		e_error(event, "%s", message);
	else
		e_warning(event, "%s", message);
	event_unref(&event);
}

void pop3_policy_event_mass_delete(struct event *parent, unsigned int deleted,
				   unsigned int listed, uint64_t until)
{
	struct event *event = event_create(parent);

	event_set_name(event, "pop3_policy_mass_delete");
	event_add_int(event, "deleted", deleted);
	event_add_int(event, "listed", listed);
	event_add_time(event, "until", until);
	e_warning(event, "The client deleted %u of %u messages in one session: "
		  "they are kept twice as long, until %s (doveadm pop3 "
		  "retention restore brings them back)", deleted, listed,
		  event_time_text(until));
	event_unref(&event);
}

void pop3_policy_event_state_failed(struct event *parent,
				    const char *operation,
				    const char *message)
{
	struct event *event = event_create(parent);

	event_set_name(event, "pop3_policy_state_failed");
	event_add_str(event, "operation", operation);
	e_error(event, "%s", message);
	event_unref(&event);
}
