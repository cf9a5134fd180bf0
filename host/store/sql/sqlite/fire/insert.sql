-- No row is touched if the fire was handled before.
INSERT INTO fire (schedule, fire_ms) VALUES (?1, ?2) ON CONFLICT (schedule, fire_ms) DO NOTHING
