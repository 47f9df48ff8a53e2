//! The one form in which anything lies in the file: `{u16 form, u32 crc32, u8 codec, bytes}`.
//!
//! The database checks its pages when it is opened and never again, so that every blob carries its
//! own sum. The sum covers the table and the key too: a blob that turns up in another place is
//! damaged, not another record's content. Only bytes are stored, never a type of the database, whose
//! encoding may change with its next version.

use std::cell::RefCell;
use std::io::Read;

use flate2::read::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

/// The form of blobs that is written; a file with a newer one is not touched.
pub const FORM: u16 = 1;

/// The largest record that is taken and given back, in bytes before it is packed.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Shorter records are not worth packing.
const PACKED_FROM_BYTES: usize = 128;

/// Bytes before the codec: form and sum.
const HEAD: usize = 6;

const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

thread_local! {
    /// A compressor holds 300 KB, which to fetch for each record takes longer than to pack it.
    static PACKER: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// The bytes packed, their codec in front; `None` where that is not smaller.
fn deflated(bytes: &[u8]) -> Option<Vec<u8>> {
    // What does not fit in here is no smaller.
    let mut packed = Vec::with_capacity(bytes.len());
    packed.push(DEFLATED);
    let status = PACKER.with_borrow_mut(|packer| {
        packer.reset();
        packer.compress_vec(bytes, &mut packed, FlushCompress::Finish)
    });
    matches!(status, Ok(Status::StreamEnd)).then_some(packed)
}

/// A record with its codec in front, packed where that makes it smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed(Vec<u8>);

impl Packed {
    /// Packs a record.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let packed = (bytes.len() >= PACKED_FROM_BYTES).then(|| deflated(bytes));
        match packed.flatten() {
            Some(packed) => Self(packed),
            None => Self::plain(bytes),
        }
    }

    /// The record as it is, for what is soon written again.
    pub(super) fn plain(bytes: &[u8]) -> Self {
        let mut plain = Vec::with_capacity(bytes.len() + 1);
        plain.push(PLAIN);
        plain.extend_from_slice(bytes);
        Self(plain)
    }
}

/// Why a blob is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlobError {
    /// Not even a head.
    #[error("it has {0} bytes, fewer than a head")]
    Short(usize),
    /// The sum over table, key and bytes is another.
    #[error("its sum is wrong")]
    Sum,
    /// Whole, but of a form that this version does not know.
    #[error("its form is {0}, which this version does not know")]
    Form(u16),
    /// Whole, but packed in an unknown way or not to be unpacked.
    #[error("it cannot be unpacked")]
    Codec,
}

fn sum(table: &str, key: &[u8], form: u16, packed: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(table.as_bytes());
    sum.update(&[0]);
    sum.update(&(key.len() as u64).to_le_bytes());
    sum.update(key);
    sum.update(&form.to_le_bytes());
    sum.update(packed);
    sum.finalize()
}

/// The blob of a record in its place.
pub(super) fn seal(table: &str, key: &[u8], record: &Packed) -> Vec<u8> {
    seal_as(FORM, table, key, record)
}

/// As [`seal`], in any form.
pub(super) fn seal_as(form: u16, table: &str, key: &[u8], record: &Packed) -> Vec<u8> {
    let mut blob = Vec::with_capacity(HEAD + record.0.len());
    blob.extend_from_slice(&form.to_le_bytes());
    blob.extend_from_slice(&sum(table, key, form, &record.0).to_le_bytes());
    blob.extend_from_slice(&record.0);
    blob
}

/// The record of a blob.
///
/// # Errors
/// [`BlobError`] where it is not byte for byte what was written to this place.
pub(super) fn unseal(table: &str, key: &[u8], blob: &[u8]) -> Result<Vec<u8>, BlobError> {
    let short = || BlobError::Short(blob.len());
    let (form, rest) = blob.split_first_chunk::<2>().ok_or_else(short)?;
    let (told, packed) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (codec, bytes) = packed.split_first().ok_or_else(short)?;
    let form = u16::from_le_bytes(*form);
    if sum(table, key, form, packed) != u32::from_le_bytes(*told) {
        return Err(BlobError::Sum);
    }
    if form != FORM {
        return Err(BlobError::Form(form));
    }
    match *codec {
        PLAIN => Ok(bytes.to_vec()),
        DEFLATED => unpack(bytes),
        _ => Err(BlobError::Codec),
    }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, BlobError> {
    let mut record = Vec::new();
    // One byte more than is ever packed tells a record that grows beyond it.
    let most = RECORD_BYTES_MAX as u64 + 1;
    let read = DeflateDecoder::new(bytes)
        .take(most)
        .read_to_end(&mut record);
    match read {
        Ok(length) if length <= RECORD_BYTES_MAX => Ok(record),
        _ => Err(BlobError::Codec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_published_one() {
        // The check value of CRC-32/ISO-HDLC, over table, key and bytes as they are laid out.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let blob = seal("t", b"k", &Packed::plain(b"v"));
        let mut laid = b"t\0".to_vec();
        laid.extend(1_u64.to_le_bytes());
        laid.extend(b"k");
        laid.extend(FORM.to_le_bytes());
        laid.extend(b"\0v");
        assert_eq!(blob[..2], FORM.to_le_bytes());
        assert_eq!(blob[2..6], crc32fast::hash(&laid).to_le_bytes());
        assert_eq!(&blob[6..], b"\0v");
    }

    #[test]
    fn what_was_sealed_comes_back_and_nothing_else_does() {
        for length in [0, 1, 127, 128, 5000] {
            let record: Vec<u8> = (0..length).map(|i| (i % 7) as u8).collect();
            let blob = seal("rows", b"key", &Packed::new(&record));
            assert_eq!(unseal("rows", b"key", &blob), Ok(record.clone()));
            assert_eq!(unseal("rows", b"kez", &blob), Err(BlobError::Sum));
            assert_eq!(unseal("row", b"skey", &blob), Err(BlobError::Sum));
            for byte in 0..blob.len().min(200) {
                for bit in 0..8 {
                    let mut other = blob.clone();
                    other[byte] ^= 1 << bit;
                    assert!(unseal("rows", b"key", &other).is_err(), "{byte}.{bit}");
                }
            }
            for cut in 0..blob.len().min(200) {
                assert!(unseal("rows", b"key", &blob[..cut]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn a_newer_form_and_an_unknown_codec_are_told_apart_from_damage() {
        let newer = seal_as(FORM + 1, "t", b"k", &Packed::plain(b"v"));
        assert_eq!(unseal("t", b"k", &newer), Err(BlobError::Form(FORM + 1)));
        let odd = seal("t", b"k", &Packed(vec![9, 1, 2]));
        assert_eq!(unseal("t", b"k", &odd), Err(BlobError::Codec));
    }

    #[test]
    fn a_record_that_grows_without_end_is_cut() {
        let bomb = Packed::new(&vec![0; RECORD_BYTES_MAX + 1]);
        assert!(bomb.0.len() < 1 << 20);
        let blob = seal("t", b"k", &bomb);
        assert_eq!(unseal("t", b"k", &blob), Err(BlobError::Codec));
    }
}
