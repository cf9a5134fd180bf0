SELECT count(*) FROM job WHERE parent = ?1
