# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Metrics as the examples make them: Dovecot's own OpenMetrics exporter, read
# by a real Prometheus, which answers the documented queries.

import glob
import http.server
import json
import os
import re
import subprocess
import threading
import urllib.parse
import urllib.request

from databases import EXAMPLES, example
from dovecot import installed_line
from ports import reserve_port
from test_examples import source
from test_usage import Counting, UsageTest, add_up
from testcase import message, wait_for

SECS = 30


def documented():
    """The queries of pop3-policy(7)."""
    section = re.search(r"^\.Sh METRICS\n(.*?)^\.Sh ",
                        source("doc/pop3-policy.7"),
                        re.MULTILINE | re.DOTALL).group(1)
    blocks = re.findall(r"^\.Bd .*\n((?:.*\n)*?)\.Ed", section, re.MULTILINE)
    return [query for block in blocks for query in
            block.replace("/\n  ", "/ ").splitlines()]


def dashboard():
    panels = json.loads(example("pop3-policy-grafana.json"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


class Prometheus:
    """Reads the ports, by the example's configuration."""

    def __init__(self, test, root, *ports):
        self.port, reservation = reserve_port()
        test.addCleanup(reservation.close)
        targets = ", ".join('"127.0.0.1:%d"' % port for port in ports)
        config = "global:\n  scrape_interval: 1s\n" \
            "  scrape_timeout: 1s\n" + example(
                "pop3-policy-prometheus.yml").replace('"127.0.0.1:9900"',
                                                      targets)
        assert targets in config
        with open(root + "/prometheus.yml", "w", encoding="ascii") as file:
            file.write(config)
        with open(root + "/prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file=" + root + "/prometheus.yml",
                 "--storage.tsdb.path=" + root + "/prometheus",
                 "--web.listen-address=127.0.0.1:%d" % self.port],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        test.addCleanup(self.stop)
        wait_for(self.ready, "Prometheus")

    def ready(self):
        assert self.process.poll() is None, "Prometheus did not start"
        try:
            return urllib.request.urlopen(
                "http://127.0.0.1:%d/-/ready" % self.port,
                timeout=SECS).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(SECS)
        finally:
            self.process.kill()
            self.process.wait()

    def ask(self, query):
        """Labels to value; {} where there is nothing."""
        with urllib.request.urlopen(
                "http://127.0.0.1:%d/api/v1/query?%s" % (
                    self.port, urllib.parse.urlencode({"query": query})),
                timeout=SECS) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        return {tuple(sorted(item["metric"].items())):
                float(item["value"][1]) for item in answer["data"]["result"]}

    def number(self, query):
        """The only one, or None."""
        values = list(self.ask(query).values())
        return values[0] if len(values) == 1 else None


class Metrics(UsageTest):
    def server(self, **options):
        self.port, reservation = reserve_port()
        self.addCleanup(reservation.close)
        text = example("dovecot-%s-metrics.conf" % installed_line())
        self.assertEqual(text.count("port = 9900"), 1)
        return self.dovecot(
            config=text.replace("port = 9900", "port = %d" % self.port),
            **options)

    def exported(self):
        with urllib.request.urlopen(
                "http://127.0.0.1:%d/metrics" % self.port,
                timeout=SECS) as reply:
            return reply.read().decode()

    def textfile(self, server):
        """The port of what stands for the node exporter, with Dovecot 2.3."""
        directory = server.path("bin")
        os.mkdir(directory)
        server._write(directory + "/doveadm",
                      "#!/bin/sh\nexec /usr/bin/doveadm -c %s \"$@\"\n"
                      % server.config_file, 0o755)
        env = {"PATH": directory + ":/usr/bin:/bin"}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = subprocess.run(
                    ["sh", EXAMPLES + "/pop3-policy-textfile"], env=env,
                    stdout=subprocess.PIPE, check=True).stdout
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_args):
                pass
        node = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=node.serve_forever)
        thread.start()
        self.addCleanup(node.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(node.shutdown)
        return node.server_port

    def prometheus(self, server):
        ports = [self.port]
        if server.line == "2.3":
            ports.append(self.textfile(server))
        return Prometheus(self, server.root, *ports)

    def damage(self, server, user):
        value = server.dict_get(user, "state")
        server.dict_set(user, "state", value[:-1] + "~")
        client = server.connect()
        self.assertIn("[SYS/TEMP]", client.login(user))
        client.close()

    def test_dashboard_has_the_documented_queries(self):
        self.assertGreater(len(documented()), 8)
        self.assertEqual(dashboard(), documented())

    def test_prometheus_answers_the_documented_queries(self):
        server = self.server(faketime=True, settings={
            "pop3_policy_removal": "yes", "pop3_policy_min_keep": "0",
            "pop3_policy_keep_retrieved": "1 hour"})
        for user in ("alice", "bob"):
            self.deliver_some(server, user)
        prometheus = self.prometheus(server)
        metric = "dovecot_pop3_policy_sessions_"
        for name in ("total", "out_bytes_total"):
            wait_for(lambda: prometheus.number(metric + name) == 0, name)
        counts = []
        for user in ("alice", "bob", "bob"):
            client = Counting(server, user)
            client.listing("UIDL")
            client.retr(3, again=len(counts) == 2)
            if counts:
                client.ok("NOOP")
                client.quit()
            else:
                client.client.abort()
                client.add("sessions_aborted")
            server.wait_no_process("pop3")
            counts.append(client.counts)
        total = add_up(counts)
        for name in ("sessions_aborted", "retr_count", "retr_bytes",
                     "again_bytes", "uidl_count", "in_bytes", "out_bytes"):
            wait_for(lambda: prometheus.number(metric + name + "_total") ==
                     total[name], name + " to be %d" % total[name])
        wait_for(lambda: prometheus.number(metric + "total") == 3,
                 "three sessions")
        self.damage(server, "alice")
        server.set_time("+2d")
        with server.pop3("bob") as client:
            client.quit()
        server.wait_no_process("pop3")
        removed = "dovecot_pop3_policy_removed_total"
        wait_for(lambda: prometheus.number(
            'sum by (rule) (%s{rule="keep_retrieved"})' % removed) == 1,
            "the removal")
        wait_for(lambda: prometheus.number(
            'sum(dovecot_pop3_policy_login_refused_total'
            '{reason="damaged"})') == 1, "the refused login")
        for query in documented():
            # a rate needs two samples
            if "increase" not in query or "again" in query:
                wait_for(lambda: any(
                    value > 0 for value in prometheus.ask(query).values()),
                    query)
            else:
                wait_for(lambda: prometheus.ask(query), query)

    def test_no_metric_has_a_user(self):
        server = self.server()
        server.deliver("alice", message(1))
        Counting(server, "alice").quit()
        server.wait_no_process("pop3")
        self.damage(server, "alice")
        wait_for(lambda: 'login_refused_total{reason="damaged"} 1\n' in
                 self.exported(), "the refused login")
        text = wait_for(lambda: next(
            (text for text in [self.exported()] if
             "\ndovecot_pop3_policy_sessions_total 1\n" in text), None),
            "the session")
        self.assertNotIn("alice", text)
        labels = set(re.findall(r"[{,](\w+)=", text))
        self.assertLessEqual(labels, {"reason", "rule", "operation",
                                      "version", "revision"})

    def test_documented_fields_are_those_of_the_events(self):
        code = "".join(source(os.path.relpath(path, source_dir()))
                       for name in ("event", "trace")
                       for path in glob.glob(
            source_dir() + "/plugin/*/pop3-policy-%s.c" % name))
        section = re.search(r"^\.Sh EVENTS\n(.*?)^\.Sh ",
                            source("doc/pop3-policy.7"),
                            re.MULTILINE | re.DOTALL).group(1)
        names = re.findall(r'event_set_name\([\w>-]+, "(\w+)"', code)
        self.assertEqual(sorted(names), sorted(re.findall(
            r"^\.It Li (\w+)$", section, re.MULTILINE)))
        fields = re.findall(r'_add_(?:str|int|time)\([\w>-]+, "(\w+)"', code)
        self.assertIn("uidl", fields)
        self.assertIn("retrieved", fields)
        fields += re.findall(r'= "(\w+)"',
                             source("plugin/core/pp-usage-codec.c"))
        for field in fields:
            self.assertRegex(section, r"\b%s\b" % field)


def source_dir():
    return os.path.dirname(os.path.dirname(EXAMPLES))
