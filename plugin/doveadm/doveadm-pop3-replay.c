/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 usage replay`: counts what could not be stored when a session
   ended, from the lines that the log has of it. */
#include "pop3-policy-compat.h"
#include "istream.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm-pop3.h"

#include <sysexits.h>
#include <time.h>

struct replay_line {
	struct pp_usage_line line;
	enum pp_replay outcome;
	/* its user's turn came; and what became of it was told */
	bool asked, told;
};

struct replay_context {
	struct doveadm_mail_cmd_context ctx;
	/* struct replay_line, in the order in which they ended */
	GArray *lines;
	guint next_user;
	bool dry_run, bad_lines;
	/* for the user at hand */
	struct pop3_policy_maildrop *md;
	const struct pop3_policy_deadline *deadline;
	/* what cannot be read is in the way */
	bool damaged;
};

static struct replay_line *replay_line(struct replay_context *ctx, guint i)
{
	return &g_array_index(ctx->lines, struct replay_line, i);
}

static bool replay_is_of(const struct replay_line *line, const char *user)
{
	return strcmp(line->line.user, user) == 0;
}

static const char *replay_outcome(const struct replay_context *ctx,
				  enum pp_replay outcome)
{
	switch (outcome) {
	case PP_REPLAY_ADDED:
		return ctx->dry_run ? "would be added" : "added";
	case PP_REPLAY_KNOWN:
		return "was counted before";
	case PP_REPLAY_AHEAD:
		return "not added: ended in the future";
	case PP_REPLAY_UNSURE:
		break;
	}
	return "not added: too old to be sure";
}

/* What a finished month or day gets besides. */
static void replay_note_late(GHashTable *late, const char *name,
			     const struct pp_counters *counters)
{
	struct pp_counters *sum = g_hash_table_lookup(late, name);

	if (sum == NULL) {
		sum = g_new0(struct pp_counters, 1);
		g_hash_table_insert(late, g_strdup(name), sum);
	}
	pp_counters_add(sum, counters);
}

static int replay_one(struct replay_context *ctx,
		      struct pop3_policy_change *change, GHashTable *late,
		      struct replay_line *line, const char **error_r)
{
	g_autoptr(GArray) filed = pp_usage_filed_array();
	struct pp_usage_filed *entry;
	guint i;
	int ret;

	line->outcome = pp_usage_replay(change->usage, line->line.session,
					&line->line.counters,
					line->line.ended, time(NULL), filed);
	if (line->outcome == PP_REPLAY_ADDED)
		change->usage_changed = TRUE;
	for (i = 0; i < filed->len; i++) {
		entry = &g_array_index(filed, struct pp_usage_filed, i);
		if (entry->doc == NULL && !entry->begun) {
			replay_note_late(late, entry->name,
					 &line->line.counters);
			continue;
		}
		g_array_append_val(change->filed, *entry);
		entry->doc = NULL;
	}
	/* before the next line can finish what has begun */
	ret = pop3_policy_change_take(change, error_r);
	ctx->damaged = ret == 0;
	return ret <= 0 ? -1 : 0;
}

static int replay_write_late(struct replay_context *ctx,
			     struct pop3_policy_change *change,
			     const char *name,
			     const struct pp_counters *counters,
			     const char **error_r)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *doc = NULL;
	const char *value, *key = t_strconcat("usage/", name, NULL);

	if (pop3_policy_store_lookup(ctx->md->store, pool_datastack_create(),
				     ctx->deadline, &key, 1, &value,
				     error_r) < 0)
		return -1;
	doc = pp_usage_period_add(value, name, counters, &error);
	if (doc == NULL) {
		ctx->damaged = TRUE;
		*error_r = t_strdup_printf("%s: %s", key, error->message);
		return -1;
	}
	pop3_policy_change_write(change, key, doc);
	return 0;
}

static int replay_change(struct pop3_policy_change *change, void *context,
			 const char **error_r)
{
	struct replay_context *ctx = context;
	g_autoptr(GHashTable) late =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	gpointer name, counters;
	GHashTableIter iter;
	guint i;

	if (change->usage == NULL) {
		ctx->damaged = TRUE;
		*error_r = "the counters cannot be read";
		return -1;
	}
	/* in their order: a period that one of them finishes is late for none
	   that follows */
	for (i = 0; i < ctx->lines->len; i++) {
		if (replay_is_of(replay_line(ctx, i),
				 ctx->md->user->username) &&
		    replay_one(ctx, change, late, replay_line(ctx, i),
			       error_r) < 0)
			return -1;
	}
	if (ctx->dry_run || !change->usage_changed)
		return 0;
	g_hash_table_iter_init(&iter, late);
	while (g_hash_table_iter_next(&iter, &name, &counters)) {
		if (replay_write_late(ctx, change, name, counters,
				      error_r) < 0)
			return -1;
	}
	return 1;
}

static void replay_print(struct replay_context *ctx, const char *user)
{
	struct replay_line *line;
	guint i;

	for (i = 0; i < ctx->lines->len; i++) T_BEGIN {
		line = replay_line(ctx, i);
		if (replay_is_of(line, user)) {
			g_autofree char *numbers =
				pp_counters_print(&line->line.counters, ' ');

			doveadm_print(line->line.session);
			doveadm_print(doveadm_pop3_time(line->line.ended,
							"-"));
			doveadm_print(replay_outcome(ctx, line->outcome));
			doveadm_print(numbers);
		}
	} T_END;
}

/* Notes of USER's lines whose turn it is, or that what became of them was
   told. Returns how many there are. */
static unsigned int replay_note(struct replay_context *ctx, const char *user,
				bool told)
{
	unsigned int count = 0;
	guint i;

	for (i = 0; i < ctx->lines->len; i++) {
		struct replay_line *line = replay_line(ctx, i);

		if (replay_is_of(line, user)) {
			line->asked = TRUE;
			line->told = told;
			count++;
		}
	}
	return count;
}

static int replay_user(struct replay_context *ctx, struct mail_user *user,
		       unsigned int count)
{
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(ctx->md);
	const char *error;

	ctx->deadline = &deadline;
	ctx->damaged = FALSE;
	if (pop3_policy_maildrop_change(ctx->md, &deadline, FALSE, TRUE,
					replay_change, ctx, &error) < 0) {
		return doveadm_pop3_fail(&ctx->ctx, user, ctx->damaged ?
			MAIL_ERROR_NOTPOSSIBLE : MAIL_ERROR_TEMP,
			t_strdup_printf("%u lines were not added%s: %s", count,
					ctx->damaged ? "" : ", try again",
					error));
	}
	replay_print(ctx, user->username);
	return 0;
}

static int cmd_usage_replay_run(struct doveadm_mail_cmd_context *_ctx,
				struct mail_user *user)
{
	struct replay_context *ctx =
		container_of(_ctx, struct replay_context, ctx);
	unsigned int count = replay_note(ctx, user->username, FALSE);
	int ret;

	if (count == 0)
		return 0;
	ret = doveadm_pop3_open(_ctx, user, &ctx->md);
	if (ret == 0)
		return 0;
	(void)replay_note(ctx, user->username, TRUE);
	if (ret < 0)
		return ret;
	ret = replay_user(ctx, user, count);
	pop3_policy_maildrop_deinit(&ctx->md);
	return ret;
}

/* With -A, or a mask, only users of whom there are lines. */
static int cmd_usage_replay_next_user(struct doveadm_mail_cmd_context *_ctx,
				      const char **username_r)
{
	struct replay_context *ctx =
		container_of(_ctx, struct replay_context, ctx);

	while (ctx->next_user < ctx->lines->len) {
		struct replay_line *line = replay_line(ctx, ctx->next_user++);

		if (!line->asked) {
			*username_r = line->line.user;
			(void)replay_note(ctx, *username_r, FALSE);
			return 1;
		}
	}
	return 0;
}

static void replay_read_line(struct replay_context *ctx, const char *text,
			     unsigned int number)
{
	g_autoptr(GError) error = NULL;
	struct replay_line line;

	if (!pp_usage_line_has(text))
		return;
	i_zero(&line);
	if (pp_usage_line_parse(text, &line.line, &error)) {
		g_array_append_val(ctx->lines, line);
		return;
	}
	i_error("pop3-policy: Line %u %s: not added", number, error->message);
	/* as an exit code it would, on 2.4, keep the others from being added */
	ctx->bad_lines = TRUE;
}

static gint replay_compare(gconstpointer _a, gconstpointer _b)
{
	const struct replay_line *a = _a, *b = _b;

	return a->line.ended < b->line.ended ? -1 :
		a->line.ended > b->line.ended;
}

POP3_POLICY_DOVEADM_INIT(cmd_usage_replay_init)
{
	struct replay_context *ctx =
		container_of(_ctx, struct replay_context, ctx);
	unsigned int number = 0;
	const char *text;

	ctx->dry_run = doveadm_pop3_option(_ctx, "dry-run");
	doveadm_mail_get_input(_ctx);
	/* a log may have lines of any length */
	i_stream_set_max_buffer_size(_ctx->cmd_input, SIZE_MAX);
	while ((text = i_stream_read_next_line(_ctx->cmd_input)) != NULL)
		replay_read_line(ctx, text, ++number);
	if (_ctx->cmd_input->stream_errno != 0) {
		i_fatal_status(EX_IOERR, "read(%s) failed: %s",
			       i_stream_get_name(_ctx->cmd_input),
			       i_stream_get_error(_ctx->cmd_input));
	}
	g_array_sort(ctx->lines, replay_compare);
	if (_ctx->users_list_input == NULL && !_ctx->iterate_single_user)
		_ctx->v.get_next_user = cmd_usage_replay_next_user;
	doveadm_print_header_simple("session");
	doveadm_print_header_simple("ended");
	doveadm_print_header_simple("outcome");
	doveadm_print_header_simple("counters");
}

static void cmd_usage_replay_deinit(struct doveadm_mail_cmd_context *_ctx)
{
	struct replay_context *ctx =
		container_of(_ctx, struct replay_context, ctx);
	guint i;

	for (i = 0; i < ctx->lines->len; i++) {
		struct replay_line *line = replay_line(ctx, i);

		if (!line->told) {
			i_warning("pop3-policy: %u lines of user %s were not "
				  "added: the command was not for this user, "
				  "or there is none of that name, or the "
				  "plugin is off for it",
				  replay_note(ctx, line->line.user, TRUE),
				  line->line.user);
		}
	}
	if (ctx->bad_lines)
		_ctx->exit_code = EX_DATAERR;
	g_array_unref(ctx->lines);
}

static void replay_line_clear(gpointer data)
{
	struct replay_line *line = data;

	pp_usage_line_clear(&line->line);
}

static struct doveadm_mail_cmd_context *cmd_usage_replay_alloc(void)
{
	struct replay_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct replay_context);
	ctx->ctx.v.run = cmd_usage_replay_run;
	ctx->ctx.v.init = cmd_usage_replay_init;
	ctx->ctx.v.deinit = cmd_usage_replay_deinit;
	ctx->lines = g_array_new(FALSE, TRUE, sizeof(struct replay_line));
	g_array_set_clear_func(ctx->lines, replay_line_clear);
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(&ctx->ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_FLOW);
	return &ctx->ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_usage_replay = {
	.name = "pop3 usage replay",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[--dry-run] [<log file>]",
	.mail_cmd = cmd_usage_replay_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', "file", CMD_PARAM_ISTREAM, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
