/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   First sight: what the host would show for a message, so that nothing changes
   on the day the plugin comes. What the open rule yields needs no decision;
   all else becomes a segment of the map, and is stored before it is shown. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "str.h"
#include "mail-index.h"
#include "mail-search-build.h"
#include "mail-storage-private.h"
#include "pop3-policy-mailbox.h"
#include "pop3-policy-sight.h"
#include "pp-state.h"

/* A message whose UIDL may be other than the open rule's. */
struct sight_entry {
	uint32_t uid;
	const char *text;	/* NULL: the open rule's */
};

struct sight {
	const struct pop3_policy_sight *params;
	struct pp_state *state;
	uint32_t uidvalidity;
	bool first;
	/* only asked whether there is a text */
	bool peek;
	/* up to this UID messages were there when the host's UIDLs were shown,
	   so that X-UIDL counts */
	uint32_t there_upto;
	/* the host's format is asked, and needs the mail's own data */
	bool rule_format, by_guid;
	/* it would yield what it did before some recovery */
	bool format_repeats;
	pool_t pool;
	ARRAY(struct sight_entry) entries;
	bool any;
	/* what is taken: UIDL -> itself */
	GTree *used;
	/* the validity for what cannot have the text it should have; 0: not
	   chosen yet */
	uint32_t other_validity;
	/* the open rule's validity, and whether some text is one that the rule
	   would yield for mail still to come */
	uint32_t open_validity;
	bool open_taken;
	unsigned int replaced;
};

bool pop3_policy_uidl_format_is_rule(struct mailbox *box)
{
	/* two values for each variable: a format that prints anything but the
	   rule cannot agree with it for both */
	static const struct {
		struct pop3_policy_uidl_vars vars;
		const char *uidl;
	} probes[] = {
		{ { "439041101", "305419896", "m1", "f1", "g1" },
		  "1a2b3c4d12345678" },
		{ { "7", "4294967294", "m2", "f2", "g2" },
		  "00000007fffffffe" },
	};
	const char *format = box->storage->set->pop3_uidl_format;
	const char *error;
	string_t *str = t_str_new(64);
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(probes); i++) {
		str_truncate(str, 0);
		if (pop3_policy_uidl_expand(str, format, &probes[i].vars,
					    &error) < 0 ||
		    strcmp(str_c(str), probes[i].uidl) != 0)
			return FALSE;
	}
	return TRUE;
}

/* TRUE if the format has nothing but UIDs: what it yields repeats as soon as
   they do. */
static bool sight_format_repeats(struct mailbox *box)
{
	static const struct pop3_policy_uidl_vars vars[] = {
		{ "1", "1", "m1", "f1", "g1" },
		{ "1", "2", "m2", "f2", "g2" },
	};
	const char *format = box->storage->set->pop3_uidl_format;
	const char *error;
	string_t *str1 = t_str_new(64), *str2 = t_str_new(64);

	return pop3_policy_uidl_expand(str1, format, &vars[0], &error) == 0 &&
		pop3_policy_uidl_expand(str2, format, &vars[1], &error) == 0 &&
		strcmp(str_c(str1), str_c(str2)) == 0;
}

/* The host's own format. For new mail by the open rule's validity, which is the
   mailbox's until it might repeat with these UIDs. */
static int sight_format(struct sight *sight, struct mail *mail,
			const char **text_r, const char **error_r)
{
	struct pop3_policy_uidl_vars vars = {
		.uid = dec2str(mail->uid),
		.uidvalidity = dec2str(sight->first ? sight->uidvalidity :
				       sight->open_validity),
	};
	string_t *str = t_str_new(128);

	vars.md5 = pop3_policy_mail_special(mail, MAIL_FETCH_HEADER_MD5);
	vars.filename = pop3_policy_mail_special(mail, MAIL_FETCH_STORAGE_ID);
	vars.guid = pop3_policy_mail_special(mail, MAIL_FETCH_GUID);
	if (pop3_policy_uidl_expand(str,
			mail->box->storage->set->pop3_uidl_format,
			&vars, error_r) < 0)
		return -1;
	*text_r = str_c(str);
	return 0;
}

/* What MAIL should be shown as; NULL: the open rule's. */
static int sight_text(struct sight *sight, struct mail *mail,
		      const char **text_r, const char **error_r)
{
	const char *value;

	*text_r = NULL;
	if (sight->params->host_uidl(mail, &value) == 0 &&
	    value[0] != '\0') {
		*text_r = value;
		return 0;
	}
	if (mail->uid <= sight->there_upto &&
	    sight->params->reuse_xuidl &&
	    mail_get_first_header(mail, "X-UIDL", &value) > 0) {
		*text_r = value;
		return 0;
	}
	if (sight->by_guid) {
		value = pop3_policy_mail_special(mail, MAIL_FETCH_GUID);
		if (value[0] != '\0')
			*text_r = value;
		return 0;
	}
	return sight->rule_format || sight->format_repeats ? 0 :
		sight_format(sight, mail, text_r, error_r);
}

static int sight_collect(struct sight *sight, struct mailbox *box,
			 struct mailbox_transaction_context *trans,
			 const char **error_r)
{
	struct mail_search_args *args;
	struct mail_search_context *ctx;
	const struct pp_uidl_seg *seg;
	struct sight_entry *entry;
	struct mail *mail;
	const char *text;
	uint32_t upto = sight->state->mark, seq1, seq2;
	int ret = 0;

	if (sight->state->host_first != 0) {
		upto = sight->state->host_first - 1;
	} else if (!sight->first) {
		/* what was shown by the open rule in an outage keeps that
		   UIDL */
		upto = I_MAX(upto, sight->params->shown_unstored);
	}
	if (!mail_index_lookup_seq_range(box->view, upto + 1, (uint32_t)-1,
					 &seq1, &seq2))
		return 0;
	args = mail_search_build_init();
	mail_search_build_add_seqset(args, seq1, seq2);
	ctx = mailbox_search_init(trans, args, NULL, 0, NULL);
	mail_search_args_unref(&args);
	while (ret == 0 && !(sight->peek && sight->any) &&
	       mailbox_search_next(ctx, &mail)) {
		seg = pp_uidl_map_find(sight->state->map, mail->uid);
		if (seg != NULL && seg->last != PP_UID_MAX)
			continue;	/* decided before */
		T_BEGIN {
			ret = sight_text(sight, mail, &text, error_r);
			if (ret == 0 && text != NULL)
				sight->any = TRUE;
			if (ret == 0 && !sight->peek) {
				entry = array_append_space(&sight->entries);
				entry->uid = mail->uid;
				entry->text = p_strdup(sight->pool, text);
			}
		} T_END_PASS_STR_IF(ret < 0, error_r);
	}
	if (mailbox_search_deinit(&ctx) < 0 && ret == 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(box, NULL));
		ret = -1;
	}
	return ret;
}

static bool sight_take(struct sight *sight, const char *uidl)
{
	char *key;

	if (g_tree_lookup(sight->used, uidl) != NULL)
		return FALSE;
	key = p_strdup(sight->pool, uidl);
	g_tree_insert(sight->used, key, key);
	return TRUE;
}

/* Messages from before `host` keep what they have, and what a rule yields may
   be what the host showed for others since. */
static void sight_take_kept(struct sight *sight)
{
	GArray *uids = pop3_policy_mailbox_uids(sight->params->box);

	for (guint i = 0; i < uids->len; i++) {
		guint32 uid = g_array_index(uids, guint32, i);
		g_autofree char *uidl = NULL;

		if (uid >= sight->state->host_first)
			break;
		uidl = pp_uidl_map_dup(sight->state->map, uid);
		if (uidl != NULL)
			(void)sight_take(sight, uidl);
	}
	g_array_unref(uids);
}

/* All texts of the map are taken; what its rules yield is known by its
   validity. */
static void sight_take_known(struct sight *sight)
{
	const struct pp_uidl_seg *seg;
	guint i, count = pp_uidl_map_count(sight->state->map);

	for (i = 0; i < count; i++) {
		seg = pp_uidl_map_at(sight->state->map, i);
		if (seg->text != NULL)
			(void)sight_take(sight, seg->text);
	}
	if (sight->state->host_first != 0)
		sight_take_kept(sight);
}

/* May TEXT become UID's UIDL? */
static bool sight_is_acceptable(struct sight *sight, const char *text)
{
	guint32 uid, validity;

	if (!pp_uidl_is_valid(text))
		return FALSE;
	if (!pp_uidl_is_rule_shape(text, &uid, &validity))
		return TRUE;
	/* on the day the plugin comes all stays what it was */
	if (sight->first)
		return TRUE;
	if (validity > PP_VALIDITY_FOREIGN_MAX)
		return FALSE;
	/* a validity that was used may have been used for this very UIDL */
	return validity > sight->state->high_validity;
}

/* Gives ENTRY the UIDL TEXT. */
static void sight_set(struct sight *sight, const struct sight_entry *entry,
		      const char *text)
{
	struct pp_state *state = sight->state;
	struct pp_uidl_seg seg;
	char buf[PP_UIDL_MAX_LEN + 1];
	guint32 uid, validity;
	bool is_rule = pp_uidl_is_rule_shape(text, &uid, &validity);

	if (is_rule && validity == sight->open_validity)
		sight->open_taken = TRUE;
	/* a rule with one of the last validities would use all up: that is a
	   text */
	if (is_rule && validity <= PP_VALIDITY_FOREIGN_MAX) {
		pp_state_use_validity(state, validity);
		i_zero(&seg);
		seg.first = seg.last = entry->uid;
		seg.old_first = uid;
		seg.validity = validity;
		(void)pp_uidl_print(&seg, entry->uid, buf);
		if (uid != 0 && strcmp(buf, text) == 0) {
			pp_uidl_map_set_rule(state->map, entry->uid,
					     entry->uid, uid, validity);
			return;
		}
	}
	pp_uidl_map_set_text(state->map, entry->uid, text);
}

/* ENTRY cannot have what it should have: it gets uid + 0 of a validity that
   was never used. */
static void
sight_replace(struct sight *sight, const struct sight_entry *entry)
{
	struct pp_state *state = sight->state;

	if (sight->other_validity == 0) {
		sight->other_validity =
			pp_state_next_validity(state, sight->uidvalidity);
		pp_state_use_validity(state, sight->other_validity);
	}
	pp_uidl_map_set_rule(state->map, entry->uid, entry->uid, entry->uid,
			     sight->other_validity);
}

/* The highest validity of all texts must be known before the first one is
   replaced. */
static void sight_note_validities(struct sight *sight)
{
	const struct sight_entry *entry;
	guint32 uid, validity;

	array_foreach(&sight->entries, entry) {
		if (entry->text != NULL && sight->first &&
		    pp_uidl_is_rule_shape(entry->text, &uid, &validity) &&
		    validity <= PP_VALIDITY_FOREIGN_MAX)
			pp_state_use_validity(sight->state, validity);
	}
}

static void sight_apply(struct sight *sight)
{
	struct pp_state *state = sight->state;
	const struct sight_entry *entry;
	struct pp_uidl_seg rule;
	char buf[PP_UIDL_MAX_LEN + 1];

	i_zero(&rule);
	rule.last = PP_UID_MAX;
	rule.validity = sight->open_validity;
	sight_take_known(sight);
	sight_note_validities(sight);
	array_foreach(&sight->entries, entry) {
		rule.first = rule.old_first = entry->uid;
		(void)pp_uidl_print(&rule, entry->uid, buf);
		if (entry->text != NULL && strcmp(entry->text, buf) != 0 &&
		    sight_is_acceptable(sight, entry->text) &&
		    sight_take(sight, entry->text)) {
			sight_set(sight, entry, entry->text);
			continue;
		}
		if (entry->text != NULL && strcmp(entry->text, buf) != 0)
			sight->replaced++;
		/* the rule's own may be somebody else's by now */
		if (!sight_take(sight, buf))
			sight_replace(sight, entry);
	}
	entry = array_back(&sight->entries);
	if ((sight->open_taken ||
	     state->high_validity > sight->open_validity) &&
	    entry->uid < PP_UID_MAX - 1) {
		(void)pp_state_open_rule(state, entry->uid + 1,
					 sight->uidvalidity);
	}
}

static void sight_init(struct sight *sight,
		       const struct pop3_policy_sight *params,
		       struct pp_state *state, bool first)
{
	struct mailbox_status status;
	guint32 open_first;

	mailbox_get_open_status(params->box, STATUS_UIDVALIDITY, &status);
	i_zero(sight);
	sight->params = params;
	sight->uidvalidity = status.uidvalidity;
	sight->state = state;
	sight->first = first;
	sight->by_guid = !first &&
		params->set->uidl == POP3_POLICY_UIDL_GUID;
	/* after `host` what it showed must be told from what the rule yields */
	sight->rule_format = state->host_first == 0 &&
		pop3_policy_uidl_format_is_rule(params->box);
	if (state->host_first != 0)
		sight->there_upto = state->mark;
	else if (first)
		sight->there_upto = PP_UID_MAX;
	if (!pp_uidl_map_get_open(state->map, &open_first,
				  &sight->open_validity))
		i_unreached();
	sight->format_repeats = !first && state->generation > 0 &&
		sight_format_repeats(params->box);
}

int pop3_policy_sight_needed(const struct pop3_policy_sight *params,
			     struct pp_state *state, bool first,
			     const char **error_r)
{
	struct sight sight;

	sight_init(&sight, params, state, first);
	sight.peek = TRUE;
	if (sight_collect(&sight, params->box, params->trans, error_r) < 0)
		return -1;
	return sight.any ? 1 : 0;
}

int pop3_policy_sight(const struct pop3_policy_sight *params,
		      struct pp_state *state, bool first,
		      const char **error_r)
{
	struct sight sight;
	int ret;

	sight_init(&sight, params, state, first);
	sight.pool = pool_alloconly_create("pop3-policy first sight", 1024);
	i_array_init(&sight.entries, 32);
	ret = sight_collect(&sight, params->box, params->trans, error_r);
	if (ret == 0 && sight.any) {
		sight.used = pp_uidl_tree_new();
		sight_apply(&sight);
		g_tree_unref(sight.used);
		ret = 1;
	}
	if (sight.replaced > 0) {
		e_warning(params->event, "%u messages would have had a UIDL "
			  "that is no legal one or was used before: they get "
			  "one of UID and UIDVALIDITY", sight.replaced);
	}
	array_free(&sight.entries);
	pool_unref(&sight.pool);
	return ret;
}
