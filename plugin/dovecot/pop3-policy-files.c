/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   See pop3-policy-files.h. flock() belongs to the open file, so two sessions
   in one process lock against each other as two processes do. */
#include "pop3-policy-compat.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "mailbox-list.h"
#include "pop3-policy-files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define FILES_LOCK_NAME "dovecot-pop3-policy"
#define FILES_LOOK_NAME "dovecot-pop3-policy.look"
/* flock() has no timeout: how often a lock that is taken is tried again */
#define FILES_RETRY_USECS (2 * 1000)

enum files_look {
	FILES_LOOK_NONE,
	FILES_LOOK_SHARED,
	FILES_LOOK_ALONE
};

struct pop3_policy_files {
	char *lock_path, *look_path;
	/* why they cannot be written, or NULL */
	char *lock_error, *look_error;
	int lock_fd, look_fd;
	enum files_look look;
};

/* Opens PATH for writing, or at least for reading: flock() does with that, and
   a witness that is there counts. FALSE: its directory does not exist. */
static bool files_open_fd(const char *path, int *fd_r, char **write_error_r)
{
	*fd_r = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd_r != -1)
		return TRUE;
	if (errno == ENOENT)
		return FALSE;
	*write_error_r = i_strdup_printf("open(%s) failed: %m", path);
	*fd_r = open(path, O_RDONLY | O_CLOEXEC);
	return TRUE;
}

int pop3_policy_files_open(struct mail_user *user, bool create,
			   struct pop3_policy_files **files_r,
			   const char **error_r)
{
	struct mail_namespace *ns = mail_namespace_find_inbox(user->namespaces);
	struct pop3_policy_files *files;
	const char *dir;

	if (mailbox_list_get_path(ns->list, "INBOX",
				  MAILBOX_LIST_PATH_TYPE_CONTROL, &dir) <= 0) {
		*error_r = "INBOX has no control directory";
		return -1;
	}
	files = i_new(struct pop3_policy_files, 1);
	files->lock_fd = files->look_fd = -1;
	files->lock_path = i_strconcat(dir, "/"FILES_LOCK_NAME, NULL);
	files->look_path = i_strconcat(dir, "/"FILES_LOOK_NAME, NULL);
	if ((!create && access(files->lock_path, F_OK) < 0 &&
	     errno == ENOENT) ||
	    !files_open_fd(files->lock_path, &files->lock_fd,
			   &files->lock_error) ||
	    !files_open_fd(files->look_path, &files->look_fd,
			   &files->look_error)) {
		pop3_policy_files_close(&files);
		return 0;
	}
	*files_r = files;
	return 1;
}

int pop3_policy_files_mkdir(struct mailbox *box, const char **error_r)
{
	const char *dir;

	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_CONTROL,
				&dir) <= 0) {
		*error_r = "INBOX has no control directory";
		return -1;
	}
	if (mailbox_mkdir(box, dir, MAILBOX_LIST_PATH_TYPE_CONTROL) < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(box, NULL));
		return -1;
	}
	return 0;
}

void pop3_policy_files_close(struct pop3_policy_files **_files)
{
	struct pop3_policy_files *files = *_files;

	*_files = NULL;
	if (files == NULL)
		return;
	i_close_fd(&files->lock_fd);
	i_close_fd(&files->look_fd);
	i_free(files->lock_path);
	i_free(files->look_path);
	i_free(files->lock_error);
	i_free(files->look_error);
	i_free(files);
}

/* 1 had, 0 somebody else has it, -1 error. */
static int files_try_flock(int fd, const char *path, int operation,
			   const char **error_r)
{
	while (flock(fd, operation | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return 0;
		*error_r = t_strdup_printf("flock(%s) failed: %m", path);
		return -1;
	}
	return 1;
}

static int files_flock(int fd, const char *path, int operation,
		       const struct pop3_policy_deadline *deadline,
		       const char **error_r)
{
	int ret;

	while ((ret = files_try_flock(fd, path, operation, error_r)) == 0) {
		if (pop3_policy_deadline_left(deadline) == 0)
			return 0;
		if (usleep(FILES_RETRY_USECS) < 0 && errno != EINTR)
			i_fatal("usleep() failed: %m");
	}
	return ret;
}

int pop3_policy_files_look(struct pop3_policy_files *files,
			   const struct pop3_policy_deadline *deadline,
			   const char **error_r)
{
	int ret;

	if (files->look == FILES_LOOK_SHARED)
		return 1;
	if (files->look_fd == -1) {
		*error_r = t_strdup(files->look_error);
		return -1;
	}
	ret = files_flock(files->look_fd, files->look_path, LOCK_SH,
			  deadline, error_r);
	if (ret > 0)
		files->look = FILES_LOOK_SHARED;
	return ret;
}

int pop3_policy_files_look_alone(struct pop3_policy_files *files,
				 const char **error_r)
{
	int ret;

	if (files->look_fd == -1) {
		*error_r = t_strdup(files->look_error);
		return -1;
	}
	/* not an upgrade: two sessions that both hold it shared would each
	   wait for the other, and flock() gives up the old one anyway */
	pop3_policy_files_look_release(files);
	ret = files_try_flock(files->look_fd, files->look_path, LOCK_EX,
			      error_r);
	if (ret > 0)
		files->look = FILES_LOOK_ALONE;
	return ret;
}

void pop3_policy_files_look_release(struct pop3_policy_files *files)
{
	if (files->look == FILES_LOOK_NONE)
		return;
	if (flock(files->look_fd, LOCK_UN) < 0)
		i_error("pop3-policy: flock(%s, unlock) failed: %m",
			files->look_path);
	files->look = FILES_LOOK_NONE;
}

int pop3_policy_files_lock(struct pop3_policy_files *files,
			   const struct pop3_policy_deadline *deadline,
			   const char **error_r)
{
	int ret;

	if (files->lock_error != NULL) {
		*error_r = t_strdup(files->lock_error);
		return -1;
	}
	ret = files_flock(files->lock_fd, files->lock_path, LOCK_EX,
			  deadline, error_r);
	if (ret == 0) {
		*error_r = t_strdup_printf("%s is locked by another session",
					   files->lock_path);
	}
	return ret > 0 ? 0 : -1;
}

void pop3_policy_files_unlock(struct pop3_policy_files *files)
{
	if (flock(files->lock_fd, LOCK_UN) < 0)
		i_error("pop3-policy: flock(%s, unlock) failed: %m",
			files->lock_path);
}

void pop3_policy_files_read_witness(struct pop3_policy_files *files,
				    struct pp_witness *witness_r)
{
	char buf[PP_WITNESS_BYTES + 1];
	ssize_t ret;

	i_zero(witness_r);
	if (files == NULL)
		return;
	ret = pread(files->lock_fd, buf, sizeof(buf), 0);
	if (files->lock_fd == -1 && access(files->lock_path, F_OK) < 0 &&
	    errno == ENOENT)
		return;
	if (ret < 0)
		witness_r->status = PP_WITNESS_UNREADABLE;
	else
		pp_witness_parse(buf, ret, witness_r);
}

int pop3_policy_files_write_witness(struct pop3_policy_files *files,
				    const struct pp_witness *witness,
				    const char **error_r)
{
	struct pp_witness old;
	char buf[PP_WITNESS_BYTES];
	ssize_t ret;

	pop3_policy_files_read_witness(files, &old);
	if (pp_witness_equal(&old, witness))
		return 0;
	if (witness->status == PP_WITNESS_NONE) {
		if (ftruncate(files->lock_fd, 0) == 0)
			return 0;
		*error_r = t_strdup_printf("ftruncate(%s) failed: %m",
					   files->lock_path);
		return -1;
	}
	pp_witness_print(witness, buf);
	ret = pwrite(files->lock_fd, buf, sizeof(buf), 0);
	if (ret == (ssize_t)sizeof(buf) &&
	    ftruncate(files->lock_fd, sizeof(buf)) == 0)
		return 0;
	*error_r = t_strdup_printf("write(%s) failed: %s", files->lock_path,
				   ret >= 0 ? "out of space" : strerror(errno));
	return -1;
}
