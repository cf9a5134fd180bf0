-- The oldest that waits behind ?1, which has ended.
UPDATE delivery SET state = 'pending'
WHERE seq = (SELECT next.seq
             FROM delivery AS ended CROSS JOIN delivery AS next
               ON next.state = 'waiting' AND next.job = ended.job AND next.target = ended.target
             WHERE ended.id = ?1
             ORDER BY next.seq
             LIMIT 1)
