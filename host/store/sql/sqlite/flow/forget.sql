-- Those of the flows ?1 that have no job any more.
DELETE FROM flow
WHERE id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1 FROM job WHERE job.flow = flow.id)
