-- dovecot-pop3-policy: the table for MariaDB, and a view of the usage
-- counters. Keys are stored without their prefix priv/pop3-policy/ in "name";
-- a value is one line of printable text of at most 30 KiB. User names that
-- differ in case or in spaces at the end are different users.
CREATE TABLE IF NOT EXISTS pop3_policy (
  username VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
    NOT NULL,
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
  value TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (username, name)
) ENGINE = InnoDB;

-- The word behind NAME= in a document of usage; empty where it is not there.
CREATE OR REPLACE FUNCTION pop3_policy_word(value TEXT CHARACTER SET ascii,
  name VARCHAR(64) CHARACTER SET ascii)
RETURNS VARCHAR(64) CHARACTER SET ascii DETERMINISTIC
RETURN IF(LOCATE(CONCAT(' ', name, '='), value) = 0, '',
  SUBSTRING_INDEX(SUBSTRING_INDEX(value, CONCAT(' ', name, '='), -1),
    ' ', 1));

-- A counter in a document of usage; 0 where it is not there.
CREATE OR REPLACE FUNCTION pop3_policy_counter(value TEXT CHARACTER SET ascii,
  name VARCHAR(64) CHARACTER SET ascii)
RETURNS BIGINT UNSIGNED DETERMINISTIC
RETURN CAST(LEAST(18446744073709551615, CAST(
  IF(pop3_policy_word(value, name) REGEXP '^[0-9]{1,20}$',
    pop3_policy_word(value, name), '0') AS DECIMAL(20))) AS UNSIGNED);

-- A time in one; NULL where it is not there, or not before the year 10000.
CREATE OR REPLACE FUNCTION pop3_policy_time(value TEXT CHARACTER SET ascii,
  name VARCHAR(64) CHARACTER SET ascii)
RETURNS DATETIME DETERMINISTIC
RETURN IF(pop3_policy_counter(value, name) BETWEEN 1 AND 253402300799,
  FROM_UNIXTIME(pop3_policy_counter(value, name)), NULL);

-- The counters, one row a user and period: span is total, month or day, and
-- period total, 2026-11 or 2026-11-24 (UTC). What they count is said in
-- pop3-policy(7). It does not check what it reads, as the plugin does.
CREATE OR REPLACE VIEW pop3_policy_usage AS
SELECT username, span, period,
  pop3_policy_counter(value, CONCAT(prefix, 'sessions')) AS sessions,
  pop3_policy_counter(value, CONCAT(prefix, 'sessions_aborted'))
    AS sessions_aborted,
  pop3_policy_counter(value, CONCAT(prefix, 'seconds')) AS seconds,
  pop3_policy_counter(value, CONCAT(prefix, 'retr_count')) AS retr_count,
  pop3_policy_counter(value, CONCAT(prefix, 'retr_bytes')) AS retr_bytes,
  pop3_policy_counter(value, CONCAT(prefix, 'top_count')) AS top_count,
  pop3_policy_counter(value, CONCAT(prefix, 'top_bytes')) AS top_bytes,
  pop3_policy_counter(value, CONCAT(prefix, 'retr_aborted_count'))
    AS retr_aborted_count,
  pop3_policy_counter(value, CONCAT(prefix, 'retr_aborted_bytes'))
    AS retr_aborted_bytes,
  pop3_policy_counter(value, CONCAT(prefix, 'top_aborted_count'))
    AS top_aborted_count,
  pop3_policy_counter(value, CONCAT(prefix, 'top_aborted_bytes'))
    AS top_aborted_bytes,
  pop3_policy_counter(value, CONCAT(prefix, 'again_count')) AS again_count,
  pop3_policy_counter(value, CONCAT(prefix, 'again_bytes')) AS again_bytes,
  pop3_policy_counter(value, CONCAT(prefix, 'uidl_count')) AS uidl_count,
  pop3_policy_counter(value, CONCAT(prefix, 'list_count')) AS list_count,
  pop3_policy_counter(value, CONCAT(prefix, 'dele_count')) AS dele_count,
  pop3_policy_counter(value, CONCAT(prefix, 'removed_count')) AS removed_count,
  pop3_policy_counter(value, CONCAT(prefix, 'removed_bytes')) AS removed_bytes,
  pop3_policy_counter(value, CONCAT(prefix, 'in_bytes')) AS in_bytes,
  pop3_policy_counter(value, CONCAT(prefix, 'out_bytes')) AS out_bytes,
  pop3_policy_time(value, CONCAT(prefix, 'first_session'))
    AS first_session,
  pop3_policy_time(value, CONCAT(prefix, 'last_session')) AS last_session
FROM (
  SELECT username, 'total' AS span, 'total' AS period, 'total.' AS prefix,
    value
  FROM pop3_policy WHERE name = 'usage/now'
  UNION ALL
  SELECT username, 'month', pop3_policy_word(value, 'month'),
    'month.', value
  FROM pop3_policy WHERE name = 'usage/now' AND value LIKE '% month=%'
  UNION ALL
  SELECT username, 'day', pop3_policy_word(value, 'day'),
    'day.', value
  FROM pop3_policy WHERE name = 'usage/now' AND value LIKE '% day=%'
  UNION ALL
  SELECT username, IF(LENGTH(name) = 13, 'month', 'day'),
    SUBSTR(name, 7), '', value
  FROM pop3_policy WHERE name LIKE 'usage/____-__%'
) AS document
WHERE value LIKE 'pp1 usage %';
