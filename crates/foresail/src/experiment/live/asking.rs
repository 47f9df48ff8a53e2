//! The adviser on a thread of its own: the loop never waits for an answer.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, bail};
use foresail_adapters::llm::{Answered, Ask, Question};
use foresail_core::quantity::time::{Span, Timestamp};

use super::super::asked::Asker;

/// The adviser's thread, seen from the loop.
#[derive(Debug)]
pub struct Asking {
    questions: SyncSender<(Timestamp, Question)>,
    answers: Receiver<(Timestamp, Answered)>,
    thread: JoinHandle<Asker>,
    waits: bool,
}

impl Asking {
    /// Begins to listen; each answer may take as long as `deadline`.
    #[must_use]
    pub fn begin(mut asker: Asker, deadline: Span) -> Self {
        // One question at a time is on its way, so that neither side ever waits to send.
        let (questions, asked) = sync_channel::<(Timestamp, Question)>(1);
        let (answered, answers) = sync_channel(1);
        let patience = Duration::from_nanos(deadline.nanos().unsigned_abs());
        let thread = std::thread::spawn(move || {
            for (at, question) in asked {
                let told = asker.ask(&question, patience);
                if answered.send((at, told)).is_err() {
                    break;
                }
            }
            asker
        });
        Self {
            questions,
            answers,
            thread,
            waits: false,
        }
    }

    /// Sends a question on its way; `false` where the one before is still out.
    pub fn ask(&mut self, at: Timestamp, question: Question) -> bool {
        let sent = !self.waits && self.questions.try_send((at, question)).is_ok();
        self.waits |= sent;
        sent
    }

    /// An answer that has come, and when its question was asked.
    pub fn answer(&mut self) -> Option<(Timestamp, Answered)> {
        let come = self.answers.try_recv().ok();
        self.waits &= come.is_none();
        come
    }

    /// Ends, once the answer that is on its way is there, and hands back who was asked.
    ///
    /// # Errors
    /// Where the thread broke down.
    pub fn end(self) -> Result<Asker> {
        drop(self.questions);
        drop(self.answers);
        match self.thread.join() {
            Ok(asker) => Ok(asker),
            Err(_) => bail!("the thread that asks the adviser broke down"),
        }
    }
}
