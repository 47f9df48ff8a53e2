//! Learners flown on worlds: what `aware` and `study aware` share.

pub(crate) mod course;
pub(crate) mod place;
pub(crate) mod verify;

pub(crate) use course::{Course, Flown, fly_policy};
