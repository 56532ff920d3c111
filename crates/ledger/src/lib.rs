//! Entries, tree, records, group commit, key ring and access log.
