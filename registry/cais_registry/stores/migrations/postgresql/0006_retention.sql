-- SPDX-License-Identifier: Apache-2.0
-- Retention walks the tags of a repository from the newest to the oldest, and the manifests that
-- have no tag.

CREATE INDEX tag_by_time ON tag (repo_id, updated_at, name);
CREATE INDEX manifest_untagged ON manifest (repo_id, digest)
    WHERE (tagged_at IS NULL OR untagged_at IS NOT NULL);

-- Which servers count pulls in memory, and when each has last written down what it counted. One
-- that has not for long has died with what it knew.
CREATE TABLE pull_counter (
    id TEXT COLLATE "C" PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- All pulls since then are known. No row: nobody counts.
CREATE TABLE pulls_known (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    since BIGINT NOT NULL
);

-- What retention deletes, or would delete, in a run of garbage collection, and why.
CREATE TABLE gc_report (
    run_id TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    reference TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    dry_run BIGINT NOT NULL,
    PRIMARY KEY (run_id, n)
);

ALTER TABLE gc_run ADD COLUMN tags_deleted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gc_run ADD COLUMN untagged_deleted BIGINT NOT NULL DEFAULT 0;
