//! How records are found: every key begins with its object, whose length goes first, so that no
//! object's keys lie among another's.

use foresail_core::quantity::time::Timestamp;

use super::error::Refusal;
use super::record::Kind;

/// The longest name of an object, in bytes.
const UID_BYTES_MAX: usize = 128;

/// Longer than any tail of a key, and after each.
const AFTER_ALL: [u8; 24] = [0xff; 24];

/// Checks an object's name.
///
/// # Errors
/// [`Refusal::Uid`] where it is empty, too long, or not of printable ASCII.
pub(super) fn check_uid(uid: &str) -> Result<(), Refusal> {
    let good =
        (1..=UID_BYTES_MAX).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_graphic());
    if good {
        return Ok(());
    }
    let shown = uid.chars().take(40).flat_map(char::escape_debug).collect();
    Err(Refusal::Uid(shown))
}

/// What all keys of an object begin with. The name must have been checked.
pub(super) fn of_object(uid: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + uid.len() + AFTER_ALL.len());
    key.push(uid.len() as u8);
    key.extend_from_slice(uid.as_bytes());
    key
}

/// The first and the last key that begin with `prefix`.
pub(super) fn span(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (prefix.to_vec(), [prefix, &AFTER_ALL].concat())
}

/// The object of a key.
pub(super) fn object(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first()?;
    std::str::from_utf8(rest.get(..usize::from(*length))?).ok()
}

/// The tail of a key after its object.
fn tail(key: &[u8]) -> Option<&[u8]> {
    let (length, rest) = key.split_first()?;
    rest.get(usize::from(*length)..)
}

/// A key that counts.
pub(super) fn numbered(uid: &str, number: u64) -> Vec<u8> {
    let mut key = of_object(uid);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number of a key that counts.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    let bytes = tail(key)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

/// The key of an intent: in the order of epoch and number.
pub(super) fn intent(uid: &str, epoch: u64, seq: u64) -> Vec<u8> {
    let mut key = numbered(uid, epoch);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// What the keys of an object's rows of one kind begin with.
pub(super) fn of_rows(uid: &str, kind: Kind) -> Vec<u8> {
    let mut key = of_object(uid);
    key.push(kind.code());
    key
}

/// The key of the block that holds a row.
pub(super) fn block(uid: &str, kind: Kind, at: Timestamp) -> Vec<u8> {
    let mut key = of_rows(uid, kind);
    let number = at.nanos().div_euclid(kind.block().nanos());
    // The flipped sign puts times before 1970 first.
    key.extend_from_slice(&(number as u64 ^ (1 << 63)).to_be_bytes());
    key
}

/// Kind and begin of a block's key.
pub(super) fn block_of(key: &[u8]) -> Option<(Kind, Timestamp)> {
    let (code, number) = tail(key)?.split_first()?;
    let kind = Kind::ALL.into_iter().find(|k| k.code() == *code)?;
    let number = (u64::from_be_bytes(number.try_into().ok()?) ^ (1 << 63)) as i64;
    let begin = number.saturating_mul(kind.block().nanos());
    Some((kind, Timestamp::from_nanos(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_object_lie_together_and_in_order() {
        let at = |s| Timestamp::from_seconds(s);
        let mut keys = vec![
            block("ab", Kind::Demand, at(-7200)),
            block("ab", Kind::Demand, at(-1)),
            block("ab", Kind::Demand, at(0)),
            block("ab", Kind::Demand, at(3600)),
            block("ab", Kind::Score, at(-900)),
            block("ab", Kind::Score, at(i64::MAX)),
            block("abc", Kind::Demand, at(0)),
            block("b", Kind::Demand, at(0)),
        ];
        let written = keys.clone();
        keys.sort();
        let (first, last) = span(&of_object("ab"));
        let of_ab: Vec<_> = keys
            .into_iter()
            .filter(|k| (&first..=&last).contains(&k))
            .collect();
        assert_eq!(of_ab, written[..6]);
        assert_eq!(block_of(&written[1]), Some((Kind::Demand, at(-3600))));
        assert_eq!(block_of(&written[4]), Some((Kind::Score, at(-900))));
        assert_eq!(object(&written[6]), Some("abc"));
    }

    #[test]
    fn intents_are_in_the_order_of_epoch_and_number() {
        let keys = [(1, 9), (2, 0), (2, 1), (256, 0), (u64::MAX, u64::MAX)];
        let written: Vec<_> = keys.iter().map(|(e, s)| intent("u", *e, *s)).collect();
        assert!(written.is_sorted());
        assert!(span(&of_object("u")).1 > written[4]);
        assert_eq!(number(&numbered("u", 77)), Some(77));
    }

    #[test]
    fn names_that_could_not_be_keys_are_refused() {
        for bad in ["", "a b", "a\0", "ä", &"x".repeat(129)] {
            assert!(check_uid(bad).is_err(), "{bad}");
        }
        assert_eq!(check_uid(&"x".repeat(128)), Ok(()));
    }
}
