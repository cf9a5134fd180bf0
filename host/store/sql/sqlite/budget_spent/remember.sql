-- ?2 is an array of what was spent. A day that is counted again, because the clock was set back, gives nothing back.
INSERT INTO budget_spent (day, scope, subject, tokens)
SELECT ?1, value ->> 'scope', value ->> 'subject', value ->> 'tokens' FROM json_each(?2)
WHERE true -- without it, SQLite reads ON as a join
ON CONFLICT (day, scope, subject) DO UPDATE SET tokens = max(tokens, excluded.tokens)
