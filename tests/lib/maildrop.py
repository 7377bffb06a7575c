# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Messages in the shapes that real mail has, the same ones at every run.
"""shaped(count) is a list of messages (CRLF, bytes), one of them of 10 MB.
message_ids() says which messages a client has, whatever it put around them."""

import base64
import random
import re

BIG_BYTES = 10 * 1024 * 1024

WORDS = ("the invoice meeting please find attached report for next week "
         "thanks regards order number delivery address update server "
         "backup question answer tomorrow holiday photo ticket").split()
UMLAUTS = ("Grüße aus Köln", "très bientôt", "příliš žluťoučký", "smörgåsbord",
           "日本語の件名", "Добрый день")
MESSAGE_ID = re.compile(rb"^Message-ID: <(shaped-\d+)@", re.M | re.I)


def _text(rng, lines):
    return "".join(" ".join(rng.choices(WORDS, k=rng.randint(3, 11))) + "\n"
                   for _ in range(lines))


def _plain(rng, _):
    return "", _text(rng, rng.randint(1, 60))


def _utf8(rng, _):
    text = "".join("%s %s\n" % (rng.choice(UMLAUTS), _text(rng, 1).strip())
                   for _ in range(rng.randint(2, 20)))
    return ("MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n"
            "Content-Type: text/plain; charset=utf-8\n"), text


def _latin1(rng, _):
    """Undeclared 8-bit, in the header too."""
    text = "caf\u00e9 na\u00efve \u00fcber \u00a3 " + _text(rng, 5)
    return "X-Greeting: Gr\u00fc\u00dfe\n", text.encode("latin-1")


def _part(name, kind, text):
    return ("--%s\nContent-Type: %s\nContent-Transfer-Encoding: base64\n\n"
            % (name, kind) + base64.encodebytes(text).decode())


def _multipart(rng, number):
    name = "=_part-%d" % number
    text = "This is a message in MIME format.\n"
    text += "--%s\nContent-Type: text/plain\n\n" % name + _text(rng, 8)
    text += _part(name, "image/jpeg", rng.randbytes(rng.randint(500, 40000)))
    text += "--%s--\n" % name
    return ("MIME-Version: 1.0\nContent-Type: multipart/mixed;\n"
            "\tboundary=\"%s\"\n" % name), text


def _nested(rng, number):
    inner = "=_inner-%d" % number
    outer = "=_outer-%d" % number
    text = "--%s\nContent-Type: multipart/alternative;\n boundary=\"%s\"\n\n" \
        % (outer, inner)
    for kind in ("text/plain", "text/html"):
        text += "--%s\nContent-Type: %s\n\n%s" % (inner, kind, _text(rng, 9))
    text += "--%s--\n" % inner
    text += "--%s\nContent-Type: message/rfc822\n\nSubject: inside\n\n%s" % (
        outer, _text(rng, 3))
    return ("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"%s\""
            "\n" % outer), text + "--%s--\n" % outer


def _long_lines(rng, _):
    return "", "x" * 998 + "\n" + "y" * rng.randint(1000, 20000) + "\n"


def _dots(rng, _):
    return "", ".\n..\n...\n.leading dot\n" + _text(rng, 2) + ".\n"


def _no_newline(rng, _):
    return "", _text(rng, 3) + "the last line has no end"


def _empty(_rng, _):
    return "", ""


def _many_headers(rng, _):
    hops = "".join("Received: from hop%d.example.com by mx.example.com;\n"
                   "\tSun, 1 Nov 2026 10:00:00 +0000\n" % i
                   for i in range(rng.randint(5, 30)))
    return hops + "References: " + "\n ".join(
        "<ref-%d@example.com>" % i for i in range(40)) + "\n", _text(rng, 4)


def _big(rng, number):
    name = "=_big-%d" % number
    # base64 makes four of three, and a line end each 57.
    data = rng.randbytes(BIG_BYTES * 57 // 77)
    text = _part(name, "application/zip", data) + "--%s--\n" % name
    return ("MIME-Version: 1.0\nContent-Type: multipart/mixed; "
            "boundary=\"%s\"\n" % name), text


SHAPES = {
    "plain text": _plain,
    "UTF-8": _utf8,
    "8-bit, undeclared": _latin1,
    "multipart": _multipart,
    "nested multipart": _nested,
    "long lines": _long_lines,
    "leading dots": _dots,
    "no newline at its end": _no_newline,
    "empty body": _empty,
    "long header": _many_headers,
}
BIG = "10 MB"


def _compose(number, subject, headers, body):
    if isinstance(body, str):
        body = body.encode("utf-8")
    head = ("From: \"Sender %d\" <sender%d@example.com>\n"
            "To: user@example.org\nSubject: %s\n"
            "Date: Sun, 1 Nov 2026 10:%02d:%02d +0000\n"
            "Message-ID: <shaped-%d@example.com>\n%s\n" % (
                number, number % 17, subject, number // 60 % 60, number % 60,
                number, headers))
    # A header in raw latin-1 would not survive utf-8.
    encoding = "latin-1" if "X-Greeting" in headers else "utf-8"
    return (head.encode(encoding) + body).replace(b"\n", b"\r\n")


def shape_of(number, count):
    """Name of message number's shape among count messages."""
    if number == count // 2:
        return BIG
    names = list(SHAPES)
    return names[number % len(names)]


def shaped(count, first=0):
    """Messages first to first + count - 1. Only those that begin with 0 have
    the one of 10 MB among them."""
    messages = []
    for number in range(first, first + count):
        rng = random.Random(number)
        shape = shape_of(number, count)
        make = _big if shape == BIG else SHAPES[shape]
        headers, body = make(rng, number)
        messages.append(_compose(number, shape, headers, body))
    return messages


def message_ids(messages):
    """Sorted, as often as each was found."""
    found = [MESSAGE_ID.search(text) for text in messages]
    return sorted(m.group(1).decode() if m is not None else "none"
                  for m in found)
