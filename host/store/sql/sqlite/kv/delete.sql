DELETE FROM kv WHERE plugin = ?1 AND namespace = ?2 AND key = ?3
