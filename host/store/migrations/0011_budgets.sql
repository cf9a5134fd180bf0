-- What was spent of a token budget on a day, which is a date such as 2026-11-29. It is written some moments
-- behind the calls. Budgets of jobs are not here: what a job has used is kept with it.
CREATE TABLE budget_spent (
  day     TEXT    NOT NULL,
  scope   TEXT    NOT NULL CHECK (scope IN ('kind', 'caller')),
  subject TEXT    NOT NULL,
  tokens  INTEGER NOT NULL CHECK (tokens >= 0),
  PRIMARY KEY (day, scope, subject)
) STRICT, WITHOUT ROWID;
