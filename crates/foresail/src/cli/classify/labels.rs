//! What a window is taken for: its truth, a profile's majority, or what a file says.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::Timestamp;
use foresail_models::classify::labeling::{PROFILES, Profile, profile_names};
use foresail_models::classify::window::Placed;

use super::ARCHETYPES;
use super::windows::{Item, Windows};

/// The name of the truth among the labels.
pub(super) const TRUTH: &str = "truth";

/// Whose labels they are.
pub(super) enum Labels {
    /// What the windows were made as.
    Truth,
    /// The majority of a profile's rules.
    Profile(&'static Profile),
    /// Those of a file, by item and window.
    File(BTreeMap<(String, Timestamp), Archetype>),
}

impl Labels {
    /// The labels of a name, or of a file of `classify label`.
    ///
    /// # Errors
    /// Where truth is asked of a trace, or the file cannot be read.
    pub(super) fn of(name: &str, windows: &Windows) -> Result<Self> {
        if name == TRUTH {
            if !windows.are_generated() {
                bail!(
                    "--labels truth: a trace does not tell its archetypes; generate windows (--generate hard), or take {} or a file of `foresail classify label --out FILE.csv`",
                    profile_names().join(", ")
                );
            }
            return Ok(Self::Truth);
        }
        if let Some(profile) = PROFILES.iter().find(|p| p.name == name) {
            return Ok(Self::Profile(profile));
        }
        read(Path::new(name)).map(Self::File).with_context(|| {
            format!(
                "--labels {name}: neither {TRUTH}, {} nor a file of labels",
                profile_names().join(", ")
            )
        })
    }

    /// The label of a window; `None` where there is none.
    pub(super) fn label(&self, item: &Item, window: &Placed) -> Option<Archetype> {
        match self {
            Self::Truth => item.truth,
            Self::Profile(profile) => {
                let votes = profile.votes(&window.features);
                Some(profile.majority(votes, &window.features).archetype)
            }
            Self::File(labels) => labels
                .get(&(item.id.clone(), item.time_of(window)))
                .copied(),
        }
    }
}

/// Reads the columns `item`, `begin` and `archetype`: another stride gives windows other numbers.
fn read(path: &Path) -> Result<BTreeMap<(String, Timestamp), Archetype>> {
    let mut reader = csv::Reader::from_path(path)?;
    let head = reader.headers()?.clone();
    let column = |name: &str| {
        let found = head.iter().position(|h| h.trim() == name);
        found.ok_or_else(|| anyhow!("the column `{name}` is missing"))
    };
    let (item, begin, archetype) = (column("item")?, column("begin")?, column("archetype")?);
    let mut labels = BTreeMap::new();
    for (row, record) in reader.records().enumerate() {
        let (record, line) = (record?, row + 2);
        let field = |place: usize| record.get(place).unwrap_or("").trim();
        let time: Timestamp = field(begin)
            .parse()
            .map_err(|_| anyhow!("line {line}: `{}` is no time", field(begin)))?;
        let name = field(archetype);
        let known = ARCHETYPES
            .iter()
            .find(|a| a.name().eq_ignore_ascii_case(name));
        let known = known.ok_or_else(|| {
            let names = ARCHETYPES.map(Archetype::name).join(", ");
            anyhow!("line {line}: `{name}` is no archetype; known are {names}")
        })?;
        let window = (field(item).to_owned(), time);
        if labels.insert(window, *known).is_some() {
            bail!(
                "line {line}: this window of {} has a label already",
                field(item)
            );
        }
    }
    Ok(labels)
}
