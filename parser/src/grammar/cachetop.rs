//! cachetop, a screen's row a line.
//!
//! ```text
//! {0:8} {username:8.8} {2:16} {3:8} {4:8} {5:8} {6:9.1f}% {7:9.1f}%
//!
//! 03:47:29 Buffers MB: 7 / Cached MB: 551 / Sort: HITS / Order: descending
//! PID      UID      CMD              HITS     MISSES   DIRTIES  READ_HIT%  WRITE_HIT%
//!     5439 root     tmux: server           38       32        7      44.3%      45.7%
//! ```
//!
//! Titles are aligned to the left, numbers to the right. The title line's clock counts for the
//! rows below it; the parser keeps it.

use crate::columns::{Columns, Unit};
use crate::error::Fault;
use crate::grammar::Layout;
use crate::header::Header;
use crate::record::{self, Clock, Record};

/// Strides of the columns up to DIRTIES.
#[derive(Clone, Debug)]
pub(crate) struct Cachetop {
    pid: usize,
    user: usize,
    comm: usize,
    hits: usize,
    misses: usize,
    dirties: usize,
}

/// The clock of the line above the header.
pub(crate) fn title_clock(line: &[u8]) -> Option<Clock> {
    let clock = Clock::from_bytes(line.get(..8)?)?;
    line[8..].starts_with(b" Buffers MB: ").then_some(clock)
}

impl Cachetop {
    fn start<'a>(&self, line: &'a [u8]) -> Result<(u32, Columns<'a>), Fault> {
        let mut columns = Columns::new(line);
        let pid = columns.number_right("PID", self.pid - 1)?;
        let pid = u32::try_from(pid)
            .map_err(|_| Columns::new(line).fault("PID", "a decimal number below 2^32"))?;
        Ok((pid, columns))
    }
}

impl Layout for Cachetop {
    fn from_header(header: &mut Header<'_>) -> Result<Self, Fault> {
        let layout = Self {
            pid: header.column("PID")?,
            user: header.column("UID")?,
            comm: header.column("CMD")?,
            hits: header.column("HITS")?,
            misses: header.column("MISSES")?,
            dirties: header.column("DIRTIES")?,
        };
        header.columns(&["READ_HIT%", "WRITE_HIT%"])?;
        Ok(layout)
    }

    fn pid(&self, line: &[u8]) -> Result<Option<u32>, Fault> {
        self.start(line).map(|(pid, _)| Some(pid))
    }

    fn record(&self, line: &[u8]) -> Result<(Record, Option<Clock>), Fault> {
        let (pid, mut columns) = self.start(line)?;
        let user = columns.text("UID", self.user - 1, Unit::Chars)?;
        let comm = columns.text("CMD", self.comm - 1, Unit::Chars)?;
        let record = record::Cachetop {
            pid,
            hits: columns.number_right("HITS", self.hits - 1)?,
            misses: columns.signed_right("MISSES", self.misses - 1)?,
            dirties: columns.number_right("DIRTIES", self.dirties - 1)?,
            read_hit_pct: columns.decimals("READ_HIT%", 1, "%")?,
            write_hit_pct: columns.decimals("WRITE_HIT%", 1, "%")?,
            user: user.into(),
            comm: comm.into(),
        };
        columns.end("WRITE_HIT%")?;
        Ok((Record::Cachetop(record), None))
    }
}
