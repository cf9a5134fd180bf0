-- The oldest of each target that waits behind nothing, for the job of ?1: the target of ?1 may be
-- what cannot be read.
UPDATE delivery SET state = 'pending'
WHERE seq IN (SELECT min(next.seq)
              FROM delivery AS ended CROSS JOIN delivery AS next ON next.state = 'waiting' AND next.job = ended.job
              WHERE ended.seq = ?1
                AND NOT EXISTS (SELECT 1 FROM delivery AS head
                                WHERE head.state = 'pending' AND head.job = next.job AND head.target = next.target)
              GROUP BY next.target)
