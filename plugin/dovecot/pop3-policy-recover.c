/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-recover.h. */
#include "pop3-policy-compat.h"
#include "mail-storage-private.h"
#include "pop3-policy-book.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-recover.h"

static bool ledger_has_headers(const GArray *ledger)
{
	guint i;

	for (i = 0; i < ledger->len; i++) {
		if (g_array_index(ledger, struct pp_identity, i).header != 0)
			return TRUE;
	}
	return FALSE;
}

/* Recognises messages, with their headers read or not. 0, or -1 and
   *error_r. */
static int
recover_recognise(struct pop3_policy_recover *recover,
		  const struct pp_state *old, const GArray *ledger,
		  const struct pp_mailbox_now *mailbox,
		  enum pop3_policy_reading reading,
		  struct pp_recovery *recovery_r, const char **error_r)
{
	struct pop3_policy_deadline half = pop3_policy_deadline_in(
		pop3_policy_deadline_left(recover->deadline) / 2);

	g_array_set_size(recover->identities, 0);
	if (pop3_policy_mailbox_identities(recover->box, recover->trans, 1,
					   reading,
					   reading == POP3_POLICY_READ_HEADERS ?
					   &half : NULL,
					   recover->identities) < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(
						recover->box, NULL));
		return -1;
	}
	pp_recover(old, ledger, recover->identities, mailbox, recover->now,
		   recover->pinned, recovery_r);
	return 0;
}

int pop3_policy_recover_match(struct pop3_policy_recover *recover,
			      const struct pp_state *old,
			      const struct pp_mailbox_now *mailbox,
			      struct pp_recovery *recovery_r,
			      const char **error_r)
{
	g_autoptr(GArray) ledger =
		pop3_policy_book_read(recover->md, recover->deadline, old,
				      &recover->left, error_r);

	if (ledger == NULL)
		return -1;
	if (recover->identities == NULL) {
		recover->identities =
			g_array_sized_new(FALSE, FALSE,
					  sizeof(struct pp_identity),
					  mailbox->messages);
	}
	if (recover_recognise(recover, old, ledger, mailbox,
			      POP3_POLICY_READ_IDS, recovery_r, error_r) < 0)
		return -1;
	if (recovery_r->unchanged || recovery_r->lost == 0 ||
	    recovery_r->recognised == recover->identities->len ||
	    !ledger_has_headers(ledger))
		return 0;
	pp_state_free(recovery_r->state);
	return recover_recognise(recover, old, ledger, mailbox,
				 POP3_POLICY_READ_HEADERS, recovery_r,
				 error_r);
}

void pop3_policy_recover_log(const struct pop3_policy_recover *recover,
			     struct event *event, const struct pp_state *old,
			     const struct pp_mailbox_now *mailbox,
			     const struct pp_recovery *recovery)
{
	e_info(event, "The mailbox changed (UIDVALIDITY %u -> %u): %u of %u "
	       "shown messages are recognised and keep their UIDLs%s%s%s",
	       old->mailbox.uidvalidity, mailbox->id.uidvalidity,
	       recovery->recognised, old->count, recovery->older_copy ?
	       "; an older copy was brought back, all times start again" : "",
	       recovery->order_lost ?
	       "; they are listed in another order" : "",
	       recover->left.count > 0 ?
	       "; parts of the ledger could not be used" : "");
}

int pop3_policy_recover_book(struct pop3_policy_recover *recover,
			     struct pop3_policy_change *change,
			     guint32 generation, const char **error_r)
{
	if (*change->state == NULL || recover->identities == NULL ||
	    recover->identities->len == 0 ||
	    (*change->state)->generation != generation)
		return 0;
	/* what cannot be read is not overwritten */
	(*change->state)->ledger_chunks = recover->left.damaged ?
		recover->left.behind : 0;
	if (pop3_policy_book_append(recover->md, recover->deadline, change,
				    recover->box, recover->identities,
				    (*change->state)->mark, error_r) < 0)
		return -1;
	change->state_changed = TRUE;
	return 1;
}

int pop3_policy_recover_book_with(struct pop3_policy_recover *recover,
				  struct pop3_policy_change *change,
				  const char **error_r)
{
	if (recover->identities == NULL ||
	    recover->identities->len > POP3_POLICY_BOOK_WITH_LOGIN_MAX ||
	    pop3_policy_store_has_ledger_dict(recover->md->store))
		return 0;
	if (pop3_policy_recover_book(recover, change,
				     (*change->state)->generation,
				     error_r) < 0)
		return -1;
	pop3_policy_recover_clear(recover);
	return 0;
}

void pop3_policy_recover_clear(struct pop3_policy_recover *recover)
{
	if (recover->identities != NULL)
		g_array_unref(recover->identities);
	recover->identities = NULL;
}
