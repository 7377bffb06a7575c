/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Commands for all users. All names are read first: the auth process of 2.4.1
   gives a listing up that is not read for some seconds, as it happens where
   each user's turn comes between. Then each user is glanced at, since a mail
   user costs more than what these commands do with most of them: see DESIGN,
   section 7. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "istream.h"
#include "lib-signals.h"
#include "wildcard-match.h"
#include "mail-storage-service.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "doveadm-pop3-users.h"

/* Enough for the dict to answer while user lookups are made; each has a
   connection of its own. */
#define USERS_AHEAD 4

static void users_read(struct doveadm_pop3_users *users)
{
	struct doveadm_mail_cmd_context *ctx = &users->ctx;
	const char *name;

	p_array_init(&users->names, ctx->pool, 64);
	while ((users->ret = mail_storage_service_all_next(
				ctx->storage_service, &name)) > 0) {
		name = p_strdup(ctx->pool, name);
		array_push_back(&users->names, &name);
	}
}

/* -F's file is read as it comes. */
static int
users_from_file(struct doveadm_mail_cmd_context *ctx, const char **username_r)
{
	*username_r = i_stream_read_next_line(ctx->users_list_input);
	if (ctx->users_list_input->stream_errno == 0)
		return *username_r != NULL ? 1 : 0;
	i_error("read(%s) failed: %s",
		i_stream_get_name(ctx->users_list_input),
		i_stream_get_error(ctx->users_list_input));
	return -1;
}

static int
users_next_name(struct doveadm_pop3_users *users, const char **username_r)
{
	if (users->ctx.users_list_input != NULL) {
		if (!users->file_ended) {
			users->ret = users_from_file(&users->ctx, username_r);
			users->file_ended = users->ret <= 0;
		}
		return users->ret;
	}
	if (!array_is_created(&users->names))
		users_read(users);
	if (users->next == array_count(&users->names))
		return users->ret;
	*username_r = array_idx_elem(&users->names, users->next++);
	return 1;
}

/* FALSE where doveadm hands users over to other processes or servers, for a
   name that it is going to skip, and where it was asked to end. */
static bool
users_may_glance(struct doveadm_pop3_users *users, const char *username)
{
	struct doveadm_mail_cmd_context *ctx = &users->ctx;
	const char *mask;

	if (users->glance == NULL || ctx->set->doveadm_port != 0 ||
	    (ctx->set->doveadm_worker_count > 0 && !doveadm_server) ||
	    signal_term_counter != users->signals)
		return FALSE;
	return !doveadm_cmd_param_str(ctx->cctx, "user", &mask) ||
		wildcard_match_icase(username, mask);
}

/* As doveadm does for the users that it makes. */
static void
users_set_log_prefix(const struct doveadm_cmd_context *cctx,
		     const char *username)
{
	const char *ip = net_ip2addr(&cctx->remote_ip);

	i_set_failure_prefix("doveadm(%s%s%s): ", ip, *ip == '\0' ? "" : ",",
			     username);
}

/* -- glances -- */
struct glance {
	const char *username;
	/* NULL: it is doveadm's, which says what is wrong where something is */
	struct pop3_policy_maildrop *md;
	struct mail_user *user;
	struct mail_storage_service_user *service_user;
};

static void glance_free(gpointer data)
{
	struct glance *glance = data;

	pop3_policy_maildrop_deinit(&glance->md);
	if (glance->user != NULL)
		mail_user_unref(&glance->user);
	if (glance->service_user != NULL)
		mail_storage_service_user_unref(&glance->service_user);
	g_free(glance);
}

static void
glance_open_dict(struct doveadm_pop3_users *users, struct glance *glance)
{
	const char *error;

	if (!doveadm_pop3_rights_enter(&users->rights, glance->user))
		return;
	pop3_policy_settings_silence(glance->user);
	if (pop3_policy_maildrop_init(glance->user, &glance->md, &error) > 0 &&
	    !glance->md->set->untold)
		pop3_policy_store_look_ahead(glance->md->store, users->key);
	else
		pop3_policy_maildrop_deinit(&glance->md);
}

static void
glance_begin(struct doveadm_pop3_users *users, struct glance *glance)
{
	struct doveadm_mail_cmd_context *ctx = &users->ctx;
	struct mail_storage_service_input input = ctx->storage_service_input;
	const char *error;

	doveadm_pop3_rights_leave(&users->rights);
	users_set_log_prefix(ctx->cctx, glance->username);
	input.username = glance->username;
	if (mail_storage_service_lookup(ctx->storage_service, &input,
					&glance->service_user, &error) <= 0) {
		glance->service_user = NULL;
		return;
	}
	glance->user = doveadm_pop3_slight_user_alloc(glance->service_user);
	if (glance->user != NULL)
		glance_open_dict(users, glance);
}

/* Returns TRUE if the user was dealt with. */
static bool
glance_end(struct doveadm_pop3_users *users, struct glance *glance)
{
	if (glance->md == NULL || signal_term_counter != users->signals ||
	    !doveadm_pop3_rights_enter(&users->rights, glance->user))
		return FALSE;
	users_set_log_prefix(users->ctx.cctx, glance->username);
	doveadm_print_sticky("username", glance->username);
	return users->glance(users, glance->md);
}

/* A whole mail user, who comes now, may take long. */
static void glance_settle(gpointer data, gpointer context ATTR_UNUSED)
{
	struct glance *glance = data;
	struct pop3_policy_deadline deadline;

	if (glance->md == NULL)
		return;
	deadline = doveadm_pop3_deadline(glance->md);
	if (!pop3_policy_store_settle(glance->md->store, &deadline))
		pop3_policy_maildrop_deinit(&glance->md);
}

/* -- the queue of them -- */
/* What is answered at once (a file's) needs no others ahead. */
static bool users_are_enough(struct doveadm_pop3_users *users)
{
	const struct glance *last = g_queue_peek_tail(&users->queue);

	return users->queue.length == USERS_AHEAD ||
		(last != NULL && last->md != NULL &&
		 pop3_policy_store_is_settled(last->md->store));
}

static int users_fill(struct doveadm_pop3_users *users)
{
	struct glance *glance;
	const char *username = NULL;
	int ret;

	while (!users_are_enough(users)) {
		ret = users_next_name(users, &username);
		if (ret <= 0)
			return ret;
		glance = g_new0(struct glance, 1);
		glance->username = p_strdup(users->ctx.pool, username);
		g_queue_push_tail(&users->queue, glance);
		if (users_may_glance(users, username)) T_BEGIN {
			glance_begin(users, glance);
		} T_END;
	}
	return 1;
}

static int
users_next(struct doveadm_mail_cmd_context *ctx, const char **username_r)
{
	struct doveadm_pop3_users *users =
		container_of(ctx, struct doveadm_pop3_users, ctx);
	struct glance *glance;
	bool done = TRUE;
	int ret = 1;

	/* the user before this one may have been a whole one, with his own */
	doveadm_pop3_rights_forget(&users->rights);
	while (done) {
		ret = users_fill(users);
		glance = g_queue_pop_head(&users->queue);
		if (glance == NULL)
			break;
		*username_r = glance->username;
		T_BEGIN {
			done = glance_end(users, glance);
		} T_END;
		glance_free(glance);
	}
	doveadm_pop3_rights_leave(&users->rights);
	if (done)
		return ret;
	g_queue_foreach(&users->queue, glance_settle, NULL);
	return 1;
}

void doveadm_pop3_users_init(struct doveadm_pop3_users *users,
			     doveadm_pop3_glance_t *glance, const char *key)
{
	users->ctx.v.get_next_user = users_next;
	users->glance = glance;
	users->key = key;
	users->signals = signal_term_counter;
	g_queue_init(&users->queue);
}

void doveadm_pop3_users_deinit(struct doveadm_pop3_users *users)
{
	g_queue_clear_full(&users->queue, glance_free);
	doveadm_pop3_rights_forget(&users->rights);
}
