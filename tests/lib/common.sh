# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What tests/run and tests/demo share, for bash: packages, a clean copy of the
# source, a work directory that does not stay. Sourced by a script of tests/,
# which calls start_work first.
# shellcheck shell=bash
umask 022
export LC_ALL=C.UTF-8 TZ=UTC DEBIAN_FRONTEND=noninteractive

# Servers that a package brings.
declare -A units=(
	[dovecot-core]="dovecot.service dovecot.socket"
	[mariadb-server]=mariadb.service
	[postgresql]=postgresql.service
	[prometheus]=prometheus.service
	[redis-server]=redis-server.service
)

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
policy=/usr/sbin/policy-rc.d
policy_made=
work=

# What the plugin is built with, and Dovecot as the tests need it.
# shellcheck disable=SC2034  # used by those who source it
build_packages=(autoconf automake dovecot-core dovecot-dev dovecot-imapd
	dovecot-pop3d gcc libc6-dev libfaketime libglib2.0-dev libtool make
	mount pkgconf python3 util-linux)
# The clients of tests/demo.
# shellcheck disable=SC2034
client_packages=(curl fetchmail getmail6 mpop)

say()
{
	printf '== %s\n' "$*"
}

require_root()
{
	if ((EUID != 0)); then
		echo "$0: must run as root: sudo tests/${0##*/}" >&2
		exit 77
	fi
}

# $work lives as long as the script; KEEP=1 in the environment keeps it.
start_work()
{
	work=$(mktemp -d)
	trap cleanup EXIT
	trap 'exit 130' INT TERM
}

cleanup()
{
	[[ -z $policy_made ]] || rm -f "$policy"
	if [[ -n ${KEEP-} ]]; then
		say "kept: $work"
	else
		rm -rf "$work"
	fi
}

is_installed()
{
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed
}

# Nothing is done where nothing is missing. A server that comes with it is
# neither started now nor at the next boot.
install_packages()
{
	local name missing=() new_units=()

	for name in "$@"; do
		is_installed "$name" && continue
		missing+=("$name")
		# shellcheck disable=SC2206  # words
		new_units+=(${units[$name]-})
	done
	((${#missing[@]} > 0)) || return 0
	say "installing ${missing[*]}"
	if ((${#new_units[@]} > 0)) && [[ ! -e $policy ]]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		policy_made=yes
	fi
	# A foreign repository that is out of reach need not matter.
	apt-get -q update || true
	apt-get -q install -y --no-install-recommends "${missing[@]}"
	if ((${#new_units[@]} > 0)) && command -v systemctl >/dev/null; then
		systemctl -q disable "${new_units[@]}" || true
	fi
}

# What git knows or would take, or all of an unpacked release, to
# $work/source.
copy_source()
{
	local name git=(git -C "$source_dir" -c "safe.directory=$source_dir")

	mkdir "$work/source"
	if [[ -e $source_dir/.git ]] && command -v git >/dev/null; then
		"${git[@]}" ls-files -z -co --exclude-standard
	else
		(cd "$source_dir" &&
			find . -name .git -prune -o -type f -print0)
	fi | while IFS= read -r -d '' name; do
		# git also lists what was removed but not yet committed.
		[[ ! -e $source_dir/$name ]] || printf '%s\0' "$name"
	done | tar -C "$source_dir" --null -T - -c |
		tar -C "$work/source" --no-same-owner -x
}

# run_inside ROOT DIR SCRIPT [ARG...]: runs tests/lib/SCRIPT of the source copy
# in DIR, in ROOT's file system and in mount and process namespaces of its own.
run_inside()
{
	local root=$1 dir=$2

	shift 2
	mkdir -p "$dir/tmp" "$dir/shm"
	chmod 1777 "$dir/tmp" "$dir/shm"
	unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" \
		"$source_dir/tests/lib/enter" "$root" "$dir" "$@"
}
