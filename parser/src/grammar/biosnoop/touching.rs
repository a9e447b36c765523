//! BYTES and the milliseconds behind it, when no blank is between them: `10485761234.57`.

use super::Sector;
use crate::columns::Columns;
use crate::error::Fault;
use crate::grammar::only_one;
use crate::number;

/// Digits of the longest request: the kernel counts its bytes in 32 bits.
const MOST_DIGITS: usize = 10;

/// Bytes in a sector, whatever the disk's own block size.
const SECTOR_BYTES: u64 = 512;

/// Parts the two numbers, if the text tells where.
///
/// `%-7s%7.2f` leaves no blank only where BYTES has seven digits or more and the milliseconds have
/// four or more before their point, and neither begins with 0. That decides most lines. A request that moves data
/// to or from a place on its disk moves whole sectors, which decides nearly all others. What is left could be read in
/// two ways and is an error.
pub(super) fn part(
    columns: Columns<'_>,
    stride: usize,
    sector: Sector,
) -> Result<(u64, f64, Columns<'_>), Fault> {
    let most = columns.digits().len().saturating_sub(4).min(MOST_DIGITS);
    let readings = || {
        (stride..=most).filter_map(|length| {
            let mut columns = columns;
            let bytes = columns.number_of("BYTES", length).ok()?;
            if u32::try_from(bytes).is_err() || number::digit_run(columns.rest()) < 4 {
                return None;
            }
            let ms = columns.decimals("LAT(ms)", 2, "").ok()?;
            Some((bytes, ms, columns))
        })
    };
    let whole_sectors = || readings().filter(|(bytes, ..)| bytes.is_multiple_of(SECTOR_BYTES));
    only_one(readings())
        .or_else(|| match sector {
            Sector::OnDisk => only_one(whole_sectors()),
            Sector::Unknown => None,
        })
        .ok_or_else(|| {
            columns.fault(
                "BYTES",
                "digits that can be parted from the milliseconds' in one way",
            )
        })
}
