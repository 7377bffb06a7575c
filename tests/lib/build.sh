# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Building /mnt/source against the installed Dovecot, within what
# tests/lib/enter made. For bash; the caller says() what is being done.
# shellcheck shell=bash

# quiet WHAT COMMAND...: the output is shown only if it fails.
quiet()
{
	local what=$1

	shift
	say "$what"
	"$@" >/mnt/output 2>&1 || {
		cat /mnt/output
		say "FAILED: $what"
		return 1
	}
}

# build DIR [CONFIGURE ARG...], out of tree, in /mnt/DIR.
build()
{
	local dir=$1

	shift
	mkdir "/mnt/$dir"
	cd "/mnt/$dir" || return 1
	quiet "configure${*:+ $*}" ../source/configure "$@" || return 1
	quiet "make in $dir" make -j"$(nproc)"
}

# Where Dovecot looks for modules is compiled in. In this mount namespace, and
# nowhere else, its directory is a copy with the new modules.
install_modules()
{
	local modules=/usr/lib/dovecot/modules

	quiet "make install" make install DESTDIR=/mnt/stage
	cp -a "$modules" /mnt/modules
	cp -a "/mnt/stage$modules/." /mnt/modules/
	mount --bind /mnt/modules "$modules"
}
