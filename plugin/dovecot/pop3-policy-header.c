/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-header.h. */
#include "pop3-policy-compat.h"
#include "istream.h"
#include "str.h"
#include "mail-storage.h"
#include "message-header-parser.h"
#include "pop3-policy-header.h"
#include "pp-doc.h"

#define HEADERS_COUNT 5

static const char *const stable_headers[HEADERS_COUNT] = {
	"Message-ID", "Date", "From", "To", "Subject"
};

static guint64 header_hash(const char *const values[HEADERS_COUNT])
{
	string_t *str = t_str_new(256);
	bool any = FALSE;

	for (unsigned int i = 0; i < HEADERS_COUNT; i++) {
		if (values[i] != NULL) {
			str_append(str, values[i]);
			any = TRUE;
		}
		str_append_c(str, '\n');
	}
	return any ? pp_hash64(str_data(str), str_len(str)) : 0;
}

guint64 pop3_policy_mail_header_hash(struct mail *mail)
{
	const char *values[HEADERS_COUNT];

	for (unsigned int i = 0; i < HEADERS_COUNT; i++) {
		if (mail_get_first_header(mail, stable_headers[i],
					  &values[i]) <= 0)
			values[i] = NULL;
	}
	return header_hash(values);
}

/* The place of NAME's value in VALUES, where it is the first of that name; or
   NULL. */
static const char **
header_place(const char *name, const char *values[HEADERS_COUNT + 1])
{
	for (unsigned int i = 0; i <= HEADERS_COUNT; i++) {
		if (strcasecmp(name, i == HEADERS_COUNT ? "X-UIDL" :
			       stable_headers[i]) == 0)
			return values[i] == NULL ? &values[i] : NULL;
	}
	return NULL;
}

/* A header's value as lib-storage has it: without the white space in front,
   lines joined by LF. */
static void header_append(string_t *str, const struct message_header_line *hdr)
{
	const unsigned char *data = hdr->value;
	size_t size = hdr->value_len;

	if (hdr->continued) {
		str_append_c(str, '\n');
	} else {
		str_truncate(str, 0);
		while (size > 0 && IS_LWSP(*data)) {
			data++;
			size--;
		}
	}
	str_append_data(str, data, size);
}

guint64 pop3_policy_stream_header_hash(struct istream *input,
				       const char **xuidl_r)
{
	const char *values[HEADERS_COUNT + 1], **place = NULL;
	struct message_header_parser_ctx *parser;
	struct message_header_line *hdr;
	string_t *str = t_str_new(256);

	memset(values, 0, sizeof(values));
	parser = message_parse_header_init(input, NULL, 0);
	while (message_parse_header_next(parser, &hdr) > 0) {
		if (hdr->eoh)
			break;
		if (!hdr->continued)
			place = header_place(hdr->name, values);
		if (place == NULL)
			continue;
		header_append(str, hdr);
		if (!hdr->continues) {
			*place = message_header_strdup(pool_datastack_create(),
						       str_data(str),
						       str_len(str));
			place = NULL;
		}
	}
	message_parse_header_deinit(&parser);
	if (xuidl_r != NULL)
		*xuidl_r = values[HEADERS_COUNT];
	return header_hash(values);
}
