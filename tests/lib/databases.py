# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Private database servers for Dovecot's dict drivers: own directory, own Unix
# socket or port on 127.0.0.1. They never touch those of the system.
"""In a test class:

    @classmethod
    def setUpClass(cls):
        cls.database = PostgreSQL()
        cls.addClassCleanup(cls.database.destroy)
        cls.database.start()

start() after stop() goes on with what was stored. empty() drops it all.
PostgreSQL and MariaDB have the table of doc/examples, and run sql(TEXT), which
returns rows of strings. place() puts their socket or port into a
configuration of doc/examples."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile

from dovecot import wait_for
from ports import reserve_port

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
EXAMPLES = os.path.join(SOURCE, "doc/examples")
# Loaded machines start slowly.
STOP_SECS = 60


def example(name):
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
        return file.read()


def configure(server, database, more=""):
    """Gives a Dovecot without plugin and dict the example for DATABASE, with
    MORE settings of the plugin's."""
    line = server.line
    name = "pop3-policy-%s.conf.ext" % database.name
    text = example("dovecot-%s-%s.conf" % (line, database.name))
    if name + "\n" in text:
        with open(server.path(name), "w", encoding="utf-8") as file:
            file.write(database.place(example(name)))
    # The mail's owner has a number only: he joins a group that is there.
    text = text.replace("/etc/dovecot/", server.root + "/") \
        .replace("group = vmail", "group = dovecot") + \
        "mail_access_groups = dovecot\n" + \
        ("plugin {\n%s}\n" % more if line == "2.3" else more)
    server.config = database.place(text)


class Database:
    """Runs as USER, whose own directory it has."""
    user = None

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="pp-db-")
        os.chmod(self.root, 0o755)
        if self.user is not None:
            owner = pwd.getpwnam(self.user)
            os.chown(self.root, owner.pw_uid, owner.pw_gid)
        self.data = os.path.join(self.root, "data")
        self.process = None

    def start(self):
        fresh = not os.path.exists(self.data)
        if fresh:
            self.create()
        with open(os.path.join(self.root, "log"), "ab") as log:
            self.process = subprocess.Popen(
                self.command(), user=self.user, group=self.user,
                cwd=self.root, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        wait_for(self._answers, "an answer of " + type(self).__name__)
        if fresh:
            self.prepare()

    def _answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.root, "log"),
                      encoding="utf-8") as file:
                raise AssertionError("it did not start:\n" + file.read())
        return self.answers()

    def prepare(self):
        """Once, after the first start."""

    def stop(self):
        """Also ends what clients are connected."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECS)
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None

    # SIGTERM
    stop_signal = 15

    def destroy(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *command, user=None, text="", check=True):
        return subprocess.run(
            command, input=text, user=user, group=user, cwd=self.root,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8", check=check)

    @staticmethod
    def rows(text):
        return [line.split("\t") for line in text.splitlines()]


class PostgreSQL(Database):
    user = "postgres"
    name = "pgsql"
    # "fast": it does not wait for its clients.
    stop_signal = 2

    @staticmethod
    def program(name):
        """The newest that is installed: Debian has them side by side."""
        return max(glob.glob("/usr/lib/postgresql/*/bin/" + name))

    def create(self):
        self.run(self.program("initdb"), "--auth=peer", "--encoding=UTF8",
                 "--locale=C", "--no-sync", "-D", self.data,
                 user=self.user)

    def command(self):
        return [self.program("postgres"), "-D", self.data, "-k", self.root,
                "-c", "listen_addresses=", "-c", "fsync=off",
                "-c", "max_connections=200"]

    def psql(self, *options, user=None, text="", check=True):
        return self.run(
            self.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1",
            "-h", self.root, *options, user=user or self.user, text=text,
            check=check)

    def answers(self):
        return self.psql("-d", "postgres", text="SELECT 1",
                         check=False).returncode == 0

    def prepare(self):
        host = ("-h", self.root)
        self.run(self.program("createuser"), *host, "dovecot",
                 user=self.user)
        self.run(self.program("createdb"), *host, "-O", "dovecot", "-T",
                 "template0", "-E", "UTF8", "pop3_policy", user=self.user)
        self.sql(example("pop3-policy-pgsql.sql"))

    def sql(self, text):
        return self.rows(self.psql(
            "-d", "pop3_policy", "-A", "-t", "-F", "\t", user="dovecot",
            text="SET TIME ZONE 'UTC';" + text).stdout)

    def empty(self):
        self.sql("TRUNCATE pop3_policy")

    def place(self, text):
        return text.replace("/run/postgresql", self.root)


class MariaDB(Database):
    user = "mysql"
    name = "mysql"

    def create(self):
        self.run("mariadb-install-db", "--no-defaults", "--user=mysql",
                 "--datadir=" + self.data, "--skip-test-db",
                 "--auth-root-authentication-method=socket")

    @property
    def socket(self):
        return os.path.join(self.root, "socket")

    def command(self):
        return ["mariadbd", "--no-defaults", "--datadir=" + self.data,
                "--socket=" + self.socket, "--skip-networking",
                "--pid-file=" + os.path.join(self.root, "pid"),
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-use-native-aio=0"]

    def mariadb(self, *options, text="", check=True):
        return self.run("mariadb", "--no-defaults",
                        "--default-character-set=utf8mb4",
                        "--socket=" + self.socket, *options, text=text,
                        check=check)

    def answers(self):
        return self.mariadb(text="SELECT 1", check=False).returncode == 0

    def prepare(self):
        self.mariadb(text="""
            CREATE DATABASE pop3_policy;
            CREATE USER dovecot@localhost IDENTIFIED VIA unix_socket;
            GRANT SELECT, INSERT, UPDATE, DELETE ON pop3_policy.*
            TO dovecot@localhost""")
        self.sql(example("pop3-policy-mysql.sql"))

    def sql(self, text):
        return self.rows(self.mariadb(
            "pop3_policy", "--batch", "--raw", "--skip-column-names",
            text="SET time_zone = '+00:00';" + text).stdout)

    def empty(self):
        self.sql("TRUNCATE TABLE pop3_policy")

    def place(self, text):
        return text.replace("/run/mysqld/mysqld.sock", self.socket)


class Redis(Database):
    name = "redis"

    def __init__(self):
        super().__init__()
        self.port, self.reservation = reserve_port()

    def create(self):
        os.mkdir(self.data)

    def command(self):
        return ["redis-server", "--bind", "127.0.0.1", "--port",
                str(self.port), "--dir", self.data, "--appendonly", "yes",
                "--appendfsync", "no", "--save", "", "--daemonize", "no"]

    def redis(self, *command):
        """One command; the raw reply, which for few bytes comes at once."""
        words = [word.encode() for word in command]
        text = b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.sendall(text)
            return sock.recv(65536).decode()

    def answers(self):
        try:
            return self.redis("PING") == "+PONG\r\n"
        except OSError:
            return False

    def empty(self):
        self.redis("FLUSHALL")

    def destroy(self):
        super().destroy()
        self.reservation.close()

    def place(self, text):
        return text.replace("6379", str(self.port))
