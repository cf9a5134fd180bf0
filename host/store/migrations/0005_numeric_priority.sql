-- A priority is a number from 0 to 100, of which five have names.
ALTER TABLE job ADD COLUMN level INTEGER NOT NULL DEFAULT 50 CHECK (level BETWEEN 0 AND 100);
UPDATE job SET level = CASE priority
  WHEN 'urgent' THEN 100 WHEN 'high' THEN 75 WHEN 'normal' THEN 50 WHEN 'low' THEN 25 ELSE 0 END;
ALTER TABLE job DROP COLUMN priority;
ALTER TABLE job RENAME COLUMN level TO priority;
