//! What a learner acts in.

use super::axes::{Axes, Move, Moves};

/// What one step came to.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvStep {
    /// What was executed: the floor, the guards and the writes have had their say.
    pub executed: Moves,
    /// What it was worth.
    pub reward: f64,
    /// What is seen now; `None` where something of it is not known.
    pub state: Option<Vec<f32>>,
    /// What happened in it.
    pub facts: Facts,
}

/// What happened in a step, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    /// Requests that came.
    pub requests: f64,
    /// Those of them that broke the promise.
    pub violations: f64,
    /// Pods that were killed for memory.
    pub kills: u64,
    /// Minutes, and those of them in which the promised share was not kept.
    pub minutes: u64,
    /// Minutes in which the promised share was not kept.
    pub bad_minutes: u64,
    /// CPU asked for and used, in cores times minutes.
    pub cores: (f64, f64),
    /// Memory asked for and used, in GiB times minutes.
    pub gib: (f64, f64),
    /// What it cost.
    pub cost: f64,
    /// Steps in which what was executed is not what was wished.
    pub overruled: u64,
}

impl Facts {
    /// Adds those of another time.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.violations += other.violations;
        self.kills += other.kills;
        self.minutes += other.minutes;
        self.bad_minutes += other.bad_minutes;
        self.cores = (self.cores.0 + other.cores.0, self.cores.1 + other.cores.1);
        self.gib = (self.gib.0 + other.gib.0, self.gib.1 + other.gib.1);
        self.cost += other.cost;
        self.overruled += other.overruled;
    }

    /// What happened since an earlier time, both counted from the same begin.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0, a.1 - b.1);
        Self {
            requests: self.requests - earlier.requests,
            violations: self.violations - earlier.violations,
            kills: self.kills - earlier.kills,
            minutes: self.minutes - earlier.minutes,
            bad_minutes: self.bad_minutes - earlier.bad_minutes,
            cores: less(self.cores, earlier.cores),
            gib: less(self.gib, earlier.gib),
            cost: self.cost - earlier.cost,
            overruled: self.overruled - earlier.overruled,
        }
    }

    /// Requests that broke the promise, in percent.
    #[must_use]
    pub fn violations_percent(&self) -> f64 {
        if self.requests > 0.0 {
            self.violations * 100.0 / self.requests
        } else {
            0.0
        }
    }
}

/// A target in a world, step by step. A continuing task: an episode is a stretch of it.
pub trait Env {
    /// The axes on which moves are made.
    fn axes(&self) -> &Axes;

    /// What is seen now; `None` where something of it is not known.
    fn state(&self) -> Option<Vec<f32>>;

    /// Which of a learner's outputs are legal now, [`Axes::outputs`] many.
    fn legal(&self) -> Vec<bool>;

    /// One step with these moves, or with the heuristic's where there are none.
    fn step(&mut self, moves: Option<&[Move]>) -> EnvStep;

    /// `true` where the world has come to its end.
    fn is_over(&self) -> bool;
}
