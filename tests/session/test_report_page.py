# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# pop3-policy-report's page in a real browser, where one is installed: it
# renders, sorts, has no error, loads nothing; and what it is made of comes from
# doveadm.

import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from test_usage import ALL_NAMES, NAMES, UsageTest
from testcase import message

# Where the tests have installed it.
PROGRAM = "/mnt/stage/usr/local/bin/pop3-policy-report"
BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")
PDF_TO_TEXT = shutil.which("pdftotext")
BROWSER_SECS = 120
HOSTILE = NAMES + (
    "<script>document.title='broken'</script>",
    "<img src=http://pop3.example/x.png onerror=\"document.title='broken'\">",
    "</td></tr></table><h1>broken", "'\"><!-- ", "javascript:alert(1)",
    "\u05e9\u05dc\u05d5\u05dd", "\u540d\u524d@\u4f8b\u3048.jp")

# Goes behind the page's own script. What it finds is left in the page.
PROBE = """
<script>
"use strict";
const found = {};
const names = table => [...document.querySelectorAll(
  "#" + table + " tbody tr td:first-child")].map(cell => cell.textContent);
const click = (table, number) => document.querySelectorAll(
  "#" + table + " th button")[number].click();
found.users = names("all");
found.title = document.querySelector("h1").textContent;
found.elements = [...new Set([...document.body.querySelectorAll("*")].map(
  element => element.localName))].sort();
found.bars = document.querySelectorAll("svg rect").length;
found.wide = document.documentElement.scrollWidth;
found.width = document.documentElement.clientWidth;
found.back = getComputedStyle(document.body).backgroundColor;
click("all", 0);
found.by_name = names("all");
click("all", 0);
found.by_name_down = names("all");
click("all", 1);
found.by_sessions = names("all");
click("all", 1);
found.by_sessions_up = names("all");
found.sorted = [...document.querySelectorAll("[aria-sort]")].map(
  head => head.textContent + " " + head.getAttribute("aria-sort"));
found.top = names("top");
const data = document.createElement("pre");
data.id = "found";
data.textContent = JSON.stringify(found);
document.body.append(data);
</script>
"""


class Request(http.server.BaseHTTPRequestHandler):
    def parse_request(self):
        self.server.asked.append(
            self.raw_requestline.decode("latin-1").rstrip("\r\n"))
        return False


class Listener(http.server.ThreadingHTTPServer):
    """Stands for the rest of the world: all that the browser asks for comes
    here, and is noted."""
    daemon_threads = True

    def __init__(self, test):
        super().__init__(("127.0.0.1", 0), Request)
        self.asked = []
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        # the last one is done first
        test.addCleanup(self.server_close)
        test.addCleanup(thread.join)
        test.addCleanup(self.shutdown)


def row(user, period="total", **counters):
    return {"username": user, "period": period,
            **{name: str(value) for name, value in counters.items()}}


@unittest.skipUnless(os.path.exists(PROGRAM), "json-glib is not installed")
class Page(UsageTest):
    def setUp(self):
        super().setUp()
        self.root = tempfile.mkdtemp(prefix="pp-page-")
        self.addCleanup(shutil.rmtree, self.root)

    def page(self, rows, *options):
        return subprocess.run(
            [PROGRAM, *options], input=json.dumps(rows), check=True,
            stdout=subprocess.PIPE, encoding="utf-8").stdout

    def browse(self, html, *options, size="1280,800", output="--dump-dom"):
        """The page as the browser has it, what it said, and what it asked
        for."""
        world = Listener(self)
        path = os.path.join(self.root, "page.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(html)
        result = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--user-data-dir=" + self.root + "/profile",
             "--proxy-server=http://127.0.0.1:%d" % world.server_port,
             "--proxy-bypass-list=<-loopback>", "--window-size=" + size,
             "--enable-logging=stderr", output, *options,
             "file://" + path],
            env={"HOME": self.root, "PATH": "/usr/bin:/bin",
                 "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", timeout=BROWSER_SECS,
            check=True)
        console = re.findall(r".*CONSOLE.*", result.stderr)
        return result.stdout, console, world.asked

    def found(self, rows, *options, size="1280,800"):
        html = self.page(rows, "--title", "POP3 <b> & co.")
        dom, console, asked = self.browse(
            html.replace("</body>", PROBE + "</body>"), *options, size=size)
        self.assertEqual((console, asked), ([], []))
        text = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
        self.assertIsNotNone(text, dom[-2000:])
        text = text.group(1)
        for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            text = text.replace(entity, char)
        return json.loads(text)

    def rows(self):
        rows = []
        for number, user in enumerate(HOSTILE):
            for day in (1, 3):
                rows.append(row(
                    user, "2026-11-%02d" % day,
                    sessions=(number * 5) % len(HOSTILE) + 1,
                    retr_count=1, retr_bytes=1000 ** (number % 5),
                    first_session="2026-11-01T00:00:00Z",
                    last_session="2026-11-%02dT01:00:00Z" % day))
        return rows

    def check(self, found):
        self.assertEqual(sorted(found["users"]), sorted(HOSTILE))
        self.assertEqual(found["title"], "POP3 <b> & co.")
        # three pictures, days without a session too
        self.assertEqual(found["bars"], 9)
        self.assertFalse({"img", "b", "a", "link", "iframe"} &
                         set(found["elements"]))

    @unittest.skipUnless(BROWSER, "no browser is installed")
    def test_renders_and_sorts(self):
        found = self.found(self.rows())
        self.check(found)
        # as long as nobody sorts: by bytes, and then by name
        bytes_of = {user: 1000 ** (number % 5)
                    for number, user in enumerate(HOSTILE)}
        given = sorted(HOSTILE, key=lambda name: (-bytes_of[name],
                                                  name.encode()))
        self.assertEqual(found["users"], given)
        self.assertEqual(found["top"], given[:10])
        by_name = sorted(HOSTILE, key=lambda name: name.encode("utf-16-be"))
        self.assertEqual(found["by_name"], by_name)
        self.assertEqual(found["by_name_down"], by_name[::-1])
        sessions = {user: (number * 5) % len(HOSTILE)
                    for number, user in enumerate(HOSTILE)}
        by_sessions = sorted(HOSTILE, key=sessions.get)
        self.assertEqual(found["by_sessions"], by_sessions[::-1])
        self.assertEqual(found["by_sessions_up"], by_sessions)
        self.assertEqual(found["sorted"], ["Sessions ascending"])

    @unittest.skipUnless(BROWSER and PDF_TO_TEXT,
                         "no browser or no pdftotext is installed")
    def test_each_printed_page_has_the_table_s_head(self):
        rows = [row("user%03d" % number, sessions=1, retr_bytes=number)
                for number in range(150)]
        path = os.path.join(self.root, "page.pdf")
        _, console, asked = self.browse(
            self.page(rows), output="--print-to-pdf=" + path)
        self.assertEqual((console, asked), ([], []))
        text = subprocess.run(
            [PDF_TO_TEXT, "-layout", path, "-"], check=True,
            stdout=subprocess.PIPE, encoding="utf-8").stdout
        pages = [re.findall(r"^ *(User|user[0-9]{3}) ", page, re.MULTILINE)
                 for page in text.split("\f")]
        pages = [words for words in pages if words]
        self.assertGreater(len(pages), 2)
        self.assertEqual({words[0] for words in pages}, {"User"})
        # of all users, and not of the top ones
        self.assertEqual(sum(words.count("user077") for words in pages), 1)

    @unittest.skipUnless(BROWSER, "no browser is installed")
    def test_fits_a_phone_light_and_dark(self):
        light = self.found(self.rows(), size="390,800")
        dark = self.found(self.rows(),
                          "--blink-settings=preferredColorScheme=0",
                          size="390,800")
        for found in (light, dark):
            self.check(found)
            self.assertLessEqual(found["wide"], found["width"])
        self.assertNotEqual(light["back"], dark["back"])

    @unittest.skipUnless(BROWSER, "no browser is installed")
    def test_whatever_it_would_load_is_seen(self):
        """That the browser would tell, were something wrong."""
        _, console, asked = self.browse(
            "<img src='http://pop3.example/x.png'><script>x y</script>")
        self.assertIn("GET http://pop3.example/x.png HTTP/1.1", asked)
        self.assertEqual(len(console), 1)
        # and the page's own policy forbids it
        html = self.page(self.rows()).replace(
            "</body>", "<img src='http://pop3.example/x.png'></body>")
        _, console, asked = self.browse(html)
        self.assertEqual(asked, [])
        self.assertIn("Content Security Policy", console[0])

    @unittest.skipUnless(BROWSER, "no browser is installed")
    def test_from_doveadm(self):
        server = self.dovecot(dict="sqlite", config=ALL_NAMES)
        for name in NAMES:
            server.save(name, message(1))
            self.login(server, name).quit()
        server.wait_no_process("pop3")
        rows = json.loads(server.doveadm(
            "-f", "json", "pop3", "usage", "show", "-F",
            self.names_file(server, NAMES), check=True).stdout)
        self.assertEqual(sorted(self.found(rows)["users"]), sorted(NAMES))

    def test_nothing_and_nonsense(self):
        self.assertIn("<h1>POP3 usage</h1>", self.page([]))
        for text in ("", "[", "{}", "[1]", '[{"period": "x"}]'):
            result = subprocess.run(
                [PROGRAM], input=text, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, encoding="utf-8", check=False)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
