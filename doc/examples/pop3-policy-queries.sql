-- Questions about POP3, as SQL for the view pop3_policy_usage of PostgreSQL
-- and MariaDB. Counters and periods are those of pop3-policy(7); periods are
-- UTC, and so should the connection's time zone be.

-- Users with POP3 in the last 90 days, the latest first.
SELECT username, sessions, first_session, last_session
FROM pop3_policy_usage
WHERE span = 'total'
  AND last_session >= CURRENT_TIMESTAMP - INTERVAL '90' DAY
ORDER BY last_session DESC, username;

-- Users who never came back: all their sessions were on one day, more than 30
-- days ago.
SELECT username, sessions, retr_count, first_session, last_session
FROM pop3_policy_usage
WHERE span = 'total'
  AND CAST(first_session AS DATE) = CAST(last_session AS DATE)
  AND last_session < CURRENT_TIMESTAMP - INTERVAL '30' DAY
ORDER BY last_session DESC, username;

-- Clients that download everything again and again: on at least 3 of the last
-- 30 days most of what was retrieved had been retrieved before.
SELECT username, COUNT(*) AS days, SUM(again_count) AS again_count,
  SUM(again_bytes) AS again_bytes
FROM pop3_policy_usage
WHERE span = 'day'
  AND period >= CAST(CURRENT_DATE - INTERVAL '30' DAY AS CHAR(10))
  AND again_count > retr_count / 2
GROUP BY username
HAVING COUNT(*) >= 3
ORDER BY again_bytes DESC, username;

-- Bytes for an invoice: what each user's clients sent and were sent in the
-- last month.
SELECT username, sessions, in_bytes, out_bytes,
  CAST(in_bytes AS DECIMAL(30)) + out_bytes AS bytes
FROM pop3_policy_usage
WHERE span = 'month'
  AND period = CAST(CURRENT_DATE - INTERVAL '1' MONTH AS CHAR(7))
ORDER BY bytes DESC, username;
