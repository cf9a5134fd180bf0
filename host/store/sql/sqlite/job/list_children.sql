-- Up to ?2 children of job ?1, in the order in which it has submitted them.
SELECT id, child_name AS name, kind, state FROM job WHERE parent = ?1 ORDER BY rowid LIMIT +?2
