//! Files as they lie on disk: plain or gzip, told apart by their first bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{Source, TraceError};

/// Bytes read ahead.
const BUFFER: usize = 1 << 16;

/// Opens a file; gzip is decompressed as it is read.
///
/// # Errors
/// [`TraceError::Io`] where it cannot be opened.
pub fn open(path: &Path) -> Result<Source, TraceError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|e| TraceError::Io {
        file: name.clone(),
        source: e,
    })?;
    of_bytes(&name, file)
}

/// Decompresses bytes that begin like gzip; others are left as they are.
///
/// # Errors
/// [`TraceError::Io`] where the first bytes cannot be read.
pub fn of_bytes(name: &str, bytes: impl Read + 'static) -> Result<Source, TraceError> {
    let mut reader = BufReader::with_capacity(BUFFER, bytes);
    let begin = reader.fill_buf().map_err(|e| TraceError::io(name, e))?;
    if begin.starts_with(&[0x1f, 0x8b]) {
        let decoder = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader));
        return Ok(Source::new(name, Box::new(decoder)));
    }
    Ok(Source::new(name, Box::new(reader)))
}
