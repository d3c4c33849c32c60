-- SPDX-License-Identifier: Apache-2.0
-- Retention walks the tags of a repository from the newest to the oldest, and the manifests that
-- have no tag.

CREATE INDEX tag_by_time ON tag (repo_id, updated_at, name);
CREATE INDEX manifest_untagged ON manifest (repo_id, digest)
    WHERE (tagged_at IS NULL OR untagged_at IS NOT NULL);

-- Which servers count pulls in memory, and when each has last written down what it counted. One
-- that has not for long has died with what it knew.
CREATE TABLE pull_counter (
    id TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;

-- All pulls since then are known. No row: nobody counts.
CREATE TABLE pulls_known (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    since INTEGER NOT NULL
);

-- What retention deletes, or would delete, in a run of garbage collection, and why.
CREATE TABLE gc_report (
    run_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    kind TEXT NOT NULL,
    repository TEXT NOT NULL,
    reference TEXT NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    PRIMARY KEY (run_id, n)
) WITHOUT ROWID;

ALTER TABLE gc_run ADD COLUMN tags_deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE gc_run ADD COLUMN untagged_deleted INTEGER NOT NULL DEFAULT 0;
