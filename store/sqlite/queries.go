package sqlite

import "github.com/apikeys-platform/apikeys/internal/sqlstore"

// The statements, as sqlstore.Statements describes them. Nothing locks here: a
// transaction begins with BEGIN IMMEDIATE and excludes other writers. Lists are a
// JSON array of hexadecimal texts. "now" is the same during one statement.

const (
	// now is in whole milliseconds, which is what SQLite's clock has.
	now = `CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000`

	resourceColumns = `r.kind, r.id, r.organization_id, r.name, r.created_at, r.updated_at, r.suspended_at`
	keyColumns      = `k.id, k.organization_id, k.project_id, k.product_id, k.owner_id, k.environment, k.head, k.hint, k.name, k.scopes,
       k.rate_limits, k.expires_at, k.custom, k.created_at, k.updated_at, k.disabled_at, k.revoked_at, k.revoked_reason, k.version,
       COALESCE(u.use_count, 0), u.last_used_at`
	secretColumns = `s.number, s.hash, s.signing_id, s.hint, s.created_at, s.ends_at`
	eventColumns  = `e.id, e.at, e.actor, e.action, e.organization_id, e.kind, e.subject_id, e.detail`

	fromKeys = `
  FROM apikeys_keys k LEFT JOIN apikeys_usage u ON u.key_id = k.id`
	keyScope = `
   AND (? = 0 OR k.organization_id = ?) AND (? = '' OR k.owner_id = ?)`

	resourceFilter = `
   AND r.kind = ?
   AND (? = 0 OR r.organization_id = ?)
   AND (? = 0 OR r.id = ?)
   AND (? = 0 OR r.name = ?)
   AND (? = 0 OR EXISTS (SELECT 1 FROM apikeys_links l WHERE l.project_id = ? AND l.product_id = r.id))`
	resourcePage = resourceFilter + `
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
   AND (? = '' OR ? = CASE
        WHEN k.revoked_at IS NOT NULL THEN 'revoked'
        WHEN k.expires_at <= ? THEN 'expired'
        WHEN k.disabled_at IS NOT NULL THEN 'disabled'
        ELSE 'active' END)
   AND (? = '' OR instr(k.lower_name, ?) > 0 OR instr(k.lower_hint, ?) > 0)
   AND (? IS NULL OR k.created_at < ?)
   AND (? IS NULL OR k.expires_at < ?)
   AND (? IS NULL OR k.revoked_at < ? OR k.expires_at <= ?)
   AND (? = 0 OR k.revoked_at IS NULL)
   AND k.id < ?`
	keyPage = keyFilter + `
 ORDER BY k.id DESC LIMIT ?`
)

const (
	migrated = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'apikeys_state'`

	settings       = `SELECT version, document FROM apikeys_settings WHERE id = 1`
	insertSettings = `INSERT INTO apikeys_settings (id, version, document) VALUES (1, ?, ?) ON CONFLICT DO NOTHING`
	updateSettings = `UPDATE apikeys_settings SET version = ?, document = ? WHERE id = 1 AND version = ?`

	state = `SELECT revision, stamp, ` + now + `, 0 FROM apikeys_state WHERE id = 1`

	changesSince = `
SELECT s.revision, s.stamp, ` + now + `,
       EXISTS (SELECT 1 FROM apikeys_changes m WHERE m.revision = ? AND m.stamp = ?),
       COALESCE(c.revision, 0), COALESCE(c.kind, ''), c.subject_id
  FROM apikeys_state s LEFT JOIN apikeys_changes c ON c.revision > ?
 WHERE s.id = 1
 ORDER BY c.revision LIMIT ?`

	raiseRevision = `UPDATE apikeys_state SET revision = revision + 1, stamp = ? WHERE id = 1`

	insertChange = `
INSERT INTO apikeys_changes (revision, kind, subject_id, stamp, at)
SELECT revision, ?, ?, stamp, ? FROM apikeys_state WHERE id = 1`

	insertKeyChanges = `
INSERT INTO apikeys_changes (revision, kind, subject_id, stamp, at)
SELECT s.revision, 'key', unhex(list.value), s.stamp, ? FROM apikeys_state s, json_each(?) list WHERE s.id = 1`
)

const (
	event = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE e.id = ?`

	insertEvent = `
INSERT INTO apikeys_events (id, at, actor, action, organization_id, kind, subject_id, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

	blankEvents = `UPDATE apikeys_events SET detail = '{}' WHERE subject_id IN (SELECT unhex(value) FROM json_each(?))`

	eventsByID           = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE e.id = ?` + eventFilter
	eventsBySubject      = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE e.subject_id = ?` + eventFilter
	eventsByOrganization = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE e.organization_id = ?` + eventFilter
	eventsAll            = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE TRUE` + eventFilter
)

const (
	lockResource = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r
 WHERE r.id = ? AND r.kind = ? AND (? = 0 OR r.organization_id = ?)`

	shareResources = `SELECT kind, id, organization_id FROM apikeys_resources WHERE id IN (?, ?, ?) ORDER BY id`

	insertResource = `
INSERT INTO apikeys_resources (id, kind, organization_id, namespace_id, name, created_at, updated_at, suspended_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

	updateResource     = `UPDATE apikeys_resources SET name = ?, suspended_at = ?, updated_at = ? WHERE id = ?`
	deleteResource     = `DELETE FROM apikeys_resources WHERE id = ?`
	deleteOrganization = `DELETE FROM apikeys_resources WHERE organization_id = ? AND id <> ?`
	keyOfOrganization  = `SELECT 1 FROM apikeys_keys WHERE organization_id = ? LIMIT 1`
	keyOfProject       = `SELECT 1 FROM apikeys_keys WHERE organization_id = ? AND project_id = ? LIMIT 1`
	keyOfProduct       = `SELECT 1 FROM apikeys_keys WHERE organization_id = ? AND product_id = ? LIMIT 1`

	resourceByID    = `SELECT ` + resourceColumns + ` FROM apikeys_resources r WHERE r.id = ?` + resourcePage
	resourcesByName = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r WHERE r.namespace_id = ? AND r.kind = ? AND r.name = ?` + resourcePage
	// The order of the cross join is the one that is written: links first.
	resourcesByLink = `
SELECT ` + resourceColumns + ` FROM apikeys_links d CROSS JOIN apikeys_resources r ON r.id = d.product_id
 WHERE d.project_id = ?` + resourceFilter + `
   AND d.product_id < ?
 ORDER BY d.product_id DESC LIMIT ?`
	resourcesByOrganization = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r WHERE r.organization_id = ? AND r.kind = ?` + resourcePage
	resourcesByKind = `SELECT ` + resourceColumns + ` FROM apikeys_resources r WHERE r.kind = ?` + resourcePage

	insertLink              = `INSERT INTO apikeys_links (project_id, product_id, organization_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
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
	insertKey = `
INSERT INTO apikeys_keys (id, organization_id, project_id, product_id, owner_id, environment, head, hint, name,
       lower_name, lower_hint, scopes,
       rate_limits, expires_at, custom, created_at, updated_at, disabled_at, revoked_at, revoked_reason, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

	insertSecret = `
INSERT INTO apikeys_secrets (hash, key_id, place, number, signing_id, hint, created_at, ends_at)
VALUES (?1, ?2, (SELECT place FROM apikeys_keys WHERE id = ?2), ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING`

	insertUsage = `INSERT INTO apikeys_usage (key_id, use_count, last_used_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	deleteKey   = `DELETE FROM apikeys_keys WHERE id = ?`

	keyStanding = `
SELECT EXISTS (SELECT 1 FROM apikeys_keys WHERE id = ?), (SELECT key_id FROM apikeys_secrets WHERE hash = ?)`

	key = `SELECT ` + keyColumns + fromKeys + `
 WHERE k.id = ?` + keyScope

	keyAndSecrets = `
SELECT ` + keyColumns + `,
       COALESCE(s.number, 0), s.hash, COALESCE(s.signing_id, ''), COALESCE(s.hint, ''), s.created_at, s.ends_at` + fromKeys + `
  LEFT JOIN apikeys_secrets s ON s.key_id = k.id
 WHERE k.id = ?` + keyScope + `
 ORDER BY s.number DESC, s.signing_id`

	updateKey = `
UPDATE apikeys_keys
   SET hint = ?, name = ?, lower_name = ?, lower_hint = ?, scopes = ?, rate_limits = ?, expires_at = ?, custom = ?, updated_at = ?,
       disabled_at = ?, revoked_at = ?, revoked_reason = ?, version = ?
 WHERE id = ?`

	// A place leads to the key's row in one step; that of a key that is gone may be taken by
	// another one, so the id decides. The plus keeps the index of ids out of it.
	found = `
SELECT ` + keyColumns + `, ` + secretColumns + `, o.suspended_at,
       EXISTS (SELECT 1 FROM apikeys_links l WHERE l.project_id = k.project_id AND l.product_id = k.product_id)
  FROM apikeys_secrets s CROSS JOIN apikeys_keys k ON k.place = s.place AND +k.id = s.key_id
  LEFT JOIN apikeys_usage u ON u.key_id = k.id
  LEFT JOIN apikeys_resources o ON o.id = k.organization_id`
	keyByHash    = found + ` WHERE s.hash = ?`
	keysByHashes = found + ` WHERE s.hash IN (SELECT unhex(value) FROM json_each(?))`

	keysByID    = `SELECT ` + keyColumns + fromKeys + ` WHERE k.id = ?` + keyPage
	keysByOwner = `SELECT ` + keyColumns + fromKeys + ` WHERE k.organization_id = ? AND k.owner_id = ?` + keyPage
	// Projects and products lead to their organization, which the indexes begin with.
	keysByProject = `SELECT ` + keyColumns + fromKeys + `
 WHERE k.organization_id = (SELECT organization_id FROM apikeys_resources WHERE id = ?) AND k.project_id = ?` + keyPage
	keysByProduct = `SELECT ` + keyColumns + fromKeys + `
 WHERE k.organization_id = (SELECT organization_id FROM apikeys_resources WHERE id = ?) AND k.product_id = ?` + keyPage
	keysByOrganization = `SELECT ` + keyColumns + fromKeys + ` WHERE k.organization_id = ?` + keyPage
	keysAll            = `SELECT ` + keyColumns + fromKeys + ` WHERE TRUE` + keyPage
	keysRevoked        = `SELECT ` + keyColumns + fromKeys + ` WHERE k.revoked_at < ?` + keyFilter + `
 ORDER BY k.revoked_at LIMIT ?`
	keysExpiring = `SELECT ` + keyColumns + fromKeys + `
 WHERE k.expires_at >= ? AND (k.expires_at, k.id) > (?, ?) AND k.expires_at < ?` + keyFilter + `
 ORDER BY k.expires_at, k.id LIMIT ?`
	keysExpiringOf = `SELECT ` + keyColumns + fromKeys + `
 WHERE k.organization_id = ? AND k.expires_at >= ? AND (k.expires_at, k.id) > (?, ?) AND k.expires_at < ?` + keyFilter + `
 ORDER BY k.expires_at, k.id LIMIT ?`
	keysExpired = `SELECT ` + keyColumns + fromKeys + ` WHERE k.expires_at <= ?` + keyFilter + `
 ORDER BY k.expires_at LIMIT ?`

	lockKeys = `
SELECT k.id, k.organization_id FROM apikeys_keys k WHERE k.id IN (SELECT unhex(value) FROM json_each(?))` + keyPage

	revokeKeys = `
UPDATE apikeys_keys SET revoked_at = ?, revoked_reason = ?, updated_at = ?, version = version + 1
 WHERE id IN (SELECT unhex(value) FROM json_each(?))`

	deleteKeys       = `DELETE FROM apikeys_keys WHERE id IN (SELECT unhex(value) FROM json_each(?))`
	deleteKeySecrets = `DELETE FROM apikeys_secrets WHERE key_id IN (SELECT unhex(value) FROM json_each(?))`
	deleteKeyUsage   = `DELETE FROM apikeys_usage WHERE key_id IN (SELECT unhex(value) FROM json_each(?))`
	deleteKeyHours   = `DELETE FROM apikeys_usage_hours WHERE key_id IN (SELECT unhex(value) FROM json_each(?))`
)

const (
	secrets   = `SELECT ` + secretColumns + ` FROM apikeys_secrets s WHERE s.key_id = ? ORDER BY s.number DESC`
	endSecret = `UPDATE apikeys_secrets SET ends_at = ? WHERE key_id = ? AND number = ? AND (ends_at IS NULL OR ends_at > ?)`
	endOlder  = `UPDATE apikeys_secrets SET ends_at = ? WHERE key_id = ? AND number < ? AND (ends_at IS NULL OR ends_at > ?)`

	countHashes = `
SELECT s.signing_id, count(DISTINCT s.key_id),
       count(DISTINCT CASE WHEN k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)
         AND (s.ends_at IS NULL OR s.ends_at > ?) AND NOT EXISTS (SELECT 1 FROM apikeys_secrets o
              WHERE o.key_id = s.key_id AND o.number = s.number AND o.signing_id <> s.signing_id) THEN s.key_id END)
  FROM apikeys_secrets s JOIN apikeys_keys k ON k.id = s.key_id
 GROUP BY s.signing_id`

	deleteHashes = `
DELETE FROM apikeys_secrets WHERE hash IN (SELECT hash FROM apikeys_secrets WHERE signing_id = ? LIMIT ?)`
)

const (
	clock = `SELECT ` + now

	windows = `
SELECT subject, span, starts, used, ` + now + ` FROM apikeys_windows
 WHERE subject IN (SELECT unhex(value) FROM json_each(?)) ORDER BY subject, span`

	insertWindow = `INSERT INTO apikeys_windows (subject, span, starts, used) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING`
	updateWindow = `UPDATE apikeys_windows SET starts = ?, used = ? WHERE subject = ? AND span = ?`
	// SQLite writes the indexes of all columns that are named, whether they change or not.
	updateUsed   = `UPDATE apikeys_windows SET used = ? WHERE subject = ? AND span = ?`
	returnWindow = `UPDATE apikeys_windows SET used = used - ? WHERE subject = ? AND span = ? AND starts = ? AND used >= ?`

	updateWriter = `UPDATE apikeys_writers SET seq = ?, seen_at = ? WHERE id = ? AND seq < ?`
	insertWriter = `INSERT INTO apikeys_writers (id, seq, seen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`

	// max of two is NULL if one of them is.
	addUsage = `
UPDATE apikeys_usage
   SET use_count = use_count + ?, last_used_at = max(COALESCE(last_used_at, ?), COALESCE(?, last_used_at))
 WHERE key_id = ?`

	addHour = `
INSERT INTO apikeys_usage_hours (key_id, hour, secret, outcome, count, last_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key_id, hour, secret, outcome) DO UPDATE
   SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)`

	logUses      = `INSERT INTO apikeys_usage_log (at, uses) VALUES (?, ?)`
	firstLogged  = `SELECT id FROM apikeys_usage_log WHERE id > 0 ORDER BY id LIMIT 1`
	logged       = `SELECT id, at, uses FROM apikeys_usage_log WHERE id > ? ORDER BY id LIMIT ?`
	deleteLogged = `DELETE FROM apikeys_usage_log WHERE id IN (SELECT value FROM json_each(?))`

	keyHours = `
SELECT h.hour, COALESCE(h.secret, 0), COALESCE(h.outcome, ''), COALESCE(h.count, 0), h.last_at
  FROM apikeys_keys k LEFT JOIN apikeys_usage_hours h ON h.key_id = k.id AND h.hour >= ? AND h.hour < ?
 WHERE k.id = ?` + keyScope + `
 ORDER BY h.hour, h.secret, h.outcome`
)

const (
	sweepWindows = `
DELETE FROM apikeys_windows WHERE (subject, span) IN
       (SELECT subject, span FROM apikeys_windows WHERE starts < ? AND starts + span < ? LIMIT ?)`
	sweepEvents = `DELETE FROM apikeys_events WHERE id IN (SELECT id FROM apikeys_events WHERE at < ? LIMIT ?)`
	sweepHours  = `
DELETE FROM apikeys_usage_hours WHERE (key_id, hour, secret, outcome) IN
       (SELECT key_id, hour, secret, outcome FROM apikeys_usage_hours WHERE hour < ? LIMIT ?)`
	sweepWriters = `DELETE FROM apikeys_writers WHERE id IN (SELECT id FROM apikeys_writers WHERE seen_at < ? LIMIT ?)`

	oldChanges = `
SELECT revision FROM apikeys_changes
 WHERE at < ? AND revision < (SELECT max(revision) FROM apikeys_changes)
 ORDER BY revision LIMIT ?`
	deleteChanges = `DELETE FROM apikeys_changes WHERE revision <= ? AND at < ?`
)

func statements() *sqlstore.Statements {
	return &sqlstore.Statements{
		Migrated: migrated,

		Settings: settings, InsertSettings: insertSettings, UpdateSettings: updateSettings,

		State: state, ChangesSince: changesSince,
		RaiseRevision: raiseRevision, InsertChange: insertChange, InsertKeyChanges: insertKeyChanges,

		Event: event, InsertEvent: insertEvent, BlankEvents: blankEvents,
		EventsByID: eventsByID, EventsBySubject: eventsBySubject, EventsByOrganization: eventsByOrganization, EventsAll: eventsAll,

		LockResource: lockResource, ShareResources: shareResources,
		InsertResource: insertResource, UpdateResource: updateResource,
		DeleteResource: deleteResource, DeleteOrganization: deleteOrganization,
		KeyOfOrganization: keyOfOrganization, KeyOfProject: keyOfProject, KeyOfProduct: keyOfProduct,
		ResourceByID: resourceByID, ResourcesByName: resourcesByName, ResourcesByLink: resourcesByLink,
		ResourcesByOrganization: resourcesByOrganization, ResourcesByKind: resourcesByKind,

		InsertLink: insertLink, DeleteLink: deleteLink, DeleteLinksOfProject: deleteLinksOfProject,
		DeleteLinksOfProduct: deleteLinksOfProduct, DeleteLinksOrganization: deleteLinksOrganization, Binding: binding,

		InsertKey: insertKey, InsertSecret: insertSecret, InsertUsage: insertUsage, DeleteKey: deleteKey,
		KeyStanding: keyStanding, Key: key, KeyAndSecrets: keyAndSecrets, LockKey: key, UpdateKey: updateKey,
		KeyByHash: keyByHash, KeysByHashes: keysByHashes,
		KeysByID: keysByID, KeysByOwner: keysByOwner, KeysByProject: keysByProject, KeysByProduct: keysByProduct,
		KeysByOrganization: keysByOrganization, KeysAll: keysAll, KeysRevoked: keysRevoked, KeysExpired: keysExpired, KeysExpiring: keysExpiring, KeysExpiringOf: keysExpiringOf,
		LockKeys: lockKeys, RevokeKeys: revokeKeys, DeleteKeys: deleteKeys,
		DeleteKeySecrets: deleteKeySecrets, DeleteKeyUsage: deleteKeyUsage, DeleteKeyHours: deleteKeyHours,

		Secrets: secrets, EndSecret: endSecret, EndOlder: endOlder, CountHashes: countHashes, DeleteHashes: deleteHashes,

		Now: clock, Windows: windows, LockWindows: windows,
		InsertWindow: insertWindow, UpdateWindow: updateWindow, UpdateUsed: updateUsed, ReturnWindow: returnWindow,

		UpdateWriter: updateWriter, InsertWriter: insertWriter, AddUsage: addUsage, AddHour: addHour, KeyHours: keyHours,

		LogUses: logUses, FirstLogged: firstLogged, LockFirstLogged: firstLogged, Logged: logged, DeleteLogged: deleteLogged,

		SweepWindows: sweepWindows, SweepEvents: sweepEvents, SweepHours: sweepHours, SweepWriters: sweepWriters,
		OldChanges: oldChanges, DeleteChanges: deleteChanges,
	}
}
