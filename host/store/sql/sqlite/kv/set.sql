INSERT INTO kv (plugin, namespace, key, value) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (plugin, namespace, key) DO UPDATE SET value = excluded.value
