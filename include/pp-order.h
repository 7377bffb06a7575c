/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The order of a listing where it is not that of UIDs: after a synchronisation
   gave older messages higher UIDs, or where a migration brought an order of its
   own. An array (GArray) of ranges, sorted by UID, or NULL: the order of
   UIDs. */
#ifndef PP_ORDER_H
#define PP_ORDER_H

#include <glib.h>

/* UIDs that follow each other in the listing; some of them need not exist. */
struct pp_order_range {
	guint32 first, last;
	guint position;		/* of the range in the listing, from 0 */
};

/* The order of UIDS, which are as the listing has them, each once. NULL where
   that is the order of UIDs anyway. */
GArray *pp_order_new(const guint32 *uids, guint count);

/* Where UID stands: messages are listed by position, those of one position by
   UID. What the order does not know comes behind all that it knows. */
guint pp_order_position(const GArray *order, guint32 uid);

/* FIRST[-LAST] joined by ',', as the listing has them. */
char *pp_order_encode(const GArray *order);
/* NULL if TEXT is no order, or has a UID twice. */
GArray *pp_order_decode(const char *text);

#endif
