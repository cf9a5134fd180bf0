-- The checks repeat what `roughneck-jobs` already guarantees: a bug must not become a row.
-- Instants are milliseconds since the Unix epoch. `failure`, `usage` and `log` are JSON.

CREATE TABLE job (
  id             TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 26),
  kind           TEXT    NOT NULL,
  class          TEXT    NOT NULL,
  priority       TEXT    NOT NULL CHECK (priority IN ('urgent', 'high', 'normal', 'low', 'bulk')),
  state          TEXT    NOT NULL CHECK (state IN
                   ('blocked', 'scheduled', 'queued', 'loading', 'working', 'done', 'failed', 'cancelled')),
  -- Lower runs first. Never rewritten: a retry, a loss and a postponement keep their place.
  rank_ms        INTEGER NOT NULL,
  enqueued_at_ms INTEGER NOT NULL,
  run_at_ms      INTEGER NOT NULL,
  attempt        INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  attempts_max   INTEGER NOT NULL CHECK (attempts_max > 0),
  losses         INTEGER NOT NULL DEFAULT 0 CHECK (losses >= 0),
  -- The fence. It grows with every claim for the life of the row: never reset, never cleared.
  token          INTEGER NOT NULL DEFAULT 0 CHECK (token >= 0),
  -- The token of the last run before the last replay: later runs alone count as postponements.
  replay_token   INTEGER NOT NULL DEFAULT 0 CHECK (replay_token BETWEEN 0 AND token),
  lease_until_ms INTEGER,
  started_at_ms  INTEGER,
  finished_at_ms INTEGER,
  reason         TEXT,
  output         TEXT,
  failure        TEXT CHECK (failure IS NULL OR json_valid(failure)),
  failure_code   TEXT AS (iif(json_valid(failure), failure ->> 'code', NULL)) VIRTUAL,
  usage          TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(usage)),
  callback       TEXT,
  trace_parent   TEXT,
  plugin         TEXT,
  schedule       TEXT,
  -- The submitter's. Free again when the row goes.
  idempotency_key TEXT CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  CHECK ((state IN ('loading', 'working')) = (lease_until_ms IS NOT NULL)),
  CHECK ((state IN ('done', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL)),
  CHECK ((state = 'done') = (output IS NOT NULL)),
  CHECK (state <> 'done' OR failure IS NULL),
  CHECK (state <> 'failed' OR failure IS NOT NULL),
  CHECK (state NOT IN ('loading', 'working') OR (token > 0 AND attempt > 0 AND started_at_ms IS NOT NULL)),
  CHECK (token >= losses)
) STRICT;

-- One partial index for each hot query, so that the history of a host never slows its present.
CREATE INDEX job_ready            ON job (class, rank_ms, id)  WHERE state = 'queued';
CREATE INDEX job_due              ON job (run_at_ms, class)    WHERE state = 'scheduled';
CREATE INDEX job_blocked          ON job (class)               WHERE state = 'blocked';
CREATE INDEX job_lease            ON job (lease_until_ms)      WHERE lease_until_ms IS NOT NULL;
CREATE INDEX job_open_of_schedule ON job (schedule)            WHERE schedule IS NOT NULL AND finished_at_ms IS NULL;
CREATE UNIQUE INDEX job_of_key    ON job (idempotency_key)     WHERE idempotency_key IS NOT NULL;
CREATE INDEX job_ended            ON job (state, finished_at_ms) WHERE finished_at_ms IS NOT NULL;
-- The dead letters, with what they are asked for by: no other row is read to count or to choose them.
CREATE INDEX job_dead             ON job (id, kind, failure_code) WHERE state = 'failed';
-- For the pages of jobs, the newest first.
CREATE INDEX job_by_state          ON job (state, id);
CREATE INDEX job_by_kind           ON job (kind, id);
CREATE INDEX job_by_state_and_kind ON job (state, kind, id);

-- Apart from `job`: an input may have megabytes, and SQLite rewrites a whole row on every heartbeat.
CREATE TABLE job_input (
  job   TEXT NOT NULL PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
  input TEXT NOT NULL
) STRICT;

-- How many slots a class is to have. It has more for a while after it shrank.
CREATE TABLE class (
  name  TEXT    NOT NULL PRIMARY KEY,
  slots INTEGER NOT NULL CHECK (slots >= 0)
) STRICT, WITHOUT ROWID;

-- A concurrency limit is rows that are taken, not a count that is compared.
CREATE TABLE slot (
  class TEXT    NOT NULL REFERENCES class (name),
  n     INTEGER NOT NULL CHECK (n > 0),
  job   TEXT    REFERENCES job (id),
  token INTEGER,
  PRIMARY KEY (class, n),
  CHECK ((job IS NULL) = (token IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX slot_of_job ON slot (job) WHERE job IS NOT NULL;

CREATE TABLE attempt (
  job            TEXT    NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  run            INTEGER NOT NULL CHECK (run > 0),
  attempt        INTEGER NOT NULL CHECK (attempt > 0),
  started_at_ms  INTEGER NOT NULL,
  finished_at_ms INTEGER,
  outcome        TEXT CHECK (outcome IN ('done', 'failed', 'postponed', 'lost', 'released', 'cancelled')),
  failure        TEXT CHECK (failure IS NULL OR json_valid(failure)),
  usage          TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(usage)),
  log            TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(log)),
  PRIMARY KEY (job, run),
  CHECK ((outcome IS NULL) = (finished_at_ms IS NULL))
) STRICT;
CREATE UNIQUE INDEX attempt_open ON attempt (job) WHERE finished_at_ms IS NULL;

CREATE TABLE job_event (
  job     TEXT    NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  seq     INTEGER NOT NULL CHECK (seq > 0),
  at_ms   INTEGER NOT NULL,
  state   TEXT    NOT NULL CHECK (state IN
            ('blocked', 'scheduled', 'queued', 'loading', 'working', 'done', 'failed', 'cancelled')),
  attempt INTEGER NOT NULL CHECK (attempt >= 0),
  reason  TEXT,
  PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

-- The outbox. `seq` is the order of creation: ids of one millisecond have none. Of the deliveries of
-- a job to one target the oldest open one is `pending`, the others are `waiting` for their turn: the
-- followers of one that is retried for days are not in the index of what is due.
CREATE TABLE delivery (
  seq            INTEGER PRIMARY KEY AUTOINCREMENT,
  id             TEXT    NOT NULL UNIQUE CHECK (length(id) = 26),
  job            TEXT    NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  target         TEXT    NOT NULL,
  event          TEXT    NOT NULL,
  body           TEXT    NOT NULL,
  state          TEXT    NOT NULL CHECK (state IN ('waiting', 'pending', 'delivered', 'dead')),
  attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_at_ms     INTEGER NOT NULL,
  finished_at_ms INTEGER,
  last_error     TEXT,
  CHECK ((state IN ('waiting', 'pending')) = (finished_at_ms IS NULL))
) STRICT;
CREATE INDEX        delivery_due     ON delivery (next_at_ms, seq)  WHERE state = 'pending';
CREATE UNIQUE INDEX delivery_head    ON delivery (job, target)      WHERE state = 'pending';
CREATE INDEX        delivery_waiting ON delivery (job, target, seq) WHERE state = 'waiting';
CREATE INDEX        delivery_of_job  ON delivery (job, seq);

CREATE TABLE schedule (
  id               TEXT    NOT NULL PRIMARY KEY,
  handled_up_to_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every fire that was settled with a job, so that none runs twice, until it is older than any clock is
-- wrong. `job` is null where the fire was skipped because of an overlap, or where its job was deleted.
-- A fire that was missed and passed over has no row.
CREATE TABLE fire (
  schedule TEXT    NOT NULL,
  fire_ms  INTEGER NOT NULL,
  job      TEXT    REFERENCES job (id) ON DELETE SET NULL,
  PRIMARY KEY (schedule, fire_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX fire_of_job  ON fire (job) WHERE job IS NOT NULL;
CREATE INDEX fire_by_time ON fire (fire_ms);

CREATE TABLE kv (
  plugin    TEXT NOT NULL,
  namespace TEXT NOT NULL,
  key       TEXT NOT NULL CHECK (octet_length(key) <= 512),
  value     BLOB NOT NULL,
  PRIMARY KEY (plugin, namespace, key)
) STRICT;

-- The bytes of a plugin's keys and values, so that the limit costs one look-up.
CREATE TABLE kv_size (
  plugin TEXT    NOT NULL PRIMARY KEY,
  bytes  INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;
