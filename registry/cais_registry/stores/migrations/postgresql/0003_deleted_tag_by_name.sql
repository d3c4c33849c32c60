-- SPDX-License-Identifier: Apache-2.0
-- The newest deletion of a tag is looked up when that is to come back.

CREATE INDEX deleted_tag_by_name ON deleted_tag (repo_id, name, id);
