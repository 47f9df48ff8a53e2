//! What is written: batches of changes that are there whole or not at all.

use std::collections::BTreeMap;

use foresail_core::quantity::time::Timestamp;
use redb::WriteTransaction;

use super::blob::{Packed, RECORD_BYTES_MAX};
use super::block;
use super::error::Refusal;
use super::keys;
use super::record::{Intent, IntentState, Kind, Limits};
use super::tables::{DECISIONS, Failed, INPUTS, INTENTS, Open, ROWS, SNAPSHOTS};

/// One change.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Snapshot {
        uid: String,
        record: Packed,
    },
    Input {
        uid: String,
        record: Packed,
    },
    Decision {
        uid: String,
        record: Packed,
    },
    Open(Intent),
    Settle {
        uid: String,
        id: String,
        state: IntentState,
    },
    Row {
        uid: String,
        kind: Kind,
        at: Timestamp,
        row: Vec<u8>,
    },
    Forget {
        uid: String,
    },
    Remove {
        decisions: Vec<Vec<u8>>,
        rows: Vec<Vec<u8>>,
    },
}

/// Changes that are written together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) refused: Option<Refusal>,
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks what a change is about; the first mistake refuses the whole batch.
    fn push(
        &mut self,
        uid: &str,
        bytes: usize,
        change: impl FnOnce(String) -> Change,
    ) -> &mut Self {
        let size = if bytes > RECORD_BYTES_MAX {
            Err(Refusal::TooLarge {
                bytes,
                limit: RECORD_BYTES_MAX,
            })
        } else {
            Ok(())
        };
        match keys::check_uid(uid).and(size) {
            Ok(()) => self.changes.push(change(uid.to_owned())),
            Err(refusal) => {
                self.refused.get_or_insert(refusal);
            }
        }
        self
    }

    /// An engine as it is; what it was fed before goes.
    pub fn snapshot(&mut self, uid: &str, bytes: &[u8]) -> &mut Self {
        self.push(uid, bytes.len(), |uid| Change::Snapshot {
            uid,
            record: Packed::new(bytes),
        })
    }

    /// What an engine was fed after its snapshot.
    pub fn input(&mut self, uid: &str, bytes: &[u8]) -> &mut Self {
        self.push(uid, bytes.len(), |uid| Change::Input {
            uid,
            record: Packed::new(bytes),
        })
    }

    /// A decision, after those before; the oldest go where there are too many.
    pub fn decision(&mut self, uid: &str, at: Timestamp, bytes: &[u8]) -> &mut Self {
        self.push(uid, bytes.len(), |uid| {
            let mut dated = at.nanos().to_le_bytes().to_vec();
            dated.extend_from_slice(bytes);
            Change::Decision {
                uid,
                record: Packed::new(&dated),
            }
        })
    }

    /// An intent that is about to be written; it is taken as open whatever its state says. Refused
    /// while an earlier one of the object has no outcome, and where (epoch, seq) is not after the
    /// last one's.
    pub fn open_intent(&mut self, intent: &Intent) -> &mut Self {
        let bytes = intent.id.len() + intent.resource_version.len();
        self.push(&intent.uid, bytes, |_| Change::Open(intent.clone()))
    }

    /// The outcome of an open intent.
    pub fn settle_intent(&mut self, uid: &str, id: &str, state: IntentState) -> &mut Self {
        if state == IntentState::Open {
            self.refused.get_or_insert(Refusal::SettledAsOpen {
                uid: uid.to_owned(),
            });
        }
        self.push(uid, id.len(), |uid| Change::Settle {
            uid,
            id: id.to_owned(),
            state,
        })
    }

    /// A row of its kind and time; a second one of the same time takes the place of the first.
    pub fn row(&mut self, uid: &str, kind: Kind, at: Timestamp, bytes: &[u8]) -> &mut Self {
        self.push(uid, bytes.len(), |uid| Change::Row {
            uid,
            kind,
            at,
            row: bytes.to_vec(),
        })
    }

    /// A point of demand, kept to 24 bits. A gap is a point that is not there.
    ///
    /// Units: those of the demand, such as requests per second.
    pub fn demand(&mut self, uid: &str, at: Timestamp, demand: f64) -> &mut Self {
        let short = demand as f32;
        if !short.is_finite() {
            self.refused
                .get_or_insert(Refusal::Demand(demand.to_string()));
        }
        self.row(uid, Kind::Demand, at, &short.to_le_bytes())
    }

    /// All that is known of an object goes.
    pub fn forget(&mut self, uid: &str) -> &mut Self {
        self.push(uid, 0, |uid| Change::Forget { uid })
    }

    /// `true` while there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.refused.is_none()
    }
}

/// The tables of one transaction.
pub(super) struct Tables<'t> {
    snapshots: Open<'t>,
    inputs: Open<'t>,
    decisions: Open<'t>,
    intents: Open<'t>,
    rows: Open<'t>,
    limits: Limits,
}

/// Intents of one object as the batch at hand would leave them, by id.
type Standing = BTreeMap<String, Vec<Intent>>;

impl<'t> Tables<'t> {
    pub(super) fn open(tx: &'t WriteTransaction, limits: Limits) -> Result<Self, Failed> {
        Ok(Self {
            snapshots: Open::new(tx, SNAPSHOTS)?,
            inputs: Open::new(tx, INPUTS)?,
            decisions: Open::new(tx, DECISIONS)?,
            intents: Open::new(tx, INTENTS)?,
            rows: Open::new(tx, ROWS)?,
            limits,
        })
    }

    /// Writes a batch, or says why nothing of it was written.
    pub(super) fn take(&mut self, batch: &Batch) -> Result<Result<(), Refusal>, Failed> {
        if let Some(refusal) = &batch.refused {
            return Ok(Err(refusal.clone()));
        }
        if let Err(refusal) = self.check(batch)? {
            return Ok(Err(refusal));
        }
        for change in &batch.changes {
            self.apply(change)?;
        }
        Ok(Ok(()))
    }

    /// Whether the intents of a batch keep the rules, before anything of it is written.
    fn check(&self, batch: &Batch) -> Result<Result<(), Refusal>, Failed> {
        let mut standing = Standing::new();
        for change in &batch.changes {
            let (uid, verdict) = match change {
                Change::Open(intent) => (&intent.uid, None),
                Change::Settle { uid, id, state } => (uid, Some((id, *state))),
                Change::Forget { uid } => {
                    standing.insert(uid.clone(), Vec::new());
                    continue;
                }
                _ => continue,
            };
            if !standing.contains_key(uid) {
                standing.insert(uid.clone(), self.intents_of(uid)?);
            }
            let Some(intents) = standing.get_mut(uid) else {
                continue;
            };
            let checked = match (change, verdict) {
                (Change::Open(intent), _) => may_open(intents, intent),
                (_, Some((id, state))) => may_settle(intents, uid, id, state),
                _ => Ok(()),
            };
            if let Err(refusal) = checked {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    fn intents_of(&self, uid: &str) -> Result<Vec<Intent>, Failed> {
        let found = self.intents.all(&keys::of_object(uid))?;
        found
            .iter()
            .map(|(_, record)| read_intent(record))
            .collect()
    }

    fn apply(&mut self, change: &Change) -> Result<(), Failed> {
        match change {
            Change::Snapshot { uid, record } => {
                self.inputs.remove_all(&keys::of_object(uid))?;
                self.snapshots.put(&keys::of_object(uid), record)
            }
            Change::Input { uid, record } => append(&mut self.inputs, uid, record).map(drop),
            Change::Decision { uid, record } => self.decide(uid, record),
            Change::Open(intent) => self.open_intent(intent),
            Change::Settle { uid, id, state } => self.settle(uid, id, *state),
            Change::Row { uid, kind, at, row } => self.put_row(uid, *kind, *at, row),
            Change::Forget { uid } => {
                let prefix = keys::of_object(uid);
                self.all()
                    .into_iter()
                    .try_for_each(|table| table.remove_all(&prefix))
            }
            Change::Remove { decisions, rows } => {
                decisions
                    .iter()
                    .try_for_each(|key| self.decisions.remove(key))?;
                rows.iter().try_for_each(|key| self.rows.remove(key))
            }
        }
    }

    fn all(&mut self) -> [&mut Open<'t>; 5] {
        [
            &mut self.snapshots,
            &mut self.inputs,
            &mut self.decisions,
            &mut self.intents,
            &mut self.rows,
        ]
    }

    fn decide(&mut self, uid: &str, record: &Packed) -> Result<(), Failed> {
        let number = append(&mut self.decisions, uid, record)?;
        let prefix = keys::of_object(uid);
        while let Some(first) = self.decisions.first_key(&prefix)? {
            let oldest = keys::number(&first).unwrap_or(number);
            if number - oldest.min(number) < self.limits.decisions_max.max(1) {
                break;
            }
            self.decisions.remove(&first)?;
        }
        Ok(())
    }

    fn open_intent(&mut self, intent: &Intent) -> Result<(), Failed> {
        let key = keys::intent(&intent.uid, intent.epoch, intent.seq);
        let open = Intent {
            state: IntentState::Open,
            ..intent.clone()
        };
        self.intents
            .put(&key, &Packed::new(&write_intent(&open)?))?;
        let all = self.intents.all(&keys::of_object(&intent.uid))?;
        let surplus = all.len().saturating_sub(self.limits.intents_max + 1);
        all.iter()
            .take(surplus)
            .try_for_each(|(key, _)| self.intents.remove(key))
    }

    fn settle(&mut self, uid: &str, id: &str, state: IntentState) -> Result<(), Failed> {
        for intent in self.intents_of(uid)?.iter().filter(|i| i.id == id) {
            let key = keys::intent(uid, intent.epoch, intent.seq);
            let settled = Intent {
                state,
                ..intent.clone()
            };
            self.intents
                .put(&key, &Packed::new(&write_intent(&settled)?))?;
        }
        Ok(())
    }

    fn put_row(&mut self, uid: &str, kind: Kind, at: Timestamp, row: &[u8]) -> Result<(), Failed> {
        let key = keys::block(uid, kind, at);
        let begin = keys::block_of(&key).map_or(at, |(_, begin)| begin);
        let found = self.rows.get(&key)?;
        let is_first = found.is_none();
        let mut rows = read_block(&key, begin, found.as_deref())?;
        rows.insert(at, row.to_vec());
        self.rows
            .put(&key, &Packed::plain(&block::write(begin, &rows)))?;
        if is_first {
            // The block before is full and is not written again: packed, it takes less for ever.
            let before = self.rows.last_key(&keys::of_rows(uid, kind), Some(&key))?;
            if let Some(before) = before
                && let Some(full) = self.rows.get(&before)?
            {
                self.rows.put(&before, &Packed::new(&full))?;
            }
        }
        Ok(())
    }
}

/// Puts a record after the object's last; tells its number.
fn append(table: &mut Open<'_>, uid: &str, record: &Packed) -> Result<u64, Failed> {
    let last = table.last_key(&keys::of_object(uid), None)?;
    let number = last
        .and_then(|key| keys::number(&key))
        .map_or(0, |n| n.saturating_add(1));
    table.put(&keys::numbered(uid, number), record)?;
    Ok(number)
}

fn may_open(intents: &mut Vec<Intent>, intent: &Intent) -> Result<(), Refusal> {
    let uid = intent.uid.clone();
    if let Some(open) = intents.iter().find(|i| i.state.is_open()) {
        let id = open.id.clone();
        return Err(Refusal::Unresolved { uid, id });
    }
    if let Some(last) = intents.iter().max_by_key(|i| (i.epoch, i.seq))
        && (intent.epoch, intent.seq) <= (last.epoch, last.seq)
    {
        return Err(Refusal::NotAfter {
            uid,
            id: intent.id.clone(),
            epoch: last.epoch,
            seq: last.seq,
        });
    }
    intents.push(Intent {
        state: IntentState::Open,
        ..intent.clone()
    });
    Ok(())
}

fn may_settle(
    intents: &mut [Intent],
    uid: &str,
    id: &str,
    state: IntentState,
) -> Result<(), Refusal> {
    let found = intents.iter_mut().find(|i| i.id == id && i.state.is_open());
    let found = found.ok_or_else(|| Refusal::NoSuchIntent {
        uid: uid.to_owned(),
        id: id.to_owned(),
    })?;
    found.state = state;
    Ok(())
}

fn write_intent(intent: &Intent) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(intent).map_err(|e| Failed::Corrupted(format!("intent: {e}")))
}

/// The intent of a record.
pub(super) fn read_intent(record: &[u8]) -> Result<Intent, Failed> {
    serde_json::from_slice(record).map_err(|e| Failed::Corrupted(format!("intent: {e}")))
}

/// The rows of a block's record.
pub(super) fn read_block(
    key: &[u8],
    begin: Timestamp,
    record: Option<&[u8]>,
) -> Result<block::Rows, Failed> {
    let damaged = || {
        let object = keys::object(key).unwrap_or("an unknown object");
        Failed::Corrupted(format!(
            "rows of {object}: they do not end where they should"
        ))
    };
    block::read(begin, record.unwrap_or_default()).ok_or_else(damaged)
}
