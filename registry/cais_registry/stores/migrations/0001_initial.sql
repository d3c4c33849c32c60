-- SPDX-License-Identifier: Apache-2.0
-- Times are microseconds since 1970. Digests are "algorithm:hex". Deleting is soft first:
-- a row with deleted_at is unknown to clients and purged by garbage collection after the window.

CREATE TABLE repository (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

-- Bytes that are durable and verified. A storage key names them for ever and is never used again.
CREATE TABLE blob (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    storage_key TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    verified_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Which repository has which blob. touched_at: last upload, mount or promise to a pusher;
-- bound_at: last push of a manifest that refers to it.
CREATE TABLE repo_blob (
    repo_id INTEGER NOT NULL REFERENCES repository (id),
    digest TEXT NOT NULL REFERENCES blob (digest),
    created_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL,
    bound_at INTEGER NOT NULL DEFAULT 0,
    deleted_at INTEGER,
    last_pulled_at INTEGER,
    PRIMARY KEY (repo_id, digest)
) WITHOUT ROWID;
CREATE INDEX repo_blob_by_digest ON repo_blob (digest);

-- tagged_at: last time a tag was pointed at it; untagged_at: lost its last tag because that was
-- pointed elsewhere; released_at: lost its last tag because that was deleted.
CREATE TABLE manifest (
    repo_id INTEGER NOT NULL REFERENCES repository (id),
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    subject_digest TEXT,
    annotations TEXT NOT NULL,
    size INTEGER NOT NULL,
    storage_key TEXT NOT NULL UNIQUE,
    mirrored_at INTEGER,
    created_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL,
    bound_at INTEGER NOT NULL DEFAULT 0,
    tagged_at INTEGER,
    untagged_at INTEGER,
    released_at INTEGER,
    deleted_at INTEGER,
    last_pulled_at INTEGER,
    content BLOB NOT NULL,
    PRIMARY KEY (repo_id, digest)
);
CREATE INDEX manifest_by_subject ON manifest (repo_id, subject_digest, digest)
    WHERE subject_digest IS NOT NULL;
CREATE INDEX manifest_unmirrored ON manifest (storage_key) WHERE mirrored_at IS NULL;

-- A manifest needs these blobs: the foreign keys make losing one impossible.
CREATE TABLE manifest_blob (
    repo_id INTEGER NOT NULL,
    manifest_digest TEXT NOT NULL,
    blob_digest TEXT NOT NULL,
    PRIMARY KEY (repo_id, manifest_digest, blob_digest),
    FOREIGN KEY (repo_id, manifest_digest) REFERENCES manifest (repo_id, digest) ON DELETE CASCADE,
    FOREIGN KEY (repo_id, blob_digest) REFERENCES repo_blob (repo_id, digest)
) WITHOUT ROWID;
CREATE INDEX manifest_blob_by_blob ON manifest_blob (repo_id, blob_digest);

-- A manifest refers to these: children of an index, and content that need not be here
-- (foreign layers, inlined data, children of a sparse index); it is kept when it is.
CREATE TABLE manifest_child (
    repo_id INTEGER NOT NULL,
    parent_digest TEXT NOT NULL,
    child_digest TEXT NOT NULL,
    PRIMARY KEY (repo_id, parent_digest, child_digest),
    FOREIGN KEY (repo_id, parent_digest) REFERENCES manifest (repo_id, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX manifest_child_by_child ON manifest_child (repo_id, child_digest);

CREATE TABLE tag (
    repo_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (repo_id, name),
    FOREIGN KEY (repo_id, manifest_digest) REFERENCES manifest (repo_id, digest)
) WITHOUT ROWID;
CREATE INDEX tag_by_manifest ON tag (repo_id, manifest_digest);

CREATE TABLE deleted_tag (
    id INTEGER PRIMARY KEY,
    repo_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    deleted_at INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX deleted_tag_by_time ON deleted_tag (deleted_at);

-- digest: what the upload is about to become, recorded before its bytes move there.
CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    repo TEXT NOT NULL,
    principal TEXT,
    algorithm TEXT NOT NULL,
    digest TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX upload_by_expiry ON upload (expires_at);

-- What garbage collection has to look at. kind: manifest, member (repo_blob) or bytes (blob).
-- due: now, or lease / window after `since`. explicit: a deletion that somebody asked for.
CREATE TABLE gc_queue (
    kind TEXT NOT NULL,
    repo_id INTEGER NOT NULL,
    digest TEXT NOT NULL,
    due TEXT NOT NULL,
    since INTEGER NOT NULL,
    explicit INTEGER NOT NULL,
    PRIMARY KEY (kind, repo_id, digest)
) WITHOUT ROWID;
CREATE INDEX gc_queue_by_time ON gc_queue (kind, due, since);

-- Keys whose bytes may be deleted. No other row names them, and none ever will.
CREATE TABLE tombstone (
    storage_key TEXT PRIMARY KEY,
    digest TEXT,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX tombstone_by_time ON tombstone (created_at);

CREATE TABLE gc_run (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    manifests_deleted INTEGER NOT NULL DEFAULT 0,
    blobs_deleted INTEGER NOT NULL DEFAULT 0,
    bytes_reclaimed INTEGER NOT NULL DEFAULT 0,
    bytes_reclaimable INTEGER NOT NULL DEFAULT 0,
    uploads_expired INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX gc_run_by_time ON gc_run (started_at);
