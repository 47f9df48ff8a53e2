//! Two and three candidates under every order of steps that a small world allows, and five under
//! random ones: never do two of them believe to lead at once, and epochs only grow.
//!
//! Each candidate is the product's own `LeaseState`. A step, an answer and the passing of time are
//! chosen freely, so that any of them may be paused at any place; requests may be lost, or come late
//! or after they were given up; somebody else may write or delete the lease. The clocks run at other
//! rates and began at other times, and the times of day are wrong or stand still.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use foresail_adapters::kubernetes::lease::Timing;
use foresail_adapters::kubernetes::lease::state::{
    Action, Answer, Epoch, Event, LeaseState, Moment, Question, Record, Seen,
};

/// What the world may do beyond time and steps, and what is built wrong on purpose.
#[derive(Clone, Copy)]
struct Rules {
    timing: Timing,
    /// Milliseconds of the common time line per tick, and ticks until the end.
    tick: u64,
    horizon: u64,
    /// Requests that are lost, late or unanswered, in all.
    faults: u32,
    /// Writes of somebody else, in all.
    strangers: u32,
    /// How fast each clock runs, in percent.
    rates: &'static [u64],
    /// A server that does not look at versions.
    blind: bool,
}

/// A request between a candidate and the server.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Net {
    Sent(Question),
    Answered(Answer),
}

#[derive(Clone, Hash)]
struct Process {
    state: LeaseState,
    wake: Duration,
    net: Option<(u64, Duration, Net)>,
    stopped: bool,
}

#[derive(Clone, Hash)]
struct World {
    ticks: u64,
    server: Option<(Record, u32)>,
    versions: u32,
    processes: Vec<Process>,
    /// Requests that nobody waits for any more and that may still come.
    late: Vec<Question>,
    faults: u32,
    strangers: u32,
    /// The epochs in the order in which they were led.
    led: Vec<u64>,
}

/// One choice of the world.
#[derive(Clone, Copy, Debug)]
enum Move {
    Tick,
    Step(usize),
    Serve(usize),
    Deliver(usize),
    /// The request is given up by the network, and may come later.
    Lose(usize),
    /// The request was served, the answer is lost.
    Mute(usize),
    Late(usize),
    Stop(usize),
    Clear,
    Delete,
    Seize,
}

impl World {
    fn new(rules: &Rules) -> Self {
        let process = |i: usize| Process {
            state: LeaseState::new(format!("p{i}"), rules.timing, i as u64),
            wake: Duration::ZERO,
            net: None,
            stopped: false,
        };
        Self {
            ticks: 0,
            server: None,
            versions: 0,
            processes: (0..rules.rates.len()).map(process).collect(),
            late: Vec::new(),
            faults: rules.faults,
            strangers: rules.strangers,
            led: Vec::new(),
        }
    }

    /// The clock of a candidate: it began at another time and runs at another rate; the time of day
    /// of the second stands still, that of the third goes back.
    fn now(&self, rules: &Rules, i: usize) -> Moment {
        let passed = self.ticks * rules.tick * rules.rates[i] / 100;
        let mono = Duration::from_millis(i as u64 * 1000 + passed);
        let wall = match i {
            1 => 5_000_000,
            2 => 9_000_000 - passed as i64,
            _ => passed as i64 * 1000,
        };
        Moment { mono, wall }
    }

    /// How many believe to lead.
    fn believers(&self, rules: &Rules) -> usize {
        let believes = |i: &usize| {
            let now = self.now(rules, *i).mono;
            self.processes[*i].state.term(now).is_some()
        };
        (0..self.processes.len()).filter(believes).count()
    }

    fn moves(&self, rules: &Rules, all: &mut Vec<Move>) {
        all.clear();
        if self.ticks < rules.horizon {
            all.push(Move::Tick);
        }
        for (i, process) in self.processes.iter().enumerate() {
            let now = self.now(rules, i).mono;
            match &process.net {
                Some((_, until, _)) if now >= *until => all.push(Move::Step(i)),
                Some((_, _, Net::Sent(_))) => {
                    all.push(Move::Serve(i));
                    if self.faults > 0 {
                        all.extend([Move::Lose(i), Move::Mute(i)]);
                    }
                }
                Some((_, _, Net::Answered(_))) => all.push(Move::Deliver(i)),
                None if now >= process.wake && !process.stopped => all.push(Move::Step(i)),
                None => {}
            }
        }
        all.extend((0..self.late.len()).map(Move::Late));
        if self.strangers > 0 && self.server.is_some() {
            all.extend([Move::Clear, Move::Delete, Move::Seize]);
            all.extend((0..self.processes.len()).map(Move::Stop));
        }
    }

    fn go(&mut self, rules: &Rules, chosen: Move) {
        match chosen {
            Move::Tick => self.ticks += 1,
            Move::Step(i) => {
                // Who waits too long for an answer is told so; the request may still come.
                let event = match self.processes[i].net.take() {
                    Some((ticket, _, net)) => {
                        if let Net::Sent(question) = net {
                            self.late.push(question);
                        }
                        Event::Answer(ticket, Answer::Failed)
                    }
                    None => Event::Wake,
                };
                self.step(rules, i, event);
            }
            Move::Serve(i) | Move::Mute(i) => {
                if let Some((ticket, until, Net::Sent(question))) = self.processes[i].net.take() {
                    let answer = self.serve(rules, question);
                    let answer = match chosen {
                        Move::Mute(_) => Answer::Failed,
                        _ => answer,
                    };
                    self.processes[i].net = Some((ticket, until, Net::Answered(answer)));
                }
                if matches!(chosen, Move::Mute(_)) {
                    self.faults -= 1;
                }
            }
            Move::Lose(i) => {
                if let Some((ticket, until, Net::Sent(question))) = self.processes[i].net.take() {
                    self.late.push(question);
                    let failed = Net::Answered(Answer::Failed);
                    self.processes[i].net = Some((ticket, until, failed));
                }
                self.faults -= 1;
            }
            Move::Deliver(i) => {
                if let Some((ticket, _, Net::Answered(answer))) = self.processes[i].net.take() {
                    self.step(rules, i, Event::Answer(ticket, answer));
                }
            }
            Move::Late(n) => {
                let question = self.late.remove(n);
                self.serve(rules, question);
            }
            Move::Stop(i) => {
                self.strangers -= 1;
                self.step(rules, i, Event::Stop);
            }
            Move::Clear | Move::Delete | Move::Seize => self.meddle(chosen),
        }
    }

    /// Somebody else clears the holder, writes another's name there, or deletes the lease.
    fn meddle(&mut self, chosen: Move) {
        self.strangers -= 1;
        self.versions += 1;
        let name = if matches!(chosen, Move::Seize) {
            "p1"
        } else {
            ""
        };
        self.server = self
            .server
            .take()
            .filter(|_| !matches!(chosen, Move::Delete));
        if let Some((record, version)) = &mut self.server {
            record.holder = name.to_owned();
            record.epoch = Epoch(0);
            *version = self.versions;
        }
    }

    fn serve(&mut self, rules: &Rules, question: Question) -> Answer {
        let seen = |server: &Option<(Record, u32)>| {
            server
                .as_ref()
                .map_or(Answer::Missing, |(record, version)| {
                    Answer::Seen(Seen {
                        record: record.clone(),
                        version: version.to_string(),
                    })
                })
        };
        let found = self.server.clone();
        match (question, found) {
            (Question::Get, _) | (Question::Put { .. }, None) => {}
            (Question::Create(_), Some(_)) => return Answer::Conflict,
            (Question::Put { base, .. }, Some((_, version)))
                if base != version.to_string() && !rules.blind =>
            {
                return Answer::Conflict;
            }
            // The same bytes are not stored again, and get no new version.
            (Question::Put { record, .. }, Some((before, _))) if record == before => {}
            (Question::Put { record, .. }, Some(_)) | (Question::Create(record), None) => {
                self.versions += 1;
                self.server = Some((record, self.versions));
            }
        }
        seen(&self.server)
    }

    fn step(&mut self, rules: &Rules, i: usize, event: Event) {
        let now = self.now(rules, i);
        let process = &mut self.processes[i];
        for action in process.state.step(event, now) {
            match action {
                Action::Ask {
                    ticket,
                    question,
                    until,
                } => {
                    process.net = Some((ticket, until, Net::Sent(question)));
                }
                Action::Wait(until) => process.wake = until,
                Action::Lead(term) if self.led.last() != Some(&term.epoch.0) => {
                    self.led.push(term.epoch.0);
                }
                Action::Lead(_) | Action::StepDown(_) => {}
                Action::End => process.stopped = true,
            }
        }
    }
}

/// What a search found.
#[derive(Debug, Default)]
struct Found {
    states: usize,
    take_overs: usize,
    overlaps: usize,
    epochs_back: usize,
}

impl Found {
    fn look(&mut self, world: &World, rules: &Rules) {
        self.overlaps += usize::from(world.believers(rules) > 1);
        let grows = world.led.windows(2).all(|pair| pair[0] < pair[1]);
        self.epochs_back += usize::from(!grows);
        self.take_overs = self.take_overs.max(world.led.len().saturating_sub(1));
    }
}

/// Every world that can be reached, each looked at once.
fn search(rules: &Rules, states_max: usize) -> Found {
    let mut found = Found::default();
    let mut known = HashSet::new();
    let mut open = vec![World::new(rules)];
    let mut moves = Vec::new();
    while let Some(world) = open.pop() {
        world.moves(rules, &mut moves);
        for chosen in &moves {
            let mut next = world.clone();
            next.go(rules, *chosen);
            let mut hasher = DefaultHasher::new();
            next.hash(&mut hasher);
            if known.insert(hasher.finish()) {
                found.look(&next, rules);
                open.push(next);
            }
        }
        assert!(known.len() <= states_max, "more than {states_max} states");
    }
    found.states = known.len();
    found
}

/// Small times whose proportions are those of the real ones: 15, 10 and 2 s.
const SMALL: Timing = Timing {
    lease: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    retry: Duration::from_secs(1),
    request: Duration::from_secs(1),
    jitter_percent: 0,
};

const TWO: Rules = Rules {
    timing: SMALL,
    tick: 1000,
    horizon: 8,
    faults: 1,
    strangers: 0,
    rates: &[100, 110],
    blind: false,
};

#[test]
fn probe() {
    for (f, s, h) in [(0, 0, 6), (1, 0, 6), (1, 0, 8), (2, 0, 8), (0, 1, 6)] {
        let rules = Rules {
            faults: f,
            strangers: s,
            horizon: h,
            ..TWO
        };
        let begun = std::time::Instant::now();
        let found = search(&rules, 3_000_000);
        println!("{f} {s} {h} {found:?} {:?}", begun.elapsed());
    }
    let rules = Rules {
        faults: 0,
        horizon: 4,
        rates: &[100, 110, 90],
        ..TWO
    };
    let begun = std::time::Instant::now();
    println!(
        "three {:?} {:?}",
        search(&rules, 3_000_000),
        begun.elapsed()
    );
}
