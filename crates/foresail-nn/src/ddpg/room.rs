//! Room that every step of learning uses again, and how transitions are turned into lanes.

use super::learn::LearnError;
use super::nets::Nets;
use super::replay::Replay;
use super::settings::Settings;
use crate::kernel::{LANES, Row};
use crate::mlp::MlpTape;
use crate::real::Real;

/// Room that every step of learning uses again.
#[derive(Clone, Debug)]
pub(super) struct Room<R> {
    pub(super) places: Vec<usize>,
    /// The transitions, one after the other.
    gathered: Vec<R>,
    /// Of one state, for acting.
    pub(super) acting: MlpTape<R>,
    pub(super) actor: MlpTape<R>,
    pub(super) critic: MlpTape<R>,
    pub(super) target_actor: MlpTape<R>,
    pub(super) target_critic: MlpTape<R>,
    /// Tile by tile: rewards, then 1 where more came after, then what the critic shall answer.
    pub(super) rewards: Vec<Row<R>>,
    pub(super) more: Vec<Row<R>>,
    pub(super) targets: Vec<Row<R>>,
    pub(super) context_gradient: Vec<R>,
}

impl<R: Real> Room<R> {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            places: Vec::with_capacity(settings.batch),
            gathered: Vec::new(),
            acting: MlpTape::default(),
            actor: MlpTape::default(),
            critic: MlpTape::default(),
            target_actor: MlpTape::default(),
            target_critic: MlpTape::default(),
            rewards: Vec::new(),
            more: Vec::new(),
            targets: Vec::new(),
            context_gradient: vec![R::ZERO; settings.context],
        }
    }

    /// Room for as many transitions as there are places.
    pub(super) fn make(&mut self, nets: &Nets<R>, places: &[usize]) {
        let count = places.len();
        self.actor.prepare(nets.actor.shape(), count);
        self.critic.prepare(nets.critic.shape(), count);
        self.target_actor.prepare(nets.actor.shape(), count);
        self.target_critic.prepare(nets.critic.shape(), count);
        for rows in [&mut self.rewards, &mut self.more, &mut self.targets] {
            rows.resize(count.div_ceil(LANES), [R::ZERO; LANES]);
        }
    }

    /// Writes the transitions at `places` into the tapes.
    pub(super) fn fill(
        &mut self,
        replay: &Replay<R>,
        places: &[usize],
        context: &[R],
    ) -> Result<(), LearnError> {
        let (state, action) = replay.widths();
        let read = state + context.len();
        let numbers = replay.numbers();
        self.gathered.resize(places.len() * numbers, R::ZERO);
        if let Some(place) = replay.gather(places, &mut self.gathered) {
            let len = replay.len();
            return Err(LearnError::Place { place, len });
        }
        let groups = self.gathered.chunks(numbers * LANES);
        for (tile, group) in groups.enumerate() {
            let now = &mut self.critic.input_mut()[tile * read..][..read];
            scatter(&mut now[..state], group, (numbers, 0));
            spread(&mut now[state..], context);
            let next = &mut self.target_actor.input_mut()[tile * read..][..read];
            scatter(&mut next[..state], group, (numbers, state + action));
            spread(&mut next[state..], context);
            let joined = &mut self.critic.joined_mut()[tile * action..][..action];
            scatter(joined, group, (numbers, state));
            let tail = 2 * state + action;
            scatter(&mut self.rewards[tile..=tile], group, (numbers, tail));
            scatter(&mut self.more[tile..=tile], group, (numbers, tail + 1));
        }
        self.actor.input_mut().copy_from_slice(self.critic.input());
        self.target_critic
            .input_mut()
            .copy_from_slice(self.target_actor.input());
        Ok(())
    }
}

/// Each number over all lanes of its row.
fn spread<R: Real>(rows: &mut [Row<R>], numbers: &[R]) {
    for (row, number) in rows.iter_mut().zip(numbers) {
        row.fill(*number);
    }
}

/// Turns samples of `numbers` numbers into lanes: row k takes number `first` + k of each.
fn scatter<R: Real>(rows: &mut [Row<R>], group: &[R], (numbers, first): (usize, usize)) {
    for (lane, sample) in group.chunks_exact(numbers).enumerate().take(LANES) {
        for (row, number) in rows.iter_mut().zip(&sample[first..]) {
            row[lane] = *number;
        }
    }
}
