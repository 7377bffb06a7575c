/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What goes in a batch, and the request that it goes. */
#include "pop3-policy-compat.h"
#include "event-filter.h"
#include "str.h"
#include "mail-storage-private.h"
#include "pop3-policy-judge.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-removal-private.h"

static bool filter_is_empty(struct event_filter *filter)
{
	string_t *str;

	if (filter == NULL)
		return TRUE;
	str = t_str_new(128);
	event_filter_export(filter, str);
	return str_len(str) == 0;
}

/* Nobody can get the host's debug event of an expunge: nothing is debugged, and
   neither a log filter nor a metric asks for any event. */
static bool pick_is_unheard(struct mailbox *box)
{
	return !event_want_debug(box->event) &&
		filter_is_empty(event_get_global_debug_log_filter()) &&
		filter_is_empty(event_get_global_core_log_filter()) &&
		filter_is_empty(event_get_global_debug_send_filter());
}

/* As mail_expunge() of both lines, which makes two events of each message
   before it asks whether anybody wants one, and takes as long for that as for
   the rest. */
static void pick_expunge(struct mail *mail, bool unheard)
{
	struct mail_private *pmail = (struct mail_private *)mail;

	if (!unheard) {
		mail_expunge(mail);
		return;
	}
	T_BEGIN {
		pmail->v.expunge(mail);
	} T_END;
}

static void pick_note(struct removal *r, struct mail *mail,
		      const struct pp_verdict *verdict)
{
	struct removal_gone gone = { .verdict = *verdict };

	/* with a cap on bytes it is known */
	if (gone.verdict.size_bytes == 0)
		gone.verdict.size_bytes = pop3_policy_mailbox_size(mail);
	T_BEGIN {
		gone.uidl = i_strdup(pop3_policy_judge_uidl(r->md, r->state,
							    mail));
	} T_END;
	g_array_append_val(r->gone, gone);
}

/* LOOK: the mail that is read. */
static void pick_verdicts(struct removal *r, struct mail *mail,
			  struct mail *look, uint64_t max)
{
	bool unheard = pick_is_unheard(r->box);
	struct pp_verdict *verdict;
	guint i;

	for (i = 0; i < r->verdicts->len; i++) {
		verdict = &g_array_index(r->verdicts, struct pp_verdict, i);
		if (!verdict->goes_now)
			continue;
		if (r->gone->len >= max) {
			verdict->goes_now = FALSE;
			verdict->waits = TRUE;
		} else if (mail_set_uid(mail, verdict->uid)) {
			if (look != mail)
				mail_set_seq(look, mail->seq);
			pick_note(r, look, verdict);
			if (!r->result->dry_run)
				pick_expunge(mail, unheard);
		}
	}
}

/* What the host learns of a message that goes it would store, in index and
   cache, for nobody: so that is read in a transaction of its own, which is not
   committed. Of a dry run's it is of use. */
void pop3_policy_removal_pick(struct removal *r)
{
	struct mailbox_transaction_context *trans;
	struct mail *look, *mail = mail_alloc(r->trans, 0, NULL);

	if (r->result->dry_run) {
		pick_verdicts(r, mail, mail, r->allowed);
	} else {
		trans = mailbox_transaction_begin(r->box, 0, __func__);
		look = mail_alloc(trans, 0, NULL);
		pick_verdicts(r, mail, look, I_MIN(r->allowed, r->batch_max));
		mail_free(&look);
		mailbox_transaction_rollback(&trans);
	}
	mail_free(&mail);
	r->allowed -= r->gone->len;
}
