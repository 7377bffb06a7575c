/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   Between the reader of texts (pp-import.c) and its formats. */
#ifndef PP_IMPORT_PRIVATE_H
#define PP_IMPORT_PRIVATE_H

#include "pp-import.h"

/* Where a listing is. */
enum pp_import_section {
	PP_SECTION_BARE,	/* UIDL's answer without its command */
	PP_SECTION_UIDL,
	PP_SECTION_LIST,
	PP_SECTION_HEADER,	/* of a message, behind TOP or RETR */
	PP_SECTION_BODY,
	PP_SECTION_NONE		/* behind a dot */
};

struct pp_import {
	enum pp_import_format format;
	pp_import_header_func *header_func;
	void *context;

	GString *line;
	guint line_no;
	/* of a message's line, which may be of any length, the rest is left
	   out */
	gboolean line_cut;

	GArray *records;
	GTree *uidls;		/* UIDL -> line number */
	guint without;
	gboolean ended;		/* our own: "end" was there */

	/* listings */
	enum pp_import_section section;
	gboolean answered;	/* the section had its +OK */
	GHashTable *numbers;	/* message number -> struct listed */
	guint32 number;		/* whose header was read last; 0: none */
	GString *header;
	gboolean header_cut;
};

/* All set "line N: TEXT" and return FALSE. */
gboolean pp_import_fail(struct pp_import *import, gint code, GError **error,
			const char *format, ...) G_GNUC_PRINTF(4, 5);

/* Takes RECORD over, which has its UIDL. FALSE: it is no legal one, or was
   there before; RECORD is freed. */
gboolean pp_import_add(struct pp_import *import,
		       struct pp_import_record *record, GError **error);
void pp_import_record_clear(struct pp_import_record *record);

/* A line without its end, and the end of the text. */
gboolean pp_import_own_line(struct pp_import *import, char *line,
			    GError **error);
gboolean pp_import_own_end(struct pp_import *import, GError **error);
gboolean pp_import_courier_line(struct pp_import *import, char *line,
				GError **error);
gboolean pp_import_dovecot_line(struct pp_import *import, char *line,
				GError **error);
gboolean pp_import_listing_line(struct pp_import *import, char *line,
				GError **error);
gboolean pp_import_listing_end(struct pp_import *import, GError **error);

#endif
