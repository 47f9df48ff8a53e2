//! Files as they lie on disk: plain, gzip or zstd, told apart by their first bytes; and as they are
//! written, told apart by the end of their names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{Source, TraceError};

/// Bytes read ahead.
const BUFFER: usize = 1 << 16;

/// Bytes of one zstd frame that is written.
const FRAME: usize = 1 << 20;

/// The largest window of a zstd stream, which is held while it is read; `zstd -19` needs 8 MiB.
const WINDOW_MAX: u64 = 32 << 20;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Opens a file; gzip and zstd are decompressed as they are read.
///
/// # Errors
/// [`TraceError::Io`] where it cannot be opened.
pub fn open(path: &Path) -> Result<Source, TraceError> {
    let name = path.display().to_string();
    let failed = |e| TraceError::Io {
        file: name.clone(),
        cause: e,
    };
    let file = File::open(path).map_err(failed)?;
    // The copy shares the place in the file: only a form that does not read the stream may use it.
    let copy = file.try_clone().map_err(failed)?;
    let (mut source, plain) = decompressed(&name, file)?;
    source.plain = plain.then_some(copy);
    Ok(source)
}

/// Decompresses bytes that begin like gzip or zstd; others are left as they are.
///
/// # Errors
/// [`TraceError::Io`] where the first bytes cannot be read.
pub fn of_bytes(name: &str, bytes: impl Read + 'static) -> Result<Source, TraceError> {
    Ok(decompressed(name, bytes)?.0)
}

/// The source, and whether its bytes are as they were.
fn decompressed(name: &str, bytes: impl Read + 'static) -> Result<(Source, bool), TraceError> {
    let mut reader = BufReader::with_capacity(BUFFER, bytes);
    let begin = reader.fill_buf().map_err(|e| TraceError::io(name, e))?;
    let inner: Box<dyn Read> = if begin.starts_with(&GZIP_MAGIC) {
        Box::new(MultiGzDecoder::new(reader))
    } else if begin.starts_with(&ZSTD_MAGIC) {
        Box::new(Zstd::new(reader))
    } else {
        return Ok((Source::new(name, Box::new(reader)), true));
    };
    let decoder = BufReader::with_capacity(BUFFER, inner);
    Ok((Source::new(name, Box::new(decoder)), false))
}

/// A reader that remembers that it came to its end.
struct Ended<R> {
    inner: R,
    ended: bool,
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

/// The bytes of zstd frames, one after another.
struct Zstd<R> {
    source: Ended<R>,
    decoder: FrameDecoder,
    /// `true` between the begin of a frame and its end.
    inside: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(inner: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_MAX);
        let source = Ended {
            inner,
            ended: false,
        };
        Self {
            source,
            decoder,
            inside: false,
        }
    }

    /// Begins the next frame; `false` at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.inner.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.source).take(u64::from(length));
                    io::copy(&mut skipped, &mut io::sink())?;
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(false)
    }

    /// An error of the decoder, told apart from a stream that ends too early.
    fn failed(&self, error: FrameDecoderError) -> io::Error {
        let kind = if self.source.ended {
            io::ErrorKind::UnexpectedEof
        } else {
            io::ErrorKind::InvalidData
        };
        io::Error::new(kind, error)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.inside && self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.inside && self.decoder.is_finished() {
                self.inside = false;
                self.check_sum()?;
            }
            if !self.inside && !self.next_frame()? {
                return Ok(0);
            }
            if !self.decoder.is_finished() {
                let blocks = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.source, blocks);
                decoded.map_err(|e| self.failed(e))?;
            }
        }
    }
}

impl<R> Zstd<R> {
    /// Whole frames with another sum than they tell are broken.
    fn check_sum(&self) -> io::Result<()> {
        let told = self.decoder.get_checksum_from_data();
        if told.is_some() && told != self.decoder.get_calculated_checksum() {
            let message = "the check sum of a zstd frame is wrong";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }
}

/// Writes through the compression that the end of the file's name tells: `.gz`, `.zst`, or none.
///
/// # Errors
/// What `fill` or the writer gives.
pub fn write_as(
    path: &Path,
    out: &mut (dyn Write + Send),
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> io::Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => {
            let mut encoder = GzEncoder::new(out, flate2::Compression::default());
            fill(&mut encoder)?;
            encoder.finish().map(|_| ())
        }
        Some("zst") => {
            let held = Vec::with_capacity(FRAME);
            let mut frames = Frames { out, held };
            fill(&mut frames)?;
            frames.flush()
        }
        _ => fill(out),
    }
}

/// Writes frames of a mebibyte each; together they are one zstd stream.
struct Frames<'a> {
    out: &'a mut (dyn Write + Send),
    held: Vec<u8>,
}

impl Write for Frames<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(FRAME - self.held.len());
        self.held.extend_from_slice(&bytes[..taken]);
        if self.held.len() == FRAME {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.held.is_empty() {
            let frame = compress_to_vec(self.held.as_slice(), CompressionLevel::Fastest);
            self.held.clear();
            self.out.write_all(&frame)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut source = of_bytes("f", io::Cursor::new(bytes)).unwrap();
        source.bytes.read_to_end(&mut out)?;
        Ok(out)
    }

    /// What `printf 'a,b\n1,2\n' | zstd --check` of the reference implementation (1.5.4) gives.
    const REFERENCE: [u8; 21] = [
        0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x41, 0x00, 0x00, 0x61, 0x2c, 0x62, 0x0a, 0x31, 0x2c,
        0x32, 0x0a, 0x35, 0xe7, 0xca, 0xce,
    ];

    fn written(name: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_as(Path::new(name), &mut out, |w| w.write_all(text)).unwrap();
        out
    }

    #[test]
    fn what_is_written_through_a_compression_reads_back_the_same() {
        let text: Vec<u8> = (0..3_000_000_u32)
            .map(|i| b"0,1\n29"[(i.wrapping_mul(i) >> 7) as usize % 6])
            .collect();
        for name in ["a.csv", "a.csv.gz", "a.csv.zst"] {
            let packed = written(name, &text);
            assert!(name == "a.csv" || packed.len() < text.len() / 2, "{name}");
            assert!(read(packed).unwrap() == text, "{name}");
        }
    }

    #[test]
    fn a_stream_of_the_reference_is_read_and_its_check_sum_minded() {
        assert_eq!(read(REFERENCE.into()).unwrap(), b"a,b\n1,2\n");
        let mut wrong = REFERENCE;
        wrong[20] ^= 1;
        let error = read(wrong.into()).unwrap_err().to_string();
        assert!(error.contains("check sum"), "{error}");
    }

    #[test]
    fn a_zstd_stream_may_have_many_frames_and_some_to_skip() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let mut stream = written("a.zst", b"one\n");
        stream.extend(skippable);
        stream.extend(written("a.zst", b"two\n"));
        assert_eq!(read(stream).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_stream_that_is_cut_short_is_told_apart_from_one_that_is_broken() {
        for name in ["a.gz", "a.zst"] {
            let mut whole = written(name, &vec![b'7'; 10_000]);
            let cut = whole[..whole.len() - 1].to_vec();
            let kind = read(cut).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::UnexpectedEof, "{name}");
            let middle = whole.len() / 2;
            whole[middle] ^= 0xff;
            assert!(read(whole).is_err(), "{name}");
        }
    }
}
