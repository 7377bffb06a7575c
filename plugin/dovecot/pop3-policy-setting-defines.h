/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Names and defaults of all settings but the dicts, shared by the plugin and,
   on 2.4, the settings module that the config process loads. All are strings
   that pop3-policy-settings.c parses: a typed setting with a bad value would
   keep a 2.4 server from starting, or refuse every login. */
#ifndef POP3_POLICY_SETTING_DEFINES_H
#define POP3_POLICY_SETTING_DEFINES_H

#define POP3_POLICY_SETTING_LIST(X) \
	X(pop3_policy_dict_timeout, "5 s") \
	X(pop3_policy_uidl, "pin") \
	X(pop3_policy_uidl_guard, "refuse") \
	X(pop3_policy_removal, "no") \
	X(pop3_policy_keep_retrieved, "0") \
	X(pop3_policy_keep_unretrieved, "0") \
	X(pop3_policy_keep_deleted, "0") \
	X(pop3_policy_max_retrieved_messages, "0") \
	X(pop3_policy_max_retrieved_size, "0") \
	X(pop3_policy_min_keep, "1 day") \
	X(pop3_policy_protect, "\\Flagged") \
	X(pop3_policy_removal_limit_percent, "20") \
	X(pop3_policy_mass_delete_percent, "50") \
	X(pop3_policy_login_delay, "0") \
	X(pop3_policy_login_burst, "2") \
	X(pop3_policy_usage, "yes") \
	X(pop3_policy_usage_keep, "400 days") \
	X(pop3_policy_capa, "yes")

#define POP3_POLICY_FILTER "pop3_policy"
#define POP3_POLICY_LEDGER_FILTER "pop3_policy_ledger"

#define POP3_POLICY_VALUE_FIELD(name, value) const char *name;
#define POP3_POLICY_VALUE_DEFAULT(name, value) .name = value,

/* The settings as they were written. */
struct pop3_policy_values {
	pool_t pool;
	POP3_POLICY_SETTING_LIST(POP3_POLICY_VALUE_FIELD)
};

static const struct pop3_policy_values pop3_policy_default_values = {
	POP3_POLICY_SETTING_LIST(POP3_POLICY_VALUE_DEFAULT)
};

struct mail_user;
struct pop3_policy_settings;

/* Parses VALUES into SET, with USER's pool. A bad one is logged and replaced,
   see pop3_policy_settings_get(). */
void pop3_policy_values_apply(struct mail_user *user,
			      const struct pop3_policy_values *values,
			      struct pop3_policy_settings *set);

#if POP3_POLICY_DOVECOT_24
#include "settings-parser.h"

#define POP3_POLICY_VALUE_DEFINE(name, value) \
	SETTING_DEFINE_STRUCT_STR_NOVARS(#name, name, \
					 struct pop3_policy_values),

static const struct setting_define pop3_policy_setting_defines[] = {
	/* No required_setting: a block that only overrides something, say in
	   a local { }, would then need a dict of its own. */
	{ .type = SET_FILTER_NAME, .key = POP3_POLICY_FILTER },
	{ .type = SET_FILTER_NAME, .key = POP3_POLICY_LEDGER_FILTER },
	POP3_POLICY_SETTING_LIST(POP3_POLICY_VALUE_DEFINE)

	SETTING_DEFINE_LIST_END
};

static const struct setting_parser_info pop3_policy_setting_parser_info = {
	.name = "pop3_policy",

	.defines = pop3_policy_setting_defines,
	.defaults = &pop3_policy_default_values,

	.struct_size = sizeof(struct pop3_policy_values),
	.pool_offset1 = 1 + offsetof(struct pop3_policy_values, pool),
};
#endif

#endif
