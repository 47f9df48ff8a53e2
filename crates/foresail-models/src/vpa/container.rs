//! What is remembered of one container: which samples it gave, and its peak of this interval.

use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::aggregate::{Aggregate, Aggregation};
use super::estimate::amount;

/// One container, or several that are the same in every field.
///
/// Units: memory in bytes, CPU in millicores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Container {
    /// Time of the newest CPU sample that was taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_cpu: Option<Timestamp>,
    /// Time of the memory sample or kill that was taken in last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_memory: Option<Timestamp>,
    /// End of the interval of which the peak is kept; the peak stands in the histogram at this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_end: Option<Timestamp>,
    memory_peak: i64,
    /// What a kill of this interval was taken for.
    kill_peak: i64,
}

/// Time from the end of the last interval to the end of the one that holds `at`.
fn shift(at: Timestamp, end: Timestamp, interval: Span) -> Span {
    let whole = (at - end).nanos() / interval.nanos() * interval.nanos();
    Span::from_nanos(whole.saturating_add(interval.nanos()))
}

impl Container {
    /// The most memory of the interval, a kill counted as what it was taken for.
    #[must_use]
    pub fn peak(&self) -> i64 {
        self.memory_peak.max(self.kill_peak)
    }

    /// The most memory that was measured in the interval.
    #[must_use]
    pub fn measured_peak(&self) -> i64 {
        self.memory_peak
    }

    /// `true` where a kill counts in this interval.
    #[must_use]
    pub fn was_killed(&self) -> bool {
        self.kill_peak > 0
    }

    /// The end of the interval of which [`Container::peak`] is kept.
    #[must_use]
    pub fn interval_end(&self) -> Option<Timestamp> {
        self.interval_end
    }

    /// Takes in a CPU sample of each of `count` such containers, in millicores.
    ///
    /// `false` where it is below zero or not newer than the last: it counts once.
    pub fn add_cpu(
        &mut self,
        into: &mut Aggregate,
        (milli, at): (i64, Timestamp),
        count: u32,
    ) -> bool {
        if milli < 0 || self.last_cpu.is_some_and(|last| at <= last) {
            return false;
        }
        into.add_cpu(milli, count, at);
        self.last_cpu = Some(at);
        true
    }

    /// Takes in a memory sample of each of `count` such containers, in bytes.
    ///
    /// `false` where it is below zero or older than the last.
    pub fn add_memory(
        &mut self,
        into: &mut Aggregate,
        (bytes, at): (i64, Timestamp),
        aggregation: &Aggregation,
        count: u32,
    ) -> bool {
        if bytes < 0 || self.last_memory.is_some_and(|last| at < last) {
            return false;
        }
        if self.renews_peak(into, (bytes, at), aggregation, count) {
            self.memory_peak = bytes;
        }
        true
    }

    /// Takes in that each of `count` such containers was killed with a memory request of so many
    /// bytes: as if it had then used more, by a share and by so much at least.
    ///
    /// `false` where that was longer ago than an interval before the last sample.
    pub fn record_kill(
        &mut self,
        into: &mut Aggregate,
        (request, at): (i64, Timestamp),
        aggregation: &Aggregation,
        count: u32,
    ) -> bool {
        let too_old = |last: Timestamp| at < last - aggregation.memory_interval;
        if self.last_memory.is_some_and(too_old) {
            return false;
        }
        // Without the peaks of former kills: they would drive each other up.
        let used = request.max(self.memory_peak);
        let raised = used.saturating_add(amount(aggregation.kill_bytes));
        let needed = raised.max(amount(used as f64 * aggregation.kill_ratio));
        if needed < 0 {
            return false;
        }
        if self.renews_peak(into, (needed, at), aggregation, count) {
            self.kill_peak = needed;
        }
        true
    }

    /// Puts a peak into the aggregate where it is the first of its interval or higher than before.
    fn renews_peak(
        &mut self,
        into: &mut Aggregate,
        (bytes, at): (i64, Timestamp),
        aggregation: &Aggregation,
        count: u32,
    ) -> bool {
        self.last_memory = Some(at);
        let end = self.interval_end.unwrap_or(at);
        let weight = f64::from(count);
        if at < end {
            let former = self.peak();
            if former == 0 || bytes <= former {
                return false;
            }
            into.memory.subtract(former as f64, weight, end);
            into.memory.add(bytes as f64, weight, end);
            return true;
        }
        let end = end + shift(at, end, aggregation.memory_interval);
        self.interval_end = Some(end);
        self.memory_peak = 0;
        self.kill_peak = 0;
        into.memory.add(bytes as f64, weight, end);
        true
    }

    /// Takes the peak of the interval that is not over out of a copy of the aggregate, as a
    /// checkpoint holds finished intervals alone.
    pub fn take_peak_out(&self, of: &mut Aggregate, count: u32, now: Timestamp) {
        if let Some(end) = self.interval_end.filter(|end| now < *end) {
            of.memory
                .subtract(self.peak() as f64, f64::from(count), end);
        }
    }
}
