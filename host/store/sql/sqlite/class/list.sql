SELECT name FROM class ORDER BY name
