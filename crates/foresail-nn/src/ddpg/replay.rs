//! Replay memory: the last transitions, the oldest giving way to the newest.

use crate::real::Real;

/// Transitions of a block; memory is taken block by block as it fills.
const BLOCK: usize = 1024;

/// What happened in one step.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'a, R = f32> {
    /// Where it began.
    pub state: &'a [R],
    /// What was done, as the actor gave it and the noise changed it.
    pub action: &'a [R],
    /// What it earned.
    pub reward: R,
    /// Where it led.
    pub next: &'a [R],
    /// Whether nothing came after it: the world ended, not merely the time that was watched.
    pub done: bool,
}

/// Why a transition was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Of another width.
    #[error("the {part} of a transition has {found} numbers, this memory keeps {needed}")]
    Width {
        /// Which part.
        part: &'static str,
        /// Its numbers.
        found: usize,
        /// Those that it must have.
        needed: usize,
    },
    /// Not a number, or without end.
    #[error(
        "the {part} of a transition holds a number that is not finite; leave the transition out"
    )]
    NotFinite {
        /// Which part.
        part: &'static str,
    },
}

/// The last transitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay<R = f32> {
    state: usize,
    action: usize,
    capacity: usize,
    /// Transitions one after the other: state, action, next state, reward, and 1 if more came after it.
    blocks: Vec<Vec<R>>,
    /// Place of the oldest, once it is full.
    oldest: usize,
    len: usize,
    reward_most: f64,
}

impl<R: Real> Replay<R> {
    /// A memory of `capacity` transitions, at least one; it takes memory as it fills.
    #[must_use]
    pub fn new(state: usize, action: usize, capacity: usize) -> Self {
        Self {
            state,
            action,
            capacity: capacity.max(1),
            blocks: Vec::new(),
            oldest: 0,
            len: 0,
            reward_most: 0.0,
        }
    }

    /// Transitions that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Transitions that fit in.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Numbers of a state and of an action.
    #[must_use]
    pub fn widths(&self) -> (usize, usize) {
        (self.state, self.action)
    }

    /// The greatest reward ever taken in, without its sign.
    #[must_use]
    pub fn reward_most(&self) -> f64 {
        self.reward_most
    }

    /// Numbers of a transition.
    pub(super) fn numbers(&self) -> usize {
        2 * self.state + self.action + 2
    }

    /// Takes in a transition; the oldest goes where there is no room.
    ///
    /// # Errors
    /// [`ReplayError`] for other widths and for numbers that are not finite; nothing is taken in then.
    pub fn push(&mut self, t: &Transition<'_, R>) -> Result<(), ReplayError> {
        self.check(t)?;
        let place = if self.len < self.capacity {
            self.len
        } else {
            self.oldest
        };
        let numbers = self.numbers();
        if place / BLOCK == self.blocks.len() {
            let rest = (self.capacity - place).min(BLOCK);
            self.blocks.push(Vec::with_capacity(rest * numbers));
        }
        let kept = if t.done { R::ZERO } else { R::ONE };
        let tail = [t.reward, kept];
        let parts = [t.state, t.action, t.next, &tail];
        let block = &mut self.blocks[place / BLOCK];
        let mut first = place % BLOCK * numbers;
        if first == block.len() {
            parts.iter().for_each(|part| block.extend_from_slice(part));
        } else {
            for part in parts {
                block[first..first + part.len()].copy_from_slice(part);
                first += part.len();
            }
        }
        if self.len < self.capacity {
            self.len += 1;
        } else {
            self.oldest = (self.oldest + 1) % self.capacity;
        }
        let size = t.reward.wide().abs();
        if size > self.reward_most {
            self.reward_most = size;
        }
        Ok(())
    }

    fn check(&self, t: &Transition<'_, R>) -> Result<(), ReplayError> {
        let reward = [t.reward];
        let parts = [
            ("state", t.state, self.state),
            ("action", t.action, self.action),
            ("next state", t.next, self.state),
            ("reward", &reward, 1),
        ];
        for (part, numbers, needed) in parts {
            if numbers.len() != needed {
                return Err(ReplayError::Width {
                    part,
                    found: numbers.len(),
                    needed,
                });
            }
            if numbers.iter().any(|n| !n.wide().is_finite()) {
                return Err(ReplayError::NotFinite { part });
            }
        }
        Ok(())
    }

    /// Copies the transitions at these places one after the other, as they lie: state, action, next
    /// state, reward, 1 if more came after; gives the first place that is not there.
    ///
    /// A memory is far larger than any cache: copied one after the other, the waits overlap.
    pub(super) fn gather(&self, places: &[usize], to: &mut [R]) -> Option<usize> {
        let numbers = self.numbers();
        for (place, to) in places.iter().zip(to.chunks_exact_mut(numbers)) {
            let first = place % BLOCK * numbers;
            let block = self.blocks.get(place / BLOCK);
            match block.and_then(|b| b.get(first..first + numbers)) {
                Some(whole) => to.copy_from_slice(whole),
                None => return Some(*place),
            }
        }
        None
    }

    /// The transition at a place, 0 to below [`Self::len`]; places are no order of time.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Transition<'_, R>> {
        let numbers = self.numbers();
        let block = self.blocks.get(place / BLOCK)?;
        let whole = block.get(place % BLOCK * numbers..(place % BLOCK + 1) * numbers)?;
        let (state, rest) = whole.split_at(self.state);
        let (action, rest) = rest.split_at(self.action);
        let (next, tail) = rest.split_at(self.state);
        Some(Transition {
            state,
            action,
            reward: tail[0],
            next,
            done: tail[1] == R::ZERO,
        })
    }

    /// Place of the oldest transition.
    pub(super) fn oldest(&self) -> usize {
        self.oldest
    }

    /// Continues a memory whose transitions were taken in place by place.
    pub(super) fn resume(&mut self, oldest: usize, reward_most: f64) {
        self.oldest = oldest;
        self.reward_most = reward_most;
    }
}
