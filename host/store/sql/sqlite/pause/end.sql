DELETE FROM pause WHERE scope = ?1 AND name = ?2
