//! The published study's own HPA simulator, its mistakes included.
//!
//! It has no tolerance, no pod states and no rates; its way down keeps the largest of the recent
//! *low* numbers alone, so that the first low sample goes down at once, all the way.
//! Source: alcocuzzi/etp, autoscaler/hpa_simulator.py, as described in its own words.

use std::collections::VecDeque;

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;

use super::row::{Action, Simulated};

/// What its two windows are called, in seconds.
const UP_WINDOW: Span = Span::ZERO;
const DOWN_WINDOW: Span = Span::from_seconds(60);

/// The most that a quotient may become; keeps whole numbers whole.
const REPLICAS_MAX: f64 = 1e9;

/// The published simulator with its histories.
#[derive(Clone, Debug)]
pub struct Naive {
    min: u32,
    max: u32,
    cpu_target: f64,
    memory_target: f64,
    ups: VecDeque<(Timestamp, u32)>,
    downs: VecDeque<(Timestamp, u32)>,
}

/// What it looks at: means over the pods, in millicores and MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU.
    pub cpu: f64,
    /// Memory.
    pub memory: f64,
    /// CPU request.
    pub cpu_request: f64,
    /// Memory request.
    pub memory_request: f64,
}

impl Naive {
    /// A simulator with these bounds and targets in percent.
    #[must_use]
    pub fn new((min, max): (u32, u32), cpu_target: u32, memory_target: u32) -> Self {
        Self {
            min,
            max,
            cpu_target: f64::from(cpu_target) / 100.0,
            memory_target: f64::from(memory_target) / 100.0,
            ups: VecDeque::new(),
            downs: VecDeque::new(),
        }
    }

    /// Its answer at a time.
    pub fn answer(&mut self, now: Timestamp, replicas: u32, usage: Usage) -> Simulated {
        let current = replicas.max(1);
        let cpu_ratio = ratio(usage.cpu, usage.cpu_request * self.cpu_target);
        let memory_ratio = ratio(usage.memory, usage.memory_request * self.memory_target);
        let cpu = desired(current, cpu_ratio);
        let memory = desired(current, memory_ratio);
        let raw = cpu.max(memory).clamp(self.min, self.max);
        let kept = match raw.cmp(&current) {
            std::cmp::Ordering::Greater => largest(&mut self.ups, (now, raw), UP_WINDOW),
            std::cmp::Ordering::Less => largest(&mut self.downs, (now, raw), DOWN_WINDOW),
            std::cmp::Ordering::Equal => current,
        };
        let wanted = kept.clamp(self.min, self.max);
        Simulated {
            desired: wanted,
            raw: Some(raw),
            cpu: Some(cpu),
            memory: Some(memory),
            action: Action::of(current, wanted),
            cpu_ratio: Some(four_digits(cpu_ratio)),
            memory_ratio: Some(four_digits(memory_ratio)),
        }
    }
}

/// Usage over what is aimed at; one where nothing is aimed at.
fn ratio(usage: f64, aimed: f64) -> f64 {
    if aimed > 0.0 { usage / aimed } else { 1.0 }
}

fn desired(current: u32, ratio: f64) -> u32 {
    let quotient = (f64::from(current) * ratio).ceil();
    // A quotient that is no number becomes nothing, and is raised to the least by the bounds.
    larger(
        if quotient < REPLICAS_MAX {
            quotient
        } else {
            REPLICAS_MAX
        },
        0.0,
    ) as u32
}

/// Remembers a number, forgets what is older than the window, and gives the largest that is left.
fn largest(history: &mut VecDeque<(Timestamp, u32)>, new: (Timestamp, u32), window: Span) -> u32 {
    history.push_back(new);
    history.retain(|(at, _)| *at >= new.0 - window);
    history.iter().map(|(_, n)| *n).max().unwrap_or(new.1)
}

fn four_digits(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn usage(cpu: f64, memory: f64) -> Usage {
        Usage {
            cpu,
            memory,
            cpu_request: 100.0,
            memory_request: 64.0,
        }
    }

    fn fresh() -> Naive {
        Naive::new((1, 10), 60, 80)
    }

    /// By hand: 65 of 64 · 0.8 is 1.2695, and three pods become ⌈3.8086⌉ = 4; the HPA, which divides
    /// by the 96 MiB of the whole pod, has 67 % of 80 % and stays.
    #[test]
    fn fifty_five_mebibytes_scale_it_up() {
        let told = fresh().answer(at(0), 3, usage(17.0, 65.0));
        assert_eq!(
            (told.cpu, told.memory, told.raw),
            (Some(1), Some(4), Some(4))
        );
        assert_eq!((told.desired, told.action), (4, Action::Up));
        assert_eq!(told.memory_ratio, Some(1.2695));
        assert_eq!(told.cpu_ratio, Some(0.2833));
    }

    /// By hand: 63 of 60 is 1.05, within the HPA's tolerance and not within this one's: ⌈10.5⌉, held
    /// at 10 by the bound; from 9 it is ⌈9.45⌉ = 10.
    #[test]
    fn it_has_no_tolerance() {
        let told = fresh().answer(at(0), 9, usage(63.0, 0.0));
        assert_eq!((told.raw, told.action), (Some(10), Action::Up));
    }

    /// By hand: lows of 4, 2 and 3 at 0, 30 and 90 seconds. At 90 that of 0 is forgotten and that of
    /// 30, sixty seconds old, is not: the largest of 2 and 3 is 3.
    #[test]
    fn its_way_down_keeps_the_largest_of_the_low_numbers_alone() {
        let mut naive = fresh();
        let high = naive.answer(at(-10), 8, usage(200.0, 0.0));
        assert_eq!((high.cpu, high.desired), (Some(27), 10));
        let low = |replicas: u32| usage(f64::from(replicas) * 60.0 / 8.0, 0.0);
        // Right after a high sample it goes down at once, since highs are in another list.
        let told = |n: &mut Naive, s, want| {
            let told = n.answer(at(s), 8, low(want));
            (told.raw, told.desired, told.action)
        };
        assert_eq!(told(&mut naive, 0, 4), (Some(4), 4, Action::Down));
        assert_eq!(told(&mut naive, 30, 2), (Some(2), 4, Action::Down));
        assert_eq!(told(&mut naive, 90, 3), (Some(3), 3, Action::Down));
        assert_eq!(told(&mut naive, 91, 1), (Some(1), 3, Action::Down));
    }

    #[test]
    fn without_a_target_the_ratio_is_one_and_zero_replicas_count_as_one() {
        let mut naive = Naive::new((1, 10), 0, 80);
        let told = naive.answer(at(0), 0, usage(500.0, 10.0));
        assert_eq!((told.cpu, told.cpu_ratio), (Some(1), Some(1.0)));
        assert_eq!((told.desired, told.action), (1, Action::Same));
        let odd = fresh().answer(at(0), 3, usage(f64::NAN, f64::INFINITY));
        assert_eq!(odd.desired, 10, "no number, and more than any");
    }
}
