/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The commands that the plugin handles before the host sees them. A new one
   is a row of the table. What is not well formed is left to the host, whose
   error texts stay what they are. */
#include "pop3-policy-compat.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "ostream.h"
#include "pop3-policy-order.h"
#include "pop3-policy-session.h"

#include <ctype.h>

#pragma weak client_send_line

/* A listing goes out in pieces of about this size. */
#define UIDL_BUFFER_BYTES (32 * 1024)
/* "4294967295 " and CR LF */
#define UIDL_LINE_MAX_BYTES (11 + PP_UIDL_MAX_LEN + 2)

struct uidl_listing {
	struct pop3_policy_session *session;
	uint32_t msgnum;
	const struct pp_uidl_seg *seg;
	bool started, ended;
	/* the last line may begin at the very end */
	unsigned char buf[UIDL_BUFFER_BYTES + UIDL_LINE_MAX_BYTES +
			  sizeof("+OK\r\n.\r\n")];
};

static bool client_is_deleted(const struct client *client, uint32_t msgnum)
{
	return client->deleted_count > 0 &&
		(client->deleted_bitmask[msgnum / CHAR_BIT] &
		 (1 << (msgnum % CHAR_BIT))) != 0;
}

/* Decimal digits of NUM, without printf: the host's own listing spends most of
   its time there. */
static unsigned char *print_uint32(unsigned char *p, uint32_t num)
{
	unsigned char digits[MAX_INT_STRLEN];
	unsigned int n = 0;

	do {
		digits[n++] = '0' + num % 10;
		num /= 10;
	} while (num > 0);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

/* The segment of UID, trying SEG, which the message before had, first. */
static const struct pp_uidl_seg *
uidl_find(const struct pp_state *state, const struct pp_uidl_seg *seg,
	  uint32_t uid)
{
	if (seg != NULL && uid >= seg->first && uid <= seg->last)
		return seg;
	seg = pp_uidl_map_find(state->map, uid);
	/* the map always ends in an open-ended rule */
	i_assert(seg != NULL);
	return seg;
}

static unsigned char *
uidl_print_line(struct uidl_listing *listing, unsigned char *p,
		uint32_t msgnum)
{
	struct pop3_policy_session *session = listing->session;
	uint32_t uid = pop3_policy_client_uid(session->client, msgnum);

	listing->seg = uidl_find(session->state, listing->seg, uid);
	p = print_uint32(p, msgnum + 1);
	*p++ = ' ';
	p += pp_uidl_print(listing->seg, uid, (char *)p);
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

/* Fills the buffer. Returns how much is in it, 0 at the end. */
static size_t uidl_fill(struct uidl_listing *listing)
{
	struct client *client = listing->session->client;
	unsigned char *p = listing->buf;

	if (listing->ended)
		return 0;
	if (!listing->started) {
		listing->started = TRUE;
		p = mempcpy(p, "+OK\r\n", 5);
	}
	while (listing->msgnum < client->messages_count &&
	       p < listing->buf + UIDL_BUFFER_BYTES) {
		if (!client_is_deleted(client, listing->msgnum))
			p = uidl_print_line(listing, p, listing->msgnum);
		listing->msgnum++;
	}
	if (listing->msgnum == client->messages_count) {
		listing->ended = TRUE;
		p = mempcpy(p, ".\r\n", 3);
	}
	return p - listing->buf;
}

/* The host's way of waiting for a slow reader: called again and again until
   client->cmd is NULL. */
static void uidl_continue(struct client *client)
{
	struct uidl_listing *listing = client->cmd_context;
	size_t size;

	while (!client->output->closed) {
		if (POP3_CLIENT_OUTPUT_FULL(client)) {
			o_stream_set_flush_pending(client->output, TRUE);
			return;
		}
		size = uidl_fill(listing);
		if (size == 0)
			break;
		o_stream_nsend(client->output, listing->buf, size);
	}
	client->cmd = NULL;
	i_free(listing);
}

/* %{uidl_change} in pop3_logout_format wants all UIDLs in memory. */
static void uidl_fill_message_uidls(struct pop3_policy_session *session)
{
	struct client *client = session->client;
	const struct pp_uidl_seg *seg = NULL;
	char buf[PP_UIDL_MAX_LEN + 1];
	uint32_t msgnum, uid;

	if (!client->message_uidls_save || client->message_uidls != NULL ||
	    client->messages_count == 0)
		return;
	client->uidl_pool = pool_alloconly_create("message uidls", 1024);
	client->message_uidls = p_new(client->uidl_pool, const char *,
				      client->messages_count + 1);
	for (msgnum = 0; msgnum < client->messages_count; msgnum++) {
		uid = pop3_policy_client_uid(client, msgnum);
		seg = uidl_find(session->state, seg, uid);
		(void)pp_uidl_print(seg, uid, buf);
		client->message_uidls[msgnum] =
			p_strdup(client->uidl_pool, buf);
	}
}

static enum pop3_policy_command_result
uidl_one(struct pop3_policy_session *session, const char *args)
{
	struct client *client = session->client;
	char buf[PP_UIDL_MAX_LEN + 1];
	unsigned int num;
	uint32_t uid;

	if (str_to_uint(args, &num) < 0 || num == 0 ||
	    num > client->messages_count || client_is_deleted(client, num - 1))
		return POP3_POLICY_COMMAND_PASS;
	pop3_policy_store_new(session);
	uidl_fill_message_uidls(session);
	uid = pop3_policy_client_uid(client, num - 1);
	(void)pp_uidl_print(uidl_find(session->state, NULL, uid), uid, buf);
	client_send_line(client, "+OK %u %s", num, buf);
	return POP3_POLICY_COMMAND_DONE;
}

static enum pop3_policy_command_result
command_uidl(struct pop3_policy_session *session, const char *args)
{
	struct client *client = session->client;
	struct uidl_listing *listing;

	if (!session->pinned) {
		if (*args == '\0')
			session->counters.value[PP_UIDL_COUNT]++;
		return POP3_POLICY_COMMAND_PASS;
	}
	if (*args != '\0')
		return uidl_one(session, args);

	pop3_policy_store_new(session);
	uidl_fill_message_uidls(session);
	session->counters.value[PP_UIDL_COUNT]++;
	listing = i_new(struct uidl_listing, 1);
	listing->session = session;
	client->cmd = uidl_continue;
	client->cmd_context = listing;
	uidl_continue(client);
	return client->cmd == NULL ? POP3_POLICY_COMMAND_DONE :
		POP3_POLICY_COMMAND_RUNNING;
}

static enum pop3_policy_command_result
command_list(struct pop3_policy_session *session, const char *args)
{
	if (*args == '\0')
		session->counters.value[PP_LIST_COUNT]++;
	return POP3_POLICY_COMMAND_PASS;
}

static const struct pop3_policy_command commands[] = {
	{ "UIDL", command_uidl },
	{ "LIST", command_list },
};

const struct pop3_policy_command *
pop3_policy_command_find(const unsigned char *line, size_t len)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(commands); i++) {
		size_t name_len = strlen(commands[i].name);

		/* hardly ever the same: nothing more is done for a RETR */
		if (len < name_len ||
		    i_toupper(line[0]) != commands[i].name[0] ||
		    strncasecmp(commands[i].name, (const char *)line,
				name_len) != 0)
			continue;
		/* the host ends a line at a NUL */
		if (len == name_len || line[name_len] == ' ' ||
		    line[name_len] == '\0')
			return &commands[i];
	}
	return NULL;
}

enum pop3_policy_command_result
pop3_policy_command_run(struct pop3_policy_session *session,
			const struct pop3_policy_command *command,
			const char *line)
{
	const char *args = line + strcspn(line, " ");

	while (*args == ' ')
		args++;
	return command->handler(session, args);
}
