//! One connection to a server, with at most one request on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::answer::{Answer, Whole};

/// A request that is due, or under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// When it was due, in nanoseconds from the begin.
    pub(super) due: i64,
    /// When its first byte was written.
    pub(super) sent: Option<i64>,
    /// `true` for its second time, after a connection that the server had closed meanwhile.
    pub(super) again: bool,
}

/// What a look at a connection gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Not all yet.
    More,
    /// A whole answer.
    Whole(Whole),
    /// The other side has ended it, or it broke.
    Cut,
    /// What came is no HTTP.
    Malformed,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Which of the servers.
    pub(super) target: usize,
    pub(super) request: Option<Request>,
    /// Answers that it has brought.
    pub(super) carried: u64,
    /// `true` once a byte of the answer has come.
    pub(super) heard: bool,
    connected: bool,
    written: usize,
    answer: Answer,
    /// Bytes of an answer that say nothing without those that follow.
    pending: Vec<u8>,
}

impl Connection {
    /// Begins one with its first request.
    pub(super) fn begin(target: usize, address: SocketAddr, request: Request) -> io::Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(address)?,
            target,
            request: Some(request),
            carried: 0,
            heard: false,
            connected: false,
            written: 0,
            answer: Answer::default(),
            pending: Vec::new(),
        })
    }

    /// Gives it its next request.
    pub(super) fn next(&mut self, request: Request) {
        self.request = Some(request);
        self.written = 0;
        self.heard = false;
    }

    /// `true` once it is connected.
    pub(super) fn is_connected(&mut self) -> io::Result<bool> {
        if self.connected {
            return Ok(true);
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                // A request is one write: waiting for more would only delay it.
                self.stream.set_nodelay(true)?;
                self.connected = true;
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::NotConnected => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Writes what is left of the request; `now` is asked for as its first byte goes.
    pub(super) fn write(&mut self, bytes: &[u8], now: impl Fn() -> i64) -> io::Result<()> {
        let Some(request) = self.request.as_mut() else {
            return Ok(());
        };
        while self.written < bytes.len() {
            request.sent.get_or_insert_with(&now);
            match self.stream.write(&bytes[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads what is there. `closing` says that the other side has ended its half, which is told
    /// once and no more.
    pub(super) fn read(&mut self, scratch: &mut [u8], closing: bool) -> Heard {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return self.answer.closed().map_or(Heard::Cut, Heard::Whole),
                Ok(count) => count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Heard::More,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Heard::Cut,
            };
            self.heard = true;
            match self.take(&scratch[..count]) {
                Err(()) => return Heard::Malformed,
                Ok(Some(whole)) => {
                    let keeps = whole.keeps && !closing && self.pending.is_empty();
                    return Heard::Whole(Whole { keeps, ..whole });
                }
                // A short read has emptied the socket: what comes later is told anew.
                Ok(None) if count < scratch.len() && !closing => return Heard::More,
                Ok(None) => {}
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Option<Whole>, ()> {
        if self.pending.is_empty() {
            let (used, whole) = self.answer.take(bytes).map_err(|_| ())?;
            self.pending.extend_from_slice(&bytes[used..]);
            return Ok(whole);
        }
        self.pending.extend_from_slice(bytes);
        let (used, whole) = self.answer.take(&self.pending).map_err(|_| ())?;
        self.pending.drain(..used);
        Ok(whole)
    }
}
