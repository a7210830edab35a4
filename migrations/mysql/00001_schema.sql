-- MySQL and MariaDB end a transaction at each statement here, so a migration that
-- is killed stays half done. Each statement can therefore be run again, and the
-- next process that migrates runs all of them again. Where a statement begins and ends is
-- marked: goose would look for the end line by line, each time with a buffer of 4 MB.

-- +goose NO TRANSACTION
-- +goose Up

-- Every text is VARBINARY, JSON is a BLOB. The only collation that MySQL and MariaDB
-- share and that tells 'AbC' from 'abc', utf8mb4_bin, does not tell 'AbC' from
-- 'AbC '; and in a column of bytes no character set of a connection, a table or
-- a server plays a part. Read by hand: CONVERT(name USING utf8mb4). There is no
-- CHECK (json_valid(…)): MySQL's refuses numbers beyond a double, which are JSON.
-- Times are microseconds since the Unix epoch: DATETIME depends on the session.

-- What all clients share: shield keys and canaries. One row, replaced by version.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_settings (
    id       TINYINT    NOT NULL PRIMARY KEY CHECK (id = 1),
    version  BIGINT     NOT NULL,
    document MEDIUMBLOB NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- Organizations, projects and products. An organization is its own
-- organization_id; names are unique within namespace_id, which is the
-- organization, or sixteen zero bytes for organizations themselves. InnoDB deletes a
-- row that refers to itself only with CASCADE.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_resources (
    id              BINARY(16)      NOT NULL PRIMARY KEY,
    kind            VARBINARY(32)   NOT NULL,
    organization_id BINARY(16)      NOT NULL,
    namespace_id    BINARY(16)      NOT NULL,
    name            VARBINARY(1024) NOT NULL,
    created_at      BIGINT          NOT NULL,
    updated_at      BIGINT          NOT NULL,
    suspended_at    BIGINT,
    UNIQUE INDEX apikeys_resources_name (namespace_id, kind, name),
    UNIQUE INDEX apikeys_resources_of (organization_id, id),
    INDEX apikeys_resources_kind (kind, id),
    INDEX apikeys_resources_organization (organization_id, kind, id),
    CONSTRAINT apikeys_resources_fk FOREIGN KEY (organization_id) REFERENCES apikeys_resources (id) ON DELETE CASCADE
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- Which products a project may use. The foreign keys hold both ends in one organization.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_links (
    project_id      BINARY(16) NOT NULL,
    product_id      BINARY(16) NOT NULL,
    organization_id BINARY(16) NOT NULL,
    PRIMARY KEY (project_id, product_id),
    INDEX apikeys_links_project (organization_id, project_id),
    INDEX apikeys_links_product (organization_id, product_id),
    CONSTRAINT apikeys_links_fk_project FOREIGN KEY (organization_id, project_id) REFERENCES apikeys_resources (organization_id, id),
    CONSTRAINT apikeys_links_fk_product FOREIGN KEY (organization_id, product_id) REFERENCES apikeys_resources (organization_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- Keys, without their secrets and without their use. Ids are UUIDv7 made from
-- created_at, so the order of ids is the order of creation: lists page by id.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_keys (
    id              BINARY(16)      NOT NULL PRIMARY KEY,
    organization_id BINARY(16)      NOT NULL,
    project_id      BINARY(16),
    product_id      BINARY(16),
    owner_id        VARBINARY(1024) NOT NULL,
    environment     VARBINARY(255)  NOT NULL,
    head            VARBINARY(255)  NOT NULL,
    hint            VARBINARY(255)  NOT NULL,
    name            VARBINARY(1024) NOT NULL,
    lower_name      VARBINARY(1024) NOT NULL, -- what lists search in: LOWER() does not know bytes
    lower_hint      VARBINARY(255)  NOT NULL,
    scopes          MEDIUMBLOB      NOT NULL,
    rate_limits     MEDIUMBLOB      NOT NULL,
    expires_at      BIGINT,
    custom          MEDIUMBLOB      NOT NULL,
    created_at      BIGINT          NOT NULL,
    updated_at      BIGINT          NOT NULL,
    disabled_at     BIGINT,
    revoked_at      BIGINT,
    revoked_reason  VARBINARY(4096) NOT NULL,
    version         BIGINT          NOT NULL,
    INDEX apikeys_keys_organization (organization_id, id),
    INDEX apikeys_keys_owner (organization_id, owner_id, id),
    INDEX apikeys_keys_project (organization_id, project_id, id),
    INDEX apikeys_keys_product (organization_id, product_id, id),
    INDEX apikeys_keys_expires (expires_at, id),
    INDEX apikeys_keys_organization_expires (organization_id, expires_at, id),
    INDEX apikeys_keys_revoked (revoked_at),
    CONSTRAINT apikeys_keys_fk_organization FOREIGN KEY (organization_id) REFERENCES apikeys_resources (id),
    CONSTRAINT apikeys_keys_fk_project FOREIGN KEY (organization_id, project_id) REFERENCES apikeys_resources (organization_id, id),
    CONSTRAINT apikeys_keys_fk_product FOREIGN KEY (organization_id, product_id) REFERENCES apikeys_resources (organization_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- What the texts of keys hash to. One secret has a row for each signing secret
-- it is known under, all with one number.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_secrets (
    hash       BINARY(32)     NOT NULL PRIMARY KEY,
    key_id     BINARY(16)     NOT NULL,
    number     INT            NOT NULL,
    signing_id VARBINARY(255) NOT NULL,
    hint       VARBINARY(255) NOT NULL,
    created_at BIGINT         NOT NULL,
    ends_at    BIGINT,
    UNIQUE INDEX apikeys_secrets_number (key_id, number, signing_id),
    INDEX apikeys_secrets_signing (signing_id, key_id),
    CONSTRAINT apikeys_secrets_fk FOREIGN KEY (key_id) REFERENCES apikeys_keys (id) ON DELETE CASCADE
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- How often and when a key was last used: a table of its own, so that counting
-- locks no key. No foreign keys here and below: cascades would deadlock with batches.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_usage (
    key_id       BINARY(16) NOT NULL PRIMARY KEY,
    use_count    BIGINT     NOT NULL,
    last_used_at BIGINT
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_usage_hours (
    key_id  BINARY(16)     NOT NULL,
    hour    BIGINT         NOT NULL,
    secret  INT            NOT NULL,
    outcome VARBINARY(255) NOT NULL,
    count   BIGINT         NOT NULL,
    last_at BIGINT         NOT NULL,
    PRIMARY KEY (key_id, hour, secret, outcome),
    INDEX apikeys_usage_hours_hour (hour)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- Uses that were counted with their limits, one row for each such call: appended with the
-- windows, and added to the two tables above later, many rows at a time, when they are
-- removed here. What a row holds is said in internal/sqlstore/usagelog.go.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_usage_log (
    id   BIGINT     NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at   BIGINT     NOT NULL,
    uses MEDIUMBLOB NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- The last batch that each client's usage was applied up to.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_writers (
    id      BINARY(16) NOT NULL PRIMARY KEY,
    seq     BIGINT     NOT NULL,
    seen_at BIGINT     NOT NULL,
    INDEX apikeys_writers_seen (seen_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- Rate limit windows: starts and span in seconds since and of the Unix epoch.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_windows (
    subject BINARY(32) NOT NULL,
    span    BIGINT     NOT NULL,
    starts  BIGINT     NOT NULL,
    used    BIGINT     NOT NULL,
    PRIMARY KEY (subject, span),
    INDEX apikeys_windows_starts (starts)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- The revision: one row that every change of a key or an organization locks last.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_state (
    id       TINYINT    NOT NULL PRIMARY KEY CHECK (id = 1),
    revision BIGINT     NOT NULL,
    stamp    BINARY(16) NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- +goose StatementBegin
INSERT INTO apikeys_state (id, revision, stamp)
VALUES (1, 0, UNHEX('00000000000000000000000000000000'))
ON DUPLICATE KEY UPDATE revision = revision;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_changes (
    revision   BIGINT        NOT NULL,
    kind       VARBINARY(32) NOT NULL,
    subject_id BINARY(16)    NOT NULL,
    stamp      BINARY(16)    NOT NULL,
    at         BIGINT        NOT NULL,
    PRIMARY KEY (revision, kind, subject_id),
    INDEX apikeys_changes_at (at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- One event for each mutation; its id is what makes repeating one harmless.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS apikeys_events (
    id              BINARY(16)      NOT NULL PRIMARY KEY,
    at              BIGINT          NOT NULL,
    actor           VARBINARY(4096) NOT NULL,
    action          VARBINARY(255)  NOT NULL,
    organization_id BINARY(16)      NOT NULL,
    kind            VARBINARY(32)   NOT NULL,
    subject_id      BINARY(16)      NOT NULL,
    detail          MEDIUMBLOB      NOT NULL,
    INDEX apikeys_events_organization (organization_id, id),
    INDEX apikeys_events_subject (subject_id, id),
    INDEX apikeys_events_at (at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary;
-- +goose StatementEnd

-- +goose Down
DROP TABLE IF EXISTS apikeys_events;
DROP TABLE IF EXISTS apikeys_changes;
DROP TABLE IF EXISTS apikeys_state;
DROP TABLE IF EXISTS apikeys_windows;
DROP TABLE IF EXISTS apikeys_writers;
DROP TABLE IF EXISTS apikeys_usage_log;
DROP TABLE IF EXISTS apikeys_usage_hours;
DROP TABLE IF EXISTS apikeys_usage;
DROP TABLE IF EXISTS apikeys_secrets;
DROP TABLE IF EXISTS apikeys_keys;
DROP TABLE IF EXISTS apikeys_links;
DROP TABLE IF EXISTS apikeys_resources;
DROP TABLE IF EXISTS apikeys_settings;
