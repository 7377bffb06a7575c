/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Every bound of the core. Each is checked where data comes in and has a
   test. */
#ifndef PP_LIMITS_H
#define PP_LIMITS_H

#include <glib.h>

/* No stored value is larger than this many bytes: dict services take request
   lines of 64 KiB at most, in which some characters count double. */
#define PP_VALUE_MAX_BYTES (30 * 1024)

/* UIDL: 1 to 70 characters of 0x21 to 0x7E (RFC 1939, section 7). */
#define PP_UIDL_MAX_LEN 70

/* Runs of one kind of fact (first seen, retrieved, deleted) in a state. Past
   it times coarsen to the later one. */
#define PP_RUNS_MAX 700

/* As long as there are no more of a kind, runs have only UIDs of messages whose
   time it is. Past it they go over gone ones, so that they can coarsen. */
#define PP_RUNS_EXACT_MAX 350

/* The closed part of a UIDL map up to this many bytes is kept in the state
   itself; a longer one goes into chunks of its own (`uidl/<n>`). */
#define PP_MAP_INLINE_MAX_BYTES (4 * 1024)

/* The order of a listing in a state, where it is not that of UIDs. */
#define PP_ORDER_MAX_BYTES (4 * 1024)

/* Chunks of one kind that a state may name: 100 MB of UIDLs. */
#define PP_CHUNKS_MAX 4096

/* The user's own policy in a state. */
#define PP_POLICY_MAX_BYTES 1024

/* A keyword in a state: the flag of hidden messages. */
#define PP_FLAG_MAX_BYTES 128

/* Identities of the last shown messages kept in the state. */
#define PP_SHOWN_MAX 8

/* Session ids that usage/now remembers, so that a commit repeated after an
   uncertain failure counts once. */
#define PP_USAGE_SESSIONS_MAX 32
/* The same for replayed lines. */
#define PP_USAGE_REPLAYS_MAX 200
/* On so many later days a user must have come before a day is too old, not
   counting the current one: a clock that is far ahead for a night must not make
   it so. */
#define PP_USAGE_DAYS_SURE 2
/* A session id in a document: longer ones are cut. */
#define PP_USAGE_ID_MAX_LEN 64

/* The guard acts when at least this many shown messages, and half of those
   that were there at the last session's end, are gone or unrecognised. */
#define PP_GUARD_MIN_MESSAGES 5

/* One pass may always remove this many messages, whatever
   removal_limit_percent says. */
#define PP_REMOVAL_ALWAYS_ALLOWED 50
/* Messages removed between two releases of the exclusive look lock, for which
   a login waits: so many at first, then as many as go in so long, or all that
   are left where that takes twice as long at most. */
#define PP_REMOVAL_BATCH 500
#define PP_REMOVAL_BATCH_MAX 10000
#define PP_REMOVAL_BATCH_QUICK_MSECS 250
/* Where more was due than a pass may take, the rest waits this long; all passes
   of so long together take no more. */
#define PP_REMOVAL_NEXT_PASS_SECS (24 * 60 * 60)

/* mass_delete_percent looks at sessions that DELE at least this many. */
#define PP_MASS_DELETE_MIN_MESSAGES 20

/* UIDLs of others that look like a rule's have no higher validity: those above
   are for what recoveries will need. */
#define PP_VALIDITY_FOREIGN_MAX (G_MAXUINT32 - 65536)

/* Texts of UIDLs that are imported: a line (but for messages in them), all
   messages, and a message's header. */
#define PP_IMPORT_LINE_MAX_BYTES 2048
#define PP_IMPORT_MESSAGES_MAX 1000000
#define PP_IMPORT_HEADER_MAX_BYTES (256 * 1024)

/* UIDs are 1 to 2^32-1 (RFC 3501, section 2.3.1.1); this is "open-ended". */
#define PP_UID_MAX G_MAXUINT32

#endif
