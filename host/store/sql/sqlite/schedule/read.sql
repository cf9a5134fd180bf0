SELECT handled_up_to_ms FROM schedule WHERE id = ?1
