# Copyright (c) 2026 dovecot-pop3-policy authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The configuration of a private Dovecot, written for 2.3 or for 2.4. The only
# file of the harness that knows how the two differ in that.
"""render(instance) returns dovecot.conf as text.

`instance` is a dovecot.Dovecot; its docstring says what the options mean."""

MAIL_PATHS = {"maildir": "~/Maildir", "sdbox": "~/sdbox", "mdbox": "~/mdbox"}

# One table for both lines: name and value, as the plugin's own settings.
SQL_SCHEMA = """
CREATE TABLE pop3_policy (
  username TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT,
  PRIMARY KEY (username, name)
);
"""

# The login processes are not put into a chroot, where they would not see the
# file that moves the clock.
COMMON = """
base_dir = {root}/run
state_dir = {root}/run/state
instance_name = dovecot-pop3-policy-test
log_path = {root}/dovecot.log
log_timestamp = "%Y-%m-%d %H:%M:%S "
protocols = pop3 imap
listen = 127.0.0.1
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {uid}
mail_gid = {uid}
mail_fsync = never
mail_max_userip_connections = 100
pop3_lock_session = {lock_session}

service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
  }}
}}
service auth {{
  client_limit = 4096
}}
service dict {{
  unix_listener dict {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""

LINE_23 = """
mail_home = {root}/home/%u
mail_location = {format}:{mail_path}
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
service pop3 {{
  service_count = {service_count}
}}
"""

LINE_24 = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
"""

LINE_24_REST = """
mail_home = {root}/home/%{{user}}
mail_driver = {format}
mail_path = {mail_path}
auth_allow_cleartext = yes
passdb passwd-file {{
  default_password_scheme = PLAIN
  passwd_file_path = {root}/users
}}
userdb passwd-file {{
  passwd_file_path = {root}/users
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service pop3 {{
  restart_request_count = {service_count}
}}
"""

SQLITE_23 = """
dict {{
  pop3_policy = sqlite:{root}/dict-sql.conf.ext
}}
"""

SQLITE_23_MAP = """
connect = {root}/dict/pop3-policy.sqlite
map {{
  pattern = priv/pop3-policy/$name
  table = pop3_policy
  username_field = username
  value_field = value
  fields {{
    name = $name
  }}
}}
"""

SQLITE_24 = """
dict_server {{
  dict pop3_policy {{
    driver = sql
    sql_driver = sqlite
    sqlite_path = {root}/dict/pop3-policy.sqlite
    dict_map priv/pop3-policy/$name {{
      sql_table = pop3_policy
      username_field = username
      key_field name {{
        value = $name
      }}
      value_field value {{
      }}
    }}
  }}
}}
"""

DICT_23 = {
    "file": "pop3_policy_dict = file:{root}/dict/%u.dict",
    "sqlite": "pop3_policy_dict = proxy::pop3_policy",
}

DICT_24 = {
    "file": """pop3_policy {{
  dict file {{
    path = {root}/dict/%{{user}}.dict
  }}
}}""",
    "sqlite": """pop3_policy {{
  dict proxy {{
    name = pop3_policy
  }}
}}""",
}


def _for_line(text, line):
    """An option that is one text for both lines, or a dict of one each."""
    if isinstance(text, dict):
        return text.get(line, "")
    return text or ""


def _values(instance):
    reuse_off = 1
    reuse_on = "unlimited" if instance.line == "2.4" else 0
    return {
        "root": instance.root,
        "uid": instance.uid,
        "format": instance.format,
        "mail_path": MAIL_PATHS[instance.format],
        "pop3_port": instance.pop3_port,
        "pop3s_port": instance.pop3s_port if instance.tls else 0,
        "imap_port": instance.imap_port,
        "lock_session": "yes" if instance.lock_session else "no",
        "service_count": reuse_on if instance.reuse else reuse_off,
    }


def _dict_setting(instance, values):
    """The plugin's dict: one of our own names, or the caller's own text."""
    kind = instance.dict
    if kind is None:
        return ""
    known = DICT_24 if instance.line == "2.4" else DICT_23
    if isinstance(kind, str) and kind in known:
        return known[kind].format(**values)
    return _for_line(kind, instance.line)


def _plugin(instance, values):
    plugins = list(instance.mail_plugins)
    if instance.plugin:
        plugins.append("pop3_policy")
    settings = [_dict_setting(instance, values)] if instance.plugin else []
    settings += ["%s = %s" % item for item in instance.settings.items()]
    body = "\n".join(settings)
    if instance.line == "2.3":
        return "mail_plugins = %s\nplugin {\n%s\n}\n" % (
            " ".join(plugins), body)
    names = "\n".join("  %s = yes" % name for name in plugins)
    head = "mail_plugins {\n%s\n}\n" % names if plugins else ""
    return head + body + "\n"


def _tls(instance):
    if not instance.tls:
        return "ssl = no\n"
    old = instance.line == "2.3"
    cert = "ssl_cert = <%s\nssl_key = <%s\n" if old else \
        "ssl_server_cert_file = %s\nssl_server_key_file = %s\n"
    return "ssl = yes\n" + cert % (instance.root + "/cert.pem",
                                   instance.root + "/key.pem")


def _rawlog(instance):
    if not instance.rawlog:
        return ""
    return "protocol pop3 {\n  rawlog_dir = %s/rawlog\n}\n" % instance.root


def _environment(instance):
    env = instance.environment()
    if not env:
        return ""
    if instance.line == "2.3":
        return "import_environment = TZ %s\n" % " ".join(
            "%s=%s" % item for item in env.items())
    return "import_environment {\n%s\n}\n" % "\n".join(
        "  %s = %s" % item for item in env.items())


def render(instance):
    values = _values(instance)
    sqlite = instance.dict == "sqlite"
    if instance.line == "2.3":
        text = COMMON.format(**values) + LINE_23.format(**values)
        text += SQLITE_23.format(**values) if sqlite else ""
    else:
        # The version must be the first setting of the file.
        text = LINE_24 + COMMON.format(**values)
        text += LINE_24_REST.format(**values)
        text += SQLITE_24.format(**values) if sqlite else ""
    text += _plugin(instance, values) + _tls(instance) + _rawlog(instance)
    text += _environment(instance)
    return text + "\n" + _for_line(instance.config, instance.line) + "\n"


def sql_map(instance):
    """dict-sql.conf.ext, which 2.3 reads for a dict in SQL."""
    return SQLITE_23_MAP.format(root=instance.root)
