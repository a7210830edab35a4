package migrations

// mysqlInspection reads information_schema. A column of bytes has no collation.
var mysqlInspection = inspection{
	server:   `SELECT CONCAT(IF(VERSION() LIKE '%MariaDB%', 'MariaDB ', 'MySQL '), SUBSTRING_INDEX(VERSION(), '-', 1))`,
	now:      `SELECT TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))`,
	readOnly: `SELECT @@read_only`,
	objects: `SELECT CONCAT('table ', table_name) FROM information_schema.tables
 WHERE table_schema = DATABASE() AND table_name LIKE 'apikeys|_%' ESCAPE '|'
UNION
SELECT CONCAT('index ', index_name) FROM information_schema.statistics
 WHERE table_schema = DATABASE() AND table_name LIKE 'apikeys|_%' ESCAPE '|'`,
	inexact: `SELECT CONCAT(table_name, '.', column_name, ': ', collation_name) FROM information_schema.columns
 WHERE table_schema = DATABASE() AND table_name LIKE 'apikeys|_%' ESCAPE '|' AND collation_name IS NOT NULL ORDER BY 1`,
	tables: `SELECT 'apikeys_settings', (SELECT count(*) FROM (SELECT 1 FROM apikeys_settings LIMIT 1000001) AS t), NULL
UNION ALL SELECT 'apikeys_resources', (SELECT count(*) FROM (SELECT 1 FROM apikeys_resources LIMIT 1000001) AS t), NULL
UNION ALL SELECT 'apikeys_links', (SELECT count(*) FROM (SELECT 1 FROM apikeys_links LIMIT 1000001) AS t), NULL
UNION ALL SELECT 'apikeys_keys', (SELECT count(*) FROM (SELECT 1 FROM apikeys_keys LIMIT 1000001) AS t), NULL
UNION ALL SELECT 'apikeys_secrets', (SELECT count(*) FROM (SELECT 1 FROM apikeys_secrets LIMIT 1000001) AS t), NULL
UNION ALL SELECT 'apikeys_usage', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage LIMIT 1000001) AS t), NULL
UNION ALL SELECT 'apikeys_usage_hours', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage_hours LIMIT 1000001) AS t), (SELECT min(hour) FROM apikeys_usage_hours)
UNION ALL SELECT 'apikeys_usage_log', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage_log LIMIT 1000001) AS t), (SELECT min(at) FROM apikeys_usage_log)
UNION ALL SELECT 'apikeys_writers', (SELECT count(*) FROM (SELECT 1 FROM apikeys_writers LIMIT 1000001) AS t), (SELECT min(seen_at) FROM apikeys_writers)
UNION ALL SELECT 'apikeys_windows', (SELECT count(*) FROM (SELECT 1 FROM apikeys_windows LIMIT 1000001) AS t), (SELECT min(starts) * 1000000 FROM apikeys_windows)
UNION ALL SELECT 'apikeys_state', (SELECT count(*) FROM (SELECT 1 FROM apikeys_state LIMIT 1000001) AS t), NULL
UNION ALL SELECT 'apikeys_changes', (SELECT count(*) FROM (SELECT 1 FROM apikeys_changes LIMIT 1000001) AS t), (SELECT min(at) FROM apikeys_changes)
UNION ALL SELECT 'apikeys_events', (SELECT count(*) FROM (SELECT 1 FROM apikeys_events LIMIT 1000001) AS t), (SELECT min(at) FROM apikeys_events)`,
}
