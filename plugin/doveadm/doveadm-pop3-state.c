/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 state ...`. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "str.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm-pop3.h"

/* Chunks are looked for until so many in a row are not there. */
#define STATE_PROBE_CHUNKS 16

static const char *const state_columns[] = {
	"mailbox_guid", "uidvalidity", "generation", "mark", "count",
	"high_validity", "open_rule", "uidl_segments", "first_seen",
	"retrieved", "deleted", "ledger", "clock", "due", "bucket", "policy",
	"hidden_flag", "witness"
};

static const char *state_runs_text(const struct pp_runs *runs)
{
	const struct pp_run *run;
	string_t *str = t_str_new(256);
	guint i;

	for (i = 0; i < pp_runs_count(runs); i++) {
		run = pp_runs_at(runs, i);
		if (i > 0)
			str_append_c(str, ' ');
		str_printfa(str, "%u-%u@%s", run->first, run->last,
			    doveadm_pop3_time(run->time, "0"));
	}
	return str_c(str);
}

static const char *state_open_rule_text(const struct pp_state *state)
{
	guint32 first, validity;

	if (!pp_uidl_map_get_open(state->map, &first, &validity))
		return "none";
	return t_strdup_printf("%u-@%u", first, validity);
}

static const char *state_due_text(uint64_t due)
{
	return due == G_MAXUINT64 ? "never" : doveadm_pop3_time(due, "now");
}

static const char *state_witness_text(struct pop3_policy_maildrop *md)
{
	struct pp_witness witness;

	pop3_policy_files_read_witness(md->files, &witness);
	switch (witness.status) {
	case PP_WITNESS_NONE:
		return "none";
	case PP_WITNESS_UNREADABLE:
		return "unreadable";
	case PP_WITNESS_THERE:
		break;
	}
	return t_strdup_printf("uidvalidity=%u validity=%u%s",
			       witness.uidvalidity, witness.validity,
			       witness.plain ? " plain" : "");
}

static void state_show_print(struct pop3_policy_maildrop *md,
			     const struct pp_state *state)
{
	doveadm_print(state->mailbox.guid);
	doveadm_print_num(state->mailbox.uidvalidity);
	doveadm_print_num(state->generation);
	doveadm_print_num(state->mark);
	doveadm_print_num(state->count);
	doveadm_print_num(state->high_validity);
	doveadm_print(state_open_rule_text(state));
	doveadm_print_num(pp_uidl_map_count(state->map));
	doveadm_print(state_runs_text(state->first_seen));
	doveadm_print(state_runs_text(state->retrieved));
	doveadm_print(state_runs_text(state->deleted));
	doveadm_print(t_strdup_printf("chunks=%u upto=%u",
				      state->ledger_chunks,
				      state->ledger_upto));
	doveadm_print(doveadm_pop3_time(state->clock, "-"));
	doveadm_print(state_due_text(state->due));
	doveadm_print(t_strdup_printf("%u.%03u@%s",
		state->bucket_millis / 1000, state->bucket_millis % 1000,
		doveadm_pop3_time(state->bucket_time, "-")));
	doveadm_print(state->policy == NULL ? "" : state->policy);
	doveadm_print(state->hidden_flag == NULL ? "" : state->hidden_flag);
	doveadm_print(state_witness_text(md));
}

static int cmd_state_show_run(struct doveadm_mail_cmd_context *ctx,
			      struct mail_user *user)
{
	struct pop3_policy_maildrop *md;
	struct pp_state *state;
	int ret;

	ret = doveadm_pop3_open(ctx, user, &md);
	if (ret <= 0)
		return ret;
	ret = doveadm_pop3_load(ctx, md, &state);
	if (ret > 0) {
		state_show_print(md, state);
		pp_state_free(state);
	}
	pop3_policy_maildrop_deinit(&md);
	return ret < 0 ? -1 : 0;
}

POP3_POLICY_DOVEADM_INIT(cmd_state_show_init)
{
	for (unsigned int i = 0; i < N_ELEMENTS(state_columns); i++)
		doveadm_print_header_simple(state_columns[i]);
}

static struct doveadm_mail_cmd_context *cmd_state_show_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);
	ctx->v.run = cmd_state_show_run;
	ctx->v.init = cmd_state_show_init;
	doveadm_print_init(DOVEADM_PRINT_TYPE_PAGER);
	return ctx;
}

/* Adds to WRITES the unset of those of KEYS that are there. Returns how many,
   or -1 and *error_r. */
static int state_find_keys(struct pop3_policy_maildrop *md,
			   const struct pop3_policy_deadline *deadline,
			   const char *const *keys, unsigned int count,
			   ARRAY_TYPE(const_string) *found,
			   const char **error_r)
{
	const char **values = t_new(const char *, count);
	unsigned int i;
	int ret = 0;

	if (pop3_policy_store_lookup(md->store, pool_datastack_create(),
				     deadline, keys, count, values,
				     error_r) < 0)
		return -1;
	for (i = 0; i < count; i++) {
		if (values[i] != NULL) {
			array_push_back(found, &keys[i]);
			ret++;
		}
	}
	return ret;
}

/* The same for chunks. A damaged state does not say how many there are. */
static int state_find_chunks(struct pop3_policy_maildrop *md,
			     const struct pop3_policy_deadline *deadline,
			     const char *prefix,
			     ARRAY_TYPE(const_string) *found,
			     const char **error_r)
{
	const char *keys[STATE_PROBE_CHUNKS];
	unsigned int i, first = 0;
	int ret;

	do {
		for (i = 0; i < STATE_PROBE_CHUNKS; i++)
			keys[i] = t_strdup_printf("%s/%u", prefix, first + i);
		ret = state_find_keys(md, deadline, keys, STATE_PROBE_CHUNKS,
				      found, error_r);
		first += STATE_PROBE_CHUNKS;
	} while (ret > 0);
	return ret;
}

static int state_find(struct pop3_policy_maildrop *md,
		      const struct pop3_policy_deadline *deadline,
		      ARRAY_TYPE(const_string) *found, const char **error_r)
{
	const char *key = POP3_POLICY_KEY_STATE;

	if (state_find_keys(md, deadline, &key, 1, found, error_r) < 0 ||
	    state_find_chunks(md, deadline, "uidl", found, error_r) < 0)
		return -1;
	return state_find_chunks(md, deadline, "ledger", found, error_r);
}

static int state_unset(struct pop3_policy_maildrop *md,
		       const struct pop3_policy_deadline *deadline,
		       const ARRAY_TYPE(const_string) *found,
		       const char **error_r)
{
	const struct pp_witness none = { .status = PP_WITNESS_NONE };
	unsigned int i, count = array_count(found);
	struct pop3_policy_write *writes =
		t_new(struct pop3_policy_write, count + 1);

	for (i = 0; i < count; i++)
		writes[i].key = array_idx_elem(found, i);
	if (count > 0 &&
	    pop3_policy_store_commit(md->store, deadline, writes, count,
				     error_r) < 0)
		return -1;
	/* After the dict: without a witness a state that is still there is
	   used as ever, but a witness without a state refuses logins. */
	if (md->files == NULL)
		return 0;
	return pop3_policy_files_write_witness(md->files, &none, error_r);
}

/* Deletes what is there, under the write lock. It cannot be had where INBOX's
   directory does not exist: an account that was made anew. */
static int state_delete(struct pop3_policy_maildrop *md, bool dry_run,
			ARRAY_TYPE(const_string) *found, const char **error_r)
{
	struct pop3_policy_deadline deadline = doveadm_pop3_deadline(md);
	int ret;

	if (!dry_run &&
	    pop3_policy_maildrop_create_files(md, NULL, error_r) < 0)
		return -1;
	if (md->files != NULL &&
	    pop3_policy_files_lock(md->files, &deadline, error_r) < 0)
		return -1;
	ret = state_find(md, &deadline, found, error_r);
	if (ret == 0 && !dry_run)
		ret = state_unset(md, &deadline, found, error_r);
	if (md->files != NULL)
		pop3_policy_files_unlock(md->files);
	return ret;
}

static int state_delete_md(struct doveadm_mail_cmd_context *ctx,
			   struct mail_user *user,
			   struct pop3_policy_maildrop *md)
{
	bool dry_run = doveadm_pop3_option(ctx, "dry-run");
	const char *witness = state_witness_text(md), *key, *error;
	ARRAY_TYPE(const_string) found;

	t_array_init(&found, 16);
	if (state_delete(md, dry_run, &found, &error) < 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	array_foreach_elem(&found, key) {
		doveadm_print(key);
		doveadm_print(dry_run ? "would be deleted" : "deleted");
	}
	if (strcmp(witness, "none") != 0) {
		doveadm_print("witness");
		doveadm_print(dry_run ? "would be deleted" : "deleted");
	}
	return 0;
}

static int cmd_state_delete_run(struct doveadm_mail_cmd_context *ctx,
				struct mail_user *user)
{
	struct pop3_policy_maildrop *md;
	int ret;

	ret = doveadm_pop3_open(ctx, user, &md);
	if (ret <= 0)
		return ret;
	ret = state_delete_md(ctx, user, md);
	pop3_policy_maildrop_deinit(&md);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_state_delete_init)
{
	doveadm_print_header_simple("key");
	doveadm_print_header_simple("outcome");
}

static struct doveadm_mail_cmd_context *cmd_state_delete_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);
	ctx->v.run = cmd_state_delete_run;
	ctx->v.init = cmd_state_delete_init;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_state_show = {
	.name = "pop3 state show",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_state_show_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_pop3_state_delete = {
	.name = "pop3 state delete",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[--dry-run]",
	.mail_cmd = cmd_state_delete_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
