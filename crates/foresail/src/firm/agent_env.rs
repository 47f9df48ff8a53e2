//! A component behind a server as the environment of a learner.
//!
//! A step is one call that acts, a wait, and one look. What was flown before a crash is replayed from the
//! journal and not flown again: the learner, resumed from its checkpoint, makes the same moves, and meets
//! what it met. A server that is away is waited for; the step that was under way keeps its number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use foresail_adapters::rpc::client::Client;
use foresail_adapters::rpc::environment::{Component, Description, Executed, Seen, Wish};
use foresail_adapters::rpc::tonic::{Code, Status};
use foresail_core::hpa::HpaSpec;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::units::{Quantity, Unit};
use foresail_core::spec::{ResourceSpec, Spec, ValidSpec};
use foresail_models::rl::axes::{Axes, Move, Moves};
use foresail_models::rl::env::{Env, EnvStep, Facts};
use foresail_models::rl::reward::{Reward, StepMeasured};
use tokio::runtime::Runtime;

use super::agent_journal::{Asked, Done, Journal, Line};
use super::component::refused;
use super::wire;
use crate::interrupt;

/// Waits for a server that is away: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The line to a server, from a thread that may wait.
#[derive(Debug)]
pub struct Remote {
    runtime: Runtime,
    client: Client,
    component: String,
}

/// What a call came to.
enum Called<T> {
    Answered(T),
    /// Somebody asked to end.
    Ended,
}

impl Remote {
    /// A line for calls on one component.
    ///
    /// # Errors
    /// Where there is no runtime.
    pub fn new(component: &str, client: impl FnOnce() -> Result<Client>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("no runtime")?;
        let client = {
            let _guard = runtime.enter();
            client()?
        };
        Ok(Self {
            runtime,
            client,
            component: component.to_owned(),
        })
    }

    /// Calls until there is an answer; what will not be better another time is an error.
    fn call<T>(&self, ask: &impl AsyncFn(&mut Client) -> Result<T, Status>) -> Result<Called<T>> {
        let mut wait = WAITS.0;
        let mut told = false;
        loop {
            let mut client = self.client.clone();
            let status = match self.runtime.block_on(ask(&mut client)) {
                Ok(answer) => {
                    if told {
                        eprintln!("note: the server answers again");
                    }
                    return Ok(Called::Answered(answer));
                }
                Err(status) => status,
            };
            if !may_pass(&status) {
                bail!("the server: {}{}", status.message(), mend(&status));
            }
            if !told {
                eprintln!(
                    "note: the server does not answer ({}); this step is asked for again until it does{}",
                    status.message(),
                    mend(&status)
                );
                told = true;
            }
            if self.nap(wait) {
                return Ok(Called::Ended);
            }
            wait = (wait * 2).min(WAITS.1);
        }
    }

    /// Waits; `true` where somebody asked to end.
    fn nap(&self, most: Duration) -> bool {
        let end = Instant::now() + most;
        while !interrupt::asked() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        true
    }

    /// What the component is; `None` where somebody asked to end.
    ///
    /// # Errors
    /// Where the server does not serve it.
    pub fn describe(&self) -> Result<Option<Description>> {
        let id = &self.component;
        let ask = async |client: &mut Client| {
            let component = Component { id: id.clone() };
            client
                .environment
                .describe(component)
                .await
                .map(|a| a.into_inner())
        };
        answered(self.call(&ask)?)
    }

    fn look(&self) -> Result<Option<Seen>> {
        let id = &self.component;
        let ask = async |client: &mut Client| {
            let component = Component { id: id.clone() };
            client
                .environment
                .look(component)
                .await
                .map(|a| a.into_inner())
        };
        answered(self.call(&ask)?)
    }

    fn step(&self, wish: &Wish) -> Result<Option<Executed>> {
        let ask = async |client: &mut Client| {
            let wish = wish.clone();
            client.environment.step(wish).await.map(|a| a.into_inner())
        };
        answered(self.call(&ask)?)
    }
}

fn answered<T>(called: Called<T>) -> Result<Option<T>> {
    Ok(match called {
        Called::Answered(answer) => Some(answer),
        Called::Ended => None,
    })
}

/// `true` where the same call may be answered another time.
fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::Internal
    )
}

fn mend(status: &Status) -> &'static str {
    match status.code() {
        Code::Unauthenticated => "; pass --token-file with the server's token",
        Code::NotFound => "; give one of them with --component",
        Code::Unavailable => {
            "; is it running, and its port forwarded: kubectl port-forward svc/firm-server 50051:50051"
        }
        _ => "",
    }
}

/// The axes that a server describes.
///
/// # Errors
/// Where they are no axes of ours.
pub fn axes_of(described: &Description) -> Result<Axes> {
    let (first, resources) = described.axes.split_first().context("no axes")?;
    ensure!(
        first == "replicas",
        "the first axis is {first}, not replicas"
    );
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: 1,
        ..HpaSpec::default()
    };
    // The server keeps the bounds; here only the names and their order count.
    let amount = |milli| Quantity::from_milli(milli, Unit::Count);
    let mut spec = Spec::of_hpa(TargetId::new(&described.id), hpa);
    for axis in resources {
        let name = axis.strip_prefix("perPod.");
        let name = name.with_context(|| format!("{axis} is no axis of a pod"))?;
        let bounds = ResourceSpec {
            min: amount(1),
            max: amount(2),
            step: amount(1),
        };
        spec.targets[0].resources.insert(name.to_owned(), bounds);
    }
    let spec = ValidSpec::new(spec).map_err(|problems| refused(&problems))?;
    let axes = Axes::of(&spec.targets()[0]);
    let named: Vec<String> = axes.iter().map(ToString::to_string).collect();
    ensure!(
        named == described.axes,
        "the axes are not in our order: {:?}",
        described.axes
    );
    Ok(axes)
}

/// A component behind a server.
#[derive(Debug)]
pub struct RemoteEnv {
    remote: Remote,
    journal: Option<Journal>,
    axes: Axes,
    reward: Reward,
    /// How long a step lasts.
    every: Duration,
    episode: usize,
    step: usize,
    seq: u64,
    before: Moves,
    state: Option<Vec<f32>>,
    legal: Vec<bool>,
    /// What was flown before a crash and is replayed.
    past: VecDeque<(Asked, Option<Done>)>,
    ended: Option<anyhow::Error>,
    over: bool,
}

impl RemoteEnv {
    /// An environment that begins with the first step that was not flown yet.
    ///
    /// # Errors
    /// Where the component is not served or the journal cannot be used.
    pub fn new(
        remote: Remote,
        described: &Description,
        journal: Option<Journal>,
        every: Duration,
    ) -> Result<Self> {
        let axes = axes_of(described)?;
        Ok(Self {
            before: vec![Move::Hold; axes.len()],
            legal: vec![false; axes.outputs()],
            axes,
            remote,
            journal,
            reward: Reward::default(),
            every,
            episode: 0,
            step: 0,
            seq: 0,
            state: None,
            past: VecDeque::new(),
            ended: None,
            over: false,
        })
    }

    /// Begins an episode; what the journal has of it is replayed first.
    ///
    /// # Errors
    /// Where the journal cannot be read, or the server refuses.
    pub fn begin(&mut self, episode: usize) -> Result<()> {
        if let Some(journal) = &self.journal {
            (self.seq, self.before) = match episode.checked_sub(1) {
                None => (0, vec![Move::Hold; self.axes.len()]),
                Some(earlier) => last_of(journal, earlier)?,
            };
            self.past = pairs(journal.read(episode)?)?;
        }
        (self.episode, self.step) = (episode, 0);
        if let Some((first, _)) = self.past.front() {
            ensure!(
                first.seq == self.seq,
                "the journal of episode {episode} begins with step {} where {} is next: move it away with the checkpoint",
                first.seq,
                self.seq
            );
            (self.state, self.legal) = (first.state.clone(), first.legal.clone());
        } else if let Some(seen) = self.remote.look()? {
            self.see(seen);
        } else {
            self.over = true;
        }
        Ok(())
    }

    /// Steps of this agent's life so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.seq
    }

    /// Why it ended, where that was no end of an episode.
    pub fn take_error(&mut self) -> Option<anyhow::Error> {
        self.ended.take()
    }

    /// `true` where somebody asked to end or it failed.
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        self.over
    }

    fn see(&mut self, seen: Seen) {
        self.state = seen.known.then_some(seen.state);
        self.legal = seen.legal;
        self.legal.resize(self.axes.outputs(), false);
    }

    fn fly(&mut self, moves: Option<&[Move]>) -> Result<Option<Done>> {
        if let Some((asked, done)) = self.past.pop_front() {
            let same = asked.moves.as_deref() == moves;
            ensure!(
                same && asked.step == self.step,
                "step {} was flown with {:?}, and is now wished with {moves:?}: the journal and the checkpoint do not belong together; move both away",
                asked.seq,
                asked.moves
            );
            if let Some(done) = done {
                return Ok(Some(done));
            }
            return self.ask(&asked);
        }
        let asked = Asked {
            seq: self.seq,
            episode: self.episode,
            step: self.step,
            request: match &self.journal {
                Some(journal) => journal.request(self.seq),
                None => format!("{}-{}", std::process::id(), self.seq),
            },
            state: self.state.clone(),
            legal: self.legal.clone(),
            moves: moves.map(<[Move]>::to_vec),
        };
        if let Some(journal) = &mut self.journal {
            journal.write(self.episode, &Line::Asked(asked.clone()))?;
        }
        self.ask(&asked)
    }

    /// Asks for a step; one that was asked for before gets the answer that it had.
    fn ask(&mut self, asked: &Asked) -> Result<Option<Done>> {
        let wish = Wish {
            id: self.remote.component.clone(),
            request: asked.request.clone(),
            wishes: asked.moves.is_some(),
            moves: wire::moves(asked.moves.as_deref().unwrap_or_default()),
        };
        let Some(answer) = self.remote.step(&wish)? else {
            return Ok(None);
        };
        let seen = if self.every.is_zero() {
            answer.seen
        } else if self.remote.nap(self.every) {
            return Ok(None);
        } else {
            self.remote.look()?
        };
        let Some(seen) = seen else { return Ok(None) };
        let executed = wire::moves_of(&answer.moves).context("the server answers no moves")?;
        let measured = StepMeasured {
            preserved: seen.preserved,
            used: seen.used.clone(),
            lag_growth: 0.0,
        };
        let reward = match answer.legal {
            true => self.reward.of(&measured, &executed, &self.before),
            false => self.reward.illegal,
        };
        let done = Done {
            seq: asked.seq,
            executed,
            reward,
            state: seen.known.then_some(seen.state),
            legal: seen.legal,
            decision: answer.decision,
            status: answer.status,
        };
        if let Some(journal) = &mut self.journal {
            journal.write(self.episode, &Line::Done(done.clone()))?;
        }
        Ok(Some(done))
    }
}

/// The number behind the last step of an episode that is over, and what that step did.
fn last_of(journal: &Journal, episode: usize) -> Result<(u64, Moves)> {
    let mut flown = pairs(journal.read(episode)?)?;
    let last = flown.pop_back().and_then(|(_, done)| done);
    let last = last.with_context(|| {
        format!("the checkpoint is behind episode {episode}, which the journal does not hold to its end: move both away")
    })?;
    Ok((last.seq + 1, last.executed))
}

/// Questions with their answers; only the last may lack one.
fn pairs(lines: Vec<Line>) -> Result<VecDeque<(Asked, Option<Done>)>> {
    let mut pairs: VecDeque<(Asked, Option<Done>)> = VecDeque::new();
    for line in lines {
        match line {
            Line::Asked(asked) => {
                if let Some((last, done)) = pairs.back() {
                    ensure!(
                        done.is_some() && asked.seq == last.seq + 1,
                        "the journal has step {} behind {}",
                        asked.seq,
                        last.seq
                    );
                }
                pairs.push_back((asked, None));
            }
            Line::Done(done) => match pairs.back_mut() {
                Some((asked, none @ None)) if asked.seq == done.seq => *none = Some(done),
                _ => bail!(
                    "the journal has an answer to step {} out of place",
                    done.seq
                ),
            },
        }
    }
    Ok(pairs)
}

impl Env for RemoteEnv {
    fn axes(&self) -> &Axes {
        &self.axes
    }

    fn state(&self) -> Option<Vec<f32>> {
        self.state.clone()
    }

    fn legal(&self) -> Vec<bool> {
        self.legal.clone()
    }

    fn step(&mut self, moves: Option<&[Move]>) -> EnvStep {
        let flown = self.fly(moves).unwrap_or_else(|error| {
            self.ended = Some(error);
            None
        });
        let Some(done) = flown else {
            self.over = true;
            // Whoever flies throws this away: it ends before anything is learnt from it.
            return EnvStep {
                executed: vec![Move::Hold; self.axes.len()],
                reward: 0.0,
                state: None,
                facts: Facts::default(),
            };
        };
        self.seq = done.seq + 1;
        self.step += 1;
        let overruled = moves.is_some_and(|m| m != done.executed);
        self.before.clone_from(&done.executed);
        // What was seen before the next step is what was written down with its question.
        match self.past.front() {
            Some((next, _)) => (self.state, self.legal) = (next.state.clone(), next.legal.clone()),
            None => {
                self.state.clone_from(&done.state);
                self.legal.clone_from(&done.legal);
                self.legal.resize(self.axes.outputs(), false);
            }
        }
        EnvStep {
            executed: done.executed,
            reward: done.reward,
            state: done.state,
            facts: Facts {
                overruled: u64::from(overruled),
                ..Facts::default()
            },
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}
