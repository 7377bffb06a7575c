/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The users of -A, with Dovecot 2.4. The auth process of 2.4.1 gives a listing
   up that is not read for some seconds, as it happens where each user's turn
   comes between: then -A ends after some thousand users. So all names are read
   first. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "istream.h"
#include "mail-storage-service.h"
#include "doveadm-pop3.h"

#define USERS_EVENT_KEY "pop3_policy_users"

struct all_users {
	ARRAY_TYPE(const_string) names;
	unsigned int next;
	int ret;
};

static struct all_users *all_users_read(struct doveadm_mail_cmd_context *ctx)
{
	struct all_users *users = p_new(ctx->pool, struct all_users, 1);
	const char *name;

	p_array_init(&users->names, ctx->pool, 64);
	while ((users->ret = mail_storage_service_all_next(
				ctx->storage_service, &name)) > 0) {
		name = p_strdup(ctx->pool, name);
		array_push_back(&users->names, &name);
	}
	event_set_ptr(ctx->cctx->event, USERS_EVENT_KEY, users);
	return users;
}

/* -F's file is read as it comes. */
static int
users_from_file(struct doveadm_mail_cmd_context *ctx, const char **username_r)
{
	*username_r = i_stream_read_next_line(ctx->users_list_input);
	if (ctx->users_list_input->stream_errno == 0)
		return *username_r != NULL ? 1 : 0;
	e_error(ctx->cctx->event, "read(%s) failed: %s",
		i_stream_get_name(ctx->users_list_input),
		i_stream_get_error(ctx->users_list_input));
	return -1;
}

int doveadm_pop3_next_user(struct doveadm_mail_cmd_context *ctx,
			   const char **username_r)
{
	struct all_users *users =
		event_get_ptr(ctx->cctx->event, USERS_EVENT_KEY);

	if (ctx->users_list_input != NULL)
		return users_from_file(ctx, username_r);
	if (users == NULL)
		users = all_users_read(ctx);
	if (users->next == array_count(&users->names))
		return users->ret;
	*username_r = array_idx_elem(&users->names, users->next++);
	return 1;
}
