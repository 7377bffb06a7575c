/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Reads the settings: the only place that knows how that is done on which
   Dovecot. Both lines end in the same strings and the same parser. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "dict-private.h"
#include "imapc-settings.h"
#include "mail-user.h"
#include "mail-storage-settings.h"
#include "pop3-policy-settings.h"
#include "pop3-policy-setting-defines.h"

#if POP3_POLICY_DOVECOT_24
#include "settings.h"
#endif

/* The parsed settings hang on the user's event, so that the plugin and the
   doveadm module read them, and complain about them, once. */
#define SETTINGS_EVENT_KEY "pop3_policy_settings"
#define SETTINGS_EVENT_SILENT "pop3_policy_silent"

#if POP3_POLICY_DOVECOT_24

static struct event *
filter_event_create(struct mail_user *user, const char *filter)
{
	struct event *event = event_create(user->event);

	settings_event_add_filter_name(event, filter);
	return event;
}

/* What a settings lookup comes across while it looks for dicts. */
struct dict_scan {
	pool_t pool;
	ARRAY_TYPE(const_string) values;
};

static bool dict_scan_apply(struct event *event, void *set ATTR_UNUSED,
			    const char *key, const char **value,
			    enum setting_apply_flags flags ATTR_UNUSED,
			    const char **error_r ATTR_UNUSED)
{
	struct dict_scan *scan =
		event_get_ptr(event_get_parent(event), "pop3_policy_scan");
	const char *copy;

	if (strcmp(key, "dict") == 0) {
		copy = p_strdup(scan->pool, *value);
		array_push_back(&scan->values, &copy);
	}
	return TRUE;
}

static int dict_scan_run(struct mail_user *user, const char *filter,
			 struct dict_scan *scan, const char **error_r)
{
	struct setting_parser_info info = dict_setting_parser_info;
	const struct dict_settings *set;
	struct event *event = event_create(user->event);
	int ret;

	info.setting_apply = dict_scan_apply;
	p_array_init(&scan->values, scan->pool, 4);
	event_set_ptr(event, "pop3_policy_scan", scan);
	if (filter != NULL)
		settings_event_add_filter_name(event, filter);
	ret = settings_get(event, &info, 0, &set, error_r);
	if (ret == 0)
		settings_free(set);
	event_unref(&event);
	return ret;
}

/* Sets *value_r to what FILTER says of its own dict, NULL if nothing.
   dict_init_auto() would also take one that stands outside, at top level, and
   belongs to something else. A lookup meets the most specific values first, so
   what it meets beyond those that a lookup without FILTER meets are the
   filter's, and the first of them counts: a userdb field's, or else the
   configuration's. */
static int own_dict_value(struct mail_user *user, const char *filter,
			  pool_t pool, const char **value_r,
			  const char **error_r)
{
	struct dict_scan inside = { .pool = pool }, outside = { .pool = pool };

	if (dict_scan_run(user, filter, &inside, error_r) < 0 ||
	    dict_scan_run(user, NULL, &outside, error_r) < 0)
		return -1;
	*value_r = NULL;
	if (array_count(&inside.values) > array_count(&outside.values))
		*value_r = t_strdup(array_idx_elem(&inside.values, 0));
	return 0;
}

/* Returns 1 and the name of the dict in FILTER, 0 if there is none. */
static int own_dict_name(struct mail_user *user, const char *filter,
			 const char **name_r, const char **error_r)
{
	pool_t pool = pool_alloconly_create("pop3-policy dict names", 512);
	const char *const *names, *value;
	int ret;

	ret = own_dict_value(user, filter, pool, &value, error_r);
	pool_unref(&pool);
	if (ret < 0)
		return -1;
	if (value == NULL)
		return 0;

	names = t_strsplit_spaces(value, SETTINGS_FILTER_ARRAY_SEPARATORS);
	if (names[0] == NULL)
		return 0;
	if (names[1] != NULL) {
		*error_r = "there is more than one dict { }";
		return -1;
	}
	*name_r = settings_section_unescape(names[0]);
	return 1;
}

static bool dict_is_set(struct mail_user *user)
{
	const char *name, *error;

	/* On an error there is one; opening it fails then, and says why. */
	return own_dict_name(user, POP3_POLICY_FILTER, &name, &error) != 0;
}

#define VALUE_DUP(name, default_value) \
	values_r->name = t_strdup(values->name);

/* The values live on the data stack. */
static void values_get(struct mail_user *user,
		       struct pop3_policy_values *values_r)
{
	struct event *event = filter_event_create(user, POP3_POLICY_FILTER);
	const struct pop3_policy_values *values;
	const char *error;

	*values_r = pop3_policy_default_values;
	if (settings_get(event, &pop3_policy_setting_parser_info, 0,
			 &values, &error) < 0) {
		/* removal is off by default */
		e_error(event, "pop3-policy: User %s: %s "
			"(all settings have their defaults)",
			user->username, error);
	} else {
		POP3_POLICY_SETTING_LIST(VALUE_DUP)
		settings_free(values);
	}
	event_unref(&event);
}

static const char *dict_setting_name(bool ledger)
{
	return ledger ? POP3_POLICY_LEDGER_FILTER" { }" :
		POP3_POLICY_FILTER" { }";
}

static int open_dict(struct mail_user *user, bool ledger, struct dict **dict_r,
		     const char **error_r)
{
	const char *filter = ledger ?
		POP3_POLICY_LEDGER_FILTER : POP3_POLICY_FILTER;
	const char *name;
	struct event *event;
	int ret;

	ret = own_dict_name(user, filter, &name, error_r);
	if (ret <= 0)
		return ret;

	event = filter_event_create(user, filter);
	ret = dict_init_filter_auto(event, name, dict_r, error_r);
	event_unref(&event);
	return ret < 0 ? -1 : 1;
}

const char *pop3_policy_settings_deleted_flag(struct mail_user *user)
{
	const struct imapc_settings *set;
	const char *error, *flag;

	if (settings_get(user->event, &imapc_setting_parser_info,
			 SETTINGS_GET_FLAG_NO_CHECK, &set, &error) < 0) {
		e_error(user->event, "pop3-policy: %s", error);
		return "";
	}
	flag = t_strdup(set->pop3_deleted_flag);
	settings_free(set);
	return flag;
}

#else

const char *pop3_policy_settings_deleted_flag(struct mail_user *user)
{
	const struct imapc_settings *set =
		mail_user_set_get_driver_settings(user->set_info, user->set,
						  "imapc");

	return set == NULL ? "" : set->pop3_deleted_flag;
}

static const char *dict_setting_name(bool ledger)
{
	return ledger ? "pop3_policy_ledger_dict" : "pop3_policy_dict";
}

static const char *dict_uri(struct mail_user *user, bool ledger)
{
	const char *uri = mail_user_plugin_getenv(user,
						  dict_setting_name(ledger));

	/* an empty userdb field arrives as "yes": "no" is for those */
	return uri == NULL || *uri == '\0' || strcmp(uri, "no") == 0 ?
		NULL : uri;
}

static bool dict_is_set(struct mail_user *user)
{
	return dict_uri(user, FALSE) != NULL;
}

#define VALUE_GETENV(name, default_value) \
	if ((value = mail_user_plugin_getenv(user, #name)) != NULL) \
		values_r->name = value;

static void values_get(struct mail_user *user,
		       struct pop3_policy_values *values_r)
{
	const char *value;

	*values_r = pop3_policy_default_values;
	POP3_POLICY_SETTING_LIST(VALUE_GETENV)
}

static int open_dict(struct mail_user *user, bool ledger, struct dict **dict_r,
		     const char **error_r)
{
	const struct dict_settings set = {
		.base_dir = user->set->base_dir,
		.event_parent = user->event,
	};
	const char *uri = dict_uri(user, ledger);

	if (uri == NULL)
		return 0;
	return dict_init(uri, &set, dict_r, error_r) < 0 ? -1 : 1;
}

#endif

/* Redis has no dict_switch_ioloop(): its connection would stay in the main
   ioloop while the store waits in its own, and nothing would ever come. */
static int dict_check(struct dict **dict, const char **error_r)
{
	if (strcmp((*dict)->name, "redis") != 0)
		return 1;
	dict_deinit(dict);
	*error_r = "Redis cannot be used directly, only through the dict "
		"service: use proxy, and give the dict { } there";
	return -1;
}

int pop3_policy_settings_open_dict(struct mail_user *user, bool ledger,
				   struct dict **dict_r, const char **error_r)
{
	struct dict *dict;
	const char *error;
	int ret;

	ret = open_dict(user, ledger, &dict, &error);
	if (ret > 0)
		ret = dict_check(&dict, &error);
	if (ret < 0) {
		*error_r = t_strdup_printf("%s: %s", dict_setting_name(ledger),
					   error);
	} else if (ret > 0) {
		*dict_r = dict;
	}
	return ret;
}

void pop3_policy_settings_silence(struct mail_user *user)
{
	event_set_ptr(user->event, SETTINGS_EVENT_SILENT, user);
}

bool pop3_policy_settings_are_silent(struct mail_user *user)
{
	return event_get_ptr(user->event, SETTINGS_EVENT_SILENT) != NULL;
}

int pop3_policy_settings_get(struct mail_user *user,
			     const struct pop3_policy_settings **set_r)
{
	struct pop3_policy_settings *set;
	struct pop3_policy_values values;

	set = event_get_ptr(user->event, SETTINGS_EVENT_KEY);
	if (set == NULL) {
		if (!dict_is_set(user))
			return 0;
		set = p_new(user->pool, struct pop3_policy_settings, 1);
		values_get(user, &values);
		pop3_policy_values_apply(user, &values, set);
		event_set_ptr(user->event, SETTINGS_EVENT_KEY, set);
	}
	*set_r = set;
	return 1;
}
