/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Parses the settings' values: the same on both lines of Dovecot, with
   Dovecot's own readers of times and sizes. */
#include "pop3-policy-compat.h"
#include "str.h"
#include "imap-util.h"
#include "mail-user.h"
#include "pop3-policy-settings.h"
#include "pop3-policy-setting-defines.h"

#define OWN_PREFIX "pop3_policy_"

/* What happens instead where a value is bad. */
enum instead {
	INSTEAD_DEFAULT,
	INSTEAD_NO_REMOVAL,
	INSTEAD_NO_DELAY,
	INSTEAD_KEEP_USAGE
};

static const char *const instead_texts[] = {
	"the default is used",
	"nothing is removed",
	"there is no login delay",
	"no day is dropped"
};

/* Returns 0, or -1 and *error_r; writes to DEST only on success. */
typedef int setting_parse_t(const char *value, pool_t pool, void *dest,
			    const char **error_r);

struct setting_row {
	const char *name;
	size_t value_offset, dest_offset;
	setting_parse_t *parse;
	enum instead instead;
};

static int parse_enum(const char *value, const char *const *names,
		      unsigned int *idx_r, const char **error_r)
{
	for (unsigned int i = 0; names[i] != NULL; i++) {
		if (strcasecmp(value, names[i]) == 0) {
			*idx_r = i;
			return 0;
		}
	}
	*error_r = t_strconcat("must be one of ",
			       t_strarray_join(names, ", "), NULL);
	return -1;
}

static int parse_uidl(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		      const char **error_r)
{
	static const char *const names[] = { "pin", "guid", "host", NULL };
	unsigned int idx;

	if (parse_enum(value, names, &idx, error_r) < 0)
		return -1;
	*(enum pop3_policy_uidl *)dest = (enum pop3_policy_uidl)idx;
	return 0;
}

static int parse_guard(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		       const char **error_r)
{
	static const char *const names[] = { "log", "refuse", NULL };
	unsigned int idx;

	if (parse_enum(value, names, &idx, error_r) < 0)
		return -1;
	*(bool *)dest = idx == 1;
	return 0;
}

static int parse_removal(const char *value, pool_t pool ATTR_UNUSED,
			 void *dest, const char **error_r)
{
	static const char *const names[] = { "no", "dry-run", "yes", NULL };
	unsigned int idx;

	if (parse_enum(value, names, &idx, error_r) < 0)
		return -1;
	*(enum pop3_policy_removal *)dest = (enum pop3_policy_removal)idx;
	return 0;
}

static int parse_bool(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		      const char **error_r)
{
	static const char *const names[] = { "no", "yes", NULL };
	unsigned int idx;

	if (parse_enum(value, names, &idx, error_r) < 0)
		return -1;
	*(bool *)dest = idx == 1;
	return 0;
}

static int parse_secs(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		      const char **error_r)
{
	unsigned int secs;

	if (pop3_policy_get_secs(value, &secs, error_r) < 0)
		return -1;
	*(uint64_t *)dest = secs;
	return 0;
}

static int parse_delay(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		       const char **error_r)
{
	return pop3_policy_get_secs(value, dest, error_r);
}

static int parse_timeout(const char *value, pool_t pool ATTR_UNUSED,
			 void *dest, const char **error_r)
{
	unsigned int msecs;

	if (pop3_policy_get_msecs(value, &msecs, error_r) < 0)
		return -1;
	if (msecs == 0) {
		*error_r = "must not be 0";
		return -1;
	}
	*(unsigned int *)dest = msecs;
	return 0;
}

static int parse_days(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		      const char **error_r)
{
	const unsigned int day = 24 * 60 * 60;
	unsigned int secs;

	if (pop3_policy_get_secs(value, &secs, error_r) < 0)
		return -1;
	*(unsigned int *)dest = secs / day + (secs % day == 0 ? 0 : 1);
	return 0;
}

static int parse_size(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		      const char **error_r)
{
	uoff_t size;

	if (pop3_policy_get_size(value, &size, error_r) < 0)
		return -1;
	*(uint64_t *)dest = size;
	return 0;
}

static int parse_count(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		       const char **error_r)
{
	uint64_t count;

	if (str_to_uint64(value, &count) < 0) {
		*error_r = "is not a number";
		return -1;
	}
	*(uint64_t *)dest = count;
	return 0;
}

static int parse_uint_between(const char *value, unsigned int min,
			      unsigned int max, void *dest,
			      const char **error_r)
{
	unsigned int num;

	if (str_to_uint(value, &num) < 0 || num < min || num > max) {
		*error_r = t_strdup_printf("must be a number from %u to %u",
					   min, max);
		return -1;
	}
	*(unsigned int *)dest = num;
	return 0;
}

/* 0 would read as "no limit" to some and as "nothing" to others */
static int parse_limit_percent(const char *value, pool_t pool ATTR_UNUSED,
			       void *dest, const char **error_r)
{
	return parse_uint_between(value, 1, 100, dest, error_r);
}

static int parse_percent(const char *value, pool_t pool ATTR_UNUSED,
			 void *dest, const char **error_r)
{
	return parse_uint_between(value, 0, 100, dest, error_r);
}

static int parse_burst(const char *value, pool_t pool ATTR_UNUSED, void *dest,
		       const char **error_r)
{
	return parse_uint_between(value, 1, 1000, dest, error_r);
}

static int parse_protect(const char *value, pool_t pool, void *dest,
			 const char **error_r)
{
	const char *const *names = t_strsplit_spaces(value, " ,");

	for (unsigned int i = 0; names[i] != NULL; i++) {
		if (names[i][0] == '\\' &&
		    imap_parse_system_flag(names[i]) == 0) {
			*error_r = t_strconcat("there is no flag ", names[i],
					       NULL);
			return -1;
		}
	}
	*(const char *const **)dest = p_strarray_dup(pool, names);
	return 0;
}

#define ROW(name, field, parse, instead) \
	{ #name, offsetof(struct pop3_policy_values, name), \
	  offsetof(struct pop3_policy_settings, field), parse, instead }
static const struct setting_row setting_rows[] = {
	ROW(pop3_policy_dict_timeout, dict_timeout_msecs, parse_timeout,
	    INSTEAD_DEFAULT),
	ROW(pop3_policy_uidl, uidl, parse_uidl, INSTEAD_DEFAULT),
	ROW(pop3_policy_uidl_guard, guard_refuses, parse_guard,
	    INSTEAD_DEFAULT),
	ROW(pop3_policy_removal, removal, parse_removal, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_keep_retrieved, policy.keep_retrieved_secs,
	    parse_secs, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_keep_unretrieved, policy.keep_unretrieved_secs,
	    parse_secs, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_keep_deleted, policy.keep_deleted_secs,
	    parse_secs, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_max_retrieved_messages, policy.max_retrieved_messages,
	    parse_count, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_max_retrieved_size, policy.max_retrieved_bytes,
	    parse_size, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_min_keep, policy.min_keep_secs,
	    parse_secs, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_protect, policy.protect, parse_protect,
	    INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_removal_limit_percent, policy.removal_limit_percent,
	    parse_limit_percent, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_mass_delete_percent, mass_delete_percent,
	    parse_percent, INSTEAD_NO_REMOVAL),
	ROW(pop3_policy_login_delay, login_delay_secs, parse_delay,
	    INSTEAD_NO_DELAY),
	ROW(pop3_policy_login_burst, login_burst, parse_burst,
	    INSTEAD_NO_DELAY),
	ROW(pop3_policy_usage, usage, parse_bool, INSTEAD_DEFAULT),
	ROW(pop3_policy_usage_keep, usage_keep_days, parse_days,
	    INSTEAD_KEEP_USAGE),
	ROW(pop3_policy_capa, capa, parse_bool, INSTEAD_DEFAULT),
};
#undef ROW

static const char *
row_value(const struct setting_row *row,
	  const struct pop3_policy_values *values)
{
	const char *const *value =
		CONST_PTR_OFFSET(values, row->value_offset);

	return *value;
}

static void values_apply_removal(struct pop3_policy_settings *set)
{
	if (set->removal_blocked)
		set->removal = POP3_POLICY_REMOVAL_NO;
	set->policy.dry_run = set->removal == POP3_POLICY_REMOVAL_DRY_RUN;
}

static void values_tell(struct mail_user *user,
			struct pop3_policy_settings *set, const char *text)
{
	if (pop3_policy_settings_are_silent(user))
		set->untold = TRUE;
	else
		e_error(user->event, "pop3-policy: User %s: %s",
			user->username, text);
}

void pop3_policy_values_apply(struct mail_user *user,
			      const struct pop3_policy_values *values,
			      struct pop3_policy_settings *set)
{
	bool no_removal = FALSE, no_delay = FALSE, keep_usage = FALSE;

	for (unsigned int i = 0; i < N_ELEMENTS(setting_rows); i++) T_BEGIN {
		const struct setting_row *row = &setting_rows[i];
		const char *error, *value = row_value(row, values);
		void *dest = PTR_OFFSET(set, row->dest_offset);

		if (row->parse(value, user->pool, dest, &error) < 0) {
			values_tell(user, set, t_strdup_printf(
				"Bad setting %s=%s: %s (%s)", row->name,
				value, error, instead_texts[row->instead]));
			value = row_value(row, &pop3_policy_default_values);
			if (row->parse(value, user->pool, dest, &error) < 0)
				i_unreached();
			no_removal = no_removal ||
				row->instead == INSTEAD_NO_REMOVAL;
			no_delay = no_delay ||
				row->instead == INSTEAD_NO_DELAY;
			keep_usage = keep_usage ||
				row->instead == INSTEAD_KEEP_USAGE;
		}
	} T_END;

	set->removal_blocked = no_removal;
	values_apply_removal(set);
	if (no_delay)
		set->login_delay_secs = 0;
	if (keep_usage)
		set->usage_keep_days = 0;
}

/* Retention's settings are those that a bad value switches off. */
static const struct setting_row *own_row(const char *name)
{
	for (unsigned int i = 0; i < N_ELEMENTS(setting_rows); i++) {
		if (strcmp(setting_rows[i].name + strlen(OWN_PREFIX),
			   name) == 0 &&
		    setting_rows[i].instead == INSTEAD_NO_REMOVAL)
			return &setting_rows[i];
	}
	return NULL;
}

int pop3_policy_own_check(const char *name, const char *value,
			  const char **error_r)
{
	const struct setting_row *row = own_row(name);
	struct pop3_policy_settings scratch;
	const char *error;

	if (row == NULL) {
		*error_r = t_strdup_printf("There is no setting of retention "
					   "called %s", name);
		return -1;
	}
	if (strchr(value, ';') != NULL) {
		*error_r = t_strdup_printf("%s=%s: must not have a ;", name,
					   value);
		return -1;
	}
	if (row->parse(value, pool_datastack_create(),
		       PTR_OFFSET(&scratch, row->dest_offset), &error) < 0) {
		*error_r = t_strdup_printf("%s=%s: %s", name, value, error);
		return -1;
	}
	return 0;
}

bool pop3_policy_own_is_overridden(const struct mail_user *user,
				   const char *name)
{
	const char *const *fields = user->userdb_fields;
	const char *full = t_strconcat(OWN_PREFIX, name, "=", NULL);

	if (fields == NULL)
		return FALSE;
	for (; *fields != NULL; fields++) {
		if (strncmp(*fields, full, strlen(full)) == 0)
			return TRUE;
	}
	return FALSE;
}

static void own_apply_one(struct mail_user *user, const char *field,
			  struct pop3_policy_settings *set)
{
	const char *value = strchr(field, '='), *name, *error;
	const struct setting_row *row;

	name = value == NULL ? field : t_strdup_until(field, value++);
	if (pop3_policy_own_is_overridden(user, name))
		return;
	row = own_row(name);
	if (row != NULL && value != NULL &&
	    row->parse(value, user->pool, PTR_OFFSET(set, row->dest_offset),
		       &error) == 0)
		return;
	/* checked when it was set: another version's */
	e_error(user->event, "pop3-policy: User %s: The user's own policy "
		"cannot be read: %s (nothing is removed; see doveadm pop3 "
		"policy unset)", user->username, field);
	set->removal_blocked = TRUE;
}

const struct pop3_policy_settings *
pop3_policy_own_apply(struct mail_user *user,
		      const struct pop3_policy_settings *base,
		      const char *policy)
{
	struct pop3_policy_settings *set;
	const char *const *fields;

	if (policy == NULL)
		return base;
	set = p_new(user->pool, struct pop3_policy_settings, 1);
	*set = *base;
	fields = t_strsplit(policy, ";");
	for (; *fields != NULL; fields++) {
		if (**fields != '\0')
			own_apply_one(user, *fields, set);
	}
	values_apply_removal(set);
	return set;
}
