//! cachetop and cachestat. Counts are page cache operations in one interval.

use serde::{Deserialize, Serialize};

use crate::Text;

/// A row of cachetop: one process, user and name in one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cachetop {
    /// Process, in the host's numbering (a thread before BCC 0.21).
    pub pid: u32,
    /// User name as the node knows it, cut to 8 characters; `UNKNOWN(` when it knows none.
    pub user: Text,
    /// Process name.
    pub comm: Text,
    /// Accesses that hit.
    pub hits: u64,
    /// Accesses that missed; the tool's arithmetic can go below zero.
    pub misses: i64,
    /// Buffers marked dirty.
    pub dirties: u64,
    /// Reads served from the cache, percent.
    pub read_hit_pct: f64,
    /// Writes served from the cache, percent.
    pub write_hit_pct: f64,
}

/// A row of cachestat: the whole node in one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cachestat {
    /// Accesses (BCC 0.8 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// Accesses that hit; an older tool's arithmetic can go below zero, here and for misses.
    pub hits: i64,
    /// Accesses that missed.
    pub misses: i64,
    /// Buffers marked dirty.
    pub dirties: u64,
    /// Hits among the accesses, percent (BCC 0.9 on).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit_ratio_pct: Option<f64>,
    /// Buffers, MiB.
    pub buffers_mb: u64,
    /// Page cache, MiB.
    pub cached_mb: u64,
}
