/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What the files of pop3-policy-store share. */
#ifndef POP3_POLICY_STORE_PRIVATE_H
#define POP3_POLICY_STORE_PRIVATE_H

#include "pop3-policy-store.h"

struct dict;
struct dict_lookup_result;
struct ioloop;

struct pop3_policy_store {
	struct mail_user *user;
	struct dict *dict, *ledger_dict;
	/* the async lookup under way */
	struct store_lookup *lookup;
	/* the one that was begun ahead, its key, and 1 until it is answered */
	struct store_lookup *ahead;
	char *ahead_key;
	unsigned int ahead_pending;
	struct ioloop *ioloop;
	bool failed, abandoned;
};

/* Outlives the store where it was abandoned: the dict still points at it. */
struct store_lookup {
	struct pop3_policy_store *store;
	pop3_policy_lookup_callback_t *callback;
	void *context;
	/* from the heap: a callback runs in a data stack frame of its own */
	char *value, *error;
	unsigned int *pending;
};

typedef void store_lookup_callback_t(const struct dict_lookup_result *result,
				     struct store_lookup *lookup);
/* Asks the dict that KEY belongs to. */
void store_dict_lookup(struct pop3_policy_store *store, const char *key,
		       store_lookup_callback_t *callback,
		       struct store_lookup *lookup);

/* From enter() to leave() the dict lives in an ioloop of its own, in which
   nothing of the client's can run. enter() returns the ioloop before. */
struct ioloop *store_enter(struct pop3_policy_store *store);
void store_leave(struct pop3_policy_store *store, struct ioloop *prev_ioloop);
/* Runs the store's ioloop until *PENDING is 0. FALSE: DEADLINE passed. */
bool store_wait(struct pop3_policy_store *store,
		const struct pop3_policy_deadline *deadline,
		const unsigned int *pending);

/* An operation that never ended keeps a reference to its dict, which therefore
   cannot be closed. The next client must not get a process with such a thing
   in it. */
void store_abandoned(struct pop3_policy_store *store);

/* -- pop3-policy-store-lookup.c -- */
/* Ends what was begun ahead and never asked for. */
void store_ahead_deinit(struct pop3_policy_store *store);

#endif
