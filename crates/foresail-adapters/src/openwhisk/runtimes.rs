//! Stem cells: containers that invokers keep without demand, by kind or image and memory.
//!
//! An unmodified OpenWhisk reads its runtimes manifest once, when an invoker starts. A build with pull
//! request #4790 takes a whole manifest at `POST /config/runtime` (202) from whoever has the
//! controller's own name and password; it is then in force on all managed invokers. The manifest is
//! changed in the counts alone: everything else, the memory of stem cells too, goes back as it was.
//! Source: apache/openwhisk, commit edefa8a72 of #4790, docs/operation.md; docs/actions.md on
//! stem cells; specs/aapa_aquatope.md 2.4 (`blackboxes` of the published fork).

use http::Method;
use serde_json::{Value, json};

use super::action::Exec;
use super::client::{Call, OpenWhisk};
use super::failure::{Failure, RUNTIMES};
use super::key::Key;
use super::kinds::Kinds;

/// A manifest that can be used; other fields are kept as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest(Value);

/// Where a function's stem cells stand: which entry, of which memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// `kind` of a runtime, or the name of a blackbox image.
    pub of: String,
    /// Memory in MB.
    pub memory: u64,
}

/// Why a text is no manifest, or does not have what is asked of it; the text names the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtimes manifest: {0}")]
pub struct ManifestError(String);

/// `256 MB` as a number of MB.
fn megabytes(value: &Value) -> Option<u64> {
    let text = value.as_str()?.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    match text[end..].trim().to_ascii_uppercase().as_str() {
        "M" | "MB" => Some(number),
        "G" | "GB" => number.checked_mul(1024),
        _ => None,
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] where it is none.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let value = serde_json::from_str(text);
        let value: Value = value.map_err(|e| ManifestError(format!("it is no JSON: {e}")))?;
        if !value.get("runtimes").is_some_and(Value::is_object) && value.get("blackboxes").is_none()
        {
            let why = "it has neither `runtimes` nor `blackboxes`; give the file that OpenWhisk was deployed with (ansible/files/runtimes.json)";
            return Err(ManifestError(why.to_owned()));
        }
        Ok(Self(value))
    }

    /// The text as it is sent.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Refuses a manifest without a kind that the server has: to set it would take that runtime away.
    ///
    /// # Errors
    /// [`ManifestError`] which names the first such kind.
    pub fn check(&self, kinds: &Kinds) -> Result<(), ManifestError> {
        let is_there = |kind: &str| self.entries().any(|entry| is_of(entry, kind));
        match kinds.names().find(|kind| !is_there(kind)) {
            None => Ok(()),
            Some(kind) => Err(ManifestError(format!(
                "it lacks the kind `{kind}`, which the server has, and to set it would take that runtime away; give the manifest that is in force"
            ))),
        }
    }

    /// Where a function's stem cells stand.
    ///
    /// # Errors
    /// [`ManifestError`] where the manifest has no entry for it.
    pub fn cell(&self, exec: &Exec, memory: u64) -> Result<Cell, ManifestError> {
        let (what, of) = match exec {
            Exec::Code {
                image: Some(image), ..
            } => ("image", image.clone()),
            other => ("kind", other.kind().to_owned()),
        };
        let cell = Cell { of, memory };
        match self.entries().any(|entry| is_of(entry, &cell.of)) {
            true => Ok(cell),
            false => Err(ManifestError(format!(
                "it has no entry of {what} `{}`; add one under `{}`",
                cell.of,
                if what == "kind" {
                    "runtimes"
                } else {
                    "blackboxes"
                }
            ))),
        }
    }

    /// Containers of a cell that one invoker keeps; 0 where the entry says nothing of it.
    #[must_use]
    pub fn count(&self, cell: &Cell) -> u32 {
        let entry = self.entries().find(|entry| is_of(entry, &cell.of));
        let cells = entry.and_then(|e| e.get("stemCells")?.as_array());
        let fits = |c: &&Value| is_cell(c, cell.memory);
        let found = cells.and_then(|all| all.iter().find(fits));
        let count = found.and_then(|c| c.get("initialCount").or_else(|| c.get("count"))?.as_u64());
        count.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    /// The same manifest with another count of one cell; none takes the cell out, as the server
    /// refuses a count of 0.
    #[must_use]
    pub fn with(&self, cell: &Cell, count: u32) -> Self {
        let mut new = self.clone();
        for entry in new.entries_mut().filter(|e| is_of(e, &cell.of)) {
            let Some(object) = entry.as_object_mut() else {
                continue;
            };
            if count == 0 && !object.contains_key("stemCells") {
                continue;
            }
            let cells = object.entry("stemCells").or_insert_with(|| json!([]));
            let Some(cells) = cells.as_array_mut() else {
                continue;
            };
            match cells.iter_mut().find(|c| is_cell(c, cell.memory)) {
                Some(found) => {
                    let key = if found.get("initialCount").is_some() {
                        "initialCount"
                    } else {
                        "count"
                    };
                    found[key] = json!(count);
                }
                None if count > 0 => {
                    let memory = format!("{} MB", cell.memory);
                    cells.push(json!({"initialCount": count, "memory": memory}));
                }
                None => {}
            }
            cells.retain(|c| !is_cell(c, cell.memory) || count > 0);
        }
        new
    }

    /// Every entry: of runtimes family by family, then blackboxes.
    fn entries(&self) -> impl Iterator<Item = &Value> {
        let families = self.0.get("runtimes").and_then(Value::as_object);
        let runtimes = families.into_iter().flat_map(|f| f.values());
        let boxes = self.0.get("blackboxes").into_iter();
        runtimes.chain(boxes).filter_map(Value::as_array).flatten()
    }

    fn entries_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        let object = self.0.as_object_mut().into_iter().flatten();
        let parts = object.filter(|(key, _)| *key == "runtimes" || *key == "blackboxes");
        let lists = parts.flat_map(|(_, part)| match part {
            Value::Object(families) => families.values_mut().collect(),
            list => vec![list],
        });
        lists.filter_map(Value::as_array_mut).flatten()
    }
}

/// `true` for the entry of a kind, or of an image with or without its tag.
fn is_of(entry: &Value, of: &str) -> bool {
    if entry.get("kind").and_then(Value::as_str) == Some(of) {
        return true;
    }
    let image = entry.get("image").unwrap_or(entry);
    let text = |key: &str| image.get(key).and_then(Value::as_str);
    let Some(name) = text("name") else {
        return false;
    };
    let name = match text("prefix") {
        Some(prefix) if !prefix.is_empty() => format!("{prefix}/{name}"),
        _ => name.to_owned(),
    };
    let tagged = text("tag").map(|tag| format!("{name}:{tag}"));
    of == name || tagged.is_some_and(|t| t == of)
}

/// `true` for stem cells of this memory; such of the published fork have none, and are all.
fn is_cell(cell: &Value, memory: u64) -> bool {
    match cell.get("memory") {
        Some(text) => megabytes(text) == Some(memory),
        None => true,
    }
}

impl OpenWhisk {
    /// Puts a manifest in force on all managed invokers; `admin` is the controller's own key.
    ///
    /// # Errors
    /// [`Failure::NeedsFork`] where the server has no such interface; [`Failure`] of the call.
    pub async fn set_runtimes(&self, manifest: &Manifest, admin: &Key) -> Result<(), Failure> {
        let path = ["config", "runtime"];
        let call = Call {
            method: Method::POST,
            body: Some(manifest.value()),
            key: Some(admin),
            // It is a whole state: a second one changes nothing more.
            repeatable: true,
            ..Call::get(&path, &[])
        };
        if self.only_tells(&call) {
            return Ok(());
        }
        let said = self.ask(&call).await?;
        match said.status {
            200..=299 => Ok(()),
            404 | 405 => Err(Self::needs(&call, RUNTIMES)),
            _ => Err(Self::failure(&call, &said)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"description": ["kept"], "runtimes": {"nodejs": [
        {"kind": "nodejs:20", "default": true, "image": {"prefix": "openwhisk", "name": "action-nodejs-v20", "tag": "nightly"},
         "stemCells": [{"initialCount": 2, "memory": "256 MB", "reactive": {"minCount": 1}}, {"initialCount": 1, "memory": "1 GB"}]},
        {"kind": "nodejs:18", "image": {"prefix": "openwhisk", "name": "action-nodejs-v18"}}]},
        "blackboxes": [{"prefix": "me", "name": "resize", "tag": "1", "stemCells": [{"count": 3}]}]}"#;

    #[test]
    fn counts_alone_are_changed() {
        let manifest = Manifest::parse(TEXT).unwrap();
        let exec = Exec::code("nodejs:20", "");
        let cell = manifest.cell(&exec, 256).unwrap();
        assert_eq!(manifest.count(&cell), 2);
        assert_eq!(manifest.count(&manifest.cell(&exec, 1024).unwrap()), 1);
        assert_eq!(manifest.count(&manifest.cell(&exec, 512).unwrap()), 0);
        let more = manifest.with(&cell, 5);
        assert_eq!(more.count(&cell), 5);
        let entry = &more.value()["runtimes"]["nodejs"][0];
        assert_eq!(entry["stemCells"][0]["reactive"]["minCount"], 1, "kept");
        assert_eq!(more.with(&cell, 2), manifest, "and back");
        // One that was not there, and none.
        let other = manifest.cell(&Exec::code("nodejs:18", ""), 128).unwrap();
        let added = manifest.with(&other, 4);
        assert_eq!(added.count(&other), 4);
        assert_eq!(added.with(&other, 0).count(&other), 0);
    }

    #[test]
    fn an_image_is_found_with_and_without_its_tag() {
        let manifest = Manifest::parse(TEXT).unwrap();
        for image in ["me/resize", "me/resize:1"] {
            let cell = manifest.cell(&Exec::image(image), 256).unwrap();
            assert_eq!(manifest.count(&cell), 3);
            assert_eq!(manifest.with(&cell, 7).count(&cell), 7);
        }
        let error = manifest.cell(&Exec::image("me/other"), 256).unwrap_err();
        assert!(error.to_string().contains("blackboxes"), "{error}");
        assert!(Manifest::parse("{}").is_err() && Manifest::parse("[").is_err());
    }
}
