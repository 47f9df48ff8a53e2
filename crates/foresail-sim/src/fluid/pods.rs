//! Pods as counted groups, and what CPU they burnt.

use std::collections::VecDeque;

/// Pods that were created together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// When they were created.
    pub(crate) created: i64,
    /// When they become ready.
    pub(crate) ready: i64,
    /// How many they are.
    pub(crate) count: u32,
}

/// All pods, the oldest group first. Units of every time: nanoseconds since the run's begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pods {
    groups: Vec<Group>,
    total: u32,
}

impl Pods {
    /// So many pods, ready from the begin.
    pub(crate) fn warm(count: u32) -> Self {
        let mut pods = Self::default();
        pods.resize(0, count, 0);
        pods
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Makes them `wanted`: new ones start, or the newest go.
    ///
    /// As the replica set does it, pods that are not ready go first; those are the newest.
    pub(crate) fn resize(&mut self, now: i64, wanted: u32, startup: i64) {
        if wanted > self.total {
            self.groups.push(Group {
                created: now,
                ready: now + startup,
                count: wanted - self.total,
            });
        }
        let mut surplus = self.total.saturating_sub(wanted);
        while let Some(last) = self.groups.last_mut().filter(|_| surplus > 0) {
            let gone = surplus.min(last.count);
            last.count -= gone;
            surplus -= gone;
            if last.count == 0 {
                self.groups.pop();
            }
        }
        self.total = wanted;
    }

    /// Makes `count` of the ready pods start anew, the oldest first; they are ready at `ready`.
    pub(crate) fn restart(&mut self, now: i64, count: u32, ready: i64) {
        let mut left = count;
        let mut restarted = 0;
        for group in self.groups.iter_mut().filter(|g| g.ready <= now) {
            let taken = left.min(group.count);
            group.count -= taken;
            left -= taken;
            restarted += taken;
        }
        self.groups.retain(|g| g.count > 0);
        if restarted > 0 {
            let place = self.groups.partition_point(|g| g.ready <= ready);
            let created = now;
            let count = restarted;
            self.groups.insert(
                place,
                Group {
                    created,
                    ready,
                    count,
                },
            );
        }
    }

    /// Ready pods at `now`, and when the next ones become ready.
    pub(crate) fn ready(&self, now: i64) -> (u32, i64) {
        let mut ready = 0;
        for group in &self.groups {
            if group.ready > now {
                return (ready, group.ready);
            }
            ready += group.count;
        }
        (ready, i64::MAX)
    }

    /// Makes one group of all that were ready before `settled`: nothing tells them apart any more.
    pub(crate) fn merge(&mut self, settled: i64) {
        while let [first, second, ..] = self.groups[..]
            && second.ready <= settled
        {
            self.groups[0].count = first.count + second.count;
            self.groups.remove(1);
        }
    }
}

/// CPU that one ready pod burnt since the begin: all ready pods share the load evenly.
#[derive(Clone, Debug)]
pub(crate) struct Burnt {
    /// Time and thousandth-core-nanoseconds, the newest last; straight between two points.
    points: VecDeque<(i64, f64)>,
    keep: i64,
}

impl Burnt {
    /// Nothing burnt yet; points older than `keep` are forgotten.
    pub(crate) fn new(keep: i64) -> Self {
        Self {
            points: VecDeque::from([(0, 0.0)]),
            keep,
        }
    }

    /// How far back a window may reach.
    pub(crate) fn keep(&self) -> i64 {
        self.keep
    }

    /// From the newest point up to `to` each ready pod burns `millicores`.
    pub(crate) fn extend(&mut self, to: i64, millicores: f64) {
        let (at, burnt) = self.newest();
        self.points
            .push_back((to, burnt + (to - at) as f64 * millicores));
        while self.points.get(1).is_some_and(|p| p.0 <= to - self.keep) {
            self.points.pop_front();
        }
    }

    fn newest(&self) -> (i64, f64) {
        self.points.back().copied().unwrap_or((0, 0.0))
    }

    /// What was burnt up to `at`.
    pub(crate) fn up_to(&self, at: i64) -> f64 {
        let after = self.points.partition_point(|p| p.0 <= at);
        let Some(&(from, burnt)) = after.checked_sub(1).and_then(|i| self.points.get(i)) else {
            return self.points.front().map_or(0.0, |p| p.1);
        };
        match self.points.get(after) {
            Some(&(to, more)) => burnt + (more - burnt) * ((at - from) as f64 / (to - from) as f64),
            None => burnt,
        }
    }

    /// The window from `from` to `to`, to be asked for the mean of many groups.
    pub(crate) fn window(&self, from: i64, to: i64) -> BurntWindow<'_> {
        BurntWindow {
            burnt: self,
            from,
            to,
            at_from: self.up_to(from),
            at_to: self.up_to(to),
        }
    }
}

/// What was burnt in a window; most groups were ready all through it, so both ends are looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BurntWindow<'a> {
    burnt: &'a Burnt,
    from: i64,
    to: i64,
    at_from: f64,
    at_to: f64,
}

impl BurntWindow<'_> {
    /// Mean over the window, from `from` on where that is later, of one pod of a group: starting, then
    /// ready. Units: millicores.
    pub(crate) fn mean(&self, group: &Group, from: i64, starting: f64) -> f64 {
        let from = from.max(self.from);
        let ready = group.ready.clamp(from, self.to);
        let at_ready = if ready == self.from {
            self.at_from
        } else {
            self.burnt.up_to(ready)
        };
        let while_starting = (ready - from) as f64 * starting;
        (while_starting + self.at_to - at_ready) / (self.to - from) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_go_first_and_groups_stay_few() {
        let mut pods = Pods::warm(3);
        pods.resize(10, 7, 5);
        pods.resize(20, 9, 5);
        assert_eq!(pods.ready(14), (3, 15));
        assert_eq!(pods.ready(20), (7, 25));
        pods.resize(21, 6, 5);
        assert_eq!(
            pods.ready(21),
            (6, i64::MAX),
            "both that start, and one more"
        );
        pods.merge(14);
        assert_eq!(pods.groups().len(), 2);
        pods.merge(15);
        assert_eq!(pods.groups().len(), 1);
        assert_eq!(pods.groups()[0].count, 6);
        pods.resize(30, 0, 5);
        assert!(pods.groups().is_empty());
    }

    #[test]
    fn a_window_over_the_start_holds_both_parts() {
        let mut burnt = Burnt::new(1000);
        burnt.extend(100, 400.0);
        burnt.extend(200, 800.0);
        let old = Group {
            created: 0,
            ready: 0,
            count: 1,
        };
        let window = burnt.window(50, 150);
        assert!((window.mean(&old, 0, 0.0) - 600.0).abs() < 1e-9);
        let new = Group { ready: 100, ..old };
        assert!((window.mean(&new, 50, 100.0) - 450.0).abs() < 1e-9);
        let newer = Group {
            created: 90,
            ready: 100,
            ..old
        };
        let want = (10.0 * 100.0 + 50.0 * 800.0) / 60.0;
        assert!((window.mean(&newer, 90, 100.0) - want).abs() < 1e-9);
    }
}
