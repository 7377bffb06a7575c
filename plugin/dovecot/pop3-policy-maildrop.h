/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   A user's maildrop on the stored side: dict, files and state together, and
   the one way in which anything is written: lock, read again, change, commit,
   unlock, witness. Used by sessions, removal and doveadm alike. */
#ifndef POP3_POLICY_MAILDROP_H
#define POP3_POLICY_MAILDROP_H

#include "pop3-policy-files.h"
#include "pop3-policy-settings.h"
#include "pop3-policy-store.h"
#include "pp-recovery.h"
#include "pp-usage.h"

struct mail_user;
struct mailbox;

#define POP3_POLICY_KEY_STATE "state"
#define POP3_POLICY_KEY_USAGE "usage/now"

struct pop3_policy_maildrop {
	struct mail_user *user;
	/* what is in force, and without the user's own policy, which was
	   OWN_POLICY (or NULL) when SET was made of it */
	const struct pop3_policy_settings *set, *base_set;
	const char *own_policy;
	struct pop3_policy_store *store;
	/* NULL until they were found, or created */
	struct pop3_policy_files *files;
};

/* Opens the dicts. Returns 1 if ok, 0 if the plugin is off for USER, -1 and
   *error_r. Allocated from the user's pool. */
int pop3_policy_maildrop_init(struct mail_user *user,
			      struct pop3_policy_maildrop **md_r,
			      const char **error_r);
void pop3_policy_maildrop_deinit(struct pop3_policy_maildrop **md);
/* Opens the files, once namespaces are there, if there are any. As
   pop3_policy_files_open(). */
int pop3_policy_maildrop_files(struct pop3_policy_maildrop *md,
			       const char **error_r);
/* The same, and creates them where they are not there; with BOX, the open
   INBOX (or NULL), also their directory. */
int pop3_policy_maildrop_create_files(struct pop3_policy_maildrop *md,
				      struct mailbox *box,
				      const char **error_r);

/* Parses the `state` document VALUE (NULL: nothing there) and loads the chunks
   that it names. *state_r (pp_state_free()) is set only for FOUND; *error_r for
   FAILED and DAMAGED, where it names the key. CHUNKS_R: NULL, or it becomes the
   chunks' texts as far as there are any, from the data stack, ended by NULL. */
enum pp_lookup
pop3_policy_maildrop_parse(struct pop3_policy_maildrop *md,
			   const struct pop3_policy_deadline *deadline,
			   const char *value, struct pp_state **state_r,
			   const char *const **chunks_r, const char **error_r);
/* Looks `state` up and parses it. */
enum pp_lookup
pop3_policy_maildrop_load(struct pop3_policy_maildrop *md,
			  const struct pop3_policy_deadline *deadline,
			  struct pp_state **state_r, const char **error_r);

/* -- writing (pop3-policy-maildrop-change.c) -- */
/* What to change. STATE is what is stored now (NULL: nothing there), and may be
   changed or replaced (*state, freeing the old). USAGE is NULL unless asked
   for. The callback returns 1: commit, 0: nothing to commit, -1: give up with
   *error_r. It may add writes of its own (ledger chunks). */
struct pop3_policy_change {
	struct pop3_policy_maildrop *md;
	const struct pop3_policy_deadline *deadline;
	struct pp_state **state;
	/* the chunks of what is stored now: none is written again as it is */
	const char *const *chunks;
	struct pp_usage *usage;		/* NULL if not asked for, or: */
	/* it cannot be read, which was logged: nothing is counted */
	bool usage_unreadable;
	GArray *filed;			/* struct pp_usage_filed */
	ARRAY(struct pop3_policy_write) writes;
	/* set by the callback: which of the two documents changed */
	bool state_changed, usage_changed;
};
/* Adds a write, or replaces that of the same KEY; both are copied. */
void pop3_policy_change_write(struct pop3_policy_change *change,
			      const char *key, const char *value);
/* The value that KEY is about to get, or NULL. */
const char *pop3_policy_change_pending(const struct pop3_policy_change *change,
				       const char *key);

/* Counts a session or a removal, pp_usage_add(), and what goes with it; nothing
   where USAGE is NULL. Sets usage_changed, or usage_unreadable (which is
   logged) if a period that becomes current again cannot be read. 0, or -1 and
   *error_r. */
int pop3_policy_change_count(struct pop3_policy_change *change,
			     const char *id,
			     const struct pp_counters *counters,
			     uint64_t ended, const char **error_r);
/* Takes over what is stored of the periods that CHANGE's filed ones say have
   begun. 1, 0 and *error_r if it cannot be read, -1 and *error_r if the dict
   failed. */
int pop3_policy_change_take(struct pop3_policy_change *change,
			    const char **error_r);

typedef int pop3_policy_change_callback_t(struct pop3_policy_change *change,
					  void *context,
					  const char **error_r);

/* Lock, read again, CALLBACK, commit, witness, unlock. WANT_STATE and
   WANT_USAGE: which documents are read. Returns 1 committed, 0 nothing to
   commit, -1 and *error_r. A damaged document is an error that names its key;
   nothing is overwritten. */
int pop3_policy_maildrop_change(struct pop3_policy_maildrop *md,
				const struct pop3_policy_deadline *deadline,
				bool want_state, bool want_usage,
				pop3_policy_change_callback_t *callback,
				void *context, const char **error_r);

/* Notes in the witness that UIDs up to UID were shown by the open rule although
   nothing could be stored. What fails here is not told: the dict's failure
   was. */
void pop3_policy_maildrop_shown(struct pop3_policy_maildrop *md,
				const struct pop3_policy_deadline *deadline,
				guint32 uid);

#endif
