package migrations

// sqliteInspection reads SQLite's own tables. A COLLATE in a table's own text is found
// in the text, one of an index where SQLite keeps it.
var sqliteInspection = inspection{
	server:   `SELECT 'SQLite ' || sqlite_version()`,
	now:      `SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000`,
	readOnly: `SELECT 0`,
	objects: `SELECT type || ' ' || name FROM sqlite_schema
 WHERE type IN ('table', 'index') AND tbl_name LIKE 'apikeys|_%' ESCAPE '|'`,
	inexact: `SELECT name || ': COLLATE' FROM sqlite_schema
 WHERE type = 'table' AND name LIKE 'apikeys|_%' ESCAPE '|' AND sql LIKE '%COLLATE%'
UNION ALL
SELECT m.name || ': ' || x.coll FROM sqlite_schema AS m JOIN pragma_index_xinfo(m.name) AS x
 WHERE m.type = 'index' AND m.tbl_name LIKE 'apikeys|_%' ESCAPE '|' AND x.coll <> 'BINARY' ORDER BY 1`,
	tables: `SELECT 'apikeys_settings', (SELECT count(*) FROM (SELECT 1 FROM apikeys_settings LIMIT 1000001)), NULL
UNION ALL SELECT 'apikeys_resources', (SELECT count(*) FROM (SELECT 1 FROM apikeys_resources LIMIT 1000001)), NULL
UNION ALL SELECT 'apikeys_links', (SELECT count(*) FROM (SELECT 1 FROM apikeys_links LIMIT 1000001)), NULL
UNION ALL SELECT 'apikeys_keys', (SELECT count(*) FROM (SELECT 1 FROM apikeys_keys LIMIT 1000001)), NULL
UNION ALL SELECT 'apikeys_secrets', (SELECT count(*) FROM (SELECT 1 FROM apikeys_secrets LIMIT 1000001)), NULL
UNION ALL SELECT 'apikeys_usage', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage LIMIT 1000001)), NULL
UNION ALL SELECT 'apikeys_usage_hours', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage_hours LIMIT 1000001)), (SELECT min(hour) FROM apikeys_usage_hours)
UNION ALL SELECT 'apikeys_usage_log', (SELECT count(*) FROM (SELECT 1 FROM apikeys_usage_log LIMIT 1000001)), (SELECT min(at) FROM apikeys_usage_log)
UNION ALL SELECT 'apikeys_writers', (SELECT count(*) FROM (SELECT 1 FROM apikeys_writers LIMIT 1000001)), (SELECT min(seen_at) FROM apikeys_writers)
UNION ALL SELECT 'apikeys_windows', (SELECT count(*) FROM (SELECT 1 FROM apikeys_windows LIMIT 1000001)), (SELECT min(starts) * 1000000 FROM apikeys_windows)
UNION ALL SELECT 'apikeys_state', (SELECT count(*) FROM (SELECT 1 FROM apikeys_state LIMIT 1000001)), NULL
UNION ALL SELECT 'apikeys_changes', (SELECT count(*) FROM (SELECT 1 FROM apikeys_changes LIMIT 1000001)), (SELECT min(at) FROM apikeys_changes)
UNION ALL SELECT 'apikeys_events', (SELECT count(*) FROM (SELECT 1 FROM apikeys_events LIMIT 1000001)), (SELECT min(at) FROM apikeys_events)`,
}
