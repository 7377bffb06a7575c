/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The one place that calls dict_*(). Keys are given without their prefix
   ("state", "uidl/0", "ledger/3", "usage/now"); ledger keys go to the ledger's
   dict where there is one. Waiting is done in an ioloop of its own and ends at
   a deadline. After the first failure every later call fails at once without
   asking the dict. */
#ifndef POP3_POLICY_STORE_H
#define POP3_POLICY_STORE_H

struct mail_user;
struct pop3_policy_settings;
struct pop3_policy_store;

/* A moment on the monotonic clock, in milliseconds. */
struct pop3_policy_deadline {
	uint64_t msecs;
};
/* The moment MSECS from now. */
struct pop3_policy_deadline pop3_policy_deadline_in(unsigned int msecs);
/* Milliseconds left, 0 if it has passed. */
unsigned int
pop3_policy_deadline_left(const struct pop3_policy_deadline *deadline);

/* Opens the user's dicts. Returns NULL and *error_r if that fails. Never
   waits. */
struct pop3_policy_store *
pop3_policy_store_init(struct mail_user *user,
		       const struct pop3_policy_settings *set,
		       const char **error_r);
/* Closes the dicts. Where an operation had to be abandoned they are left
   open, and the process was already told to take no further client. */
void pop3_policy_store_deinit(struct pop3_policy_store **store);

/* TRUE if any store of this process had to abandon an operation. */
bool pop3_policy_store_process_must_end(void);

/* TRUE if the ledger's keys go to a dict of their own, which may be out of
   reach by itself. */
bool pop3_policy_store_has_ledger_dict(const struct pop3_policy_store *store);

/* TRUE after the first failure. */
bool pop3_policy_store_has_failed(const struct pop3_policy_store *store);

/* RET: 1 found, 0 nothing there, -1 failed (ERROR says why). VALUE and ERROR
   live until the callback returns. */
typedef void pop3_policy_lookup_callback_t(int ret, const char *value,
					   const char *error, void *context);

/* Looks KEY up; the callback may run before this returns. It is called exactly
   once unless the lookup is abandoned. One at a time. */
void pop3_policy_store_lookup_async(struct pop3_policy_store *store,
				    const char *key,
				    pop3_policy_lookup_callback_t *callback,
				    void *context);
/* Gives up a lookup under way, if there is one: the callback is never called,
   the store has failed, and this process takes no further client. */
void pop3_policy_store_abandon(struct pop3_policy_store *store);

/* Looks up COUNT keys at once (a few at a time). Returns 0 if all were
   answered: values_r[i] is the value (from the data stack or POOL) or NULL
   where nothing is there. -1 and *error_r if one failed or DEADLINE passed. */
int pop3_policy_store_lookup(struct pop3_policy_store *store, pool_t pool,
			     const struct pop3_policy_deadline *deadline,
			     const char *const *keys, unsigned int count,
			     const char **values_r, const char **error_r);

/* Begins to look KEY up, for the next pop3_policy_store_lookup() of KEY alone.
   Once a store. */
void pop3_policy_store_look_ahead(struct pop3_policy_store *store,
				  const char *key);
/* TRUE if that is answered, or nothing was begun. */
bool pop3_policy_store_is_settled(const struct pop3_policy_store *store);
/* Waits until it is: a reply that is left unread for long would be
   called a timeout. FALSE: DEADLINE passed, and the store has failed. */
bool pop3_policy_store_settle(struct pop3_policy_store *store,
			      const struct pop3_policy_deadline *deadline);

struct pop3_policy_write {
	const char *key;
	const char *value;	/* NULL: unset (the key must exist) */
};

/* Commits WRITES in one transaction a dict, the ledger's first where it has
   its own. Returns 0, or -1 and *error_r: then it may have been applied all
   the same. */
int pop3_policy_store_commit(struct pop3_policy_store *store,
			     const struct pop3_policy_deadline *deadline,
			     const struct pop3_policy_write *writes,
			     unsigned int count, const char **error_r);

#endif
