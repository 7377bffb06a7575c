/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   UIDLs of others for the messages of a maildrop. */
#include "pp-adopt.h"
#include "pp-doc.h"
#include "pp-error.h"

#include <string.h>

#define VALIDITY 1000
#define NONE PP_SIZE_UNKNOWN

static const struct pp_mailbox_id mailbox = {
	"0123456789abcdef0123456789abcdef", VALIDITY
};

static guint64 hash(const char *text)
{
	return text == NULL ? 0 : pp_hash64(text, strlen(text));
}

/* What a row says of both sides. An UIDL or a UID ends them. */
struct side {
	const char *uidl;
	guint32 uid;
	const char *id, *guid;
	guint64 header, size;
};

static GArray *records_new(const struct side *sides)
{
	GArray *records = pp_import_record_array();

	for (guint i = 0; sides[i].uidl != NULL; i++) {
		struct pp_import_record record = {
			.line = i + 1, .uidl = g_strdup(sides[i].uidl),
			.id = g_strdup(sides[i].id),
			.guid = g_strdup(sides[i].guid),
			.size = sides[i].size, .header = sides[i].header
		};

		g_array_append_val(records, record);
	}
	return records;
}

static GArray *messages_new(const struct side *sides)
{
	GArray *messages = g_array_new(FALSE, FALSE,
				       sizeof(struct pp_adopt_message));

	for (guint i = 0; sides[i].uid != 0; i++) {
		struct pp_adopt_message message = {
			.identity = {
				sides[i].uid, hash(sides[i].id),
				hash(sides[i].guid), sides[i].header
			},
			.size = sides[i].size
		};

		g_array_append_val(messages, message);
	}
	return messages;
}

/* "UIDL:UID " for each record, "?" where ambiguous, "-" where none. */
static char *match_print(const struct pp_adopt *adopt)
{
	GString *str = g_string_new(NULL);

	for (guint i = 0; i < adopt->records->len; i++) {
		const struct pp_import_record *record =
			&g_array_index(adopt->records,
				       struct pp_import_record, i);
		guint m = adopt->message_of[i];

		g_string_append_printf(str, "%s:", record->uidl);
		if (m != PP_ADOPT_NONE) {
			g_assert_cmpuint(adopt->record_of[m], ==, i);
			g_string_append_printf(str, "%u ",
				g_array_index(adopt->messages,
					      struct pp_adopt_message,
					      m).identity.uid);
		} else {
			g_string_append(str, adopt->ambiguous[i] ? "? " :
					"- ");
		}
	}
	return g_string_free(str, FALSE);
}

static const struct {
	const char *name;
	struct side records[5], messages[5];
	const char *found, *by_order;
} matches[] = {
	{ "id", { { "a", 0, "x", NULL, 0, 1 }, { "b", 0, "y", NULL, 0, 1 } },
	  { { NULL, 1, "y", NULL, 0, 1 }, { NULL, 2, "x", NULL, 0, 1 } },
	  "a:2 b:1 ", "a:2 b:1 " },
	{ "GUID of a file name, and the other way",
	  { { "a", 0, NULL, "x", 0, 1 }, { "b", 0, "y", NULL, 0, 1 } },
	  { { NULL, 1, "f", "y", 0, 1 }, { NULL, 2, "x", NULL, 0, 1 } },
	  "a:2 b:1 ", "a:2 b:1 " },
	{ "a file that is gone, its size is another's",
	  { { "a", 0, "x", NULL, 0, 9 } }, { { NULL, 1, "y", NULL, 0, 9 } },
	  "a:- ", "a:1 " },
	{ "copies with one GUID go by order",
	  { { "a", 0, NULL, "x", 0, 1 }, { "b", 0, NULL, "x", 0, 1 } },
	  { { NULL, 1, "x", NULL, 0, 1 }, { NULL, 2, "x", NULL, 0, 1 } },
	  "a:1 b:2 ", "a:1 b:2 " },
	{ "one copy is gone",
	  { { "a", 0, NULL, "x", 0, 1 }, { "b", 0, NULL, "x", 0, 1 } },
	  { { NULL, 2, "x", NULL, 0, 1 } }, "a:? b:? ", "a:2 b:- " },
	{ "headers, whatever the size",
	  { { "a", 0, NULL, NULL, 7, 1 }, { "b", 0, NULL, NULL, 8, NONE } },
	  { { NULL, 1, "x", NULL, 8, 5 }, { NULL, 2, "y", NULL, 7, 6 } },
	  "a:2 b:1 ", "a:2 b:1 " },
	{ "the same headers, told apart by size",
	  { { "a", 0, NULL, NULL, 7, 1 }, { "b", 0, NULL, NULL, 7, 2 } },
	  { { NULL, 1, "x", NULL, 7, 2 }, { NULL, 2, "y", NULL, 7, 1 } },
	  "a:2 b:1 ", "a:2 b:1 " },
	{ "the same headers, other sizes",
	  { { "a", 0, NULL, NULL, 7, 1 }, { "b", 0, NULL, NULL, 7, 2 } },
	  { { NULL, 1, "x", NULL, 7, 3 }, { NULL, 2, "y", NULL, 7, 4 } },
	  "a:? b:? ", "a:1 b:2 " },
	{ "other headers are no match of sizes",
	  { { "a", 0, NULL, NULL, 7, 1 } }, { { NULL, 1, "x", NULL, 8, 1 } },
	  "a:- ", "a:- " },
	{ "sizes that are there once",
	  { { "a", 0, NULL, NULL, 0, 1 }, { "b", 0, NULL, NULL, 0, 0 } },
	  { { NULL, 1, "x", NULL, 0, 0 }, { NULL, 2, "y", NULL, 0, 1 } },
	  "a:2 b:1 ", "a:2 b:1 " },
	{ "sizes that are there twice",
	  { { "a", 0, NULL, NULL, 0, 1 }, { "b", 0, NULL, NULL, 0, 1 },
	    { "c", 0, NULL, NULL, 0, 5 } },
	  { { NULL, 1, "x", NULL, 0, 1 }, { NULL, 2, "y", NULL, 0, 1 },
	    { NULL, 3, "z", NULL, 0, 6 } },
	  "a:? b:? c:- ", "a:1 b:2 c:- " },
	{ "in order up to the first that differs",
	  { { "a", 0, NULL, NULL, 0, 1 }, { "b", 0, NULL, NULL, 0, 2 },
	    { "c", 0, NULL, NULL, 0, 1 } },
	  { { NULL, 1, "x", NULL, 0, 1 }, { NULL, 2, "y", NULL, 0, 3 },
	    { NULL, 3, "z", NULL, 0, 4 } },
	  "a:? b:- c:? ", "a:1 b:- c:- " },
	{ "UIDLs alone",
	  { { "a", 0, NULL, NULL, 0, NONE }, { "b", 0, NULL, NULL, 0, NONE } },
	  { { NULL, 1, "x", NULL, 0, 1 }, { NULL, 2, "y", NULL, 0, 1 } },
	  "a:- b:- ", "a:1 b:2 " },
	{ "UIDLs alone, of another number",
	  { { "a", 0, NULL, NULL, 0, NONE } },
	  { { NULL, 1, "x", NULL, 0, 1 }, { NULL, 2, "y", NULL, 0, 1 } },
	  "a:- ", "a:- " },
	{ "nothing on one side", { { "a", 0, "x", NULL, 0, 1 } }, { { 0 } },
	  "a:- ", "a:- " },
};

static void test_match(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(matches); i++) {
		g_autoptr(GArray) records = records_new(matches[i].records);
		g_autoptr(GArray) messages = messages_new(matches[i].messages);
		struct pp_adopt adopt;

		g_test_message("%s", matches[i].name);
		pp_adopt_init(&adopt, records, messages);
		for (gboolean by_order = FALSE; by_order <= TRUE; by_order++) {
			g_autofree char *found = NULL;

			pp_adopt_match(&adopt, by_order, TRUE);
			found = match_print(&adopt);
			g_assert_cmpstr(found, ==, by_order ?
					matches[i].by_order :
					matches[i].found);
		}
		pp_adopt_clear(&adopt);
	}
}

/* While headers may still be had, sizes alone say nothing. */
static void test_sizes_alone(void)
{
	static const struct side sides[] = {
		{ "a", 1, NULL, NULL, 0, 7 }, { 0 }
	};
	g_autoptr(GArray) records = records_new(sides);
	g_autoptr(GArray) messages = messages_new(sides);
	struct pp_adopt adopt;

	pp_adopt_init(&adopt, records, messages);
	pp_adopt_match(&adopt, FALSE, FALSE);
	g_assert_cmpuint(adopt.message_of[0], ==, PP_ADOPT_NONE);
	pp_adopt_match(&adopt, FALSE, TRUE);
	g_assert_cmpuint(adopt.message_of[0], ==, 0);
	pp_adopt_clear(&adopt);
}

#define RULE(uid) uid "000003e8"
/* the rule behind it */
#define NEXT(uid) uid "000003e9"

/* Messages 1 to 3 have ids x, y and z. What the state says before and after of
   UIDs 1 to 4, the last of which is still to come. */
static const struct {
	const char *name;
	struct side records[4];
	guint32 shown;
	gboolean force;
	struct pp_adopt_counts counts;
	const char *texts[3], *after[4];
} applies[] = {
	{ "new mail", { { "a", 0, "x", NULL, 0, 1 },
	  { "b", 0, "z", NULL, 0, 1 },
			{ "c", 0, "q", NULL, 0, 1 } }, 0, FALSE,
	  { 2, 2, 0, 0, 0, 1, 1 }, { NULL },
	  { "a", RULE("00000002"), "b", RULE("00000004") } },
	{ "once more", { { "a", 0, "x", NULL, 0, 1 },
			 { "b", 0, "z", NULL, 0, 1 } }, 3, FALSE,
	  { 2, 0, 2, 0, 0, 0, 1 }, { "a", NULL, "b" },
	  { "a", RULE("00000002"), "b", RULE("00000004") } },
	{ "what was shown stays", { { "a", 0, "x", NULL, 0, 1 } }, 1, FALSE,
	  { 1, 0, 0, 1, 0, 0, 2 }, { NULL },
	  { RULE("00000001"), RULE("00000002"), RULE("00000003"),
	    RULE("00000004") } },
	{ "force", { { "a", 0, "x", NULL, 0, 1 } }, 1, TRUE,
	  { 1, 1, 0, 0, 0, 0, 2 }, { NULL },
	  { "a", RULE("00000002"), RULE("00000003"), RULE("00000004") } },
	{ "another one has it", { { "b", 0, "x", NULL, 0, 1 } }, 2, TRUE,
	  { 0 }, { NULL, "b" },
	  { RULE("00000001"), "b", RULE("00000003"), RULE("00000004") } },
	{ "another one has it by a rule",
	  { { RULE("00000002"), 0, "x", NULL, 0, 1 } }, 2, TRUE, { 0 },
	  { NULL },
	  { RULE("00000001"), RULE("00000002"), RULE("00000003"),
	    RULE("00000004") } },
	{ "another one would have had it", { { "b", 0, "x", NULL, 0, 1 } }, 1,
	  TRUE, { 1, 1, 0, 0, 0, 0, 2 }, { NULL, "b" },
	  { "b", NEXT("00000002"), RULE("00000003"), "00000004000003ea" } },
	{ "two others would have had it by a rule",
	  { { RULE("00000002"), 0, "x", NULL, 0, 1 },
	    { RULE("00000003"), 0, "q", NULL, 0, 1 } }, 0, FALSE,
	  { 1, 1, 0, 0, 0, 1, 2 }, { NULL },
	  { RULE("00000002"), NEXT("00000002"), RULE("00000003"),
	    "00000004000003ea" } },
	{ "two change places", { { "b", 0, "x", NULL, 0, 1 },
				 { "a", 0, "y", NULL, 0, 1 } }, 3, TRUE,
	  { 2, 2, 0, 0, 0, 0, 1 }, { "a", "b" },
	  { "b", "a", RULE("00000003"), RULE("00000004") } },
	{ "of mail still to come",
	  { { RULE("00000004"), 0, "x", NULL, 0, 1 } }, 0, FALSE,
	  { 1, 1, 0, 0, 0, 0, 2 }, { NULL },
	  { RULE("00000004"), RULE("00000002"), RULE("00000003"),
	    NEXT("00000004") } },
	{ "a higher validity", { { "00000001000003f0", 0, "x", NULL, 0, 1 } },
	  0, FALSE, { 1, 1, 0, 0, 0, 0, 2 }, { NULL },
	  { "00000001000003f0", RULE("00000002"), RULE("00000003"),
	    "00000004000003f1" } },
	{ "the highest validities",
	  { { "0000000100000007", 0, "x", NULL, 0, 1 },
	    { "00000001fffffffe", 0, "y", NULL, 0, 1 } }, 0, FALSE, { 0 },
	  { NULL },
	  { RULE("00000001"), RULE("00000002"), RULE("00000003"),
	    RULE("00000004") } },
	{ "in capitals", { { "00000004000003E8", 0, "x", NULL, 0, 1 } },
	  0, FALSE, { 1, 1, 0, 0, 0, 0, 2 }, { NULL },
	  { "00000004000003E8", RULE("00000002"), RULE("00000003"),
	    NEXT("00000004") } },
	{ "a lower validity", { { "0000000700000001", 0, "x", NULL, 0, 1 },
				{ "0000000800000001", 0, "y", NULL, 0, 1 } },
	  0, FALSE, { 2, 2, 0, 0, 0, 0, 1 }, { NULL },
	  { "0000000700000001", "0000000800000001", RULE("00000003"),
	    RULE("00000004") } },
};

static void assert_counts(const struct pp_adopt_counts *a,
			  const struct pp_adopt_counts *b)
{
	g_assert_cmpuint(a->matched, ==, b->matched);
	g_assert_cmpuint(a->stored, ==, b->stored);
	g_assert_cmpuint(a->same, ==, b->same);
	g_assert_cmpuint(a->kept, ==, b->kept);
	g_assert_cmpuint(a->ambiguous, ==, b->ambiguous);
	g_assert_cmpuint(a->unmatched, ==, b->unmatched);
	g_assert_cmpuint(a->left, ==, b->left);
}

static void test_apply(void)
{
	static const struct side sides[] = {
		{ NULL, 1, "x", NULL, 0, 1 }, { NULL, 2, "y", NULL, 0, 1 },
		{ NULL, 3, "z", NULL, 0, 1 }, { 0 }
	};
	g_autoptr(GArray) messages = messages_new(sides);

	for (guint i = 0; i < G_N_ELEMENTS(applies); i++) {
		struct pp_state *state = pp_state_new(&mailbox, 1);
		g_autoptr(GArray) records = records_new(applies[i].records);
		g_autoptr(GError) error = NULL;
		struct pp_adopt_counts counts = { 0 };
		struct pp_adopt adopt;

		g_test_message("%s", applies[i].name);
		for (guint32 uid = 1; uid <= 3; uid++) {
			if (applies[i].texts[uid - 1] != NULL) {
				pp_uidl_map_set_text(state->map, uid,
					applies[i].texts[uid - 1]);
			}
		}
		pp_adopt_init(&adopt, records, messages);
		pp_adopt_match(&adopt, FALSE, TRUE);
		if (!pp_adopt_apply(&adopt, state, applies[i].shown, 4,
				    applies[i].force, &counts, &error))
			g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
		assert_counts(&counts, &applies[i].counts);
		for (guint32 uid = 1; uid <= 4; uid++) {
			g_autofree char *uidl =
				pp_uidl_map_dup(state->map, uid);

			g_assert_cmpstr(uidl, ==, applies[i].after[uid - 1]);
		}
		pp_adopt_clear(&adopt);
		pp_state_free(state);
	}
}

/* What was shown for a message that is gone goes to no other. */
static void test_gone(void)
{
	static const struct side sides[] = {
		{ NULL, 2, "x", NULL, 0, 1 }, { 0 }
	}, sources[] = { { "a", 0, "x", NULL, 0, 1 }, { 0 } };
	g_autoptr(GArray) messages = messages_new(sides);
	g_autoptr(GArray) records = records_new(sources);
	struct pp_state *state = pp_state_new(&mailbox, 1);
	struct pp_adopt_counts counts;
	g_autoptr(GError) error = NULL;
	struct pp_adopt adopt;

	pp_uidl_map_set_text(state->map, 1, "a");
	pp_adopt_init(&adopt, records, messages);
	pp_adopt_match(&adopt, FALSE, TRUE);
	g_assert_false(pp_adopt_apply(&adopt, state, 2, 3, TRUE, &counts,
				      &error));
	g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
	g_assert_cmpstr(error->message, ==, "line 1: UIDL a cannot be UID 2's: "
			"it was shown for UID 1, which is gone (leave out "
			"this line)");
	pp_adopt_clear(&adopt);
	pp_state_free(state);
}

/* Is A listed before B? */
static gboolean is_before(const struct pp_state *state, guint32 a, guint32 b)
{
	guint first = pp_order_position(state->order, a);
	guint second = pp_order_position(state->order, b);

	return first != second ? first < second : a < b;
}

static void assert_listed(const struct pp_state *state, guint32 a, guint32 b,
			  guint32 c)
{
	g_assert_true(is_before(state, a, b));
	g_assert_true(is_before(state, b, c));
}

static void test_order(void)
{
	static const struct side sides[] = {
		{ NULL, 1, "x", NULL, 0, 1 }, { NULL, 2, "y", NULL, 0, 1 },
		{ NULL, 3, "z", NULL, 0, 1 }, { 0 }
	}, some[] = {
		{ "a", 0, "z", NULL, 0, 1 }, { "b", 0, "q", NULL, 0, 1 },
		{ "c", 0, "x", NULL, 0, 1 }, { 0 }
	}, last[] = {
		{ "a", 0, "y", NULL, 0, 1 }, { 0 }
	};
	struct pp_state *state = pp_state_new(&mailbox, 1);
	g_autoptr(GArray) messages = messages_new(sides);
	g_autoptr(GArray) first_records = records_new(some);
	g_autoptr(GArray) second_records = records_new(last);
	struct pp_adopt adopt;

	pp_adopt_init(&adopt, first_records, messages);
	pp_adopt_match(&adopt, FALSE, TRUE);
	g_assert_true(pp_adopt_order(&adopt, state));
	assert_listed(state, 3, 1, 2);
	pp_adopt_clear(&adopt);
	/* what has no record stays behind as it was */
	pp_adopt_init(&adopt, second_records, messages);
	pp_adopt_match(&adopt, FALSE, TRUE);
	g_assert_true(pp_adopt_order(&adopt, state));
	assert_listed(state, 2, 3, 1);
	pp_adopt_clear(&adopt);
	pp_state_free(state);
}

/* An order that has no end is not kept, and the one that was there stays. */
static void test_order_too_long(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1);
	g_autoptr(GArray) records = pp_import_record_array();
	g_autoptr(GArray) messages =
		g_array_new(FALSE, FALSE, sizeof(struct pp_adopt_message));
	static const guint32 reversed[] = { 2, 1 };
	struct pp_adopt adopt;

	for (guint i = 0; i < 5000; i++) {
		struct pp_import_record record = {
			.uidl = g_strdup_printf("%u", i), .header = i + 1
		};
		struct pp_adopt_message message = {
			.identity = { .uid = i + 1, .header = i * 7 % 5000 + 1 }
		};

		g_array_append_val(records, record);
		g_array_append_val(messages, message);
	}
	g_assert_true(pp_state_set_order(state, reversed, 2));
	pp_adopt_init(&adopt, records, messages);
	pp_adopt_match(&adopt, FALSE, TRUE);
	g_assert_false(pp_adopt_order(&adopt, state));
	g_assert_cmpuint(pp_order_position(state->order, 2), ==, 0);
	pp_adopt_clear(&adopt);
	pp_state_free(state);
}

int main(int argc, char *argv[])
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/adopt/match", test_match);
	g_test_add_func("/adopt/sizes-alone", test_sizes_alone);
	g_test_add_func("/adopt/apply", test_apply);
	g_test_add_func("/adopt/gone", test_gone);
	g_test_add_func("/adopt/order", test_order);
	g_test_add_func("/adopt/order-too-long", test_order_too_long);
	return g_test_run();
}
