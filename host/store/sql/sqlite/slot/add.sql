-- ?2 is an array of numbers.
INSERT INTO slot (class, n) SELECT ?1, value FROM json_each(?2)
