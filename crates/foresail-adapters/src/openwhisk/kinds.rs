//! Kinds of runtimes that a server has, as the root of its host tells them, and sources of functions of
//! such a kind.
//!
//! The root names every kind with its family, whether it is the family's default and whether it is
//! deprecated: such actions can be read and deleted, and neither written nor invoked. It tells neither
//! stem cells nor blackbox images; those are in the manifest alone (`runtimes`).
//! Source: apache/openwhisk, Controller.scala, `info`; ExecManifest.scala, `Runtimes.toJson` and
//! `resolveDefaultRuntime`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::action::Exec;
use super::client::{Call, OpenWhisk};
use super::failure::Failure;

/// What is said after a family for its default kind.
const DEFAULT: &str = "default";

/// One kind of runtime.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kind {
    /// `nodejs:20`.
    #[serde(rename = "kind")]
    pub name: String,
    /// `true`: its actions can be read and deleted alone.
    #[serde(default)]
    pub deprecated: bool,
    /// `true`: it stands for its family.
    #[serde(default)]
    pub default: bool,
    /// `true`: an action must name its entry.
    #[serde(default)]
    pub require_main: bool,
}

/// Every kind of a server, by family.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Kinds(BTreeMap<String, Vec<Kind>>);

/// Why a kind cannot be used; the text names the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KindError(String);

#[derive(Deserialize)]
struct Root {
    runtimes: Kinds,
}

impl Kinds {
    /// The kind that is asked for: by its own name, or by its family's, with `:default` or without.
    ///
    /// # Errors
    /// [`KindError`] where there is none, or it is deprecated.
    pub fn choose(&self, asked: &str) -> Result<&Kind, KindError> {
        let family = match asked.split_once(':') {
            None => Some(asked),
            Some((family, DEFAULT)) => Some(family),
            Some(_) => None,
        };
        let found = match family {
            Some(family) => self.default_of(family),
            None => self.all().find(|kind| kind.name == asked),
        };
        let known = self.known();
        match found {
            Some(kind) if !kind.deprecated => Ok(kind),
            Some(kind) => Err(KindError(format!(
                "the kind `{}` is deprecated: OpenWhisk lets its actions be read and deleted, and neither changes nor runs them; take one of {known}",
                kind.name
            ))),
            None => Err(KindError(format!(
                "this OpenWhisk has no kind `{asked}`; it has {known}"
            ))),
        }
    }

    /// Refuses what the server neither changes nor runs.
    ///
    /// # Errors
    /// [`KindError`] for a kind that it does not have or deprecates.
    pub fn check(&self, exec: &Exec) -> Result<(), KindError> {
        match exec {
            Exec::Code {
                image: None, kind, ..
            } => self.choose(kind).map(|_| ()),
            Exec::Code { .. } | Exec::Sequence { .. } => Ok(()),
        }
    }

    /// The names of all kinds.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all().map(|kind| kind.name.as_str())
    }

    fn all(&self) -> impl Iterator<Item = &Kind> {
        self.0.values().flatten()
    }

    /// The family's default; its only kind where none is said to be.
    fn default_of(&self, family: &str) -> Option<&Kind> {
        let kinds = self.0.get(family)?;
        let said = kinds.iter().find(|kind| kind.default);
        match kinds.as_slice() {
            [only] => Some(said.unwrap_or(only)),
            _ => said,
        }
    }

    /// What can be used, for messages.
    fn known(&self) -> String {
        let used = |kind: &&Kind| !kind.deprecated;
        let told = |family: &str, kind: &Kind| {
            let is_default = self.default_of(family) == Some(kind);
            let mark = if is_default { " (default)" } else { "" };
            format!("{}{mark}", kind.name)
        };
        let families = self.0.iter();
        let all = families.flat_map(|(family, kinds)| {
            let kinds = kinds.iter().filter(used);
            kinds.map(move |kind| told(family, kind))
        });
        let all: Vec<String> = all.collect();
        match all.is_empty() {
            true => "none".to_owned(),
            false => all.join(", "),
        }
    }
}

/// A function's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The function's name.
    pub name: String,
    /// Name of the file.
    pub file: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The kind or its family; by the file's ending where absent.
    pub kind: Option<String>,
    /// The function that is the entry.
    pub main: Option<String>,
}

/// Families by the ending of a source.
/// Source: apache/openwhisk-cli, commands/action.go, `getExec`.
const ENDINGS: [(&str, &str); 8] = [
    ("js", "nodejs"),
    ("py", "python"),
    ("swift", "swift"),
    ("go", "go"),
    ("rb", "ruby"),
    ("php", "php"),
    ("rs", "rust"),
    ("jar", "java"),
];

/// Endings of what is no text.
const BINARIES: [&str; 2] = ["jar", "zip"];

impl Source {
    /// What is sent; where the server does not tell its kinds, the kind must be named and is sent as it is.
    ///
    /// # Errors
    /// [`KindError`] where no kind is meant, the server has none such, it is deprecated, or it needs an
    /// entry.
    pub fn exec(&self, kinds: Option<&Kinds>) -> Result<Exec, KindError> {
        let ending = self.file.rsplit_once('.').map_or("", |(_, ending)| ending);
        let meant = ENDINGS.iter().find(|(of, _)| *of == ending);
        let asked = self.kind.as_deref().or(meant.map(|(_, family)| *family));
        let asked = asked.ok_or_else(|| {
            KindError(format!(
                "the ending of {} means no kind of runtime; name one with --kind",
                self.file
            ))
        })?;
        let (kind, needs_main) = match kinds {
            Some(kinds) => {
                let kind = kinds.choose(asked)?;
                (kind.name.clone(), kind.require_main)
            }
            None if asked.contains(':') => (asked.to_owned(), false),
            None => {
                let why = format!(
                    "the root of --apihost tells no kinds of runtimes, so that the default of {asked} is not known; name a kind with --kind, such as nodejs:20"
                );
                return Err(KindError(why));
            }
        };
        if needs_main && self.main.is_none() {
            return Err(KindError(format!(
                "an action of the kind `{kind}` must name its entry; pass --main"
            )));
        }
        let code = match BINARIES.contains(&ending) {
            true => STANDARD.encode(&self.bytes),
            false => String::from_utf8(self.bytes.clone()).map_err(|_| {
                KindError(format!(
                    "{} is no UTF-8 text; pack what is none as a zip",
                    self.file
                ))
            })?,
        };
        Ok(Exec::Code {
            kind,
            image: None,
            code: Some(code),
            main: self.main.clone(),
        })
    }
}

impl OpenWhisk {
    /// The kinds of runtimes that the root of the host tells; `None` where it tells none, as behind a
    /// gateway.
    ///
    /// # Errors
    /// [`Failure`] of the call.
    pub async fn kinds(&self) -> Result<Option<Kinds>, Failure> {
        let call = Call::get(&[], &[]);
        match self.succeed(&call).await {
            // Another page than OpenWhisk's own tells nothing of it.
            Ok(bytes) => Ok(serde_json::from_slice::<Root>(&bytes)
                .ok()
                .map(|root| root.runtimes)),
            Err(Failure::NotFound { .. } | Failure::Forbidden { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = r#"{"description": "OpenWhisk", "api_paths": ["/api/v1"], "limits": {"sequence_length": 50},
        "runtimes": {
            "nodejs": [{"kind": "nodejs:14", "image": "openwhisk/action-nodejs-v14:nightly", "deprecated": true, "default": false, "attached": true, "requireMain": false},
                {"kind": "nodejs:18", "deprecated": false, "default": false},
                {"kind": "nodejs:20", "deprecated": false, "default": true}],
            "java": [{"kind": "java:8", "deprecated": false, "default": false, "requireMain": true}],
            "swift": [{"kind": "swift:4", "deprecated": true, "default": true}]}}"#;

    fn kinds() -> Kinds {
        serde_json::from_str::<Root>(ROOT).unwrap().runtimes
    }

    #[test]
    fn a_family_stands_for_its_default_and_what_is_not_run_is_refused_with_what_is() {
        let kinds = kinds();
        let chosen = |asked: &str| kinds.choose(asked).map(|k| k.name.as_str());
        for (asked, kind) in [
            ("nodejs", "nodejs:20"),
            ("nodejs:default", "nodejs:20"),
            ("nodejs:18", "nodejs:18"),
            ("java", "java:8"),
        ] {
            assert_eq!(chosen(asked), Ok(kind), "{asked}");
        }
        let known = "java:8 (default), nodejs:18, nodejs:20 (default)";
        for (asked, why) in [
            ("nodejs:14", "is deprecated"),
            ("swift", "is deprecated"),
            ("cobol", "has no kind `cobol`"),
            ("nodejs:22", "has no kind `nodejs:22`"),
        ] {
            let error = chosen(asked).unwrap_err().to_string();
            assert!(error.contains(why) && error.ends_with(known), "{error}");
        }
        // A user's image and a sequence are of no kind that is listed.
        kinds.check(&Exec::image("me/resize")).unwrap();
        kinds.check(&Exec::sequence(&["/_/f"])).unwrap();
    }

    fn source(file: &str, kind: Option<&str>, main: Option<&str>) -> Source {
        Source {
            name: "f".to_owned(),
            file: file.to_owned(),
            bytes: b"x".to_vec(),
            kind: kind.map(str::to_owned),
            main: main.map(str::to_owned),
        }
    }

    #[test]
    fn a_source_is_of_the_kind_that_its_ending_means_or_that_is_named() {
        let kinds = kinds();
        let sent = |file, kind, main| source(file, kind, main).exec(Some(&kinds));
        assert_eq!(sent("f.js", None, None), Ok(Exec::code("nodejs:20", "x")));
        let older = sent("f.js", Some("nodejs:18"), None);
        assert_eq!(older, Ok(Exec::code("nodejs:18", "x")));
        // An archive is no text.
        let zip = sent("f.zip", Some("nodejs"), None);
        assert_eq!(zip, Ok(Exec::code("nodejs:20", "eA==")));
        for (file, kind, why) in [
            ("f.zip", None, "--kind"),
            ("f.jar", None, "--main"),
            ("f.py", None, "has no kind `python`"),
        ] {
            let error = sent(file, kind, None).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(sent("f.jar", None, Some("Main")).is_ok());
        // Behind a gateway a kind is what the user says.
        let named = source("f.js", Some("nodejs:20"), None).exec(None);
        assert_eq!(named, Ok(Exec::code("nodejs:20", "x")));
        let error = source("f.js", None, None).exec(None).unwrap_err();
        assert!(error.to_string().contains("--kind"), "{error}");
    }
}
