INSERT INTO slot (class, n) VALUES (?1, ?2)
