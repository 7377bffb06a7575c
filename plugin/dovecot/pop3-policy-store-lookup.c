/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Lookups of the store that wait: see pop3-policy-store.h. */
#include "pop3-policy-compat.h"
#include "ioloop.h"
#include "dict.h"
#include "pop3-policy-store-private.h"

/* The dict service's replies have no flow control: more unread lookup replies
   than about 120 KB close or hang the connection. */
#define STORE_MAX_LOOKUPS 4

static void store_lookup_free(struct store_lookup *lookup)
{
	i_free(lookup->value);
	i_free(lookup->error);
	i_free(lookup);
}

static void
store_lookup_callback(const struct dict_lookup_result *result,
		      struct store_lookup *lookup)
{
	if (lookup->store == NULL) {
		store_lookup_free(lookup);
		return;
	}
	if (result->ret < 0)
		lookup->error = i_strdup(result->error);
	else if (result->ret > 0)
		lookup->value = i_strdup(result->value);
	i_assert(*lookup->pending > 0);
	if (--*lookup->pending == 0 && lookup->store->ioloop != NULL)
		io_loop_stop(lookup->store->ioloop);
}

static struct store_lookup *
store_lookup_begin(struct pop3_policy_store *store, const char *key,
		   unsigned int *pending)
{
	struct store_lookup *lookup = i_new(struct store_lookup, 1);

	lookup->store = store;
	lookup->pending = pending;
	store_dict_lookup(store, key, store_lookup_callback, lookup);
	return lookup;
}

/* Frees LOOKUP, which is answered. */
static int store_lookup_end(struct store_lookup *lookup, pool_t pool,
			    const char **value_r, const char **error_r)
{
	int ret = 0;

	if (lookup->error != NULL) {
		*error_r = t_strdup(lookup->error);
		ret = -1;
	}
	*value_r = p_strdup(pool, lookup->value);
	store_lookup_free(lookup);
	return ret;
}

/* Its callback may still come. */
static void store_lookup_give_up(struct store_lookup *lookup)
{
	lookup->store = NULL;
}

/* Looks up COUNT (few) keys at the same time. */
static int
store_lookup_few(struct pop3_policy_store *store, pool_t pool,
		 const struct pop3_policy_deadline *deadline,
		 const char *const *keys, unsigned int count,
		 const char **values_r, const char **error_r)
{
	struct store_lookup *lookups[STORE_MAX_LOOKUPS];
	unsigned int i, pending = count;
	bool finished;
	int ret = 0;

	for (i = 0; i < count; i++)
		lookups[i] = store_lookup_begin(store, keys[i], &pending);
	finished = store_wait(store, deadline, &pending);
	for (i = 0; i < count; i++) {
		if (!finished)
			store_lookup_give_up(lookups[i]);
		else if (store_lookup_end(lookups[i], pool, values_r + i,
					  error_r) < 0)
			ret = -1;
	}
	if (finished)
		return ret;
	store_abandoned(store);
	*error_r = "no answer in time";
	return -1;
}

/* -- ahead -- */
void pop3_policy_store_look_ahead(struct pop3_policy_store *store,
				  const char *key)
{
	i_assert(store->ahead == NULL);

	store->ahead_key = i_strdup(key);
	store->ahead_pending = 1;
	store->ahead = store_lookup_begin(store, key, &store->ahead_pending);
}

static struct store_lookup *store_ahead_take(struct pop3_policy_store *store)
{
	struct store_lookup *lookup = store->ahead;

	store->ahead = NULL;
	i_free(store->ahead_key);
	return lookup;
}

static int store_ahead_wait(struct pop3_policy_store *store,
			    const struct pop3_policy_deadline *deadline,
			    const char **error_r)
{
	if (store_wait(store, deadline, &store->ahead_pending))
		return 0;
	store_lookup_give_up(store_ahead_take(store));
	store_abandoned(store);
	*error_r = "no answer in time";
	return -1;
}

void store_ahead_deinit(struct pop3_policy_store *store)
{
	struct store_lookup *lookup;

	if (store->ahead == NULL)
		return;
	lookup = store_ahead_take(store);
	if (store->ahead_pending == 0) {
		store_lookup_free(lookup);
	} else {
		store_lookup_give_up(lookup);
		store_abandoned(store);
	}
}

bool pop3_policy_store_is_settled(const struct pop3_policy_store *store)
{
	return store->ahead == NULL || store->ahead_pending == 0;
}

bool pop3_policy_store_settle(struct pop3_policy_store *store,
			      const struct pop3_policy_deadline *deadline)
{
	struct ioloop *prev_ioloop;
	const char *error;
	int ret;

	if (pop3_policy_store_is_settled(store))
		return TRUE;
	prev_ioloop = store_enter(store);
	ret = store_ahead_wait(store, deadline, &error);
	store_leave(store, prev_ioloop);
	return ret == 0;
}

/* The answer to what was looked up ahead. */
static int
store_lookup_ahead(struct pop3_policy_store *store, pool_t pool,
		   const struct pop3_policy_deadline *deadline,
		   const char **value_r, const char **error_r)
{
	if (store_ahead_wait(store, deadline, error_r) < 0)
		return -1;
	return store_lookup_end(store_ahead_take(store), pool, value_r,
				error_r);
}

int pop3_policy_store_lookup(struct pop3_policy_store *store, pool_t pool,
			     const struct pop3_policy_deadline *deadline,
			     const char *const *keys, unsigned int count,
			     const char **values_r, const char **error_r)
{
	struct ioloop *prev_ioloop;
	unsigned int i, n;
	int ret = 0;

	if (store->failed) {
		*error_r = "an earlier operation failed";
		return -1;
	}
	prev_ioloop = store_enter(store);
	if (count == 1 && null_strcmp(keys[0], store->ahead_key) == 0) {
		ret = store_lookup_ahead(store, pool, deadline, values_r,
					 error_r);
		count = 0;
	}
	for (i = 0; i < count && ret == 0; i += n) {
		n = I_MIN(count - i, STORE_MAX_LOOKUPS);
		ret = store_lookup_few(store, pool, deadline, keys + i, n,
				       values_r + i, error_r);
	}
	store_leave(store, prev_ioloop);
	if (ret < 0)
		store->failed = TRUE;
	return ret;
}
