//! AAPA's configuration file as a comparison takes it.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use foresail_core::spec::SpecProblem;

use crate::config::aapa::{AapaConfig, aapa_config};

/// Reads AAPA's configuration; what a comparison goes by a flag for is told as a warning.
///
/// # Errors
/// Where the file cannot be read, and every problem in it.
pub(crate) fn read(path: &Path) -> Result<AapaConfig> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let mut config = aapa_config(&text)
        .map_err(|problems| anyhow!("{name}: {}", SpecProblem::joined(&problems)))?;
    let cpu = config.cpu_per_request.is_some();
    let unread = [
        ("simulation.cpu_per_request", cpu, "--cpu-per-request"),
        (
            "simulation.memory_per_pod",
            config.memory_per_pod.is_some(),
            "--memory-request",
        ),
        (
            "classification.min_invocations",
            config.min_invocations.is_some(),
            "--functions",
        ),
        (
            "evaluation.slo_target",
            config.slo_target.is_some(),
            "--slo",
        ),
    ];
    for (key, _, flag) in unread.iter().filter(|(_, given, _)| *given) {
        let warning = format!("{key} is not read by a comparison, which has {flag} for it");
        config.warnings.push(warning);
    }
    if config.rei_weights.is_some() {
        let warning = "evaluation.rei_weights are not read by a comparison, which shows no index";
        config.warnings.push(warning.to_owned());
    }
    Ok(config)
}
