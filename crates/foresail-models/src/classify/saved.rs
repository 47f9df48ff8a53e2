//! A trained classifier as bytes that can run no code, see `envelope.rs`.
//!
//! The first line names the features and the classes: a file of other features is refused by name.

use foresail_core::propose::archetype::Archetype;
use serde::{Deserialize, Serialize};

use super::features;
use super::trained::Model;
use crate::envelope::{self, Broken, VERSION};

pub use crate::envelope::BYTES_MAX;

/// The kind of model that the first line names.
const KIND: &str = "classifier";

/// What the first line says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    classes: Vec<String>,
    features: Vec<String>,
    labels: String,
}

/// Why a model file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifierError {
    /// Not such a file at all.
    #[error("not a classifier of foresail; write one with `foresail classify train --output FILE`")]
    Form,
    /// Another version of the form.
    #[error("the file has version {found}, this program reads {VERSION}; train it again")]
    Version {
        /// What it says.
        found: u32,
    },
    /// Longer than any model.
    #[error("the file has {bytes} bytes, at most {BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The state is not what was written.
    #[error("the file is damaged: its content does not match its hash; train it again")]
    Damaged,
    /// It knows a feature that this program does not.
    #[error(
        "the model looks at the feature `{name}`, which this program does not have; train it again with `foresail classify train`"
    )]
    Feature {
        /// Which one.
        name: String,
    },
    /// It tells other classes.
    #[error("the model tells {told}, {} are due; train it again", classes().join(", "))]
    Classes {
        /// Which ones.
        told: String,
    },
    /// The hash is right but the state is no model.
    #[error("the model is not readable: {why}; train it again")]
    State {
        /// What is wrong.
        why: String,
    },
}

impl From<Broken> for ClassifierError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Form | Broken::Pickle => Self::Form,
            Broken::Version(found) => Self::Version { found },
            Broken::TooLarge(bytes) => Self::TooLarge { bytes },
            // A classifier holds no other: such a file was made to look like one.
            Broken::Damaged | Broken::Nested => Self::Damaged,
        }
    }
}

fn classes() -> Vec<String> {
    Archetype::CLASSES.iter().map(ToString::to_string).collect()
}

/// The bytes of a model; the same model gives the same bytes.
#[must_use]
pub fn write(model: &Model) -> Vec<u8> {
    let head = Head {
        classes: classes(),
        features: model.features.iter().map(|f| (*f).to_owned()).collect(),
        labels: model.labels.clone(),
    };
    let state = postcard::to_allocvec(model).unwrap_or_default();
    envelope::seal(KIND, &head, &state)
}

/// Reads what [`write()`] gave.
///
/// # Errors
/// [`ClassifierError`] where it is something else, damaged, too large, of another version, or of other
/// features or classes.
pub fn read(bytes: &[u8]) -> Result<Model, ClassifierError> {
    let (head, state): (Head, _) = envelope::open(KIND, bytes)?;
    if head.classes != classes() {
        return Err(ClassifierError::Classes {
            told: head.classes.join(", "),
        });
    }
    let known = |name: &String| {
        let found = features::NAMES.iter().find(|n| **n == name.as_str());
        found
            .copied()
            .ok_or(ClassifierError::Feature { name: name.clone() })
    };
    let features = head.features.iter().map(known).collect::<Result<_, _>>()?;
    let refused = |why: String| ClassifierError::State { why };
    let mut model: Model = postcard::from_bytes(state).map_err(|e| refused(e.to_string()))?;
    if !model.trees.is_sound() {
        return Err(refused("its trees lead nowhere".to_owned()));
    }
    model.features = features;
    model.labels = head.labels;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose first line names other features or classes, sealed as it must be.
    fn refused(features: &[&str], classes: &[String]) -> ClassifierError {
        let head = Head {
            classes: classes.to_vec(),
            features: features.iter().map(|f| (*f).to_owned()).collect(),
            labels: "truth".to_owned(),
        };
        read(&envelope::seal(KIND, &head, b"state")).unwrap_err()
    }

    #[test]
    fn a_model_of_other_features_or_classes_is_refused_by_name() {
        let error = refused(&["kurtosis", "pulse"], &classes()).to_string();
        assert!(error.contains("`pulse`"), "{error}");
        let error = refused(&["kurtosis"], &["Burst".to_owned()]).to_string();
        assert!(error.contains("Burst"), "{error}");
        let error = refused(&["kurtosis"], &classes());
        assert!(matches!(error, ClassifierError::State { .. }), "{error}");
        let forecaster = envelope::seal("forecaster", &0, b"state");
        assert_eq!(read(&forecaster), Err(ClassifierError::Form));
    }
}
