-- The first instant after ?1 at which the oldest pending delivery of some job and target is due.
SELECT next_at_ms
FROM delivery AS head
WHERE state = 'pending' AND next_at_ms > ?1
  AND NOT EXISTS (SELECT 1 FROM delivery AS earlier
                  WHERE earlier.state = 'pending' AND earlier.job = head.job AND earlier.target = head.target
                    AND earlier.seq < head.seq)
ORDER BY next_at_ms, seq
LIMIT 1
