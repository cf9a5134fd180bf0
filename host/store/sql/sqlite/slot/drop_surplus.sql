-- $2 is an array of events, some with a run that `ended`. A class that has shrunk loses the slots of whichever end first, as
-- many as it has too many.
DELETE FROM slot
WHERE (class, n) IN (
  SELECT class, n
  FROM (SELECT slot.class, slot.n, row_number() OVER (PARTITION BY slot.class ORDER BY slot.n) AS place
        FROM jsonb_each($2) AS run
        JOIN slot ON slot.job = run.value ->> 'job' AND slot.token = run.value ->> 'ended')
  JOIN (SELECT name, (SELECT count(*) FROM slot WHERE slot.class = name) - slots AS surplus FROM class)
    ON name = class AND place <= surplus)
