# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A private Dovecot of the installed line (2.3 or 2.4): own directory, own
# configuration, own ports on 127.0.0.1, own users. It never reads or changes
# anything of the system's Dovecot. Needs root, as Dovecot itself does.
"""Usage, in a test (see testcase.py for SessionTest):

    server = Dovecot(format="sdbox", dict="file",
                     settings={"pop3_policy_removal": "yes"})
    server.start()
    server.deliver("alice", message(1), message(2))
    with server.pop3("alice") as client:      # logged in
        print(client.uidls())
    server.stop()

Options of Dovecot(), all by keyword:

format        "maildir", "sdbox" or "mdbox"
dict          "file" (one file a user: dict_file(user)), "sqlite" (through the
              dict service: sqlite_file), None, or your own text, or
              {"2.3": text, "2.4": text} where the lines differ
plugin        False: pop3_policy is not loaded, and no dict is set
settings      plugin settings, name to value: in plugin { } on 2.3
mail_plugins  more mail plugins, loaded with pop3_policy
config        more of dovecot.conf: text, or {"2.3": text, "2.4": text}
users         name to {userdb field: value} (no spaces in values); everyone's
              password is "secret". More by add_user() while it runs
reuse         pop3 processes serve more than one session
lock_session  pop3_lock_session
tls           self-signed certificate, pop3s on pop3s_port, STLS
rawlog        POP3 rawlogs in root/rawlog
faketime      True: the time can be moved while the server runs, set_time();
              or the moment at which it begins, as in set_moment()
env           more environment for all of Dovecot's processes
"""

import contextlib
import datetime
import glob
import imaplib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

import config
import pop3
from ports import reserve_port
from processes import log_is_whole, process_group

# Any number that owns nothing and has no name.
MAIL_UID = 45678
# Long enough for a loaded machine: reached only by what is broken.
WAIT_SECS = 60
DOVEADM_SECS = 120

FORMATS = ("maildir", "sdbox", "mdbox")


def message(number=1, body=None, size=None, headers=""):
    """A plain message, CRLF, as bytes. size pads the body to about that."""
    text = "body of message %d\n" % number if body is None else body
    if size is not None:
        line = "%d " % number + "x" * 60 + "\n"
        text += line * max(0, (size - len(text)) // len(line) + 1)
    head = ("From: sender@example.com\nTo: user@example.com\n"
            "Subject: message %d\nMessage-ID: <%d@example.com>\n"
            "Date: Sun, 1 Nov 2026 10:00:00 +0000\n%s\n"
            % (number, number, headers))
    return (head + text).replace("\n", "\r\n").encode("latin-1")


def wait_for(condition, what, timeout=WAIT_SECS):
    """condition()'s first true result; fails after timeout."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.01)


def installed_version():
    """"2.3.19.1"."""
    return subprocess.run(["dovecot", "--version"], check=True,
                          stdout=subprocess.PIPE).stdout.decode().split()[0]


def installed_line():
    """"2.3" or "2.4"."""
    return ".".join(installed_version().split(".")[:2])


class Dovecot:
    def __init__(self, *, format="maildir", dict="file", plugin=True,
                 settings=None, mail_plugins=(), config="", users=None,
                 reuse=False, lock_session=False, tls=False, rawlog=False,
                 faketime=False, env=None):
        self.version = installed_version()
        self.line = installed_line()
        self.format = format
        self.dict = dict
        self.plugin = plugin
        self.settings = settings or {}
        self.mail_plugins = mail_plugins
        self.config = config
        self.users = {"alice": {}, "bob": {}} if users is None else users
        self.reuse = reuse
        self.lock_session = lock_session
        self.tls = tls
        self.rawlog = rawlog
        self.faketime = faketime
        self.env = env or {}
        self.uid = MAIL_UID
        self.process = None
        self._clients = []
        self._reservations = ()
        self._make_root()

    # Files

    def _make_root(self):
        """A short path: names of Unix sockets have 107 bytes."""
        self.root = tempfile.mkdtemp(prefix="pp-")
        os.chmod(self.root, 0o755)
        for name in ("home", "dict", "rawlog"):
            os.mkdir(self.path(name))
            os.chmod(self.path(name), 0o777)
        self.log_file = self.path("dovecot.log")
        self.config_file = self.path("dovecot.conf")
        self.sqlite_file = self.path("dict/pop3-policy.sqlite")
        self.time_file = self.path("time")

    def path(self, name):
        return os.path.join(self.root, name)

    def home(self, user):
        return self.path("home/" + user)

    def mail_dir(self, user):
        name = config.MAIL_PATHS[self.format]
        return name.replace("~", self.home(user))

    def dict_file(self, user):
        return self.path("dict/%s.dict" % user)

    def inbox_dirs(self, user):
        """Where INBOX keeps its index and control files; mdbox's messages
        are elsewhere, in mail_dir(user)/storage."""
        base = self.mail_dir(user)
        return [base] if self.format == "maildir" else \
            [base + "/mailboxes/INBOX/dbox-Mails"]

    def remove_indexes(self, user):
        """Everything that Dovecot can lose of INBOX without losing mail: the
        indexes, and on maildir dovecot-uidlist. On sdbox and mdbox
        force-resync brings the mail back, with a new UIDVALIDITY."""
        names = ["dovecot.index*", "dovecot.list.index*"]
        if self.format == "maildir":
            names += ["dovecot-uidlist", "dovecot-uidvalidity*"]
        dirs = self.inbox_dirs(user) + [self.mail_dir(user)]
        if self.format == "mdbox":
            dirs.append(self.mail_dir(user) + "/storage")
            names.append("dovecot.map.index*")
        for name in (os.path.join(d, n) for d in dirs for n in names):
            for path in glob.glob(name):
                os.unlink(path)
        if self.format != "maildir":
            self.doveadm("force-resync", "-u", user, "INBOX", check=True)

    def _write(self, path, text, mode=0o644):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def write_config(self):
        """Writes what the options say now. (Only a restart makes it count:
        after a reload of 2.4 a login process may fail to start.)"""
        self._write(self.config_file, config.render(self))

    def _write_users(self):
        lines = []
        for name, fields in self.users.items():
            extra = " ".join("userdb_%s=%s" % item for item in fields.items())
            lines.append("%s:secret:%d:%d::%s::%s\n" % (
                name, self.uid, self.uid, self.home(name), extra))
        self._write(self.path("users"), "".join(lines))

    def add_user(self, name, **fields):
        """Adds a user, or gives one other userdb fields."""
        self.users[name] = fields
        self._write_users()

    # The clock

    def environment(self):
        """What Dovecot's processes get besides its own."""
        env = {}
        if self.faketime:
            found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
            if not found:
                raise RuntimeError("libfaketime is not installed")
            env = {
                "LD_PRELOAD": found[0],
                "FAKETIME_TIMESTAMP_FILE": self.time_file,
                "FAKETIME_NO_CACHE": "1",
                # Timers of the server itself must go on as they are.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                # File times stay real: a moved clock must not move them.
                "NO_FAKE_STAT": "1",
            }
        env.update(self.env)
        return env

    def set_time(self, offset):
        """From now on the server's clock is ahead by this: "+15d", "+0"."""
        assert self.faketime
        self._write(self.time_file + ".new", offset + "\n")
        os.rename(self.time_file + ".new", self.time_file)

    def set_moment(self, text):
        """From now on the server's clock goes on from there, in UTC:
        "2031-03-10T12:00:00". No midnight of ours falls into a test then.
        Returns by how many seconds it is ahead."""
        moment = datetime.datetime.fromisoformat(text + "+00:00")
        ahead = int(moment.timestamp() - time.time())
        self.set_time("%+d" % ahead)
        return ahead

    def _full_environment(self):
        env = self.environment()
        full = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                        "/sbin:/bin", "TZ": "UTC", **env}
        # Dovecot cleans its environment but for these.
        full["DOVECOT_PRESERVE_ENVS"] = " ".join(["TZ", *env])
        return full

    # Life

    def start(self):
        self._reserve_ports()
        self.write_config()
        self._write_users()
        if self.faketime and not os.path.exists(self.time_file):
            if self.faketime is True:
                self.set_time("+0")
            else:
                self.set_moment(self.faketime)
        if self.line == "2.3" and self.dict == "sqlite":
            self._write(self.path("dict-sql.conf.ext"), config.sql_map(self))
        if self.dict == "sqlite" and not os.path.exists(self.sqlite_file):
            self._make_sqlite()
        if self.tls and not os.path.exists(self.path("cert.pem")):
            self._make_certificate()
        with open(self.path("stderr"), "ab") as stderr:
            self.process = subprocess.Popen(
                ["dovecot", "-F", "-c", self.config_file],
                env=self._full_environment(), stdin=subprocess.DEVNULL,
                stdout=stderr, stderr=stderr, start_new_session=True)
        wait_for(self._greets, "Dovecot's greeting")
        return self

    def _reserve_ports(self):
        if not self._reservations:
            ports, self._reservations = zip(*(reserve_port()
                                              for _ in range(3)))
            self.pop3_port, self.pop3s_port, self.imap_port = ports

    def _make_sqlite(self):
        # Not everyone who uses the fixture has it.
        import sqlite3
        database = sqlite3.connect(self.sqlite_file)
        database.executescript(config.SQL_SCHEMA)
        database.close()
        owner = pwd.getpwnam("dovecot")
        os.chown(self.sqlite_file, owner.pw_uid, owner.pw_gid)

    def _make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             "/CN=localhost", "-keyout", self.path("key.pem"),
             "-out", self.path("cert.pem")],
            check=True, stderr=subprocess.DEVNULL)

    def _greets(self):
        if self.process.poll() is not None:
            with open(self.path("stderr"), encoding="latin-1") as file:
                raise AssertionError("Dovecot did not start:\n%s%s" % (
                    file.read(), self.log()))
        try:
            client = pop3.Pop3(self.pop3_port)
        except OSError:
            return False
        client.close()
        return client.greeting is not None

    def stop(self):
        """Hangs up the clients; waits until the last process is gone."""
        if self.process is None:
            return
        for client in self._clients:
            client.close()
        self._clients.clear()
        pgid = self.process.pid
        self.process.terminate()
        try:
            wait_for(lambda: self._idle(pgid), "the end of sessions")
            # It would sleep for a second now, with nothing left to do.
            self.process.kill()
            self.process.wait()
            wait_for(lambda: not process_group(pgid), "the server's end")
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None
            for pid in process_group(pgid):
                os.kill(pid, signal.SIGKILL)

    def _idle(self, pgid):
        """Nothing runs but the master, and what ends with it; nothing that
        ended left anything to log."""
        return not (set(process_group(pgid).values()) - {"dovecot", "log"}) \
            and log_is_whole(pgid)

    def restart(self):
        """Ends and starts it, with what the options say now, at the same
        ports."""
        self.stop()
        return self.start()

    def destroy(self):
        """Ends it and removes its files."""
        try:
            self.stop()
        finally:
            for reservation in self._reservations:
                reservation.close()
            self._reservations = ()
            shutil.rmtree(self.root, ignore_errors=True)

    def processes(self, name):
        """Process ids by name: "pop3", "dict", "imap", ..."""
        group = process_group(self.process.pid)
        return [pid for pid, comm in group.items() if comm == name]

    def kill(self, name, number=signal.SIGKILL):
        for pid in self.processes(name):
            # it may end by itself at any time
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait_no_process(self, name):
        """Until all of them have ended: what they commit is committed, and
        what they log is in log()."""
        wait_for(lambda: not self.processes(name), "the end of " + name)
        wait_for(lambda: log_is_whole(self.process.pid), "its log")

    # Logs

    def rawlogs(self):
        """What the rawlogs of POP3 hold, oldest first, as one text."""
        paths = glob.glob(self.path("rawlog/*"))
        texts = []
        for path in sorted(paths, key=os.path.getmtime):
            with open(path, encoding="latin-1") as file:
                texts.append(file.read())
        return "".join(texts)

    def maildir_files(self, user):
        """A maildir's messages, the first delivered first: their names have
        the second and the microsecond, which has no leading zeros."""
        return sorted(glob.glob(self.mail_dir(user) + "/[nc]*/*"),
                      key=lambda path: [int(number) for number in re.findall(
                          "[0-9]+", os.path.basename(path))[:2]])

    def log(self, after=0):
        """The log's whole lines, without one that is still being written."""
        try:
            with open(self.log_file, "rb") as file:
                file.seek(after)
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return text[:text.rfind("\n") + 1]

    def log_mark(self):
        """Where the log ends now: for after=."""
        return os.path.getsize(self.log_file)

    def wait_log(self, pattern, after=0, timeout=WAIT_SECS):
        """The first match of the regular expression, waited for."""
        regex = re.compile(pattern, re.MULTILINE)
        return wait_for(lambda: regex.search(self.log(after)),
                        "%r in the log" % pattern, timeout)

    # Clients

    def connect(self, **options):
        """A Pop3 that is not logged in."""
        port = self.pop3s_port if options.get("tls") else self.pop3_port
        client = pop3.Pop3(port, **options)
        self._clients.append(client)
        return client

    def pop3(self, user, **options):
        """A Pop3 that is logged in, or the Refused exception."""
        client = self.connect(**options)
        reply = client.login(user)
        if reply is None or not reply.startswith("+OK"):
            client.close()
            raise pop3.Refused("login: %s" % reply)
        return client

    def imap(self, user):
        client = imaplib.IMAP4("127.0.0.1", self.imap_port)
        client.login(user, "secret")
        return client

    def doveadm(self, *args, input=None, check=False):
        """CompletedProcess with stdout and stderr as str."""
        result = subprocess.run(
            ["doveadm", "-c", self.config_file, *args],
            env=self._full_environment(), input=input,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=DOVEADM_SECS, check=False)
        result.stdout = result.stdout.decode("utf-8", "replace")
        result.stderr = result.stderr.decode("utf-8", "replace")
        if check and result.returncode != 0:
            raise AssertionError("doveadm %s: %d\n%s%s" % (
                " ".join(args), result.returncode, result.stdout,
                result.stderr))
        return result

    def deliver(self, user, *messages, mailbox="INBOX", flags=None):
        """Appends messages (bytes), in this order, by IMAP."""
        client = self.imap(user)
        for text in messages:
            status, reply = client.append(mailbox, flags, None, text)
            if status != "OK":
                raise AssertionError("APPEND: %r" % reply)
        client.logout()

    def dict_get(self, user, key):
        """A value of the user's dict, read through Dovecot; None if there
        is none. key without "priv/pop3-policy/"."""
        result = self._dict("get", user, key)
        if result.returncode != 0:
            return None
        return result.stdout.rstrip().split(": ", 1)[-1]

    def dict_set(self, user, key, value):
        result = self._dict("set", user, key, value)
        assert result.returncode == 0, result.stderr

    def dict_unset(self, user, key):
        result = self._dict("unset", user, key)
        assert result.returncode == 0, result.stderr

    def _dict(self, command, user, key, *values):
        uri = "file:" + self.dict_file(user) if self.dict == "file" else \
            "proxy::pop3_policy"
        # On 2.4 it takes the name of the block that holds the dict.
        name = uri if self.line == "2.3" else "pop3_policy"
        options = []
        if self.line == "2.4" and self.dict == "file":
            # It does not know %{user} there.
            options = ["-o", "pop3_policy/dict/file/path=" +
                       self.dict_file(user)]
        return self.doveadm(*options, "dict", command, "-u", user, name,
                            "priv/pop3-policy/" + key, *values)

    def save(self, user, text, mailbox="INBOX"):
        """One message by doveadm save."""
        self.doveadm("save", "-u", user, "-m", mailbox, input=text,
                     check=True)
