/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   What happens at login: the failure table, "is it the same mailbox", the
   guard. */
#include "pp-recovery.h"

#define GUID "0123456789abcdef0123456789abcdef"
#define OTHER_GUID "0123456789abcdef0123456789abcdee"
#define UIDVALIDITY 1000

/* UIDs up to 20 were shown, 8 messages were left at the last session's end */
static struct pp_state *make_state(void)
{
	struct pp_mailbox_id id = { GUID, UIDVALIDITY };
	struct pp_state *state = pp_state_new(&id, 1);

	state->mark = 20;
	state->count = 8;
	return state;
}

static struct pp_mailbox_now same_mailbox(void)
{
	struct pp_mailbox_now mailbox = {
		.id = { GUID, UIDVALIDITY }, .uidnext = 21, .messages = 8,
		.at_or_below_mark = 8, .above_mark = 0,
		.last_shown = PP_IDENTITY_SAME
	};

	return mailbox;
}

#define NONE { PP_WITNESS_NONE, 0, 0, FALSE, 0 }
#define UNREADABLE { PP_WITNESS_UNREADABLE, 0, 0, FALSE, 0 }
#define PLAIN { PP_WITNESS_THERE, UIDVALIDITY, UIDVALIDITY, TRUE, 0 }
#define PLAIN_OTHER { PP_WITNESS_THERE, 999, 999, TRUE, 0 }
/* the last UID that was shown in an outage is there, or is to be given again */
#define SHOWN { PP_WITNESS_THERE, UIDVALIDITY, UIDVALIDITY, TRUE, 20 }
#define REPEATS { PP_WITNESS_THERE, UIDVALIDITY, UIDVALIDITY, TRUE, 21 }
#define EXCEPTIONS { PP_WITNESS_THERE, UIDVALIDITY, UIDVALIDITY, FALSE, 0 }
#define EXC_OTHER { PP_WITNESS_THERE, 999, UIDVALIDITY, FALSE, 0 }
#define EXC_AHEAD { PP_WITNESS_THERE, UIDVALIDITY, UIDVALIDITY + 1, FALSE, 0 }
#define BEHIND { PP_WITNESS_THERE, UIDVALIDITY, UIDVALIDITY - 1, FALSE, 0 }

#define PIN TRUE
#define HOST FALSE

struct decide_row {
	const char *what;
	enum pp_lookup lookup;
	struct pp_witness witness;
	gboolean pinned;
	enum pp_login_action action;
	enum pp_refusal why;
};

#define ROW(lookup, witness, pinned, action, why) { \
	#lookup " " #witness " " #pinned, PP_LOOKUP_##lookup, witness, \
	pinned, PP_LOGIN_##action, PP_REFUSAL_##why }

/* The mailbox is the one that the state knows. */
static const struct decide_row decide_rows[] = {
	/* the usual login; no witness: the state moved to another host */
	ROW(FOUND, NONE, PIN, SERVE, NONE),
	ROW(FOUND, UNREADABLE, PIN, SERVE, NONE),
	ROW(FOUND, PLAIN, PIN, SERVE, NONE),
	ROW(FOUND, PLAIN_OTHER, PIN, SERVE, NONE),
	ROW(FOUND, EXCEPTIONS, PIN, SERVE, NONE),
	ROW(FOUND, EXC_OTHER, PIN, SERVE, NONE),
	/* the witness could not be written after the last commit */
	ROW(FOUND, BEHIND, PIN, SERVE, NONE),
	/* the dict came back from a backup */
	ROW(FOUND, EXC_AHEAD, PIN, REFUSE, OLDER),
	/* an older copy of the mailbox, of which only the witness tells */
	ROW(FOUND, SHOWN, PIN, SERVE, NONE),
	ROW(FOUND, REPEATS, PIN, REPEATS, NONE),
	ROW(FOUND, REPEATS, HOST, SERVE, NONE),
	ROW(FOUND, NONE, HOST, SERVE, NONE),
	ROW(FOUND, UNREADABLE, HOST, SERVE, NONE),
	ROW(FOUND, PLAIN, HOST, SERVE, NONE),
	ROW(FOUND, EXC_AHEAD, HOST, SERVE, NONE),

	/* the dict answers "nothing there" */
	ROW(NOTHING, NONE, PIN, FIRST_SIGHT, NONE),
	ROW(NOTHING, UNREADABLE, PIN, REFUSE, LOST),
	ROW(NOTHING, PLAIN, PIN, ANEW, NONE),
	ROW(NOTHING, PLAIN_OTHER, PIN, REFUSE, LOST),
	ROW(NOTHING, SHOWN, PIN, ANEW, NONE),
	ROW(NOTHING, REPEATS, PIN, REFUSE, LOST),
	ROW(NOTHING, EXCEPTIONS, PIN, REFUSE, LOST),
	ROW(NOTHING, EXC_OTHER, PIN, REFUSE, LOST),
	ROW(NOTHING, NONE, HOST, FIRST_SIGHT, NONE),
	ROW(NOTHING, UNREADABLE, HOST, FIRST_SIGHT, NONE),
	ROW(NOTHING, PLAIN, HOST, FIRST_SIGHT, NONE),
	ROW(NOTHING, PLAIN_OTHER, HOST, FIRST_SIGHT, NONE),
	ROW(NOTHING, EXCEPTIONS, HOST, FIRST_SIGHT, NONE),
	ROW(NOTHING, EXC_OTHER, HOST, FIRST_SIGHT, NONE),

	/* the dict is out of reach */
	ROW(FAILED, NONE, PIN, OFF, NONE),
	ROW(FAILED, UNREADABLE, PIN, REFUSE, UNREACHABLE),
	ROW(FAILED, PLAIN, PIN, PLAIN, NONE),
	ROW(FAILED, PLAIN_OTHER, PIN, REFUSE, UNREACHABLE),
	ROW(FAILED, SHOWN, PIN, PLAIN, NONE),
	ROW(FAILED, REPEATS, PIN, REFUSE, UNREACHABLE),
	ROW(FAILED, EXCEPTIONS, PIN, REFUSE, UNREACHABLE),
	ROW(FAILED, EXC_OTHER, PIN, REFUSE, UNREACHABLE),
	ROW(FAILED, NONE, HOST, OFF, NONE),
	ROW(FAILED, UNREADABLE, HOST, OFF, NONE),
	ROW(FAILED, PLAIN, HOST, OFF, NONE),
	ROW(FAILED, PLAIN_OTHER, HOST, OFF, NONE),
	ROW(FAILED, EXCEPTIONS, HOST, OFF, NONE),
	ROW(FAILED, EXC_OTHER, HOST, OFF, NONE),

	/* a damaged value: never overwritten, so nobody goes on */
	ROW(DAMAGED, NONE, PIN, REFUSE, DAMAGED),
	ROW(DAMAGED, UNREADABLE, PIN, REFUSE, DAMAGED),
	ROW(DAMAGED, PLAIN, PIN, REFUSE, DAMAGED),
	ROW(DAMAGED, PLAIN_OTHER, PIN, REFUSE, DAMAGED),
	ROW(DAMAGED, EXCEPTIONS, PIN, REFUSE, DAMAGED),
	ROW(DAMAGED, EXC_OTHER, PIN, REFUSE, DAMAGED),
	ROW(DAMAGED, NONE, HOST, REFUSE, DAMAGED),
	ROW(DAMAGED, PLAIN, HOST, REFUSE, DAMAGED),
	ROW(DAMAGED, EXCEPTIONS, HOST, REFUSE, DAMAGED)
};

static void test_decide(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(decide_rows); i++) {
		const struct decide_row *row = &decide_rows[i];
		struct pp_state *state = row->lookup == PP_LOOKUP_FOUND ?
			make_state() : NULL;
		struct pp_mailbox_now mailbox = same_mailbox();
		enum pp_refusal why = PP_REFUSAL_LOST;

		g_test_message("%s", row->what);
		g_assert_cmpint(pp_login_decide(row->lookup, state,
						&row->witness, &mailbox,
						row->pinned, &why),
				==, row->action);
		g_assert_cmpint(why, ==, row->why);
		pp_state_free(state);
	}
}

struct changed_row {
	const char *what;
	const char *guid;
	guint32 uidvalidity, uidnext, at_or_below_mark, above_mark;
	enum pp_identity_check last_shown;
	gboolean changed;
};

/* make_state() has mark 20 and count 8 */
static const struct changed_row changed_rows[] = {
	{ "nothing happened",
	  GUID, UIDVALIDITY, 21, 8, 0, PP_IDENTITY_SAME, FALSE },
	{ "mail arrived",
	  GUID, UIDVALIDITY, 25, 8, 4, PP_IDENTITY_SAME, FALSE },
	{ "mail was expunged",
	  GUID, UIDVALIDITY, 21, 7, 0, PP_IDENTITY_SAME, FALSE },
	{ "all of it was expunged",
	  GUID, UIDVALIDITY, 21, 0, 0, PP_IDENTITY_UNKNOWN, FALSE },
	{ "mail arrived and was expunged unseen",
	  GUID, UIDVALIDITY, 30, 8, 0, PP_IDENTITY_SAME, FALSE },
	{ "more than there were: some were brought back",
	  GUID, UIDVALIDITY, 21, 9, 0, PP_IDENTITY_SAME, FALSE },
	{ "the same, and mail arrived",
	  GUID, UIDVALIDITY, 25, 9, 4, PP_IDENTITY_SAME, FALSE },
	{ "the last shown ones are gone",
	  GUID, UIDVALIDITY, 25, 8, 4, PP_IDENTITY_UNKNOWN, FALSE },
	{ "another GUID",
	  OTHER_GUID, UIDVALIDITY, 21, 8, 0, PP_IDENTITY_SAME, TRUE },
	{ "another UIDVALIDITY",
	  GUID, UIDVALIDITY + 1, 21, 8, 0, PP_IDENTITY_SAME, TRUE },
	{ "next UID is the mark: an older copy",
	  GUID, UIDVALIDITY, 20, 8, 0, PP_IDENTITY_SAME, TRUE },
	{ "next UID is far below the mark",
	  GUID, UIDVALIDITY, 1, 0, 0, PP_IDENTITY_UNKNOWN, TRUE },
	{ "the last shown UID is another message",
	  GUID, UIDVALIDITY, 21, 8, 0, PP_IDENTITY_OTHER, TRUE },
	{ "fewer, and new UIDs: renumbered by dsync?",
	  GUID, UIDVALIDITY, 22, 7, 1, PP_IDENTITY_SAME, TRUE },
	{ "all above the mark: the uidlist was lost, UIDs went on",
	  GUID, UIDVALIDITY, 29, 0, 8, PP_IDENTITY_UNKNOWN, TRUE }
};

static struct pp_mailbox_now row_mailbox(const struct changed_row *row)
{
	struct pp_mailbox_now mailbox = {
		.id.uidvalidity = row->uidvalidity, .uidnext = row->uidnext,
		.messages = row->at_or_below_mark + row->above_mark,
		.at_or_below_mark = row->at_or_below_mark,
		.above_mark = row->above_mark, .last_shown = row->last_shown
	};

	g_strlcpy(mailbox.id.guid, row->guid, sizeof(mailbox.id.guid));
	return mailbox;
}

static void check_changed(const struct changed_row *row,
			  const struct pp_state *state)
{
	struct pp_mailbox_now mailbox = row_mailbox(row);
	struct pp_witness none = NONE, ahead = EXC_AHEAD;
	enum pp_login_action action = row->changed ?
		PP_LOGIN_RECOVER : PP_LOGIN_SERVE;
	enum pp_refusal why;

	g_test_message("%s", row->what);
	g_assert_cmpint(pp_mailbox_changed(state, &mailbox), ==, row->changed);
	g_assert_cmpint(pp_mailbox_brought_back(state, &mailbox), ==,
			!row->changed &&
			row->at_or_below_mark > state->count);
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &none,
					&mailbox, PIN, &why), ==, action);
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &none,
					&mailbox, HOST, &why), ==, action);
	/* recovering from an older state would use validities again */
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &ahead,
					&mailbox, PIN, &why),
			==, PP_LOGIN_REFUSE);
	g_assert_cmpint(why, ==, PP_REFUSAL_OLDER);
}

static void test_changed(void)
{
	struct pp_state *state = make_state();

	for (guint i = 0; i < G_N_ELEMENTS(changed_rows); i++)
		check_changed(&changed_rows[i], state);
	pp_state_free(state);
}

/* A state that has shown nothing fits any mail in its mailbox. */
static void test_nothing_shown(void)
{
	struct pp_mailbox_now mailbox = same_mailbox();
	struct pp_state *state = pp_state_new(&mailbox.id, 1);

	mailbox.uidnext = 1;
	mailbox.messages = 0;
	mailbox.at_or_below_mark = 0;
	mailbox.last_shown = PP_IDENTITY_UNKNOWN;
	g_assert_false(pp_mailbox_changed(state, &mailbox));
	mailbox.uidnext = 10;
	mailbox.messages = 9;
	mailbox.above_mark = 9;
	g_assert_false(pp_mailbox_changed(state, &mailbox));
	pp_state_free(state);
}

/* The witness is compared with the open rule, not with the UIDVALIDITY. */
static void test_older_after_recovery(void)
{
	struct pp_mailbox_now mailbox = same_mailbox();
	struct pp_witness witness = EXC_AHEAD;
	struct pp_state *state = make_state();
	enum pp_refusal why;

	pp_state_open_rule(state, 21, UIDVALIDITY);
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &witness,
					&mailbox, PIN, &why),
			==, PP_LOGIN_SERVE);
	witness.validity++;
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &witness,
					&mailbox, PIN, &why),
			==, PP_LOGIN_REFUSE);
	/* what an unreadable one says is not believed */
	witness.status = PP_WITNESS_UNREADABLE;
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &witness,
					&mailbox, PIN, &why),
			==, PP_LOGIN_SERVE);
	pp_state_free(state);
}

/* The witness that belongs to a state never calls it an older one. */
static void test_own_witness(void)
{
	struct pp_mailbox_now mailbox = same_mailbox();
	struct pp_state *state = make_state();
	struct pp_witness witness;
	enum pp_refusal why;

	pp_witness_from_state(state, &witness);
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &witness,
					&mailbox, PIN, &why),
			==, PP_LOGIN_SERVE);
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FAILED, NULL, &witness,
					&mailbox, PIN, &why),
			==, PP_LOGIN_PLAIN);

	pp_state_open_rule(state, 21, UIDVALIDITY);
	pp_witness_from_state(state, &witness);
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FOUND, state, &witness,
					&mailbox, PIN, &why),
			==, PP_LOGIN_SERVE);
	g_assert_cmpint(pp_login_decide(PP_LOOKUP_FAILED, NULL, &witness,
					&mailbox, PIN, &why),
			==, PP_LOGIN_REFUSE);
	g_assert_cmpint(why, ==, PP_REFUSAL_UNREACHABLE);
	pp_state_free(state);
}

struct guard_row {
	const char *what;
	guint32 count;
	guint lost;
	gboolean same_mailbox, acts;
};

static const struct guard_row guard_rows[] = {
	{ "nothing lost", 100, 0, FALSE, FALSE },
	{ "four of four", 4, 4, FALSE, FALSE },
	{ "five of five", 5, 5, FALSE, TRUE },
	{ "five of ten", 10, 5, FALSE, TRUE },
	{ "five of eleven", 11, 5, FALSE, FALSE },
	{ "half of many", 4000000000U, 2000000000, FALSE, TRUE },
	{ "less than half of many", 4000000000U, 1999999999, FALSE, FALSE },
	{ "all of them were expunged", 100, 100, TRUE, FALSE }
};

static void test_guard(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(guard_rows); i++) {
		const struct guard_row *row = &guard_rows[i];
		struct pp_state *old = make_state();
		struct pp_recovery recovery = {
			.lost = row->lost, .same_mailbox = row->same_mailbox
		};

		old->count = row->count;
		g_test_message("%s", row->what);
		g_assert_cmpint(pp_guard_acts(old, &recovery), ==, row->acts);
		pp_state_free(old);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/login/decide", test_decide);
	g_test_add_func("/login/changed", test_changed);
	g_test_add_func("/login/nothing-shown", test_nothing_shown);
	g_test_add_func("/login/older-after-recovery",
			test_older_after_recovery);
	g_test_add_func("/login/own-witness", test_own_witness);
	g_test_add_func("/login/guard", test_guard);
	return g_test_run();
}
