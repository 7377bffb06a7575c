/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The rights of one user after the other, as doveadm gives them to the process
   for each mail user that it makes. Neighbours mostly have the same ones: those
   stay, but for the UID, which is taken off where the process needs its own. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "ipwd.h"
#include "restrict-access.h"
#include "mail-storage-settings.h"
#include "mail-user.h"
#include "doveadm-pop3-users.h"

#include <unistd.h>

static const char *access_groups(const struct mail_user_settings *set)
{
#if POP3_POLICY_DOVECOT_24
	return t_array_const_string_join(&set->mail_access_groups, ",");
#else
	return set->mail_access_groups;
#endif
}

static bool
id_is_valid(unsigned int id, unsigned int first, unsigned int last)
{
	return id != 0 && id >= first && (last == 0 || id <= last);
}

static bool uid_parse(const struct mail_user_settings *set, uid_t *uid_r)
{
	struct passwd pw;

	if (str_to_uid(set->mail_uid, uid_r) < 0) {
		if (i_getpwnam(set->mail_uid, &pw) <= 0)
			return FALSE;
		*uid_r = pw.pw_uid;
	}
	return id_is_valid(*uid_r, set->first_valid_uid, set->last_valid_uid);
}

static bool gid_parse(const struct mail_user_settings *set, gid_t *gid_r)
{
	struct group group;

	if (str_to_gid(set->mail_gid, gid_r) < 0) {
		if (i_getgrnam(set->mail_gid, &group) <= 0)
			return FALSE;
		*gid_r = group.gr_gid;
	}
	return id_is_valid(*gid_r, set->first_valid_gid, set->last_valid_gid);
}

static void rights_seteuid(uid_t uid)
{
	if (seteuid(uid) < 0)
		i_fatal("pop3-policy: seteuid(%s) failed: %m", dec2str(uid));
}

/* Gives the process its own back, and then the GID and the groups. */
static bool rights_take(struct doveadm_pop3_rights *rights,
			const struct mail_user_settings *set)
{
	const char *groups = access_groups(set);
	struct restrict_access_settings rset;

	/* with 2.3 a mail user before this one has left its UID here */
	rights_seteuid(0);
	restrict_access_get_env(&rset);
	if (rset.chroot_dir != NULL || !uid_parse(set, &rights->uid) ||
	    !gid_parse(set, &rset.gid))
		return FALSE;
	rset.uid = (uid_t)-1;
	/* besides those of the service */
	if (*groups != '\0')
		rset.extra_groups = t_strconcat(groups, ",",
						rset.extra_groups, NULL);
	rset.first_valid_gid = set->first_valid_gid;
	rset.last_valid_gid = set->last_valid_gid;
	rset.allow_setuid_root = TRUE;
	restrict_access(&rset, RESTRICT_ACCESS_FLAG_ALLOW_ROOT, NULL);
	return TRUE;
}

/* All that rights_take() goes by, with no name looked up. */
static const char *rights_describe(const struct mail_user_settings *set)
{
	return t_strdup_printf("%s %u-%u, %s %u-%u, %s", set->mail_uid,
			       set->first_valid_uid, set->last_valid_uid,
			       set->mail_gid, set->first_valid_gid,
			       set->last_valid_gid, access_groups(set));
}

bool doveadm_pop3_rights_enter(struct doveadm_pop3_rights *rights,
			       const struct mail_user *user)
{
	const char *taken;

	if (getuid() != 0)
		return TRUE;
	taken = rights_describe(user->set);
	if (null_strcmp(rights->taken, taken) != 0) {
		doveadm_pop3_rights_forget(rights);
		if (!rights_take(rights, user->set))
			return FALSE;
		rights->taken = i_strdup(taken);
	}
	if (!rights->entered)
		rights_seteuid(rights->uid);
	rights->entered = TRUE;
	return TRUE;
}

void doveadm_pop3_rights_leave(struct doveadm_pop3_rights *rights)
{
	if (rights->entered)
		rights_seteuid(0);
	rights->entered = FALSE;
}

void doveadm_pop3_rights_forget(struct doveadm_pop3_rights *rights)
{
	doveadm_pop3_rights_leave(rights);
	i_free(rights->taken);
}
