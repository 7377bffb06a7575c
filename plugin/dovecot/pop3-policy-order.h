/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The order of the listing. Where the host has one of its own (what a
   migration set), it is respected, and noted for the day on which it is lost;
   else the state's counts. */
#ifndef POP3_POLICY_ORDER_H
#define POP3_POLICY_ORDER_H

struct client;
struct pp_state;

/* Sequence and UID of POP3's message MSGNUM (from 0). */
uint32_t pop3_policy_client_seq(const struct client *client, uint32_t msgnum);
uint32_t pop3_policy_client_uid(const struct client *client, uint32_t msgnum);

/* Notes the host's own order in STATE, if it has one. */
void pop3_policy_order_note(const struct client *client,
			    struct pp_state *state);
/* Puts CLIENT's listing into STATE's order, before any command was read. */
void pop3_policy_order_apply(struct client *client,
			     const struct pp_state *state);

#endif
