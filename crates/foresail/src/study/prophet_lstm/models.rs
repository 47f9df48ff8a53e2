//! The models of the study: the two published ones, and any forecaster of the registry.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use foresail_core::spec::SpecProblem;
use foresail_models::forecast::Fit;
use foresail_models::registry::{SLOW_FORECASTERS, forecaster, forecaster_names};

/// One model.
#[derive(Debug)]
pub(super) struct Model {
    /// Its name in tables and files.
    pub(super) name: String,
    /// The forecaster, not fitted.
    pub(super) fit: Box<dyn Fit>,
    /// Minutes between two fits; `None`: fitted once and rolled.
    pub(super) refit: Option<usize>,
    /// Whether another seed gives another model.
    pub(super) chance: bool,
}

/// The models that were named; `lstm` has the study's shape and is fitted once.
///
/// # Errors
/// Where a name is unknown or given twice.
pub(super) fn named(names: &[String], refit: usize) -> Result<Vec<Model>> {
    let mut models: Vec<Model> = Vec::new();
    for name in names {
        if models.iter().any(|m| m.name == *name) {
            bail!("--models names {name} twice");
        }
        if !forecaster_names().contains(&name.as_str()) {
            let known = forecaster_names().join(", ");
            bail!("--models: {name} is no forecaster; known are {known}");
        }
        models.push(match name.as_str() {
            "lstm" => net(),
            _ => plain(name, refit)?,
        });
    }
    Ok(models)
}

fn plain(name: &str, refit: usize) -> Result<Model> {
    let built = forecaster(name, &BTreeMap::new(), name);
    let fit = built
        .map_err(|problems| anyhow::anyhow!("--models: {}", SpecProblem::joined(&problems)))?;
    Ok(Model {
        name: name.to_owned(),
        fit,
        refit: Some(refit),
        // The slow ones are the nets, whose weights begin at random.
        chance: SLOW_FORECASTERS.contains(&name),
    })
}

fn net() -> Model {
    Model {
        name: "lstm".to_owned(),
        fit: Box::new(foresail_models::forecast::lstm::Lstm::study_shape()),
        refit: None,
        chance: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_net_is_trained_with_every_seed() {
        let names = ["prophet", "lstm", "hybrid", "last"].map(str::to_owned);
        let chance: Vec<bool> = named(&names, 15)
            .unwrap()
            .iter()
            .map(|m| m.chance)
            .collect();
        assert_eq!(chance, [false, true, true, false]);
    }
}
