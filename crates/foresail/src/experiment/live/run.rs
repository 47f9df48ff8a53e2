//! One live run: turn by turn what is there, who decides, what is written, and a row per interval.

use std::time::Duration;

use anyhow::Result;
use foresail_adapters::kubernetes::client::CALL;
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::scale;
use foresail_core::act::Outcome;
use foresail_core::admit::Decision;
use foresail_core::observe::Health;
use foresail_core::propose::advice::Advice;
use foresail_core::quantity::time::{Span, Timestamp};
use tokio::runtime::Runtime;

use super::super::Mode;
use super::super::asked::Asker;
use super::super::fly::Sink;
use super::super::interval::{Intervals, Looked, Means, Open};
use super::super::rules::Rules;
use super::super::told::{End, Flown};
use super::asking::Asking;
use super::demand::Feed;
use super::engines::Engines;
use super::site::Site;
use super::usage::{requests, used};
use crate::compare::prometheus::now;
use crate::controller::demand::Minutes;
use crate::interrupt;
use crate::watch::cluster::Shown;

/// The longest sleep between two looks at whether somebody interrupts or answers.
const NAP: Duration = Duration::from_millis(50);

/// What one live run is.
#[derive(Debug)]
pub struct Live<'a> {
    /// Where.
    pub site: &'a Site,
    /// By which rules.
    pub rules: &'a Rules,
    /// Who governs.
    pub mode: Mode,
    /// The simulator's columns are those of the published simulator.
    pub naive: bool,
    /// The deployment's unique name.
    pub uid: String,
    /// When it begins.
    pub start: Timestamp,
}

/// How a live run ended.
#[derive(Debug)]
pub struct Ended {
    /// What it came to.
    pub flown: Flown,
    /// Who was asked.
    pub asker: Asker,
    /// `true` where another HPA came and nothing was written from then on.
    pub rival: bool,
}

/// What is remembered between turns.
struct Loop<'a, 'b> {
    live: &'a Live<'a>,
    runtime: &'a Runtime,
    sink: &'b mut Sink<'b>,
    engines: Engines,
    demand: Option<Feed>,
    intervals: Intervals,
    asking: Asking,
    open: Option<Open>,
    /// Advice on its way to the next turn.
    advice: Vec<Advice>,
    rival: bool,
    rows: u64,
    writes: u64,
    /// Replicas when they were last seen, and what they have cost until then.
    seen: Option<(Timestamp, u32)>,
    replica_minutes: f64,
    /// What was told last of cluster, usage and demand, so that it is told once.
    told: [String; 3],
}

/// Who decides in a run, made before it begins, and what they are told of the demand meanwhile.
#[derive(Debug)]
pub struct Crew {
    /// The engines.
    pub engines: Engines,
    /// The demand, where somebody forecasts it.
    pub demand: Option<Feed>,
}

/// Runs until the length is over or somebody interrupts; each row goes to `sink` when its interval
/// is over. Whatever the cluster or Prometheus does, the loop goes on.
///
/// # Errors
/// Where the sink fails.
pub fn run<'b>(
    live: &Live<'_>,
    runtime: &Runtime,
    (crew, asker): (Crew, Asker),
    sink: &'b mut Sink<'b>,
) -> Result<Ended> {
    let rules = live.rules;
    let intervals = Intervals::new(rules, live.mode, live.naive);
    let mut state = Loop {
        live,
        runtime,
        sink,
        engines: crew.engines,
        demand: crew.demand,
        asking: Asking::begin(asker, intervals.deadline()),
        intervals,
        open: None,
        advice: Vec::new(),
        rival: false,
        rows: 0,
        writes: 0,
        seen: None,
        replica_minutes: 0.0,
        told: Default::default(),
    };
    let worked = state.turns();
    let Loop {
        asking,
        rows,
        writes,
        replica_minutes,
        rival,
        ..
    } = state;
    let asker = asking.end()?;
    let whole = worked?;
    let end = whole.then(|| End {
        rows,
        writes,
        replica_minutes,
        ..End::default()
    });
    Ok(Ended {
        flown: Flown { rows, writes, end },
        asker,
        rival,
    })
}

impl Loop<'_, '_> {
    /// All turns; `true` where the run was not broken off.
    fn turns(&mut self) -> Result<bool> {
        let rules = self.live.rules;
        let length = rules.options.length;
        let endless = length == Span::ZERO;
        let interval = rules.options.interval;
        for turn in 0_usize.. {
            let place = i64::try_from(turn).unwrap_or(i64::MAX);
            let at = self.live.start + Span::from_nanos(rules.sync.nanos().saturating_mul(place));
            let interrupted = !self.wait(at);
            let begins = turn.is_multiple_of(rules.turns);
            let over = begins && !endless && at >= self.live.start + length;
            if over || interrupted {
                let shown = self.look();
                self.close(shown.as_ref())?;
                return Ok(over || endless);
            }
            // A turn that the machine slept through is left out: two at once would be one decision twice.
            if now() - at > rules.sync && !begins {
                continue;
            }
            if now() - at > interval {
                self.skip(at)?;
                continue;
            }
            self.turn(at, begins)?;
        }
        Ok(true)
    }

    /// Waits for a time and takes answers that come meanwhile; `false` where somebody interrupts.
    fn wait(&mut self, at: Timestamp) -> bool {
        loop {
            self.hear();
            if interrupt::asked() {
                return false;
            }
            let left = (at - now()).nanos();
            if left <= 0 {
                return true;
            }
            std::thread::sleep(NAP.min(Duration::from_nanos(left.unsigned_abs())));
        }
    }

    fn hear(&mut self) {
        let Some((asked, answered)) = self.asking.answer() else {
            return;
        };
        let Some(open) = self.open.as_mut().filter(|o| o.row.at == asked) else {
            return;
        };
        let latency = Span::from_millis(i64::try_from(answered.latency_ms).unwrap_or(i64::MAX));
        self.advice
            .extend(self.intervals.answered(open, &answered, latency));
    }

    /// An interval that nobody looked at.
    fn skip(&mut self, at: Timestamp) -> Result<()> {
        self.close(None)?;
        self.open = Some(self.intervals.unknown(at));
        Ok(())
    }

    fn look(&mut self) -> Option<Shown> {
        let looked = self.runtime.block_on(self.live.site.look());
        match looked {
            Ok(shown) => {
                let told = shown.troubles.join("; ");
                self.tell(0, &told, "metrics.k8s.io");
                self.paid(shown.replicas);
                Some(shown)
            }
            Err(fault) => {
                self.tell(0, &fault.to_string(), "the cluster");
                None
            }
        }
    }

    /// Counts what was paid for since the last look.
    fn paid(&mut self, replicas: u32) {
        let at = now();
        if let Some((since, held)) = self.seen {
            self.replica_minutes += f64::from(held) * (at - since).seconds() / 60.0;
        }
        self.seen = Some((at, replicas));
    }

    /// Tells of a trouble when it begins and when it is over.
    fn tell(&mut self, place: usize, told: &str, whose: &str) {
        let before = &mut self.told[place];
        if told != before.as_str() {
            match told.is_empty() {
                true => eprintln!("note: {whose}: well again"),
                false => eprintln!("warning: {whose}: {told}"),
            }
            told.clone_into(before);
        }
    }

    /// The row at hand is over.
    fn close(&mut self, shown: Option<&Shown>) -> Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        open.give_up("no answer came within the interval");
        open.row.applied = shown.map(|s| s.replicas);
        self.rows += 1;
        (self.sink)(&open.row, &open.told)
    }

    fn turn(&mut self, at: Timestamp, begins: bool) -> Result<()> {
        let shown = self.look();
        if begins {
            self.close(shown.as_ref())?;
        }
        let Some(shown) = shown else {
            if begins {
                self.open = Some(self.intervals.unknown(at));
            }
            return Ok(());
        };
        self.notice_rival(&shown);
        let exact = self.engines.hpa(&shown.state, now());
        if begins {
            self.begin(at, &shown, exact);
        }
        self.hear();
        let health = if self.rival {
            Health::Frozen
        } else {
            Health::Predict
        };
        let advice = std::mem::take(&mut self.advice);
        let demand = self.demand();
        let heard = (advice, demand.as_slice());
        let decided = self
            .engines
            .govern(shown.state.clone(), heard, (now(), health));
        let wrote = decided.is_some_and(|decision| self.act(&decision, &shown));
        self.writes += u64::from(wrote);
        if let Some(open) = &mut self.open {
            open.turned(self.engines.last(), wrote);
        }
        Ok(())
    }

    fn begin(&mut self, at: Timestamp, shown: &Shown, exact: Option<super::super::row::Simulated>) {
        let (requests, nginx) = requests(&shown.pods);
        let used = self.used(shown);
        let pods = shown.pods.iter().filter(|p| !p.state.deleting).count();
        let number = |n: Option<i32>| u32::try_from(n?).ok();
        let seen = shown.hpa.as_ref().map(|(_, hpa)| hpa);
        let looked = Looked {
            now: at,
            current: shown.replicas,
            means: Means {
                cpu: used.cpu,
                memory: used.memory,
                pods: u32::try_from(pods).unwrap_or(u32::MAX),
                ready: shown.state.ready.get(),
            },
            requests,
            nginx,
            hpa: (
                number(seen.and_then(|h| h.current)),
                number(seen.and_then(|h| h.wanted)),
            ),
            exact,
        };
        let (mut open, question) = self.intervals.begin(&looked);
        if let Some(question) = question
            && !self.asking.ask(at, question)
        {
            open.give_up("the question before is still out");
        }
        self.open = Some(open);
    }

    /// The minutes of demand that are over since the last turn.
    fn demand(&mut self) -> Minutes {
        let Some(feed) = &mut self.demand else {
            return Vec::new();
        };
        let most = Span::from_nanos(self.live.rules.sync.nanos() / 2);
        let server = (&self.live.site.prometheus, self.runtime);
        let (minutes, trouble) = feed.minutes(server, now(), most);
        self.tell(2, &trouble, "the demand");
        minutes
    }

    fn used(&mut self, shown: &Shown) -> super::usage::Used {
        let live = self.live;
        let site = live.site;
        let most = Span::from_nanos(live.rules.options.interval.nanos() / 2);
        let used = self.runtime.block_on(async {
            let pods = site.own_pods(&live.uid, &shown.pods).await?;
            let place = (site.place.namespace.as_str(), pods.as_slice());
            Ok::<_, Fault>(used(&site.prometheus, place, now(), most).await)
        });
        let used = used.unwrap_or_else(|fault| super::usage::Used {
            trouble: Some(format!("ReplicaSets: {fault}")),
            ..super::usage::Used::default()
        });
        let told = used.trouble.clone().unwrap_or_default();
        self.tell(1, &told, "Prometheus");
        used
    }

    /// An HPA that comes back while ours is taken away: from then on nothing is written.
    fn notice_rival(&mut self, shown: &Shown) {
        if let (true, Some((name, _)), false) =
            (self.live.mode.takes_over(), &shown.hpa, self.rival)
        {
            eprintln!(
                "warning: somebody made the HorizontalPodAutoscaler {name} again: nothing more is written in this run"
            );
            self.rival = true;
        }
    }

    /// Writes a decision against the version that it was made on; a number that meets another
    /// writer is not sent again.
    fn act(&mut self, decision: &Decision, shown: &Shown) -> bool {
        if !decision.to_write || !decision.changes() || self.rival {
            return false;
        }
        let Some(wanted) = decision.setting.replicas else {
            return false;
        };
        let (site, place) = (self.live.site, &self.live.site.place);
        let written = self.runtime.block_on(async {
            let client = &place.clients.write;
            let api = place
                .kinds
                .api(client, &place.namespace, &place.target)
                .await?;
            let names = (site.name(), place.namespace.as_str());
            scale::write(&api, names.0, names.1, &shown.scale, wanted.as_i32(), CALL).await
        });
        let outcome = match &written {
            Ok(_) => Outcome::Applied,
            Err(Fault::Conflict(_)) => Outcome::Stale,
            Err(_) => Outcome::Failed,
        };
        self.engines.settle(decision, outcome);
        match written {
            Ok(_) => {
                self.paid(wanted.get());
                true
            }
            Err(fault) => {
                eprintln!("warning: {wanted} replicas were not written: {fault}");
                false
            }
        }
    }
}
