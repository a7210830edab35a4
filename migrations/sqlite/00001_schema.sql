-- +goose Up

-- All of it is sent at once: where one statement ends goose would look for line by line,
-- each time with a buffer of 4 MB.
-- +goose StatementBegin

-- What all clients share: shield keys and canaries. One row, replaced by version.
CREATE TABLE apikeys_settings (
    id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version  INTEGER NOT NULL,
    document TEXT    NOT NULL CHECK (json_valid(document))
) STRICT;

-- Organizations, projects and products. An organization is its own
-- organization_id; names are unique within namespace_id, which is the
-- organization, or sixteen zero bytes for organizations themselves.
CREATE TABLE apikeys_resources (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind            TEXT    NOT NULL CHECK (kind IN ('organization', 'project', 'product')),
    organization_id BLOB    NOT NULL REFERENCES apikeys_resources (id),
    namespace_id    BLOB    NOT NULL CHECK (length(namespace_id) = 16),
    name            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    suspended_at    INTEGER,
    UNIQUE (namespace_id, kind, name),
    UNIQUE (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_resources_kind ON apikeys_resources (kind, id);
CREATE INDEX apikeys_resources_organization ON apikeys_resources (organization_id, kind, id);

-- Which products a project may use. The foreign keys hold both ends in one organization.
CREATE TABLE apikeys_links (
    project_id      BLOB NOT NULL,
    product_id      BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    PRIMARY KEY (project_id, product_id),
    FOREIGN KEY (organization_id, project_id) REFERENCES apikeys_resources (organization_id, id),
    FOREIGN KEY (organization_id, product_id) REFERENCES apikeys_resources (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_links_product ON apikeys_links (organization_id, product_id);

-- Keys, without their secrets and without their use. Ids are UUIDv7 made from
-- created_at, so the order of ids is the order of creation: lists page by id. A key's
-- place is where its row is, for good: secrets lead there without the index of ids.
CREATE TABLE apikeys_keys (
    place           INTEGER NOT NULL PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    organization_id BLOB    NOT NULL REFERENCES apikeys_resources (id),
    project_id      BLOB,
    product_id      BLOB,
    owner_id        TEXT    NOT NULL,
    environment     TEXT    NOT NULL,
    head            TEXT    NOT NULL,
    hint            TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    lower_name      TEXT    NOT NULL, -- what lists search in: lower() knows ASCII only
    lower_hint      TEXT    NOT NULL,
    scopes          TEXT    NOT NULL CHECK (json_valid(scopes)),
    rate_limits     TEXT    NOT NULL CHECK (json_valid(rate_limits)),
    expires_at      INTEGER,
    custom          TEXT    NOT NULL CHECK (json_valid(custom)),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    disabled_at     INTEGER,
    revoked_at      INTEGER,
    revoked_reason  TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    FOREIGN KEY (organization_id, project_id) REFERENCES apikeys_resources (organization_id, id),
    FOREIGN KEY (organization_id, product_id) REFERENCES apikeys_resources (organization_id, id)
) STRICT;
CREATE INDEX apikeys_keys_organization ON apikeys_keys (organization_id, id);
CREATE INDEX apikeys_keys_owner ON apikeys_keys (organization_id, owner_id, id);
CREATE INDEX apikeys_keys_project ON apikeys_keys (organization_id, project_id, id);
CREATE INDEX apikeys_keys_product ON apikeys_keys (organization_id, product_id, id);
CREATE INDEX apikeys_keys_expires ON apikeys_keys (expires_at, id) WHERE expires_at IS NOT NULL;
CREATE INDEX apikeys_keys_organization_expires ON apikeys_keys (organization_id, expires_at, id) WHERE expires_at IS NOT NULL;
CREATE INDEX apikeys_keys_revoked ON apikeys_keys (revoked_at) WHERE revoked_at IS NOT NULL;

-- What the texts of keys hash to. One secret has a row for each signing secret
-- it is known under, all with one number.
CREATE TABLE apikeys_secrets (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    key_id     BLOB    NOT NULL REFERENCES apikeys_keys (id) ON DELETE CASCADE,
    place      INTEGER NOT NULL, -- of the key's row
    number     INTEGER NOT NULL,
    signing_id TEXT    NOT NULL,
    hint       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    ends_at    INTEGER,
    UNIQUE (key_id, number, signing_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_secrets_signing ON apikeys_secrets (signing_id, key_id);

-- How often and when a key was last used: a table of its own, so that counting
-- locks no key. No foreign keys here and below: cascades would deadlock with batches.
CREATE TABLE apikeys_usage (
    key_id       BLOB    NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
    use_count    INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE apikeys_usage_hours (
    key_id  BLOB    NOT NULL CHECK (length(key_id) = 16),
    hour    INTEGER NOT NULL,
    secret  INTEGER NOT NULL,
    outcome TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (key_id, hour, secret, outcome)
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_usage_hours_hour ON apikeys_usage_hours (hour);

-- Uses that were counted with their limits, one row for each such call: appended with the
-- windows, and added to the two tables above later, many rows at a time, when they are
-- removed here. What a row holds is said in internal/sqlstore/usagelog.go.
CREATE TABLE apikeys_usage_log (
    id   INTEGER NOT NULL PRIMARY KEY,
    at   INTEGER NOT NULL,
    uses BLOB    NOT NULL
) STRICT;

-- The last batch that each client's usage was applied up to.
CREATE TABLE apikeys_writers (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    seq     INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_writers_seen ON apikeys_writers (seen_at);

-- Rate limit windows: starts and span in seconds since and of the Unix epoch.
CREATE TABLE apikeys_windows (
    subject BLOB    NOT NULL CHECK (length(subject) = 32),
    span    INTEGER NOT NULL,
    starts  INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (subject, span)
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_windows_starts ON apikeys_windows (starts);

-- The revision: one row that every change of a key or an organization locks last.
CREATE TABLE apikeys_state (
    id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    stamp    BLOB    NOT NULL CHECK (length(stamp) = 16)
) STRICT;
INSERT INTO apikeys_state (id, revision, stamp) VALUES (1, 0, zeroblob(16));

CREATE TABLE apikeys_changes (
    revision   INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    subject_id BLOB    NOT NULL CHECK (length(subject_id) = 16),
    stamp      BLOB    NOT NULL CHECK (length(stamp) = 16),
    at         INTEGER NOT NULL,
    PRIMARY KEY (revision, kind, subject_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_changes_at ON apikeys_changes (at);

-- One event for each mutation; its id is what makes repeating one harmless.
CREATE TABLE apikeys_events (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at              INTEGER NOT NULL,
    actor           TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    organization_id BLOB    NOT NULL,
    kind            TEXT    NOT NULL,
    subject_id      BLOB    NOT NULL,
    detail          TEXT    NOT NULL CHECK (json_valid(detail))
) STRICT, WITHOUT ROWID;
CREATE INDEX apikeys_events_organization ON apikeys_events (organization_id, id);
CREATE INDEX apikeys_events_subject ON apikeys_events (subject_id, id);
CREATE INDEX apikeys_events_at ON apikeys_events (at);
-- +goose StatementEnd

-- +goose Down
DROP TABLE apikeys_events;
DROP TABLE apikeys_changes;
DROP TABLE apikeys_state;
DROP TABLE apikeys_windows;
DROP TABLE apikeys_writers;
DROP TABLE apikeys_usage_log;
DROP TABLE apikeys_usage_hours;
DROP TABLE apikeys_usage;
DROP TABLE apikeys_secrets;
DROP TABLE apikeys_keys;
DROP TABLE apikeys_links;
DROP TABLE apikeys_resources;
DROP TABLE apikeys_settings;
