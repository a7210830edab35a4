package mysql

// The statements, as sqlstore.Statements describes them, in what MySQL 8 and MariaDB
// both have:
//
//   - LOCK IN SHARE MODE, because MariaDB has no FOR SHARE, and no FOR UPDATE OF: a
//     statement that locks joins nothing that shall stay free.
//   - VALUES(column) after ON DUPLICATE KEY UPDATE, because MariaDB has no row alias;
//     and no RETURNING, because MySQL has none.
//   - "If absent" is a plain INSERT, whose duplicate is error 1062. INSERT IGNORE would
//     also swallow values that are too long, and what ON DUPLICATE KEY UPDATE affects
//     depends on the option clientFoundRows.
//   - A list is a JSON array of hexadecimal texts, joined by STRAIGHT_JOIN: with IN
//     (SELECT …) an UPDATE or DELETE reads the whole table and locks it. Rows are locked
//     in the order of the list.
//   - FORCE INDEX where the order of ids would else lead through the primary key of all
//     keys, past those of every other organization; and where a table that was small
//     when it was last counted would be read, and locked, as a whole.
//   - Columns of text are bytes, and literals are ASCII, so that the connection's
//     character set plays no part. An argument is a text, and ' ' = '' among texts: what
//     asks nothing is told by LENGTH.
//
// UTC_TIMESTAMP is when the statement began, the same all through it, and does not
// depend on the session's time zone as UNIX_TIMESTAMP(NOW(6)) does, which is
// ambiguous for an hour a year.

const (
	now = `TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))`

	// list is what a list's argument is read as: rows j with a text v. The conversion
	// is for connections whose character set is not one of texts.
	list = `JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (v CHAR(64) CHARACTER SET ascii PATH '$')) j STRAIGHT_JOIN `

	resourceColumns = `r.kind, r.id, r.organization_id, r.name, r.created_at, r.updated_at, r.suspended_at`
	keyColumns      = `k.id, k.organization_id, k.project_id, k.product_id, k.owner_id, k.environment, k.head, k.hint, k.name, k.scopes,
       k.rate_limits, k.expires_at, k.custom, k.created_at, k.updated_at, k.disabled_at, k.revoked_at, k.revoked_reason, k.version`
	useColumns = `,
       COALESCE(u.use_count, 0), u.last_used_at`
	secretColumns = `s.number, s.hash, s.signing_id, s.hint, s.created_at, s.ends_at`
	eventColumns  = `e.id, e.at, e.actor, e.action, e.organization_id, e.kind, e.subject_id, e.detail`

	selectKeys = `SELECT ` + keyColumns + useColumns
	joinUsage  = ` LEFT JOIN apikeys_usage u ON u.key_id = k.id`
	keyScope   = `
   AND (? = 0 OR k.organization_id = ?) AND (LENGTH(?) = 0 OR k.owner_id = ?)`

	resourceFilter = `
   AND r.kind = ?
   AND (? = 0 OR r.organization_id = ?)
   AND (? = 0 OR r.id = ?)
   AND (? = 0 OR r.name = ?)
   AND (? = 0 OR EXISTS (SELECT 1 FROM apikeys_links l WHERE l.project_id = ? AND l.product_id = r.id))
   AND r.id < ?
 ORDER BY r.id DESC LIMIT ?`

	eventFilter = `
   AND (? = 0 OR e.organization_id = ?)
   AND (? = 0 OR e.subject_id = ?)
   AND e.id < ?
 ORDER BY e.id DESC LIMIT ?`

	// keyFilter's status is that of Key.Status: the first of revoked, expired, disabled.
	keyFilter = keyScope + `
   AND (? = 0 OR k.project_id = ?)
   AND (? = 0 OR k.product_id = ?)
   AND (LENGTH(?) = 0 OR ? = CASE
        WHEN k.revoked_at IS NOT NULL THEN 'revoked'
        WHEN k.expires_at <= ? THEN 'expired'
        WHEN k.disabled_at IS NOT NULL THEN 'disabled'
        ELSE 'active' END)
   AND (LENGTH(?) = 0 OR INSTR(k.lower_name, ?) > 0 OR INSTR(k.lower_hint, ?) > 0)
   AND (? IS NULL OR k.created_at < ?)
   AND (? IS NULL OR k.expires_at < ?)
   AND (? IS NULL OR k.revoked_at < ? OR k.expires_at <= ?)
   AND (? = 0 OR k.revoked_at IS NULL)
   AND k.id < ?`
	keyPage = keyFilter + `
 ORDER BY k.id DESC LIMIT ?`
)

const (
	settings       = `SELECT version, document FROM apikeys_settings WHERE id = 1`
	insertSettings = `INSERT INTO apikeys_settings (id, version, document) VALUES (1, ?, ?)`
	updateSettings = `UPDATE apikeys_settings SET version = ?, document = ? WHERE id = 1 AND version = ?`

	// A connection whose autocommit was switched off would go on reading what its first
	// statement saw: it cannot tell what was committed, as a replica cannot.
	state = `
SELECT revision, stamp, ` + now + `,
       @@GLOBAL.read_only OR @@GLOBAL.innodb_read_only OR NOT @@SESSION.autocommit
  FROM apikeys_state WHERE id = 1`

	changesSince = `
SELECT s.revision, s.stamp, ` + now + `,
       EXISTS (SELECT 1 FROM apikeys_changes m WHERE m.revision = ? AND m.stamp = ?),
       COALESCE(c.revision, 0), COALESCE(c.kind, ''), c.subject_id
  FROM apikeys_state s LEFT JOIN
       (SELECT revision, kind, subject_id FROM apikeys_changes WHERE revision > ? ORDER BY revision LIMIT ?) c ON TRUE
 WHERE s.id = 1
 ORDER BY c.revision`

	raiseRevision = `UPDATE apikeys_state SET revision = revision + 1, stamp = ? WHERE id = 1`

	// Not INSERT … SELECT ?: MySQL would take the argument for a text.
	insertChange = `
INSERT INTO apikeys_changes (revision, kind, subject_id, stamp, at)
VALUES ((SELECT revision FROM apikeys_state WHERE id = 1), ?, ?, (SELECT stamp FROM apikeys_state WHERE id = 1), ?)`

	insertKeyChanges = `
INSERT INTO apikeys_changes (revision, kind, subject_id, stamp, at)
SELECT s.revision, 'key', UNHEX(j.v), s.stamp, CAST(? AS SIGNED)
  FROM ` + list + `apikeys_state s ON s.id = 1`
)

const (
	event = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE e.id = ?`

	insertEvent = `
INSERT INTO apikeys_events (id, at, actor, action, organization_id, kind, subject_id, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

	blankEvents = `
UPDATE ` + list + `apikeys_events e FORCE INDEX (apikeys_events_subject) ON e.subject_id = UNHEX(j.v) SET e.detail = '{}'`

	eventsByID           = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE e.id = ?` + eventFilter
	eventsBySubject      = `SELECT ` + eventColumns + ` FROM apikeys_events e FORCE INDEX (apikeys_events_subject) WHERE e.subject_id = ?` + eventFilter
	eventsByOrganization = `SELECT ` + eventColumns + ` FROM apikeys_events e FORCE INDEX (apikeys_events_organization) WHERE e.organization_id = ?` + eventFilter
	eventsAll            = `SELECT ` + eventColumns + ` FROM apikeys_events e FORCE INDEX (PRIMARY) WHERE TRUE` + eventFilter
)

const (
	lockResource = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r
 WHERE r.id = ? AND r.kind = ? AND (? = 0 OR r.organization_id = ?) FOR UPDATE`

	shareResources = `
SELECT kind, id, organization_id FROM apikeys_resources FORCE INDEX (PRIMARY)
 WHERE id IN (?, ?, ?) ORDER BY id LOCK IN SHARE MODE`

	insertResource = `
INSERT INTO apikeys_resources (id, kind, organization_id, namespace_id, name, created_at, updated_at, suspended_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

	updateResource     = `UPDATE apikeys_resources SET name = ?, suspended_at = ?, updated_at = ? WHERE id = ?`
	deleteResource     = `DELETE FROM apikeys_resources WHERE id = ?`
	deleteOrganization = `DELETE FROM apikeys_resources WHERE organization_id = ? AND id <> ?`
	keyOfOrganization  = `SELECT 1 FROM apikeys_keys WHERE organization_id = ? LIMIT 1`
	keyOfProject       = `SELECT 1 FROM apikeys_keys WHERE organization_id = ? AND project_id = ? LIMIT 1`
	keyOfProduct       = `SELECT 1 FROM apikeys_keys WHERE organization_id = ? AND product_id = ? LIMIT 1`

	resourceByID    = `SELECT ` + resourceColumns + ` FROM apikeys_resources r WHERE r.id = ?` + resourceFilter
	resourcesByName = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r WHERE r.namespace_id = ? AND r.kind = ? AND r.name = ?` + resourceFilter
	resourcesByLink = `
SELECT ` + resourceColumns + ` FROM apikeys_links d STRAIGHT_JOIN apikeys_resources r ON r.id = d.product_id
 WHERE d.project_id = ?` + resourceFilter
	resourcesByOrganization = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r FORCE INDEX (apikeys_resources_organization)
 WHERE r.organization_id = ? AND r.kind = ?` + resourceFilter
	resourcesByKind = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r FORCE INDEX (apikeys_resources_kind) WHERE r.kind = ?` + resourceFilter

	insertLink              = `INSERT INTO apikeys_links (project_id, product_id, organization_id) VALUES (?, ?, ?)`
	deleteLink              = `DELETE FROM apikeys_links WHERE project_id = ? AND product_id = ?`
	deleteLinksOfProject    = `DELETE FROM apikeys_links WHERE organization_id = ? AND project_id = ?`
	deleteLinksOfProduct    = `DELETE FROM apikeys_links WHERE organization_id = ? AND product_id = ?`
	deleteLinksOrganization = `DELETE FROM apikeys_links WHERE organization_id = ?`

	binding = `
SELECT (SELECT organization_id FROM apikeys_resources WHERE id = ? AND kind = 'project'),
       (SELECT organization_id FROM apikeys_resources WHERE id = ? AND kind = 'product'),
       EXISTS (SELECT 1 FROM apikeys_links WHERE project_id = ? AND product_id = ?)`
)

const (
	deleteKey = `DELETE FROM apikeys_keys WHERE id = ?`

	keyStanding = `
SELECT EXISTS (SELECT 1 FROM apikeys_keys WHERE id = ?), (SELECT key_id FROM apikeys_secrets WHERE hash = ?)`

	key = selectKeys + `
  FROM apikeys_keys k` + joinUsage + ` WHERE k.id = ?` + keyScope

	// The use is read by subqueries, whose rows are not locked: else a key that is
	// being changed would wait for a batch of usage.
	lockKey = `
SELECT ` + keyColumns + `,
       COALESCE((SELECT u.use_count FROM apikeys_usage u WHERE u.key_id = k.id), 0),
       (SELECT u.last_used_at FROM apikeys_usage u WHERE u.key_id = k.id)
  FROM apikeys_keys k WHERE k.id = ?` + keyScope + ` FOR UPDATE`

	keyAndSecrets = selectKeys + `,
       COALESCE(s.number, 0), s.hash, COALESCE(s.signing_id, ''), COALESCE(s.hint, ''), s.created_at, s.ends_at
  FROM apikeys_keys k` + joinUsage + `
  LEFT JOIN apikeys_secrets s ON s.key_id = k.id
 WHERE k.id = ?` + keyScope + `
 ORDER BY s.number DESC, s.signing_id`

	updateKey = `
UPDATE apikeys_keys
   SET hint = ?, name = ?, lower_name = ?, lower_hint = ?, scopes = ?, rate_limits = ?, expires_at = ?, custom = ?, updated_at = ?,
       disabled_at = ?, revoked_at = ?, revoked_reason = ?, version = ?
 WHERE id = ?`

	selectFound = selectKeys + `, ` + secretColumns + `, o.suspended_at,
       EXISTS (SELECT 1 FROM apikeys_links l WHERE l.project_id = k.project_id AND l.product_id = k.product_id)
  FROM `
	joinFound = ` STRAIGHT_JOIN apikeys_keys k ON k.id = s.key_id` + joinUsage + `
  LEFT JOIN apikeys_resources o ON o.id = k.organization_id`
	keyByHash    = selectFound + `apikeys_secrets s` + joinFound + ` WHERE s.hash = ?`
	keysByHashes = selectFound + list + `apikeys_secrets s ON s.hash = UNHEX(j.v)` + joinFound

	keysByID    = selectKeys + ` FROM apikeys_keys k` + joinUsage + ` WHERE k.id = ?` + keyPage
	keysByOwner = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_owner)` + joinUsage + ` WHERE k.organization_id = ? AND k.owner_id = ?` + keyPage
	// Projects and products lead to their organization, which the indexes begin with.
	keysByProject = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_project)` + joinUsage + `
 WHERE k.organization_id = (SELECT organization_id FROM apikeys_resources WHERE id = ?) AND k.project_id = ?` + keyPage
	keysByProduct = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_product)` + joinUsage + `
 WHERE k.organization_id = (SELECT organization_id FROM apikeys_resources WHERE id = ?) AND k.product_id = ?` + keyPage
	keysByOrganization = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_organization)` + joinUsage + ` WHERE k.organization_id = ?` + keyPage
	keysAll     = selectKeys + ` FROM apikeys_keys k FORCE INDEX (PRIMARY)` + joinUsage + ` WHERE TRUE` + keyPage
	keysRevoked = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_revoked)` + joinUsage + ` WHERE k.revoked_at < ?` + keyFilter + `
 ORDER BY k.revoked_at LIMIT ?`
	// A comparison of pairs would not use the index.
	keysExpiring = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_expires)` + joinUsage + `
 WHERE k.expires_at >= ? AND (k.expires_at > ? OR k.id > ?) AND k.expires_at < ?` + keyFilter + `
 ORDER BY k.expires_at, k.id LIMIT ?`
	keysExpiringOf = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_organization_expires)` + joinUsage + `
 WHERE k.organization_id = ? AND k.expires_at >= ? AND (k.expires_at > ? OR k.id > ?) AND k.expires_at < ?` + keyFilter + `
 ORDER BY k.expires_at, k.id LIMIT ?`
	keysExpired = selectKeys + `
  FROM apikeys_keys k FORCE INDEX (apikeys_keys_expires)` + joinUsage + ` WHERE k.expires_at <= ?` + keyFilter + `
 ORDER BY k.expires_at LIMIT ?`

	lockKeys = `
SELECT k.id, k.organization_id FROM ` + list + `apikeys_keys k FORCE INDEX (PRIMARY) ON k.id = UNHEX(j.v)
 WHERE TRUE` + keyPage + ` FOR UPDATE`

	// The list comes first here: see transaction.Exec.
	revokeKeys = `
UPDATE ` + list + `apikeys_keys k FORCE INDEX (PRIMARY) ON k.id = UNHEX(j.v)
   SET k.revoked_at = ?, k.revoked_reason = ?, k.updated_at = ?, k.version = k.version + 1`

	deleteKeys       = `DELETE k FROM ` + list + `apikeys_keys k FORCE INDEX (PRIMARY) ON k.id = UNHEX(j.v)`
	deleteKeySecrets = `DELETE s FROM ` + list + `apikeys_secrets s FORCE INDEX (apikeys_secrets_number) ON s.key_id = UNHEX(j.v)`
	deleteKeyUsage   = `DELETE u FROM ` + list + `apikeys_usage u FORCE INDEX (PRIMARY) ON u.key_id = UNHEX(j.v)`
	deleteKeyHours   = `DELETE h FROM ` + list + `apikeys_usage_hours h FORCE INDEX (PRIMARY) ON h.key_id = UNHEX(j.v)`
)

const (
	secrets   = `SELECT ` + secretColumns + ` FROM apikeys_secrets s WHERE s.key_id = ? ORDER BY s.number DESC`
	endSecret = `UPDATE apikeys_secrets FORCE INDEX (apikeys_secrets_number) SET ends_at = ? WHERE key_id = ? AND number = ? AND (ends_at IS NULL OR ends_at > ?)`
	endOlder  = `UPDATE apikeys_secrets FORCE INDEX (apikeys_secrets_number) SET ends_at = ? WHERE key_id = ? AND number < ? AND (ends_at IS NULL OR ends_at > ?)`

	countHashes = `
SELECT s.signing_id, COUNT(DISTINCT s.key_id),
       COUNT(DISTINCT CASE WHEN k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)
         AND (s.ends_at IS NULL OR s.ends_at > ?) AND NOT EXISTS (SELECT 1 FROM apikeys_secrets o
              WHERE o.key_id = s.key_id AND o.number = s.number AND o.signing_id <> s.signing_id) THEN s.key_id END)
  FROM apikeys_secrets s JOIN apikeys_keys k ON k.id = s.key_id
 GROUP BY s.signing_id`

	deleteHashes = `DELETE FROM apikeys_secrets WHERE signing_id = ? LIMIT ?`
)

const (
	clock = `SELECT ` + now

	// In the order of the list, and of the index.
	windows = `
SELECT w.subject, w.span, w.starts, w.used, ` + now + `
  FROM ` + list + `apikeys_windows w FORCE INDEX (PRIMARY) ON w.subject = UNHEX(j.v)`
	lockWindows = windows + ` FOR UPDATE`

	updateWindow = `UPDATE apikeys_windows SET starts = ?, used = ? WHERE subject = ? AND span = ?`
	returnWindow = `UPDATE apikeys_windows FORCE INDEX (PRIMARY) SET used = used - ? WHERE subject = ? AND span = ? AND starts = ? AND used >= ?`

	updateWriter = `UPDATE apikeys_writers SET seq = ?, seen_at = ? WHERE id = ? AND seq < ?`
	// A plain INSERT would leave a shared lock on the row that is in its way, and of two
	// that go on to update it one would be a deadlock's victim, each time. This one has
	// the row for itself, and affects two rows where it did not insert: the time always changes.
	insertWriter = `
INSERT INTO apikeys_writers (id, seq, seen_at) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE seen_at = GREATEST(seen_at + 1, VALUES(seen_at))`

	// GREATEST of two is NULL if one of them is.
	addUsage = `
UPDATE apikeys_usage
   SET use_count = use_count + ?, last_used_at = GREATEST(COALESCE(last_used_at, ?), COALESCE(?, last_used_at))
 WHERE key_id = ?`
	lockUsage = `
SELECT u.key_id FROM ` + list + `apikeys_usage u FORCE INDEX (PRIMARY) ON u.key_id = UNHEX(j.v) FOR UPDATE`

	logUses         = `INSERT INTO apikeys_usage_log (at, uses) VALUES (?, ?)`
	firstLogged     = `SELECT id FROM apikeys_usage_log WHERE id > 0 ORDER BY id LIMIT 1`
	lockFirstLogged = firstLogged + ` FOR UPDATE`
	logged          = `SELECT id, at, uses FROM apikeys_usage_log WHERE id > ? ORDER BY id LIMIT ?`
	deleteLogged    = `
DELETE l FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (v BIGINT PATH '$')) j
       STRAIGHT_JOIN apikeys_usage_log l FORCE INDEX (PRIMARY) ON l.id = j.v`

	keyHours = `
SELECT h.hour, COALESCE(h.secret, 0), COALESCE(h.outcome, ''), COALESCE(h.count, 0), h.last_at
  FROM apikeys_keys k LEFT JOIN apikeys_usage_hours h ON h.key_id = k.id AND h.hour >= ? AND h.hour < ?
 WHERE k.id = ?` + keyScope + `
 ORDER BY h.hour, h.secret, h.outcome`
)

const (
	sweepWindows = `DELETE FROM apikeys_windows WHERE starts < ? AND starts + span < ? ORDER BY starts LIMIT ?`
	sweepEvents  = `DELETE FROM apikeys_events WHERE at < ? ORDER BY at LIMIT ?`
	sweepHours   = `DELETE FROM apikeys_usage_hours WHERE hour < ? ORDER BY hour LIMIT ?`
	sweepWriters = `DELETE FROM apikeys_writers WHERE seen_at < ? ORDER BY seen_at LIMIT ?`

	oldChanges = `
SELECT revision FROM apikeys_changes
 WHERE at < ? AND revision < (SELECT MAX(revision) FROM apikeys_changes)
 ORDER BY revision LIMIT ?`
	deleteChanges = `DELETE FROM apikeys_changes WHERE revision <= ? AND at < ?`
)
