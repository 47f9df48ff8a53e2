//! Pending events in the order of time, then of their making.

/// One pending event: time in nanoseconds, and a key that says what it is.
///
/// The upper 32 bits of the key count events, so that of two at one time the older comes first; the
/// lower 32 bits are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) at: i64,
    pub(crate) key: u64,
}

/// A heap with four children to a node: half as deep as a binary one, its children in one line of
/// cache. Replacing the top costs one sift where a pop and a push cost two.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventHeap {
    events: Vec<Event>,
    made: u32,
}

const CHILDREN: usize = 4;

impl EventHeap {
    /// Time of the next event; the end of time where there is none.
    #[inline]
    pub(crate) fn next_at(&self) -> i64 {
        self.events.first().map_or(i64::MAX, |e| e.at)
    }

    fn event(&mut self, at: i64, item: u32) -> Event {
        self.made = self.made.wrapping_add(1);
        Event {
            at,
            key: (u64::from(self.made) << 32) | u64::from(item),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, at: i64, item: u32) {
        let event = self.event(at, item);
        self.events.push(event);
        let mut place = self.events.len() - 1;
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if self.events[parent] <= event {
                break;
            }
            self.events[place] = self.events[parent];
            place = parent;
        }
        self.events[place] = event;
    }

    /// The next event's item, left in place.
    #[inline]
    pub(crate) fn top(&self) -> Option<u32> {
        self.events.first().map(|e| e.key as u32)
    }

    /// Puts another event in the place of the next one.
    #[inline]
    pub(crate) fn replace_top(&mut self, at: i64, item: u32) {
        let event = self.event(at, item);
        self.sift_down(event);
    }

    /// Takes the next event away.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(i64, u32)> {
        let top = *self.events.first()?;
        if let Some(last) = self.events.pop()
            && !self.events.is_empty()
        {
            self.sift_down(last);
        }
        Some((top.at, top.key as u32))
    }

    #[inline]
    fn sift_down(&mut self, event: Event) {
        let count = self.events.len();
        let mut place = 0;
        loop {
            let first = place * CHILDREN + 1;
            if first >= count {
                break;
            }
            let end = (first + CHILDREN).min(count);
            let mut least = first;
            for child in first + 1..end {
                if self.events[child] < self.events[least] {
                    least = child;
                }
            }
            if event <= self.events[least] {
                break;
            }
            self.events[place] = self.events[least];
            place = least;
        }
        self.events[place] = event;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_time_then_of_making() {
        let mut heap = EventHeap::default();
        for (at, item) in [(5, 0), (3, 1), (5, 2), (1, 3), (3, 4), (9, 5)] {
            heap.push(at, item);
        }
        assert_eq!(heap.top(), Some(3));
        heap.replace_top(4, 6);
        let order: Vec<_> = std::iter::from_fn(|| heap.pop()).collect();
        assert_eq!(order, [(3, 1), (3, 4), (4, 6), (5, 0), (5, 2), (9, 5)]);
    }
}
