-- On whose token budget a job goes; null where nobody said so.
ALTER TABLE job ADD COLUMN caller TEXT;

-- The same for the jobs of a schedule. It stands before the input, which may have megabytes: a look at all schedules
-- would have to read over it to a column behind it. So the table is made anew.
ALTER TABLE schedule_spec RENAME TO schedule_spec_before;
CREATE TABLE schedule_spec (
  schedule      TEXT    NOT NULL PRIMARY KEY REFERENCES schedule (id) ON DELETE CASCADE
                          CHECK (length(schedule) BETWEEN 2 AND 63 AND instr(schedule, '/') = 0),
  kind          TEXT    NOT NULL,
  expr          TEXT    NOT NULL,
  zone          TEXT    NOT NULL,
  priority      INTEGER CHECK (priority BETWEEN 0 AND 100),
  caller        TEXT    CHECK (length(caller) BETWEEN 1 AND 128),
  missed        TEXT    NOT NULL CHECK (missed = 'skip' OR missed = 'once' OR missed = 'all'),
  missed_max    INTEGER NOT NULL CHECK (missed_max BETWEEN 1 AND 100),
  overlap       TEXT    NOT NULL CHECK (overlap IN ('skip', 'queue')),
  created_at_ms INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL,
  -- Last, so that a look at the others need not read it.
  input         TEXT    NOT NULL CHECK (json_valid(input))
) STRICT;
INSERT INTO schedule_spec (schedule, kind, expr, zone, priority, missed, missed_max, overlap, created_at_ms,
                           changed_at_ms, input)
SELECT schedule, kind, expr, zone, priority, missed, missed_max, overlap, created_at_ms, changed_at_ms, input
FROM schedule_spec_before;
DROP TABLE schedule_spec_before;
