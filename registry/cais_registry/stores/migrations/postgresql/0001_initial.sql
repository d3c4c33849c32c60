-- SPDX-License-Identifier: Apache-2.0
-- The same tables as for SQLite, with the types of PostgreSQL; names sort by their bytes.
-- Times are microseconds since 1970. Digests are "algorithm:hex". Deleting is soft first:
-- a row with deleted_at is unknown to clients and purged by garbage collection after the window.

CREATE TABLE repository (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Bytes that are durable and verified. A storage key names them for ever and is never used again.
CREATE TABLE blob (
    digest TEXT COLLATE "C" PRIMARY KEY,
    size BIGINT NOT NULL,
    storage_key TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    verified_at BIGINT NOT NULL
);

-- Which repository has which blob. touched_at: last upload, mount or promise to a pusher;
-- bound_at: last push of a manifest that refers to it.
CREATE TABLE repo_blob (
    repo_id BIGINT NOT NULL REFERENCES repository (id),
    digest TEXT COLLATE "C" NOT NULL REFERENCES blob (digest),
    created_at BIGINT NOT NULL,
    touched_at BIGINT NOT NULL,
    bound_at BIGINT NOT NULL DEFAULT 0,
    deleted_at BIGINT,
    last_pulled_at BIGINT,
    PRIMARY KEY (repo_id, digest)
);
CREATE INDEX repo_blob_by_digest ON repo_blob (digest);

-- tagged_at: last time a tag was pointed at it; untagged_at: lost its last tag because that was
-- pointed elsewhere; released_at: lost its last tag because that was deleted.
CREATE TABLE manifest (
    repo_id BIGINT NOT NULL REFERENCES repository (id),
    digest TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    artifact_type TEXT COLLATE "C",
    subject_digest TEXT COLLATE "C",
    annotations TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    storage_key TEXT COLLATE "C" NOT NULL UNIQUE,
    mirrored_at BIGINT,
    created_at BIGINT NOT NULL,
    touched_at BIGINT NOT NULL,
    bound_at BIGINT NOT NULL DEFAULT 0,
    tagged_at BIGINT,
    untagged_at BIGINT,
    released_at BIGINT,
    deleted_at BIGINT,
    last_pulled_at BIGINT,
    content BYTEA NOT NULL,
    PRIMARY KEY (repo_id, digest)
);
CREATE INDEX manifest_by_subject ON manifest (repo_id, subject_digest, digest)
    WHERE subject_digest IS NOT NULL;
CREATE INDEX manifest_unmirrored ON manifest (storage_key) WHERE mirrored_at IS NULL;

-- A manifest needs these blobs: the foreign keys make losing one impossible.
CREATE TABLE manifest_blob (
    repo_id BIGINT NOT NULL,
    manifest_digest TEXT COLLATE "C" NOT NULL,
    blob_digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repo_id, manifest_digest, blob_digest),
    FOREIGN KEY (repo_id, manifest_digest) REFERENCES manifest (repo_id, digest) ON DELETE CASCADE,
    FOREIGN KEY (repo_id, blob_digest) REFERENCES repo_blob (repo_id, digest)
);
CREATE INDEX manifest_blob_by_blob ON manifest_blob (repo_id, blob_digest);

-- A manifest refers to these: children of an index, and content that need not be here
-- (foreign layers, inlined data, children of a sparse index); it is kept when it is.
CREATE TABLE manifest_child (
    repo_id BIGINT NOT NULL,
    parent_digest TEXT COLLATE "C" NOT NULL,
    child_digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repo_id, parent_digest, child_digest),
    FOREIGN KEY (repo_id, parent_digest) REFERENCES manifest (repo_id, digest) ON DELETE CASCADE
);
CREATE INDEX manifest_child_by_child ON manifest_child (repo_id, child_digest);

CREATE TABLE tag (
    repo_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    manifest_digest TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (repo_id, name),
    FOREIGN KEY (repo_id, manifest_digest) REFERENCES manifest (repo_id, digest)
);
CREATE INDEX tag_by_manifest ON tag (repo_id, manifest_digest);

CREATE TABLE deleted_tag (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    manifest_digest TEXT COLLATE "C" NOT NULL,
    deleted_at BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL
);
CREATE INDEX deleted_tag_by_time ON deleted_tag (deleted_at);

-- digest: what the upload is about to become, recorded before its bytes move there.
CREATE TABLE upload (
    id TEXT COLLATE "C" PRIMARY KEY,
    repo TEXT COLLATE "C" NOT NULL,
    principal TEXT COLLATE "C",
    algorithm TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX upload_by_expiry ON upload (expires_at);

-- What garbage collection has to look at. kind: manifest, member (repo_blob) or bytes (blob).
-- due: now, or lease / window after `since`. explicit: a deletion that somebody asked for.
CREATE TABLE gc_queue (
    kind TEXT COLLATE "C" NOT NULL,
    repo_id BIGINT NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    due TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    explicit BIGINT NOT NULL,
    PRIMARY KEY (kind, repo_id, digest)
);
CREATE INDEX gc_queue_by_time ON gc_queue (kind, due, since);

-- Keys whose bytes may be deleted. No other row names them, and none ever will.
CREATE TABLE tombstone (
    storage_key TEXT COLLATE "C" PRIMARY KEY,
    digest TEXT COLLATE "C",
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL
);
CREATE INDEX tombstone_by_time ON tombstone (created_at);

CREATE TABLE gc_run (
    id TEXT COLLATE "C" PRIMARY KEY,
    state TEXT COLLATE "C" NOT NULL,
    dry_run BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    manifests_deleted BIGINT NOT NULL DEFAULT 0,
    blobs_deleted BIGINT NOT NULL DEFAULT 0,
    bytes_reclaimed BIGINT NOT NULL DEFAULT 0,
    bytes_reclaimable BIGINT NOT NULL DEFAULT 0,
    uploads_expired BIGINT NOT NULL DEFAULT 0,
    message TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX gc_run_by_time ON gc_run (started_at);

-- The time of the newest write. Whoever writes locks this row first: one writer at a time, in all
-- servers, and no two writes share a time.
CREATE TABLE clock (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    newest BIGINT NOT NULL
);
INSERT INTO clock (id, newest) VALUES (1, 0);
