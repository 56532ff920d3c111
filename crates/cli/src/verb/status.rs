//! `aumbry status`: whether the server is there, open and ready.

use api::status::Seal;

use crate::connect::Global;
use crate::{exit, fault};

/// Asks the server; needs no login. Exit code 8 when it is sealed, 7 when it is not ready or takes no changes.
pub(crate) async fn run(global: &Global) -> fault::Outcome {
    let client = global.anonymous()?;
    let status = client.status().await?;
    global.output().answer(&status, |status| {
        let seal = match status.seal {
            Seal::Open => "open",
            Seal::Sealed => "sealed",
            Seal::Uninitialised => "not initialised",
        };
        let shares = status
            .shares
            .as_ref()
            .map(|shares| format!(" ({} of {} shares of set {} given)", shares.given, shares.threshold, shares.set));
        let shares = shares.unwrap_or_default();
        let ready = if status.ready { "ready" } else { "not ready" };
        let hindrance = status.hindrance.as_ref().map(|why| format!("\n{why}")).unwrap_or_default();
        format!(
            "{}: {ready}, {seal}{shares}, version {}, time {}{hindrance}",
            client.addr(),
            status.version,
            status.time
        )
    })?;
    Ok(match (status.seal, status.ready && status.hindrance.is_none()) {
        (Seal::Sealed | Seal::Uninitialised, _) => exit::code(api::Class::Sealed),
        (Seal::Open, false) => exit::code(api::Class::Unavailable),
        (Seal::Open, true) => exit::OK,
    })
}
