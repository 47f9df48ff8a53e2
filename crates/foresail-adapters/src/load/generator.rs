//! The open-loop generator: one thread, many connections, one loop.
//!
//! A request that is due goes out on a free connection of the server whose turn it is, or on a new
//! one; where all are taken it waits, and its waiting counts. What becomes of each is told to a
//! [`Sink`] with the times at which it was due, was sent and ended.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use foresail_core::quantity::time::Span;
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use super::answer::Whole;
use super::arrivals::{Arrivals, Gaps, Shape};
use super::connection::{Connection, Heard, Request};
use super::targets::Targets;

/// Requests that are sent before the sockets are looked at again: a longer row would make those late
/// whose answers are there.
const SENDS_MAX: usize = 64;

/// Time between two looks for what has taken too long.
const SWEEP: i64 = 5_000_000;

/// Time between two looks whether to stop.
const STOP_LOOK: i64 = 50_000_000;

/// How long requests under way are waited for once the generator was told to stop.
const GRACE: i64 = 1_000_000_000;

/// Bytes that one read takes at most.
const READ_MAX: usize = 64 << 10;

/// What is sent.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The rate over time.
    pub shape: &'a Shape,
    /// Evenly or by chance.
    pub gaps: Gaps,
    /// The bytes of every request.
    pub request: &'a [u8],
    /// From when it was due to the end of its answer, at most.
    pub timeout: Span,
    /// The most connections at once, to all servers together.
    pub connections: usize,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// An answer with this status.
    Answered(u16),
    /// No connection to the server.
    NoConnection,
    /// The connection ended before the answer.
    Cut,
    /// What came was no HTTP/1.1.
    Malformed,
    /// Sent, and not answered in time.
    TimedOut,
    /// Not sent in time: no connection was free, or no server was there.
    Unsent,
    /// The generator was told to stop.
    Interrupted,
}

/// One request from its being due to its end; times in nanoseconds from the begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which server, as [`Sink::target`] told it; `None` where it never got that far.
    pub target: Option<usize>,
    /// When it was due.
    pub due: i64,
    /// When its first byte was written, if it was.
    pub sent: Option<i64>,
    /// When its answer was whole, or it failed.
    pub ended: i64,
    /// What became of it.
    pub what: What,
}

/// Who is told.
pub trait Sink {
    /// A server that was not there before; its number counts up from 0.
    fn target(&mut self, index: usize, name: &str);
    /// A request has come to its end.
    fn outcome(&mut self, outcome: &Outcome);
    /// A request goes out a second time, its connection having been closed before it.
    fn resent(&mut self);
}

/// Sends what a plan says to servers that may change, and returns when all of it has ended.
/// `stop` is asked often whether to send no more; what is under way then gets a second.
///
/// Returns the time from its begin to its end.
///
/// # Errors
/// Where the system gives no way to wait for sockets.
pub fn run(
    plan: Plan<'_>,
    targets: &Targets,
    sink: &mut impl Sink,
    stop: &dyn Fn() -> bool,
) -> io::Result<Duration> {
    let mut events = Events::with_capacity(1024);
    let mut generator = Generator::new(&plan, targets, sink)?;
    let mut arrivals = Arrivals::new(plan.shape, plan.gaps);
    let mut next = arrivals.next();
    let (mut sweep_at, mut look_at, mut end_at) = (0, 0, None);
    loop {
        let now = generator.now();
        if now >= look_at {
            look_at = now + STOP_LOOK;
            if end_at.is_none() && stop() {
                next = None;
                end_at = Some(now + GRACE);
                generator.give_up_waiting();
            }
        }
        generator.follow_targets();
        while let Some(due) = next.filter(|due| *due <= now) {
            generator.due(due);
            next = arrivals.next();
        }
        let more = generator.send();
        if now >= sweep_at {
            sweep_at = now + SWEEP;
            generator.sweep(now);
        }
        if end_at.is_some_and(|end| now >= end) {
            generator.give_up_all();
        }
        if next.is_none() && generator.is_empty() {
            return Ok(generator.begin.elapsed());
        }
        let until = next.map_or(sweep_at, |due| due.min(sweep_at));
        let wait = if more { 0 } else { until - generator.now() };
        generator.listen(&mut events, wait)?;
    }
}

/// One server.
#[derive(Debug)]
struct Host {
    address: SocketAddr,
    /// Connections without a request; the last one used is taken first.
    idle: Vec<usize>,
    /// All of its connections.
    open: usize,
    /// `false` once it has left the list.
    listed: bool,
}

struct Generator<'a, S> {
    poll: Poll,
    begin: Instant,
    request: &'a [u8],
    timeout: i64,
    connections: usize,
    targets: &'a Targets,
    version: u64,
    hosts: Vec<Host>,
    /// Hosts of the list, and whose turn it is.
    turns: Vec<usize>,
    turn: usize,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    waiting: VecDeque<Request>,
    /// Connections with a request.
    busy: usize,
    scratch: Vec<u8>,
    sink: &'a mut S,
}

impl<'a, S: Sink> Generator<'a, S> {
    fn new(plan: &Plan<'a>, targets: &'a Targets, sink: &'a mut S) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            begin: Instant::now(),
            request: plan.request,
            timeout: plan.timeout.nanos(),
            connections: plan.connections.max(1),
            targets,
            version: 0,
            hosts: Vec::new(),
            turns: Vec::new(),
            turn: 0,
            slots: Vec::new(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            busy: 0,
            scratch: vec![0; READ_MAX],
            sink,
        })
    }

    fn now(&self) -> i64 {
        i64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.busy == 0
    }

    /// Takes in a list of servers that has changed.
    fn follow_targets(&mut self) {
        let version = self.targets.version();
        if version == self.version {
            return;
        }
        self.version = version;
        let list = self.targets.list();
        self.turns.clear();
        for target in &list {
            let known = self.hosts.iter().position(|h| h.address == target.address);
            let index = known.unwrap_or_else(|| {
                self.sink.target(self.hosts.len(), &target.name);
                self.hosts.push(Host {
                    address: target.address,
                    idle: Vec::new(),
                    open: 0,
                    listed: true,
                });
                self.hosts.len() - 1
            });
            self.turns.push(index);
        }
        self.turn = 0;
        for index in 0..self.hosts.len() {
            self.hosts[index].listed = self.turns.contains(&index);
            if !self.hosts[index].listed {
                for slot in std::mem::take(&mut self.hosts[index].idle) {
                    self.close(slot);
                }
            }
        }
    }

    fn due(&mut self, due: i64) {
        self.waiting.push_back(Request {
            due,
            sent: None,
            again: false,
        });
    }

    /// Sends what waits; `true` where more could be sent at once.
    fn send(&mut self) -> bool {
        for _ in 0..SENDS_MAX {
            let Some(&request) = self.waiting.front() else {
                return false;
            };
            let Some((host, slot)) = self.place() else {
                return false;
            };
            self.waiting.pop_front();
            match slot {
                Some(slot) => self.send_on(slot, request),
                None => self.open(host, request),
            }
        }
        !self.waiting.is_empty()
    }

    /// The server whose turn it is with a free connection of it, or leave to open one; where neither
    /// is to be had, the next server that has a free one.
    fn place(&mut self) -> Option<(usize, Option<usize>)> {
        let count = self.turns.len();
        for step in 0..count {
            let turn = (self.turn + step) % count;
            let host = self.turns[turn];
            let slot = self.hosts[host].idle.pop();
            if slot.is_some() || self.may_open(host) {
                self.turn = (turn + 1) % count;
                return Some((host, slot));
            }
        }
        None
    }

    /// `true` where a server may get a connection more. Where there are as many as there may be, one
    /// that has less than its share gets that of another which lies idle: a pod that comes late, when
    /// the others have them all, would wait for ever.
    fn may_open(&mut self, host: usize) -> bool {
        if self.slots.len() - self.free.len() < self.connections {
            return true;
        }
        let mine = self.hosts[host].open;
        if mine * self.turns.len() >= self.connections {
            return false;
        }
        let others = (0..self.hosts.len()).filter(|h| !self.hosts[*h].idle.is_empty());
        let Some(most) = others.max_by_key(|h| self.hosts[*h].open) else {
            return false;
        };
        if self.hosts[most].open <= mine {
            return false;
        }
        // The one that has been idle for longest.
        let slot = self.hosts[most].idle.remove(0);
        self.close(slot);
        true
    }

    fn send_on(&mut self, slot: usize, request: Request) {
        let begin = self.begin;
        let Some(connection) = self.slots[slot].as_mut() else {
            return;
        };
        self.busy += 1;
        connection.next(request);
        if connection.write(self.request, clock(begin)).is_err() {
            self.fail(slot, What::Cut);
        }
    }

    fn open(&mut self, host: usize, request: Request) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let opened =
            Connection::begin(host, self.hosts[host].address, request).and_then(|mut c| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                let registry = self.poll.registry();
                registry.register(&mut c.stream, Token(slot), interest)?;
                Ok(c)
            });
        match opened {
            Ok(connection) => {
                self.slots[slot] = Some(connection);
                self.hosts[host].open += 1;
                self.busy += 1;
            }
            Err(_) => {
                self.free.push(slot);
                self.tell(Some(host), request, What::NoConnection);
            }
        }
    }

    /// Waits until a socket has something or so many nanoseconds have passed, and takes in what came.
    fn listen(&mut self, events: &mut Events, nanos: i64) -> io::Result<()> {
        if nanos > 0 && !ready(&self.poll, nanos)? {
            return Ok(());
        }
        match self.poll.poll(events, Some(Duration::ZERO)) {
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        events.iter().for_each(|event| self.take(event));
        Ok(())
    }

    fn take(&mut self, event: &Event) {
        let Token(slot) = event.token();
        let begin = self.begin;
        let Some(connection) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if connection.request.is_none() {
            // The server has ended it between two requests, or says what nobody asked.
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                let target = connection.target;
                self.hosts[target].idle.retain(|idle| *idle != slot);
                self.close(slot);
            }
            return;
        }
        match connection.is_connected() {
            Err(_) => return self.fail(slot, What::NoConnection),
            Ok(false) => return,
            Ok(true) => {}
        }
        if event.is_writable() && connection.write(self.request, clock(begin)).is_err() {
            return self.fail(slot, What::Cut);
        }
        if !(event.is_readable() || event.is_read_closed()) {
            return;
        }
        match connection.read(&mut self.scratch, event.is_read_closed()) {
            Heard::More => {}
            Heard::Whole(whole) => self.finish(slot, whole),
            Heard::Cut => self.fail(slot, What::Cut),
            Heard::Malformed => self.fail(slot, What::Malformed),
        }
    }

    fn finish(&mut self, slot: usize, whole: Whole) {
        let Some(connection) = self.slots[slot].as_mut() else {
            return;
        };
        connection.carried += 1;
        let (target, request) = (connection.target, connection.request.take());
        self.busy -= 1;
        if whole.keeps && self.hosts[target].listed {
            self.hosts[target].idle.push(slot);
        } else {
            self.close(slot);
        }
        if let Some(request) = request {
            self.tell(Some(target), request, What::Answered(whole.status));
        }
    }

    /// Ends a connection whose request has failed. A request on a kept connection that the server
    /// had closed is sent once more: it never saw it.
    fn fail(&mut self, slot: usize, what: What) {
        let Some(mut connection) = self.slots[slot].take() else {
            return;
        };
        self.release(slot, &mut connection);
        self.busy -= 1;
        let Some(request) = connection.request else {
            return;
        };
        if what == What::Cut && connection.carried > 0 && !connection.heard && !request.again {
            self.sink.resent();
            self.waiting.push_front(Request {
                again: true,
                ..request
            });
            return;
        }
        self.tell(Some(connection.target), request, what);
    }

    fn tell(&mut self, target: Option<usize>, request: Request, what: What) {
        let outcome = Outcome {
            target,
            due: request.due,
            sent: request.sent,
            ended: self.now(),
            what,
        };
        self.sink.outcome(&outcome);
    }

    fn close(&mut self, slot: usize) {
        if let Some(mut connection) = self.slots[slot].take() {
            self.release(slot, &mut connection);
        }
    }

    fn release(&mut self, slot: usize, connection: &mut Connection) {
        // It is closed right after: a registry that has lost it has nothing to tell of it.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        self.hosts[connection.target].open -= 1;
        self.free.push(slot);
    }

    /// Ends what has taken too long.
    fn sweep(&mut self, now: i64) {
        let over = now - self.timeout;
        while let Some(request) = self.waiting.front().copied().filter(|r| r.due <= over) {
            self.waiting.pop_front();
            self.tell(None, request, What::Unsent);
        }
        for slot in 0..self.slots.len() {
            let request = self.slots[slot].as_ref().and_then(|c| c.request);
            if request.is_some_and(|r| r.due <= over) {
                self.fail(slot, What::TimedOut);
            }
        }
    }

    fn give_up_waiting(&mut self) {
        while let Some(request) = self.waiting.pop_front() {
            self.tell(None, request, What::Interrupted);
        }
    }

    fn give_up_all(&mut self) {
        self.give_up_waiting();
        for slot in 0..self.slots.len() {
            if self.slots[slot]
                .as_ref()
                .is_some_and(|c| c.request.is_some())
            {
                self.fail(slot, What::Interrupted);
            }
        }
    }
}

/// Nanoseconds since a begin, when asked.
fn clock(begin: Instant) -> impl Fn() -> i64 {
    move || i64::try_from(begin.elapsed().as_nanos()).unwrap_or(i64::MAX)
}

/// `true` where a socket has something within so many nanoseconds. The poll's own wait counts in
/// milliseconds, which would make every request late by one.
#[cfg(target_os = "linux")]
fn ready(poll: &Poll, nanos: i64) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut sockets = [PollFd::new(poll.registry(), PollFlags::IN)];
    let limit = Timespec {
        tv_sec: nanos / 1_000_000_000,
        tv_nsec: nanos % 1_000_000_000,
    };
    match rustix::event::poll(&mut sockets, Some(&limit)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Elsewhere it is asked every tenth of a millisecond.
#[cfg(not(target_os = "linux"))]
fn ready(_poll: &Poll, nanos: i64) -> io::Result<bool> {
    std::thread::sleep(Duration::from_nanos(nanos.clamp(0, 100_000).unsigned_abs()));
    Ok(true)
}
