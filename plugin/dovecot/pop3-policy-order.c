/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-order.h. */
#include "pop3-policy-compat.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "pop3-policy-order.h"
#include "pop3-policy-session.h"

#include <stdlib.h>

struct order_message {
	guint position;
	uint32_t seq;
	uoff_t size;
};

uint32_t pop3_policy_client_seq(const struct client *client, uint32_t msgnum)
{
	return msgnum < client->msgnum_to_seq_map_count ?
		client->msgnum_to_seq_map[msgnum] : msgnum + 1;
}

uint32_t pop3_policy_client_uid(const struct client *client, uint32_t msgnum)
{
	uint32_t uid;

	mail_index_lookup_uid(client->mailbox->view,
			      pop3_policy_client_seq(client, msgnum), &uid);
	return uid;
}

static bool order_is_hosts_own(const struct client *client)
{
	uint32_t msgnum;

	for (msgnum = 1; msgnum < client->msgnum_to_seq_map_count; msgnum++) {
		if (client->msgnum_to_seq_map[msgnum] <
		    client->msgnum_to_seq_map[msgnum - 1])
			return TRUE;
	}
	return FALSE;
}

void pop3_policy_order_note(const struct client *client,
			    struct pp_state *state)
{
	g_autofree guint32 *uids = NULL;
	uint32_t msgnum;

	if (!order_is_hosts_own(client))
		return;
	uids = g_new(guint32, client->messages_count);
	for (msgnum = 0; msgnum < client->messages_count; msgnum++)
		uids[msgnum] = pop3_policy_client_uid(client, msgnum);
	(void)pp_state_set_order(state, uids, client->messages_count);
}

static int order_message_cmp(const void *p1, const void *p2)
{
	const struct order_message *a = p1, *b = p2;

	if (a->position != b->position)
		return a->position < b->position ? -1 : 1;
	return a->seq < b->seq ? -1 : 1;
}

static struct order_message *
order_messages(const struct client *client, const struct pp_state *state)
{
	struct order_message *messages =
		i_new(struct order_message, client->messages_count);
	uint32_t msgnum;

	for (msgnum = 0; msgnum < client->messages_count; msgnum++) {
		messages[msgnum].position = pp_order_position(state->order,
			pop3_policy_client_uid(client, msgnum));
		messages[msgnum].seq = pop3_policy_client_seq(client, msgnum);
		messages[msgnum].size = client->message_sizes[msgnum];
	}
	qsort(messages, client->messages_count, sizeof(*messages),
	      order_message_cmp);
	return messages;
}

void pop3_policy_order_apply(struct client *client,
			     const struct pp_state *state)
{
	struct order_message *messages;
	uint32_t msgnum;

	if (state->order == NULL || client->messages_count == 0 ||
	    order_is_hosts_own(client))
		return;
	messages = order_messages(client, state);
	i_free(client->msgnum_to_seq_map);
	client->msgnum_to_seq_map = i_new(uint32_t, client->messages_count);
	client->msgnum_to_seq_map_count = client->messages_count;
	client->last_seen_pop3_msn = 0;
	for (msgnum = 0; msgnum < client->messages_count; msgnum++) {
		client->msgnum_to_seq_map[msgnum] = messages[msgnum].seq;
		client->message_sizes[msgnum] = messages[msgnum].size;
		if ((mail_index_lookup(client->mailbox->view,
				       messages[msgnum].seq)->flags &
		     MAIL_SEEN) != 0)
			client->last_seen_pop3_msn = msgnum + 1;
	}
	i_free(messages);
}
