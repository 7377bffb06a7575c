/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Texts of UIDLs from elsewhere. */
#include "pp-doc.h"
#include "pp-error.h"
#include "pp-import.h"
#include "pp-limits.h"

#include <string.h>

static guint64 header_hash(const char *header, gsize size, void *context)
{
	g_assert_null(context);
	g_assert_cmpuint(strlen(header), ==, size);
	return size;
}

/* Reads TEXT in pieces of STEP bytes. */
static struct pp_import *import_read(const char *text, gsize size, gsize step,
				     GError **error)
{
	struct pp_import *import = pp_import_new(PP_IMPORT_AUTO, header_hash,
						 NULL);

	for (gsize pos = 0; pos < size; pos += step) {
		if (!pp_import_push(import, text + pos, MIN(step, size - pos),
				    error)) {
			pp_import_free(import);
			return NULL;
		}
	}
	if (pp_import_end(import, error))
		return import;
	pp_import_free(import);
	return NULL;
}

/* What was read, in short: "LINE UIDL SIZE ID GUID HEADER;". */
static char *import_print(struct pp_import *import)
{
	GArray *records = pp_import_records(import);
	GString *str = g_string_new(NULL);

	for (guint i = 0; i < records->len; i++) {
		const struct pp_import_record *record =
			&g_array_index(records, struct pp_import_record, i);

		g_string_append_printf(str, "%u %s %"G_GINT64_FORMAT
			" %s %s %"G_GINT64_MODIFIER"x;", record->line,
			record->uidl, (gint64)record->size,
			record->id == NULL ? "-" : record->id,
			record->guid == NULL ? "-" : record->guid,
			record->header);
	}
	if (pp_import_without(import) > 0) {
		g_string_append_printf(str, "without %u",
				       pp_import_without(import));
	}
	return g_string_free(str, FALSE);
}

#define OWN "pop3-policy-uidls 1\n"
#define COURIER "/3 4 1795474171\n"
#define DOVECOT "3 V1795474171 N4 G0123456789abcdef0123456789abcdef\n"

static const struct {
	const char *name, *text, *records;
} good[] = {
	{ "our own", OWN
	  "uidl one size=12 id=1.M2.host,S=12 guid=a%20b "
	  "header=00000000000000ff\n"
	  "uidl two x-new=1\nend 2\n",
	  "2 one 12 1.M2.host,S=12 a b ff;3 two -1 - - 0;" },
	{ "our own, nothing", OWN"end 0\n", "" },
	{ "CRLF", "pop3-policy-uidls 1\r\nuidl a\r\nend 1\r\n",
	  "2 a -1 - - 0;" },
	{ "Courier 3", COURIER
	  "1.M1.host:2,S 100 1:1795474171:0\n2.M2.h+x 200 0:0:1\n"
	  "3.a b 300 7:0:0\n",
	  "2 UID1-1795474171 100 1.M1.host - 0;3 2.M2.h+2Bx 200 2.M2.h+x - 0;"
	  "4 UID7 300 3.a b - 0;" },
	{ "Courier 2", "/2 4 5\nx:2, 100 1:5\n", "2 UID1-5 100 x - 0;" },
	{ "Courier, nothing", "/3 1 5\n", "" },
	{ "dovecot-uidlist", DOVECOT
	  "1 W100 Pone :1.M1.host\n2 :2.M2\n3 Gguid Pthree W5 :a b:2,S\n",
	  "2 one 100 1.M1.host - 0;4 three 5 a b guid 0;without 1" },
	{ "dovecot-uidlist, the file name is the UIDL", DOVECOT
	  "1 P :1.M1.host:2,S\n", "2 1.M1.host -1 1.M1.host - 0;" },
	{ "UIDL alone", "1 one\n2 two\n", "1 one -1 - - 0;2 two -1 - - 0;" },
	{ "UIDL with sizes", "+OK\r\n1 one 17\r\n2 two 0\r\n.\r\n",
	  "2 one 17 - - 0;3 two 0 - - 0;" },
	{ "a last line without end", "1 one\n2 two",
	  "1 one -1 - - 0;2 two -1 - - 0;" },
	{ "a session", "+OK ready\nuidl\n+OK\n1 one\n2 LIST\n.\nLIST\n+OK 2\n"
	  "1 10\n2 20\n.\nTOP 1 0\n+OK\nA: b\n..c\n\n.\nRETR 2\n+OK\nA: b\n\n"
	  "+OK\n..\nbody\n.\nQUIT\n+OK bye\n",
	  "4 one 10 - - 8;5 LIST 20 - - 5;" },
	{ "UIDL and LIST", "UIDL\n1 one\nLIST\n1 10\n", "2 one 10 - - 0;" },
	{ "headers", "UIDL\n+OK\n1 one\n2 two\n.\nTOP 1 0\n+OK\nA: b\n..c\n\n"
	  ".\nRETR 2\nA: b\n\n+OK\n..\nbody\n.\nQUIT\n+OK bye\n",
	  "3 one -1 - - 8;4 two -1 - - 5;" },
	{ "nothing there", "+OK\n.\n", "" },
};

static void test_good(void)
{
	static const gsize steps[] = { 1, 7, 4096 };

	for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
		g_test_message("%s", good[i].name);
		for (guint s = 0; s < G_N_ELEMENTS(steps); s++) {
			g_autoptr(GError) error = NULL;
			g_autofree char *printed = NULL;
			struct pp_import *import =
				import_read(good[i].text, strlen(good[i].text),
					    steps[s], &error);

			g_assert_no_error(error);
			printed = import_print(import);
			g_assert_cmpstr(printed, ==, good[i].records);
			pp_import_free(import);
		}
	}
}

static void expect_error(const char *text, gsize size, gint code,
			 const char *message)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(import_read(text, size, 1000, &error));
	g_assert_error(error, PP_ERROR, code);
	g_assert_true(g_str_has_prefix(error->message, message));
}

static const struct {
	const char *name, *text, *message;
	gint code;
} bad[] = {
	{ "later version", "pop3-policy-uidls 2\n", "line 1:",
	  PP_ERROR_VERSION },
	{ "cut off", OWN"uidl a\n", "line 3: the text was cut",
	  PP_ERROR_SYNTAX },
	{ "wrong count", OWN"uidl a\nend 2\n", "line 3:", PP_ERROR_SYNTAX },
	{ "behind the end", OWN"end 0\nend 0\n", "line 3:", PP_ERROR_SYNTAX },
	{ "no UIDL", OWN"uidl\nend 1\n", "line 2: not a UIDL",
	  PP_ERROR_SYNTAX },
	{ "another word", OWN"uid a\nend 1\n", "line 2:", PP_ERROR_SYNTAX },
	{ "no value", OWN"uidl a size\nend 1\n", "line 2: bad field",
	  PP_ERROR_SYNTAX },
	{ "unknown field", OWN"uidl a b=c\nend 1\n", "line 2: bad field",
	  PP_ERROR_SYNTAX },
	{ "size twice", OWN"uidl a size=1 size=1\nend 1\n",
	  "line 2: bad field", PP_ERROR_SYNTAX },
	{ "no size", OWN"uidl a size=1k\nend 1\n", "line 2: bad field",
	  PP_ERROR_SYNTAX },
	{ "short hash", OWN"uidl a header=ff\nend 1\n", "line 2: bad field",
	  PP_ERROR_SYNTAX },
	{ "bad escape", OWN"uidl a id=%G1\nend 1\n", "line 2: bad field",
	  PP_ERROR_SYNTAX },
	{ "twice", OWN"uidl a\nuidl b\nuidl a\nend 3\n",
	  "line 4: UIDL a is there twice, first in line 2", PP_ERROR_SYNTAX },
	{ "illegal", OWN"uidl \xc3\xa4\nend 1\n", "line 2: not a UIDL",
	  PP_ERROR_SYNTAX },
	{ "Courier 1", "/1 5\n", "line 1:", PP_ERROR_VERSION },
	{ "Courier, words", COURIER"x 1:2:0\n", "line 2:", PP_ERROR_SYNTAX },
	{ "Courier, no size", COURIER"x y 1:2:0\n", "line 2:",
	  PP_ERROR_SYNTAX },
	{ "Courier, no number", COURIER"x 5 1:2:0:1\n", "line 2:",
	  PP_ERROR_SYNTAX },
	{ "Courier, twice", COURIER"x 5 1:2:0\ny 5 1:2:0\n",
	  "line 3: UIDL UID1-2 is there twice", PP_ERROR_SYNTAX },
	{ "Courier, cut off", COURIER"x 5 1:2:0\ny 5", "line 3:",
	  PP_ERROR_SYNTAX },
	{ "uidlist, no name", DOVECOT"1 Pa\n", "line 2:", PP_ERROR_SYNTAX },
	{ "uidlist, no UID", DOVECOT"x Pa :y\n", "line 2:", PP_ERROR_SYNTAX },
	{ "uidlist, illegal", DOVECOT"1 P\x7f :y\n", "line 2: not a UIDL",
	  PP_ERROR_SYNTAX },
	{ "listing, no UIDL", "1\n", "line 1:", PP_ERROR_SYNTAX },
	{ "listing, no number", "one 1\n", "line 1:", PP_ERROR_SYNTAX },
	{ "listing, four words", "1 a 2 3\n", "line 1:", PP_ERROR_SYNTAX },
	{ "listing, number twice", "1 a\n1 b\n", "line 2:", PP_ERROR_SYNTAX },
	{ "listing, twice", "1 a\n2 a\n", "line 2: UIDL a is there twice",
	  PP_ERROR_SYNTAX },
	{ "listing, refused", "-ERR no\n", "line 1:", PP_ERROR_SYNTAX },
	{ "listing, cut off", "+OK\n1 a\n", "line 3: the text was cut",
	  PP_ERROR_SYNTAX },
	{ "listing, message cut off", "1 a\nTOP 1 0\nA: b\n",
	  "line 4: the text was cut", PP_ERROR_SYNTAX },
	{ "listing, a message more", "1 a\nLIST\n1 5\n3 6\n",
	  "line 4: a message that UIDL", PP_ERROR_SYNTAX },
	{ "listing, behind the dot", "+OK\n1 a\n.\n2 b\n", "line 4: no comm",
	  PP_ERROR_SYNTAX },
	{ "listing, number too high", "1 a\n1000001 b\n",
	  "line 2: more than 1000000 messages", PP_ERROR_LIMIT },
	{ "listing, size of one too high", "1 a\nLIST\n1 5\n4294967295 6\n",
	  "line 4: more than", PP_ERROR_LIMIT },
	{ "listing, message too high", "1 a\nTOP 1000001 0\nA: b\n\n.\n",
	  "line 2: more than", PP_ERROR_LIMIT },
	{ "listing, the highest", "1 a\nRETR 1000000\nA: b\n\n.\n",
	  "line 5: a message that UIDL", PP_ERROR_SYNTAX },
	{ "empty", "", "line 1: nothing", PP_ERROR_SYNTAX },
};

static void test_bad(void)
{
	static const char nul[] = "1 a\n2 b\0c\n", nuls[100] = "";

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_test_message("%s", bad[i].name);
		expect_error(bad[i].text, strlen(bad[i].text), bad[i].code,
			     bad[i].message);
	}
	expect_error(nul, sizeof(nul) - 1, PP_ERROR_SYNTAX,
		     "line 2: holds a NUL");
	expect_error(nuls, sizeof(nuls), PP_ERROR_SYNTAX,
		     "line 1: holds a NUL");
}

/* A text of 100 MB ends in an error, and takes no such memory. */
static void test_large(void)
{
	struct pp_import *import = pp_import_new(PP_IMPORT_AUTO, NULL, NULL);
	g_autoptr(GError) error = NULL;
	char line[64];
	guint i;

	g_assert_true(pp_import_push(import, "UIDL\n", 5, &error));
	for (i = 1; i <= 100 * 1024 * 1024 / 20; i++) {
		g_snprintf(line, sizeof(line), "%u message-%010u\n", i, i);
		if (!pp_import_push(import, line, strlen(line), &error))
			break;
	}
	g_assert_error(error, PP_ERROR, PP_ERROR_LIMIT);
	g_assert_cmpstr(error->message, ==,
			"line 1000002: more than 1000000 messages");
	pp_import_free(import);
}

/* Number I of UIDLs that all have the same g_str_hash(). */
static void colliding_uidl(guint i, char uidl[2 * 16 + 1])
{
	for (guint bit = 0; bit < 16; bit++)
		memcpy(uidl + 2 * bit, (i >> bit & 1) != 0 ? "Ab" : "BA", 2);
	uidl[2 * 16] = '\0';
}

static void test_colliding(void)
{
	struct pp_import *import = pp_import_new(PP_IMPORT_AUTO, NULL, NULL);
	g_autoptr(GError) error = NULL;
	char first[33], uidl[33], line[64];

	colliding_uidl(0, first);
	for (guint i = 0; i < 65536; i++) {
		colliding_uidl(i, uidl);
		g_assert_cmpuint(g_str_hash(uidl), ==, g_str_hash(first));
		g_snprintf(line, sizeof(line), "%u %s\n", i + 1, uidl);
		g_assert_true(pp_import_push(import, line, strlen(line),
					     &error));
	}
	g_assert_cmpuint(pp_import_records(import)->len, ==, 65536);
	g_snprintf(line, sizeof(line), "65537 %s\n", uidl);
	g_assert_false(pp_import_push(import, line, strlen(line), &error));
	g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
	g_assert_true(g_str_has_suffix(error->message,
				       "twice, first in line 65536"));
	pp_import_free(import);
}

static void test_long_lines(void)
{
	g_autofree char *line = g_strnfill(PP_IMPORT_LINE_MAX_BYTES + 1, 'a');
	g_autofree char *body = g_strnfill(PP_IMPORT_HEADER_MAX_BYTES + 9, 'b');
	g_autofree char *message =
		g_strconcat("1 a\nRETR 1\nA: b\n\n", body, "\n.\n", NULL);
	g_autofree char *header =
		g_strconcat("1 a\nRETR 1\nA: b\nC: ", body, "\n\n.\n", NULL);
	g_autofree char *printed = NULL, *cut = NULL;
	struct pp_import *import;

	expect_error(line, strlen(line), PP_ERROR_LIMIT,
		     "line 1: longer than 2048");
	import = import_read(message, strlen(message), 999, NULL);
	printed = import_print(import);
	g_assert_cmpstr(printed, ==, "1 a -1 - - 5;");
	pp_import_free(import);
	/* a header that was not read whole is not known */
	import = import_read(header, strlen(header), 999, NULL);
	cut = import_print(import);
	g_assert_cmpstr(cut, ==, "1 a -1 - - 0;");
	pp_import_free(import);
}

static void test_messages(void)
{
	static const char *const uidls[] = { "a", NULL, "b", "a" };
	struct pp_import *import = pp_import_new(PP_IMPORT_MESSAGES, NULL,
						 NULL);
	g_autoptr(GError) error = NULL;
	g_autofree char *printed = NULL;

	for (guint i = 0; i < G_N_ELEMENTS(uidls) && error == NULL; i++) {
		struct pp_import_record record = {
			.uidl = g_strdup(uidls[i]), .size = i
		};

		pp_import_message(import, &record, &error);
	}
	g_assert_error(error, PP_ERROR, PP_ERROR_SYNTAX);
	g_assert_cmpstr(error->message, ==, "message 4: UIDL a is there twice, "
			"first in message 1");
	printed = import_print(import);
	g_assert_cmpstr(printed, ==, "1 a 0 - - 0;3 b 2 - - 0;without 1");
	pp_import_free(import);
}

static void test_export(void)
{
	struct pp_import_record records[] = {
		{ .uidl = (char *)"a\"=%", .size = 0, .id = (char *)"x y=%",
		  .guid = (char *)"g", .header = 0xabcdef0123456789 },
		{ .uidl = (char *)"b", .size = PP_SIZE_UNKNOWN },
	};
	g_autoptr(GString) str = g_string_new(NULL);
	g_autoptr(GError) error = NULL;
	g_autofree char *printed = NULL;
	struct pp_import *import;

	pp_export_begin(str);
	pp_export_record(str, &records[0]);
	pp_export_record(str, &records[1]);
	pp_export_end(str, 2);
	g_assert_cmpstr(str->str, ==, OWN"uidl a\"=% size=0 id=x%20y=%25 "
			"guid=g header=abcdef0123456789\nuidl b\nend 2\n");
	import = import_read(str->str, str->len, 5, &error);
	g_assert_no_error(error);
	printed = import_print(import);
	g_assert_cmpstr(printed, ==, "2 a\"=% 0 x y=% g abcdef0123456789;"
			"3 b -1 - - 0;");
	pp_import_free(import);
	/* cut off anywhere it is no export */
	for (gsize size = 0; size < str->len - 1; size++)
		g_assert_null(import_read(str->str, size, 5, NULL));
}

int main(int argc, char *argv[])
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/import/good", test_good);
	g_test_add_func("/import/bad", test_bad);
	g_test_add_func("/import/large", test_large);
	g_test_add_func("/import/colliding", test_colliding);
	g_test_add_func("/import/long-lines", test_long_lines);
	g_test_add_func("/import/messages", test_messages);
	g_test_add_func("/import/export", test_export);
	return g_test_run();
}
