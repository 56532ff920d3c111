//! Calls about secrets.

use api::secret::{
    Copied, Copy, Deleted, Generate, Import, Imported, ListQuery, Metadata, Purge, Purged, PutQuery, PutSecret,
    ReadMany, ReadQuery, Restored, Rollback, Search, Secret, SecretList, Secrets as Several, SetMetadata, Sort,
    Undelete, Versions, Written,
};
use crypto::secret::SecretBytes;
use reqwest::Method;

use crate::transport::{Call, Target};
use crate::{Client, Error, check_path};

/// Calls about secrets. Each checks paths first and answers with the server's refusal as [`Error`].
#[derive(Debug)]
pub struct Secrets<'a>(&'a Client);

impl Client {
    /// Calls about secrets.
    pub fn secrets(&self) -> Secrets<'_> {
        Secrets(self)
    }
}

impl Secrets<'_> {
    /// Writes a new version from a JSON message.
    pub async fn put(&self, path: &str, message: &PutSecret) -> Result<Written, Error> {
        check_path(path)?;
        self.0.change(Method::PUT, Target::at("secrets", path), Some(message)).await
    }

    /// Writes a new version from raw bytes.
    pub async fn put_raw(&self, path: &str, value: SecretBytes, with: &PutQuery) -> Result<Written, Error> {
        check_path(path)?;
        let target = Target::at("secrets", path)
            .with("cas", with.cas)
            .with("labels", with.labels.as_ref())
            .with("expires_at", with.expires_at.as_ref())
            .with("max_versions", with.max_versions);
        let call = Call { body: Some((api::OCTETS, value)), ..Call::new(Method::PUT, target) };
        self.0.send(call).await?.json()
    }

    /// Writes a new version that changes fields of the newest one, by a merge patch (RFC 7396): JSON, an object.
    pub async fn patch(&self, path: &str, patch: SecretBytes, cas: Option<u64>) -> Result<Written, Error> {
        check_path(path)?;
        let target = Target::at("secrets", path).with("cas", cas);
        let call = Call { body: Some((api::MERGE_PATCH, patch)), ..Call::new(Method::PATCH, target) };
        self.0.send(call).await?.json()
    }

    /// Reads a version with what goes with it; the current one without `version`.
    pub async fn read(&self, path: &str, version: Option<u64>) -> Result<Secret, Error> {
        self.read_with(path, &ReadQuery { version, ..ReadQuery::default() }).await
    }

    /// As [`Secrets::read`], with references in the value resolved where that is asked for.
    pub async fn read_with(&self, path: &str, with: &ReadQuery) -> Result<Secret, Error> {
        check_path(path)?;
        self.0.fetch(asked(path, with)).await
    }

    /// Reads the value of a version as it was stored, without an encoding between.
    pub async fn read_raw(&self, path: &str, version: Option<u64>) -> Result<SecretBytes, Error> {
        self.read_raw_with(path, &ReadQuery { version, ..ReadQuery::default() }).await
    }

    /// As [`Secrets::read_raw`], with references in the value resolved where that is asked for.
    pub async fn read_raw_with(&self, path: &str, with: &ReadQuery) -> Result<SecretBytes, Error> {
        check_path(path)?;
        let target = asked(path, with);
        let answer = self.0.send(Call { accept: api::OCTETS, ..Call::new(Method::GET, target) }).await?;
        if !answer.is(api::OCTETS) {
            return Err(Error::unreadable("is not the raw value that was asked for"));
        }
        Ok(answer.into_body())
    }

    /// Reads several secrets at once: all, or none.
    pub async fn read_many(&self, message: &ReadMany) -> Result<Several, Error> {
        message.paths.iter().try_for_each(|path| check_path(path))?;
        self.0.ask(Target::noun("secrets:read"), message).await
    }

    /// Reads everything but values.
    pub async fn metadata(&self, path: &str) -> Result<Metadata, Error> {
        check_path(path)?;
        self.0.fetch(Target::at("secrets", path).with("view", Some("metadata"))).await
    }

    /// Lists the versions, newest first.
    pub async fn versions(&self, path: &str) -> Result<Versions, Error> {
        check_path(path)?;
        self.0.fetch(Target::at("secrets", path).with("view", Some("versions"))).await
    }

    /// Lists one page.
    pub async fn list(&self, query: &ListQuery) -> Result<SecretList, Error> {
        if let Some(prefix) = query.prefix.as_deref().map(|p| p.trim_end_matches('/')).filter(|p| !p.is_empty()) {
            check_path(prefix)?;
        }
        let target = Target::noun("secrets")
            .with("prefix", query.prefix.as_ref())
            .with("cursor", query.cursor.as_ref())
            .with("limit", query.limit)
            .with("recursive", query.recursive.then_some(true))
            .with("sort", query.sort.map(|Sort::Name| "name"));
        self.0.fetch(target).await
    }

    /// Finds secrets, one page.
    pub async fn search(&self, message: &Search) -> Result<SecretList, Error> {
        self.0.ask(Target::noun("secrets:search"), message).await
    }

    /// Deletes: the secret can be undeleted until it is purged.
    pub async fn delete(&self, path: &str) -> Result<Deleted, Error> {
        check_path(path)?;
        self.0.change(Method::DELETE, Target::at("secrets", path), None::<&()>).await
    }

    /// Writes many secrets: all of them, or none.
    pub async fn import(&self, message: &Import) -> Result<Imported, Error> {
        message.items.iter().try_for_each(|item| check_path(&item.path))?;
        self.0.change(Method::POST, Target::noun("secrets:import"), Some(message)).await
    }

    /// Copies a secret, or all below a folder: all of them, or none.
    pub async fn copy(&self, message: &Copy) -> Result<Copied, Error> {
        self.0.change(Method::POST, Target::noun("secrets:copy"), Some(message)).await
    }

    /// As [`Secrets::copy`], and hides the sources.
    pub async fn relocate(&self, message: &Copy) -> Result<Copied, Error> {
        self.0.change(Method::POST, Target::noun("secrets:move"), Some(message)).await
    }

    /// Makes a new version with a value that the server makes.
    pub async fn generate(&self, message: &Generate) -> Result<Written, Error> {
        check_path(&message.path)?;
        self.0.change(Method::POST, Target::noun("secrets:generate"), Some(message)).await
    }

    /// Makes a new version that repeats an older one.
    pub async fn rollback(&self, message: &Rollback) -> Result<Written, Error> {
        check_path(&message.path)?;
        self.0.change(Method::POST, Target::noun("secrets:rollback"), Some(message)).await
    }

    /// Brings a deleted secret back.
    pub async fn undelete(&self, message: &Undelete) -> Result<Restored, Error> {
        check_path(&message.path)?;
        self.0.change(Method::POST, Target::noun("secrets:undelete"), Some(message)).await
    }

    /// Destroys the keys of versions for good.
    pub async fn purge(&self, message: &Purge) -> Result<Purged, Error> {
        check_path(&message.path)?;
        self.0.change(Method::POST, Target::noun("secrets:purge"), Some(message)).await
    }

    /// Changes labels, expiry or the number of versions kept.
    pub async fn set_metadata(&self, message: &SetMetadata) -> Result<Metadata, Error> {
        check_path(&message.path)?;
        self.0.change(Method::POST, Target::noun("secrets:metadata"), Some(message)).await
    }
}

fn asked<'a>(path: &'a str, with: &ReadQuery) -> Target<'a> {
    Target::at("secrets", path).with("version", with.version).with("resolve", with.resolve.then_some(true))
}
