package migrations

// postgresInspection reads the catalogs, for the tables that a statement would find. An
// index that CREATE INDEX CONCURRENTLY left half made is not one that can be used.
var postgresInspection = inspection{
	server:   `SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)`,
	now:      `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`,
	readOnly: `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'`,
	objects: `SELECT CASE c.relkind WHEN 'i' THEN 'index ' ELSE 'table ' END || c.relname
  FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'i') AND c.relname LIKE 'apikeys|_%' ESCAPE '|' AND pg_table_is_visible(c.oid) AND coalesce(i.indisvalid, true)`,
	inexact: `SELECT c.relname || '.' || a.attname || ': ' || o.collname
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid JOIN pg_collation AS o ON o.oid = a.attcollation
 WHERE c.relkind IN ('r', 'p', 'i') AND c.relname LIKE 'apikeys|_%' ESCAPE '|' AND pg_table_is_visible(c.oid)
   AND NOT a.attisdropped AND o.collname NOT IN ('C', 'POSIX') ORDER BY 1`,
	tables: `SELECT 'apikeys_settings', (SELECT count(*) FROM (SELECT 1 FROM apikeys_settings LIMIT 1000001) AS t), NULL::bigint
UNION ALL SELECT 'apikeys_resources', (SELECT count(*) FROM (SELECT 1 FROM apikeys_resources LIMIT 1000001) AS t), NULL::bigint
UNION ALL SELECT 'apikeys_links', (SELECT count(*) FROM (SELECT 1 FROM apikeys_links LIMIT 1000001) AS t), NULL::bigint
UNION ALL SELECT 'apikeys_keys', (SELECT count(*) FROM (SELECT 1 FROM apikeys_keys LIMIT 1000001) AS t), NULL::bigint
UNION ALL SELECT 'apikeys_secrets', (SELECT count(*) FROM (SELECT 1 FROM apikeys_secrets LIMIT 1000001) AS t), NULL::bigint
UNION ALL SELECT 'apikeys_usage', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage LIMIT 1000001) AS t), NULL::bigint
UNION ALL SELECT 'apikeys_usage_hours', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage_hours LIMIT 1000001) AS t), (SELECT (extract(epoch FROM min(hour)) * 1000000)::bigint FROM apikeys_usage_hours)
UNION ALL SELECT 'apikeys_usage_log', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage_log LIMIT 1000001) AS t), (SELECT (extract(epoch FROM min(at)) * 1000000)::bigint FROM apikeys_usage_log)
UNION ALL SELECT 'apikeys_writers', (SELECT count(*) FROM (SELECT 1 FROM apikeys_writers LIMIT 1000001) AS t), (SELECT (extract(epoch FROM min(seen_at)) * 1000000)::bigint FROM apikeys_writers)
UNION ALL SELECT 'apikeys_windows', (SELECT count(*) FROM (SELECT 1 FROM apikeys_windows LIMIT 1000001) AS t), (SELECT min(starts) * 1000000 FROM apikeys_windows)
UNION ALL SELECT 'apikeys_state', (SELECT count(*) FROM (SELECT 1 FROM apikeys_state LIMIT 1000001) AS t), NULL::bigint
UNION ALL SELECT 'apikeys_changes', (SELECT count(*) FROM (SELECT 1 FROM apikeys_changes LIMIT 1000001) AS t), (SELECT (extract(epoch FROM min(at)) * 1000000)::bigint FROM apikeys_changes)
UNION ALL SELECT 'apikeys_events', (SELECT count(*) FROM (SELECT 1 FROM apikeys_events LIMIT 1000001) AS t), (SELECT (extract(epoch FROM min(at)) * 1000000)::bigint FROM apikeys_events)`,
}
