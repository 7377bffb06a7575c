/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-trace.h. */
#include "pop3-policy-compat.h"
#include "str.h"
#include "time-util.h"
#include "mail-user.h"
#include "pop3-policy-event.h"
#include "pop3-policy-trace.h"
#include "pp-doc.h"

/* An event is made anew after so many messages: each text that it is given
   stays in its memory. */
#define TRACE_EVENT_MESSAGES 100

struct pop3_policy_trace {
	/* the parent of all events */
	struct event *parent;
	uint64_t now;
	/* the line of a message, and what all lines have before the UIDL */
	string_t *line, *head;

	/* The event and the end of the line for messages that go for the same
	   reason with the same times: neighbours mostly do. */
	struct event *event;
	string_t *tail;
	struct pp_verdict same;
	unsigned int messages;
};

/* Handed over as a whole: what formats a message measures it first, and so does
   its work twice. */
static const char *
trace_message(struct pop3_policy_trace *trace, enum log_type type ATTR_UNUSED,
	      const char *message ATTR_UNUSED)
{
	return str_c(trace->line);
}

struct pop3_policy_trace *
pop3_policy_trace_init(struct mail_user *user, const char *by, const char *id,
		       uint64_t now)
{
	struct pop3_policy_trace *trace = i_new(struct pop3_policy_trace, 1);
	/* a user may be called anything, and a log is read by blanks */
	g_autofree char *name = pp_escape(user->username);

	trace->parent = pop3_policy_event_create(user);
	event_add_str(trace->parent, "removed_by", by);
	event_add_str(trace->parent, "removed_by_id", id);
	event_set_log_message_callback(trace->parent, trace_message, trace);
	trace->now = now;
	trace->line = str_new(default_pool, 512);
	trace->head = str_new(default_pool, 128);
	str_printfa(trace->head, ": user=%s %s=%s uidl=", name, by, id);
	trace->tail = str_new(default_pool, 256);
	return trace;
}

void pop3_policy_trace_deinit(struct pop3_policy_trace **_trace)
{
	struct pop3_policy_trace *trace = *_trace;

	*_trace = NULL;
	if (trace == NULL)
		return;
	event_unref(&trace->event);
	event_unref(&trace->parent);
	str_free(&trace->line);
	str_free(&trace->head);
	str_free(&trace->tail);
	i_free(trace);
}

static bool trace_is_same(const struct pop3_policy_trace *trace,
			  const struct pp_verdict *verdict)
{
	return trace->event != NULL && trace->messages < TRACE_EVENT_MESSAGES &&
		trace->same.rule == verdict->rule &&
		trace->same.due == verdict->due &&
		trace->same.first_seen == verdict->first_seen &&
		trace->same.retrieved == verdict->retrieved &&
		trace->same.deleted == verdict->deleted;
}

static void trace_add_time(struct pop3_policy_trace *trace, const char *name,
			   uint64_t when)
{
	str_printfa(trace->tail, " %s=%s", name,
		    pop3_policy_time_text(when, "-"));
	/* 0 is "not known", which is not 1970 */
	if (when != 0) {
		event_add_int(trace->event, name,
			      pop3_policy_event_num(when));
	}
}

static void trace_begin(struct pop3_policy_trace *trace,
			const struct pp_verdict *verdict)
{
	const char *rule = pp_rule_name(verdict->rule);
	uint64_t now = trace->now;

	event_unref(&trace->event);
	trace->event = event_create(trace->parent);
	trace->messages = 0;
	trace->same = *verdict;
	event_add_str(trace->event, "rule", rule);
	event_add_int(trace->event, "overdue_secs", verdict->due >= now ? 0 :
		      pop3_policy_event_num(now - verdict->due));
	str_truncate(trace->tail, 0);
	str_printfa(trace->tail, " rule=%s", rule);
	trace_add_time(trace, "first_seen", verdict->first_seen);
	trace_add_time(trace, "retrieved", verdict->retrieved);
	trace_add_time(trace, "deleted", verdict->deleted);
}

static void trace_append_num(string_t *str, const char *name, uint64_t num)
{
	char buf[MAX_INT_STRLEN];

	str_append(str, name);
	str_append(str, dec2str_buf(buf, num));
}

void pop3_policy_trace_removed(struct pop3_policy_trace *trace,
			       const char *uidl,
			       const struct pp_verdict *verdict, bool dry_run)
{
	string_t *line = trace->line;

	if (!trace_is_same(trace, verdict)) T_BEGIN {
		trace_begin(trace, verdict);
	} T_END;
	trace->messages++;
	/* a name is for one sending */
	if (!dry_run)
		event_set_name(trace->event, "pop3_policy_message_removed");
	event_add_str(trace->event, "uidl", uidl);
	event_add_int(trace->event, "uid", verdict->uid);
	event_add_int(trace->event, "size",
		      pop3_policy_event_num(verdict->size_bytes));

	str_truncate(line, 0);
	str_append(line, dry_run ? "Would be removed" : "Removed");
	str_append_str(line, trace->head);
	str_append(line, uidl);
	trace_append_num(line, " uid=", verdict->uid);
	trace_append_num(line, " size=", verdict->size_bytes);
	str_append_str(line, trace->tail);
	e_info(trace->event, "Removed");
}
