//! Records of questions and answers, and answers from a record.
//!
//! One JSON value per line: the head with version and model, one line per question, and at last
//! their number, so that a record that was cut shows it. A question is found by the hash of its
//! prompt and the how manieth time it was asked: a run that asks the same gets the same, byte for
//! byte, without a network.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::prompt::Prompt;
use super::question::Question;
use super::{Answered, Ask};

/// Version of the form.
pub const VERSION: u8 = 1;

/// What the head calls itself.
const KIND: &str = "foresail-llm-record";

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 256 << 10;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    record: String,
    v: u8,
    model: String,
}

/// A later line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Line {
    /// One question.
    Asked {
        /// The how manieth time, from 0 on.
        time: u64,
        /// What came of it.
        answered: Answered,
    },
    /// The last line.
    End {
        /// Questions of the whole record.
        questions: u64,
    },
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The system refused.
    #[error("cannot read {name}: {why}")]
    Io {
        /// Which file.
        name: String,
        /// Why.
        why: String,
    },
    /// Something else than a record.
    #[error(
        "{name} is no record of a language model's answers: {why}; give the file that --llm-record wrote"
    )]
    Foreign {
        /// Which file.
        name: String,
        /// What is wrong with its first line.
        why: String,
    },
    /// A record of another version.
    #[error(
        "{name} is a record of version {found}, and this binary reads version {VERSION}; record the run again"
    )]
    Version {
        /// Which file.
        name: String,
        /// Its version.
        found: u8,
    },
    /// A line that cannot be read.
    #[error("{name}, line {line}: {why}; the record is damaged, record the run again")]
    Line {
        /// Which file.
        name: String,
        /// Which line, from 1 on.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The end is missing.
    #[error(
        "{name} is cut short after line {line}: its last line is missing; record the run again"
    )]
    Cut {
        /// Which file.
        name: String,
        /// The last line that there is.
        line: u64,
    },
}

/// Asks somebody and records it.
pub struct Recording<A> {
    inner: A,
    out: Box<dyn Write + Send>,
    times: BTreeMap<String, u64>,
    questions: u64,
    failed: Option<io::Error>,
}

impl<A: std::fmt::Debug> std::fmt::Debug for Recording<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("inner", &self.inner)
            .field("questions", &self.questions)
            .finish_non_exhaustive()
    }
}

impl<A: Ask> Recording<A> {
    /// Records what `inner` answers; `model` names whose answers they are.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn new(inner: A, model: &str, out: Box<dyn Write + Send>) -> io::Result<Self> {
        let mut new = Self {
            inner,
            out,
            times: BTreeMap::new(),
            questions: 0,
            failed: None,
        };
        let head = Head {
            record: KIND.to_owned(),
            v: VERSION,
            model: model.to_owned(),
        };
        new.line(&head)?;
        Ok(new)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(value)?;
        bytes.push(b'\n');
        self.out.write_all(&bytes)
    }

    /// Ends the record; without its last line it counts as cut.
    ///
    /// # Errors
    /// The first thing that could not be written.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let questions = self.questions;
        self.line(&Line::End { questions })?;
        self.out.flush()
    }
}

/// Counts a question and says the how manieth time it is, from 0 on.
fn count(times: &mut BTreeMap<String, u64>, question: &str) -> u64 {
    let next = times.entry(question.to_owned()).or_default();
    *next += 1;
    *next - 1
}

impl<A: Ask> Ask for Recording<A> {
    fn ask(&mut self, question: &Question, deadline: Duration) -> Answered {
        let answered = self.inner.ask(question, deadline);
        let time = count(&mut self.times, &answered.question);
        self.questions += 1;
        if self.failed.is_none() {
            let line = Line::Asked {
                time,
                answered: answered.clone(),
            };
            self.failed = self.line(&line).err();
        }
        answered
    }
}

/// Answers from a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    model: String,
    answers: BTreeMap<(String, u64), Answered>,
    times: BTreeMap<String, u64>,
}

impl Replayed {
    /// Reads a record file.
    ///
    /// # Errors
    /// [`RecordError`] for a file that cannot be read, is foreign, damaged or cut short.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let name = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|e| RecordError::Io {
            name: name.clone(),
            why: e.to_string(),
        })?;
        Self::read(&name, io::BufReader::new(file))
    }

    /// Reads a record; `name` is what errors call it.
    ///
    /// # Errors
    /// [`RecordError`], as [`Self::open`].
    pub fn read(name: &str, lines: impl BufRead) -> Result<Self, RecordError> {
        let mut lines = Lines {
            name: name.to_owned(),
            lines,
            number: 0,
        };
        let model = lines.head()?;
        let mut answers = BTreeMap::new();
        loop {
            let Some(text) = lines.next()? else {
                return Err(RecordError::Cut {
                    name: lines.name,
                    line: lines.number,
                });
            };
            let line = serde_json::from_str(&text).map_err(|e| lines.damaged(e.to_string()))?;
            match line {
                Line::Asked { time, answered } => {
                    if answered.answer.is_some() == answered.failure.is_some() {
                        return Err(
                            lines.damaged("neither or both of answer and failure".to_owned())
                        );
                    }
                    let key = (answered.question.clone(), time);
                    if answers.insert(key, answered).is_some() {
                        return Err(lines.damaged("a question stands twice".to_owned()));
                    }
                }
                Line::End { questions } => {
                    if questions != answers.len() as u64 {
                        let why =
                            format!("{questions} questions by its end, {} found", answers.len());
                        return Err(lines.damaged(why));
                    }
                    if lines.next()?.is_some() {
                        return Err(lines.damaged("something follows the end".to_owned()));
                    }
                    let times = BTreeMap::new();
                    return Ok(Self {
                        model,
                        answers,
                        times,
                    });
                }
            }
        }
    }

    /// Whose answers they are.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Questions of the record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// `true` where nothing was asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

impl Ask for Replayed {
    fn ask(&mut self, question: &Question, _deadline: Duration) -> Answered {
        let hash = Prompt::of(question).hash().as_str().to_owned();
        let time = count(&mut self.times, &hash);
        let found = self.answers.get(&(hash.clone(), time)).cloned();
        found.unwrap_or_else(|| {
            let question = hash.clone();
            let time = time + 1;
            Answered::untried(hash, Failure::NotRecorded { question, time })
        })
    }
}

/// Lines of bounded length with their numbers.
struct Lines<R> {
    name: String,
    lines: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn damaged(&self, why: String) -> RecordError {
        RecordError::Line {
            name: self.name.clone(),
            line: self.number,
            why,
        }
    }

    /// The next line without its end; `None` after the last.
    fn next(&mut self) -> Result<Option<String>, RecordError> {
        let mut bytes = Vec::new();
        let mut bounded = (&mut self.lines).take(LINE_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut bytes);
        let read = read.map_err(|e| RecordError::Io {
            name: self.name.clone(),
            why: e.to_string(),
        })?;
        if read == 0 {
            return Ok(None);
        }
        if bytes.last() != Some(&b'\n') {
            if read as u64 == LINE_BYTES_MAX {
                self.number += 1;
                return Err(self.damaged(format!("it is longer than {LINE_BYTES_MAX} bytes")));
            }
            return Err(RecordError::Cut {
                name: self.name.clone(),
                line: self.number,
            });
        }
        self.number += 1;
        bytes.pop();
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| self.damaged("it is no UTF-8".to_owned()))
    }

    /// Reads the head and says whose answers follow.
    fn head(&mut self) -> Result<String, RecordError> {
        let foreign = |name: &str, why: String| RecordError::Foreign {
            name: name.to_owned(),
            why,
        };
        let text = match self.next() {
            Ok(Some(text)) => text,
            Ok(None) => return Err(foreign(&self.name, "it is empty".to_owned())),
            Err(RecordError::Io { name, why }) => return Err(RecordError::Io { name, why }),
            Err(_) => {
                return Err(foreign(
                    &self.name,
                    "its first line is none of ours".to_owned(),
                ));
            }
        };
        /// What every version has.
        #[derive(Deserialize)]
        struct Any {
            record: String,
            v: u8,
        }
        match serde_json::from_str::<Any>(&text) {
            Ok(any) if any.record == KIND && any.v == VERSION => {}
            Ok(any) if any.record == KIND => {
                return Err(RecordError::Version {
                    name: self.name.clone(),
                    found: any.v,
                });
            }
            Ok(any) => {
                let begin: String = any.record.chars().take(40).collect();
                return Err(foreign(&self.name, format!("it calls itself `{begin}`")));
            }
            Err(error) => return Err(foreign(&self.name, error.to_string())),
        }
        let head: Head =
            serde_json::from_str(&text).map_err(|e| foreign(&self.name, e.to_string()))?;
        Ok(head.model)
    }
}
