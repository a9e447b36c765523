//! cachestat.
//!
//! ```text
//! %8d %8d %8d %7.2f%% %12.0f %10.0f     after %-8s (clock) and a blank with -T
//! %8d %8d %8d %8d %12.0f %10.0f         BCC 0.8: TOTAL MISSES HITS DIRTIES BUFFERS_MB CACHED_MB
//!
//! TIME         HITS   MISSES  DIRTIES HITRATIO   BUFFERS_MB  CACHED_MB
//! 03:47:29      372       32        7   92.08%            7        551
//! ```
//!
//! No cell can hold a blank, so their order is all that the header has to tell.

use crate::columns::Columns;
use crate::error::Fault;
use crate::grammar::{Layout, tcp};
use crate::header::Header;
use crate::record::{self, Clock, Record};

/// Which cells there are.
#[derive(Clone, Debug)]
pub(crate) struct Cachestat {
    clock: bool,
    with_total: bool,
}

impl Layout for Cachestat {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        let clock = header.optional("TIME").is_some();
        let with_total = header.optional("TOTAL").is_some();
        header.columns(if with_total {
            &["MISSES", "HITS", "DIRTIES"]
        } else {
            &["HITS", "MISSES", "DIRTIES", "HITRATIO"]
        })?;
        header.columns(&["BUFFERS_MB", "CACHED_MB"])?;
        Ok(Self { clock, with_total })
    }

    /// The tool names no process; a line that it did not print is an error all the same.
    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        self.record(line).map(|_| None)
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let columns = &mut Columns::new(line);
        let clock = self.clock.then(|| columns.clock()).transpose()?;
        let (total, hits, misses, dirties, hit_ratio_pct);
        if self.with_total {
            total = Some(tcp::signed(columns, "TOTAL")?);
            misses = tcp::signed(columns, "MISSES")?;
            hits = tcp::signed(columns, "HITS")?;
            dirties = tcp::count(columns, "DIRTIES")?;
            hit_ratio_pct = None;
        } else {
            total = None;
            hits = tcp::signed(columns, "HITS")?;
            misses = tcp::signed(columns, "MISSES")?;
            dirties = tcp::count(columns, "DIRTIES")?;
            hit_ratio_pct = Some(columns.decimals("HITRATIO", 2, "%")?);
        }
        let record = record::Cachestat {
            total,
            hits,
            misses,
            dirties,
            hit_ratio_pct,
            buffers_mb: tcp::count(columns, "BUFFERS_MB")?,
            cached_mb: tcp::count(columns, "CACHED_MB")?,
        };
        columns.end("CACHED_MB")?;
        Ok((Record::Cachestat(record), clock))
    }
}
