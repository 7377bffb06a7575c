#!/bin/sh
# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes configure from configure.ac.
set -eu

cd "$(dirname "$0")"
for tool in autoreconf automake libtoolize pkg-config; do
	command -v "$tool" >/dev/null && continue
	echo "$0: $tool is missing. On Debian:" \
		"apt install autoconf automake libtool pkgconf" >&2
	exit 1
done
# aclocal wants the directory before libtoolize makes it.
mkdir -p build-aux/m4
exec autoreconf --force --install --warnings=all
