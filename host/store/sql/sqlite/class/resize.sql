INSERT INTO class (name, slots) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET slots = excluded.slots
