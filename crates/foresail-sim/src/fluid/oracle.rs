//! The oracle: the cheapest plan of one who knows all demand to come.
//!
//! The game is fluid mode without a backlog. Pods are gone at once, the newest first, and ready
//! `startup` after they were asked for; so the ready pods at a time are the fewest asked for within
//! the start-up before it. Let B_k be the ready pods at the end of step k, startup = q steps + r,
//! p the price of a pod for a second. Every B with B_k ≤ B_0 for k ≤ q is kept by asking at each
//! step for the most of the next q + 1 values of B; that costs no more than Σ p·B_k·len_k plus
//! p·q steps for each pod by which B rises, and exactly that where no dip of B is shorter than its
//! start-up (a shorter one is cheaper filled). So the least over all B is the least over all plans,
//! and one number, B, is the whole state: violations of step k are those of min(B_{k−1}, B_k) for
//! its first r, of B_k for the rest.
//!
//! [`Game::cheapest`] solves cost + price·violations exactly for one price of a violation, in time
//! steps × replicas: each solution is the least cost at its own number of violations, and its value
//! bounds every plan from below. The solutions over all prices are the corners of the frontier's
//! convex hull. [`Game::frontier`] is the whole frontier, by dynamic programming over ready pods and
//! violations spent, for games that are small enough.
//!
//! Under busy loops a pod's age tells how fast it is, and one number is the state no longer. Then there
//! are two games: without any loop ([`Loops::Spared`]), where every plan breaks at most what it really
//! does, so that its solutions stay a bound; and with the loops in every ready pod
//! ([`Loops::Everywhere`]), whose violations are a reckoning: pods with loops and without are queues of
//! their own, which the game takes for one. Which game's plan is the better is seen when both are flown.

use foresail_core::quantity::units::{larger, smaller};

use super::demand::Flow;
use super::promise::Promise;
use super::stress::{promise_with, workers_within};
use crate::config::{ClusterConfig, ConfigProblem, Pipeline};
use crate::workload::Workload;

/// What a game takes of the busy loops that pods are put under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loops {
    /// None of them: a bound that no plan is below.
    #[default]
    Spared,
    /// While they last they are in every ready pod, one that nobody has found yet too.
    Everywhere,
}

/// One workload on one cluster, to be played with full knowledge.
#[derive(Clone, Debug)]
pub struct Game {
    min: u32,
    /// The most replicas that are of any use, at most those allowed.
    top: u32,
    /// Whole steps of a start-up.
    lead: usize,
    /// Cost of one replica for one whole step, and for the last one.
    step_cost: f64,
    last_cost: f64,
    steps: Vec<Step>,
    /// Shares that break the promise by replicas from `min` on, one row per distinct rate.
    shares: Vec<Vec<f64>>,
}

/// Requests of one step: those that come before pods asked for at the last whole step are ready,
/// and those after.
#[derive(Clone, Copy, Debug)]
struct Step {
    early: f64,
    late: f64,
    /// Row of the shares.
    row: u32,
}

/// One solution: what a plan costs and breaks, and the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// What it costs.
    pub cost: f64,
    /// Requests that break the promise.
    pub violations: f64,
    /// Replicas asked for, step by step.
    pub plan: Vec<u32>,
}

/// A label of the whole frontier: cost and violations of the best way to one number of ready pods.
#[derive(Clone, Copy, Debug)]
struct Label {
    cost: f64,
    violations: f64,
    /// The label before it, and its ready pods.
    before: u32,
    ready: u32,
}

impl Game {
    /// The game of a workload: steps of the pipeline's sync, replicas from `min` to `max`, no busy loops.
    ///
    /// # Errors
    /// [`ConfigProblem`] where a knob is out of its range.
    pub fn new(
        config: &ClusterConfig,
        pipeline: &Pipeline,
        workload: &Workload,
        bounds: (u32, u32),
    ) -> Result<Self, ConfigProblem> {
        Self::under(Loops::Spared, config, pipeline, workload, bounds)
    }

    /// The same with what is to be taken of the busy loops.
    ///
    /// # Errors
    /// [`ConfigProblem`] where a knob is out of its range.
    pub fn under(
        loops: Loops,
        config: &ClusterConfig,
        pipeline: &Pipeline,
        workload: &Workload,
        (min, max): (u32, u32),
    ) -> Result<Self, ConfigProblem> {
        config.check(workload.length())?;
        pipeline.check()?;
        let (sync, end) = (pipeline.sync.nanos(), workload.length().nanos());
        let startup = config.startup.mean.nanos();
        let seconds = |nanos: i64| nanos as f64 / 1e9;
        let cores = f64::from(config.cpu_request_millicores) / 1000.0;
        let memory = config.memory_request_gib;
        let cost = |nanos: i64| config.price.cost(seconds(nanos) / 60.0, cores, memory);
        let count = (end as u64).div_ceil(sync as u64) as usize;
        let mut game = Self {
            min,
            top: min.max(max),
            lead: (startup / sync) as usize,
            step_cost: cost(sync),
            last_cost: cost(end - sync * (count as i64 - 1)),
            steps: Vec::with_capacity(count),
            shares: Vec::new(),
        };
        game.fill((config, loops), workload, sync, startup % sync);
        game.cut_top();
        Ok(game)
    }

    fn fill(
        &mut self,
        (config, loops): (&ClusterConfig, Loops),
        workload: &Workload,
        sync: i64,
        rest: i64,
    ) {
        let end = workload.length().nanos();
        let mut flow = Flow::new(workload);
        let (mut begin, mut last) = (0, (f64::NAN, 0));
        let mut promises: Vec<(u32, Promise)> = Vec::new();
        let mut row = Vec::new();
        while begin < end {
            let until = (begin + sync).min(end);
            let length = (until - begin) as f64;
            let requests = flow.take(until);
            let rate = requests / (length / 1e9);
            let workers = match loops {
                Loops::Spared => 0,
                Loops::Everywhere => workers_within(config, (begin, until)),
            };
            if rate.to_bits() != last.0.to_bits() || workers != last.1 {
                let known = promises.iter().position(|(n, _)| *n == workers);
                let place = known.unwrap_or_else(|| {
                    promises.push((workers, promise_with(config, workers)));
                    promises.len() - 1
                });
                promises[place].1.by_ready(rate, self.top, &mut row);
                self.shares.push(row[self.min as usize..].to_vec());
                last = (rate, workers);
            }
            let early = requests * (rest.min(until - begin) as f64 / length);
            self.steps.push(Step {
                early,
                late: requests - early,
                row: self.shares.len() as u32 - 1,
            });
            begin = until;
        }
    }

    /// Forgets replicas that never break less than fewer do: no plan gains by them.
    fn cut_top(&mut self) {
        let needed = |row: &Vec<f64>| {
            let least = row.last().copied().unwrap_or(0.0);
            row.partition_point(|share| *share > least)
        };
        let levels = self.shares.iter().map(needed).max().unwrap_or(0) + 1;
        self.top = self.top.min(self.min + levels as u32 - 1);
        for row in &mut self.shares {
            row.truncate(levels);
            row.shrink_to_fit();
        }
    }

    fn levels(&self) -> usize {
        (self.top - self.min) as usize + 1
    }

    /// Steps of the game.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Requests of the game.
    #[must_use]
    pub fn requests(&self) -> f64 {
        self.steps.iter().map(|s| s.early + s.late).sum()
    }

    fn cost_of_step(&self, step: usize) -> f64 {
        if step + 1 == self.steps.len() {
            self.last_cost
        } else {
            self.step_cost
        }
    }

    /// Cost and violations of ready pods at the end of each step, when they are asked for in time.
    fn value(&self, ready: &[u32], plan: &[u32]) -> (f64, f64) {
        let (mut cost, mut violations) = (0.0, 0.0);
        let mut before = ready.first().copied().unwrap_or(self.min);
        for (k, (step, (now, asked))) in self.steps.iter().zip(ready.iter().zip(plan)).enumerate() {
            let shares = &self.shares[step.row as usize];
            let share = |level: u32| shares[(level - self.min) as usize];
            violations += step.early * share(before.min(*now)) + step.late * share(*now);
            cost += self.cost_of_step(k) * f64::from(*asked);
            before = *now;
        }
        (cost, violations)
    }

    /// What to ask for so that these are ready: at each step the most of the next `lead + 1`.
    fn plan_of(&self, ready: &[u32]) -> Vec<u32> {
        let most = |k: usize| {
            let until = (k + self.lead + 1).min(ready.len());
            ready[k..until].iter().copied().max().unwrap_or(self.min)
        };
        (0..ready.len()).map(most).collect()
    }

    /// The ready pods that a plan really gives: the fewest asked for within the lead.
    fn ready_of(&self, plan: &[u32]) -> Vec<u32> {
        let fewest = |k: usize| {
            let from = k.saturating_sub(self.lead);
            plan[from..=k].iter().copied().min().unwrap_or(self.min)
        };
        (0..plan.len()).map(fewest).collect()
    }

    fn solution(&self, ready: &[u32]) -> Solution {
        let plan = self.plan_of(ready);
        let (cost, violations) = self.value(&self.ready_of(&plan), &plan);
        Solution {
            cost,
            violations,
            plan,
        }
    }

    /// The plan with the least cost + `price` · violations; exact.
    ///
    /// At its own number of violations no plan costs less, and no plan at all has a lesser
    /// cost + price · violations. Units: `price` in the currency per request.
    #[must_use]
    pub fn cheapest(&self, price: f64) -> Solution {
        let levels = self.levels();
        let mut values = vec![0.0; levels];
        let mut next = vec![0.0; levels];
        let mut from = vec![0_u16; levels * self.steps.len()];
        for (k, step) in self.steps.iter().enumerate() {
            let shares = &self.shares[step.row as usize];
            let weigh = Weighed {
                hold: self.cost_of_step(k),
                rise: self.step_cost * self.lead as f64,
                early: price * step.early,
                late: price * step.late,
                shares,
            };
            let row = &mut from[k * levels..(k + 1) * levels];
            if k == 0 {
                for (level, value) in values.iter_mut().enumerate() {
                    *value = weigh.stay(self.min, level);
                }
            } else {
                weigh.step(self.min, &values, &mut next, row, k > self.lead);
                std::mem::swap(&mut values, &mut next);
            }
        }
        let mut level = least(&values);
        let mut ready = vec![0; self.steps.len()];
        for k in (0..self.steps.len()).rev() {
            ready[k] = self.min + level as u32;
            level = usize::from(from[k * levels + level]);
        }
        self.solution(&ready)
    }

    /// The whole frontier: every plan that no other beats in cost and violations; exact.
    ///
    /// `None` where more than `labels_max` ways must be kept: the game is then too large for it.
    #[must_use]
    pub fn frontier(&self, labels_max: usize) -> Option<Vec<Solution>> {
        let mut arena: Vec<Label> = Vec::new();
        let mut fronts: Vec<Vec<u32>> = vec![Vec::new(); self.levels()];
        for k in 0..self.steps.len() {
            let mut reached: Vec<Vec<Label>> = vec![Vec::new(); self.levels()];
            if k == 0 {
                for (level, labels) in reached.iter_mut().enumerate() {
                    labels.push(self.moved(k, None, level, &arena));
                }
            }
            for (level, labels) in reached.iter_mut().enumerate() {
                for (old, front) in fronts.iter().enumerate() {
                    if level > old && k <= self.lead {
                        continue;
                    }
                    labels.extend(front.iter().map(|l| self.moved(k, Some(*l), level, &arena)));
                }
            }
            for (labels, front) in reached.into_iter().zip(&mut fronts) {
                front.clear();
                for label in undominated(labels) {
                    front.push(arena.len() as u32);
                    arena.push(label);
                }
            }
            if arena.len() > labels_max {
                return None;
            }
        }
        let last = fronts.concat().into_iter().map(|l| Label {
            before: l,
            ..arena[l as usize]
        });
        let best = undominated(last.collect());
        Some(best.iter().map(|l| self.traced(l.before, &arena)).collect())
    }

    /// The label after a step, from one before it.
    fn moved(&self, k: usize, before: Option<u32>, level: usize, arena: &[Label]) -> Label {
        let step = &self.steps[k];
        let shares = &self.shares[step.row as usize];
        let ready = self.min + level as u32;
        let old = before.map(|l| arena[l as usize]);
        let was = old.map_or(ready, |l| l.ready);
        let early = shares[(was.min(ready) - self.min) as usize];
        let risen = f64::from(ready.saturating_sub(was)) * self.step_cost * self.lead as f64;
        Label {
            cost: old.map_or(0.0, |l| l.cost) + self.cost_of_step(k) * f64::from(ready) + risen,
            violations: old.map_or(0.0, |l| l.violations)
                + step.early * early
                + step.late * shares[level],
            before: before.unwrap_or(u32::MAX),
            ready,
        }
    }

    fn traced(&self, mut label: u32, arena: &[Label]) -> Solution {
        let mut ready = Vec::with_capacity(self.steps.len());
        while let Some(found) = arena.get(label as usize) {
            ready.push(found.ready);
            label = found.before;
        }
        ready.reverse();
        self.solution(&ready)
    }
}

/// The place of the least value; the first of equal ones.
fn least(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value < values[best] {
            best = place;
        }
    }
    best
}

/// Labels that no other beats, by rising cost.
fn undominated(mut labels: Vec<Label>) -> Vec<Label> {
    labels.sort_by(|a, b| {
        a.cost
            .total_cmp(&b.cost)
            .then(a.violations.total_cmp(&b.violations))
    });
    let mut fewest = f64::INFINITY;
    labels.retain(|l| {
        let keep = l.violations < fewest;
        fewest = smaller(fewest, l.violations);
        keep
    });
    labels
}

/// One step of the dynamic program with its weights.
struct Weighed<'a> {
    /// Cost of a replica in this step.
    hold: f64,
    /// Cost of a start-up.
    rise: f64,
    /// What all requests before and after the readiness of new pods are worth.
    early: f64,
    late: f64,
    shares: &'a [f64],
}

impl Weighed<'_> {
    fn stay(&self, min: u32, level: usize) -> f64 {
        self.hold * f64::from(min + level as u32) + (self.early + self.late) * self.shares[level]
    }

    /// The least value of each level after the step, and from which level it came.
    fn step(&self, min: u32, values: &[f64], next: &mut [f64], from: &mut [u16], may_rise: bool) {
        // From above or the same: the least of the values from each level on.
        let (mut best, mut place) = (f64::INFINITY, 0);
        for level in (0..values.len()).rev() {
            if values[level] <= best {
                (best, place) = (values[level], level);
            }
            next[level] = best + self.stay(min, level);
            from[level] = place as u16;
        }
        if !may_rise {
            return;
        }
        // From below: the start-up is paid, and the early requests meet the old number.
        let (mut best, mut place) = (f64::INFINITY, 0);
        for level in 0..values.len() {
            let rises = self.rise * level as f64;
            let risen = best
                + rises
                + self.hold * f64::from(min + level as u32)
                + self.late * self.shares[level];
            if risen < next[level] {
                next[level] = risen;
                from[level] = place as u16;
            }
            let left = values[level] - rises + self.early * self.shares[level];
            if left < best {
                (best, place) = (left, level);
            }
        }
    }
}

/// Prices of a violation at which the frontier is looked at, each 2^¼ of the one before.
///
/// Units: the currency per request; `base` is what serving one request on a busy replica costs.
#[must_use]
pub fn prices(base: f64) -> Vec<f64> {
    (-16..=80)
        .map(|i| base * (f64::from(i) / 4.0).exp2())
        .collect()
}

/// One corner of a frontier: the price of a violation at which it is the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corner {
    /// The price.
    pub price: f64,
    /// What its plans cost.
    pub cost: f64,
    /// Requests that break the promise.
    pub violations: f64,
}

/// The cheapest corner with at most so many violations; `None` where every corner has more.
#[must_use]
pub fn least_cost(corners: &[Corner], violations: f64) -> Option<Corner> {
    let slack = 1e-9 * larger(violations, 1.0);
    let kept = corners
        .iter()
        .filter(|c| c.violations <= violations + slack);
    kept.min_by(|a, b| a.cost.total_cmp(&b.cost)).copied()
}

/// What no plan with so many violations costs less than: the best bound that the corners give.
///
/// Fewer violations than the corner with the fewest count as many as that one's.
#[must_use]
pub fn lower_bound(corners: &[Corner], violations: f64) -> f64 {
    let fewest = corners.iter().map(|c| c.violations);
    let fewest = fewest.fold(f64::INFINITY, smaller);
    let violations = larger(violations, fewest);
    let bound = |c: &Corner| c.cost + c.price * (c.violations - violations);
    corners.iter().map(bound).fold(0.0, larger)
}

/// Solutions that are asked for at most to find the corners beside one number of violations.
const TIGHTENED_MAX: usize = 48;

/// Adds the two corners of the convex hull between which a number of violations lies.
///
/// The price at which the two nearest known corners are worth the same is solved for, until no
/// solution is below their line; [`lower_bound`] is then that line. `solve` gives the solution at a
/// price.
pub fn tighten(corners: &mut Vec<Corner>, violations: f64, mut solve: impl FnMut(f64) -> Corner) {
    for _ in 0..TIGHTENED_MAX {
        let few = corners.iter().filter(|c| c.violations <= violations);
        let few = few.max_by(|a, b| {
            let by_cost = b.cost.total_cmp(&a.cost);
            a.violations.total_cmp(&b.violations).then(by_cost)
        });
        let many = corners.iter().filter(|c| c.violations > violations);
        let many = many.min_by(|a, b| {
            let by_cost = a.cost.total_cmp(&b.cost);
            a.violations.total_cmp(&b.violations).then(by_cost)
        });
        let Some((few, many)) = few.copied().zip(many.copied()) else {
            return;
        };
        let price = (few.cost - many.cost) / (many.violations - few.violations);
        if !(price.is_finite() && price > 0.0) {
            return;
        }
        let found = solve(price);
        let worth = |c: &Corner| c.cost + price * c.violations;
        if worth(&found) >= worth(&few) * (1.0 - 1e-10) {
            corners.push(Corner { price, ..few });
            return;
        }
        corners.push(found);
    }
}
