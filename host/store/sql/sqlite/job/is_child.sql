SELECT EXISTS (SELECT 1 FROM job WHERE parent = ?1 AND child_name = ?2)
