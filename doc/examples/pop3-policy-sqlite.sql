-- dovecot-pop3-policy: the table for both lines of Dovecot. Keys are stored
-- without their prefix priv/pop3-policy/ in "name"; a value is one line of
-- printable text of at most 30 KiB.
CREATE TABLE IF NOT EXISTS pop3_policy (
  username TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (username, name)
);
