/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The one way in which anything of a maildrop is written: lock, read again,
   change, commit, witness, unlock. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "mail-user.h"
#include "pop3-policy-event.h"
#include "pop3-policy-maildrop.h"

/* days that are looked for at once, when a new one begins */
#define USAGE_EXPIRE_MAX 32

static int maildrop_parse_usage(const char *value, struct pp_usage **usage_r,
				const char **error_r)
{
	g_autoptr(GError) error = NULL;

	if (value == NULL)
		*usage_r = pp_usage_new();
	else
		*usage_r = pp_usage_decode(value, &error);
	if (*usage_r != NULL)
		return 0;
	*error_r = t_strdup_printf(POP3_POLICY_KEY_USAGE": %s", error->message);
	return -1;
}

/* Counters are no reason to lose what was retrieved. */
static void change_usage_unreadable(struct pop3_policy_change *change,
				    const char *error)
{
	e_error(change->md->user->event, "pop3-policy: The stored value cannot "
		"be read: priv/pop3-policy/%s (it is not overwritten; what is "
		"to be counted is logged for doveadm pop3 usage replay)",
		error);
	change->usage_unreadable = TRUE;
}

/* Reads what is stored now into CHANGE. */
static int maildrop_read(struct pop3_policy_maildrop *md,
			 const struct pop3_policy_deadline *deadline,
			 bool want_state, bool want_usage,
			 struct pop3_policy_change *change,
			 const char **error_r)
{
	const char *keys[2], *values[2], *usage_error;
	unsigned int count = 0;

	if (want_state)
		keys[count++] = POP3_POLICY_KEY_STATE;
	if (want_usage)
		keys[count++] = POP3_POLICY_KEY_USAGE;
	if (pop3_policy_store_lookup(md->store, pool_datastack_create(),
				     deadline, keys, count, values,
				     error_r) < 0)
		return -1;
	if (want_usage &&
	    maildrop_parse_usage(values[count-1], &change->usage,
				 &usage_error) < 0)
		change_usage_unreadable(change, usage_error);
	if (!want_state)
		return 0;
	switch (pop3_policy_maildrop_parse(md, deadline, values[0],
					   change->state, &change->chunks,
					   error_r)) {
	case PP_LOOKUP_FOUND:
	case PP_LOOKUP_NOTHING:
		return 0;
	case PP_LOOKUP_FAILED:
	case PP_LOOKUP_DAMAGED:
		break;
	}
	return -1;
}

void pop3_policy_change_write(struct pop3_policy_change *change,
			      const char *key, const char *value)
{
	struct pop3_policy_write *write;

	array_foreach_modifiable(&change->writes, write) {
		if (strcmp(write->key, key) == 0) {
			write->value = t_strdup(value);
			return;
		}
	}
	write = array_append_space(&change->writes);
	write->key = t_strdup(key);
	write->value = t_strdup(value);
}

const char *pop3_policy_change_pending(const struct pop3_policy_change *change,
				       const char *key)
{
	const struct pop3_policy_write *write;

	array_foreach(&change->writes, write) {
		if (strcmp(write->key, key) == 0)
			return write->value;
	}
	return NULL;
}

static struct pp_usage_filed *
change_filed(struct pop3_policy_change *change, guint i)
{
	return &g_array_index(change->filed, struct pp_usage_filed, i);
}

int pop3_policy_change_take(struct pop3_policy_change *change,
			    const char **error_r)
{
	guint i = 0, count = 0, max = change->filed->len;
	const char **keys = t_new(const char *, max + 1);
	const char **values = t_new(const char *, max + 1);
	g_autoptr(GError) error = NULL;

	while (i < change->filed->len) {
		if (!change_filed(change, i)->begun) {
			i++;
			continue;
		}
		keys[count++] = t_strconcat("usage/",
			change_filed(change, i)->name, NULL);
		g_array_remove_index(change->filed, i);
	}
	if (count > 0 &&
	    pop3_policy_store_lookup(change->md->store,
				     pool_datastack_create(),
				     change->deadline, keys, count, values,
				     error_r) < 0)
		return -1;
	for (i = 0; i < count; i++) {
		if (values[i] != NULL &&
		    !pp_usage_take(change->usage, keys[i] + strlen("usage/"),
				   values[i], &error)) {
			*error_r = t_strdup_printf("%s: %s", keys[i],
						   error->message);
			return 0;
		}
	}
	/* not before: what was taken may not be written after all */
	for (i = 0; i < count; i++) {
		if (values[i] != NULL)
			pop3_policy_change_write(change, keys[i], NULL);
	}
	return 1;
}

int pop3_policy_change_count(struct pop3_policy_change *change,
			     const char *id,
			     const struct pp_counters *counters,
			     uint64_t ended, const char **error_r)
{
	const char *error;
	int ret;

	if (change->usage == NULL ||
	    !pp_usage_add(change->usage, id, counters, ended, change->filed))
		return 0;
	ret = pop3_policy_change_take(change, &error);
	if (ret < 0) {
		*error_r = error;
		return -1;
	}
	if (ret == 0)
		change_usage_unreadable(change, error);
	else
		change->usage_changed = TRUE;
	return 0;
}

static void maildrop_write_state(struct pop3_policy_maildrop *md,
				 struct pop3_policy_change *change)
{
	g_autofree char *doc = NULL;
	g_autoptr(GPtrArray) chunks = NULL;
	guint64 forgotten;
	guint i, stored = str_array_length(change->chunks);

	pp_state_encode(*change->state, &doc, &chunks, &forgotten);
	for (i = 0; i < chunks->len; i++) {
		const char *chunk = g_ptr_array_index(chunks, i);

		if (i < stored && strcmp(change->chunks[i], chunk) == 0)
			continue;
		pop3_policy_change_write(change,
					 t_strdup_printf("uidl/%u", i), chunk);
	}
	pop3_policy_change_write(change, POP3_POLICY_KEY_STATE, doc);
	if (forgotten > 0) {
		e_warning(md->user->event, "pop3-policy: "
			"The retrieval times of %"PRIu64" messages do not fit "
			"into the state and were forgotten: these messages "
			"count as not retrieved and are kept longer",
			(uint64_t)forgotten);
	}
}

static void maildrop_write_usage(struct pop3_policy_change *change)
{
	g_autofree char *doc = pp_usage_encode(change->usage);
	const struct pp_usage_filed *filed;
	guint i;

	for (i = 0; i < change->filed->len; i++) {
		filed = change_filed(change, i);
		pop3_policy_change_write(change,
			t_strdup_printf("usage/%s", filed->name), filed->doc);
	}
	pop3_policy_change_write(change, POP3_POLICY_KEY_USAGE, doc);
}

/* A witness is written after the commit: before it, nothing is known to be
   stored. But once the maildrop may have exceptions it must not say that there
   are none, whatever becomes of this process or of the commit's answer. */
static int maildrop_withdraw_plain(struct pop3_policy_maildrop *md,
				   const struct pp_state *state,
				   const char **error_r)
{
	struct pp_witness old, new;

	pop3_policy_files_read_witness(md->files, &old);
	pp_witness_from_state(state, &new);
	if (old.status != PP_WITNESS_THERE || !old.plain || new.plain)
		return 0;
	old.plain = FALSE;
	return pop3_policy_files_write_witness(md->files, &old, error_r);
}

/* A day that is filed, or written, only now can be too old at once. */
static void
maildrop_drop_day(struct pop3_policy_change *change, const char *key)
{
	const struct pop3_policy_write *write;
	guint i;

	for (i = 0; i < change->filed->len; i++) {
		if (strcmp(change_filed(change, i)->name,
			   key + strlen("usage/")) == 0) {
			g_array_remove_index(change->filed, i);
			break;
		}
	}
	array_foreach(&change->writes, write) {
		if (strcmp(write->key, key) == 0) {
			array_delete(&change->writes,
				array_foreach_idx(&change->writes, write), 1);
			break;
		}
	}
}

/* Keys of days that are too old go when a new day begins. Not all dicts can
   iterate, or unset what is not there: they are looked up by name. */
static int maildrop_expire_usage(struct pop3_policy_maildrop *md,
				 const struct pop3_policy_deadline *deadline,
				 struct pop3_policy_change *change,
				 const char **error_r)
{
	g_autoptr(GPtrArray) names = pp_usage_expire(change->usage,
		md->set->usage_keep_days, USAGE_EXPIRE_MAX);
	const char **keys = t_new(const char *, names->len + 1);
	const char **values = t_new(const char *, names->len + 1);
	guint i;

	for (i = 0; i < names->len; i++) {
		keys[i] = t_strconcat("usage/", g_ptr_array_index(names, i),
				      NULL);
	}
	if (names->len > 0 &&
	    pop3_policy_store_lookup(md->store, pool_datastack_create(),
				     deadline, keys, names->len, values,
				     error_r) < 0)
		return -1;
	for (i = 0; i < names->len; i++) {
		maildrop_drop_day(change, keys[i]);
		if (values[i] != NULL)
			pop3_policy_change_write(change, keys[i], NULL);
	}
	return 0;
}

static void maildrop_write_witness(struct pop3_policy_maildrop *md,
				   const struct pp_state *state)
{
	struct pp_witness old, new;
	const char *error;

	pop3_policy_files_read_witness(md->files, &old);
	pp_witness_from_state(state, &new);
	/* what was shown without being stored, until it is, or another rule is
	   open */
	if (old.status == PP_WITNESS_THERE && old.shown > state->mark &&
	    old.uidvalidity == new.uidvalidity &&
	    old.validity == new.validity)
		new.shown = old.shown;
	if (pop3_policy_files_write_witness(md->files, &new, &error) < 0) {
		e_error(md->user->event, "pop3-policy: The witness was not "
			"written: %s (if the dict is lost, this maildrop "
			"cannot be protected)", error);
	}
}

static int maildrop_commit(struct pop3_policy_maildrop *md,
			   const struct pop3_policy_deadline *deadline,
			   struct pop3_policy_change *change,
			   const char **error_r)
{
	unsigned int count;

	if (change->state_changed)
		maildrop_write_state(md, change);
	if (change->usage_changed && change->filed->len > 0 &&
	    maildrop_expire_usage(md, deadline, change, error_r) < 0)
		return -1;
	if (change->usage_changed)
		maildrop_write_usage(change);
	count = array_count(&change->writes);
	if (count == 0)
		return 0;
	if (change->state_changed &&
	    maildrop_withdraw_plain(md, *change->state, error_r) < 0)
		return -1;
	if (pop3_policy_store_commit(md->store, deadline,
				     array_front(&change->writes), count,
				     error_r) < 0)
		return -1;
	if (change->state_changed)
		maildrop_write_witness(md, *change->state);
	return 1;
}

void pop3_policy_maildrop_shown(struct pop3_policy_maildrop *md,
				const struct pop3_policy_deadline *deadline,
				guint32 uid)
{
	struct pp_witness witness;
	const char *error;

	if (md->files == NULL ||
	    pop3_policy_files_lock(md->files, deadline, &error) < 0)
		return;
	pop3_policy_files_read_witness(md->files, &witness);
	if (witness.status == PP_WITNESS_THERE && witness.shown < uid) {
		witness.shown = uid;
		(void)pop3_policy_files_write_witness(md->files, &witness,
						      &error);
	}
	pop3_policy_files_unlock(md->files);
}

static int
maildrop_change_locked(struct pop3_policy_maildrop *md,
		       const struct pop3_policy_deadline *deadline,
		       bool want_state, bool want_usage,
		       pop3_policy_change_callback_t *callback, void *context,
		       const char **error_r)
{
	struct pop3_policy_change change;
	struct pp_state *state = NULL;
	struct pp_counters before = { 0 };
	int ret;

	i_zero(&change);
	change.md = md;
	change.deadline = deadline;
	change.state = &state;
	change.filed = pp_usage_filed_array();
	t_array_init(&change.writes, 4);
	ret = maildrop_read(md, deadline, want_state, want_usage, &change,
			    error_r);
	if (change.usage != NULL)
		before = *pp_usage_total(change.usage);
	if (ret == 0)
		ret = callback(&change, context, error_r);
	if (ret > 0)
		ret = maildrop_commit(md, deadline, &change, error_r);
	if (ret > 0 && change.usage != NULL)
		pop3_policy_event_counters_full(md->user->event, &before,
			pp_usage_total(change.usage));
	g_array_unref(change.filed);
	pp_usage_free(change.usage);
	pp_state_free(state);
	return ret;
}

int pop3_policy_maildrop_change(struct pop3_policy_maildrop *md,
				const struct pop3_policy_deadline *deadline,
				bool want_state, bool want_usage,
				pop3_policy_change_callback_t *callback,
				void *context, const char **error_r)
{
	int ret;

	ret = pop3_policy_maildrop_create_files(md, NULL, error_r);
	if (ret == 0)
		*error_r = "INBOX's control directory does not exist";
	if (ret <= 0)
		return -1;
	if (pop3_policy_store_has_failed(md->store)) {
		*error_r = "an earlier operation failed";
		return -1;
	}
	if (pop3_policy_files_lock(md->files, deadline, error_r) < 0)
		return -1;
	T_BEGIN {
		ret = maildrop_change_locked(md, deadline, want_state,
					     want_usage, callback, context,
					     error_r);
	} T_END_PASS_STR_IF(ret < 0, error_r);
	pop3_policy_files_unlock(md->files);
	return ret;
}
