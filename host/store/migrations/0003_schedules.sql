-- Schedules that are made over HTTP, and what becomes of all of them. A schedule has one row in
-- `schedule`, whoever made it; what it is stands in `schedule_spec`, unless it stands in a manifest.

-- Another one after every change, so that what was decided for an older one is not written.
ALTER TABLE schedule ADD COLUMN revision INTEGER NOT NULL DEFAULT 0 CHECK (revision >= 0);
-- What `handled_up_to_ms` holds for: zone and expression. Null in rows of older hosts.
ALTER TABLE schedule ADD COLUMN timing TEXT;
ALTER TABLE schedule ADD COLUMN paused_at_ms INTEGER;
ALTER TABLE schedule ADD COLUMN pause_reason TEXT CHECK ((pause_reason IS NULL) = (paused_at_ms IS NULL));
ALTER TABLE schedule ADD COLUMN last_fire_ms INTEGER;
-- May name a job that was deleted: a reference would cost every deletion a look here.
ALTER TABLE schedule ADD COLUMN last_job TEXT CHECK (last_job IS NULL OR last_fire_ms IS NOT NULL);
ALTER TABLE schedule ADD COLUMN fires_missed INTEGER NOT NULL DEFAULT 0 CHECK (fires_missed >= 0);
ALTER TABLE schedule ADD COLUMN fires_skipped INTEGER NOT NULL DEFAULT 0 CHECK (fires_skipped >= 0);

-- The last revision that any schedule was given. It only grows: a schedule that is deleted and made
-- again begins with one that it never had.
CREATE TABLE schedule_revision (
  only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
  last INTEGER NOT NULL CHECK (last >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO schedule_revision (only, last) VALUES (1, 0);

-- Apart from `schedule`: an input may have megabytes, and SQLite rewrites a whole row at every fire.
CREATE TABLE schedule_spec (
  schedule      TEXT    NOT NULL PRIMARY KEY REFERENCES schedule (id) ON DELETE CASCADE
                          CHECK (length(schedule) BETWEEN 2 AND 63 AND instr(schedule, '/') = 0),
  kind          TEXT    NOT NULL,
  expr          TEXT    NOT NULL,
  zone          TEXT    NOT NULL,
  priority      INTEGER CHECK (priority BETWEEN 0 AND 100),
  missed        TEXT    NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
  missed_max    INTEGER NOT NULL CHECK (missed_max BETWEEN 1 AND 100),
  overlap       TEXT    NOT NULL CHECK (overlap IN ('skip', 'queue')),
  created_at_ms INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL,
  -- Last, so that a look at the others need not read it.
  input         TEXT    NOT NULL CHECK (json_valid(input))
) STRICT;

-- The instant of the fire that a job of a schedule answers; null if somebody ran it by hand.
ALTER TABLE job ADD COLUMN fire_ms INTEGER CHECK (fire_ms IS NULL OR schedule IS NOT NULL);
-- No older job was run by hand. Where the fire is forgotten, the job was accepted soon after it.
UPDATE job
SET fire_ms = coalesce((SELECT fire_ms FROM fire WHERE fire.job = job.id), enqueued_at_ms)
WHERE schedule IS NOT NULL;
UPDATE schedule
SET last_fire_ms = latest.fire_ms, last_job = latest.job
FROM (SELECT schedule, max(fire_ms) AS fire_ms, job FROM fire WHERE job IS NOT NULL GROUP BY schedule) AS latest
WHERE latest.schedule = schedule.id;
