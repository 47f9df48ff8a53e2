//! A bounded queue between whoever measures and a store that may be away: the oldest gives way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A queue with room for so many items.
#[derive(Debug)]
pub struct Queue<T> {
    room: usize,
    /// Items with their numbers.
    items: Mutex<VecDeque<(u64, T)>>,
    next: AtomicU64,
    dropped: AtomicU64,
    bell: Notify,
}

impl<T: Clone> Queue<T> {
    /// Room for `room` items, at least one.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self {
            room: room.max(1),
            items: Mutex::new(VecDeque::new()),
            next: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bell: Notify::new(),
        }
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<(u64, T)>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an item in; where there is no room the oldest is dropped and counted.
    pub fn push(&self, item: T) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut items = self.items();
        items.push_back((number, item));
        while items.len() > self.room {
            items.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(items);
        self.bell.notify_one();
    }

    /// The oldest item with its number; it stays until it is [`Queue::done`].
    pub async fn first(&self) -> (u64, T) {
        loop {
            let rung = self.bell.notified();
            if let Some(first) = self.items().front().cloned() {
                return first;
            }
            rung.await;
        }
    }

    /// The item of this number is dealt with; it may have been dropped meanwhile.
    pub fn done(&self, number: u64) {
        let mut items = self.items();
        if items.front().is_some_and(|(n, _)| *n == number) {
            items.pop_front();
        }
    }

    /// Items that were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items().len()
    }

    /// `true` where none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way_and_is_counted() {
        let queue = Queue::new(2);
        queue.push('a');
        let (number, first) = queue.first().await;
        assert_eq!((number, first), (0, 'a'));
        queue.push('b');
        queue.push('c');
        // `a` was dropped while somebody had it in hand: what they are done with is not `b`.
        queue.done(number);
        assert_eq!((queue.len(), queue.dropped()), (2, 1));
        assert_eq!(queue.first().await, (1, 'b'));
        queue.done(1);
        queue.done(2);
        assert!(queue.is_empty());
    }
}
