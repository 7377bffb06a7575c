# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The host without the plugin, to show that the fixture is sound.


from testcase import FORMATS, SessionTest, each, message


class HostAlone(SessionTest):
    @each(format=FORMATS)
    def test_session_from_login_to_quit(self, format):
        server = self.dovecot(format=format, plugin=False)
        texts = [message(1), message(2, body=".\n..\n.dot\n")]
        server.deliver("alice", *texts)
        with server.pop3("alice") as client:
            self.assertEqual(client.stat(), (2, sum(map(len, texts))))
            uidls = client.uidls()
            self.assertEqual(list(uidls), [1, 2])
            self.assertEqual(len(set(uidls.values())), 2)
            self.assertEqual(client.retr(1), texts[0])
            self.assertEqual(client.retr(2), texts[1])
            self.assertTrue(client.cmd("RETR 3").startswith("-ERR"))
            client.ok("DELE 1")
            self.assertTrue(client.quit().startswith("+OK"))
        with server.pop3("alice") as client:
            self.assertEqual(client.uidls(), {1: uidls[2]})

    @each(format=FORMATS)
    def test_mail_survives_the_loss_of_indexes(self, format):
        server = self.dovecot(format=format, plugin=False)
        server.deliver("alice", message(1), message(2))
        server.remove_indexes("alice")
        with server.pop3("alice") as client:
            self.assertEqual(client.retr(2), message(2))

    def test_tls_and_stls(self):
        server = self.dovecot(plugin=False, tls=True)
        server.save("alice", message(1))
        with server.pop3("alice", tls=True) as client:
            self.assertEqual(client.retr(1), message(1))
        with server.connect() as client:
            client.stls()
            client.login("alice")
            self.assertEqual(client.retr(1), message(1))

    @each(reuse=(False, True))
    def test_processes_are_reused_only_when_asked(self, reuse):
        server = self.dovecot(plugin=False, reuse=reuse)
        mark = server.log_mark()
        server.pop3("alice").quit()
        server.wait_log("Disconnected", after=mark)
        if reuse:
            self.assertEqual(len(server.processes("pop3")), 1)
        else:
            server.wait_no_process("pop3")

    def test_time_moves_while_the_server_runs(self):
        server = self.dovecot(plugin=False, faketime=True)
        server.set_moment("2031-03-10T12:00:00")
        mark = server.log_mark()
        server.pop3("alice").quit()
        line = server.wait_log(r"^(\d+-\d+-\d+) .*pop3\(alice\).*Disconn",
                               after=mark)
        self.assertEqual(line.group(1), "2031-03-10")

    def test_dict_in_sqlite_is_served(self):
        # On 2.4 doveadm takes no URI but the name of a block with a dict.
        block = "mail_attribute {\n  dict proxy {\n    name = pop3_policy\n"\
            "  }\n}\n"
        server = self.dovecot(plugin=False, dict="sqlite",
                              config={"2.4": block})
        name = "mail_attribute" if server.line == "2.4" else \
            "proxy::pop3_policy"
        key = "priv/pop3-policy/usage/now"
        server.doveadm("dict", "set", "-u", "alice", name, key, "v",
                       check=True)
        found = server.doveadm("dict", "get", "-u", "alice", name, key)
        self.assertEqual(found.stdout.strip(), "v")

    def test_rawlog_is_written(self):
        server = self.dovecot(plugin=False, rawlog=True)
        server.pop3("alice").quit()
        server.wait_no_process("pop3")
        self.assertIn("QUIT", server.rawlogs())
