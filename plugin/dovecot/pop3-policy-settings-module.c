/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   libpop3_policy_settings.so: tells the config process of Dovecot 2.4 the
   names of our settings. Without it they are unknown, which is fatal for the
   whole configuration. Not built for 2.3. */
#include "pop3-policy-compat.h"
#include "pop3-policy-setting-defines.h"

/* The config process finds both by the name of the file. */
POP3_POLICY_EXPORT
extern const struct setting_parser_info *pop3_policy_settings_set_infos[];
POP3_POLICY_EXPORT extern const char *pop3_policy_settings_version;

const struct setting_parser_info *pop3_policy_settings_set_infos[] = {
	&pop3_policy_setting_parser_info,
	NULL
};

const char *pop3_policy_settings_version = DOVECOT_ABI_VERSION;
