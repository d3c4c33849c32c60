-- SPDX-License-Identifier: Apache-2.0
-- Copies of manifests say now which repository they are of: all are written anew, bit by bit.

UPDATE manifest SET mirrored_at = NULL;
