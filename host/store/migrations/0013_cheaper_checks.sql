-- The list of an IN in a CHECK is a table that SQLite makes anew for every row that it checks, unless it has two terms
-- at most. That was a fifth of what a client's call cost. The same checks as comparisons make none.
--
-- What is on the disk does not change with a check, so SQLite allows to write its text (lang_altertable.html, 7).
-- Nobody else reads the schema meanwhile: the data folder is this process's, and its readers open it later.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema
SET sql = replace(replace(sql,
  'CHECK (state IN
                   (''blocked'', ''scheduled'', ''queued'', ''loading'', ''working'', ''done'', ''failed'', ''cancelled''))',
  'CHECK
                   (state = ''blocked'' OR state = ''scheduled'' OR state = ''queued'' OR state = ''loading'' OR
                    state = ''working'' OR state = ''done'' OR state = ''failed'' OR state = ''cancelled'')'),
  '(state IN (''done'', ''failed'', ''cancelled''))',
  '(state = ''done'' OR state = ''failed'' OR state = ''cancelled'')')
WHERE type = 'table' AND name = 'job';

UPDATE sqlite_schema
SET sql = replace(sql,
  'CHECK (state IN
            (''blocked'', ''scheduled'', ''queued'', ''loading'', ''working'', ''done'', ''failed'', ''cancelled''))',
  'CHECK
            (state = ''blocked'' OR state = ''scheduled'' OR state = ''queued'' OR state = ''loading'' OR
             state = ''working'' OR state = ''done'' OR state = ''failed'' OR state = ''cancelled'')')
WHERE type = 'table' AND name = 'job_event';

UPDATE sqlite_schema
SET sql = replace(sql,
  'CHECK (outcome IN (''done'', ''failed'', ''postponed'', ''lost'', ''released'', ''cancelled''))',
  'CHECK (outcome = ''done'' OR outcome = ''failed'' OR outcome = ''postponed'' OR
                                    outcome = ''lost'' OR outcome = ''released'' OR outcome = ''cancelled'')')
WHERE type = 'table' AND name = 'attempt';

UPDATE sqlite_schema
SET sql = replace(sql,
  'CHECK (state IN (''waiting'', ''pending'', ''delivered'', ''dead''))',
  'CHECK (state = ''waiting'' OR state = ''pending'' OR state = ''delivered'' OR state = ''dead'')')
WHERE type = 'table' AND name = 'delivery';

UPDATE sqlite_schema
SET sql = replace(sql,
  'CHECK (on_failure IN (''fail'', ''continue'', ''ignore''))',
  'CHECK (on_failure = ''fail'' OR on_failure = ''continue'' OR on_failure = ''ignore'')')
WHERE type = 'table' AND name = 'need';

UPDATE sqlite_schema
SET sql = replace(sql,
  'CHECK (missed IN (''skip'', ''once'', ''all''))',
  'CHECK (missed = ''skip'' OR missed = ''once'' OR missed = ''all'')')
WHERE type = 'table' AND name = 'schedule_spec';

-- And reads it again.
PRAGMA writable_schema = RESET;
