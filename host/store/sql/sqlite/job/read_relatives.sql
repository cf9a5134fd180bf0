-- How job ?1 stands among its relatives, with its parent if that is kept.
SELECT job.child_name, job.depth, job.awaits, elder.id, elder.child_name AS name, elder.kind, elder.state
FROM job LEFT JOIN job AS elder ON elder.id = job.parent
WHERE job.id = ?1
