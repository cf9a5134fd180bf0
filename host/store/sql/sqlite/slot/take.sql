-- $1 is an array of runs of the class $3 that begin; the n-th takes the n-th free slot.
UPDATE slot SET job = run.value ->> 'id', token = run.value ->> 'token'
FROM (SELECT n, row_number() OVER (ORDER BY n) - 1 AS place
      FROM (SELECT n FROM slot WHERE class = $3 AND job IS NULL ORDER BY n LIMIT json_array_length($1))) AS free
JOIN jsonb_each($1) AS run ON run.key = free.place
WHERE slot.class = $3 AND slot.n = free.n
