UPDATE rate SET full_at_us = ?2 WHERE kind = ?1
