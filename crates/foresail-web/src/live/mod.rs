//! The live page: a read model, its builder, and routes as pure functions.
//!
//! Everything shown comes from explanations and a few series beside them. A recorded run and a
//! controller fill the same [`LiveStore`]; whoever serves it asks [`route::respond`] for bytes. No
//! clock is read here: the time of a page is that of the newest decision.

pub mod build;
mod csv;
mod figures;
mod fleet_page;
pub mod head;
pub mod headers;
mod lane;
pub mod model;
mod object_page;
pub mod query;
pub mod route;
mod score_section;
mod spark;
pub mod store;
mod waterfall;
mod wrong;

use std::sync::Arc;

pub use build::{Keeping, LiveObject, Seen, Standing};
pub use model::{Fleet, FleetRow, ObjectPage};
pub use store::LiveStore;

/// Where pages come from; answers at once and never fails.
pub trait LiveSource: Send + Sync {
    /// Every object, in the order of their names.
    fn fleet(&self) -> Arc<Fleet>;

    /// One object; `None` where there is none of this name.
    fn object(&self, namespace: &str, name: &str) -> Option<ObjectPage>;

    /// A number that grows whenever anything on any page changes.
    fn revision(&self) -> u64;
}
