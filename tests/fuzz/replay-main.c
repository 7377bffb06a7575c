/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Runs a fuzz target over its corpus, as a test that prints TAP: the files that
   are its arguments, or without any all of fuzz/corpus/NAME below
   G_TEST_SRCDIR, where the program is called fuzz-NAME. */
#include "fuzz-common.h"

#include <stdio.h>
#include <string.h>

static GPtrArray *corpus_files(const char *program)
{
	g_autofree char *base = g_path_get_basename(program);
	g_autofree char *dir_path = NULL;
	g_autoptr(GDir) dir = NULL;
	GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
	const char *name = strstr(base, "fuzz-");

	g_assert(name != NULL);
	dir_path = g_build_filename(g_getenv("G_TEST_SRCDIR"), "fuzz", "corpus",
				    name + strlen("fuzz-"), NULL);
	dir = g_dir_open(dir_path, 0, NULL);
	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		g_ptr_array_add(files, g_build_filename(dir_path, name,
							NULL));
	}
	return files;
}

static gboolean replay_file(const char *path)
{
	g_autofree char *data = NULL;
	gsize size;

	/* a file that makes the target abort is the last one that is named */
	printf("# %s\n", path);
	fflush(stdout);
	if (!g_file_get_contents(path, &data, &size, NULL))
		return FALSE;
	LLVMFuzzerTestOneInput((const uint8_t *)data, size);
	return TRUE;
}

int main(int argc, char **argv)
{
	g_autoptr(GPtrArray) files = corpus_files(argv[0]);
	guint i, failed = 0;

	for (i = 1; i < (guint)argc; i++)
		g_ptr_array_add(files, g_strdup(argv[i]));
	printf("1..%u\n", MAX(files->len, 1));
	if (files->len == 0) {
		printf("not ok 1 - there is a corpus\n");
		return 1;
	}
	for (i = 0; i < files->len; i++) {
		gboolean good = replay_file(g_ptr_array_index(files, i));
		g_autofree char *name =
			g_path_get_basename(g_ptr_array_index(files, i));

		printf("%s %u - %s\n", good ? "ok" : "not ok", i + 1, name);
		failed += !good;
	}
	return failed > 0 ? 1 : 0;
}
