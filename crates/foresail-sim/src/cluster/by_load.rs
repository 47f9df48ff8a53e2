//! Ready pods by their load.

use super::Pod;

/// Ready pods by their load, so that the least loaded is found at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByLoad {
    lists: Vec<Vec<u32>>,
    lowest: usize,
}

impl ByLoad {
    /// The pod with the least load, where that is below `below`.
    #[inline]
    pub(crate) fn least(&mut self, below: usize) -> Option<u32> {
        while self.lowest < self.lists.len() {
            if let Some(pod) = self.lists[self.lowest].last() {
                return (self.lowest < below).then_some(*pod);
            }
            self.lowest += 1;
        }
        None
    }

    #[inline]
    pub(crate) fn insert(&mut self, pods: &mut [Pod], pod: u32, load: usize) {
        if self.lists.len() <= load {
            self.lists.resize_with(load + 1, Vec::new);
        }
        pods[pod as usize].place = self.lists[load].len();
        self.lists[load].push(pod);
        if load < self.lowest {
            self.lowest = load;
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, pods: &mut [Pod], pod: u32, load: usize) {
        let place = pods[pod as usize].place;
        let list = &mut self.lists[load];
        list.swap_remove(place);
        if let Some(moved) = list.get(place) {
            pods[*moved as usize].place = place;
        }
    }
}
