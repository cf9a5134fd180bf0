-- ?1 is an array of runs that have ended. A class that has shrunk loses the slots of whichever end first, as
-- many as it has too many.
DELETE FROM slot
WHERE (class, n) IN (
  SELECT class, n
  FROM (SELECT slot.class, slot.n, row_number() OVER (PARTITION BY slot.class ORDER BY slot.n) AS place
        FROM json_each(?1) AS run
        JOIN slot ON slot.job = run.value ->> 'id' AND slot.token = run.value ->> 'token')
  JOIN (SELECT name, (SELECT count(*) FROM slot WHERE slot.class = name) - slots AS surplus FROM class)
    ON name = class AND place <= surplus)
