-- Job ?1 is a child of job ?2, whose run ?3 has submitted it.
UPDATE job SET parent = ?2, submitted_by = ?3, child_name = ?4, depth = ?5 WHERE id = ?1
