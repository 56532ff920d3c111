//! What is there from the first start on.

use crate::config::Config;
use crate::documents::read;
use crate::start_error::StartError;
use api::Class;
use app::App;
use app::apply::{Application, Document, First, first};

/// Name of the set that the configured documents make up.
const SET: &str = "init";

/// Applies the configured documents at the first start, and says in the log what became of them.
///
/// Errors: what is wrong with them; nothing of them was applied, and the next start tries again.
pub(crate) async fn initialise(config: &Config, app: &App) -> Result<(), StartError> {
    let Some(documents) = documents(config)? else { return Ok(()) };
    let application = Application { set: SET.to_owned(), documents, prune: false };
    match first(app, application).await.map_err(|refusal| wrong(refusal.detail))? {
        First::Applied(_) => tracing::info!("the configured documents were applied"),
        First::Before => {}
        First::TooLate => tracing::warn!(
            "the configured documents were not applied: they are for the first start, and this house was used before; \
             apply them by `aumbry apply`"
        ),
    }
    Ok(())
}

/// The configured documents, as far as they can be checked without a house to apply them to.
pub(crate) fn documents(config: &Config) -> Result<Option<Vec<Document>>, StartError> {
    let Some(place) = &config.init.documents.0 else { return Ok(None) };
    let read = read(place).map_err(|error| wrong(error.to_string()))?;
    rest::read_documents(read).map(Some).map_err(|refusal| wrong(refusal.detail))
}

fn wrong(why: String) -> StartError {
    let hint = "put right what `init.documents` names, or leave it empty";
    StartError::new(Class::Invalid, "serve.documents", why, hint)
}
