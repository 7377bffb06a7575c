/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The plugin's users: POP3 sessions, and doveadm and dsync, which see the
   UIDLs. */
#ifndef POP3_POLICY_PLUGIN_H
#define POP3_POLICY_PLUGIN_H

struct mail;
struct mail_user;
struct module;
struct pop3_policy_session;

/* Where USER's session is, which is NULL before it and after it; it lives as
   long as USER. NULL: no mail hooks are wanted for USER. */
struct pop3_policy_session *const *
pop3_policy_session_of(struct mail_user *user);

/* The UIDL of MAIL. Returns 1 and *value_r (from the mail's data pool or the
   state), 0 if the host has to answer, -1 if the state cannot be had: outside
   of POP3 no answer is better than a wrong one, which dsync would store. */
int pop3_policy_answer_uidl(struct mail *mail, const char **value_r);

void pop3_policy_plugin_init(struct module *module);
void pop3_policy_plugin_deinit(void);

#endif
