/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The settings of one user, read once, checked, in units that the rest of the
   plugin uses. Only pop3-policy-settings.c knows how they are read on which
   Dovecot.

   Values, the same on both lines: times have a unit ("14 days", "12h", "300
   ms" where there is a use for it), only 0 may do without; sizes may have one
   ("500 M"), else they are bytes; switches are `yes` or `no`;
   pop3_policy_protect is a list with spaces. */
#ifndef POP3_POLICY_SETTINGS_H
#define POP3_POLICY_SETTINGS_H

#include "pp-retention.h"

struct mail_user;
struct dict;

enum pop3_policy_uidl {
	POP3_POLICY_UIDL_PIN,
	POP3_POLICY_UIDL_GUID,
	POP3_POLICY_UIDL_HOST
};

enum pop3_policy_removal {
	POP3_POLICY_REMOVAL_NO,
	POP3_POLICY_REMOVAL_DRY_RUN,
	POP3_POLICY_REMOVAL_YES
};

struct pop3_policy_settings {
	/* how long a session waits for the dict, at login and at close */
	unsigned int dict_timeout_msecs;
	enum pop3_policy_uidl uidl;
	bool guard_refuses;
	enum pop3_policy_removal removal;
	struct pp_policy policy;
	unsigned int mass_delete_percent;
	unsigned int login_delay_secs;
	unsigned int login_burst;
	bool usage;
	/* 0: for ever */
	unsigned int usage_keep_days;
	bool capa;
	/* a retention setting has a bad value: whatever else says so, nothing
	   is removed */
	bool removal_blocked;
	/* something was wrong, and was not told: the user is a silent one */
	bool untold;
};

/* Settings of USER, who is only glanced at, are read without a word: somebody
   else is going to tell what is wrong. To be called before they are read. */
void pop3_policy_settings_silence(struct mail_user *user);
bool pop3_policy_settings_are_silent(struct mail_user *user);

/* Reads USER's settings, allocated from its pool. Returns 1 if ok, 0 if no
   dict is set: the plugin does nothing for this user (a userdb field can say
   so: pop3_policy_dict=no on 2.3, an empty pop3_policy/dict on 2.4). A bad
   value is logged here, once, naming the setting and the user; it then has the
   value that the design (section 10) says: uidl pin, guard refuse, any
   retention setting: nothing removed, delay: none, usage: counts. */
int pop3_policy_settings_get(struct mail_user *user,
			     const struct pop3_policy_settings **set_r);

/* Opens USER's dict (LEDGER: the one of pop3_policy_ledger_dict; the caller
   uses the state's where that returns 0). Returns 1 if ok, 0 if none is set,
   -1 and *error_r if it cannot be opened. Never waits for a server. Close with
   dict_deinit(). */
int pop3_policy_settings_open_dict(struct mail_user *user, bool ledger,
				   struct dict **dict_r, const char **error_r);

/* Dovecot's pop3_deleted_flag as doveadm sees it, "" if it is not set; what
   stands in protocol pop3 { } is hidden from doveadm. imapc's settings have it,
   too, and are there where pop3's own are not. May live on the data stack. */
const char *pop3_policy_settings_deleted_flag(struct mail_user *user);

/* -- the user's own policy (`doveadm pop3 policy`): "name=value;...", kept in
   the state. Names are those of retention's settings, without "pop3_policy_".
   It stands above the configuration and below userdb fields. -- */
/* Returns 0 if NAME may be set to VALUE, -1 and *error_r. */
int pop3_policy_own_check(const char *name, const char *value,
			  const char **error_r);
/* TRUE if a userdb field of USER says what NAME is. */
bool pop3_policy_own_is_overridden(const struct mail_user *user,
				   const char *name);
/* BASE with POLICY (NULL: none) on top of it, from USER's pool. What cannot be
   read there removes nothing, and is logged. */
const struct pop3_policy_settings *
pop3_policy_own_apply(struct mail_user *user,
		      const struct pop3_policy_settings *base,
		      const char *policy);

#endif
