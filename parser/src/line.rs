//! A parsed line as JSON, for whoever reads recorded output.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::record::{Clock, Record};
use crate::{Probe, wire};

/// A record without the who and where of the wire's envelope: `probe`, `sys_time` where the tool
/// printed a clock, its columns, and `hex` as in [`wire::Envelope`].
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The wall clock that the tool printed.
    pub sys_time: Option<Clock>,
    /// The columns.
    pub record: Record,
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Members<'a> {
            probe: Probe,
            #[serde(skip_serializing_if = "Option::is_none")]
            sys_time: Option<Clock>,
            #[serde(flatten)]
            record: &'a Record,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            hex: BTreeMap<&'static str, String>,
        }
        Members {
            probe: self.record.probe(),
            sys_time: self.sys_time,
            record: &self.record,
            hex: wire::hex_members(&self.record),
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Tcpaccept;

    #[test]
    fn is_the_columns_and_the_bytes_that_json_cannot_hold() {
        let line = Line {
            sys_time: Clock::new(1, 2, 3),
            record: Record::Tcpaccept(Tcpaccept {
                time_s: None,
                pid: 7,
                comm: b"\xff".into(),
                ip: 4,
                raddr: [127, 0, 0, 1].into(),
                rport: Some(8),
                laddr: [127, 0, 0, 2].into(),
                lport: 9,
            }),
        };
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            "{\"probe\":\"tcpaccept\",\"sys_time\":\"01:02:03\",\"pid\":7,\"comm\":\"\u{fffd}\",\"ip\":4,\
             \"raddr\":\"127.0.0.1\",\"rport\":8,\"laddr\":\"127.0.0.2\",\"lport\":9,\"hex\":{\"comm\":\"ff\"}}"
        );
    }
}
