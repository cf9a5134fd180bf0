DELETE FROM budget_spent
WHERE (day, scope, subject) IN (
  SELECT day, scope, subject FROM budget_spent WHERE day < ?1 ORDER BY day, scope, subject LIMIT +?2
)
