/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The hooks. pop3's own symbols are weak: the plugin may stand in the global
   mail_plugins, where imap, lmtp and doveadm load it too. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "istream.h"
#include "ostream.h"
#include "mail-storage-hooks.h"
#include "mail-storage-private.h"
#include "pop3-policy-event.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-plugin.h"
#include "pop3-policy-session.h"
#include "pop3-policy-sight.h"

#define USER_CONTEXT(obj) \
	MODULE_CONTEXT(obj, pop3_policy_user_module)

#pragma weak pop3_client_created_hook_set

struct pop3_policy_user {
	union mail_user_module_context module_ctx;

	struct pop3_policy_maildrop *md;
	/* a session that POP3 itself began */
	struct pop3_policy_session *session;
	/* elsewhere: the state, once somebody asked for a UIDL */
	enum pp_lookup lookup;
	struct pp_state *state;
	bool loaded;
};

extern const char *pop3_policy_plugin_version;
POP3_POLICY_EXPORT const char *pop3_policy_plugin_version = DOVECOT_ABI_VERSION;

static MODULE_CONTEXT_DEFINE_INIT(pop3_policy_user_module,
				  &mail_user_module_register);
static pop3_client_created_func_t *next_client_created;

struct pop3_policy_session *const *
pop3_policy_session_of(struct mail_user *user)
{
	struct pop3_policy_user *puser = USER_CONTEXT(user);

	return puser == NULL ? NULL : &puser->session;
}

struct pop3_policy_session *pop3_policy_session_get(struct mail_user *user)
{
	struct pop3_policy_session *const *session =
		pop3_policy_session_of(user);

	return session == NULL ? NULL : *session;
}

/* Loads the state for somebody who is no POP3 session. */
static void user_load_state(struct pop3_policy_user *puser)
{
	struct pop3_policy_maildrop *md = puser->md;
	struct pop3_policy_deadline deadline =
		pop3_policy_deadline_in(md->set->dict_timeout_msecs);
	const char *error;

	if (puser->loaded)
		return;
	puser->loaded = TRUE;
	if (md->store == NULL) {
		/* said when it was opened */
		puser->lookup = PP_LOOKUP_FAILED;
		return;
	}
	puser->lookup = pop3_policy_maildrop_load(md, &deadline,
						  &puser->state, &error);
	if (puser->lookup != PP_LOOKUP_FOUND &&
	    puser->lookup != PP_LOOKUP_NOTHING) {
		e_error(md->user->event, "pop3-policy: Reading %s: "
			"no UIDLs are given", error);
	}
}

/* Only the mailbox that the state is about: another one may have the same
   UIDVALIDITY. */
static bool
user_state_is_of(struct pop3_policy_user *puser, struct mailbox *box)
{
	struct pp_mailbox_id id;
	const char *error;

	return pop3_policy_mailbox_id(box, &id, &error) == 0 &&
		pp_mailbox_id_equal(&id, &puser->state->mailbox);
}

static int
state_answer(const struct pp_state *state, struct mail *mail,
	     const char **value_r)
{
	char *uidl = pp_uidl_map_dup(state->map, mail->uid);

	if (uidl == NULL)
		return 0;
	*value_r = p_strdup(((struct mail_private *)mail)->data_pool, uidl);
	g_free(uidl);
	return 1;
}

int pop3_policy_answer_uidl(struct mail *mail, const char **value_r)
{
	struct pop3_policy_user *puser = USER_CONTEXT(mail->box->storage->user);
	struct pop3_policy_session *session = puser->session;
	const char *host_value;

	if (session != NULL) {
		if (session->state == NULL || !session->pinned)
			return 0;
		return state_answer(session->state, mail, value_r);
	}
	if (puser->md->set->uidl == POP3_POLICY_UIDL_HOST ||
	    pop3_policy_mailbox_is_host(mail->box))
		return 0;
	user_load_state(puser);
	switch (puser->lookup) {
	case PP_LOOKUP_FAILED:
	case PP_LOOKUP_DAMAGED:
		return -1;
	case PP_LOOKUP_NOTHING:
		return 0;
	case PP_LOOKUP_FOUND:
		break;
	}
	if (!user_state_is_of(puser, mail->box))
		return 0;
	if (mail->uid > puser->state->mark) {
		/* what a session would decide at first sight */
		if (puser->md->set->uidl == POP3_POLICY_UIDL_GUID ||
		    !pop3_policy_uidl_format_is_rule(mail->box) ||
		    pop3_policy_mail_host_uidl(mail, &host_value) < 0 ||
		    host_value[0] != '\0')
			return 0;
	}
	return state_answer(puser->state, mail, value_r);
}

static void user_deinit_pre(struct mail_user *user)
{
	struct pop3_policy_user *puser = USER_CONTEXT(user);

	if (puser->session != NULL) T_BEGIN {
		pop3_policy_close(puser->session);
	} T_END;
	puser->module_ctx.super.deinit_pre(user);
}

static void user_deinit(struct mail_user *user)
{
	struct pop3_policy_user *puser = USER_CONTEXT(user);

	if (puser->session != NULL) {
		puser->session->client = NULL;
		pop3_policy_session_unref(&puser->session);
	}
	pop3_policy_maildrop_deinit(&puser->md);
	pp_state_free(puser->state);
	puser->state = NULL;
	puser->module_ctx.super.deinit(user);
}

static void pop3_policy_user_created(struct mail_user *user)
{
	struct mail_user_vfuncs *v = user->vlast;
	struct pop3_policy_maildrop *md;
	struct pop3_policy_user *puser;
	const char *error;
	int ret;

	if (user->autocreated ||
	    (strcmp(user->service, "pop3") != 0 &&
	     strcmp(user->service, "doveadm") != 0 &&
	     strcmp(user->service, "dsync") != 0))
		return;
	ret = pop3_policy_maildrop_init(user, &md, &error);
	if (ret == 0)
		return;
	if (ret < 0)
		e_error(user->event, "pop3-policy: The dict cannot be opened: "
			"%s (check pop3_policy_dict)", error);
	puser = p_new(user->pool, struct pop3_policy_user, 1);
	puser->md = md;
	puser->module_ctx.super = *v;
	user->vlast = &puser->module_ctx.super;
	v->deinit_pre = user_deinit_pre;
	v->deinit = user_deinit;
	MODULE_CONTEXT_SET(user, pop3_policy_user_module, puser);
}

static void pop3_policy_namespaces_created(struct mail_namespace *namespaces)
{
	struct pop3_policy_session *session =
		pop3_policy_session_get(namespaces->user);

	if (session != NULL && session->client != NULL &&
	    !session->namespaces_created)
		pop3_policy_login_namespaces(session);
}

static void pop3_policy_client_created(struct client **client)
{
	struct pop3_policy_user *puser = USER_CONTEXT((*client)->user);

	if (puser != NULL) {
		puser->session = pop3_policy_session_create(*client,
							    puser->md);
	}
	if (next_client_created != NULL)
		next_client_created(client);
}

static struct mail_storage_hooks pop3_policy_mail_storage_hooks = {
	.mail_user_created = pop3_policy_user_created,
	.mail_namespaces_created = pop3_policy_namespaces_created,
	.mailbox_allocated = pop3_policy_mailbox_allocated,
};

POP3_POLICY_EXPORT void pop3_policy_plugin_init(struct module *module)
{
	mail_storage_hooks_add(module, &pop3_policy_mail_storage_hooks);
	if (pop3_client_created_hook_set != NULL) {
		next_client_created = pop3_client_created_hook_set(
			pop3_policy_client_created);
	}
}

POP3_POLICY_EXPORT void pop3_policy_plugin_deinit(void)
{
	if (pop3_client_created_hook_set != NULL) {
		pop3_client_created_hook_set(next_client_created);
		/* pop3 is done, its last client gone. What was abandoned cannot
		   be freed, and would be reported as a leak line by line. */
		if (pop3_policy_store_process_must_end())
			lib_exit(0);
	}
	mail_storage_hooks_remove(&pop3_policy_mail_storage_hooks);
}
