/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The mailbox's identity as fields of a document. */
#ifndef PP_MAILBOX_ID_H
#define PP_MAILBOX_ID_H

#include "pp-ledger.h"

void pp_mailbox_id_add(GString *body, const struct pp_mailbox_id *mailbox);
gboolean pp_mailbox_id_get(GHashTable *doc, struct pp_mailbox_id *mailbox_r,
			   GError **error);

#endif
