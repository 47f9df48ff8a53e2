//! The nets of the study: both shapes, trained alike on functions that nothing else of it sees.

use anyhow::Result;
use foresail_models::forecast::pool_net::{Epoch, PoolNet, PoolSeries, Shape, Training, train};
use foresail_models::rng::Seed;
use foresail_sim::workload::population::Population;

use super::Flags;
use crate::forecast::pool_taught;

/// Functions that are learnt from, over [`DAYS`] days.
const FUNCTIONS: usize = 60;

const DAYS: u32 = 2;

/// Windows that are learnt from at most.
const WINDOWS_MAX: usize = 12_288;

/// A net in each shape.
#[derive(Debug)]
pub(super) struct Nets {
    /// As published: dropout on outputs of one channel, too.
    pub(super) published: PoolNet,
    /// Without that.
    pub(super) sound: PoolNet,
}

impl Nets {
    /// Trains both; `done` is called after each epoch.
    ///
    /// # Errors
    /// Where a training fails.
    pub(super) fn train(flags: &Flags, done: &(dyn Fn(&str) + Sync)) -> Result<Self> {
        let seed = Seed(flags.seed);
        let series = taught(seed, flags.quick)?;
        let epochs = usize::try_from(flags.epochs)?;
        let both = |shape: Shape| -> Result<PoolNet> {
            let of = |training: Training| Training {
                shape,
                epochs,
                windows_max: WINDOWS_MAX,
                ..training
            };
            let name = match shape {
                Shape::Published => "published shape",
                Shape::Sound => "sound shape",
            };
            let mut watch = |_: &Epoch| done(name);
            let encoder = train::encoder(&series, &of(Training::encoder()), seed, &mut watch)?;
            let head = of(Training::head());
            Ok(train::head(&encoder, &series, &head, seed, &mut watch)?)
        };
        Ok(Self {
            published: both(Shape::Published)?,
            sound: both(Shape::Sound)?,
        })
    }
}

/// Peaks of the functions that are learnt from.
fn taught(seed: Seed, quick: bool) -> Result<Vec<PoolSeries>> {
    let functions = if quick { FUNCTIONS / 3 } else { FUNCTIONS };
    let population = Population {
        functions,
        days: DAYS,
    };
    Ok(pool_taught::series(&population, seed)?)
}
