//! Rows of one hour in one blob: `{varint of the time since the row before, varint length, bytes}`.

use std::collections::BTreeMap;

use foresail_core::quantity::time::Timestamp;

/// The rows of a block, by their time.
pub(super) type Rows = BTreeMap<Timestamp, Vec<u8>>;

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        let moved = part.checked_shl(shift)?;
        if moved >> shift != part {
            return None;
        }
        number |= moved;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Writes rows that begin at `begin` or later.
pub(super) fn write(begin: Timestamp, rows: &Rows) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut before = begin.nanos();
    for (at, row) in rows {
        put(&mut bytes, at.nanos().wrapping_sub(before) as u64);
        before = at.nanos();
        put(&mut bytes, row.len() as u64);
        bytes.extend_from_slice(row);
    }
    bytes
}

/// Reads what [`write`] wrote; `None` where it is anything else.
pub(super) fn read(begin: Timestamp, mut bytes: &[u8]) -> Option<Rows> {
    let mut rows = Rows::new();
    let mut at = begin.nanos();
    while !bytes.is_empty() {
        at = at.wrapping_add(take(&mut bytes)? as i64);
        let length = usize::try_from(take(&mut bytes)?).ok()?;
        let (row, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        rows.insert(Timestamp::from_nanos(at), row.to_vec());
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_cut_ones_do_not() {
        let begin = Timestamp::from_seconds(3600);
        let rows: Rows = [(3600, 0), (3660, 5), (3661, 300), (7199, 1)]
            .map(|(s, n)| (Timestamp::from_seconds(s), vec![7; n]))
            .into();
        let bytes = write(begin, &rows);
        assert_eq!(read(begin, &bytes), Some(rows));
        assert_eq!(read(begin, &bytes[..bytes.len() - 1]), None);
        assert_eq!(read(begin, &[0xff; 30]), None);
        assert_eq!(read(begin, &[]), Some(Rows::new()));
    }
}
