/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The documents of a state. How large they are is in test-state-size.c. */
#include "test-common.h"
#include "pp-state.h"

#define GUID "0123456789abcdef0123456789abcdef"

static const struct pp_mailbox_id mailbox = { GUID, 1795474171 };

/* Never change these: they are what released versions have written. */
#define GOLDEN_NEW "pp1 state ea4d6166ab5b89b9 guid=" GUID \
	" uidvalidity=1795474171 generation=0 mark=0 count=0" \
	" high=1795474171 clock=1795400000 open=1.1.1795474171"
#define GOLDEN_FULL "pp1 state 7575caf2a8347738 guid=" GUID \
	" uidvalidity=1795474171 generation=7 mark=40210 count=40100" \
	" high=1795474172 clock=1795560571" \
	" shown=40209.1,40210.18446744073709551615" \
	" ledger=40.39001.40210 due=1795600000.12345678901234567890" \
	" bucket=1795560000.1500 policy=keep_retrieved=14%20days;" \
	" open=40202.40202.1795474172" \
	" map=40000@1.1790000000,200:\"a%2C%25" \
	" seen=40000+1795000000,210+400000" \
	" retr=5:39995+1795000060,200-30" \
	" dele=3+1795560571"
#define GOLDEN_CHUNKS "pp1 state cc9ca3e515de71cf guid=" GUID \
	" uidvalidity=1795474171 generation=0 mark=0 count=0" \
	" high=1795474171 clock=1795400000 open=9.9.1795474171" \
	" chunks=2.9c2fbb19c7be5c8f"
#define GOLDEN_CHUNK_0 "pp1 uidl 0b9357571e4e9284 map=3@1.1790000000,\"a"
#define GOLDEN_CHUNK_1 "pp1 uidl 9c2fbb19c7be5c8f" \
	" prev=0b9357571e4e9284 map=4:2@9.1790000000"

#define GOLDEN_HIDDEN "pp1 state f5c20cf19c3b404b guid=" GUID \
	" uidvalidity=1795474171 generation=0 mark=0 count=0" \
	" high=1795474171 clock=1795400000 hidden=$POP3%20%25" \
	" open=1.1.1795474171"
#define GOLDEN_EXPUNGES "pp1 state 9614e5afb6bec302 guid=" GUID \
	" uidvalidity=1795474171 generation=0 mark=0 count=0" \
	" high=1795474171 clock=1795400000 hidden=$POP3%20%25 expunges=1" \
	" open=1.1.1795474171"

static gboolean read_state(const char *text, GError **error)
{
	guint chunks;
	struct pp_state *state = pp_state_decode(text, &chunks, error);

	pp_state_free(state);
	return state != NULL;
}

static struct pp_runs *runs_from(const char *text)
{
	struct pp_runs *runs = pp_runs_decode(text, NULL);

	g_assert_nonnull(runs);
	return runs;
}

static void set_runs(struct pp_runs **runs, const char *text)
{
	pp_runs_free(*runs);
	*runs = runs_from(text);
}

static void assert_runs(const struct pp_runs *runs, const char *wanted)
{
	g_autofree char *text = pp_runs_encode(runs);

	g_assert_cmpstr(text, ==, wanted);
}

static struct pp_state *full_state(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1795560571);

	state->generation = 7;
	state->count = 40100;
	state->ledger_chunks = 40;
	state->ledger_last_first = 39001;
	state->ledger_upto = 40210;
	state->due = 1795600000;
	state->due_rules = G_GUINT64_CONSTANT(12345678901234567890);
	state->bucket_time = 1795560000;
	state->bucket_millis = 1500;
	state->policy = g_strdup("keep_retrieved=14 days;");
	pp_uidl_map_free(state->map);
	state->map = pp_uidl_map_new();
	pp_uidl_map_set_rule(state->map, 1, 40000, 1, 1790000000);
	g_assert_cmpuint(pp_state_open_rule(state, 40202, 1), ==, 1795474172);
	pp_uidl_map_set_text(state->map, 40201, "a,%");
	pp_state_add_shown(state, 40209, 1);
	pp_state_add_shown(state, 40210, G_MAXUINT64);
	set_runs(&state->first_seen, "40000+1795000000,210+400000");
	set_runs(&state->retrieved, "5:39995+1795000060,200-30");
	set_runs(&state->deleted, "3+1795560571");
	/* what was written without "exact" */
	state->spans = TRUE;
	return state;
}

static void test_golden_new(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1795400000), *again;
	g_autofree char *doc = test_encode_whole(state), *doc_again = NULL;

	g_assert_cmpstr(doc, ==, GOLDEN_NEW);
	again = test_state_from(GOLDEN_NEW);
	doc_again = test_encode_whole(again);
	g_assert_cmpstr(doc_again, ==, GOLDEN_NEW);
	pp_state_free(state);
	pp_state_free(again);
}

/* The flag of hidden messages, which most states do not have. */
static void check_golden_hidden(gboolean expunges, const char *golden)
{
	struct pp_state *state = pp_state_new(&mailbox, 1795400000), *again;
	g_autofree char *doc = NULL;

	state->hidden_flag = g_strdup("$POP3 %");
	state->host_expunges = expunges;
	doc = test_encode_whole(state);
	g_assert_cmpstr(doc, ==, golden);
	again = test_state_from(golden);
	g_assert_cmpstr(again->hidden_flag, ==, "$POP3 %");
	g_assert_true(again->host_expunges == expunges);
	pp_state_free(state);
	pp_state_free(again);
}

static void test_golden_hidden(void)
{
	check_golden_hidden(FALSE, GOLDEN_HIDDEN);
	check_golden_hidden(TRUE, GOLDEN_EXPUNGES);
}

static void test_golden_full(void)
{
	struct pp_state *state = full_state();
	g_autofree char *doc = test_encode_whole(state);

	g_assert_cmpstr(doc, ==, GOLDEN_FULL);
	pp_state_free(state);
}

/* What the golden state does not have. */
static void test_pass_and_exact(void)
{
	struct pp_state *state = full_state(), *again;
	g_autofree char *doc = NULL;

	state->spans = FALSE;
	state->pass_time = 1795560000;
	state->pass_messages = 300;
	state->pass_removed = 60;
	state->pass_told = TRUE;
	doc = test_encode_whole(state);
	g_assert_nonnull(strstr(doc, " pass=1795560000.300.60.1 "));
	g_assert_nonnull(strstr(doc, " exact=1 "));
	again = test_state_from(doc);
	g_assert_false(again->spans);
	g_assert_cmpuint(again->pass_time, ==, 1795560000);
	g_assert_cmpuint(again->pass_messages, ==, 300);
	g_assert_cmpuint(again->pass_removed, ==, 60);
	g_assert_true(again->pass_told);
	pp_state_free(state);
	pp_state_free(again);
}

static void test_golden_full_read(void)
{
	struct pp_state *state = test_state_from(GOLDEN_FULL);
	g_autofree char *doc = NULL, *uidl = NULL, *old = NULL;

	g_assert_true(pp_mailbox_id_equal(&state->mailbox, &mailbox));
	g_assert_cmpuint(state->generation, ==, 7);
	g_assert_cmpuint(state->mark, ==, 40210);
	g_assert_cmpuint(state->count, ==, 40100);
	g_assert_cmpuint(state->high_validity, ==, 1795474172);
	g_assert_cmpuint(state->clock, ==, 1795560571);
	g_assert_cmpuint(state->shown_count, ==, 2);
	g_assert_cmpuint(state->shown[0].uid, ==, 40209);
	g_assert_cmpuint(state->shown[1].id, ==, G_MAXUINT64);
	g_assert_cmpuint(state->ledger_chunks, ==, 40);
	g_assert_cmpuint(state->ledger_last_first, ==, 39001);
	g_assert_cmpuint(state->ledger_upto, ==, 40210);
	g_assert_cmpuint(state->due, ==, 1795600000);
	g_assert_cmpuint(state->due_rules, ==,
			 G_GUINT64_CONSTANT(12345678901234567890));
	g_assert_true(state->spans);
	g_assert_cmpuint(state->bucket_time, ==, 1795560000);
	g_assert_cmpuint(state->bucket_millis, ==, 1500);
	g_assert_cmpstr(state->policy, ==, "keep_retrieved=14 days;");
	uidl = pp_uidl_map_dup(state->map, 40201);
	g_assert_cmpstr(uidl, ==, "a,%");
	old = pp_uidl_map_dup(state->map, 40000);
	g_assert_cmpstr(old, ==, "00009c406ab13b80");
	assert_runs(state->retrieved, "5:39995+1795000060,200-30");
	assert_runs(state->deleted, "3+1795560571");

	doc = test_encode_whole(state);
	g_assert_cmpstr(doc, ==, GOLDEN_FULL);
	pp_state_free(state);
}

static void test_golden_chunks(void)
{
	struct pp_state *state = test_state_from(GOLDEN_CHUNKS);
	struct pp_uidl_map *map = pp_uidl_map_new();
	g_autoptr(GPtrArray) got = NULL, wanted = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_cmpuint(state->chunks, ==, 2);
	pp_state_add_chunk(state, 0, GOLDEN_CHUNK_0, &error);
	g_assert_no_error(error);
	pp_state_add_chunk(state, 1, GOLDEN_CHUNK_1, &error);
	g_assert_no_error(error);

	pp_uidl_map_set_rule(map, 1, 3, 1, 1790000000);
	pp_uidl_map_set_text(map, 4, "a");
	pp_uidl_map_set_rule(map, 5, 6, 9, 1790000000);
	pp_uidl_map_set_rule(map, 9, PP_UID_MAX, 9, 1795474171);
	got = pp_uidl_map_encode(state->map, 1000);
	wanted = pp_uidl_map_encode(map, 1000);
	g_assert_cmpstr(got->pdata[0], ==, wanted->pdata[0]);
	pp_state_free(state);
	pp_uidl_map_free(map);
}

static gboolean read_chunk_0(const char *text, GError **error)
{
	struct pp_state *state = test_state_from(GOLDEN_CHUNKS);
	gboolean good = pp_state_add_chunk(state, 0, text, error);

	pp_state_free(state);
	return good;
}

static gboolean read_chunk_1(const char *text, GError **error)
{
	struct pp_state *state = test_state_from(GOLDEN_CHUNKS);
	gboolean good;

	g_assert_true(pp_state_add_chunk(state, 0, GOLDEN_CHUNK_0, NULL));
	good = pp_state_add_chunk(state, 1, text, error);
	pp_state_free(state);
	return good;
}

static void test_damaged(void)
{
	test_damage(read_state, GOLDEN_NEW);
	test_damage(read_state, GOLDEN_FULL);
	test_damage(read_chunk_0, GOLDEN_CHUNK_0);
	test_damage(read_chunk_1, GOLDEN_CHUNK_1);
}

/* Whole chunks, but not those that the state names. */
static void test_wrong_chunks(void)
{
	static const struct {
		test_reader *reader;
		const char *fields;
		enum pp_error code;
	} rows[] = {
		{ read_chunk_0, "prev=e1a8e0cfe63e4c6a map=-",
		  PP_ERROR_CHECKSUM },
		{ read_chunk_1, "map=4:2@9.1790000000", PP_ERROR_CHECKSUM },
		{ read_chunk_1, "prev=0b9357571e4e9284 map=5:2@9.1790000000",
		  PP_ERROR_CHECKSUM },
		{ read_chunk_0, "map=3@1.1790000000,\"", PP_ERROR_SYNTAX },
		{ read_chunk_0, "map=3@1.1790000000 more=1",
		  PP_ERROR_SYNTAX },
		{ read_chunk_0, "x-map=-", PP_ERROR_SYNTAX },
		/* into the open rule */
		{ read_chunk_0, "map=9@1.1790000000", PP_ERROR_SYNTAX },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = test_sign("uidl", rows[i].fields);

		g_test_message("row %u: %s", i, rows[i].fields);
		test_expect_error(rows[i].reader, text, rows[i].code);
	}
	test_expect_error(read_chunk_0, GOLDEN_CHUNK_1, PP_ERROR_CHECKSUM);
	test_expect_error(read_chunk_1, GOLDEN_CHUNK_0, PP_ERROR_CHECKSUM);
	test_expect_error(read_chunk_0, GOLDEN_NEW, PP_ERROR_SYNTAX);
}

/* One after the other, each once. */
static void test_chunks_order(void)
{
	struct pp_state *state = test_state_from(GOLDEN_CHUNKS);
	static const struct {
		guint index;
		const char *text;
		gboolean good;
	} rows[] = {
		{ 1, GOLDEN_CHUNK_1, FALSE },
		{ 1, GOLDEN_CHUNK_0, FALSE },
		{ 0, GOLDEN_CHUNK_0, TRUE },
		{ 0, GOLDEN_CHUNK_0, FALSE },
		{ 2, GOLDEN_CHUNK_1, FALSE },
		{ 1, GOLDEN_CHUNK_1, TRUE },
		{ 1, GOLDEN_CHUNK_1, FALSE },
		{ 2, GOLDEN_CHUNK_1, FALSE },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;

		g_test_message("row %u", i);
		g_assert_cmpint(pp_state_add_chunk(state, rows[i].index,
						   rows[i].text, &error), ==,
				rows[i].good);
		if (!rows[i].good)
			g_assert_error(error, PP_ERROR, PP_ERROR_CHECKSUM);
	}
	pp_state_free(state);
}

static void test_too_many_chunks(void)
{
	struct pp_state *state = test_state_from(GOLDEN_NEW);

	g_assert_false(pp_state_add_chunk(state, 0, GOLDEN_CHUNK_0, NULL));
	pp_state_free(state);
}

#define BASE "guid=" GUID " uidvalidity=9 generation=0 mark=0 count=0 " \
	"high=9 clock=0"
#define OPEN " open=9999.1.9"
#define G_4294967296 "4294967296"
#define G_2_64 "18446744073709551616"

static void test_fields(void)
{
	static const struct {
		const char *fields;
		gint code;	/* -1: good */
	} rows[] = {
		{ BASE, -1 },
		{ BASE " x-later=1", -1 },
		{ BASE " later=1", PP_ERROR_SYNTAX },
		{ "guid=" GUID " generation=0 mark=0 count=0 high=9 clock=0",
		  PP_ERROR_SYNTAX },
		{ "uidvalidity=9 generation=0 mark=0 count=0 high=9 clock=0",
		  PP_ERROR_SYNTAX },
		{ "guid=" GUID " uidvalidity=9 mark=0 count=0 high=9 clock=0",
		  PP_ERROR_SYNTAX },
		{ "guid=" GUID " uidvalidity=9 generation=0 mark=0 count=0 "
		  "high=9 clock=x", PP_ERROR_SYNTAX },
		{ "guid=" GUID " uidvalidity=9 generation=0 count=0 mark="
		  G_4294967296 " high=9 clock=0", PP_ERROR_SYNTAX },
		/* shown */
		{ BASE " shown=1.2,2.3", -1 },
		{ BASE " shown=1.1,2.1,3.1,4.1,5.1,6.1,7.1,8.1", -1 },
		{ BASE " shown=1.1,2.1,3.1,4.1,5.1,6.1,7.1,8.1,9.1",
		  PP_ERROR_LIMIT },
		{ BASE " shown=2.2,1.3", PP_ERROR_SYNTAX },
		{ BASE " shown=1.2,1.3", PP_ERROR_SYNTAX },
		{ BASE " shown=0.2", PP_ERROR_SYNTAX },
		{ BASE " shown=1", PP_ERROR_SYNTAX },
		{ BASE " shown=1.", PP_ERROR_SYNTAX },
		{ BASE " shown=1.2,", PP_ERROR_SYNTAX },
		{ BASE " shown=1.2.3", PP_ERROR_SYNTAX },
		{ BASE " shown=" G_4294967296 ".1", PP_ERROR_SYNTAX },
		{ BASE " shown=1." G_2_64, PP_ERROR_SYNTAX },
		/* lists of numbers */
		{ BASE " ledger=1.2.3 due=1.2 bucket=1.2", -1 },
		{ BASE " ledger=1.2", PP_ERROR_SYNTAX },
		{ BASE " ledger=1.2.3.4", PP_ERROR_SYNTAX },
		{ BASE " ledger=1.2." G_4294967296, PP_ERROR_SYNTAX },
		{ BASE " due=1", PP_ERROR_SYNTAX },
		{ BASE " due=1.", PP_ERROR_SYNTAX },
		{ BASE " due=1." G_2_64, PP_ERROR_SYNTAX },
		{ BASE " bucket=1." G_4294967296, PP_ERROR_SYNTAX },
		{ BASE " bucket=1,2", PP_ERROR_SYNTAX },
		/* the policy */
		{ BASE " policy=%-", -1 },
		{ BASE " policy=%", PP_ERROR_SYNTAX },
		{ BASE " hidden=x", -1 },
		{ BASE " host=7", -1 },
		{ BASE " host=x", PP_ERROR_SYNTAX },
		{ BASE " host=4294967296", PP_ERROR_SYNTAX },
		{ BASE " hidden=%", PP_ERROR_SYNTAX },
		{ BASE " pass=18446744073709551615.4294967295.4294967295.1",
		  -1 },
		{ BASE " pass=1." G_4294967296 ".1.0", PP_ERROR_SYNTAX },
		{ BASE " pass=1.2.3.2", PP_ERROR_SYNTAX },
		{ BASE " pass=1.2.3", PP_ERROR_SYNTAX },
		{ BASE " exact=1", -1 },
		{ BASE " exact=2", PP_ERROR_SYNTAX },
		{ BASE " hidden=x expunges=1", -1 },
		{ BASE " expunges=0", PP_ERROR_SYNTAX },
		{ BASE " expunges=11", PP_ERROR_SYNTAX },
		/* the map: the open rule never overflows, nor is it above
		   what is known to be used */
		{ BASE " open=5.5.9 map=4@1.8", -1 },
		{ BASE " open=5.4.9", -1 },
		{ BASE " open=5.6.9", PP_ERROR_SYNTAX },
		{ BASE " open=5.0.9", PP_ERROR_SYNTAX },
		{ BASE " open=0.0.9", PP_ERROR_SYNTAX },
		{ BASE " open=5.5.10", PP_ERROR_SYNTAX },
		{ BASE " open=5.9", PP_ERROR_SYNTAX },
		{ BASE " open=4294967295.1.9", -1 },
		{ BASE " open=" G_4294967296 ".1.9", PP_ERROR_SYNTAX },
		{ BASE " open=5.5.9 map=5@1.8", PP_ERROR_SYNTAX },
		{ BASE " map=x", PP_ERROR_SYNTAX },
		/* chunks */
		{ BASE " chunks=4096.0123456789abcdef", -1 },
		{ BASE " chunks=4097.0123456789abcdef", PP_ERROR_LIMIT },
		{ BASE " chunks=0.0123456789abcdef", PP_ERROR_SYNTAX },
		{ BASE " chunks=1.0123456789abcde", PP_ERROR_SYNTAX },
		{ BASE " chunks=1.0123456789abcdef0", PP_ERROR_SYNTAX },
		{ BASE " chunks=1.0123456789ABCDEF", PP_ERROR_SYNTAX },
		{ BASE " chunks=1", PP_ERROR_SYNTAX },
		{ BASE " chunks=1.", PP_ERROR_SYNTAX },
		/* facts */
		{ BASE " seen=1+1 retr=1+1 dele=1+1", -1 },
		{ BASE " seen=x", PP_ERROR_SYNTAX },
		{ BASE " retr=1+1,1+0", PP_ERROR_SYNTAX },
		{ BASE " dele=4294967296+1", PP_ERROR_SYNTAX },
	};
	/* new mail would have no UIDL */
	g_autofree char *no_open = test_sign("state", BASE);
	guint i;

	test_expect_error(read_state, no_open, PP_ERROR_SYNTAX);
	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		gboolean open = strstr(rows[i].fields, " open=") != NULL;
		g_autofree char *fields = g_strconcat(rows[i].fields,
			open ? "" : OPEN, NULL);
		g_autofree char *text = test_sign("state", fields);

		g_test_message("%s", rows[i].fields + strlen(BASE));
		if (rows[i].code == -1)
			g_assert_true(read_state(text, NULL));
		else
			test_expect_error(read_state, text, rows[i].code);
	}
}

static char *many_runs(guint runs)
{
	GString *str = g_string_new("1+1");
	guint i;

	for (i = 1; i < runs; i++)
		g_string_append(str, ",1+1");
	return g_string_free(str, FALSE);
}

static void test_runs_limit(void)
{
	g_autofree char *most = many_runs(PP_RUNS_MAX);
	g_autofree char *more = many_runs(PP_RUNS_MAX + 1);
	g_autofree char *fields = g_strconcat(BASE OPEN " retr=", most, NULL);
	g_autofree char *fields_more = g_strconcat(BASE OPEN " retr=", more,
						   NULL);
	g_autofree char *good = test_sign("state", fields);
	g_autofree char *bad = test_sign("state", fields_more);

	g_assert_true(read_state(good, NULL));
	test_expect_error(read_state, bad, PP_ERROR_LIMIT);
}

static void test_map_limit(void)
{
	static const struct {
		gsize bytes;
		gint code;	/* -1: good */
	} rows[] = {
		{ PP_MAP_INLINE_MAX_BYTES, -1 },
		{ PP_MAP_INLINE_MAX_BYTES + 1, PP_ERROR_LIMIT },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) fields = g_string_new(BASE OPEN " map=\"a");
		gsize end = strlen(BASE OPEN " map=") + rows[i].bytes;
		g_autofree char *doc = NULL;

		while (fields->len + strlen(",\"a") <= end)
			g_string_append(fields, ",\"a");
		while (fields->len < end)
			g_string_append_c(fields, 'a');
		doc = test_sign("state", fields->str);
		if (rows[i].code == -1)
			g_assert_true(read_state(doc, NULL));
		else
			test_expect_error(read_state, doc, rows[i].code);
	}
}

static void check_text_limit(const char *name, gsize max_bytes)
{
	g_autofree char *text = g_strnfill(max_bytes + 1, ' ');
	g_autofree char *escaped = pp_escape(text);
	g_autofree char *fields = g_strdup_printf("%s %s=%s", BASE OPEN, name,
						  escaped);
	g_autofree char *doc = test_sign("state", fields);

	test_expect_error(read_state, doc, PP_ERROR_LIMIT);
}

static void test_text_limits(void)
{
	check_text_limit("policy", PP_POLICY_MAX_BYTES);
	check_text_limit("hidden", PP_FLAG_MAX_BYTES);
}

/* A rule above the highest validity used would be read as damage. */
static void test_high_validity(void)
{
	struct pp_state *state = pp_state_new(&mailbox, 1), *again;
	g_autofree char *doc = NULL;

	pp_uidl_map_set_rule(state->map, 7, PP_UID_MAX, 7, G_MAXUINT32);
	doc = test_encode_whole(state);
	again = test_state_from(doc);
	g_assert_cmpuint(again->high_validity, ==, G_MAXUINT32);
	pp_state_free(state);
	pp_state_free(again);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/state-codec/golden-new", test_golden_new);
	g_test_add_func("/state-codec/golden-hidden", test_golden_hidden);
	g_test_add_func("/state-codec/golden-full", test_golden_full);
	g_test_add_func("/state-codec/golden-full-read",
			test_golden_full_read);
	g_test_add_func("/state-codec/pass-and-exact", test_pass_and_exact);
	g_test_add_func("/state-codec/golden-chunks", test_golden_chunks);
	g_test_add_func("/state-codec/damaged", test_damaged);
	g_test_add_func("/state-codec/wrong-chunks", test_wrong_chunks);
	g_test_add_func("/state-codec/chunks-order", test_chunks_order);
	g_test_add_func("/state-codec/too-many-chunks", test_too_many_chunks);
	g_test_add_func("/state-codec/fields", test_fields);
	g_test_add_func("/state-codec/runs-limit", test_runs_limit);
	g_test_add_func("/state-codec/map-limit", test_map_limit);
	g_test_add_func("/state-codec/text-limits", test_text_limits);
	g_test_add_func("/state-codec/high-validity", test_high_validity);
	return g_test_run();
}
