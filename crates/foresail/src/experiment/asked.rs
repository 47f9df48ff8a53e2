//! Who is asked: a script, a record, or a model behind an endpoint; with a record of it on wish.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use foresail_adapters::access::Access;
use foresail_adapters::atomic::WholeFile;
use foresail_adapters::llm::{Adviser, Answered, Ask, Failure, Question, Recording, Replayed};

use super::scripted::{SCRIPTS, Script, Scripted};
use crate::forecast::place::refuse_foreign_at;

/// How every record begins.
const RECORD_BEGINS: &[u8] = b"{\"record\":\"foresail-llm-record\",";

/// Whom a flag names.
#[derive(Clone, Debug)]
pub enum Choice {
    /// A script.
    Scripted(Script),
    /// A record of answers.
    Replay(PathBuf),
    /// An endpoint.
    Endpoint(String),
}

/// Where the published experiment asks its model.
/// Source: alcocuzzi/etp, autoscaler/config.py.
const OLLAMA: &str = "http://localhost:11434/v1";

impl Choice {
    /// Who is asked in a rehearsal where nobody is named: a rule.
    #[must_use]
    pub fn of_rehearsal() -> Self {
        Self::Scripted(SCRIPTS[0])
    }

    /// Who is asked live where nobody is named: the published endpoint.
    #[must_use]
    pub fn of_live() -> Self {
        Self::Endpoint(OLLAMA.to_owned())
    }
}

impl std::str::FromStr for Choice {
    type Err = String;

    /// Reads `scripted:NAME`, `replay:FILE` or an address.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("scripted:") {
            let known = || SCRIPTS.map(|s| s.name).join(", ");
            return Scripted::named(name)
                .map(Self::Scripted)
                .ok_or_else(|| format!("there is no script `{name}` (known: {})", known()));
        }
        if let Some(file) = text.strip_prefix("replay:").filter(|f| !f.is_empty()) {
            return Ok(Self::Replay(file.into()));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Endpoint(text.to_owned()));
        }
        Err("write scripted:NAME, replay:FILE or an address that begins with http".to_owned())
    }
}

/// Somebody of whom every run gets a fresh one.
struct Fresh(Shared);

impl Ask for Fresh {
    fn ask(&mut self, question: &Question, deadline: Duration) -> Answered {
        // Whoever broke down while it was asked is asked again all the same.
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.ask(question, deadline)
    }
}

/// Bytes that a recorder writes and its owner takes.
#[derive(Clone, Debug, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::other("the record's bytes are gone");
        self.0.lock().map_err(gone)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

enum Inner {
    Plain(Somebody),
    Recorded(Recording<Somebody>, WholeFile, Bytes, PathBuf),
}

/// Who is asked, ready for several runs in a row.
pub struct Asker {
    /// Whose answers they are.
    pub label: String,
    /// `true` where that is a language model.
    pub is_model: bool,
    /// Questions so far, and those of them that the record does not hold.
    pub questions: (u64, u64),
    inner: Inner,
    fresh: Option<(Maker, Shared)>,
}

/// Whoever is asked, where its record is looked at besides.
type Shared = Arc<Mutex<Somebody>>;

/// Who can be asked on another thread.
type Somebody = Box<dyn Ask + Send>;

/// Makes who is asked anew, with a closed breaker and on the top rung.
type Maker = Box<dyn Fn() -> Result<Somebody> + Send>;

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl Asker {
    /// Whom a choice names; `model` is asked for at an endpoint, a script answers after `latency`.
    ///
    /// # Errors
    /// Where a record cannot be read, an address not be used, or the record's place not be written.
    pub fn new(
        choice: &Choice,
        model: &str,
        latency: Duration,
        record: Option<&Path>,
    ) -> Result<Self> {
        let (label, is_model, maker): (_, _, Maker) = match choice {
            Choice::Scripted(found) => {
                let script = *found;
                let make = move || Ok(Box::new(Scripted::new(script, latency)) as Somebody);
                (format!("scripted:{}", found.name), false, Box::new(make))
            }
            Choice::Replay(file) => {
                let replayed = Replayed::open(file)?;
                let label = replayed.model().to_owned();
                let is_model = !is_script(&label);
                // A record goes through all runs: a question counts how often it was asked before.
                return Self::of((label, is_model), Box::new(replayed), None, record);
            }
            Choice::Endpoint(url) => {
                let (url, name) = (url.clone(), model.to_owned());
                let make = move || {
                    let adviser = Adviser::new(Access::to_model(&url), &name)?;
                    Ok(Box::new(adviser) as Somebody)
                };
                // A rule may answer behind an endpoint as well, and is told as one by its name.
                (model.to_owned(), !is_script(model), Box::new(make))
            }
        };
        let shared = Arc::new(Mutex::new(maker()?));
        let ask = Box::new(Fresh(Arc::clone(&shared)));
        Self::of((label, is_model), ask, Some((maker, shared)), record)
    }

    fn of(
        (label, is_model): (String, bool),
        ask: Somebody,
        fresh: Option<(Maker, Shared)>,
        record: Option<&Path>,
    ) -> Result<Self> {
        let is_live = is_model && fresh.is_some();
        let inner = match record {
            None => Inner::Plain(ask),
            Some(path) => {
                // The place is tried before the work, so that nobody waits for nothing.
                refuse_foreign_at("--record", path, "record of answers", &[RECORD_BEGINS])?;
                if is_live && holds(path) {
                    bail!(
                        "{} holds a record, and a model that is asked again answers otherwise: give another place \
                         with --record, or move it away",
                        path.display()
                    );
                }
                let file = WholeFile::begin(path)?;
                let bytes = Bytes::default();
                let recording = Recording::new(ask, &label, Box::new(bytes.clone()))?;
                Inner::Recorded(recording, file, bytes, path.to_owned())
            }
        };
        Ok(Self {
            label,
            is_model,
            questions: (0, 0),
            inner,
            fresh,
        })
    }

    /// What a reader is told of it.
    #[must_use]
    pub fn text(&self) -> String {
        described(&self.label, self.is_model)
    }

    /// Begins another run: what failed in the one before is forgotten, so that runs can be compared.
    ///
    /// # Errors
    /// Where who is asked cannot be made anew.
    pub fn begin_run(&mut self) -> Result<()> {
        if let Some((maker, shared)) = &self.fresh {
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = maker()?;
        }
        Ok(())
    }

    /// Puts the record in its place, where there is one.
    ///
    /// # Errors
    /// Where it cannot be written, or the place holds a record of other answers.
    pub fn finish(self) -> Result<()> {
        let Inner::Recorded(recording, mut file, bytes, path) = self.inner else {
            return Ok(());
        };
        recording.finish().context("the record")?;
        let Ok(bytes) = bytes.0.lock() else {
            bail!("the record's bytes are gone");
        };
        if holds(&path) && std::fs::read(&path).is_ok_and(|there| there != *bytes) {
            bail!(
                "{} holds the record of another run and was left as it is: give another place with --record, or \
                 move it away",
                path.display()
            );
        }
        file.write_all(&bytes).context("the record")?;
        Ok(file.commit()?)
    }
}

impl Ask for Asker {
    fn ask(&mut self, question: &Question, deadline: Duration) -> Answered {
        let answered = match &mut self.inner {
            Inner::Plain(ask) => ask.ask(question, deadline),
            Inner::Recorded(recording, ..) => recording.ask(question, deadline),
        };
        let lacking = matches!(answered.failure, Some(Failure::NotRecorded { .. }));
        self.questions.0 += 1;
        self.questions.1 += u64::from(lacking);
        answered
    }
}

/// `true` where a name is that of a rule and of no model.
fn is_script(label: &str) -> bool {
    label.starts_with("scripted:")
}

/// `true` where a file is there that is not empty.
fn holds(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.len() > 0)
}

/// An adviser's name with what it is.
#[must_use]
pub fn described(label: &str, is_model: bool) -> String {
    if is_model {
        return format!("the language model {label}");
    }
    let script = label.strip_prefix("scripted:").and_then(Scripted::named);
    match script {
        Some(script) => format!(
            "{label}, a built-in rule and no language model: it {}",
            told(script)
        ),
        None => format!("{label}, no language model"),
    }
}

fn told(script: Script) -> String {
    match script.name {
        "trend" => script.summary.to_owned(),
        _ => format!("says {}", script.summary),
    }
}
