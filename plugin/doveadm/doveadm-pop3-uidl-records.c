/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   UIDLs that others showed: from a text, from an mbox or maildir whose messages
   carry X-UIDL, from another mailbox of the user's. */
#include "pop3-policy-compat.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "istream-raw-mbox.h"
#include "mail-namespace.h"
#include "mail-search-build.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "doveadm.h"
#include "pop3-policy-header.h"
#include "pop3-policy-mailbox.h"
#include "doveadm-pop3-uidl.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

void doveadm_pop3_source_init(struct doveadm_mail_cmd_context *ctx,
			      struct doveadm_pop3_source *source_r)
{
	i_zero(source_r);
	source_r->fd = -1;
	(void)doveadm_cmd_param_str(ctx->cctx, "path", &source_r->path);
	(void)doveadm_cmd_param_str(ctx->cctx, "from", &source_r->from);
	if ((source_r->path == NULL) == (source_r->from == NULL))
		i_fatal_status(EX_USAGE, "Either a file, or --from a mailbox");
	if (source_r->path == NULL || g_str_has_prefix(source_r->path, "~/"))
		return;
	if (!ctx->iterate_single_user)
		i_fatal_status(EX_USAGE, "For more than one user the file must "
			       "be one in each home: ~/...");
	source_r->fd = open(source_r->path, O_RDONLY | O_CLOEXEC);
	if (source_r->fd == -1) {
		i_fatal_status(EX_NOINPUT, "open(%s) failed: %m",
			       source_r->path);
	}
}

void doveadm_pop3_source_deinit(struct doveadm_pop3_source *source)
{
	i_close_fd(&source->fd);
}

static guint64 records_header_hash(const char *header, gsize size,
				   void *context ATTR_UNUSED)
{
	struct istream *input = i_stream_create_from_data(header, size);
	guint64 hash;

	T_BEGIN {
		hash = pop3_policy_stream_header_hash(input, NULL);
	} T_END;
	i_stream_unref(&input);
	return hash;
}

static int records_text(struct doveadm_pop3_records *records,
			struct istream *input, const char **error_r)
{
	g_autoptr(GError) error = NULL;
	const unsigned char *data;
	gboolean ok = TRUE;
	size_t size;

	records->import = pp_import_new(PP_IMPORT_AUTO, records_header_hash,
					NULL);
	while (ok && i_stream_read_more(input, &data, &size) > 0) {
		ok = pp_import_push(records->import, (const char *)data, size,
				    &error);
		i_stream_skip(input, size);
	}
	if (input->stream_errno != 0) {
		*error_r = t_strdup_printf("read(%s) failed: %s",
					   i_stream_get_name(input),
					   i_stream_get_error(input));
		return -1;
	}
	if (ok && pp_import_end(records->import, &error))
		return 0;
	*error_r = t_strdup(error->message);
	return -1;
}

/* Adds the message in INPUT, whose UIDL is in X-UIDL. ID: its file name. */
static int records_add_message(struct doveadm_pop3_records *records,
			       struct istream *input, const char *id,
			       const char **error_r)
{
	struct pp_import_record record = { .size = PP_SIZE_UNKNOWN };
	g_autoptr(GError) error = NULL;
	const char *xuidl;

	record.header = pop3_policy_stream_header_hash(input, &xuidl);
	if (input->stream_errno != 0) {
		*error_r = t_strdup_printf("cannot be read: %s",
					   i_stream_get_error(input));
		return -1;
	}
	if (xuidl != NULL)
		xuidl = t_str_trim(xuidl, " \t");
	record.uidl = g_strdup(xuidl);
	record.id = g_strdup(id);
	if (pp_import_message(records->import, &record, &error))
		return 0;
	*error_r = t_strdup(error->message);
	return -1;
}

/* The next message of an mbox: 1, 0 at its end, -1. */
static int records_mbox_next(struct doveadm_pop3_records *records,
			     struct istream *input, const char **error_r)
{
	uoff_t offset;

	(void)istream_raw_mbox_get_header_offset(input, &offset);
	if (istream_raw_mbox_is_eof(input))
		return 0;
	if (!istream_raw_mbox_is_corrupted(input)) {
		if (records_add_message(records, input, NULL, error_r) < 0)
			return -1;
		if (istream_raw_mbox_next(input, UOFF_T_MAX) == 0)
			return 1;
	}
	*error_r = "not an mbox";
	return -1;
}

static int records_mbox(struct doveadm_pop3_records *records,
			struct istream *file, const char **error_r)
{
	struct istream *input = i_stream_create_raw_mbox(file);
	int ret = 1;

	istream_raw_mbox_set_locked(input);
	records->import = pp_import_new(PP_IMPORT_MESSAGES, NULL, NULL);
	if (istream_raw_mbox_seek(input, 0) < 0) {
		*error_r = "not an mbox";
		ret = -1;
	}
	while (ret > 0) {
		T_BEGIN {
			ret = records_mbox_next(records, input, error_r);
		} T_END_PASS_STR_IF(ret < 0, error_r);
	}
	if (ret == 0 && input->stream_errno != 0) {
		*error_r = t_strdup(i_stream_get_error(input));
		ret = -1;
	}
	istream_raw_mbox_set_unlocked(input);
	i_stream_unref(&input);
	return ret;
}

static int records_maildir_file(struct doveadm_pop3_records *records,
				int dir_fd, const char *name,
				const char **error_r)
{
	struct istream *input;
	struct stat st;
	int fd, ret;

	/* it may be a FIFO, which would be waited for */
	fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1) {
		*error_r = t_strdup_printf("open(%s) failed: %m%s", name,
			errno == ENOENT ? " (it was moved or expunged "
			"meanwhile: try again)" : "");
		return -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		i_close_fd(&fd);
		*error_r = t_strdup_printf("%s: not a file", name);
		return -1;
	}
	input = i_stream_create_fd_autoclose(&fd, IO_BLOCK_SIZE);
	ret = records_add_message(records, input, t_strcut(name, ':'),
				  error_r);
	if (ret < 0)
		*error_r = t_strdup_printf("%s: %s", name, *error_r);
	i_stream_unref(&input);
	return ret;
}

/* Names of all files of a maildir's directory. FALSE: there is no such
   directory. */
static bool records_maildir_names(int dir_fd, ARRAY_TYPE(const_string) *names)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *entry;
	const char *name;

	if (dir == NULL) {
		i_close_fd(&dir_fd);
		return FALSE;
	}
	rewinddir(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		name = t_strdup(entry->d_name);
		array_push_back(names, &name);
	}
	if (closedir(dir) < 0)
		i_fatal("closedir() failed: %m");
	array_sort(names, i_strcmp_p);
	return TRUE;
}

struct maildir_dir {
	const char *name;
	int fd;
	ARRAY_TYPE(const_string) files;
};

static int records_maildir_list(int maildir_fd, struct maildir_dir *dir,
				const char **error_r)
{
	t_array_init(&dir->files, 128);
	dir->fd = openat(maildir_fd, dir->name,
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd != -1 && records_maildir_names(dup(dir->fd), &dir->files))
		return 0;
	*error_r = t_strdup_printf("not a maildir: open(%s) failed: %m",
				   dir->name);
	return -1;
}

static int records_maildir_read(struct doveadm_pop3_records *records,
				const struct maildir_dir *dir,
				const char **error_r)
{
	const char *name;
	int ret = 0;

	array_foreach_elem(&dir->files, name) {
		T_BEGIN {
			ret = records_maildir_file(records, dir->fd, name,
						   error_r);
		} T_END_PASS_STR_IF(ret < 0, error_r);
		if (ret < 0)
			break;
	}
	return ret;
}

/* Lists new before cur: what moves meanwhile is missed in new. */
static int records_maildir(struct doveadm_pop3_records *records, int fd,
			   const char **error_r)
{
	struct maildir_dir cur = { .name = "cur", .fd = -1 };
	struct maildir_dir new = { .name = "new", .fd = -1 };
	int ret = -1;

	records->import = pp_import_new(PP_IMPORT_MESSAGES, NULL, NULL);
	if (records_maildir_list(fd, &new, error_r) == 0 &&
	    records_maildir_list(fd, &cur, error_r) == 0 &&
	    records_maildir_read(records, &cur, error_r) == 0)
		ret = records_maildir_read(records, &new, error_r);
	i_close_fd(&cur.fd);
	i_close_fd(&new.fd);
	return ret;
}

static int records_file(struct doveadm_pop3_records *records, int fd,
			const char *path, const char **error_r)
{
	struct istream *input;
	const unsigned char *data;
	struct stat st;
	size_t size;
	int ret;

	if (fstat(fd, &st) < 0) {
		*error_r = t_strdup_printf("fstat(%s) failed: %m", path);
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return records_maildir(records, fd, error_r);
	input = i_stream_create_fd(fd, IO_BLOCK_SIZE);
	i_stream_set_name(input, path);
	if (S_ISREG(st.st_mode))
		i_stream_seek(input, 0);
	/* more than a text's first line has in front of it */
	(void)i_stream_read_bytes(input, &data, &size, strlen("From "));
	if (size >= strlen("From ") && memcmp(data, "From ", 5) == 0)
		ret = records_mbox(records, input, error_r);
	else
		ret = records_text(records, input, error_r);
	i_stream_unref(&input);
	return ret;
}

static int records_path(struct doveadm_pop3_records *records,
			struct mail_user *user,
			const struct doveadm_pop3_source *source,
			const char **error_r)
{
	const char *path, *home;
	struct stat st;
	int fd, ret;

	if (source->fd != -1) {
		return records_file(records, source->fd, source->path,
				    error_r);
	}
	if (mail_user_get_home(user, &home) <= 0) {
		*error_r = "the user has no home";
		return -1;
	}
	path = t_strconcat(home, source->path + 1, NULL);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	if (fstat(fd, &st) < 0 ||
	    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		*error_r = "neither a file nor a maildir";
		ret = -1;
	} else {
		ret = records_file(records, fd, path, error_r);
	}
	i_close_fd(&fd);
	return ret;
}

char *doveadm_pop3_special(struct mail *mail, enum mail_fetch_field field)
{
	const char *value = pop3_policy_mail_special(mail, field);

	return *value == '\0' ? NULL : g_strdup(value);
}

/* What the other server showed for MAIL, and what it is known by. */
static int records_add_mail(struct doveadm_pop3_records *records,
			    struct mail *mail, bool remote,
			    const char **error_r)
{
	struct pp_import_record record = { .size = PP_SIZE_UNKNOWN };
	g_autoptr(GError) error = NULL;
	guint count = records->records->len;
	uint32_t seq = mail->seq;
	const char *header;
	uoff_t size;

	record.uidl = doveadm_pop3_special(mail, MAIL_FETCH_UIDL_BACKEND);
	if (record.uidl == NULL && !remote &&
	    mail_get_first_header(mail, "X-UIDL", &header) > 0)
		record.uidl = g_strdup(t_str_trim(header, " \t"));
	if (remote) {
		/* from LIST, not by RETR */
		mail->lookup_abort = MAIL_LOOKUP_ABORT_READ_MAIL;
		if (mail_get_physical_size(mail, &size) == 0)
			record.size = size;
		mail->lookup_abort = MAIL_LOOKUP_ABORT_NEVER;
	} else {
		record.id = doveadm_pop3_special(mail, MAIL_FETCH_STORAGE_ID);
		record.guid = doveadm_pop3_special(mail, MAIL_FETCH_GUID);
	}
	if (!pp_import_message(records->import, &record, &error)) {
		*error_r = t_strdup(error->message);
		return -1;
	}
	if (records->records->len > count)
		g_array_append_val(records->seqs, seq);
	return 0;
}

static int records_mails(struct doveadm_pop3_records *records, bool remote,
			 const char **error_r)
{
	struct mail_search_args *args = mail_search_build_init();
	struct mail_search_context *ctx;
	struct mail *mail;
	int ret = 0;

	mail_search_build_add_all(args);
	ctx = mailbox_search_init(records->trans, args, NULL,
				  remote ? MAIL_FETCH_PHYSICAL_SIZE : 0, NULL);
	mail_search_args_unref(&args);
	while (ret == 0 && mailbox_search_next(ctx, &mail)) {
		T_BEGIN {
			ret = records_add_mail(records, mail, remote, error_r);
		} T_END_PASS_STR_IF(ret < 0, error_r);
	}
	if (mailbox_search_deinit(&ctx) < 0 && ret == 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(
						records->box, NULL));
		ret = -1;
	}
	return ret;
}

static int records_mailbox(struct doveadm_pop3_records *records,
			   struct mail_user *user, const char *name,
			   const char **error_r)
{
	struct mail_namespace *ns = mail_namespace_find(user->namespaces, name);

	records->box = mailbox_alloc(ns->list, name, MAILBOX_FLAG_READONLY |
				     MAILBOX_FLAG_POP3_SESSION);
	pop3_policy_mailbox_set_host(records->box);
	if (mailbox_open(records->box) < 0 ||
	    mailbox_sync(records->box, MAILBOX_SYNC_FLAG_FULL_READ) < 0) {
		*error_r = t_strdup_printf("%s cannot be opened: %s", name,
			mailbox_get_last_internal_error(records->box, NULL));
		return -1;
	}
	records->import = pp_import_new(PP_IMPORT_MESSAGES, NULL, NULL);
	records->records = pp_import_records(records->import);
	records->seqs = g_array_new(FALSE, FALSE, sizeof(guint32));
	records->trans = mailbox_transaction_begin(records->box, 0, __func__);
	return records_mails(records,
			     strcmp(records->box->storage->name, "pop3c") == 0,
			     error_r);
}

int doveadm_pop3_records_read(struct doveadm_mail_cmd_context *ctx,
			      struct mail_user *user,
			      const struct doveadm_pop3_source *source,
			      struct doveadm_pop3_records *records_r)
{
	const char *error;
	int ret;

	i_zero(records_r);
	if (source->from != NULL) {
		ret = records_mailbox(records_r, user, source->from, &error);
	} else {
		ret = records_path(records_r, user, source, &error);
		if (ret < 0)
			error = t_strdup_printf("%s: %s (nothing is stored)",
						source->path, error);
	}
	if (ret < 0) {
		doveadm_pop3_records_free(records_r);
		(void)doveadm_pop3_fail(ctx, user, MAIL_ERROR_PARAMS, error);
		ctx->exit_code = source->from != NULL ? EX_TEMPFAIL :
			EX_DATAERR;
		return -1;
	}
	records_r->records = pp_import_records(records_r->import);
	return 0;
}

void doveadm_pop3_records_free(struct doveadm_pop3_records *records)
{
	if (records->trans != NULL)
		mailbox_transaction_rollback(&records->trans);
	if (records->box != NULL)
		mailbox_free(&records->box);
	if (records->seqs != NULL)
		g_array_unref(records->seqs);
	pp_import_free(records->import);
	i_zero(records);
}
