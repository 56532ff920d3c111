//! The owner's one-time login, in a file of the server until somebody has used it.

use crate::build::Ground;
use crate::files;
use crate::start_error::StartError;
use app::App;
use crypto::{SecretBytes, SecretText};

/// More than any login token is long.
const LOGIN_BYTES_MAX: u64 = 1024;

/// Keeps the owner's one-time login in its file until somebody has used it. Gives one that was made just now.
pub(crate) async fn leave_login(app: &App, ground: &Ground) -> Result<Option<SecretText>, StartError> {
    let places = &ground.places;
    match app::bootstrap::owner_login(app, ground.config.init.owner_login).await? {
        Some(token) => {
            if let Some(folder) =
                places.login.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            {
                files::private_folder(folder)?;
            }
            let line = SecretBytes::new([token.expose().as_bytes(), b"\n"].concat());
            files::replace_private(&places.login, line.expose())?;
            Ok(Some(token))
        }
        None => {
            let left = files::read_private(&places.login, LOGIN_BYTES_MAX)?;
            let left = left.map(SecretBytes::new).and_then(|bytes| bytes.into_text().ok());
            let waits = match &left {
                Some(token) => app::bootstrap::login_waits(app, token.expose().trim()).await,
                None => Ok(false),
            };
            let waits = waits?;
            if !waits {
                // Used, or its time is over: what is left of it opens nothing.
                let _ = std::fs::remove_file(&places.login);
            }
            Ok(None)
        }
    }
}
