/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The hash of a message's stable headers: those that neither a delivery nor a
   copy adds, drops or rewrites. */
#ifndef POP3_POLICY_HEADER_H
#define POP3_POLICY_HEADER_H

#include <glib.h>

struct istream;
struct mail;

/* 0: the message has none of them, or cannot be read. Reads MAIL's header. */
guint64 pop3_policy_mail_header_hash(struct mail *mail);
/* The same of a message, or its header, in INPUT. *xuidl_r (may be NULL) is its
   X-UIDL or NULL, from the data stack. */
guint64 pop3_policy_stream_header_hash(struct istream *input,
				       const char **xuidl_r);

#endif
