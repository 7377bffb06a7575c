/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-judge.h. */
#include "pop3-policy-compat.h"
#include "str.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "pop3-policy-files.h"
#include "pop3-policy-judge.h"
#include "pop3-policy-mailbox.h"

int pop3_policy_judge_open(struct mail_user *user, struct mailbox **box_r,
			   const char **error_r)
{
	struct mail_namespace *ns = mail_namespace_find_inbox(user->namespaces);
	struct mailbox *box;
	enum mail_error error;
	int ret = 1;

	/* The admin's policy holds whatever the user's ACLs say. A full read,
	   since somebody may just have flagged a message. */
	box = mailbox_alloc(ns->list, "INBOX", MAILBOX_FLAG_IGNORE_ACLS);
	if (mailbox_open(box) < 0 ||
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0) {
		*error_r = t_strdup_printf("INBOX cannot be opened: %s",
			mailbox_get_last_internal_error(box, &error));
		ret = error == MAIL_ERROR_NOTFOUND ? 0 : -1;
		mailbox_free(&box);
	} else {
		*box_r = box;
	}
	return ret;
}

/* 1 if STATE is about what is there, 0 if not: the next login sees to it. -1
   and *error_r where a login would be refused. */
static int judge_compare(struct pop3_policy_maildrop *md,
			 const struct pp_state *state,
			 const struct pp_mailbox_now *mailbox,
			 const char **error_r)
{
	struct pp_witness witness;
	enum pp_refusal why;

	pop3_policy_files_read_witness(md->files, &witness);
	switch (pp_login_decide(PP_LOOKUP_FOUND, state, &witness, mailbox,
				md->set->uidl != POP3_POLICY_UIDL_HOST,
				&why)) {
	case PP_LOGIN_SERVE:
		return pp_mailbox_brought_back(state, mailbox) ? 0 : 1;
	case PP_LOGIN_REFUSE:
		*error_r = "The dict is an older copy than the witness beside "
			"the mailbox knows: nothing is removed (restore the "
			"newer one, or accept the loss with doveadm pop3 uidl "
			"repair --accept-loss)";
		return -1;
	default:
		return 0;
	}
}

int pop3_policy_judge(struct pop3_policy_maildrop *md, struct mailbox *box,
		      struct mailbox_transaction_context *trans,
		      const struct pp_state *state, uint64_t now, bool sizes,
		      GArray **verdicts_r, bool *clock_back_r,
		      const char **error_r)
{
	const struct pp_policy *policy = &md->set->policy;
	struct pp_mailbox_now mailbox;
	GArray *messages;
	gboolean clock_back;
	int ret;

	if (pop3_policy_mailbox_now(box, trans, state, &mailbox, error_r) < 0)
		return -1;
	ret = judge_compare(md, state, &mailbox, error_r);
	if (ret <= 0)
		return ret;
	sizes = sizes || policy->max_retrieved_bytes > 0;
	messages = pop3_policy_mailbox_messages(box, trans, policy->protect,
						state->hidden_flag, sizes);
	*verdicts_r = pp_retention_judge(state, policy,
		(const struct pp_message *)(void *)messages->data,
		messages->len, now, &clock_back);
	*clock_back_r = clock_back;
	g_array_unref(messages);
	return 1;
}

/* What the host shows, but for pop3_reuse_xuidl and duplicates. */
static const char *judge_host_uidl(struct mail *mail)
{
	const char *error, *uidl =
		pop3_policy_mail_special(mail, MAIL_FETCH_UIDL_BACKEND);
	struct pop3_policy_uidl_vars vars = {
		.uid = dec2str(mail->uid),
	};
	struct mailbox_status status;
	string_t *str = t_str_new(128);

	if (*uidl != '\0')
		return t_strdup(uidl);
	mailbox_get_open_status(mail->box, STATUS_UIDVALIDITY, &status);
	vars.uidvalidity = dec2str(status.uidvalidity);
	vars.md5 = pop3_policy_mail_special(mail, MAIL_FETCH_HEADER_MD5);
	vars.filename = pop3_policy_mail_special(mail, MAIL_FETCH_STORAGE_ID);
	vars.guid = pop3_policy_mail_special(mail, MAIL_FETCH_GUID);
	if (pop3_policy_uidl_expand(str,
				    mail->box->storage->set->pop3_uidl_format,
				    &vars, &error) < 0)
		return "-";
	return str_c(str);
}

const char *pop3_policy_judge_uidl(const struct pop3_policy_maildrop *md,
				   const struct pp_state *state,
				   struct mail *mail)
{
	const struct pp_uidl_seg *seg;
	char buf[PP_UIDL_MAX_LEN + 1];

	if (md->set->uidl == POP3_POLICY_UIDL_HOST)
		return judge_host_uidl(mail);
	seg = pp_uidl_map_find(state->map, mail->uid);
	if (seg == NULL)
		return "-";
	(void)pp_uidl_print(seg, mail->uid, buf);
	return t_strdup(buf);
}
