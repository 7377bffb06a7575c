-- dovecot-pop3-policy: the table for PostgreSQL (9.5 or later), and a view of
-- the usage counters. Keys are stored without their prefix priv/pop3-policy/
-- in "name"; a value is one line of printable text of at most 30 KiB.
CREATE TABLE IF NOT EXISTS pop3_policy (
  username text NOT NULL,
  name text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (username, name)
);

-- Every commit of a session writes a user's rows anew.
ALTER TABLE pop3_policy SET (fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.05);

-- A counter in a document of usage; 0 where it is not there.
CREATE OR REPLACE FUNCTION pop3_policy_counter(value text, name text)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN n ~ '^[0-9]{1,20}$' THEN n::numeric ELSE 0 END
  FROM split_part(split_part($1, ' ' || $2 || '=', 2), ' ', 1) AS n
$$;

-- A time in one; NULL where it is not there, or not before the year 10000.
CREATE OR REPLACE FUNCTION pop3_policy_time(value text, name text)
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN n > 0 AND n < 253402300800
    THEN to_timestamp(n::double precision) END
  FROM pop3_policy_counter($1, $2) AS n
$$;

-- The counters, one row a user and period: span is total, month or day, and
-- period total, 2026-11 or 2026-11-24 (UTC). What they count is said in
-- pop3-policy(7). It does not check what it reads, as the plugin does.
CREATE OR REPLACE VIEW pop3_policy_usage AS
SELECT username, span, period,
  pop3_policy_counter(value, prefix || 'sessions') AS sessions,
  pop3_policy_counter(value, prefix || 'sessions_aborted')
    AS sessions_aborted,
  pop3_policy_counter(value, prefix || 'seconds') AS seconds,
  pop3_policy_counter(value, prefix || 'retr_count') AS retr_count,
  pop3_policy_counter(value, prefix || 'retr_bytes') AS retr_bytes,
  pop3_policy_counter(value, prefix || 'top_count') AS top_count,
  pop3_policy_counter(value, prefix || 'top_bytes') AS top_bytes,
  pop3_policy_counter(value, prefix || 'retr_aborted_count')
    AS retr_aborted_count,
  pop3_policy_counter(value, prefix || 'retr_aborted_bytes')
    AS retr_aborted_bytes,
  pop3_policy_counter(value, prefix || 'top_aborted_count')
    AS top_aborted_count,
  pop3_policy_counter(value, prefix || 'top_aborted_bytes')
    AS top_aborted_bytes,
  pop3_policy_counter(value, prefix || 'again_count') AS again_count,
  pop3_policy_counter(value, prefix || 'again_bytes') AS again_bytes,
  pop3_policy_counter(value, prefix || 'uidl_count') AS uidl_count,
  pop3_policy_counter(value, prefix || 'list_count') AS list_count,
  pop3_policy_counter(value, prefix || 'dele_count') AS dele_count,
  pop3_policy_counter(value, prefix || 'removed_count') AS removed_count,
  pop3_policy_counter(value, prefix || 'removed_bytes') AS removed_bytes,
  pop3_policy_counter(value, prefix || 'in_bytes') AS in_bytes,
  pop3_policy_counter(value, prefix || 'out_bytes') AS out_bytes,
  pop3_policy_time(value, prefix || 'first_session') AS first_session,
  pop3_policy_time(value, prefix || 'last_session') AS last_session
FROM (
  SELECT username, 'total' AS span, 'total' AS period, 'total.' AS prefix,
    value
  FROM pop3_policy WHERE name = 'usage/now'
  UNION ALL
  SELECT username, 'month', split_part(split_part(value, ' month=', 2), ' ',
    1), 'month.', value
  FROM pop3_policy WHERE name = 'usage/now' AND value LIKE '% month=%'
  UNION ALL
  SELECT username, 'day', split_part(split_part(value, ' day=', 2), ' ', 1),
    'day.', value
  FROM pop3_policy WHERE name = 'usage/now' AND value LIKE '% day=%'
  UNION ALL
  SELECT username, CASE length(name) WHEN 13 THEN 'month' ELSE 'day' END,
    substr(name, 7), '', value
  FROM pop3_policy WHERE name LIKE 'usage/____-__%'
) AS document
WHERE value LIKE 'pp1 usage %';
