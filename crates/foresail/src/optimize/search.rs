//! The search itself: ask, decide, apply, measure, tell; in the end the best is put in force.

use anyhow::{Context, Error, Result, anyhow, bail};
use foresail_adapters::workflow::System;
use foresail_core::combine::gate::Gate;
use foresail_core::propose::advice::{Trial, Tuner};
use foresail_core::propose::plan::Plan;
use foresail_sim::workflow::subject::Subject;

use super::found::{Conclusion, Cut, End, Found, Row};
use super::journal::{Journal, Line};
use super::measure::{Allowed, Ended, Measured, Protocol, measure};
use super::referee::{Referee, Ruling};
use crate::exit::{Code, Coded, is_stopped};

/// Measurements in a row without any answer after which the workflow is taken for gone.
const SILENT_MAX: u32 = 3;

/// How often the best is measured again where it breaks the promise; the tuner is told each time
/// and may hold another for the best.
const CONFIRMATIONS_MAX: u32 = 5;

/// Requests of a repeat when the best is measured again, in those of a trial's repeat: the best of
/// many trials is the luckiest of them, and what decides on it should know its level better. Three
/// times as many narrow it by a factor of 1.7 at a cost of a few trials.
const CONFIRM_TIMES: u32 = 3;

/// A search under way.
pub struct Search<'a> {
    /// What is searched.
    pub subject: &'a Subject,
    /// The workflow itself.
    pub system: &'a mut dyn System,
    /// What asks for trials.
    pub tuner: &'a mut dyn Tuner,
    /// What decides on them.
    pub referee: &'a mut Referee,
    /// How they are measured.
    pub protocol: &'a Protocol,
    /// What was measured before, and takes more.
    pub journal: Option<&'a mut Journal>,
    /// Trials that are asked for once the tuner is done: the workflow has drifted.
    pub reopen: Option<u64>,
    /// What all measurements may cost.
    pub spend_cap: Option<f64>,
    /// `true` once somebody asks for the end.
    pub stop: &'a dyn Fn() -> bool,
    /// Hears of every trial.
    pub on_trial: &'a dyn Fn(&Row),
}

impl std::fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search")
            .field("protocol", self.protocol)
            .finish_non_exhaustive()
    }
}

/// What a search knows while it runs.
struct State {
    found: Found,
    /// `false` while what happens is read from the journal and the workflow is left alone.
    live: bool,
    /// A change failed: some stages may have the new sizes, and others those in force.
    half: bool,
    /// What was measured last.
    measured: Plan,
    /// Measurements in a row without any answer.
    silent: u32,
    /// `true` once the search was opened again, by the journal or now.
    reopened: bool,
    /// `true` while what the journal opened again may already be over.
    closed: bool,
}

/// Why there are no more trials.
enum Stop {
    End(End),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match is_stopped(&error) {
            true => Self::End(End::Interrupted),
            false => Self::Failed(error),
        }
    }
}

impl Search<'_> {
    /// Runs the search to its end; the best is then in force. Where there is none, or the search
    /// fails, or somebody asks for the end, the former setting is.
    ///
    /// # Errors
    /// Where the workflow or the journal fails, or no request is answered; the message says what is
    /// in force.
    pub fn run(mut self) -> Result<Found> {
        let mut state = self.begin()?;
        match self.whole(&mut state) {
            Ok(()) => Ok(state.found),
            Err(error) => Err(self.given_back(&mut state, error)),
        }
    }

    fn whole(&mut self, state: &mut State) -> Result<()> {
        let stopped = self.trials(state).and_then(|()| self.confirm(state));
        match stopped {
            Ok(()) => {}
            Err(Stop::End(end)) => state.found.end = end,
            Err(Stop::Failed(error)) => return Err(error),
        }
        if state.found.best.is_none() {
            state.found.best = self.tuner.best();
        }
        state.found.conclusion = state.found.conclude(self.protocol);
        let best = state.found.best.as_ref().map(|b| b.plan.clone());
        let (plan, why) = match (state.found.conclusion, best) {
            (Conclusion::Best | Conclusion::Unconfirmed, Some(best)) => (best, "the best"),
            _ => (state.found.former.clone(), "the former setting"),
        };
        self.go_live(state)?;
        self.put_in_force(state, &plan, why)
    }

    /// The error with what is in force after it.
    fn given_back(&mut self, state: &mut State, error: Error) -> Error {
        let former = state.found.former.clone();
        let back = self
            .go_live(state)
            .and_then(|()| self.put_in_force(state, &former, "the search failed"));
        match back {
            Ok(()) => error.context("the search failed; the former setting is in force again"),
            Err(second) => error.context(format!(
                "the search failed, and the former setting could not be given back ({second:#}): set the stages' sizes by hand"
            )),
        }
    }

    /// The former setting, as the journal has it where there is one.
    fn begin(&mut self) -> Result<State> {
        let mut found = Found::new(self.system.current()?);
        found.cut = self
            .journal
            .as_deref()
            .map_or_else(Cut::default, Journal::cut);
        let before = self
            .journal
            .as_deref_mut()
            .map(|j| (j.next_before(), j.name()));
        let live = match before {
            Some((Some(Line::Former { plan, measured }), _)) => {
                found.former.clone_from(&plan);
                found.in_force = plan;
                found.count(&measured);
                self.referee.pass(measured.seconds);
                found.former_measured = Some(measured);
                false
            }
            Some((Some(_), name)) => bail!("{name}: the former setting is not told first"),
            _ => true,
        };
        Ok(State {
            measured: found.former.clone(),
            found,
            live,
            half: false,
            silent: 0,
            reopened: false,
            closed: true,
        })
    }

    /// From here on the workflow itself is asked: it is brought to where the journal ends.
    fn go_live(&mut self, state: &mut State) -> Result<()> {
        if state.live {
            return Ok(());
        }
        state.live = true;
        // Whatever the journal had opened again is not over yet.
        state.closed = !state.reopened;
        self.system.resume(state.found.requests, &state.measured)?;
        if state.found.in_force != state.measured {
            self.system.apply(&state.found.in_force)?;
        }
        Ok(())
    }

    fn trials(&mut self, state: &mut State) -> Result<(), Stop> {
        if state.found.former_measured.is_none() {
            let plan = state.found.former.clone();
            let measured = self.measured(state, &plan, &self.patient())?;
            state.found.former_measured = Some(measured.clone());
            self.write(&Line::Former { plan, measured })?;
        }
        loop {
            let asked = self.tuner.ask();
            if asked.is_empty() {
                if self.reopened(state)? {
                    continue;
                }
                return Ok(());
            }
            for trial in asked {
                self.one(state, &trial)?;
            }
        }
    }

    /// Opens the search again where the journal did so, or where it is asked for and the journal
    /// did not end within what it had opened; `false` where it stays closed.
    fn reopened(&mut self, state: &mut State) -> Result<bool, Stop> {
        self.confirmed_before_reopening(state);
        let before = self.journal.as_deref_mut().filter(|_| !state.live);
        let line = before.and_then(Journal::next_reopened);
        if let Some(Line::Reopened {
            trials,
            plan,
            measured,
        }) = line
        {
            state.found.count(&measured);
            self.referee.pass(measured.seconds);
            self.open_again(state, trials, plan, measured);
            return Ok(true);
        }
        // What the journal opened and this process went on with is the one that was asked for.
        let Some(trials) = self.reopen.filter(|_| state.closed) else {
            return Ok(false);
        };
        let best = self.tuner.best().filter(|b| b.feasible);
        let plan = best.map_or_else(|| state.found.former.clone(), |b| b.plan);
        self.go_live(state)?;
        self.put_in_force(state, &plan, "the best before the drift")?;
        let measured = self.measured(state, &plan, &self.patient())?;
        self.write(&Line::Reopened {
            trials,
            plan: plan.clone(),
            measured: measured.clone(),
        })?;
        state.closed = false;
        self.open_again(state, trials, plan, measured);
        Ok(true)
    }

    /// Where the search is opened again, what the journal confirmed before that is over.
    fn confirmed_before_reopening(&mut self, state: &mut State) {
        let asked = self.reopen.is_some();
        loop {
            let journal = self.journal.as_deref_mut().filter(|_| !state.live);
            let journal = journal.filter(|journal| asked || journal.reopens());
            let Some((plan, measured)) = journal.and_then(Journal::next_again) else {
                return;
            };
            state.found.count(&measured);
            self.referee.pass(measured.seconds);
            state.measured.clone_from(&plan);
            state.found.in_force.clone_from(&plan);
            if !measured.kept(self.protocol.promise) {
                self.tell_again(state, &plan, &measured);
            }
        }
    }

    /// What is in force is the former setting from here on.
    fn open_again(&mut self, state: &mut State, trials: u64, plan: Plan, measured: Measured) {
        self.tuner.reopen(trials);
        self.tell_again(state, &plan, &measured);
        state.reopened = true;
        state.measured.clone_from(&plan);
        state.found.in_force.clone_from(&plan);
        state.found.former = plan;
        state.found.former_measured = Some(measured);
    }

    /// One trial: from the journal, else decided, applied, measured, written.
    fn one(&mut self, state: &mut State, trial: &Trial) -> Result<(), Stop> {
        let measured = match self.replayed(state, trial)? {
            Some(measured) => measured,
            None => self.tried(state, trial)?,
        };
        self.tuner
            .tell(trial, &measured.told(self.protocol.promise));
        let ended = measured.ended;
        let row = Row {
            number: trial.number,
            plan: trial.plan.clone(),
            measured,
        };
        (self.on_trial)(&row);
        state.found.rows.push(row);
        self.after(state, ended)
    }

    /// What the journal has of a trial.
    fn replayed(&mut self, state: &mut State, trial: &Trial) -> Result<Option<Measured>, Stop> {
        let Some(journal) = self.journal.as_deref_mut().filter(|_| !state.live) else {
            return Ok(None);
        };
        match journal.next_before() {
            None => Ok(None),
            Some(Line::Trial {
                number,
                plan,
                measured,
            }) if number == trial.number && plan == trial.plan => {
                state.found.count(&measured);
                self.referee.pass(measured.seconds);
                state.measured.clone_from(&plan);
                state.found.in_force = plan;
                Ok(Some(measured))
            }
            Some(_) => Err(not_asked(journal, &format!("trial {}", trial.number)).into()),
        }
    }

    fn tried(&mut self, state: &mut State, trial: &Trial) -> Result<Measured, Stop> {
        self.go_live(state)?;
        let costed = Trial {
            spend_milli: milli_up(state.found.spend_whole() + state.found.expected_spend()),
            ..trial.clone()
        };
        match self.referee.trial(&costed, &state.found.in_force) {
            Ruling::Go => {}
            Ruling::Dropped(Gate::Spend) => return Err(Stop::End(End::Spent)),
            Ruling::Dropped(gate) => {
                return Err(anyhow!("trial {} was dropped: {gate:?}", trial.number).into());
            }
            Ruling::Held(why) => {
                return Err(anyhow!("trial {} is held: {why}", trial.number).into());
            }
        }
        self.apply(state, &trial.plan)?;
        let measured = self.measured(state, &trial.plan, self.protocol)?;
        if measured.ended != Ended::Whole {
            self.referee.broke(&state.found.in_force);
        }
        self.referee.end(trial.number);
        self.write(&Line::Trial {
            number: trial.number,
            plan: trial.plan.clone(),
            measured: measured.clone(),
        })?;
        Ok(measured)
    }

    /// A setting that broke the promise by far does not stay in force, and a workflow that never
    /// answers is not asked for ever.
    fn after(&mut self, state: &mut State, ended: Ended) -> Result<(), Stop> {
        state.silent = match ended {
            Ended::Unanswered => state.silent + 1,
            _ => 0,
        };
        if state.silent >= SILENT_MAX {
            let wait = self.protocol.wait;
            let message = format!(
                "{SILENT_MAX} measurements in a row without one answer within {wait}: look at the workflow, or wait longer with --timeout"
            );
            let code = Code::Unreachable;
            return Err(Stop::Failed(Coded { code, message }.into()));
        }
        if ended != Ended::Whole {
            let best = self.tuner.best().filter(|b| b.feasible);
            let safe = best.map_or_else(|| state.found.former.clone(), |b| b.plan);
            self.put_in_force(state, &safe, "the promise broke by far")?;
        }
        Ok(())
    }

    /// Measures the best again until it keeps the promise.
    fn confirm(&mut self, state: &mut State) -> Result<(), Stop> {
        for _ in 0..CONFIRMATIONS_MAX {
            let best = self.tuner.best();
            state.found.best.clone_from(&best);
            let Some(best) = best.filter(|b| b.feasible) else {
                return Ok(());
            };
            let measured = match self.confirmed_before(state, &best.plan)? {
                Some(measured) => measured,
                None => self.measured_again(state, &best.plan)?,
            };
            let kept = measured.kept(self.protocol.promise);
            state.found.confirmed = Some(measured.clone());
            if kept {
                return Ok(());
            }
            self.tell_again(state, &best.plan, &measured);
        }
        Ok(())
    }

    /// What the journal has of the best measured again.
    fn confirmed_before(
        &mut self,
        state: &mut State,
        best: &Plan,
    ) -> Result<Option<Measured>, Stop> {
        let Some(journal) = self.journal.as_deref_mut().filter(|_| !state.live) else {
            return Ok(None);
        };
        match journal.next_before() {
            None => Ok(None),
            Some(Line::Again { plan, measured }) if plan == *best => {
                state.found.count(&measured);
                self.referee.pass(measured.seconds);
                state.measured.clone_from(&plan);
                state.found.in_force = plan;
                Ok(Some(measured))
            }
            Some(_) => Err(not_asked(journal, "what was measured after the trials").into()),
        }
    }

    fn measured_again(&mut self, state: &mut State, best: &Plan) -> Result<Measured, Stop> {
        self.go_live(state)?;
        self.put_in_force(state, best, "the best, to be measured again")?;
        let closer = Protocol {
            requests: self.protocol.requests.saturating_mul(CONFIRM_TIMES),
            ..self.protocol.clone()
        };
        let measured = self.measured(state, best, &closer)?;
        self.write(&Line::Again {
            plan: best.clone(),
            measured: measured.clone(),
        })?;
        Ok(measured)
    }

    /// Tells the tuner of a plan that was measured again, under the number of its trial.
    fn tell_again(&mut self, state: &State, plan: &Plan, measured: &Measured) {
        let first = state.found.rows.iter().find(|r| r.plan == *plan);
        let trial = Trial {
            number: first.map_or(0, |r| r.number),
            plan: plan.clone(),
            spend_milli: 0,
        };
        let told = measured.told(self.protocol.promise);
        self.tuner.tell(&trial, &told);
    }

    /// How a setting is measured that is in force anyway: to the end, unless it does not answer.
    fn patient(&self) -> Protocol {
        Protocol {
            abort_factor: self.protocol.abort_factor.map(|_| f64::MAX),
            ..self.protocol.clone()
        }
    }

    /// Measures what is in force.
    fn measured(
        &mut self,
        state: &mut State,
        plan: &Plan,
        protocol: &Protocol,
    ) -> Result<Measured, Stop> {
        let sizes = self.subject.sizes_of(plan);
        let sizes = sizes.context("a plan that leaves a stage's CPU or memory open")?;
        let left = self.spend_cap.map(|cap| cap - state.found.spend_whole());
        let allowed = Allowed {
            spend: left,
            stop: self.stop,
        };
        let workflow = &self.subject.model.workflow;
        let measured = measure(self.system, workflow, &sizes, protocol, &allowed)?;
        self.referee.pass(measured.seconds);
        let end = match measured.ended {
            Ended::Spent => End::Spent,
            Ended::Interrupted => End::Interrupted,
            Ended::Whole | Ended::Aborted | Ended::Unanswered => {
                state.found.count(&measured);
                state.measured.clone_from(plan);
                return Ok(measured);
            }
        };
        let cut = Cut {
            spend: measured.spend,
            requests: measured.requests,
        };
        if cut.requests > 0 {
            state.found.cut.add(cut);
            self.write(&Line::Cut(cut))?;
        }
        Err(Stop::End(end))
    }

    fn apply(&mut self, state: &mut State, plan: &Plan) -> Result<()> {
        let applied = self.system.apply(plan);
        self.referee.settled(plan, applied.is_ok());
        state.half = applied.is_err();
        applied?;
        state.found.in_force.clone_from(plan);
        Ok(())
    }

    /// Puts a plan in force that is no trial, where the engine lets it.
    fn put_in_force(&mut self, state: &mut State, plan: &Plan, why: &str) -> Result<()> {
        if state.live && state.half && state.found.in_force == *plan {
            self.system.apply(plan)?;
            state.half = false;
            return Ok(());
        }
        if !state.live || state.found.in_force == *plan {
            state.found.in_force.clone_from(plan);
            return Ok(());
        }
        match self.referee.settle_on(plan, &state.found.in_force, why) {
            Ruling::Go => self.apply(state, plan),
            Ruling::Dropped(gate) => bail!("{why}: dropped by the gate: {gate:?}"),
            Ruling::Held(held) => bail!("{why}: held: {held}"),
        }
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        self.journal.as_deref_mut().map_or(Ok(()), |j| j.add(line))
    }
}

fn not_asked(journal: &Journal, what: &str) -> Error {
    anyhow!(
        "{}: {what} is not the one that is asked for now: the journal is of another binary or was changed; give another --journal",
        journal.name()
    )
}

/// Money in thousandths, rounded up.
fn milli_up(money: f64) -> u64 {
    (money * 1000.0).ceil() as u64
}
