//! Secrets: put, read, list, roll back, delete, undelete, purge, metadata.

use crate::answer::Answer;
use crate::call::{Call, folder};
use crate::secret_wire::{deleted, edit, found, item, metadata, page, purged, restored, versions, written};
use crate::time;
use api::secret as wire;
use app::code::{REQUEST_INVALID, SECRET_INVALID};
use app::secret::{self, Edit, Encoding, ListQuery, MetadataEdit, NewValue, Rollback, Scope, Source};
use app::{Act, Path, PrincipalName, Refusal};

/// `PUT secrets/{path}`
pub(crate) async fn put(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let new = new_value(call)?;
            Ok((Act::secret_write(call.path()?).replacing(new.cas), new))
        },
        secret::put,
        |changed| Answer::json(&written(changed)),
    )
    .await
}

/// `GET secrets/{path}`
pub(crate) async fn get(call: Box<Call>) -> Answer {
    match call.query::<wire::ReadQuery>().unwrap_or_default().view {
        wire::View::Value => value(call).await,
        wire::View::Metadata => about(call).await,
        wire::View::Versions => history(call).await,
    }
}

async fn value(call: Box<Call>) -> Answer {
    let raw = call.wants_raw();
    call.act(
        |call| {
            let query: wire::ReadQuery = call.query()?;
            Ok((Act::secret_read(call.path()?, query.version), query.resolve))
        },
        async move |grant, resolve| if resolve { secret::get_resolved(grant).await } else { secret::get(grant).await },
        move |revealed| found(revealed, raw),
    )
    .await
}

async fn about(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::secret_metadata(call.path()?), without_version(call)?)),
        |grant, ()| secret::about(grant),
        |about| Answer::json(&metadata(&about)),
    )
    .await
}

async fn history(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::secret_versions(call.path()?), without_version(call)?)),
        |grant, ()| secret::about(grant),
        |about| Answer::json(&versions(about)),
    )
    .await
}

/// `PATCH secrets/{path}`
pub(crate) async fn patch(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let patch = call.patch()?.0.into_bytes();
            let cas = call.cas(call.query::<wire::PatchQuery>()?.cas)?;
            Ok((Act::secret_patch(call.path()?), (patch, cas)))
        },
        |grant, (patch, cas)| secret::patch(grant, patch, cas),
        |changed| Answer::json(&written(changed)),
    )
    .await
}

/// `DELETE secrets/{path}`
pub(crate) async fn delete(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let cas = call.if_match()?;
            Ok((Act::secret_delete(call.path()?).replacing(cas), cas))
        },
        |grant, cas| secret::delete(grant, None, cas),
        |changed| Answer::json(&deleted(&changed)),
    )
    .await
}

/// `GET secrets`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let query: wire::ListQuery = call.query()?;
            let limit = query.limit.map(u64::from);
            let by_name = query.sort == Some(wire::Sort::Name);
            let page = ListQuery { cursor: query.cursor, limit, recursive: query.recursive, by_name };
            Ok((Act::secret_list(folder(query.prefix.as_deref())?), page))
        },
        secret::list,
        |found| Answer::json(&page(found, item)),
    )
    .await
}

/// `POST secrets:search`
pub(crate) async fn search(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::Search = call.json()?;
            let expires_before =
                body.expires_before.map(|at| time::read(&at, &REQUEST_INVALID, "expires_before")).transpose()?;
            let wanted = secret::Search {
                name: body.name,
                labels: body.labels,
                owner: body.owner.as_deref().map(PrincipalName::parse).transpose()?,
                expires_before,
                cursor: body.cursor,
                limit: body.limit.map(u64::from),
            };
            Ok((Act::secret_search(folder(body.prefix.as_deref())?), wanted))
        },
        secret::search,
        |found| Answer::json(&page(found, item)),
    )
    .await
}

/// `POST secrets:rollback`
pub(crate) async fn rollback(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::Rollback = call.json()?;
            let source = match (body.version, &body.at) {
                (Some(version), None) => Source::Version(version),
                (None, Some(at)) => Source::At(time::read(at, &SECRET_INVALID, "at")?),
                _ => return Err(Refusal::new(&REQUEST_INVALID, "name one of `version` and `at`")),
            };
            let cas = call.cas(body.cas)?;
            Ok((Act::secret_rollback(Path::parse(&body.path)?).replacing(cas), Rollback { source, cas }))
        },
        secret::rollback,
        |changed| Answer::json(&written(changed)),
    )
    .await
}

/// `POST secrets:undelete`
pub(crate) async fn undelete(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::secret_undelete(Path::parse(&call.json::<wire::Undelete>()?.path)?), ())),
        |grant, ()| secret::undelete(grant, None),
        |changed| Answer::json(&restored(&changed)),
    )
    .await
}

/// `POST secrets:purge`
pub(crate) async fn purge(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::Purge = call.json()?;
            let scope = match (body.versions, body.all) {
                (Some(versions), false) => Scope::Versions(versions),
                (None, true) => Scope::All,
                _ => return Err(Refusal::new(&REQUEST_INVALID, "name one of `versions` and `all`")),
            };
            Ok((Act::secret_purge(Path::parse(&body.path)?), scope))
        },
        secret::purge,
        |changed| Answer::json(&purged(changed)),
    )
    .await
}

/// `POST secrets:metadata`
pub(crate) async fn annotate(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::SetMetadata = call.json()?;
            let edit = edit(body.labels, body.expires_at, body.max_versions)?;
            let cas = call.if_match()?;
            Ok((Act::secret_annotate(Path::parse(&body.path)?).replacing(cas), (edit, cas)))
        },
        |grant, (edit, cas)| secret::annotate(grant, edit, cas),
        |changed| Answer::json(&metadata(&changed.what)),
    )
    .await
}

/// `POST secrets:read`
pub(crate) async fn read_many(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::ReadMany = call.json()?;
            let paths = body.paths.iter().map(|path| Path::parse(path)).collect::<Result<Vec<_>, _>>()?;
            Ok((Act::secret_read_many(paths)?, body.resolve))
        },
        async move |grant, resolve| match resolve {
            true => secret::read_many_resolved(grant).await,
            false => secret::read_many(grant).await,
        },
        |all| crate::secret_wire::found_many(&all),
    )
    .await
}

fn without_version(call: &Call) -> Result<(), Refusal> {
    let query: wire::ReadQuery = call.query()?;
    if query.version.is_none() && !query.resolve {
        return Ok(());
    }
    Err(Refusal::new(&REQUEST_INVALID, "`version` and `resolve` go with the value only"))
}

/// The value of a put, as JSON or as raw bytes.
fn new_value(call: &mut Call) -> Result<NewValue, Refusal> {
    if call.is_raw() {
        let query: wire::PutQuery = call.query()?;
        let labels = query.labels.as_deref().map(crate::secret_wire::labels).transpose()?;
        let edit = edit(labels, query.expires_at, query.max_versions)?;
        let cas = call.cas(query.cas)?;
        return Ok(NewValue { value: std::mem::take(&mut call.body), encoding: Encoding::Bytes, cas, edit });
    }
    call.no_query()?;
    let body: wire::PutSecret = call.json()?;
    let edit: MetadataEdit = edit(body.labels, body.expires_at, body.max_versions)?;
    let (value, encoding) = crate::secret_wire::value(body.value, body.encoding)?;
    Ok(NewValue { value, encoding, cas: call.cas(body.cas)?, edit })
}

/// What a field does to metadata: absent keeps, `none` clears.
pub(crate) fn edited<T>(field: Option<T>) -> Edit<T> {
    field.map_or(Edit::Keep, Edit::Set)
}
