/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Recovery: which message is recognised as which, and what the state becomes.
   In the tables a message is UID:ID, UID:ID/GUID or UID:ID/GUID/HEADER, with
   numbers for hashes. */
#include <stdlib.h>
#include <string.h>
#include "pp-recovery.h"

#define GUID "0123456789abcdef0123456789abcdef"
#define NOW 5000

/* Mark 10. The UIDLs of old UIDs 1-10, as the tables print them, are
   1.1000 2.1000 3.1000 text-4 5.1000 106.900 .. 110.900; UID u was first seen
   at 100+u, 1-5 were retrieved at 200, 2 was DELEd at 300. */
static struct pp_state *make_state(guint32 count)
{
	struct pp_mailbox_id id = { GUID, 1000 };
	struct pp_state *state = pp_state_new(&id, 400);

	pp_uidl_map_set_rule(state->map, 6, 10, 106, 900);
	pp_uidl_map_set_text(state->map, 4, "text-4");
	for (guint32 uid = 1; uid <= 10; uid++)
		pp_runs_set(state->first_seen, uid, uid, 100 + uid);
	pp_runs_set(state->retrieved, 1, 5, 200);
	pp_runs_set(state->deleted, 2, 2, 300);
	state->mark = 10;
	state->count = count;
	state->generation = 7;
	state->ledger_chunks = 1;
	state->ledger_last_first = 1;
	state->ledger_upto = 10;
	state->due = 6000;
	state->due_rules = 1;
	state->bucket_millis = 1500;
	state->bucket_time = 399;
	state->policy = g_strdup("keep_retrieved=5");
	state->hidden_flag = g_strdup("Hidden");
	return state;
}

static GArray *parse_messages(const char *text)
{
	GArray *array = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	g_auto(GStrv) tokens = g_strsplit(text, " ", -1);

	for (guint i = 0; tokens[i] != NULL; i++) {
		struct pp_identity identity = { 0 };
		char *p;

		if (*tokens[i] == '\0')
			continue;
		identity.uid = strtoul(tokens[i], &p, 10);
		g_assert(*p == ':');
		identity.id = strtoull(p + 1, &p, 10);
		if (*p == '/')
			identity.guid = strtoull(p + 1, &p, 10);
		if (*p == '/')
			identity.header = strtoull(p + 1, &p, 10);
		g_assert(*p == '\0');
		g_array_append_val(array, identity);
	}
	return array;
}

static void print_time(GString *text, const struct pp_runs *runs, guint32 uid)
{
	guint64 time;

	if (pp_runs_get(runs, uid, &time))
		g_string_append_printf(text, ",%" G_GUINT64_FORMAT, time);
	else
		g_string_append(text, ",-");
}

/* "UIDL,first seen,retrieved,deleted" of UID */
static void print_message(GString *text, const struct pp_state *state,
			  guint32 uid)
{
	const struct pp_uidl_seg *seg = pp_uidl_map_find(state->map, uid);

	g_assert_nonnull(seg);
	if (seg->text != NULL) {
		g_string_append(text, seg->text);
	} else {
		g_string_append_printf(text, "%u.%u",
				       seg->old_first + (uid - seg->first),
				       seg->validity);
	}
	print_time(text, state->first_seen, uid);
	print_time(text, state->retrieved, uid);
	print_time(text, state->deleted, uid);
}

static char *print_all(const struct pp_state *state, const GArray *messages)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < messages->len; i++) {
		if (i > 0)
			g_string_append_c(text, ' ');
		print_message(text, state, g_array_index(messages,
					struct pp_identity, i).uid);
	}
	return g_string_free(text, FALSE);
}

enum outcome {
	ANOTHER,	/* mailbox */
	OLDER,		/* copy */
	UNMOVED
};

struct row {
	const char *what;
	const char *ledger, *messages;
	guint32 uidvalidity, uidnext, count;
	enum pp_identity_check last_shown;
	gboolean pinned;
	const char *expected;
	guint recognised, lost;
	enum outcome outcome;
};

#define SAME PP_IDENTITY_SAME
#define OTHER PP_IDENTITY_OTHER
#define UNKNOWN PP_IDENTITY_UNKNOWN

static const struct row rows[] = {
	{ "index lost, nothing expunged",
	  "1:11 2:12 3:13 4:14", "1:11 2:12 3:13 4:14", 2000, 11, 4, SAME, TRUE,
	  "1.1000,101,200,- 2.1000,102,200,300 3.1000,103,200,- "
	  "text-4,104,200,-", 4, 0, ANOTHER },
	{ "renumbered from 1 without gaps: the next UID goes back, that alone "
	  "is no older copy",
	  "2:12 4:14 6:16 9:19", "1:12 2:14 3:16 4:19", 2000, 5, 4, OTHER, TRUE,
	  "2.1000,102,200,300 text-4,104,200,- 106.900,106,-,- "
	  "109.900,109,-,-", 4, 0, ANOTHER },
	{ "an offset of an offset",
	  "7:17 8:18", "21:17 22:18", 2000, 23, 2, UNKNOWN, TRUE,
	  "107.900,107,-,- 108.900,108,-,-", 2, 0, ANOTHER },
	{ "another order",
	  "1:11 2:12 3:13", "1:13 2:12 3:11", 2000, 11, 3, OTHER, TRUE,
	  "3.1000,103,200,- 2.1000,102,200,300 1.1000,101,200,-",
	  3, 0, ANOTHER },
	{ "a new one among them has no facts, and a validity of its own",
	  "1:11 2:12", "1:11 2:99 3:12", 2000, 11, 2, OTHER, TRUE,
	  "1.1000,101,200,- 2.2000,5000,-,- 2.1000,102,200,300",
	  2, 0, ANOTHER },
	{ "a lower UIDVALIDITY: the number after the highest used one",
	  "1:11", "1:11 2:99", 500, 11, 1, OTHER, TRUE,
	  "1.1000,101,200,- 2.1001,5000,-,-", 1, 0, ANOTHER },
	{ "nothing recognised: all new, all lost",
	  "1:11 2:12 3:13", "1:21 2:22 3:23", 2000, 11, 3, OTHER, TRUE,
	  "1.2000,5000,-,- 2.2000,5000,-,- 3.2000,5000,-,-", 0, 3, ANOTHER },
	{ "nothing there",
	  "1:11 2:12", "", 2000, 11, 2, UNKNOWN, TRUE, "",
	  0, 2, ANOTHER },
	{ "no ledger",
	  NULL, "1:11 2:12", 2000, 11, 2, OTHER, TRUE,
	  "1.2000,5000,-,- 2.2000,5000,-,-", 0, 2, ANOTHER },
	{ "the host's UIDLs: neither UIDLs nor facts stay",
	  "1:11 2:12", "1:11 2:12", 2000, 11, 2, OTHER, FALSE,
	  "1.2000,5000,-,- 2.2000,5000,-,-", 2, 0, ANOTHER },

	/* identity */
	{ "by GUID, the file name changed",
	  "1:11/31 2:12/32", "1:52/32 2:51/31", 2000, 11, 2, OTHER, TRUE,
	  "2.1000,102,200,300 1.1000,101,200,-", 2, 0, ANOTHER },
	{ "maildir to dbox: the GUID is the id there",
	  "1:11/31 2:12", "1:31 2:12", 2000, 11, 2, OTHER, TRUE,
	  "1.1000,101,200,- 2.1000,102,200,300", 2, 0, ANOTHER },
	{ "dbox to maildir",
	  "1:31 2:12", "1:11/31 2:12", 2000, 11, 2, OTHER, TRUE,
	  "1.1000,101,200,- 2.1000,102,200,300", 2, 0, ANOTHER },
	{ "by header, a copy in a new mailbox",
	  "1:11/0/41 2:12/0/42", "1:91/0/42 2:92/0/41", 2000, 11, 2, OTHER,
	  TRUE, "2.1000,102,200,300 1.1000,101,200,-", 2, 0, ANOTHER },
	{ "the id goes before the GUID, that before the header",
	  "1:11/31/41 2:12/32/42 3:13/33/43",
	  "1:13/31/42 2:99/32/41 3:98/97/41", 2000, 11, 3, OTHER, TRUE,
	  "3.1000,103,200,- 2.1000,102,200,300 1.1000,101,200,-",
	  3, 0, ANOTHER },
	{ "what is not known (0) matches nothing",
	  "1:0 2:0", "1:0 2:0", 2000, 11, 2, OTHER, TRUE,
	  "1.2000,5000,-,- 2.2000,5000,-,-", 0, 2, ANOTHER },
	{ "twins by order",
	  "1:11 2:11 3:11", "4:11 5:11 6:11", 2000, 11, 3, OTHER, TRUE,
	  "1.1000,101,200,- 2.1000,102,200,300 3.1000,103,200,-",
	  3, 0, ANOTHER },
	{ "one more twin than before: each old UID is used once",
	  "1:11 2:11", "1:11 2:11 3:11", 2000, 11, 2, OTHER, TRUE,
	  "1.1000,101,200,- 2.1000,102,200,300 3.2000,5000,-,-",
	  2, 0, ANOTHER },
	{ "twice the same entry in the ledger",
	  "1:11 1:11", "1:11 2:11", 2000, 11, 1, OTHER, TRUE,
	  "1.1000,101,200,- 2.2000,5000,-,-", 1, 0, ANOTHER },
	{ "entries above the mark were never shown",
	  "1:11 11:21", "1:21 2:11", 2000, 12, 1, OTHER, TRUE,
	  "1.2000,5000,-,- 1.1000,101,200,-", 1, 0, ANOTHER },

	/* within one UIDVALIDITY */
	{ "dsync renumbered: 2 became 11, 12 is new",
	  "1:11 2:12 3:13", "1:11 3:13 11:12 12:22", 1000, 13, 3, SAME, TRUE,
	  "1.1000,101,200,- 3.1000,103,200,- 2.1000,102,200,300 "
	  "12.1001,5000,-,-", 3, 0, ANOTHER },
	{ "expunged and arrived, nothing moved",
	  "1:11 2:12 3:13", "1:11 3:13 11:21", 1000, 12, 3, SAME, TRUE,
	  "1.1000,101,200,- 3.1000,103,200,- 11.1000,-,-,-",
	  2, 1, UNMOVED },
	{ "the same where the last shown ones are gone",
	  "1:11 2:12 10:20", "1:11 11:21", 1000, 12, 3, UNKNOWN, TRUE,
	  "1.1000,101,200,- 11.1000,-,-,-", 1, 2, UNMOVED },
	{ "the same where all are gone",
	  "1:11 2:12", "11:21", 1000, 12, 2, UNKNOWN, TRUE,
	  "11.1000,-,-,-", 0, 2, UNMOVED },
	{ "nothing moved, one more than there were: it was put back",
	  "1:11 2:12", "1:11 2:12 11:21", 1000, 12, 1, SAME, TRUE,
	  "1.1000,101,200,- 2.1000,102,200,300 11.1000,-,-,-",
	  2, 0, UNMOVED },
	{ "the last shown one is another: the open rule ends",
	  "1:11 2:12", "1:11 2:22", 1000, 11, 2, OTHER, TRUE,
	  "1.1000,101,200,- 2.1001,5000,-,-", 1, 1, ANOTHER },
	{ "of twins the one that stayed keeps its own",
	  "1:11 2:11 3:13", "2:11 3:13 11:21", 1000, 12, 3, SAME, TRUE,
	  "2.1000,102,200,300 3.1000,103,200,- 11.1000,-,-,-",
	  2, 1, UNMOVED },
	{ "the ledger is not finished: a UID stands for itself",
	  "1:11", "1:11 3:13 11:21", 1000, 12, 3, SAME, TRUE,
	  "1.1000,101,200,- 3.1000,103,200,- 11.1000,-,-,-",
	  2, 1, UNMOVED },
	{ "but not where the ledger knows that UID as another message",
	  "1:11 3:12", "1:11 3:13 11:21", 1000, 12, 3, SAME, TRUE,
	  "1.1000,101,200,- 3.1001,5000,-,- 11.1001,5000,-,-",
	  1, 2, ANOTHER },
	{ "nor where it is not certain that this is the mailbox",
	  "1:11", "1:11 3:13 11:21", 1000, 12, 3, UNKNOWN, TRUE,
	  "1.1000,101,200,- 3.1001,5000,-,- 11.1001,5000,-,-",
	  1, 2, ANOTHER },

	/* UIDs between messages */
	{ "a rule goes over UIDs that do not exist",
	  "1:11 2:12 3:13", "1:11 3:13", 2000, 11, 2, OTHER, TRUE,
	  "1.1000,101,200,- 3.1000,103,200,-", 2, 0, ANOTHER },
	{ "but not where one of their UIDLs is another's",
	  "1:11 2:12 3:13", "1:11 3:13 5:12", 2000, 11, 3, OTHER, TRUE,
	  "1.1000,101,200,- 3.1000,103,200,- 2.1000,102,200,300",
	  3, 0, ANOTHER },
	{ "nor from one rule to the next",
	  "3:13 4:14 5:15", "3:13 5:15 9:14", 2000, 11, 3, OTHER, TRUE,
	  "3.1000,103,200,- 5.1000,105,200,- text-4,104,200,-",
	  3, 0, ANOTHER },

	/* twins in another mailbox */
	{ "one is gone, UIDs are kept: the other keeps its own",
	  "1:11 2:12 3:12", "1:11 3:12", 2000, 11, 2, OTHER, TRUE,
	  "1.1000,101,200,- 3.1000,103,200,-", 2, 0, ANOTHER },
	{ "one is gone, UIDs are others: it was an older one",
	  "1:11 2:12 3:12 4:12", "4:12 5:11 6:12", 2000, 11, 3, OTHER, TRUE,
	  "text-4,104,200,- 1.1000,101,200,- 3.1000,103,200,-", 3, 0,
	  ANOTHER },
	{ "all are there: by order",
	  "1:11 2:12 3:12", "1:12 3:12 4:11", 2000, 11, 3, OTHER, TRUE,
	  "2.1000,102,200,300 3.1000,103,200,- 1.1000,101,200,-", 3, 0,
	  ANOTHER },

	/* older copies: times restart where there were any */
	{ "the next UID is the mark",
	  "1:11 2:12 9:19 10:20", "1:11 2:12 9:19", 1000, 10, 4, SAME, TRUE,
	  "1.1000,5000,5000,- 2.1000,5000,5000,5000 109.900,5000,-,-",
	  3, 1, OLDER },
	{ "a used UID was given again",
	  "1:11 2:12", "1:11 2:22", 1000, 3, 2, SAME, TRUE,
	  "1.1000,5000,5000,- 2.1001,5000,-,-", 1, 1, OLDER },
	{ "a copy without its index",
	  "1:11 2:12 10:20", "1:11 2:12", 2000, 3, 3, OTHER, TRUE,
	  "1.1000,5000,5000,- 2.1000,5000,5000,5000", 2, 1, OLDER },
	{ "more are there than the last session left",
	  "1:11 2:12 3:13", "1:11 2:12 3:13", 2000, 11, 2, SAME, TRUE,
	  "1.1000,5000,5000,- 2.1000,5000,5000,5000 3.1000,5000,5000,-",
	  3, 0, OLDER },
};

/* The state is the old one. */
static void check_unchanged(const struct row *row, const struct pp_state *state)
{
	g_assert_cmpuint(state->generation, ==, 7);
	g_assert_cmpuint(state->mark, ==, 10);
	g_assert_cmpuint(state->count, ==, row->recognised);
	g_assert_cmpuint(state->clock, ==, 400);
	g_assert_cmpuint(state->shown_count, ==, 0);
	g_assert_cmpuint(state->ledger_chunks, ==, 1);
	g_assert_cmpuint(state->ledger_last_first, ==, 1);
	g_assert_cmpuint(state->ledger_upto, ==, 10);
	g_assert_cmpuint(state->due, ==, 6000);
	g_assert_cmpuint(state->due_rules, ==, 1);
	g_assert_cmpuint(state->high_validity, ==, 1000);
}

/* It is about the mailbox as it is now. */
static void check_changed(const struct pp_state *state, const GArray *messages)
{
	const struct pp_identity *last = messages->len == 0 ? NULL :
		&g_array_index(messages, struct pp_identity,
			       messages->len - 1);
	guint32 first, validity;

	g_assert_cmpuint(state->generation, ==, 8);
	g_assert_cmpuint(state->mark, ==, last != NULL ? last->uid : 0);
	g_assert_cmpuint(state->count, ==, messages->len);
	g_assert_cmpuint(state->clock, ==, NOW);
	g_assert_cmpuint(state->shown_count, ==,
			 MIN(messages->len, PP_SHOWN_MAX));
	if (last != NULL) {
		g_assert_cmpuint(state->shown[state->shown_count - 1].id, ==,
				 last->id);
	}
	g_assert_cmpuint(state->ledger_chunks, ==, 0);
	g_assert_cmpuint(state->ledger_last_first, ==, 0);
	g_assert_cmpuint(state->ledger_upto, ==, 0);
	g_assert_cmpuint(state->due, ==, 0);
	g_assert_true(pp_uidl_map_get_open(state->map, &first, &validity));
	g_assert_cmpuint(first, <=, state->mark + 1);
	g_assert_cmpuint(validity, ==, state->high_validity);
	g_assert_cmpuint(validity, >, 1000);
}

/* Every UID has a UIDL of its own, should a message come up there. */
static void check_all_uids(const struct pp_state *state)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash,
							   g_str_equal,
							   g_free, NULL);

	for (guint32 uid = 1; uid <= state->mark + 2; uid++) {
		char *uidl = pp_uidl_map_dup(state->map, uid);

		g_assert_nonnull(uidl);
		g_assert_true(g_hash_table_add(seen, uidl));
	}
}

static void check_rest(const struct row *row, const struct pp_state *state,
		       const GArray *messages)
{
	g_assert_cmpstr(state->mailbox.guid, ==, GUID);
	g_assert_cmpuint(state->mailbox.uidvalidity, ==, row->uidvalidity);
	g_assert_cmpuint(state->bucket_millis, ==, 1500);
	g_assert_cmpuint(state->bucket_time, ==, 399);
	g_assert_cmpstr(state->policy, ==, "keep_retrieved=5");
	g_assert_cmpstr(state->hidden_flag, ==, "Hidden");
	check_all_uids(state);
	if (row->outcome == UNMOVED)
		check_unchanged(row, state);
	else
		check_changed(state, messages);
}

static void check_row(const struct row *row)
{
	struct pp_state *old = make_state(row->count);
	g_autoptr(GArray) ledger = row->ledger == NULL ? NULL :
		parse_messages(row->ledger);
	g_autoptr(GArray) messages = parse_messages(row->messages);
	struct pp_mailbox_now mailbox = {
		.id = { GUID, row->uidvalidity }, .uidnext = row->uidnext,
		.messages = messages->len, .last_shown = row->last_shown
	};
	struct pp_recovery recovery;
	g_autofree char *text = NULL;

	pp_recover(old, ledger, messages, &mailbox, NOW, row->pinned,
		   &recovery);
	text = print_all(recovery.state, messages);
	g_assert_cmpstr(text, ==, row->expected);
	g_assert_cmpuint(recovery.recognised, ==, row->recognised);
	g_assert_cmpuint(recovery.lost, ==, row->lost);
	g_assert_cmpint(recovery.older_copy, ==,
			row->outcome == OLDER);
	g_assert_cmpint(recovery.unchanged, ==,
			row->outcome == UNMOVED);
	g_assert_cmpint(recovery.same_mailbox, ==, row->uidvalidity == 1000 &&
			row->uidnext > 10 && row->last_shown != OTHER);
	check_rest(row, recovery.state, messages);
	pp_state_free(recovery.state);
	pp_state_free(old);
}

static void test_recover(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].what);
		check_row(&rows[i]);
	}
}

/* The last shown ones are known even where the ledger is missing. */
static void test_shown(void)
{
	struct pp_state *old = make_state(2);
	g_autoptr(GArray) messages = parse_messages("1:19 2:20 3:33");
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 2000 }, .uidnext = 11, .messages = 3,
		.last_shown = OTHER
	};
	struct pp_recovery recovery;
	g_autofree char *text = NULL;

	pp_state_add_shown(old, 9, 19);
	pp_state_add_shown(old, 10, 20);
	pp_recover(old, NULL, messages, &mailbox, NOW, TRUE, &recovery);
	text = print_all(recovery.state, messages);
	g_assert_cmpstr(text, ==, "109.900,109,-,- 110.900,110,-,- "
			"3.2000,5000,-,-");
	pp_state_free(recovery.state);
	pp_state_free(old);
}

/* What is recognised by its id keeps the header hash that is known. */
static void test_headers_go_on(void)
{
	struct pp_state *old = make_state(3);
	g_autoptr(GArray) ledger = parse_messages("1:11//21 2:12//22 3:13//0");
	g_autoptr(GArray) messages =
		parse_messages("1:12//0 2:13//0 3:11//31 4:14//0");
	static const guint64 expected[] = { 22, 0, 31, 0 };
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 2000 }, .uidnext = 5, .messages = 4
	};
	struct pp_recovery recovery;

	pp_recover(old, ledger, messages, &mailbox, NOW, TRUE, &recovery);
	for (guint i = 0; i < messages->len; i++) {
		g_assert_cmpuint(g_array_index(messages, struct pp_identity,
					       i).header, ==, expected[i]);
	}
	pp_state_free(recovery.state);
	pp_state_free(old);
}

/* Between two rules that look like one there may be UIDLs of other messages:
   here 2.1000, which old UID 4 has. */
static void test_gap_between_rules(void)
{
	struct pp_state *old = make_state(3);
	g_autoptr(GArray) ledger = parse_messages("1:11 2:12 3:13 4:14");
	g_autoptr(GArray) messages = parse_messages("1:11 3:13 8:14");
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 2000 }, .uidnext = 11, .messages = 3
	};
	struct pp_recovery recovery;
	g_autofree char *text = NULL;

	pp_uidl_map_set_rule(old->map, 2, 2, 9, 500);
	pp_uidl_map_set_rule(old->map, 4, 4, 2, 1000);
	pp_recover(old, ledger, messages, &mailbox, NOW, TRUE, &recovery);
	text = print_all(recovery.state, messages);
	g_assert_cmpstr(text, ==, "1.1000,101,200,- 3.1000,103,200,- "
			"2.1000,104,200,-");
	check_all_uids(recovery.state);
	pp_state_free(recovery.state);
	pp_state_free(old);
}

/* A clock that went back stays noted. */
static void test_clock(void)
{
	struct pp_state *old = make_state(0);
	g_autoptr(GArray) messages = parse_messages("1:11");
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 2000 }, .uidnext = 2, .messages = 1
	};
	struct pp_recovery recovery;

	pp_recover(old, NULL, messages, &mailbox, 10, TRUE, &recovery);
	g_assert_cmpuint(recovery.state->clock, ==, 400);
	pp_state_free(recovery.state);
	pp_state_free(old);
}

/* The last UID there can be leaves no room for an open rule. */
static void test_last_uid(void)
{
	struct pp_state *old = make_state(1);
	g_autoptr(GArray) messages = parse_messages("1:11 4294967295:12");
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 2000 }, .uidnext = PP_UID_MAX, .messages = 2
	};
	struct pp_recovery recovery;
	g_autofree char *text = NULL;

	pp_recover(old, messages, messages, &mailbox, NOW, TRUE, &recovery);
	text = print_all(recovery.state, messages);
	g_assert_cmpstr(text, ==,
			"1.1000,101,200,- 4294967295.2000,5000,-,-");
	pp_state_free(recovery.state);
	pp_state_free(old);
}

/* A maildrop of which nothing is recognised is plain again. */
static void test_plain_again(void)
{
	struct pp_state *old = make_state(3);
	g_autoptr(GArray) messages = parse_messages("5:95 9:99");
	struct pp_mailbox_now mailbox = {
		.id = { GUID, 2000 }, .uidnext = 10, .messages = 2
	};
	struct pp_recovery recovery;

	pp_recover(old, NULL, messages, &mailbox, NOW, TRUE, &recovery);
	g_assert_true(pp_uidl_map_is_plain(recovery.state->map, 2000));
	pp_state_free(recovery.state);
	pp_state_free(old);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/recovery/recover", test_recover);
	g_test_add_func("/recovery/shown", test_shown);
	g_test_add_func("/recovery/headers-go-on", test_headers_go_on);
	g_test_add_func("/recovery/gap-between-rules",
			test_gap_between_rules);
	g_test_add_func("/recovery/clock", test_clock);
	g_test_add_func("/recovery/last-uid", test_last_uid);
	g_test_add_func("/recovery/plain-again", test_plain_again);
	return g_test_run();
}
