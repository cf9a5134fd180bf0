SELECT min(fire_ms) FROM fire
