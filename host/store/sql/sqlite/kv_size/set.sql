INSERT INTO kv_size (plugin, bytes) VALUES (?1, ?2)
ON CONFLICT (plugin) DO UPDATE SET bytes = excluded.bytes
