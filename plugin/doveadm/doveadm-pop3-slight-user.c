/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   A mail user who has settings and nothing else, for commands that glance at
   many. How doveadm makes a whole one is private to it: this does the
   same for the plain case, and leaves any other to it. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "master-service.h"
#include "str.h"
#include "var-expand.h"
#include "mail-storage-service.h"
#include "mail-storage-settings.h"
#include "mail-user.h"
#include "doveadm-pop3-users.h"

static void slight_user_set(struct mail_user *user,
			    const struct mail_storage_service_input *input)
{
	const struct mail_user_connection_data conn = {
		.local_ip = (struct ip_addr *)&input->local_ip,
		.remote_ip = (struct ip_addr *)&input->remote_ip,
		.local_port = input->local_port,
		.remote_port = input->remote_port,
	};

	mail_user_set_vars(user, master_service_get_name(master_service),
			   &conn);
	user->session_id = input->session_id;
	user->userdb_fields = input->userdb_fields;
}

#if POP3_POLICY_DOVECOT_24
#include "settings.h"

static struct mail_user *
slight_user_alloc(struct mail_storage_service_user *service_user)
{
	struct mail_user *user = mail_user_alloc(service_user);
	const char *home = user->set->mail_home;

	slight_user_set(user,
			mail_storage_service_user_get_input(service_user));
	mail_user_set_home(user, *home == '\0' ? NULL : home);
	user->protocol = user->service;
	settings_event_add_list_filter_name(user->event, "service",
					    user->service);
	/* else its end would read these */
	user->proc_stat.proc_io_failed = TRUE;
	user->proc_stat.proc_stat_failed = TRUE;
	user->proc_stat.proc_status_failed = TRUE;
	user->proc_stat.rusage_failed = TRUE;
	return user;
}

#else

static bool
slight_user_expand(struct mail_user *user, const char *text,
		   const char **value_r)
{
	string_t *value = t_str_new(128);
	const char *error;

	if (var_expand_with_funcs(value, text, mail_user_var_expand_table(user),
				  mail_user_var_expand_func_table, user,
				  &error) <= 0)
		return FALSE;
	*value_r = p_strdup(user->pool, str_c(value));
	return TRUE;
}

static bool slight_user_expand_home(struct mail_user *user, const char *home)
{
	if (*home == SETTING_STRVAR_EXPANDED[0])
		home++;
	else if (!slight_user_expand(user, home + 1, &home))
		return FALSE;
	mail_user_set_home(user, *home == '\0' ? NULL : home);
	return *home == '\0' || *home == '/';
}

/* Settings of the plugin, and no other's, are read. */
static bool slight_user_expand_settings(struct mail_user *user)
{
	unsigned int i, count;
	const char **envs;

	if (!array_is_created(&user->set->plugin_envs))
		return TRUE;
	envs = array_get_modifiable(&user->set->plugin_envs, &count);
	for (i = 0; i + 1 < count; i += 2) {
		if (str_begins(envs[i], "pop3_policy_") &&
		    !slight_user_expand(user, envs[i + 1], &envs[i + 1]))
			return FALSE;
	}
	return TRUE;
}

static struct mail_user *
slight_user_alloc(struct mail_storage_service_user *service_user)
{
	const struct mail_storage_service_input *input =
		mail_storage_service_user_get_input(service_user);
	const struct mail_user_settings *set =
		mail_storage_service_user_get_set(service_user)[0];
	struct mail_user *user;

	/* behind its mark whether it is expanded: it is empty */
	if (set->mail_chroot[1] != '\0')
		return NULL;
	user = mail_user_alloc_nodup_set(NULL, input->username,
					 &mail_user_setting_parser_info, set);
	slight_user_set(user, input);
	if (!slight_user_expand_home(user, set->mail_home) ||
	    !slight_user_expand_settings(user))
		mail_user_unref(&user);
	return user;
}

#endif

/* userdb fields by which doveadm does more */
static bool is_special(const struct mail_user *user)
{
	static const char *const names[] = {
		"system_groups_user=", "nice=", "auth_user=",
	};
	const char *const *fields = user->userdb_fields;

	for (; fields != NULL && *fields != NULL; fields++) {
		for (unsigned int i = 0; i < N_ELEMENTS(names); i++) {
			if (strncmp(*fields, names[i], strlen(names[i])) == 0)
				return TRUE;
		}
	}
	return FALSE;
}

struct mail_user *
doveadm_pop3_slight_user_alloc(struct mail_storage_service_user *service_user)
{
	struct mail_user *user = slight_user_alloc(service_user);

	if (user != NULL && is_special(user))
		mail_user_unref(&user);
	return user;
}
