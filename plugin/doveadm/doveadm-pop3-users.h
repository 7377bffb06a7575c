/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Commands that are run for many users (-A, -F, masks): see
   doveadm-pop3-users.c. */
#ifndef DOVEADM_POP3_USERS_H
#define DOVEADM_POP3_USERS_H

#include "doveadm-pop3.h"

struct mail_storage_service_user;
struct doveadm_pop3_users;

/* Deals with the user of MD, who has settings and dicts, but neither namespaces
   nor plugins. FALSE: the command's run() has to, with a whole mail user, as if
   nothing had been. */
typedef bool doveadm_pop3_glance_t(struct doveadm_pop3_users *users,
				   struct pop3_policy_maildrop *md);

/* Those of a user that the process has taken: see doveadm-pop3-rights.c. */
struct doveadm_pop3_rights {
	/* a description of them, or NULL: they are somebody else's */
	char *taken;
	uid_t uid;
	/* it has the UID, too */
	bool entered;
};

/* Begins the command's own context. */
struct doveadm_pop3_users {
	struct doveadm_mail_cmd_context ctx;
	doveadm_pop3_glance_t *glance;
	/* which is looked up of several users at the same time */
	const char *key;
	/* signal_term_counter at the beginning */
	unsigned int signals;
	/* all of them, the next one's index, and what ended the listing, or
	   -F's file, which is not asked again */
	ARRAY_TYPE(const_string) names;
	unsigned int next;
	int ret;
	bool file_ended;
	/* struct glance: those whose turn is next */
	GQueue queue;
	struct doveadm_pop3_rights rights;
};
/* To be called when the command is allocated, and at its end. GLANCE is NULL if
   all users go to run(); KEY: what it looks up first. */
void doveadm_pop3_users_init(struct doveadm_pop3_users *users,
			     doveadm_pop3_glance_t *glance, const char *key);
void doveadm_pop3_users_deinit(struct doveadm_pop3_users *users);

/* -- doveadm-pop3-slight-user.c -- */
/* Makes a user with a name, a home and settings, NULL where that takes more
   than the plain case does. SERVICE_USER must live longer. */
struct mail_user *
doveadm_pop3_slight_user_alloc(struct mail_storage_service_user *service_user);

/* -- doveadm-pop3-rights.c -- */
/* Gives the process the rights of USER. FALSE, and it has its own UID, where
   there is more to it than a UID, a GID and groups. A process that was not
   started by root keeps what it has. */
bool doveadm_pop3_rights_enter(struct doveadm_pop3_rights *rights,
			       const struct mail_user *user);
/* Gives the process its own UID back, if it has a user's. GID and groups stay,
   as with the host. */
void doveadm_pop3_rights_leave(struct doveadm_pop3_rights *rights);
/* The same, and the next user's are taken from the beginning: to be called
   where another has taken rights, and at the end. */
void doveadm_pop3_rights_forget(struct doveadm_pop3_rights *rights);

#endif
