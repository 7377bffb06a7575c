/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The two small files beside the mailbox, in INBOX's control directory:
   `dovecot-pop3-policy`, the user's write lock, which also holds the witness;
   `dovecot-pop3-policy.look`, held shared by sessions until their facts are
   merged, and exclusively, a batch at a time, by removal. Both are flock'ed,
   never deleted, opened once. */
#ifndef POP3_POLICY_FILES_H
#define POP3_POLICY_FILES_H

#include "pop3-policy-store.h"
#include "pp-witness.h"

struct mail_user;
struct mailbox;
struct pop3_policy_files;

/* Opens the files of USER, whose namespaces must be there. Returns 1 if ok, 0
   if the directory (or, unless they may be CREATEd, the lock file) does not
   exist (yet), -1 and *error_r otherwise.
   What cannot be written, or not even read, is ok so far: the write lock is
   not to be had then, and a witness that is there still counts. */
int pop3_policy_files_open(struct mail_user *user, bool create,
			   struct pop3_policy_files **files_r,
			   const char **error_r);
/* Creates the directory for BOX, the open INBOX, which itself may have had no
   use for it. 0, or -1 and *error_r. */
int pop3_policy_files_mkdir(struct mailbox *box, const char **error_r);
/* Releases all locks and closes. NULL is fine. */
void pop3_policy_files_close(struct pop3_policy_files **files);

/* The shared look lock: waits for it until DEADLINE. Returns 1 had, 0 not had,
   -1 and *error_r. Having it already is 1. */
int pop3_policy_files_look(struct pop3_policy_files *files,
			   const struct pop3_policy_deadline *deadline,
			   const char **error_r);
/* The exclusive look lock, without waiting (a shared one that this handle has
   is given up first). 1 had, 0 another session looks, -1 and *error_r. */
int pop3_policy_files_look_alone(struct pop3_policy_files *files,
				 const char **error_r);
void pop3_policy_files_look_release(struct pop3_policy_files *files);

/* The write lock: waits until DEADLINE. Returns 0, or -1 and *error_r (busy,
   read-only, full: a failed commit). */
int pop3_policy_files_lock(struct pop3_policy_files *files,
			   const struct pop3_policy_deadline *deadline,
			   const char **error_r);
void pop3_policy_files_unlock(struct pop3_policy_files *files);

/* FILES may be NULL: no witness. */
void pop3_policy_files_read_witness(struct pop3_policy_files *files,
				    struct pp_witness *witness_r);
/* Writes WITNESS in place if it differs from what is there. The write lock
   must be held. Returns 0, or -1 and *error_r. */
int pop3_policy_files_write_witness(struct pop3_policy_files *files,
				    const struct pp_witness *witness,
				    const char **error_r);

#endif
