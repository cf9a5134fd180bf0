-- Run ?2 of its parent gives job ?1 another life.
UPDATE job SET submitted_by = ?2 WHERE id = ?1
