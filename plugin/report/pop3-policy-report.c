/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   pop3-policy-report [FILE]: what `doveadm -f json pop3 usage show` printed,
   as a page to look at. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <glib/gstdio.h>
#include "report-html.h"

static char *opt_output, *opt_title, *opt_user;
static char **opt_files;

static const GOptionEntry options[] = {
	{ "output", 'o', 0, G_OPTION_ARG_FILENAME, &opt_output,
	  "Write the page to FILE (default: standard output)", "FILE" },
	{ "title", 't', 0, G_OPTION_ARG_STRING, &opt_title,
	  "The page's title (default: POP3 usage)", "TEXT" },
	{ "user", 'u', 0, G_OPTION_ARG_STRING, &opt_user,
	  "The user of rows that name none: doveadm's output for one user",
	  "NAME" },
	{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_files,
	  NULL, "[FILE]" },
	{ NULL, 0, 0, 0, NULL, NULL, NULL }
};

static gboolean read_options(int argc, char **argv, GError **error)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);

	g_option_context_add_main_entries(context, options, NULL);
	g_option_context_set_summary(context,
		"Reads what `doveadm -f json pop3 usage show` prints and "
		"writes one HTML file.");
	if (!g_option_context_parse(context, &argc, &argv, error))
		return FALSE;
	if (opt_files == NULL || opt_files[1] == NULL)
		return TRUE;
	g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
		    "only one FILE is read");
	return FALSE;
}

static char *read_stdin(gsize *length_r, GError **error)
{
	GString *text = g_string_new(NULL);
	char buf[65536];
	gsize length;

	while ((length = fread(buf, 1, sizeof(buf), stdin)) > 0)
		g_string_append_len(text, buf, length);
	if (ferror(stdin)) {
		g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO,
			    "standard input cannot be read");
		g_string_free(text, TRUE);
		return NULL;
	}
	*length_r = text->len;
	return g_string_free(text, FALSE);
}

static char *read_input(gsize *length_r, GError **error)
{
	char *text;

	if (opt_files == NULL || g_strcmp0(opt_files[0], "-") == 0)
		return read_stdin(length_r, error);
	return g_file_get_contents(opt_files[0], &text, length_r, error) ?
		text : NULL;
}

static gboolean write_output(const char *html, GError **error)
{
	if (opt_output != NULL)
		return g_file_set_contents(opt_output, html, -1, error);
	if (fputs(html, stdout) >= 0 && fflush(stdout) == 0)
		return TRUE;
	g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO,
		    "standard output cannot be written");
	return FALSE;
}

static gboolean run(GError **error)
{
	gsize length;
	g_autofree char *json = read_input(&length, error), *html = NULL;
	struct report *report;

	if (json == NULL)
		return FALSE;
	report = report_parse(json, (gssize)length,
			      opt_user != NULL ? opt_user : "one user", error);
	if (report == NULL) {
		g_prefix_error(error, "the input cannot be read: ");
		return FALSE;
	}
	html = report_html(report,
			   opt_title != NULL ? opt_title : "POP3 usage");
	report_free(report);
	return write_output(html, error);
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	gboolean done;

	setlocale(LC_CTYPE, "");
	done = read_options(argc, argv, &error) && run(&error);
	if (!done)
		g_printerr("%s: %s\n", g_get_prgname(), error->message);
	g_free(opt_output);
	g_free(opt_title);
	g_free(opt_user);
	g_strfreev(opt_files);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
