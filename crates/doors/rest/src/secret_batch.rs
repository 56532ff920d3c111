//! Many secrets at once: import, copy, move.

use crate::answer::Answer;
use crate::call::Call;
use crate::secret_wire::{edit, value};
use crate::show::position;
use api::secret as wire;
use app::secret::{self, Copied, Copying, Fallen, Imported, NewItem, OnConflict};
use app::{Act, Path, Prefix, Refusal};

/// `POST secrets:import`
pub(crate) async fn import(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let wire::Import { items, on_conflict, dry_run } = call.batch()?;
            let on_conflict = match on_conflict {
                wire::OnConflict::Fail => OnConflict::Fail,
                wire::OnConflict::Skip => OnConflict::Skip,
                wire::OnConflict::Overwrite => OnConflict::Overwrite,
            };
            let mut paths = Vec::with_capacity(items.len());
            let mut values = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                let (path, value) = new_item(item).map_err(|refusal| at(index, refusal))?;
                paths.push(path);
                values.push(value);
            }
            let act = if dry_run { Act::secret_import_check(paths) } else { Act::secret_import(paths) };
            // Nothing is replaced unless that is asked for.
            let new = (on_conflict != OnConflict::Overwrite).then_some(0);
            Ok((act?.replacing(new), (values, on_conflict, dry_run)))
        },
        async move |grant, (values, on_conflict, dry_run)| match dry_run {
            true => secret::import_check(grant, values, on_conflict).await,
            false => secret::import(grant, values, on_conflict).await,
        },
        |imported| Answer::json(&shown(imported)),
    )
    .await
}

fn new_item(item: wire::ImportItem) -> Result<(Path, NewItem), Refusal> {
    let path = Path::parse(&item.path)?;
    let edit = edit(item.labels, item.expires_at, None)?;
    let (value, encoding) = value(item.value, item.encoding)?;
    Ok((path, NewItem { value, encoding, edit }))
}

/// The refusal with the place of the item it is about.
fn at(index: usize, refusal: Refusal) -> Refusal {
    Refusal { detail: format!("item {}: {}", index.saturating_add(1), refusal.detail), ..refusal }
}

fn shown(imported: Imported) -> wire::Imported {
    let items = imported.items.into_iter().map(|item| {
        let (state, version) = match item.fallen {
            Fallen::Written(version) => (wire::ImportState::Written, version),
            Fallen::Skipped => (wire::ImportState::Skipped, None),
            Fallen::Conflict => (wire::ImportState::Conflict, None),
        };
        wire::ImportedItem { path: item.path.as_str().to_owned(), state, version }
    });
    wire::Imported { items: items.collect(), position: imported.position.map(position), replayed: imported.replayed }
}

/// `POST secrets:copy`
pub(crate) async fn copy(call: Box<Call>) -> Answer {
    copied(call, false).await
}

/// `POST secrets:move`
pub(crate) async fn relocate(call: Box<Call>) -> Answer {
    copied(call, true).await
}

async fn copied(call: Box<Call>, moves: bool) -> Answer {
    call.act(
        |call| {
            let wire::Copy { from, to, recursive, overwrite } = call.json()?;
            let (act, to) = match recursive {
                true => (Act::secret_copy_folder(Prefix::parse(&from)?, moves), Some(Prefix::parse(&to)?)),
                false => (Act::secret_copy(&Path::parse(&from)?, &Path::parse(&to)?, moves), None),
            };
            Ok((act.replacing((!overwrite).then_some(0)), Copying { to, moves, overwrite }))
        },
        secret::copy,
        |copied| Answer::json(&told(copied)),
    )
    .await
}

fn told(copied: Copied) -> wire::Copied {
    let text = |path: &Path| path.as_str().to_owned();
    let item = |item: &secret::CopiedItem| wire::CopiedItem {
        from: text(&item.from),
        to: text(&item.to),
        version: item.version,
    };
    wire::Copied {
        items: copied.items.iter().map(item).collect(),
        left_out: copied.left_out.iter().map(text).collect(),
        position: copied.position.map(position),
        replayed: copied.replayed,
    }
}
