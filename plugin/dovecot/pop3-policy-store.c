/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-store.h. Transactions are opened only to be committed, one
   at a time, and are never rolled back: drivers differ in all of that. */
#include "pop3-policy-compat.h"
#include "ioloop.h"
#include "dict.h"
#include "mail-user.h"
#include "master-service.h"
#include "pop3-policy-settings.h"
#include "pop3-policy-store-private.h"

#include <time.h>

#define STORE_KEY_PREFIX DICT_PATH_PRIVATE"pop3-policy/"
#define STORE_LEDGER_PREFIX "ledger/"

struct store_commit {
	struct pop3_policy_store *store;
	char *error;
	unsigned int *pending;
};

static bool process_must_end = FALSE;

static uint64_t now_msecs(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
		i_fatal("clock_gettime(CLOCK_MONOTONIC) failed: %m");
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct pop3_policy_deadline pop3_policy_deadline_in(unsigned int msecs)
{
	struct pop3_policy_deadline deadline = { now_msecs() + msecs };

	return deadline;
}

unsigned int
pop3_policy_deadline_left(const struct pop3_policy_deadline *deadline)
{
	uint64_t now = now_msecs();

	return now >= deadline->msecs ? 0 : deadline->msecs - now;
}

struct pop3_policy_store *
pop3_policy_store_init(struct mail_user *user,
		       const struct pop3_policy_settings *set ATTR_UNUSED,
		       const char **error_r)
{
	struct pop3_policy_store *store = i_new(struct pop3_policy_store, 1);
	int ret;

	store->user = user;
	ret = pop3_policy_settings_open_dict(user, FALSE, &store->dict,
					     error_r);
	if (ret > 0) {
		ret = pop3_policy_settings_open_dict(user, TRUE,
						     &store->ledger_dict,
						     error_r);
		if (ret >= 0)
			return store;
	} else if (ret == 0) {
		*error_r = "no dict is set";
	}
	pop3_policy_store_deinit(&store);
	return NULL;
}

static void store_dict_deinit(struct dict **dict)
{
	if (*dict == NULL)
		return;
	dict_wait(*dict);
	dict_deinit(dict);
}

void pop3_policy_store_deinit(struct pop3_policy_store **_store)
{
	struct pop3_policy_store *store = *_store;

	*_store = NULL;
	if (store == NULL)
		return;
	pop3_policy_store_abandon(store);
	store_ahead_deinit(store);
	if (!store->abandoned) {
		store_dict_deinit(&store->dict);
		store_dict_deinit(&store->ledger_dict);
	}
	i_free(store);
}

bool pop3_policy_store_process_must_end(void)
{
	return process_must_end;
}

bool pop3_policy_store_has_ledger_dict(const struct pop3_policy_store *store)
{
	return store->ledger_dict != NULL;
}

bool pop3_policy_store_has_failed(const struct pop3_policy_store *store)
{
	return store->failed;
}

void store_abandoned(struct pop3_policy_store *store)
{
	store->failed = TRUE;
	store->abandoned = TRUE;
	process_must_end = TRUE;
	if (master_service != NULL)
		master_service_stop_new_connections(master_service);
}

static struct dict *
store_dict_for(struct pop3_policy_store *store, const char *key)
{
	if (store->ledger_dict != NULL &&
	    strncmp(key, STORE_LEDGER_PREFIX,
		    strlen(STORE_LEDGER_PREFIX)) == 0)
		return store->ledger_dict;
	return store->dict;
}

static const char *store_full_key(const char *key)
{
	return t_strconcat(STORE_KEY_PREFIX, key, NULL);
}

void store_dict_lookup(struct pop3_policy_store *store, const char *key,
		       store_lookup_callback_t *callback,
		       struct store_lookup *lookup)
{
	dict_lookup_async(store_dict_for(store, key),
			  mail_user_get_dict_op_settings(store->user),
			  store_full_key(key), *callback, lookup);
}

static void
store_lookup_async_callback(const struct dict_lookup_result *result,
			    struct store_lookup *lookup)
{
	struct pop3_policy_store *store = lookup->store;

	if (store != NULL) {
		store->lookup = NULL;
		if (result->ret < 0)
			store->failed = TRUE;
		lookup->callback(result->ret, result->value, result->error,
				 lookup->context);
	}
	i_free(lookup);
}

void pop3_policy_store_lookup_async(struct pop3_policy_store *store,
				    const char *key,
				    pop3_policy_lookup_callback_t *callback,
				    void *context)
{
	struct store_lookup *lookup;

	i_assert(store->lookup == NULL);

	if (store->failed) {
		callback(-1, NULL, "an earlier operation failed", context);
		return;
	}
	lookup = i_new(struct store_lookup, 1);
	lookup->store = store;
	lookup->callback = callback;
	lookup->context = context;
	store->lookup = lookup;
	store_dict_lookup(store, key, store_lookup_async_callback, lookup);
}

void pop3_policy_store_abandon(struct pop3_policy_store *store)
{
	if (store->lookup == NULL)
		return;
	store->lookup->store = NULL;
	store->lookup = NULL;
	store_abandoned(store);
}

static void store_switch_ioloop(struct pop3_policy_store *store)
{
	(void)dict_switch_ioloop(store->dict);
	if (store->ledger_dict != NULL)
		(void)dict_switch_ioloop(store->ledger_dict);
}

struct ioloop *store_enter(struct pop3_policy_store *store)
{
	struct ioloop *prev_ioloop = current_ioloop;

	store->ioloop = io_loop_create();
	store_switch_ioloop(store);
	return prev_ioloop;
}

void store_leave(struct pop3_policy_store *store, struct ioloop *prev_ioloop)
{
	io_loop_set_current(prev_ioloop);
	store_switch_ioloop(store);
	io_loop_set_current(store->ioloop);
	io_loop_destroy(&store->ioloop);
	io_loop_set_current(prev_ioloop);
}

static void store_wait_expired(bool *expired)
{
	*expired = TRUE;
	io_loop_stop(current_ioloop);
}

bool store_wait(struct pop3_policy_store *store,
		const struct pop3_policy_deadline *deadline,
		const unsigned int *pending)
{
	struct timeout *to;
	bool expired = FALSE;

	if (*pending == 0)
		return TRUE;
	/* the ioloop runs due timers before ready sockets: a reply that is
	   there is read even where no time is left */
	to = timeout_add(I_MAX(pop3_policy_deadline_left(deadline), 1),
			 store_wait_expired, &expired);
	while (*pending > 0 && !expired)
		io_loop_run(store->ioloop);
	timeout_remove(&to);
	return *pending == 0;
}

static void
store_commit_callback(const struct dict_commit_result *result,
		      struct store_commit *commit)
{
	if (commit->store == NULL) {
		i_free(commit);
		return;
	}
	switch (result->ret) {
	case DICT_COMMIT_RET_OK:
	case DICT_COMMIT_RET_NOTFOUND:
		break;
	case DICT_COMMIT_RET_FAILED:
	case DICT_COMMIT_RET_WRITE_UNCERTAIN:
		commit->error = i_strdup(result->error != NULL ?
					 result->error : "unknown error");
		break;
	}
	*commit->pending = 0;
	if (commit->store->ioloop != NULL)
		io_loop_stop(commit->store->ioloop);
}

/* Commits those WRITES that belong to DICT. */
static int
store_commit_dict(struct pop3_policy_store *store, struct dict *dict,
		  const struct pop3_policy_deadline *deadline,
		  const struct pop3_policy_write *writes, unsigned int count,
		  const char **error_r)
{
	struct dict_transaction_context *trans = NULL;
	struct store_commit *commit;
	unsigned int i, pending = 1;
	int ret = 0;

	for (i = 0; i < count; i++) {
		if (store_dict_for(store, writes[i].key) != dict)
			continue;
		if (trans == NULL) {
			trans = dict_transaction_begin(dict,
				mail_user_get_dict_op_settings(store->user));
		}
		if (writes[i].value == NULL)
			dict_unset(trans, store_full_key(writes[i].key));
		else
			dict_set(trans, store_full_key(writes[i].key),
				 writes[i].value);
	}
	if (trans == NULL)
		return 0;
	commit = i_new(struct store_commit, 1);
	commit->store = store;
	commit->pending = &pending;
	dict_transaction_commit_async(&trans, store_commit_callback, commit);
	if (!store_wait(store, deadline, &pending)) {
		commit->store = NULL;
		store_abandoned(store);
		*error_r = "no answer in time";
		return -1;
	}
	if (commit->error != NULL) {
		*error_r = t_strdup(commit->error);
		ret = -1;
	}
	i_free(commit->error);
	i_free(commit);
	return ret;
}

int pop3_policy_store_commit(struct pop3_policy_store *store,
			     const struct pop3_policy_deadline *deadline,
			     const struct pop3_policy_write *writes,
			     unsigned int count, const char **error_r)
{
	struct ioloop *prev_ioloop;
	int ret = 0;

	if (store->failed) {
		*error_r = "an earlier operation failed";
		return -1;
	}
	prev_ioloop = store_enter(store);
	if (store->ledger_dict != NULL)
		ret = store_commit_dict(store, store->ledger_dict, deadline,
					writes, count, error_r);
	if (ret == 0)
		ret = store_commit_dict(store, store->dict, deadline,
					writes, count, error_r);
	store_leave(store, prev_ioloop);
	if (ret < 0)
		store->failed = TRUE;
	return ret;
}
