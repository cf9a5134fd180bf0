SELECT id FROM job WHERE unique_key = ?1
