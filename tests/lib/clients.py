# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Real POP3 clients, each told to leave mail on the server.
"""client = Fetchmail(directory, port, "alice")
client.run()            # one session, or what the client makes of it
client.messages()       # all that it ever downloaded, as bytes

The directory keeps what the client remembers between runs."""

import os
import poplib
import pwd
import shutil
import socketserver
import subprocess
import threading

PASSWORD = "secret"
# Long enough for a loaded machine: reached only by what is broken.
RUN_SECS = 60
# Longer lines than Python's poplib expects are real mail.
poplib._MAXLINE = 1 << 20


class ClientFailed(Exception):
    """The client said that its run failed."""


class Client:
    """Downloads to self.inbox, one file a message."""
    program = None
    # What it downloads a message with.
    command = "RETR"
    # Exit codes of a run that went well. fetchmail: 1 is "no new mail".
    fine = (0,)

    def __init__(self, directory, port, user):
        self.directory = os.path.join(directory, self.name())
        self.inbox = self.path("inbox")
        self.port = port
        self.user = user
        nobody = pwd.getpwnam("nobody")
        self.uid, self.gid = nobody.pw_uid, nobody.pw_gid
        os.makedirs(self.inbox)
        self.set_up()
        for top, _, names in os.walk(self.directory):
            for path in [top] + [os.path.join(top, n) for n in names]:
                os.chown(path, self.uid, -1)

    @classmethod
    def name(cls):
        return cls.__name__.lower()

    @classmethod
    def installed(cls):
        return cls.program is None or shutil.which(cls.program) is not None

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        """Private, or clients refuse to read it."""
        with open(self.path(name), "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fchown(file.fileno(), self.uid, -1)
            file.write(text)

    def call(self, *args):
        env = {"PATH": "/usr/bin:/bin", "HOME": self.directory,
               "FETCHMAILHOME": self.directory, "LC_ALL": "C.UTF-8"}
        # Some refuse to work as root.
        done = subprocess.run(args, env=env, cwd=self.directory, check=False,
                              user=self.uid, group=self.gid,
                              extra_groups=[],
                              stdin=subprocess.DEVNULL, timeout=RUN_SECS,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode not in self.fine:
            raise ClientFailed("%s: exit code %d\n%s" % (
                args[0], done.returncode,
                done.stdout.decode("utf-8", "replace")))
        return done.stdout

    def save(self, uidl, text):
        with open(os.path.join(self.inbox, uidl), "wb") as file:
            file.write(text)

    def files(self):
        return [os.path.join(top, name)
                for top, _, names in os.walk(self.inbox) for name in names]

    def count(self):
        return len(self.files())

    def messages(self):
        texts = []
        for path in self.files():
            with open(path, "rb") as file:
                texts.append(file.read())
        return texts

    def set_up(self):
        pass

    def run(self):
        raise NotImplementedError


class Fetchmail(Client):
    program = "fetchmail"
    command = "TOP"
    fine = (0, 1)

    def set_up(self):
        self.write("rc", """set idfile "{0}/ids"
set pidfile "{0}/pid"
poll 127.0.0.1 service {1} protocol POP3 uidl
  user "{2}" password "{3}" keep sslproto ""
  mda "cat >$(mktemp {4}/XXXXXXXX)"
""".format(self.directory, self.port, self.user, PASSWORD, self.inbox))

    def run(self):
        self.call("fetchmail", "-f", self.path("rc"))


class Mpop(Client):
    program = "mpop"

    def set_up(self):
        for name in ("cur", "new", "tmp"):
            os.mkdir(os.path.join(self.inbox, name))
        self.write("rc", "account default\nhost 127.0.0.1\nport %d\n"
                   "tls off\nauth user\nuser %s\npassword %s\nkeep on\n"
                   "uidls_file %s/uidls\ndelivery maildir %s\n" % (
                       self.port, self.user, PASSWORD, self.directory,
                       self.inbox))

    def run(self):
        self.call("mpop", "-Q", "-C", self.path("rc"))


class Lmtp(socketserver.StreamRequestHandler):
    """Takes what it is given: the server has the function deliver(text)."""
    REPLIES = {b"LHLO": b"250-sink\r\n250 8BITMIME", b"DATA": b"354 go",
               b"QUIT": b"221 bye"}

    def handle(self):
        self.reply(b"220 sink LMTP")
        while True:
            command = self.rfile.readline()[:4].upper()
            if command == b"":
                return
            self.reply(self.REPLIES.get(command, b"250 ok"))
            if command == b"DATA":
                self.server.deliver(self.data())
                self.reply(b"250 ok")

    def reply(self, line):
        self.wfile.write(line + b"\r\n")

    def data(self):
        lines = []
        for line in iter(self.rfile.readline, b".\r\n"):
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)


class Getmail6(Client):
    """Delivers by LMTP: its other ways fork a child for each message, and
    wait for ever for one that ends before they listen."""
    program = "getmail"

    def set_up(self):
        self.sink = socketserver.TCPServer(("127.0.0.1", 0), Lmtp)
        self.sink.deliver = lambda text: self.save(str(self.count()), text)
        threading.Thread(target=self.sink.serve_forever, daemon=True).start()
        self.write("getmailrc", "[retriever]\ntype = SimplePOP3Retriever\n"
                   "server = 127.0.0.1\nport = %d\nusername = %s\n"
                   "password = %s\n[destination]\ntype = MDA_lmtp\n"
                   "host = 127.0.0.1\nport = %d\n[options]\n"
                   "read_all = false\ndelete = false\nverbose = 0\n" % (
                       self.port, self.user, PASSWORD,
                       self.sink.server_address[1]))

    def run(self):
        self.call("getmail", "--getmaildir", self.directory)


class Scripted(Client):
    """What people write themselves: UIDL, then RETR of what is new."""

    def uidls(self):
        """UIDL to message number."""
        raise NotImplementedError

    def retrieve(self, new):
        """Saves the messages of new, as uidls() returns them."""
        raise NotImplementedError

    def run(self):
        have = set(os.listdir(self.inbox))
        listing = self.uidls()
        self.retrieve({uidl: number for uidl, number in listing.items()
                       if uidl not in have})


class Curl(Scripted):
    program = "curl"

    def curl(self, *args):
        return self.call("curl", "-sS", "-K", self.path("rc"), *args)

    def url(self, number=""):
        return "pop3://127.0.0.1:%d/%s" % (self.port, number)

    def set_up(self):
        self.write("rc", "user = \"%s:%s\"\n" % (self.user, PASSWORD))

    def uidls(self):
        pairs = [line.split(" ") for line in
                 self.curl("-X", "UIDL", self.url()).decode().splitlines()]
        return {uidl: int(number) for number, uidl in pairs}

    def retrieve(self, new):
        if not new:
            return
        self.write("urls", "".join(
            "url = \"%s\"\noutput = \"%s\"\n" % (
                self.url(number), os.path.join(self.inbox, uidl))
            for uidl, number in new.items()))
        self.curl("-K", self.path("urls"))


class Poplib(Scripted):
    def uidls(self):
        self.session = poplib.POP3("127.0.0.1", self.port, timeout=RUN_SECS)
        self.session.user(self.user)
        self.session.pass_(PASSWORD)
        lines = [line.decode().split(" ") for line in self.session.uidl()[1]]
        return {uidl: int(number) for number, uidl in lines}

    def retrieve(self, new):
        for uidl, number in new.items():
            self.save(uidl, b"\r\n".join(self.session.retr(number)[1]))
        self.session.quit()


ALL = (Fetchmail, Mpop, Getmail6, Curl, Poplib)
