//! Who leads, as a machine without a clock or a connection: events and the time in, actions out.
//!
//! The rules are those of client-go: read, then write against the version that was read; whether a
//! lease is over is judged by the own clock from the moment at which its last change was *seen*,
//! never by the times written in it. Beyond client-go: the holder believes in a renewal from the
//! moment at which it *asked* for it and for less time than others wait; the epoch stands in the
//! same write as the holder and only grows; a record that somebody else cleared, deleted or wrote in
//! our name is waited for like one that is held; a renewal that the server did not store, because
//! nothing in it changed, is none.
//! Source: kubernetes/client-go:tools/leaderelection/leaderelection.go, tryAcquireOrRenew.

use std::fmt;
use std::time::Duration;

use super::timing::Timing;

/// Counts leaderships; 0 is nobody's. It is the lease's `leaseTransitions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The least time by which two renewals differ, in microseconds, so that each changes the record.
const STEP_MICROS: i64 = 1;

/// What a lease that was given back lasts, in seconds; with no holder it may be taken at once.
/// Source: client-go, release: a duration of 1.
const GIVEN_BACK_SECONDS: u32 = 1;

/// What stands in the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// Who has it; empty where nobody.
    pub holder: String,
    /// For how long others shall wait.
    pub seconds: u32,
    /// How often it changed hands.
    pub epoch: Epoch,
    /// When it was taken, by the holder's clock, in microseconds since 1970.
    pub acquired: Option<i64>,
    /// When it was renewed, likewise.
    pub renewed: Option<i64>,
}

impl Record {
    /// Given back by its holder, or never held.
    fn is_free(&self) -> bool {
        let given_back = self.seconds == GIVEN_BACK_SECONDS;
        self.holder.is_empty() && (given_back || self.renewed.is_none())
    }
}

/// A record and the version at which it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// What stands in it.
    pub record: Record,
    /// The object's resourceVersion.
    pub version: String,
}

/// A leadership, as far as it is known to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// Which.
    pub epoch: Epoch,
    /// When the last renewal that was granted was asked for, on the own clock.
    pub renewed: Duration,
    /// Until when nobody else can lead, on the own clock.
    pub valid_until: Duration,
}

/// Both times of now.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The own clock.
    pub mono: Duration,
    /// The time of day in microseconds since 1970; only ever written, never judged by.
    pub wall: i64,
}

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The time that was waited for has come.
    Wake,
    /// The answer to an action with this number.
    Answer(u64, Answer),
    /// Give the lease back and end.
    Stop,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It was read, or written and this is what stands there.
    Seen(Seen),
    /// There is none.
    Missing,
    /// It moved since it was read.
    Conflict,
    /// No answer, or one that says nothing about what stands there.
    Failed,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ask the server, and tell the answer before `until`, else [`Answer::Failed`] then.
    Ask {
        /// Number of the question; one is open at a time.
        ticket: u64,
        /// What is asked.
        question: Question,
        /// When the answer is given up, on the own clock.
        until: Duration,
    },
    /// Wake at this time on the own clock, unless something comes before.
    Wait(Duration),
    /// We lead, or still do.
    Lead(Term),
    /// We lead no more.
    StepDown(Why),
    /// It is over.
    End,
}

/// What the server is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Read it.
    Get,
    /// Write it, if it still has the version of `base`.
    Put {
        /// What shall stand there.
        record: Record,
        /// The version that is replaced.
        base: String,
    },
    /// Make it, if there is none.
    Create(Record),
}

/// Why a leadership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// No renewal was granted in time.
    Expired,
    /// The lease is another's, or gone.
    Taken,
    /// It was given back.
    Stopped,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "no renewal was granted in time",
            Self::Taken => "the lease is another's or gone",
            Self::Stopped => "it was given back",
        })
    }
}

/// A question without an answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    ticket: u64,
    at: Duration,
    until: Duration,
    question: Question,
}

/// Where a candidate is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseState {
    identity: String,
    timing: Timing,
    chance: u64,
    /// What was seen last, `None` where there was no lease, and since when it is so.
    observed: Option<(Option<Seen>, Duration)>,
    /// What this process tried to write last, and what was stored of it last: only such a record of
    /// its own name is its own.
    tried: Option<Record>,
    stored: Option<Record>,
    term: Option<Term>,
    asked: Option<Asked>,
    tickets: u64,
    /// When the next try is due.
    next: Duration,
    /// The highest epoch that was ever seen.
    highest: Epoch,
    /// The last version may be stale: read before it is written.
    doubt: bool,
    stopping: bool,
    /// The one read before the lease is given back was made.
    looked: bool,
}

impl LeaseState {
    /// A candidate that has seen nothing. `identity` must be no other process's, not even one of the
    /// same name before; `seed` decides the jitter.
    #[must_use]
    pub fn new(identity: String, timing: Timing, seed: u64) -> Self {
        Self {
            identity,
            timing,
            chance: seed,
            observed: None,
            tried: None,
            stored: None,
            term: None,
            asked: None,
            tickets: 0,
            next: Duration::ZERO,
            highest: Epoch(0),
            doubt: true,
            stopping: false,
            looked: false,
        }
    }

    /// Epochs up to this one are over: the next leadership is above it whatever the lease says.
    pub fn raise_epoch(&mut self, seen: Epoch) {
        self.highest = self.highest.max(seen);
    }

    /// The leadership as far as it lasts at `now`.
    #[must_use]
    pub fn term(&self, now: Duration) -> Option<Term> {
        self.term.filter(|term| now < term.valid_until)
    }

    /// Takes in what came, and tells what is to be done.
    #[must_use]
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.term.is_some() && self.term(now.mono).is_none() {
            self.step_down(Why::Expired, &mut actions);
        }
        match event {
            Event::Wake => {}
            Event::Stop => {
                self.stopping = true;
                if self.term.is_some() {
                    self.step_down(Why::Stopped, &mut actions);
                }
            }
            Event::Answer(ticket, answer) => {
                if let Some(asked) = self.asked.take_if(|asked| asked.ticket == ticket) {
                    self.hear(&asked, answer, now, &mut actions);
                }
            }
        }
        if self
            .asked
            .as_ref()
            .is_some_and(|asked| now.mono >= asked.until)
        {
            self.asked = None;
            self.doubt = true;
        }
        self.go_on(now, &mut actions);
        actions
    }

    fn step_down(&mut self, why: Why, actions: &mut Vec<Action>) {
        self.term = None;
        actions.push(Action::StepDown(why));
    }

    /// The next question where none is open and one is due; else what is waited for.
    fn go_on(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let ended = actions.contains(&Action::End);
        if self.asked.is_none() && self.stopping && !ended {
            self.give_back(now, actions);
        } else if self.asked.is_none() && !ended && now.mono >= self.next {
            match (self.term, self.last_seen()) {
                (Some(term), Some(seen)) if !self.doubt => self.renew(&term, &seen, now, actions),
                _ => self.ask(Question::Get, now, actions),
            }
        }
        let mut until = self.next;
        if let Some(asked) = &self.asked {
            until = asked.until;
        }
        if let Some(term) = self.term {
            until = until.min(term.valid_until);
        }
        actions.push(Action::Wait(until));
    }

    fn last_seen(&self) -> Option<Seen> {
        self.observed.as_ref().and_then(|(seen, _)| seen.clone())
    }

    fn ask(&mut self, question: Question, now: Moment, actions: &mut Vec<Action>) {
        let mut until = now.mono + self.timing.request;
        if let Some(term) = self.term {
            until = until.min(term.valid_until);
        }
        self.tickets += 1;
        let ticket = self.tickets;
        if let Question::Put { record, .. } | Question::Create(record) = &question {
            self.tried = Some(record.clone());
        }
        self.asked = Some(Asked {
            ticket,
            at: now.mono,
            until,
            question: question.clone(),
        });
        actions.push(Action::Ask {
            ticket,
            question,
            until,
        });
    }

    fn hear(&mut self, asked: &Asked, answer: Answer, now: Moment, actions: &mut Vec<Action>) {
        self.next = self.next_try(asked.at, now.mono);
        match (&asked.question, answer) {
            (Question::Get, Answer::Seen(seen)) => {
                self.doubt = false;
                self.observe(Some(seen.clone()), now.mono);
                self.judge(&seen, now, actions);
            }
            (Question::Put { base, .. }, Answer::Seen(seen)) if seen.version != *base => {
                self.granted(asked, &seen, now, actions);
            }
            (Question::Create(_), Answer::Seen(seen)) => self.granted(asked, &seen, now, actions),
            (_, Answer::Missing) => {
                self.observe(None, now.mono);
                self.doubt = true;
                if self.term.is_some() {
                    self.step_down(Why::Taken, actions);
                }
                self.create_if_free(now, actions);
            }
            (Question::Put { .. }, Answer::Conflict) if self.term.is_some() && !self.doubt => {
                // Somebody wrote since we did: look at once who it was.
                self.doubt = true;
                self.next = now.mono;
            }
            (_, Answer::Seen(_) | Answer::Conflict | Answer::Failed) => self.doubt = true,
        }
    }

    /// Remembers what stands there, and since when on the own clock.
    fn observe(&mut self, seen: Option<Seen>, now: Duration) {
        if let Some(seen) = &seen {
            self.raise_epoch(seen.record.epoch);
            if seen.record.holder != self.identity {
                // If what we wrote turns up again after another's, it was not we who wrote it.
                self.stored = None;
                self.tried = self.tried.take_if(|tried| tried.holder != self.identity);
            }
        }
        let record = |seen: &Option<Seen>| seen.as_ref().map(|s| s.record.clone());
        let since = match &self.observed {
            Some((before, since)) if record(before) == record(&seen) => *since,
            _ => now,
        };
        self.observed = Some((seen, since));
    }

    /// Renews, takes, or waits, by what was just read.
    fn judge(&mut self, seen: &Seen, now: Moment, actions: &mut Vec<Action>) {
        if self.stopping {
            return;
        }
        if let Some(term) = self.term {
            let is_ours = seen.record.holder == self.identity && seen.record.epoch == term.epoch;
            if is_ours {
                // A conflict of this renewal is not followed by another read at once.
                self.doubt = true;
                self.renew(&term, seen, now, actions);
                return;
            }
            self.step_down(Why::Taken, actions);
        }
        let seconds = Duration::from_secs(u64::from(seen.record.seconds));
        let is_own = [&self.tried, &self.stored].contains(&&Some(seen.record.clone()));
        if seen.record.is_free() || is_own || self.is_over(seconds, now.mono) {
            let record = self.taken(Some(&seen.record), now);
            let base = seen.version.clone();
            self.ask(Question::Put { record, base }, now, actions);
        }
    }

    /// `true` once nothing changed for as long as the lease lasts, in the record or by our own times.
    fn is_over(&self, told: Duration, now: Duration) -> bool {
        let since = self.observed.as_ref().map_or(now, |(_, since)| *since);
        now >= since + told.max(self.timing.lease)
    }

    /// A lease that was there and is gone is waited for like one that is held: its holder may not
    /// know yet. One that was never there is made at once.
    fn create_if_free(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let never_seen = self.highest == Epoch(0);
        if !self.stopping && (never_seen || self.is_over(Duration::ZERO, now.mono)) {
            let record = self.taken(None, now);
            self.ask(Question::Create(record), now, actions);
        }
    }

    fn renew(&mut self, term: &Term, seen: &Seen, now: Moment, actions: &mut Vec<Action>) {
        let record = Record {
            holder: self.identity.clone(),
            seconds: self.seconds(),
            epoch: term.epoch,
            acquired: seen.record.acquired,
            renewed: Some(after(seen.record.renewed, now.wall)),
        };
        let base = seen.version.clone();
        self.ask(Question::Put { record, base }, now, actions);
    }

    /// The record by which the lease is taken: its epoch is above all that were ever seen.
    fn taken(&self, before: Option<&Record>, now: Moment) -> Record {
        let at = after(before.and_then(|record| record.renewed), now.wall);
        Record {
            holder: self.identity.clone(),
            seconds: self.seconds(),
            epoch: Epoch(self.highest.0.saturating_add(1)),
            acquired: Some(at),
            renewed: Some(at),
        }
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.timing.lease.as_secs()).unwrap_or(u32::MAX)
    }

    /// A write was stored: the lease is ours from when it was asked for.
    fn granted(&mut self, asked: &Asked, seen: &Seen, now: Moment, actions: &mut Vec<Action>) {
        self.observe(Some(seen.clone()), now.mono);
        self.stored = Some(seen.record.clone());
        self.doubt = false;
        if self.stopping {
            return;
        }
        let term = Term {
            epoch: seen.record.epoch,
            renewed: asked.at,
            valid_until: asked.at + self.timing.renew_deadline,
        };
        let stored = match &asked.question {
            Question::Put { record, .. } | Question::Create(record) => *record == seen.record,
            Question::Get => false,
        };
        if stored && now.mono < term.valid_until {
            self.term = Some(term);
            actions.push(Action::Lead(term));
        }
    }

    /// Gives the lease back where it is ours, and ends.
    fn give_back(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let gave = self
            .tried
            .as_ref()
            .is_some_and(|record| record.holder.is_empty());
        match self.last_seen() {
            Some(seen) if !gave && seen.record.holder == self.identity && !self.doubt => {
                let at = after(seen.record.renewed, now.wall);
                let record = Record {
                    holder: String::new(),
                    seconds: GIVEN_BACK_SECONDS,
                    acquired: Some(at),
                    renewed: Some(at),
                    ..seen.record
                };
                let base = seen.version;
                self.ask(Question::Put { record, base }, now, actions);
            }
            // Whether the last write came is not known: read once, then decide.
            Some(seen) if !gave && seen.record.holder == self.identity && !self.looked => {
                self.looked = true;
                self.ask(Question::Get, now, actions);
            }
            _ => actions.push(Action::End),
        }
    }

    /// A holder keeps its pace from try to try; who waits differs from the others by chance.
    fn next_try(&mut self, asked: Duration, now: Duration) -> Duration {
        let retry = self.timing.retry;
        if self.term.is_some() {
            return (asked + retry).max(now + retry / 8);
        }
        let percent = self.draw() % (u64::from(self.timing.jitter_percent) + 1);
        now + retry + retry * u32::try_from(percent).unwrap_or(0) / 100
    }

    /// Source: Steele, Lea, Flood 2014, SplitMix64.
    fn draw(&mut self) -> u64 {
        if self.timing.jitter_percent == 0 {
            return 0;
        }
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A time of day that is after the one before, so that a clock that stands or goes back still
/// changes the record: a write that changes nothing is not stored, and others would not see it.
fn after(before: Option<i64>, wall: i64) -> i64 {
    before.map_or(wall, |before| wall.max(before.saturating_add(STEP_MICROS)))
}
