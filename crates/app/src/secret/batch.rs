//! Several secrets in one change: done together or not at all, and a refusal names the one it is about.

use crate::grant::Authorized;
use ledger::code::LEDGER_TOO_LARGE;
use ledger::{Command, Context, Halt, Outcome, Path, Receipt, RecordName, Refusal, View};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One of several commands, with its place among them. What also writes does not use space kept back for what takes away.
#[derive(Debug)]
struct Nth {
    command: Box<dyn Command>,
    index: usize,
    path: Path,
    refused: Arc<AtomicUsize>,
}

impl Command for Nth {
    fn reads(&self) -> Vec<RecordName> {
        self.command.reads()
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        self.command.decide(view, cx).map_err(|halt| match halt {
            Halt::Refuse(refusal) => {
                self.refused.store(self.index, Ordering::Release);
                Halt::Refuse(about(self.index, &self.path, refusal))
            }
            need => need,
        })
    }
}

/// The refusal with the item it is about.
pub(super) fn about(index: usize, path: &Path, refusal: Refusal) -> Refusal {
    let detail = format!("item {}, `{path}`: {}", index.saturating_add(1), refusal.detail);
    Refusal { detail, ..refusal }
}

/// Keeps something with the answers of a unit, so that a repeated request finds it there.
#[derive(Debug)]
struct Note(Vec<u8>);

impl Command for Note {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        Ok(Outcome::new(Vec::new(), self.0.clone()))
    }
}

/// Commits them as one unit; `note` is the first of its answers. Errors: that of the first command refused, naming it;
/// `ledger.too_large` (nothing happened).
pub(super) async fn submit(
    grant: &Authorized,
    note: Vec<u8>,
    commands: Vec<(Path, Box<dyn Command>)>,
) -> Result<Receipt, Refusal> {
    let refused = Arc::new(AtomicUsize::new(usize::MAX));
    let numbered = commands.into_iter().enumerate().map(|(index, (path, command))| {
        Box::new(Nth { command, index, path, refused: Arc::clone(&refused) }) as Box<dyn Command>
    });
    let note: Box<dyn Command> = Box::new(Note(note));
    let done = grant.submit(std::iter::once(note).chain(numbered).collect()).await;
    done.map_err(|refusal| {
        if refused.load(Ordering::Acquire) != usize::MAX {
            grant.note_subject(refused.load(Ordering::Acquire));
        }
        if refusal.code == &LEDGER_TOO_LARGE {
            let why = "one commit takes 1,000 secrets and folders that are new, and 6 MiB; do it in parts";
            return Refusal::new(&LEDGER_TOO_LARGE, why);
        }
        refusal
    })
}
