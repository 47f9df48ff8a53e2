//! One answer of HTTP/1.1 as it comes in, piece by piece; its body is counted and let go.

use httparse::Status;

/// The largest head of an answer, in bytes.
const HEAD_MAX: usize = 64 << 10;

/// The most header lines of an answer.
const HEADERS_MAX: usize = 100;

/// An answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    /// So many bytes of the body are left.
    Length(u64),
    /// The size of a chunk.
    ChunkSize,
    /// So many bytes of a chunk and its line end are left.
    Chunk(u64),
    /// Lines after the last chunk, until an empty one.
    Trailer,
    /// Everything until the connection ends.
    UntilClosed,
}

/// A whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) status: u16,
    /// `true` where another request may follow on the same connection.
    pub(super) keeps: bool,
}

/// An answer that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    part: Part,
    whole: Whole,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            part: Part::Head,
            whole: Whole {
                status: 0,
                keeps: false,
            },
        }
    }
}

/// The end of the first line in `bytes`, its line feed included.
fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|at| at + 1)
}

impl Answer {
    /// Takes in bytes: how many of them were used, and the answer where it is whole. Bytes that are
    /// not used have to be shown again with those that follow.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Whole>), Malformed> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let (step, done) = match self.part {
                Part::Head => match self.head(rest)? {
                    Some(step) => step,
                    None => return Ok((used, None)),
                },
                Part::Length(left) => {
                    let step = left.min(rest.len() as u64);
                    self.part = Part::Length(left - step);
                    (step as usize, left == step)
                }
                Part::ChunkSize => match self.chunk_size(rest)? {
                    Some(step) => (step, false),
                    None => return Ok((used, None)),
                },
                Part::Chunk(left) => {
                    let step = left.min(rest.len() as u64);
                    self.part = match left - step {
                        0 => Part::ChunkSize,
                        more => Part::Chunk(more),
                    };
                    (step as usize, false)
                }
                Part::Trailer => match line_end(rest) {
                    Some(step) => (step, rest[..step].iter().all(|b| b"\r\n".contains(b))),
                    None if rest.len() > HEAD_MAX => return Err(Malformed),
                    None => return Ok((used, None)),
                },
                Part::UntilClosed => (rest.len(), false),
            };
            used += step;
            if done {
                let whole = self.whole;
                *self = Self::default();
                return Ok((used, Some(whole)));
            }
            if used == bytes.len() {
                return Ok((used, None));
            }
        }
    }

    /// The answer where it is whole because the connection has ended.
    pub(super) fn closed(&self) -> Option<Whole> {
        (self.part == Part::UntilClosed).then_some(Whole {
            keeps: false,
            ..self.whole
        })
    }

    /// Bytes of the head, and whether the answer is whole with them.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<(usize, bool)>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let Status::Complete(length) = parsed.parse(bytes).map_err(|_| Malformed)? else {
            return if bytes.len() > HEAD_MAX {
                Err(Malformed)
            } else {
                Ok(None)
            };
        };
        let status = parsed.code.ok_or(Malformed)?;
        if (100..200).contains(&status) {
            // The answer itself follows.
            return Ok(Some((length, false)));
        }
        let mut keeps = parsed.version == Some(1);
        let (mut body, mut chunked) = (None, false);
        for header in parsed.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let text = std::str::from_utf8(header.value).map_err(|_| Malformed)?;
                body = Some(text.trim().parse::<u64>().map_err(|_| Malformed)?);
            } else if is("transfer-encoding") {
                chunked = has_word(header.value, "chunked");
            } else if is("connection") {
                if has_word(header.value, "close") {
                    keeps = false;
                } else if has_word(header.value, "keep-alive") {
                    keeps = true;
                }
            }
        }
        self.whole = Whole { status, keeps };
        self.part = match body {
            _ if status == 204 || status == 304 => Part::Length(0),
            _ if chunked => Part::ChunkSize,
            Some(bytes) => Part::Length(bytes),
            None => Part::UntilClosed,
        };
        Ok(Some((length, self.part == Part::Length(0))))
    }

    /// Bytes of a chunk's first line.
    fn chunk_size(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        match httparse::parse_chunk_size(bytes).map_err(|_| Malformed)? {
            Status::Complete((length, 0)) => {
                self.part = Part::Trailer;
                Ok(Some(length))
            }
            Status::Complete((length, size)) => {
                self.part = Part::Chunk(size.checked_add(2).ok_or(Malformed)?);
                Ok(Some(length))
            }
            Status::Partial => Ok(None),
        }
    }
}

/// `true` where a word stands in a list of words between commas.
fn has_word(value: &[u8], word: &str) -> bool {
    let mut words = value.split(|b| *b == b',');
    words.any(|w| w.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text in pieces of every size and tells each answer; what is left is shown again, as a
    /// connection does.
    fn read(text: &str) -> Vec<Result<Whole, Malformed>> {
        let mut told: Option<Vec<Result<Whole, Malformed>>> = None;
        for size in 1..=text.len() {
            let (mut answer, mut pending, mut all) = (Answer::default(), Vec::new(), Vec::new());
            'text: for piece in text.as_bytes().chunks(size) {
                pending.extend_from_slice(piece);
                loop {
                    match answer.take(&pending) {
                        Err(error) => {
                            all.push(Err(error));
                            break 'text;
                        }
                        Ok((used, whole)) => {
                            pending.drain(..used);
                            match whole {
                                Some(whole) => all.push(Ok(whole)),
                                None => break,
                            }
                            if pending.is_empty() {
                                break;
                            }
                        }
                    }
                }
            }
            all.extend(answer.closed().map(Ok));
            let first = told.get_or_insert_with(|| all.clone());
            assert_eq!(*first, all, "pieces of {size} bytes");
        }
        told.unwrap()
    }

    fn ok(status: u16, keeps: bool) -> Result<Whole, Malformed> {
        Ok(Whole { status, keeps })
    }

    #[test]
    fn bodies_end_where_the_head_says() {
        for (text, want) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 503 Busy\r\ncontent-length: 0\r\nConnection: close\r\n\r\n",
                vec![ok(200, true), ok(503, false)],
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n4;x=y\r\nwiki\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
                vec![ok(200, true), ok(204, true)],
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
                vec![ok(200, true)],
            ),
            ("HTTP/1.0 404 No\r\n\r\nuntil the end", vec![ok(404, false)]),
            (
                "HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n",
                vec![ok(304, true)],
            ),
        ] {
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "SSH-2.0-x\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        ] {
            assert_eq!(read(text), [Err(Malformed)], "{text}");
        }
        let long = vec![b'a'; HEAD_MAX + 2];
        let mut head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        head.extend(long);
        assert_eq!(Answer::default().take(&head), Err(Malformed));
    }

    #[test]
    fn a_cut_answer_is_not_whole() {
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour"), []);
        assert_eq!(read("HTTP/1.1 200 O"), []);
    }
}
