/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 ...`: what the commands share. All are mail commands, so that
   -u, -A, -F and the formatters are doveadm's own. The module has in itself
   all that it needs: it works where mail_plugins does not name the plugin. */
#ifndef DOVEADM_POP3_H
#define DOVEADM_POP3_H

#include <glib.h>
#include "doveadm-mail.h"
#include "doveadm-print.h"
#include "pop3-policy-maildrop.h"

struct mailbox;
struct mailbox_transaction_context;

/* flags of a column of numbers */
#define DOVEADM_POP3_NUMBER \
	(DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY | \
	 DOVEADM_PRINT_HEADER_FLAG_NUMBER)

extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_list;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_export;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_import;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_repair;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_verify;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_retention_explain;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_retention_run;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_retention_restore;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_usage_replay;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_usage_reset;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_policy_get;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_policy_set;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_policy_unset;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_usage_show;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_state_check;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_state_show;
extern struct doveadm_cmd_ver2 doveadm_cmd_pop3_state_delete;

/* Says what went wrong for USER, in one line, and sets the exit code for
   ERROR. Returns -1. */
int doveadm_pop3_fail(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user, enum mail_error error,
		      const char *text);

/* Opens USER's dicts. Returns 1, 0 if the plugin is off for this one of many
   users (told), -1 after doveadm_pop3_fail(). */
int doveadm_pop3_open_dict(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user,
			   struct pop3_policy_maildrop **md_r);

/* The same with the files beside INBOX, if there are any. */
int doveadm_pop3_open(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user,
		      struct pop3_policy_maildrop **md_r);

/* Loads the state, pp_state_free(). Returns 1, 0 if there is none (load() tells
   that), -1 after doveadm_pop3_fail(). */
int doveadm_pop3_lookup(struct doveadm_mail_cmd_context *ctx,
			struct pop3_policy_maildrop *md,
			struct pp_state **state_r);
int doveadm_pop3_load(struct doveadm_mail_cmd_context *ctx,
		      struct pop3_policy_maildrop *md,
		      struct pp_state **state_r);

/* A maildrop with its state and INBOX, open and synchronised. */
struct doveadm_pop3_view {
	struct pop3_policy_maildrop *md;
	struct pp_state *state;
	struct mailbox *box;
	struct mailbox_transaction_context *trans;
};
/* Returns 1, 0 if there is nothing to see (told), -1 after
   doveadm_pop3_fail(). Close it only after 1. */
int doveadm_pop3_view_open(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user,
			   struct doveadm_pop3_view *view_r);
/* The second half of it: state and INBOX of VIEW, which has its maildrop and is
   else zeroed. The same; to be closed in any case. */
int doveadm_pop3_view_fill(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user,
			   struct doveadm_pop3_view *view);
void doveadm_pop3_view_close(struct doveadm_pop3_view *view);

/* The deadline for one dict operation of MD. */
struct pop3_policy_deadline
doveadm_pop3_deadline(const struct pop3_policy_maildrop *md);
/* WHEN in UTC, or NONE for 0. From the data stack. */
const char *doveadm_pop3_time(uint64_t when, const char *none);
/* TRUE if the option NAME was given. */
bool doveadm_pop3_option(struct doveadm_mail_cmd_context *ctx,
			 const char *name);

#endif
