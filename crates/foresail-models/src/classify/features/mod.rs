//! Features of a window: what labelling functions and classifiers look at.
//!
//! [`published()`] is AAPA's set of 37 as it was published, [`corrected()`] what this project adds;
//! [`Features`] is both in one row without doubles, the input of trained classifiers. A window of
//! sixty takes no heap; other lengths are allowed where a slice is taken.

mod basis;
pub mod corrected;
pub mod published;
mod spectrum;

pub use corrected::{Corrected, corrected};
pub use published::published;

/// Features of [`Features::row`].
pub const COUNT: usize = published::NAMES.len() + ADDED.len();

/// Names of the corrected features that the published set does not have in some form.
const ADDED: [&str; 8] = [
    "rel_rise",
    "acf_peak",
    "acf_lag",
    "spec_entropy_norm",
    "spec_dom",
    "peak_z",
    "top_share",
    "thirds",
];

/// Names of [`Features::row`]: the published ones, then those added.
pub static NAMES: [&str; COUNT] = {
    let mut names = [""; COUNT];
    let mut i = 0;
    while i < COUNT {
        let own = published::NAMES.len();
        names[i] = if i < own {
            published::NAMES[i]
        } else {
            ADDED[i - own]
        };
        i += 1;
    }
    names
};

/// Both sets of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features {
    /// The published set.
    pub published: published::Row,
    /// The corrected set.
    pub corrected: Corrected,
}

impl Features {
    /// The features of a window of any length, one value each minute; finite, not below zero.
    #[must_use]
    pub fn of(x: &[f64]) -> Self {
        if x.is_empty() {
            return Self {
                published: published(x),
                corrected: corrected(x),
            };
        }
        basis::with(x, |b| Self {
            published: published::of(b),
            corrected: corrected::of(b),
        })
    }

    /// One value for each of [`NAMES`]; not a number where a feature has no value.
    #[must_use]
    pub fn row(&self) -> [f64; COUNT] {
        let c = &self.corrected;
        let added = [
            c.rel_rise,
            c.acf_peak,
            c.acf_lag,
            c.spec_entropy_norm,
            c.spec_dom,
            c.peak_z,
            c.top_share,
            c.thirds,
        ];
        let mut row = [0.0; COUNT];
        let (own, rest) = row.split_at_mut(self.published.len());
        own.copy_from_slice(&self.published);
        rest.copy_from_slice(&added);
        row
    }
}
