//! Fluid mode: demand as a rate and pods as counted groups, for sweeps over thousands of functions.
//!
//! Time goes in steps of one sync period. At the begin of each step but the first the policy
//! decides; pods that it asks for are paid from then on and ready `startup` later (its mean), those
//! that it gives up are gone at once, the newest first. Requests spread evenly over the ready pods.
//! Of the requests of a stretch in which rate and ready pods stay the same, the share that breaks
//! the promise is [`Promise::broken`]: Erlang's waiting probability with its exponential tail, all of
//! them where demand is above capacity. Without a backlog a step knows nothing of the one before but
//! its pods, which is what makes [`oracle`] exact; with it, demand above capacity waits, keeps the
//! pods busy later, and breaks the promise of all that come while the wait is too long.
//!
//! What a policy sees of the load fluctuates as the number of busy servers does; what breaks the
//! promise is an expectation. What it leaves out, all of it in event mode: the time that a queue needs
//! to build up or to settle, requests that a removed pod still finishes, the spread of start-up times.
//! `examples/validate_fluid.rs` measures what that comes to.

mod advised;
mod demand;
mod flight;
mod fluctuation;
mod measure;
mod memory;
mod model;
pub mod oracle;
mod pods;
mod promise;
mod sizes;
mod stress;

pub use advised::{fly_plan, fly_plan_fluid};
pub use flight::{Flown, GroupPilot, fluid_policy, fly, fly_all};
pub use measure::{FluidMeasures, FluidMinute, Used};
pub use model::{Asked, Decider, Fluid, GroupSeen, Killed, Model, Planned, SeenFluid, run};
pub use promise::Promise;
