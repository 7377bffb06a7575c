/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   `doveadm pop3 uidl export`: shown messages, their UIDLs and what they are
   known by, in the format that pp-import.h describes. */
#include "pop3-policy-compat.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "pop3-policy-book.h"
#include "pop3-policy-header.h"
#include "pop3-policy-mailbox.h"
#include "doveadm-pop3-uidl.h"

/* One user's turn. */
struct export_run {
	struct doveadm_pop3_drop drop;
	struct pop3_policy_deadline deadline;
	/* the ledger, struct pp_identity by UID, and headers that it lacks */
	GArray *ledger, *headers;
	guint count;
};

static void export_line(GString *str)
{
	if (str->len > 0 && str->str[str->len - 1] == '\n')
		g_string_truncate(str, str->len - 1);
	doveadm_print(str->str);
	g_string_truncate(str, 0);
}

/* A message and its place in the listing. */
struct export_place {
	guint position;
	guint32 uid;
};

static gint export_place_cmp(gconstpointer p1, gconstpointer p2)
{
	const struct export_place *a = p1, *b = p2;

	if (a->position != b->position)
		return a->position < b->position ? -1 : 1;
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

/* What was shown, as the listing has it. What was never shown is left out:
   nobody knows its UIDL. */
static GArray *export_places(struct export_run *run)
{
	const struct pp_state *state = run->drop.state;
	guint32 shown = doveadm_pop3_drop_shown_upto(&run->drop, state);
	GArray *uids = pop3_policy_mailbox_uids(run->drop.box);
	GArray *places = g_array_new(FALSE, FALSE,
				     sizeof(struct export_place));

	for (guint i = 0; i < uids->len; i++) {
		struct export_place place = {
			.uid = g_array_index(uids, guint32, i)
		};

		if (place.uid > shown)
			break;
		if (state->order != NULL) {
			place.position = pp_order_position(state->order,
							   place.uid);
		}
		g_array_append_val(places, place);
	}
	g_array_unref(uids);
	g_array_sort(places, export_place_cmp);
	return places;
}

/* What the ledger knows of UID. */
static const struct pp_identity *export_find(const GArray *ledger, guint32 uid)
{
	const struct pp_identity *identity;
	guint low = 0, high = ledger->len, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		identity = &g_array_index(ledger, struct pp_identity, middle);
		if (identity->uid == uid)
			return identity;
		if (identity->uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void export_header(struct export_run *run, struct mail *mail,
			  struct pp_import_record *record)
{
	struct pp_identity identity = { .uid = mail->uid };

	identity.header = record->header = pop3_policy_mail_header_hash(mail);
	if (identity.header != 0)
		g_array_append_val(run->headers, identity);
}

static void export_mail(struct export_run *run, struct mail *mail,
			const struct pp_identity *known, bool headers,
			GString *str)
{
	struct pp_import_record record = { .size = PP_SIZE_UNKNOWN };
	uoff_t size;

	record.uidl = pp_uidl_map_dup(run->drop.state->map, mail->uid);
	if (record.uidl == NULL)
		return;
	if (mail_get_virtual_size(mail, &size) == 0)
		record.size = size;
	record.id = doveadm_pop3_special(mail, MAIL_FETCH_STORAGE_ID);
	record.guid = doveadm_pop3_special(mail, MAIL_FETCH_GUID);
	if (record.id != NULL && g_strcmp0(record.id, record.guid) == 0) {
		g_free(record.guid);
		record.guid = NULL;
	}
	if (known != NULL && known->header != 0)
		record.header = known->header;
	else if (headers)
		export_header(run, mail, &record);
	pp_export_record(str, &record);
	export_line(str);
	run->count++;
	g_free(record.uidl);
	g_free(record.id);
	g_free(record.guid);
}

static gint export_uid_cmp(gconstpointer p1, gconstpointer p2)
{
	const struct pp_identity *a = p1, *b = p2;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

static void export_mails(struct export_run *run, bool headers, GString *str)
{
	struct mail *mail = mail_alloc(run->drop.trans,
				       MAIL_FETCH_VIRTUAL_SIZE, NULL);
	GArray *places = export_places(run);

	for (guint i = 0; i < places->len; i++) T_BEGIN {
		guint32 uid = g_array_index(places, struct export_place,
					    i).uid;

		if (mail_set_uid(mail, uid)) {
			export_mail(run, mail, export_find(run->ledger, uid),
				    headers, str);
		}
	} T_END;
	g_array_unref(places);
	mail_free(&mail);
	g_array_sort(run->headers, export_uid_cmp);
}

static int export_change(struct pop3_policy_change *change, void *context,
			 const char **error_r)
{
	struct export_run *run = context;

	if (*change->state == NULL ||
	    (*change->state)->generation != run->drop.state->generation)
		return 0;
	if (pop3_policy_book_fill_headers(run->drop.md, &run->deadline, change,
					  run->headers, error_r) < 0)
		return -1;
	change->state_changed = TRUE;
	return 1;
}

static int export_run(struct export_run *run, bool headers,
		      const char **error_r)
{
	g_autoptr(GString) str = g_string_new(NULL);
	struct pop3_policy_book_left left;

	run->deadline = doveadm_pop3_deadline(run->drop.md);
	run->ledger = pop3_policy_book_read(run->drop.md, &run->deadline,
					    run->drop.state, &left,
					    error_r);
	if (run->ledger == NULL)
		return -1;
	run->headers = g_array_new(FALSE, FALSE, sizeof(struct pp_identity));
	pp_export_begin(str);
	export_line(str);
	export_mails(run, headers, str);
	pp_export_end(str, run->count);
	export_line(str);
	if (run->headers->len == 0)
		return 0;
	run->deadline = doveadm_pop3_deadline(run->drop.md);
	return pop3_policy_maildrop_change(run->drop.md, &run->deadline, TRUE,
					   FALSE, export_change, run,
					   error_r) < 0 ? -1 : 0;
}

static int export_opened(struct doveadm_mail_cmd_context *ctx,
			 struct mail_user *user, struct export_run *run)
{
	enum pp_login_action action = PP_LOGIN_SERVE;
	enum pp_refusal why;
	const char *error;

	if (doveadm_pop3_drop_decide(&run->drop, run->drop.state, &action,
				     &why, &error) < 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	error = doveadm_pop3_drop_trouble(action, why);
	if (*error != '\0') {
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_NOTPOSSIBLE,
					 error);
	}
	if (run->drop.state == NULL) {
		e_info(user->event, "pop3-policy: There is no state: no POP3 "
		       "session since the plugin is on");
		return 0;
	}
	if (export_run(run, doveadm_pop3_option(ctx, "headers"), &error) < 0)
		return doveadm_pop3_fail(ctx, user, MAIL_ERROR_TEMP, error);
	return 0;
}

static int cmd_uidl_export_run(struct doveadm_mail_cmd_context *ctx,
			       struct mail_user *user)
{
	struct export_run run;
	int ret;

	i_zero(&run);
	ret = doveadm_pop3_drop_open(ctx, user, FALSE, &run.drop);
	if (ret <= 0)
		return ret;
	ret = export_opened(ctx, user, &run);
	if (run.ledger != NULL)
		g_array_unref(run.ledger);
	if (run.headers != NULL)
		g_array_unref(run.headers);
	doveadm_pop3_drop_close(&run.drop);
	return ret;
}

POP3_POLICY_DOVEADM_INIT(cmd_uidl_export_init)
{
	doveadm_print_header("line", "line",
			     DOVEADM_PRINT_HEADER_FLAG_HIDE_TITLE);
}

static struct doveadm_mail_cmd_context *cmd_uidl_export_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);
	ctx->v.run = cmd_uidl_export_run;
	ctx->v.init = cmd_uidl_export_init;
	POP3_POLICY_DOVEADM_TAKES_OPTIONS(ctx);
	doveadm_print_init(DOVEADM_PRINT_TYPE_FLOW);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_pop3_uidl_export = {
	.name = "pop3 uidl export",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[--headers]",
	.mail_cmd = cmd_uidl_export_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('x', "headers", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
