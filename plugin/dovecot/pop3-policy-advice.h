/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Settings that contradict each other, in words: for the login's log lines and
   for doveadm. */
#ifndef POP3_POLICY_ADVICE_H
#define POP3_POLICY_ADVICE_H

#include "pop3-policy-settings.h"

/* What is wrong with SET, each with what is in force instead; NULL-terminated,
   empty where nothing is. From the data stack. */
const char *const *
pop3_policy_advice(const struct pop3_policy_settings *set);
/* SECS as "14 days", "12 hours" or "90 secs". From the data stack. */
const char *pop3_policy_advice_time(uint64_t secs);

#endif
