/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-advice.h. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "pop3-policy-advice.h"

const char *pop3_policy_advice_time(uint64_t secs)
{
	static const struct {
		uint64_t secs;
		const char *name;
	} units[] = {
		{ 24 * 60 * 60, "days" },
		{ 60 * 60, "hours" },
		{ 60, "mins" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(units); i++) {
		if (secs >= units[i].secs && secs % units[i].secs == 0)
			return t_strdup_printf("%"PRIu64" %s",
					       secs / units[i].secs,
					       units[i].name);
	}
	return t_strdup_printf("%"PRIu64" secs", secs);
}

static void advice_add(ARRAY_TYPE(const_string) *lines, const char *line)
{
	array_push_back(lines, &line);
}

static void advice_min_keep(ARRAY_TYPE(const_string) *lines, const char *name,
			    uint64_t secs, uint64_t min_keep_secs)
{
	const char *min_keep;

	if (secs == 0 || secs >= min_keep_secs)
		return;
	min_keep = pop3_policy_advice_time(min_keep_secs);
	advice_add(lines, t_strdup_printf(
		"pop3_policy_%s=%s is shorter than pop3_policy_min_keep: "
		"%s is in force", name, pop3_policy_advice_time(secs),
		min_keep));
}

const char *const *
pop3_policy_advice(const struct pop3_policy_settings *set)
{
	const struct pp_policy *policy = &set->policy;
	ARRAY_TYPE(const_string) lines;

	t_array_init(&lines, 4);
	advice_min_keep(&lines, "keep_retrieved", policy->keep_retrieved_secs,
			policy->min_keep_secs);
	advice_min_keep(&lines, "keep_unretrieved",
			policy->keep_unretrieved_secs, policy->min_keep_secs);
	advice_min_keep(&lines, "keep_deleted", policy->keep_deleted_secs,
			policy->min_keep_secs);
	if (policy->keep_deleted_secs > 0 &&
	    set->removal != POP3_POLICY_REMOVAL_YES) {
		advice_add(&lines, "pop3_policy_keep_deleted is set, but "
			   "pop3_policy_removal is not yes: what clients "
			   "delete stays hidden and is never removed");
	}
	array_append_zero(&lines);
	return array_front(&lines);
}
