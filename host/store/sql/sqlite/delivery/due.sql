-- Only the oldest pending delivery of each job and target, so that their order holds.
SELECT id, job, target, event, body, state, attempts, next_at_ms, finished_at_ms, last_error
FROM delivery AS head
WHERE state = 'pending' AND next_at_ms <= ?1
  AND NOT EXISTS (SELECT 1 FROM delivery AS earlier
                  WHERE earlier.state = 'pending' AND earlier.job = head.job AND earlier.target = head.target
                    AND earlier.seq < head.seq)
ORDER BY next_at_ms, seq
LIMIT ?2
