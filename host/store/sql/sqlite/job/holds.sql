-- The fence for writes that move nothing.
SELECT count(*) FROM job WHERE id = ?1 AND token = ?2 AND state IN ('loading', 'working')
