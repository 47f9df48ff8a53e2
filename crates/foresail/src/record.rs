//! Flight records: a snapshot plus inputs, and what was decided; one JSON value per line.
//!
//! The first line is the head: version, spec, seed, snapshot, identity. Then inputs as they were
//! fed; after each tick the explanations that followed; at last the number of ticks, so that a
//! record that was cut shows it. Replaying the inputs must give the same explanations byte for
//! byte. A name that ends in `.gz` is compressed.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foresail_core::engine::{Engine, Hash, Input, Snapshot, Tick};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::spec::{Spec, ValidSpec};
use foresail_models::refit;
use foresail_models::registry::build_engine;
use foresail_models::rng::Seed;
use serde::{Deserialize, Serialize};

/// Version of the form; version 1 had no last line.
pub const VERSION: u8 = 2;

/// The longest line that is read.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The first line of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Head {
    /// Version of the form.
    pub v: u8,
    /// Who decided.
    pub uid: String,
    /// What the engine was told.
    pub spec: Spec,
    /// Its only source of chance.
    pub seed: u64,
    /// Its state at the begin.
    pub snapshot: Snapshot,
}

/// A later line of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Line {
    /// What was fed.
    Input(Input),
    /// What the tick before this line decided, one per target.
    Told(Vec<Explanation>),
    /// The last line.
    End {
        /// Ticks of the whole record.
        ticks: u64,
    },
}

impl Head {
    /// The engine as it was at the begin of the record, under another spec where one is given.
    ///
    /// # Errors
    /// Where the spec is not valid, or a proposer cannot take back its state.
    pub fn engine(&self, spec: Option<Spec>) -> Result<Engine> {
        let told = |problems: Vec<foresail_core::spec::SpecProblem>| {
            let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", all.join("\n       "))
        };
        let valid = ValidSpec::new(spec.unwrap_or_else(|| self.spec.clone())).map_err(told)?;
        let mut engine = build_engine(&valid, Seed(self.seed)).map_err(told)?;
        engine.restore(self.snapshot.clone())?;
        Ok(engine)
    }

    /// Who decided.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            uid: self.uid.clone(),
            generation: 1,
            epoch: 1,
        }
    }
}

/// Feeds an engine and makes each tick's explanations, the hash of its inputs in them.
#[derive(Debug)]
pub struct Teller {
    identity: Identity,
    since: Vec<u8>,
}

impl Teller {
    /// A teller for one engine.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            since: Vec::new(),
        }
    }

    /// Takes in the canonical bytes of an input that is about to be fed.
    ///
    /// # Errors
    /// Where the input cannot be written as JSON.
    pub fn hear(&mut self, input: &Input) -> Result<()> {
        serde_json::to_writer(&mut self.since, input).context("an input cannot be written")?;
        self.since.push(b'\n');
        Ok(())
    }

    /// The explanations of a tick, one per target.
    pub fn tell(&mut self, tick: &Tick, spec: &ValidSpec) -> Vec<Explanation> {
        let inputs = Hash::of(&self.since);
        self.since.clear();
        let one =
            |i| Some(Explanation::new(tick, i, spec, &self.identity, None)?.with_inputs(&inputs));
        (0..tick.targets.len()).filter_map(one).collect()
    }
}

/// Reads a record line by line.
pub struct Reader {
    name: String,
    lines: Box<dyn BufRead>,
    pub(crate) number: u64,
    /// The first line.
    pub head: Head,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Reads a line of bounded length; `None` at the end.
pub(crate) fn bounded_line(
    lines: &mut dyn BufRead,
    name: &str,
    number: u64,
) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = std::io::Read::take(lines, LINE_BYTES_MAX as u64 + 1);
    limited
        .read_until(b'\n', &mut line)
        .with_context(|| format!("{name}, line {number}: cannot be read"))?;
    if line.len() > LINE_BYTES_MAX {
        bail!("{name}, line {number}: longer than {LINE_BYTES_MAX} bytes");
    }
    Ok((!line.is_empty()).then_some(line))
}

impl Reader {
    /// Opens a record.
    ///
    /// # Errors
    /// Where the file cannot be read, or its first line is no head of this version.
    pub fn open(path: &Path) -> Result<Self> {
        let source = foresail_adapters::io::compress::open(path)?;
        Self::new(&path.display().to_string(), source.bytes)
    }

    /// Reads a record from bytes.
    ///
    /// # Errors
    /// Where the first line is no head of this version.
    pub fn new(name: &str, mut lines: Box<dyn BufRead>) -> Result<Self> {
        let Some(line) = bounded_line(&mut *lines, name, 1)? else {
            bail!("{name} is empty; a record is made with --record FILE");
        };
        let head: Head = serde_json::from_slice(&line)
            .with_context(|| format!("{name}, line 1: no head of a flight record"))?;
        if head.v != VERSION {
            bail!(
                "{name} is of version {}; this binary reads version {VERSION}",
                head.v
            );
        }
        Ok(Self {
            name: name.to_owned(),
            lines,
            number: 1,
            head,
        })
    }

    /// Name and line, as errors give them.
    pub(crate) fn place(&self) -> String {
        format!("{}, line {}", self.name, self.number)
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Where the line is not of the form; it names its number.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        self.number += 1;
        let Some(line) = bounded_line(&mut *self.lines, &self.name, self.number)? else {
            return Ok(None);
        };
        let parsed = serde_json::from_slice(&line);
        parsed.map(Some).with_context(|| {
            format!(
                "{}, line {}: no line of a flight record",
                self.name, self.number
            )
        })
    }
}

/// What a replay found.
#[derive(Debug)]
pub enum Replayed {
    /// Every explanation was the same.
    Identical {
        /// Ticks that were compared.
        ticks: u64,
    },
    /// The first one that was not.
    Differs {
        /// Line of the record.
        line: u64,
        /// As recorded.
        recorded: String,
        /// As replayed.
        replayed: String,
    },
}

/// Holds every line of a record against what was computed, and misses none.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Line of the last tick and its explanations, until a line of the record tells them too.
    owed: Option<(u64, String)>,
    ticks: u64,
    ended: bool,
}

impl Ledger {
    /// Takes in a line and, for a tick, the explanations computed; returns a difference.
    ///
    /// # Errors
    /// Where a line is missing, doubled or out of place.
    pub(crate) fn check(
        &mut self,
        number: u64,
        line: &Line,
        computed: Option<&[Explanation]>,
    ) -> Result<Option<Replayed>> {
        ensure!(!self.ended, "stands after the record's last line");
        if let Line::Told(recorded) = line {
            let Some((_, replayed)) = self.owed.take() else {
                bail!("tells a decision, but no tick stands before it");
            };
            self.ticks += 1;
            let recorded = serde_json::to_string(recorded)?;
            return Ok((recorded != replayed).then_some(Replayed::Differs {
                line: number,
                recorded,
                replayed,
            }));
        }
        if let Some((tick, _)) = &self.owed {
            bail!("the tick of line {tick} is not followed by what it decided");
        }
        if let Line::End { ticks } = line {
            let found = self.ticks;
            ensure!(
                found == *ticks,
                "{ticks} ticks were recorded, {found} are there"
            );
            self.ended = true;
        }
        if let Some(told) = computed {
            self.owed = Some((number, serde_json::to_string(told)?));
        }
        Ok(None)
    }

    /// Ticks of a whole record.
    ///
    /// # Errors
    /// Where its last line is missing.
    pub(crate) fn finish(&self) -> Result<u64> {
        let ticks = self.ticks;
        ensure!(
            self.ended,
            "the record was cut short, its last line is missing; the {ticks} ticks before are equal"
        );
        Ok(ticks)
    }
}

/// Runs what a tick asks to be fitted, so that the record's later inputs can name it by its hash.
///
/// A record holds no artifact: the same request on the same points gives the same bytes.
pub(crate) fn keep_fits(engine: &mut Engine, tick: &Tick) {
    refit::answer(engine, tick);
}

/// Feeds the record's inputs to a fresh engine and compares every explanation byte for byte.
///
/// # Errors
/// Where the record cannot be read or is not whole.
pub fn replay(mut reader: Reader) -> Result<Replayed> {
    let mut engine = reader.head.engine(None)?;
    let mut teller = Teller::new(reader.head.identity());
    let mut ledger = Ledger::default();
    while let Some(line) = reader.next_line()? {
        let mut computed = None;
        if let Line::Input(input) = &line {
            teller.hear(input)?;
            let tick = engine.feed(input.clone());
            computed = tick.map(|tick| {
                keep_fits(&mut engine, &tick);
                teller.tell(&tick, engine.spec())
            });
        }
        let checked = ledger.check(reader.number, &line, computed.as_deref());
        if let Some(difference) = checked.with_context(|| reader.place())? {
            return Ok(difference);
        }
    }
    let ticks = ledger.finish().with_context(|| reader.place())?;
    Ok(Replayed::Identical { ticks })
}

/// Writes a record.
pub struct Recorder {
    out: Box<dyn Write + Send>,
    teller: Teller,
    ticks: u64,
    failed: Option<anyhow::Error>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Begins a record of an engine in its present state.
    ///
    /// # Errors
    /// Where the head cannot be written.
    pub fn new(
        mut out: Box<dyn Write + Send>,
        engine: &Engine,
        seed: Seed,
        uid: &str,
    ) -> Result<Self> {
        let head = Head {
            v: VERSION,
            uid: uid.to_owned(),
            spec: engine.spec().written().clone(),
            seed: seed.0,
            snapshot: engine.snapshot(),
        };
        serde_json::to_writer(&mut out, &head)?;
        out.write_all(b"\n")?;
        Ok(Self {
            out,
            teller: Teller::new(head.identity()),
            ticks: 0,
            failed: None,
        })
    }

    fn line(&mut self, line: &Line) {
        let mut write = || -> Result<()> {
            serde_json::to_writer(&mut self.out, line)?;
            self.out.write_all(b"\n")?;
            Ok(())
        };
        if let Err(error) = write() {
            self.failed.get_or_insert(error);
        }
    }

    /// Takes in an input that is about to be fed.
    pub fn input(&mut self, input: &Input) {
        if let Err(error) = self.teller.hear(input) {
            self.failed.get_or_insert(error);
        }
        self.line(&Line::Input(input.clone()));
    }

    /// Takes in a tick that followed.
    pub fn tick(&mut self, tick: &Tick, spec: &ValidSpec) {
        let told = self.teller.tell(tick, spec);
        self.line(&Line::Told(told));
        self.ticks += 1;
    }

    /// Ends the record with its last line; one that was never ended counts as cut short.
    ///
    /// # Errors
    /// The first thing that could not be written.
    pub fn finish(mut self) -> Result<()> {
        self.line(&Line::End { ticks: self.ticks });
        if let Some(error) = self.failed {
            return Err(error.context("the flight record cannot be written"));
        }
        self.out
            .flush()
            .context("the flight record cannot be written")
    }
}
