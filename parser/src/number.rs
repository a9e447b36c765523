//! Numbers and addresses as C's and Python's formats print them, read from bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads what `%d` prints for a number that is not negative: no sign, no leading zero.
pub(crate) fn unsigned(digits: &[u8]) -> Option<u64> {
    match digits {
        [b'0'] => Some(0),
        // 19 digits stay below 2^64; only one more can leave it.
        [b'1'..=b'9', ..] if digits.len() <= 19 => digits.iter().try_fold(0_u64, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| value * 10 + u64::from(digit))
        }),
        [start @ .., last @ b'0'..=b'9'] if digits.len() == 20 => unsigned(start)
            .filter(|start| *start != 0)?
            .checked_mul(10)?
            .checked_add(u64::from(last - b'0')),
        _ => None,
    }
}

/// As [`unsigned`], for 32 bits.
pub(crate) fn unsigned32(digits: &[u8]) -> Option<u32> {
    unsigned(digits)?.try_into().ok()
}

/// As [`unsigned`], perhaps with a minus sign.
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => {
            0_i64.checked_sub_unsigned(unsigned(digits).filter(|value| *value != 0)?)
        }
        digits => unsigned(digits)?.try_into().ok(),
    }
}

/// How many digits `bytes` begins with.
pub(crate) fn digit_run(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len())
}

/// A number that `%.Nf` printed, and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fixed {
    pub(crate) value: f64,
    pub(crate) length: usize,
}

/// Reads the number with exactly `decimals` digits after its point that `bytes` begins with.
/// What follows is not looked at: it may be the next cell's first digit.
pub(crate) fn fixed(bytes: &[u8], decimals: usize) -> Option<Fixed> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let whole = digit_run(bytes.get(start..)?);
    let point = start + whole;
    if whole == 0 || (whole > 1 && bytes[start] == b'0') || bytes.get(point) != Some(&b'.') {
        return None;
    }
    let length = point + 1 + decimals;
    let fraction = bytes.get(point + 1..length)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = &bytes[..length];
    let value = quotient(&number[start..], decimals)
        .map(|value| if negative { -value } else { value })
        .or_else(|| std::str::from_utf8(number).ok()?.parse().ok())?;
    Some(Fixed { value, length })
}

/// The value of digits with a point, where dividing two exact numbers gives it. IEEE 754 rounds a
/// division right, so that the result is the one of `str::parse`.
fn quotient(digits: &[u8], decimals: usize) -> Option<f64> {
    const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
    // 15 digits stay below 2^53.
    if digits.len() > 16 {
        return None;
    }
    let value = digits
        .iter()
        .filter(|byte| **byte != b'.')
        .fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 nothing is lost")]
    let value = value as f64;
    Some(value / POWERS.get(decimals)?)
}

/// Reads an address as `inet_ntop` prints it.
pub(crate) fn address(token: &[u8]) -> Option<IpAddr> {
    // The longest IPv6 address has 45 characters.
    if token.len() > 45 {
        return None;
    }
    if token.contains(&b':') {
        let text = std::str::from_utf8(token).ok()?;
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        dotted_quad(token).map(IpAddr::V4)
    }
}

fn dotted_quad(token: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = token.split(|byte| *byte == b'.');
    for octet in &mut octets {
        *octet = match *parts.next()? {
            [a @ b'0'..=b'9'] => a - b'0',
            [a @ b'1'..=b'9', b @ b'0'..=b'9'] => 10 * (a - b'0') + (b - b'0'),
            [a @ b'1'..=b'2', b @ b'0'..=b'9', c @ b'0'..=b'9'] => (100 * (a - b'0'))
                .checked_add(10 * (b - b'0'))?
                .checked_add(c - b'0')?,
            _ => return None,
        };
    }
    parts.next().is_none().then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_is_what_percent_d_prints() {
        for (text, value) in [("0", 0), ("7", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(unsigned(text.as_bytes()), Some(value));
        }
        for text in [
            "",
            "01",
            "-1",
            "+1",
            "1 ",
            "x",
            "18446744073709551616",
            "/",
            ":",
        ] {
            assert_eq!(unsigned(text.as_bytes()), None, "{text}");
        }
        assert_eq!(unsigned32(b"4294967296"), None);
    }

    #[test]
    fn fixed_stops_after_its_decimals() {
        let read = |text: &str| fixed(text.as_bytes(), 3).map(|f| (f.value, f.length));
        assert_eq!(read("10000.00020656"), Some((10000.0, 9)));
        assert_eq!(read("-0.001   1"), Some((-0.001, 6)));
        for text in [
            "", "-", ".5", "1.23", "1.23x", "00.000", "1", "--1.000", "1e5.000",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn fixed_rounds_as_the_standard_library_does() {
        for text in [
            "0.1",
            "0.123456",
            "9007199254.740993",
            "123456789012.345",
            "99999999999999999999.5",
            "0.123456789",
            "1.0000000001",
            "-3.14",
        ] {
            let decimals = text.len() - text.find('.').unwrap() - 1;
            assert_eq!(
                fixed(text.as_bytes(), decimals).map(|f| f.value),
                text.parse().ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_of_both_families() {
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "10.244.1.17",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(address(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "299.1.1.1",
            "01.2.3.4",
            "1.2.3.",
            ":",
            "[::1]",
        ] {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
    }
}
