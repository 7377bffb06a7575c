# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Formats of the host's UIDLs that the plugin's rules do not yield.


def _format(old, new):
    return {"2.3": "pop3_uidl_format = %s\n" % old,
            "2.4": "pop3_uidl_format = %s\n" % new}


BY_GUID = _format("%g", "%{guid}")
BY_FILE = _format("%f", "%{filename}")
BY_MD5 = _format("%m", "%{md5}")
BY_UID = _format("%u", "%{uid}")
# What they yield is no legal UIDL.
WITH_BLANK = _format("%v %u", "%{uidvalidity} %{uid}")
TOO_LONG = _format("x" * 70 + "%u", "x" * 70 + "%{uid}")
BY_PARTS = _format("%v.%u", "%{uidvalidity}.%{uid}")


def with_more(format, text):
    """FORMAT, and more of dovecot.conf."""
    return {line: old + text for line, old in format.items()}
