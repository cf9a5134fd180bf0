SELECT scope, subject, tokens FROM budget_spent WHERE day = ?1
