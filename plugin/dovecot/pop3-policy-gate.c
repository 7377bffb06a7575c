/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The gate: an istream over the client's input that hands the host whole
   command lines, as many at once as there are, and stops in front of those
   that the plugin handles itself. Offsets are the input's own, so what the
   host logs as input stays what it was. */
#include "pop3-policy-compat.h"
#include "istream-private.h"
#include "ostream.h"
#include "pop3-policy-session.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

/* the host's: a client that sends more bad commands in a row is thrown out */
#define GATE_MAX_BAD_COMMANDS 20

struct pop3_policy_gate {
	struct istream_private istream;
	struct pop3_policy_session *session;
	/* bytes that were looked at and are the host's */
	size_t passed;
};

/* The host stops reading lines while it runs a command. */
static bool gate_host_is_busy(struct pop3_policy_session *session)
{
	return session->client->cmd != NULL;
}

/* The length of the line at DATA with its LF, or 0 if it is not whole. */
static size_t gate_line_len(const unsigned char *data, size_t size)
{
	const unsigned char *lf = memchr(data, '\n', size);

	return lf == NULL ? 0 : lf - data + 1;
}

/* LEN without CR LF. */
static size_t gate_text_len(const unsigned char *data, size_t len)
{
	i_assert(len > 0);

	len--;
	if (len > 0 && data[len-1] == '\r')
		len--;
	return len;
}

static uoff_t gate_offset(struct pop3_policy_gate *gate)
{
	return gate->istream.istream.v_offset;
}

/* What the kernel has for FD that nobody read yet. Mostly nothing: to look for
   a byte costs less than half of FIONREAD, since each read goes that way. */
static int gate_fd_waiting(int fd)
{
	int waiting;
	char byte;

	if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	    (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return ioctl(fd, FIONREAD, &waiting) < 0 ? 0 : waiting;
}

uoff_t pop3_policy_gate_arrived(struct pop3_policy_session *session)
{
	struct pop3_policy_gate *gate = session->gate;
	struct istream *parent = gate->istream.parent;

	return parent->v_offset - gate->istream.parent_start_offset +
		i_stream_get_data_size(parent) +
		gate_fd_waiting(session->client->fd_in);
}

/* Looks at lines from behind what was passed before; notes where they stop
   being the host's. Returns TRUE if a line of ours comes next. */
static bool
gate_pass_lines(struct pop3_policy_gate *gate, const unsigned char *data,
		size_t size)
{
	struct pop3_policy_session *session = gate->session;
	size_t len;

	while ((len = gate_line_len(data + gate->passed,
				    size - gate->passed)) > 0) {
		const unsigned char *line = data + gate->passed;

		if (pop3_policy_command_find(line, gate_text_len(line, len)) !=
		    NULL)
			return TRUE;
		pop3_policy_mail_proof(session,
				       gate_offset(gate) + gate->passed);
		gate->passed += len;
	}
	return FALSE;
}

/* Runs the line of ours at the start of the parent's data. */
static enum pop3_policy_command_result
gate_run_line(struct pop3_policy_gate *gate, const unsigned char *data,
	      size_t len)
{
	struct pop3_policy_session *session = gate->session;
	size_t text_len = gate_text_len(data, len);
	enum pop3_policy_command_result result;

	pop3_policy_mail_proof(session, gate_offset(gate));
	T_BEGIN {
		result = pop3_policy_command_run(session,
			pop3_policy_command_find(data, text_len),
			t_strndup(data, text_len));
	} T_END;
	if (result == POP3_POLICY_COMMAND_PASS) {
		gate->passed = len;
		return result;
	}
	session->client->bad_counter = 0;
	i_stream_skip(gate->istream.parent, len);
	gate->istream.istream.v_offset += len;
	return result;
}

/* Passes the host's lines and runs ours, up to where the host has something to
   do. Returns TRUE if one of ours ran. */
static bool gate_run_lines(struct pop3_policy_gate *gate)
{
	struct client *client = gate->session->client;
	const unsigned char *data;
	bool ran = FALSE;
	size_t size;

	for (;;) {
		/* a line that the host is shown it runs at once, whatever
		   command of ours is still answering */
		if (gate_host_is_busy(gate->session) ||
		    client->output->closed)
			return ran;
		data = i_stream_get_data(gate->istream.parent, &size);
		if (!gate_pass_lines(gate, data, size) || gate->passed > 0)
			return ran;
		ran = TRUE;
		(void)gate_run_line(gate, data, gate_line_len(data, size));
	}
}

/* Shows the host what was passed. Returns how much of it is new. */
static ssize_t
gate_show(struct pop3_policy_gate *gate, size_t old_pos)
{
	struct istream_private *stream = &gate->istream;
	size_t size;

	stream->buffer = i_stream_get_data(stream->parent, &size);
	i_assert(gate->passed <= size);
	stream->pos = gate->passed;
	/* the line behind it may be ours: the host has to ask again */
	if (gate_line_len(stream->buffer + gate->passed,
			  size - gate->passed) > 0)
		i_stream_set_input_pending(&stream->istream, TRUE);
	return gate->passed - old_pos;
}

/* The parent had nothing more: RET is its answer. */
static ssize_t gate_read_failed(struct pop3_policy_gate *gate, ssize_t ret)
{
	struct istream_private *stream = &gate->istream;
	size_t size;

	stream->buffer = i_stream_get_data(stream->parent, &size);
	if (ret == -2) {
		/* a line longer than the host takes: the istream API wants a
		   full buffer to be seen */
		gate->passed = stream->pos = size;
	}
	return ret;
}

static ssize_t gate_read(struct istream_private *stream)
{
	struct pop3_policy_gate *gate =
		container_of(stream, struct pop3_policy_gate, istream);
	struct pop3_policy_session *session = gate->session;
	size_t old_pos;
	ssize_t ret;
	bool ran = FALSE;

	i_stream_seek(stream->parent, stream->parent_start_offset +
		      stream->istream.v_offset);
	i_assert(gate->passed >= stream->skip);
	gate->passed -= stream->skip;
	stream->pos -= stream->skip;
	stream->skip = 0;
	old_pos = stream->pos;

	if (unlikely(session->client == NULL)) {
		stream->istream.eof = TRUE;
		return -1;
	}
	for (;;) {
		if (gate_run_lines(gate))
			ran = TRUE;
		if (gate->passed > old_pos)
			return gate_show(gate, old_pos);
		if (ran || session->client->output->closed ||
		    gate_host_is_busy(session))
			break;
		ret = i_stream_read_memarea(stream->parent);
		stream->istream.stream_errno = stream->parent->stream_errno;
		stream->istream.eof = stream->parent->eof;
		if (ret <= 0)
			return gate_read_failed(gate, ret);
	}
	(void)gate_show(gate, old_pos);
	return 0;
}

static void gate_destroy(struct iostream_private *stream)
{
	struct pop3_policy_gate *gate =
		container_of(stream, struct pop3_policy_gate,
			     istream.iostream);

	if (gate->session != NULL)
		gate->session->gate = NULL;
}

void pop3_policy_gate_install(struct pop3_policy_session *session)
{
	struct client *client = session->client;
	struct istream *input = client->input;
	struct pop3_policy_gate *gate = i_new(struct pop3_policy_gate, 1);

	i_assert(client->io == NULL);

	gate->session = session;
	gate->istream.max_buffer_size = input->real_stream->max_buffer_size;
	gate->istream.read = gate_read;
	gate->istream.iostream.destroy = gate_destroy;
	gate->istream.istream.readable_fd = input->readable_fd;
	gate->istream.istream.blocking = input->blocking;
	gate->istream.istream.seekable = FALSE;
	client->input = i_stream_create(&gate->istream, input,
					i_stream_get_fd(input), 0);
	i_stream_unref(&input);
	session->gate = gate;
}

void pop3_policy_gate_flushed(struct pop3_policy_session *session)
{
	struct pop3_policy_gate *gate = session->gate;
	const unsigned char *data;
	size_t size;

	if (gate == NULL || session->client->input->closed ||
	    gate_host_is_busy(session))
		return;
	/* while a command ran the host read nothing and forgot that lines
	   wait */
	data = i_stream_get_data(gate->istream.parent, &size);
	if (gate_line_len(data, size) > 0)
		i_stream_set_input_pending(session->client->input, TRUE);
}
