//! Pages and the charts on them.

pub mod axis;
pub mod chart;
pub mod frame;
pub mod own;
pub mod paired;
pub mod run;
pub mod study;
pub mod text;
pub mod time;
