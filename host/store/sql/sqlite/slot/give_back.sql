UPDATE slot SET job = NULL, token = NULL WHERE job = ?1 AND token = ?2
