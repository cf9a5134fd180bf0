SELECT scope, name, since_ms, until_ms, reason FROM pause ORDER BY scope, name
