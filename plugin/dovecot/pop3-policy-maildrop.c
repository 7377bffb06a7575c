/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-maildrop.h. */
#include "pop3-policy-compat.h"
#include "mail-user.h"
#include "pop3-policy-maildrop.h"

int pop3_policy_maildrop_init(struct mail_user *user,
			      struct pop3_policy_maildrop **md_r,
			      const char **error_r)
{
	const struct pop3_policy_settings *set;
	struct pop3_policy_maildrop *md;

	if (pop3_policy_settings_get(user, &set) == 0)
		return 0;
	md = p_new(user->pool, struct pop3_policy_maildrop, 1);
	md->user = user;
	md->set = md->base_set = set;
	*md_r = md;
	md->store = pop3_policy_store_init(user, set, error_r);
	return md->store == NULL ? -1 : 1;
}

void pop3_policy_maildrop_deinit(struct pop3_policy_maildrop **_md)
{
	struct pop3_policy_maildrop *md = *_md;

	*_md = NULL;
	if (md == NULL)
		return;
	pop3_policy_store_deinit(&md->store);
	pop3_policy_files_close(&md->files);
}

int pop3_policy_maildrop_files(struct pop3_policy_maildrop *md,
			       const char **error_r)
{
	if (md->files != NULL)
		return 1;
	return pop3_policy_files_open(md->user, FALSE, &md->files, error_r);
}

int pop3_policy_maildrop_create_files(struct pop3_policy_maildrop *md,
				      struct mailbox *box, const char **error_r)
{
	int ret;

	if (md->files != NULL)
		return 1;
	ret = pop3_policy_files_open(md->user, TRUE, &md->files, error_r);
	if (ret != 0 || box == NULL)
		return ret;
	/* dbox has no use for a control directory of its own */
	if (pop3_policy_files_mkdir(box, error_r) < 0)
		return -1;
	return pop3_policy_files_open(md->user, TRUE, &md->files, error_r);
}

/* Loads the COUNT map chunks that STATE names. */
static enum pp_lookup
maildrop_load_chunks(struct pop3_policy_maildrop *md,
		     const struct pop3_policy_deadline *deadline,
		     struct pp_state *state, guint count,
		     const char *const **chunks_r, const char **error_r)
{
	g_autoptr(GError) error = NULL;
	const char **keys = t_new(const char *, count);
	const char **values = t_new(const char *, count + 1);
	guint i;

	for (i = 0; i < count; i++)
		keys[i] = t_strdup_printf("uidl/%u", i);
	if (pop3_policy_store_lookup(md->store, pool_datastack_create(),
				     deadline, keys, count, values,
				     error_r) < 0)
		return PP_LOOKUP_FAILED;
	for (i = 0; i < count; i++) {
		if (values[i] == NULL) {
			*error_r = t_strdup_printf(
				"%s: is missing", keys[i]);
			return PP_LOOKUP_DAMAGED;
		}
		if (!pp_state_add_chunk(state, i, values[i], &error)) {
			*error_r = t_strdup_printf("%s: %s", keys[i],
						   error->message);
			return PP_LOOKUP_DAMAGED;
		}
	}
	if (chunks_r != NULL)
		*chunks_r = values;
	return PP_LOOKUP_FOUND;
}

/* The user's own policy came with the state. Sessions that go on have what was
   in force before: it is not freed. */
static void maildrop_apply_policy(struct pop3_policy_maildrop *md,
				  const char *policy)
{
	if (null_strcmp(policy, md->own_policy) == 0)
		return;
	md->own_policy = p_strdup(md->user->pool, policy);
	md->set = pop3_policy_own_apply(md->user, md->base_set, policy);
}

enum pp_lookup
pop3_policy_maildrop_parse(struct pop3_policy_maildrop *md,
			   const struct pop3_policy_deadline *deadline,
			   const char *value, struct pp_state **state_r,
			   const char *const **chunks_r, const char **error_r)
{
	g_autoptr(GError) error = NULL;
	struct pp_state *state;
	enum pp_lookup ret = PP_LOOKUP_FOUND;
	guint chunks;

	if (chunks_r != NULL)
		*chunks_r = t_new(const char *, 1);
	if (value == NULL)
		return PP_LOOKUP_NOTHING;
	state = pp_state_decode(value, &chunks, &error);
	if (state == NULL) {
		*error_r = t_strdup_printf(POP3_POLICY_KEY_STATE": %s",
					   error->message);
		return PP_LOOKUP_DAMAGED;
	}
	if (chunks > 0)
		ret = maildrop_load_chunks(md, deadline, state, chunks,
					   chunks_r, error_r);
	if (ret == PP_LOOKUP_FOUND) {
		maildrop_apply_policy(md, state->policy);
		*state_r = state;
	} else {
		pp_state_free(state);
	}
	return ret;
}

enum pp_lookup
pop3_policy_maildrop_load(struct pop3_policy_maildrop *md,
			  const struct pop3_policy_deadline *deadline,
			  struct pp_state **state_r, const char **error_r)
{
	const char *key = POP3_POLICY_KEY_STATE, *value;

	if (pop3_policy_store_lookup(md->store, pool_datastack_create(),
				     deadline, &key, 1, &value, error_r) < 0)
		return PP_LOOKUP_FAILED;
	return pop3_policy_maildrop_parse(md, deadline, value, state_r, NULL,
					  error_r);
}
