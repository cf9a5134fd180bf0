SELECT bytes FROM kv_size WHERE plugin = ?1
