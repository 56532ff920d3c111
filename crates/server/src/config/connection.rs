//! The connection string: it names the engine, and may hold a password.

use super::StorageSection;
use super::value::{Raw, Setting, wrong};
use crate::store::{Engine, SCHEMES};
use crypto::secret::SecretText;
use std::fmt;
use std::sync::Arc;

/// Where the store is. Neither printed nor compared but in secret; clones share one text.
#[derive(Clone)]
pub struct Connection {
    engine: Engine,
    text: Arc<SecretText>,
}

impl Connection {
    /// Reads a connection string. Errors never repeat it.
    pub(crate) fn of(text: &str) -> Result<Connection, String> {
        let scheme = text.split_once(':').map_or(text, |(scheme, _)| scheme);
        let known = SCHEMES.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
        let Some((_, engine)) = known else {
            let names: Vec<String> = SCHEMES.iter().map(|(name, _)| format!("`{name}://`")).collect();
            return Err(format!("begins with no engine that is known: {}", names.join(", ")));
        };
        if *engine == Engine::Sqlite && !SQLITE.contains(&text) {
            return Err(
                "names a file, but SQLite rests in the data folder; write `sqlite`, and set `server.data_dir`".into()
            );
        }
        Ok(Connection { engine: *engine, text: Arc::new(SecretText::new(text.to_owned())) })
    }

    /// The engine.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &SecretText {
        &self.text
    }
}

/// Ways to say that the store is in the data folder. The last one is a usual default elsewhere.
const SQLITE: [&str; 3] = ["sqlite", "sqlite://", "sqlite://db.sqlite"];

impl Setting for Connection {
    const KIND: &'static str = "connection string";

    fn read(raw: &Raw) -> Result<Connection, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => Connection::of(text),
            other => Err(wrong("a connection string", other)),
        }
    }
}

impl StorageSection {
    /// Whether the store is in files of the data folder.
    #[must_use]
    pub fn is_in_files(&self) -> bool {
        self.connection_file.0.is_none() && self.connection.engine == Engine::Sqlite
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Connection) -> bool {
        self.engine == other.engine && self.text.ct_eq(&other.text)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?})", self.engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_shown_nowhere() {
        let secret = "canary-of-the-connection";
        let good = Connection::of(&format!("postgresql://aumbry:{secret}@db/aumbry")).unwrap();
        assert!(!format!("{good:?}").contains(secret));
        for bad in [format!("oracle://aumbry:{secret}@db"), secret.to_owned(), format!("sqlite:///{secret}")] {
            let why = Connection::of(&bad).unwrap_err();
            assert!(!why.contains(secret), "{why}");
        }
        assert!(Connection::of("oracle://db").unwrap_err().contains("`postgresql://`"), "the known ones are named");
    }

    #[test]
    fn sqlite_is_where_the_data_folder_is() {
        for text in SQLITE {
            assert_eq!(Connection::of(text).unwrap().engine(), Engine::Sqlite);
        }
        assert!(Connection::of("sqlite:///var/lib/x.db").is_err());
        assert_eq!(Connection::of("POSTGRES://h/d").unwrap().engine(), Engine::Sql);
    }
}
