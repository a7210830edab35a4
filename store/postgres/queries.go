package postgres

// The statements, as sqlstore.Statements describes them. A list is an array.
//
// The filters of lists are asked of every list, after one to three arguments that
// drive it, so the numbers of their arguments differ. To have one text, they name
// their arguments: the columns of q, a row of VALUES, of which the planner leaves
// nothing (it pulls a single row up). COALESCE makes one condition of all that may be
// asked or not. It keeps plans good that are made once for all arguments
// (plan_cache_mode): ten conditions that may each select next to nothing would make
// the planner expect a handful of rows, for which it reads and sorts the whole list
// instead of walking along its index; one condition of a kind it knows nothing about
// is taken to select half.
//
// Pages of what belongs to one thing are asked for as a range of whole index entries,
// from the page's end down to the thing's first, in the order of all columns of the
// index, although all but the last are the same. With "organization_id = $1 ORDER BY
// id" the planner may walk along the primary key instead and pass over what is not of
// the organization: if half of all keys are, it expects every second one, and reads
// the other half first when those are the newer ones. Of a comparison of rows it
// reckons with the first column only; what is said again of the second (>= and <=)
// tells it that the index with both is the better one.

const (
	resourceColumns = `r.kind, r.id, r.organization_id, r.name, r.created_at, r.updated_at, r.suspended_at`
	keyColumns      = `k.id, k.organization_id, k.project_id, k.product_id, k.owner_id, k.environment, k.head, k.hint, k.name, k.scopes,
       k.rate_limits, k.expires_at, k.custom, k.created_at, k.updated_at, k.disabled_at, k.revoked_at, k.revoked_reason, k.version,
       COALESCE(u.use_count, 0), u.last_used_at`
	secretColumns = `s.number, s.hash, s.signing_id, s.hint, s.created_at, s.ends_at`
	eventColumns  = `e.id, e.at, e.actor, e.action, e.organization_id, e.kind, e.subject_id, e.detail`

	// usage is looked up key by key, after the limit: OFFSET keeps the planner from
	// reading all of it beside a long list of keys.
	usage = `
  LEFT JOIN LATERAL (SELECT use_count, last_used_at FROM apikeys_usage WHERE key_id = k.id OFFSET 0) u ON true`
	fromKeys = `
  FROM apikeys_keys k` + usage

	resourceArguments = `AS q (kind, by_organization, organization, by_id, id, by_name, name, by_project, project, before)`
	resourceFilter    = `
   AND COALESCE(r.kind = q.kind
       AND (q.by_organization = 0 OR r.organization_id = q.organization)
       AND (q.by_id = 0 OR r.id = q.id)
       AND (q.by_name = 0 OR r.name = q.name)
       AND (q.by_project = 0 OR EXISTS (SELECT 1 FROM apikeys_links l WHERE l.project_id = q.project AND l.product_id = r.id)), false)`

	eventArguments = `AS q (by_organization, organization, by_subject, subject, before)`
	eventFilter    = `
   AND COALESCE((q.by_organization = 0 OR e.organization_id = q.organization)
       AND (q.by_subject = 0 OR e.subject_id = q.subject), false)`

	// Some arguments are passed more often than they are needed here.
	keyArguments = `AS q (by_organization, organization, by_owner, owner, by_project, project, by_product, product,
       by_status, status, now, search, search_name, search_hint, by_created, created, by_expires, expires,
       by_ended, ended, ended_by, unrevoked, before)`
	// The status is that of Key.Status: the first of revoked, expired, disabled.
	keyFilter = `
   AND COALESCE((q.by_organization = 0 OR k.organization_id = q.organization)
       AND (q.by_owner = '' OR k.owner_id = q.owner)
       AND (q.by_project = 0 OR k.project_id = q.project)
       AND (q.by_product = 0 OR k.product_id = q.product)
       AND (q.by_status = '' OR q.status = CASE
            WHEN k.revoked_at IS NOT NULL THEN 'revoked'
            WHEN k.expires_at <= q.now THEN 'expired'
            WHEN k.disabled_at IS NOT NULL THEN 'disabled'
            ELSE 'active' END)
       AND (q.search = '' OR strpos(k.lower_name, q.search_name) > 0 OR strpos(k.lower_hint, q.search_hint) > 0)
       AND (q.by_created IS NULL OR k.created_at < q.created)
       AND (q.by_expires IS NULL OR k.expires_at < q.expires)
       AND (q.by_ended IS NULL OR k.revoked_at < q.ended OR k.expires_at <= q.ended_by)
       AND (q.unrevoked = 0 OR k.revoked_at IS NULL), false)`
)

// The rows of arguments, after none, one or more others.
const (
	resourceArguments1 = `(VALUES ($2::text, $3::int, $4::uuid, $5::int, $6::uuid, $7::int, $8::text, $9::int, $10::uuid, $11::uuid)) ` + resourceArguments
	resourceArguments2 = `(VALUES ($3::text, $4::int, $5::uuid, $6::int, $7::uuid, $8::int, $9::text, $10::int, $11::uuid, $12::uuid)) ` + resourceArguments
	resourceArguments3 = `(VALUES ($4::text, $5::int, $6::uuid, $7::int, $8::uuid, $9::int, $10::text, $11::int, $12::uuid, $13::uuid)) ` + resourceArguments

	eventArguments0 = `(VALUES ($1::int, $2::uuid, $3::int, $4::uuid, $5::uuid)) ` + eventArguments
	eventArguments1 = `(VALUES ($2::int, $3::uuid, $4::int, $5::uuid, $6::uuid)) ` + eventArguments

	keyArguments0 = `(VALUES ($1::int, $2::uuid, $3::text, $4::text, $5::int, $6::uuid, $7::int, $8::uuid,
       $9::text, $10::text, $11::timestamptz, $12::text, $13::text, $14::text, $15::timestamptz, $16::timestamptz, $17::timestamptz, $18::timestamptz,
       $19::timestamptz, $20::timestamptz, $21::timestamptz, $22::int, $23::uuid)) ` + keyArguments
	keyArguments1 = `(VALUES ($2::int, $3::uuid, $4::text, $5::text, $6::int, $7::uuid, $8::int, $9::uuid,
       $10::text, $11::text, $12::timestamptz, $13::text, $14::text, $15::text, $16::timestamptz, $17::timestamptz, $18::timestamptz, $19::timestamptz,
       $20::timestamptz, $21::timestamptz, $22::timestamptz, $23::int, $24::uuid)) ` + keyArguments
	keyArguments2 = `(VALUES ($3::int, $4::uuid, $5::text, $6::text, $7::int, $8::uuid, $9::int, $10::uuid,
       $11::text, $12::text, $13::timestamptz, $14::text, $15::text, $16::text, $17::timestamptz, $18::timestamptz, $19::timestamptz, $20::timestamptz,
       $21::timestamptz, $22::timestamptz, $23::timestamptz, $24::int, $25::uuid)) ` + keyArguments
	keyArguments4 = `(VALUES ($5::int, $6::uuid, $7::text, $8::text, $9::int, $10::uuid, $11::int, $12::uuid,
       $13::text, $14::text, $15::timestamptz, $16::text, $17::text, $18::text, $19::timestamptz, $20::timestamptz, $21::timestamptz, $22::timestamptz,
       $23::timestamptz, $24::timestamptz, $25::timestamptz, $26::int, $27::uuid)) ` + keyArguments
	keyArguments5 = `(VALUES ($6::int, $7::uuid, $8::text, $9::text, $10::int, $11::uuid, $12::int, $13::uuid,
       $14::text, $15::text, $16::timestamptz, $17::text, $18::text, $19::text, $20::timestamptz, $21::timestamptz, $22::timestamptz, $23::timestamptz,
       $24::timestamptz, $25::timestamptz, $26::timestamptz, $27::int, $28::uuid)) ` + keyArguments
)

const (
	settings       = `SELECT version, document FROM apikeys_settings WHERE id = 1`
	insertSettings = `INSERT INTO apikeys_settings (id, version, document) VALUES (1, $1, $2::json) ON CONFLICT DO NOTHING`
	updateSettings = `UPDATE apikeys_settings SET version = $1, document = $2::json WHERE id = 1 AND version = $3`

	state = `SELECT revision, stamp, clock_timestamp(), pg_is_in_recovery() FROM apikeys_state WHERE id = 1`

	// The connection may be another than that of the state, so a replica is asked
	// about again: it has no row.
	changesSince = `
SELECT s.revision, s.stamp, clock_timestamp(),
       EXISTS (SELECT 1 FROM apikeys_changes m WHERE m.revision = $1 AND m.stamp = $2),
       COALESCE(c.revision, 0), COALESCE(c.kind, ''), c.subject_id
  FROM apikeys_state s LEFT JOIN LATERAL
       (SELECT revision, kind, subject_id FROM apikeys_changes WHERE revision > $3 ORDER BY revision LIMIT $4) c ON true
 WHERE s.id = 1 AND NOT pg_is_in_recovery()
 ORDER BY c.revision`

	// Those who listen are told with the commit. A notification is a kindness: when the
	// server's queue of them fills up, because somebody listens and never reads, there is
	// none; one too many would fail the mutation.
	raiseRevision = `
WITH raised AS (UPDATE apikeys_state SET revision = revision + 1, stamp = $1 WHERE id = 1 RETURNING 1)
SELECT pg_notify('` + channel + `', '') FROM raised WHERE pg_notification_queue_usage() < 0.5`

	insertChange = `
INSERT INTO apikeys_changes (revision, kind, subject_id, stamp, at)
SELECT revision, $1::text, $2::uuid, stamp, $3::timestamptz FROM apikeys_state WHERE id = 1`

	insertKeyChanges = `
INSERT INTO apikeys_changes (revision, kind, subject_id, stamp, at)
SELECT s.revision, 'key', list.id, s.stamp, $1::timestamptz FROM apikeys_state s, unnest($2::uuid[]) AS list (id) WHERE s.id = 1`
)

const (
	event = `SELECT ` + eventColumns + ` FROM apikeys_events e WHERE e.id = $1`

	insertEvent = `
INSERT INTO apikeys_events (id, at, actor, action, organization_id, kind, subject_id, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::json) ON CONFLICT DO NOTHING`

	blankEvents = `UPDATE apikeys_events SET detail = '{}' WHERE subject_id = ANY ($1::uuid[])`

	eventsByID = `
SELECT ` + eventColumns + ` FROM apikeys_events e, ` + eventArguments1 + `
 WHERE e.id = $1 AND e.id < q.before` + eventFilter + ` LIMIT $7`
	eventsBySubject = `
SELECT ` + eventColumns + ` FROM apikeys_events e, ` + eventArguments1 + `
 WHERE (e.subject_id, e.id) < ($1, q.before) AND e.subject_id >= $1` + eventFilter + `
 ORDER BY e.subject_id DESC, e.id DESC LIMIT $7`
	eventsByOrganization = `
SELECT ` + eventColumns + ` FROM apikeys_events e, ` + eventArguments1 + `
 WHERE (e.organization_id, e.id) < ($1, q.before) AND e.organization_id >= $1` + eventFilter + `
 ORDER BY e.organization_id DESC, e.id DESC LIMIT $7`
	eventsAll = `
SELECT ` + eventColumns + ` FROM apikeys_events e, ` + eventArguments0 + `
 WHERE e.id < q.before` + eventFilter + `
 ORDER BY e.id DESC LIMIT $6`
)

const (
	// Keys may be bound to it meanwhile, so that a suspension does not wait for a
	// long import. To delete it, the foreign keys hold it until those are there, and
	// then refuse: ForeignKey, and the second attempt finds the keys.
	lockResource = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r
 WHERE r.id = $1 AND r.kind = $2 AND ($3 = 0 OR r.organization_id = $4)
   FOR NO KEY UPDATE`

	shareResources = `SELECT kind, id, organization_id FROM apikeys_resources WHERE id IN ($1, $2, $3) ORDER BY id FOR KEY SHARE`

	insertResource = `
INSERT INTO apikeys_resources (id, kind, organization_id, namespace_id, name, created_at, updated_at, suspended_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`

	updateResource     = `UPDATE apikeys_resources SET name = $1, suspended_at = $2, updated_at = $3 WHERE id = $4`
	deleteResource     = `DELETE FROM apikeys_resources WHERE id = $1`
	deleteOrganization = `DELETE FROM apikeys_resources WHERE organization_id = $1 AND id <> $2`
	keyOfOrganization  = `SELECT 1 FROM apikeys_keys WHERE organization_id = $1 LIMIT 1`
	keyOfProject       = `SELECT 1 FROM apikeys_keys WHERE organization_id = $1 AND project_id = $2 LIMIT 1`
	keyOfProduct       = `SELECT 1 FROM apikeys_keys WHERE organization_id = $1 AND product_id = $2 LIMIT 1`

	resourceByID = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r, ` + resourceArguments1 + `
 WHERE r.id = $1 AND r.id < q.before` + resourceFilter + ` LIMIT $12`
	resourcesByName = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r, ` + resourceArguments3 + `
 WHERE r.namespace_id = $1 AND r.kind = $2 AND r.name = $3 AND r.id < q.before` + resourceFilter + ` LIMIT $14`
	resourcesByLink = `
SELECT ` + resourceColumns + ` FROM apikeys_links d JOIN apikeys_resources r ON r.id = d.product_id, ` + resourceArguments1 + `
 WHERE d.project_id = $1 AND d.product_id < q.before` + resourceFilter + `
 ORDER BY d.product_id DESC LIMIT $12`
	resourcesByOrganization = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r, ` + resourceArguments2 + `
 WHERE (r.organization_id, r.id) < ($1, q.before) AND r.organization_id >= $1 AND r.kind = $2` + resourceFilter + `
 ORDER BY r.organization_id DESC, r.id DESC LIMIT $13`
	resourcesByKind = `
SELECT ` + resourceColumns + ` FROM apikeys_resources r, ` + resourceArguments1 + `
 WHERE (r.kind, r.id) < ($1, q.before) AND r.kind >= $1` + resourceFilter + `
 ORDER BY r.kind DESC, r.id DESC LIMIT $12`

	insertLink              = `INSERT INTO apikeys_links (project_id, product_id, organization_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	deleteLink              = `DELETE FROM apikeys_links WHERE project_id = $1 AND product_id = $2`
	deleteLinksOfProject    = `DELETE FROM apikeys_links WHERE organization_id = $1 AND project_id = $2`
	deleteLinksOfProduct    = `DELETE FROM apikeys_links WHERE organization_id = $1 AND product_id = $2`
	deleteLinksOrganization = `DELETE FROM apikeys_links WHERE organization_id = $1`

	binding = `
SELECT (SELECT organization_id FROM apikeys_resources WHERE id = $1 AND kind = 'project'),
       (SELECT organization_id FROM apikeys_resources WHERE id = $2 AND kind = 'product'),
       EXISTS (SELECT 1 FROM apikeys_links WHERE project_id = $3 AND product_id = $4)`
)

const (
	insertKey = `
INSERT INTO apikeys_keys (id, organization_id, project_id, product_id, owner_id, environment, head, hint, name,
       lower_name, lower_hint, scopes,
       rate_limits, expires_at, custom, created_at, updated_at, disabled_at, revoked_at, revoked_reason, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::json,
       $13::json, $14, $15::json, $16, $17, $18, $19, $20, $21) ON CONFLICT DO NOTHING`

	insertSecret = `
INSERT INTO apikeys_secrets (hash, key_id, number, signing_id, hint, created_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`

	insertUsage = `INSERT INTO apikeys_usage (key_id, use_count, last_used_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	deleteKey   = `DELETE FROM apikeys_keys WHERE id = $1`

	keyStanding = `
SELECT EXISTS (SELECT 1 FROM apikeys_keys WHERE id = $1), (SELECT key_id FROM apikeys_secrets WHERE hash = $2)`

	key = `SELECT ` + keyColumns + fromKeys + `
 WHERE k.id = $1 AND ($2 = 0 OR k.organization_id = $3) AND ($4 = '' OR k.owner_id = $5)`

	lockKey = key + `
   FOR UPDATE OF k`

	keyAndSecrets = `
SELECT ` + keyColumns + `,
       COALESCE(s.number, 0), s.hash, COALESCE(s.signing_id, ''), COALESCE(s.hint, ''), s.created_at, s.ends_at` + fromKeys + `
  LEFT JOIN apikeys_secrets s ON s.key_id = k.id
 WHERE k.id = $1 AND ($2 = 0 OR k.organization_id = $3) AND ($4 = '' OR k.owner_id = $5)
 ORDER BY s.number DESC, s.signing_id`

	updateKey = `
UPDATE apikeys_keys
   SET hint = $1, name = $2, lower_name = $3, lower_hint = $4, scopes = $5::json, rate_limits = $6::json, expires_at = $7, custom = $8::json,
       updated_at = $9, disabled_at = $10, revoked_at = $11, revoked_reason = $12, version = $13
 WHERE id = $14`

	found = `
SELECT ` + keyColumns + `, ` + secretColumns + `, o.suspended_at,
       EXISTS (SELECT 1 FROM apikeys_links l WHERE l.project_id = k.project_id AND l.product_id = k.product_id)
  FROM apikeys_secrets s JOIN apikeys_keys k ON k.id = s.key_id` + usage + `
  LEFT JOIN apikeys_resources o ON o.id = k.organization_id`
	keyByHash    = found + ` WHERE s.hash = $1`
	keysByHashes = found + ` WHERE s.hash = ANY ($1::bytea[])`

	keysByID = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments1 + `
 WHERE k.id = $1 AND k.id < q.before` + keyFilter + ` LIMIT $25`
	keysByOwner = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments2 + `
 WHERE (k.organization_id, k.owner_id, k.id) < ($1, $2, q.before) AND (k.organization_id, k.owner_id) >= ($1, $2)
   AND k.owner_id >= $2 AND k.owner_id <= $2` + keyFilter + `
 ORDER BY k.organization_id DESC, k.owner_id DESC, k.id DESC LIMIT $26`
	// Projects and products lead to their organization, which the indexes begin with.
	keysByProject = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments2 + `
 WHERE (k.organization_id, k.project_id, k.id) < ((SELECT organization_id FROM apikeys_resources WHERE id = $1), $2, q.before)
   AND (k.organization_id, k.project_id) >= ((SELECT organization_id FROM apikeys_resources WHERE id = $1), $2)
   AND k.project_id >= $2 AND k.project_id <= $2` + keyFilter + `
 ORDER BY k.organization_id DESC, k.project_id DESC, k.id DESC LIMIT $26`
	keysByProduct = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments2 + `
 WHERE (k.organization_id, k.product_id, k.id) < ((SELECT organization_id FROM apikeys_resources WHERE id = $1), $2, q.before)
   AND (k.organization_id, k.product_id) >= ((SELECT organization_id FROM apikeys_resources WHERE id = $1), $2)
   AND k.product_id >= $2 AND k.product_id <= $2` + keyFilter + `
 ORDER BY k.organization_id DESC, k.product_id DESC, k.id DESC LIMIT $26`
	keysByOrganization = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments1 + `
 WHERE (k.organization_id, k.id) < ($1, q.before) AND k.organization_id >= $1` + keyFilter + `
 ORDER BY k.organization_id DESC, k.id DESC LIMIT $25`
	keysAll = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments0 + `
 WHERE k.id < q.before` + keyFilter + `
 ORDER BY k.id DESC LIMIT $24`
	keysRevoked = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments1 + `
 WHERE k.revoked_at < $1 AND k.id < q.before` + keyFilter + `
 ORDER BY k.revoked_at LIMIT $25`
	keysExpiring = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments4 + `
 WHERE k.expires_at >= $1 AND (k.expires_at, k.id) > ($2, $3) AND k.expires_at < $4 AND k.id < q.before` + keyFilter + `
 ORDER BY k.expires_at, k.id LIMIT $28`
	keysExpiringOf = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments5 + `
 WHERE k.organization_id = $1 AND k.expires_at >= $2 AND (k.expires_at, k.id) > ($3, $4) AND k.expires_at < $5 AND k.id < q.before` + keyFilter + `
 ORDER BY k.expires_at, k.id LIMIT $29`
	keysExpired = `
SELECT ` + keyColumns + fromKeys + `, ` + keyArguments1 + `
 WHERE k.expires_at <= $1 AND k.id < q.before` + keyFilter + `
 ORDER BY k.expires_at LIMIT $25`

	lockKeys = `
SELECT k.id, k.organization_id FROM apikeys_keys k, ` + keyArguments1 + ` WHERE k.id = ANY ($1::uuid[]) AND k.id < q.before` + keyFilter + `
 ORDER BY k.id DESC LIMIT $25
   FOR UPDATE OF k`

	revokeKeys = `
UPDATE apikeys_keys SET revoked_at = $1, revoked_reason = $2, updated_at = $3, version = version + 1
 WHERE id = ANY ($4::uuid[])`

	deleteKeys       = `DELETE FROM apikeys_keys WHERE id = ANY ($1::uuid[])`
	deleteKeySecrets = `DELETE FROM apikeys_secrets WHERE key_id = ANY ($1::uuid[])`
	// In the order in which batches of usage lock them.
	deleteKeyUsage = `
DELETE FROM apikeys_usage WHERE key_id IN
       (SELECT key_id FROM apikeys_usage WHERE key_id = ANY ($1::uuid[]) ORDER BY key_id FOR UPDATE)`
	deleteKeyHours = `DELETE FROM apikeys_usage_hours WHERE key_id = ANY ($1::uuid[])`
)

const (
	secrets   = `SELECT ` + secretColumns + ` FROM apikeys_secrets s WHERE s.key_id = $1 ORDER BY s.number DESC`
	endSecret = `UPDATE apikeys_secrets SET ends_at = $1 WHERE key_id = $2 AND number = $3 AND (ends_at IS NULL OR ends_at > $4)`
	endOlder  = `UPDATE apikeys_secrets SET ends_at = $1 WHERE key_id = $2 AND number < $3 AND (ends_at IS NULL OR ends_at > $4)`

	countHashes = `
SELECT s.signing_id, count(DISTINCT s.key_id),
       count(DISTINCT CASE WHEN k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $1)
         AND (s.ends_at IS NULL OR s.ends_at > $2) AND NOT EXISTS (SELECT 1 FROM apikeys_secrets o
              WHERE o.key_id = s.key_id AND o.number = s.number AND o.signing_id <> s.signing_id) THEN s.key_id END)
  FROM apikeys_secrets s JOIN apikeys_keys k ON k.id = s.key_id
 GROUP BY s.signing_id`

	deleteHashes = `
WITH gone AS MATERIALIZED (SELECT hash FROM apikeys_secrets WHERE signing_id = $1 LIMIT $2)
DELETE FROM apikeys_secrets WHERE hash IN (SELECT hash FROM gone)`
)

const (
	clock = `SELECT clock_timestamp()`

	windows = `
SELECT subject, span, starts, used, clock_timestamp() FROM apikeys_windows WHERE subject = ANY ($1::bytea[]) ORDER BY subject, span`
	lockWindows = windows + ` FOR UPDATE`

	insertWindow = `INSERT INTO apikeys_windows (subject, span, starts, used) VALUES ($1, $2, 0, 0) ON CONFLICT DO NOTHING`
	updateWindow = `UPDATE apikeys_windows SET starts = $1, used = $2 WHERE subject = $3 AND span = $4`
	returnWindow = `UPDATE apikeys_windows SET used = used - $1 WHERE subject = $2 AND span = $3 AND starts = $4 AND used >= $5`

	updateWriter = `UPDATE apikeys_writers SET seq = $1, seen_at = $2 WHERE id = $3 AND seq < $4`
	insertWriter = `INSERT INTO apikeys_writers (id, seq, seen_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`

	// greatest does not count NULL.
	addUsage = `
UPDATE apikeys_usage SET use_count = use_count + $1, last_used_at = greatest(last_used_at, $2::timestamptz, $3::timestamptz) WHERE key_id = $4`

	addHour = `
INSERT INTO apikeys_usage_hours AS h (key_id, hour, secret, outcome, count, last_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (key_id, hour, secret, outcome) DO UPDATE
   SET count = h.count + excluded.count, last_at = greatest(h.last_at, excluded.last_at)`

	keyHours = `
SELECT h.hour, COALESCE(h.secret, 0), COALESCE(h.outcome, ''), COALESCE(h.count, 0), h.last_at
  FROM apikeys_keys k LEFT JOIN apikeys_usage_hours h ON h.key_id = k.id AND h.hour >= $1 AND h.hour < $2
 WHERE k.id = $3 AND ($4 = 0 OR k.organization_id = $5) AND ($6 = '' OR k.owner_id = $7)
 ORDER BY h.hour, h.secret, h.outcome`
)

// Rows are locked before they are removed, and read again when they were waited for:
// else one that has come back into use since it was found old would be removed with
// what was written into it. Those that are locked are in use.
const (
	// The rows to go are chosen once, which only MATERIALIZED makes sure: a subquery
	// with a LIMIT that skips what is locked may be run again for each row, and then
	// finds others.
	sweepWindows = `
WITH old AS MATERIALIZED
     (SELECT subject, span FROM apikeys_windows WHERE starts < $1 AND starts + span < $2 LIMIT $3 FOR UPDATE SKIP LOCKED)
DELETE FROM apikeys_windows WHERE (subject, span) IN (SELECT subject, span FROM old)`
	sweepEvents = `
WITH old AS MATERIALIZED (SELECT id FROM apikeys_events WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM apikeys_events WHERE id IN (SELECT id FROM old)`
	sweepHours = `
WITH old AS MATERIALIZED
     (SELECT key_id, hour, secret, outcome FROM apikeys_usage_hours WHERE hour < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM apikeys_usage_hours WHERE (key_id, hour, secret, outcome) IN (SELECT key_id, hour, secret, outcome FROM old)`
	sweepWriters = `
WITH old AS MATERIALIZED (SELECT id FROM apikeys_writers WHERE seen_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM apikeys_writers WHERE id IN (SELECT id FROM old)`

	oldChanges = `
SELECT revision FROM apikeys_changes
 WHERE at < $1 AND revision < (SELECT max(revision) FROM apikeys_changes)
 ORDER BY revision LIMIT $2`
	deleteChanges = `DELETE FROM apikeys_changes WHERE revision <= $1 AND at < $2`
)
