/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   The one place that knows which Dovecot this is built for (but for reading
   settings: pop3-policy-settings.c, and for making users whose settings are
   read: doveadm-pop3-slight-user.c). Included first by every file of the
   Dovecot side. */
#ifndef POP3_POLICY_COMPAT_H
#define POP3_POLICY_COMPAT_H

#include "lib.h"

#if !defined(DOVECOT_PREREQ)
#  error "dovecot-pop3-policy needs Dovecot 2.3.19 or later"
#endif

/* 2.4 reads settings through settings_get() and has no plugin { } section */
#if DOVECOT_PREREQ(2, 4, 0)
#  define POP3_POLICY_DOVECOT_24 1
#else
#  define POP3_POLICY_DOVECOT_24 0
#endif

/* Readers of times and sizes: 0, or -1 and *error_r */
#if POP3_POLICY_DOVECOT_24
#  include "str-parse.h"
#  define pop3_policy_get_secs str_parse_get_interval
#  define pop3_policy_get_msecs str_parse_get_interval_msecs
#  define pop3_policy_get_size str_parse_get_size
#else
#  include "settings-parser.h"
#  define pop3_policy_get_secs settings_get_time
#  define pop3_policy_get_msecs settings_get_time_msecs
#  define pop3_policy_get_size settings_get_size
#endif

/* Values of the variables of pop3_uidl_format. */
struct pop3_policy_uidl_vars {
	const char *uid, *uidvalidity, *md5, *filename, *guid;
};

/* Expands pop3_uidl_format. 0, or -1 and *error_r. */
#include "var-expand.h"
static inline int
pop3_policy_uidl_expand(string_t *dest, const char *format,
			const struct pop3_policy_uidl_vars *vars,
			const char **error_r)
{
#if POP3_POLICY_DOVECOT_24
	const struct var_expand_params params = {
		.table = (const struct var_expand_table[]) {
			{ .key = "uidvalidity", .value = vars->uidvalidity },
			{ .key = "uid", .value = vars->uid },
			{ .key = "md5", .value = vars->md5 },
			{ .key = "filename", .value = vars->filename },
			{ .key = "guid", .value = vars->guid },
			VAR_EXPAND_TABLE_END
		},
	};

	return var_expand(dest, format, &params, error_r) < 0 ? -1 : 0;
#else
	const struct var_expand_table table[] = {
		{ 'v', vars->uidvalidity, "uidvalidity" },
		{ 'u', vars->uid, "uid" },
		{ 'm', vars->md5, "md5" },
		{ 'f', vars->filename, "filename" },
		{ 'g', vars->guid, "guid" },
		{ '\0', NULL, NULL }
	};

	return var_expand(dest, format, table, error_r) <= 0 ? -1 : 0;
#endif
}

/* doveadm commands: their init function, and options. On 2.3 a command that has
   options of its own must have a parser for them, and each a short letter; the
   values are asked for by name on both lines. */
struct doveadm_mail_cmd_context;
#if POP3_POLICY_DOVECOT_24
#  define POP3_POLICY_DOVEADM_INIT(name) \
	static void name(struct doveadm_mail_cmd_context *_ctx ATTR_UNUSED)
#  define POP3_POLICY_DOVEADM_TAKES_OPTIONS(ctx)
#else
#  define POP3_POLICY_DOVEADM_INIT(name) \
	static void name(struct doveadm_mail_cmd_context *_ctx ATTR_UNUSED, \
			 const char *const args[] ATTR_UNUSED)
#  define POP3_POLICY_DOVEADM_TAKES_OPTIONS(ctx) \
	(ctx)->v.parse_arg = pop3_policy_doveadm_takes_option
static inline bool
pop3_policy_doveadm_takes_option(struct doveadm_mail_cmd_context *ctx
				 ATTR_UNUSED, int c ATTR_UNUSED)
{
	return TRUE;
}
#endif

/* All is built with hidden visibility: Dovecot opens modules RTLD_GLOBAL. This
   marks what it looks up by name. */
#define POP3_POLICY_EXPORT __attribute__((visibility("default")))

#endif
