//! A replay memory as tensors, and back.

use super::CheckpointError;
use super::text::{number, whole};
use crate::ddpg::replay::{Replay, Transition};
use crate::ddpg::settings::Settings;
use crate::safetensors::{File, View};

/// A memory column by column.
pub(super) struct Columns {
    numbers: [Vec<f32>; 5],
    len: usize,
}

impl Columns {
    pub(super) const NAMES: [&'static str; 5] = [
        "replay.state",
        "replay.action",
        "replay.reward",
        "replay.next",
        "replay.done",
    ];

    pub(super) fn of(replay: &Replay) -> Self {
        let mut numbers: [Vec<f32>; 5] = Default::default();
        for t in (0..replay.len()).filter_map(|place| replay.get(place)) {
            numbers[0].extend_from_slice(t.state);
            numbers[1].extend_from_slice(t.action);
            numbers[2].push(t.reward);
            numbers[3].extend_from_slice(t.next);
            numbers[4].push(f32::from(u8::from(t.done)));
        }
        Self {
            numbers,
            len: replay.len(),
        }
    }

    fn shapes(len: usize, state: usize, action: usize) -> [Vec<usize>; 5] {
        [
            vec![len, state],
            vec![len, action],
            vec![len],
            vec![len, state],
            vec![len],
        ]
    }

    pub(super) fn views(&self, state: usize, action: usize) -> impl Iterator<Item = View<'_>> {
        let shapes = Self::shapes(self.len, state, action);
        let parts = Self::NAMES.iter().zip(shapes).zip(&self.numbers);
        parts.map(|((name, shape), values)| View {
            name: (*name).to_owned(),
            shape,
            values,
        })
    }
}

/// The memory of a file.
pub(super) fn memory(file: &File, settings: &Settings) -> Result<Replay, CheckpointError> {
    let len = usize::try_from(whole(file, "replay.len")?).unwrap_or(usize::MAX);
    let oldest = usize::try_from(whole(file, "replay.oldest")?).unwrap_or(usize::MAX);
    let bad = |key: &str, found: usize| CheckpointError::Text {
        key: key.to_owned(),
        found: found.to_string(),
    };
    if len > settings.buffer {
        return Err(bad("replay.len", len));
    }
    if oldest >= settings.buffer || (len < settings.buffer && oldest > 0) {
        return Err(bad("replay.oldest", oldest));
    }
    let (state, action) = (settings.state, settings.actions);
    let shapes = Columns::shapes(len, state, action);
    let mut columns: [&[f32]; 5] = [&[]; 5];
    for ((column, name), shape) in columns.iter_mut().zip(Columns::NAMES).zip(&shapes) {
        *column = file.numbers(name, shape)?;
    }
    let [states, actions, rewards, nexts, dones] = columns;
    let mut replay = Replay::new(state, action, settings.buffer);
    for place in 0..len {
        let pushed = replay.push(&Transition {
            state: &states[place * state..][..state],
            action: &actions[place * action..][..action],
            reward: rewards[place],
            next: &nexts[place * state..][..state],
            done: dones[place] > 0.5,
        });
        pushed.map_err(|e| CheckpointError::Text {
            key: format!("transition {place}"),
            found: e.to_string(),
        })?;
    }
    let most = number(file, "replay.reward_most")?;
    if most < replay.reward_most() {
        return Err(CheckpointError::Text {
            key: "replay.reward_most".to_owned(),
            found: most.to_string(),
        });
    }
    replay.resume(oldest, most);
    Ok(replay)
}
