-- +goose Up

-- All of it is sent at once: where one statement ends goose would look for line by line,
-- each time with a buffer of 4 MB.
-- +goose StatementBegin

-- Text is COLLATE "C" everywhere: it is compared and sorted byte by byte, whatever
-- the database's own collation is. JSON is json, not jsonb: jsonb sorts keys, drops
-- repeated ones and rewrites numbers and space, and what callers store comes back
-- byte for byte. Times are never infinite.

-- What all clients share: shield keys and canaries. One row, replaced by version.
CREATE TABLE apikeys_settings (
    id       smallint NOT NULL PRIMARY KEY CHECK (id = 1),
    version  bigint   NOT NULL,
    document json     NOT NULL
);

-- Organizations, projects and products. An organization is its own
-- organization_id; names are unique within namespace_id, which is the
-- organization, or the id of zeros for organizations themselves.
CREATE TABLE apikeys_resources (
    id              uuid        NOT NULL PRIMARY KEY,
    kind            text        COLLATE "C" NOT NULL CHECK (kind IN ('organization', 'project', 'product')),
    organization_id uuid        NOT NULL REFERENCES apikeys_resources (id),
    namespace_id    uuid        NOT NULL,
    name            text        COLLATE "C" NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    suspended_at    timestamptz CHECK (isfinite(suspended_at)),
    UNIQUE (namespace_id, kind, name),
    UNIQUE (organization_id, id)
);
CREATE INDEX apikeys_resources_kind ON apikeys_resources (kind, id);
CREATE INDEX apikeys_resources_organization ON apikeys_resources (organization_id, kind, id);

-- Which products a project may use. The foreign keys hold both ends in one organization.
CREATE TABLE apikeys_links (
    project_id      uuid NOT NULL,
    product_id      uuid NOT NULL,
    organization_id uuid NOT NULL,
    PRIMARY KEY (project_id, product_id),
    FOREIGN KEY (organization_id, project_id) REFERENCES apikeys_resources (organization_id, id),
    FOREIGN KEY (organization_id, product_id) REFERENCES apikeys_resources (organization_id, id)
);
CREATE INDEX apikeys_links_product ON apikeys_links (organization_id, product_id);

-- Keys, without their secrets and without their use. Ids are UUIDv7 made from
-- created_at, so the order of ids is the order of creation: lists page by id.
CREATE TABLE apikeys_keys (
    id              uuid        NOT NULL PRIMARY KEY,
    organization_id uuid        NOT NULL REFERENCES apikeys_resources (id),
    project_id      uuid,
    product_id      uuid,
    owner_id        text        COLLATE "C" NOT NULL,
    environment     text        COLLATE "C" NOT NULL,
    head            text        COLLATE "C" NOT NULL,
    hint            text        COLLATE "C" NOT NULL,
    name            text        COLLATE "C" NOT NULL,
    lower_name      text        COLLATE "C" NOT NULL, -- what lists search in, made by the client: lower() would depend on the collation
    lower_hint      text        COLLATE "C" NOT NULL,
    scopes          json        NOT NULL,
    rate_limits     json        NOT NULL,
    expires_at      timestamptz CHECK (isfinite(expires_at)),
    custom          json        NOT NULL, -- the caller's own, byte for byte
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    disabled_at     timestamptz CHECK (isfinite(disabled_at)),
    revoked_at      timestamptz CHECK (isfinite(revoked_at)),
    revoked_reason  text        COLLATE "C" NOT NULL,
    version         bigint      NOT NULL,
    FOREIGN KEY (organization_id, project_id) REFERENCES apikeys_resources (organization_id, id),
    FOREIGN KEY (organization_id, product_id) REFERENCES apikeys_resources (organization_id, id)
);
CREATE INDEX apikeys_keys_organization ON apikeys_keys (organization_id, id);
CREATE INDEX apikeys_keys_owner ON apikeys_keys (organization_id, owner_id, id);
CREATE INDEX apikeys_keys_project ON apikeys_keys (organization_id, project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX apikeys_keys_product ON apikeys_keys (organization_id, product_id, id) WHERE product_id IS NOT NULL;
CREATE INDEX apikeys_keys_expires ON apikeys_keys (expires_at, id) WHERE expires_at IS NOT NULL;
CREATE INDEX apikeys_keys_organization_expires ON apikeys_keys (organization_id, expires_at, id) WHERE expires_at IS NOT NULL;
CREATE INDEX apikeys_keys_revoked ON apikeys_keys (revoked_at) WHERE revoked_at IS NOT NULL;

-- What the texts of keys hash to. One secret has a row for each signing secret
-- it is known under, all with one number.
CREATE TABLE apikeys_secrets (
    hash       bytea       NOT NULL PRIMARY KEY CHECK (octet_length(hash) = 32),
    key_id     uuid        NOT NULL REFERENCES apikeys_keys (id) ON DELETE CASCADE,
    number     integer     NOT NULL,
    signing_id text        COLLATE "C" NOT NULL,
    hint       text        COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    ends_at    timestamptz CHECK (isfinite(ends_at)),
    UNIQUE (key_id, number, signing_id)
);
CREATE INDEX apikeys_secrets_signing ON apikeys_secrets (signing_id, key_id);

-- How often and when a key was last used: a table of its own, so that counting
-- locks no key. No foreign keys here and below: cascades would deadlock with
-- batches. The tables that are updated in place all the time leave room in their
-- pages, so that a new version of a row needs no new entries in the indexes (HOT).
CREATE TABLE apikeys_usage (
    key_id       uuid        NOT NULL PRIMARY KEY,
    use_count    bigint      NOT NULL,
    last_used_at timestamptz
) WITH (fillfactor = 70);

CREATE TABLE apikeys_usage_hours (
    key_id  uuid        NOT NULL,
    hour    timestamptz NOT NULL,
    secret  integer     NOT NULL,
    outcome text        COLLATE "C" NOT NULL,
    count   bigint      NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, hour, secret, outcome)
) WITH (fillfactor = 80);
CREATE INDEX apikeys_usage_hours_hour ON apikeys_usage_hours (hour);

-- Uses that were counted with their limits, one row for each such call: appended with the
-- windows, and added to the two tables above later, many rows at a time, when they are
-- removed here. What a row holds is said in internal/sqlstore/usagelog.go.
CREATE TABLE apikeys_usage_log (
    id   bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at   timestamptz NOT NULL,
    uses bytea       NOT NULL
);

-- The last batch that each client's usage was applied up to.
CREATE TABLE apikeys_writers (
    id      uuid        NOT NULL PRIMARY KEY,
    seq     bigint      NOT NULL,
    seen_at timestamptz NOT NULL
);
CREATE INDEX apikeys_writers_seen ON apikeys_writers (seen_at);

-- Rate limit windows: starts and span in seconds since and of the Unix epoch. The last
-- three columns are what the last one who asked was answered: a statement that updates a
-- row can return only what is in it afterwards.
CREATE TABLE apikeys_windows (
    subject bytea  NOT NULL CHECK (octet_length(subject) = 32),
    span    bigint NOT NULL,
    starts  bigint NOT NULL,
    used    bigint NOT NULL,
    granted bigint NOT NULL DEFAULT 0,
    asker   bigint NOT NULL DEFAULT 0, -- its place in its call
    asked   timestamptz,
    PRIMARY KEY (subject, span)
) WITH (fillfactor = 50);
CREATE INDEX apikeys_windows_starts ON apikeys_windows (starts);

-- The revision: one row that every change of a key or an organization locks last.
CREATE TABLE apikeys_state (
    id       smallint NOT NULL PRIMARY KEY CHECK (id = 1),
    revision bigint   NOT NULL,
    stamp    uuid     NOT NULL
) WITH (fillfactor = 10);
INSERT INTO apikeys_state (id, revision, stamp) VALUES (1, 0, '00000000-0000-0000-0000-000000000000');

CREATE TABLE apikeys_changes (
    revision   bigint      NOT NULL,
    kind       text        COLLATE "C" NOT NULL,
    subject_id uuid        NOT NULL,
    stamp      uuid        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (revision, kind, subject_id)
);
CREATE INDEX apikeys_changes_at ON apikeys_changes (at);

-- One event for each mutation; its id is what makes repeating one harmless.
CREATE TABLE apikeys_events (
    id              uuid        NOT NULL PRIMARY KEY,
    at              timestamptz NOT NULL,
    actor           text        COLLATE "C" NOT NULL,
    action          text        COLLATE "C" NOT NULL,
    organization_id uuid        NOT NULL,
    kind            text        COLLATE "C" NOT NULL,
    subject_id      uuid        NOT NULL,
    detail          json        NOT NULL
);
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
