INSERT INTO pause (scope, name, since_ms, until_ms, reason) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (scope, name) DO UPDATE
SET since_ms = excluded.since_ms, until_ms = excluded.until_ms, reason = excluded.reason
