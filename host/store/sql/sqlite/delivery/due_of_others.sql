-- As delivery/due, but among all that are due: of each target but those in ?4 the longest due are taken in order, and of
-- these the longest due. It costs as much as there are targets, and nothing for what is due to those in ?4.
WITH RECURSIVE awaited (target) AS (
  SELECT min(target) FROM delivery WHERE state = 'pending'
  UNION ALL
  SELECT (SELECT min(delivery.target) FROM delivery WHERE state = 'pending' AND delivery.target > awaited.target)
  FROM awaited WHERE awaited.target IS NOT NULL
), longest (row) AS (
  SELECT delivery.seq
  FROM awaited CROSS JOIN delivery ON delivery.seq IN (
    SELECT seq FROM delivery AS of_target
    WHERE of_target.target = awaited.target AND of_target.state = 'pending' AND of_target.next_at_ms <= ?1
      AND of_target.id NOT IN (SELECT value FROM json_each(?3))
    ORDER BY of_target.next_at_ms, of_target.seq
    LIMIT +?2)
  WHERE awaited.target NOT IN (SELECT value FROM json_each(?4))
  ORDER BY delivery.next_at_ms, delivery.seq
  LIMIT +?2
)
SELECT seq, id, job, delivery.target, event, body, state, attempts, next_at_ms, finished_at_ms, last_error
FROM longest CROSS JOIN delivery ON delivery.seq = longest.row
ORDER BY next_at_ms, seq
