/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The UIDL map of a maildrop: which UIDL each UID has. It is a sorted list of
   segments without overlap:

   - a rule: UIDs FIRST..LAST have the UIDL of the UIDs OLD_FIRST.. of an
     UIDVALIDITY, printed as the host's default format does
     (%08x of the UID, %08x of the validity; 16 hex digits). The last segment
     may be open-ended: it holds for mail still to come.
   - an explicit text for one UID.

   A validity that was used once is never used for other messages: whoever
   opens a rule asks pp_state_next_validity(). */
#ifndef PP_UIDL_H
#define PP_UIDL_H

#include <glib.h>

struct pp_uidl_seg {
	guint32 first, last;	/* last == PP_UID_MAX: open-ended */
	guint32 old_first;	/* rule: the UID that FIRST is printed as */
	guint32 validity;	/* rule */
	char *text;		/* explicit UIDL (first == last), or NULL */
};

struct pp_uidl_map;

/* A map without segments: no UID has a UIDL. */
struct pp_uidl_map *pp_uidl_map_new(void);
struct pp_uidl_map *pp_uidl_map_copy(const struct pp_uidl_map *map);
void pp_uidl_map_free(struct pp_uidl_map *map);

/* Gives FIRST..LAST to a rule; replaces what was there. LAST may be
   PP_UID_MAX. Neighbours that continue each other become one segment. */
void pp_uidl_map_set_rule(struct pp_uidl_map *map, guint32 first, guint32 last,
			  guint32 old_first, guint32 validity);
/* Gives UID the explicit UIDL TEXT (which must be pp_uidl_is_valid(); copied);
   replaces what was there. */
void pp_uidl_map_set_text(struct pp_uidl_map *map, guint32 uid,
			  const char *text);
/* The open-ended rule. FALSE if there is none. */
gboolean pp_uidl_map_get_open(const struct pp_uidl_map *map, guint32 *first_r,
			      guint32 *validity_r);

guint pp_uidl_map_count(const struct pp_uidl_map *map);
const struct pp_uidl_seg *pp_uidl_map_at(const struct pp_uidl_map *map,
					 guint index);
/* The segment of UID, or NULL. Logarithmic. */
const struct pp_uidl_seg *pp_uidl_map_find(const struct pp_uidl_map *map,
					   guint32 uid);

/* TRUE if the map is a single open-ended rule from UID 1 with old UID = UID
   and VALIDITY: such a maildrop can be served without its state. */
gboolean pp_uidl_map_is_plain(const struct pp_uidl_map *map, guint32 validity);

/* Prints the UIDL of UID, which SEG covers, into BUF of at least
   PP_UIDL_MAX_LEN + 1 bytes, ends it with NUL and returns its length. */
guint pp_uidl_print(const struct pp_uidl_seg *seg, guint32 uid, char *buf);
/* The UIDL of UID as a new string, or NULL where the map has none. */
char *pp_uidl_map_dup(const struct pp_uidl_map *map, guint32 uid);

/* 1 to 70 characters of 0x21 to 0x7E (RFC 1939, section 7). */
gboolean pp_uidl_is_valid(const char *text);
/* TRUE if TEXT has the shape of a rule's UIDL: 16 hex digits, either case.
   Then *uid_r and *validity_r are what it stands for. */
gboolean pp_uidl_is_rule_shape(const char *text, guint32 *uid_r,
			       guint32 *validity_r);

/* An empty tree by UIDL; keys and values are the caller's. No hash table:
   UIDLs are chosen by who makes a file of them, or sends mail, and could all
   fall together in one. */
GTree *pp_uidl_tree_new(void);

/* The text of all segments but the open-ended one, without spaces, as tokens
   joined by ',': rules delta-coded,
       [GAP:]LENGTH@OLD.VALIDITY   another validity than the token before
       [GAP:]LENGTH+SKIP           SKIP old UIDs left out since the last rule
       [GAP:]LENGTH-BACK           old UIDs that go back
       [GAP:]"TEXT                 explicit, TEXT escaped with pp_escape() and
                                   ',' as %2C
   GAP as in pp-runs.h. Nothing: "-". Split into texts of at most MAX_BYTES,
   each of which decodes by itself: an array of strings (g_ptr_array_unref()
   frees them), at least one. */
GPtrArray *pp_uidl_map_encode(const struct pp_uidl_map *map, gsize max_bytes);
/* Adds the segments of TEXT to MAP. FALSE with ERROR set (SYNTAX) if it does
   not parse, overlaps what MAP has, or holds an illegal UIDL; MAP then has
   some of it and must be thrown away. */
gboolean pp_uidl_map_decode(struct pp_uidl_map *map, const char *text,
			    GError **error);

#endif
