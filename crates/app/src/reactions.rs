//! What must follow a change elsewhere: one table, event kind -> what happens.
//!
//! A follow-up that touches few records is a command in the same commit; one that touches many is an intent with a
//! cursor, opened by such a command. What follows from the state itself (a session of an older epoch is refused when it
//! is verified) stands here too, so that the table says everything.

use crypto::SecretBytes;
use ledger::code::BUG;
use ledger::{Command, Context, Event, Halt, Outcome, RecordName, Refusal, View};
use parking_lot::Mutex;
use std::sync::Arc;

/// How a change is followed.
#[derive(Clone, Copy, Debug)]
pub enum Follow {
    /// By nothing more: whoever looks at the state acts on it at once. Says where.
    InState(&'static str),
    /// By a command in the same commit, which may neither store keys nor blobs.
    Command(fn(&Event) -> Option<Box<dyn Command>>),
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Reaction {
    /// Kind of the event.
    pub after: &'static str,
    /// What follows.
    pub follow: Follow,
}

/// The table.
pub static REACTIONS: &[Reaction] = &[
    Reaction {
        after: access::principal::WRITTEN,
        follow: Follow::InState("disabling raises the epoch; verify_session refuses sessions and logins of another"),
    },
    Reaction {
        after: access::session::REVOKED,
        follow: Follow::InState("the record is gone; the next request with the token is refused"),
    },
    Reaction {
        after: crate::keys::REQUESTED,
        follow: Follow::InState("the same commit opens the intent that rotates and sweeps"),
    },
];

/// The commands of a unit with those that must follow them.
pub(crate) fn with_reactions(commands: Vec<Box<dyn Command>>) -> Vec<Box<dyn Command>> {
    with_table(commands, REACTIONS)
}

fn with_table(commands: Vec<Box<dyn Command>>, table: &'static [Reaction]) -> Vec<Box<dyn Command>> {
    if !table.iter().any(|reaction| matches!(reaction.follow, Follow::Command(_))) {
        return commands;
    }
    let seen = Seen::default();
    let mut all: Vec<Box<dyn Command>> = Vec::with_capacity(commands.len().saturating_add(1));
    for (index, command) in commands.into_iter().enumerate() {
        all.push(Box::new(Watched { command, index, seen: Arc::clone(&seen) }));
    }
    all.push(Box::new(Following { seen, table }));
    all
}

/// Events of the commands before, each command's under its index, as of the newest decision.
type Seen = Arc<Mutex<std::collections::BTreeMap<usize, Vec<Event>>>>;

/// A command whose events are looked at by what follows.
#[derive(Debug)]
struct Watched {
    command: Box<dyn Command>,
    index: usize,
    seen: Seen,
}

impl Command for Watched {
    fn reads(&self) -> Vec<RecordName> {
        self.command.reads()
    }

    fn takes_away(&self) -> bool {
        self.command.takes_away()
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let outcome = self.command.decide(view, cx)?;
        self.seen.lock().insert(self.index, outcome.events.clone());
        Ok(outcome)
    }
}

/// Decides everything that follows, over what the commands before it left.
#[derive(Debug)]
struct Following {
    seen: Seen,
    table: &'static [Reaction],
}

impl Command for Following {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let mut all = Outcome::new(Vec::new(), Vec::new());
        let seen = self.seen.lock().clone();
        for event in seen.values().flatten() {
            for reaction in self.table.iter().filter(|reaction| reaction.after == event.kind) {
                let Follow::Command(make) = reaction.follow else { continue };
                let Some(command) = make(event) else { continue };
                merge(&mut all, command.decide(view, cx)?)?;
            }
        }
        Ok(all)
    }
}

fn merge(all: &mut Outcome, one: Outcome) -> Result<(), Refusal> {
    if !one.keys.is_empty() || !one.blobs.is_empty() {
        return Err(Refusal::new(&BUG, "a reaction stores a key or blob"));
    }
    all.events.extend(one.events);
    all.drops.extend(one.drops);
    all.intents.extend(one.intents);
    all.closed.extend(one.closed);
    all.volatile.extend(one.volatile);
    all.await_fold |= one.await_fold;
    all.reply = SecretBytes::new(Vec::new());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::WallMs;
    use crypto::id::{OperationId, TenantId};
    use ledger::Actor;

    #[derive(Debug)]
    struct Says(&'static str);

    impl Command for Says {
        fn reads(&self) -> Vec<RecordName> {
            Vec::new()
        }

        fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
            Ok(Outcome::new(vec![Event { kind: self.0, body: Vec::new() }], vec![1]))
        }
    }

    static TABLE: &[Reaction] =
        &[Reaction { after: "a.done", follow: Follow::Command(|_| Some(Box::new(Says("b.done")))) }];

    #[test]
    fn a_reaction_is_decided_in_the_same_unit_and_only_for_its_event() {
        let operation = OperationId::from_bytes([1; 16]);
        let cx = Context::for_tests(WallMs(1), TenantId::from_bytes([1; 16]), &Actor::SYSTEM, operation, 1);
        let decide = |kinds: &[&'static str]| {
            let unit = with_table(kinds.iter().map(|kind| Box::new(Says(kind)) as Box<dyn Command>).collect(), TABLE);
            let outcomes = unit.iter().map(|command| command.decide(&View::new(), &cx).unwrap());
            outcomes.flat_map(|outcome| outcome.events).map(|event| event.kind).collect::<Vec<_>>()
        };
        assert_eq!(decide(&["a.done", "c.done"]), ["a.done", "c.done", "b.done"]);
        assert_eq!(decide(&["c.done"]), ["c.done"]);
    }
}
