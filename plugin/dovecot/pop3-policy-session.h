/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   A POP3 session: what the plugin knows between the moment the client is
   created and the moment its user is gone. The way of the data is in
   plugin/DESIGN:

   login     +OK is held back, the state is awaited, the session decided
   gate      command lines, before the host sees them
   commands  the table of commands that the plugin handles itself
   mail      what was retrieved, and UIDLs for whoever asks lib-storage
   close     merge and commit, removal, events */
#ifndef POP3_POLICY_SESSION_H
#define POP3_POLICY_SESSION_H

#include "pop3-common.h"
#include "ostream.h"
#include "pop3-policy-maildrop.h"

struct istream;
struct mail;
struct pop3_policy_hold;
struct pop3_policy_gate;

/* A message that was sent whole; counts as retrieved once the client showed
   that it got it. */
struct pop3_policy_fetched {
	uint32_t uid;
	/* a command that starts at or behind this offset of the input proves
	   that the client got it */
	uoff_t proof_offset;
};

/* What is being sent, from the host's get_stream() on. */
enum pop3_policy_transfer_kind {
	POP3_POLICY_TRANSFER_RETR,
	POP3_POLICY_TRANSFER_TOP
};
struct pop3_policy_transfer {
	struct mail *mail;	/* NULL: nothing */
	enum pop3_policy_transfer_kind kind;
	struct istream *stream;
	/* what the client had been sent by then */
	uint64_t host_bytes;
};

struct pop3_policy_session {
	/* the user's, and whoever must look at it after the client may be
	   gone */
	int refcount;
	struct pop3_client_vfuncs super;
	struct mail_user *user;
	struct client *client;		/* NULL once it is gone */
	struct event *event;
	struct pop3_policy_maildrop *md;
	const struct pop3_policy_settings *set;
	time_t start_time;
	/* the host's session id, in log lines and usage */
	char *id;
	/* pop3_deleted_flag, or NULL where the host has none */
	char *deleted_flag;

	/* login */
	struct pop3_policy_hold *hold;
	stream_flush_callback_t *host_flush;
	void *host_flush_context;
	struct timeout *to_deadline;
	struct pop3_policy_deadline look_deadline;
	/* for all that the dict is asked before +OK; begins with INBOX open */
	struct pop3_policy_deadline deadline;
	bool deadline_began;
	bool lookup_done, namespaces_created;
	int lookup_ret;
	char *lookup_value, *lookup_error;

	/* the maildrop's state as this session works with it; NULL: the
	   plugin is off for this session */
	struct pp_state *state;
	/* UIDLs are answered from the state */
	bool pinned;
	/* the dict is out of reach, UIDLs by the witness: no facts */
	bool plain;
	/* the mail that the state knows is away, the mailbox is empty: the
	   state stays as it is */
	bool absent;
	/* mail that had gone is there again: all times restart */
	bool brought_back;
	/* the client was let in */
	bool accepted;
	/* what was new is stored: mark, ledger */
	bool new_stored;
	/* one line a session and cause */
	bool failure_logged;
	/* up to this UID messages were shown by the open rule in an outage */
	uint32_t shown_unstored;
	/* the highest UID in this session's view, and what is at or below;
	   its next UID - 1 */
	uint32_t highest_uid, messages, view_upto;

	struct pop3_policy_gate *gate;
	/* the client's, once that is about to be taken apart */
	struct ostream *output;

	/* facts */
	struct pop3_policy_transfer transfer;
	ARRAY(struct pop3_policy_fetched) fetched;
	struct pp_runs *retrieved, *deleted;
	/* what it lists, and since when, although it has a time of deletion;
	   NULL: none */
	struct pp_runs *relisted;
	/* how many messages the client was shown */
	uint32_t listed_messages;
	struct pp_counters counters;
};

/* The session of USER, or NULL where there is none. */
struct pop3_policy_session *pop3_policy_session_get(struct mail_user *user);
/* Begins one for CLIENT, whose user has MD. It has one reference. */
struct pop3_policy_session *
pop3_policy_session_create(struct client *client,
			   struct pop3_policy_maildrop *md);
void pop3_policy_session_ref(struct pop3_policy_session *session);
void pop3_policy_session_unref(struct pop3_policy_session **session);

/* Logs the first failure of a session with what follows from it; later ones
   are silent. */
void pop3_policy_session_failed(struct pop3_policy_session *session,
				const char *operation, const char *error,
				const char *consequence);

/* -- login (pop3-policy-login.c) -- */
/* Client created: holds +OK back and asks for the state. */
void pop3_policy_login_begin(struct pop3_policy_session *session);
/* Namespaces created: takes the look lock, takes the output's flush callback
   over; that is where the session is decided. */
void pop3_policy_login_namespaces(struct pop3_policy_session *session);
/* The client is being destroyed: gives what is held back to it. */
void pop3_policy_login_destroy(struct pop3_policy_session *session);

/* -- deciding (pop3-policy-decide.c) -- */
/* INBOX is open and the state is there (or will not come). Returns NULL if the
   session may go on, else the text of the refusal, without "-ERR". */
const char *pop3_policy_decide(struct pop3_policy_session *session);

/* -- storing what is new (pop3-policy-close.c) -- */
/* New messages are about to be shown: stores ledger and mark, within the
   deadline. Failure is logged, and caught up at close. */
void pop3_policy_store_new(struct pop3_policy_session *session);
/* The same as a part of CHANGE, which stores something before +OK anyway. 0, or
   -1 and *error_r. */
int pop3_policy_store_new_with(struct pop3_policy_session *session,
			       const struct pop3_policy_deadline *deadline,
			       struct pop3_policy_change *change,
			       const char **error_r);
/* The client is gone: merge and commit, removal, events. */
void pop3_policy_close(struct pop3_policy_session *session);

/* -- grace after DELE (pop3-policy-grace.c) -- */
/* The session was let in: tells which of its user's settings contradict each
   other or the host's, and what is in force instead. Notes what it lists
   although a client DELEd it. */
void pop3_policy_grace_login(struct pop3_policy_session *session);
/* The client is gone: where it DELEd nearly all, the grace is doubled. */
void pop3_policy_grace_close(struct pop3_policy_session *session);
/* TRUE if STATE says something else of what the host does after DELE. */
bool pop3_policy_grace_flag_changed(const struct pop3_policy_session *session,
				    const struct pp_state *state);
/* Notes in STATE the flag by which the host hides. TRUE if it changed. */
bool pop3_policy_grace_note_flag(struct pop3_policy_session *session,
				 struct pp_state *state);

/* -- gate (pop3-policy-gate.c) -- */
/* Puts the gate in front of the client's input. */
void pop3_policy_gate_install(struct pop3_policy_session *session);
/* Lines wait that nobody asks for: after the host's flush handler ran. */
void pop3_policy_gate_flushed(struct pop3_policy_session *session);
/* How much input has arrived by now, read or not: an offset of the input. */
uoff_t pop3_policy_gate_arrived(struct pop3_policy_session *session);

/* -- commands (pop3-policy-commands.c) -- */
enum pop3_policy_command_result {
	POP3_POLICY_COMMAND_PASS,	/* the host does it */
	POP3_POLICY_COMMAND_DONE,	/* answered */
	POP3_POLICY_COMMAND_RUNNING	/* client->cmd was set */
};
struct pop3_policy_command {
	const char *name;	/* upper case */
	/* ARGS: behind the name, leading spaces skipped */
	enum pop3_policy_command_result
		(*handler)(struct pop3_policy_session *session,
			   const char *args);
};
/* The command of LINE, LEN bytes without line end, or NULL: the host's. */
const struct pop3_policy_command *
pop3_policy_command_find(const unsigned char *line, size_t len);
/* Runs it; LINE is the same as a C string. */
enum pop3_policy_command_result
pop3_policy_command_run(struct pop3_policy_session *session,
			const struct pop3_policy_command *command,
			const char *line);

/* -- mail (pop3-policy-mail.c) -- */
void pop3_policy_mailbox_allocated(struct mailbox *box);
/* A command that starts at OFFSET of the input arrived: what was sent before
   it was got. */
void pop3_policy_mail_proof(struct pop3_policy_session *session,
			    uoff_t offset);
/* What the storage itself has as a mail's UIDL ("" where nothing), past the
   plugin's own answer. As mail_get_special(). */
int pop3_policy_mail_host_uidl(struct mail *mail, const char **value_r);

#endif
