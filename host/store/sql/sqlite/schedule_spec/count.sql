-- How many there are, and whether ?1 is one of them.
SELECT count(*) AS made, coalesce(max(schedule = ?1), false) AS is_known FROM schedule_spec
