//! Calls about the ledger; what they answer proves nothing until it is checked.

use api::ledger::{Entries, Proof, VerifierKey};

use crate::transport::{Call, Target};
use crate::{Client, Error};

/// Calls about the ledger.
#[derive(Debug)]
pub struct Ledger<'a>(&'a Client);

impl Client {
    /// Calls about the ledger.
    pub fn ledger(&self) -> Ledger<'_> {
        Ledger(self)
    }
}

impl Ledger<'_> {
    /// The newest checkpoint: a signed note, as it came.
    pub async fn checkpoint(&self) -> Result<String, Error> {
        let call = Call { accept: "text/plain", ..Call::new(reqwest::Method::GET, Target::at("ledger", "checkpoint")) };
        let body = self.0.send(call).await?.into_body();
        match body.into_text() {
            Ok(text) => Ok(text.expose().to_owned()),
            Err(_) => Err(Error::unreadable("is not a checkpoint")),
        }
    }

    /// The key the server says it signs checkpoints with.
    pub async fn key(&self) -> Result<VerifierKey, Error> {
        self.0.fetch(Target::at("ledger", "key")).await
    }

    /// A run of entries.
    pub async fn entries(&self, from: u64, limit: u32) -> Result<Entries, Error> {
        self.0.fetch(Target::at("ledger", "entries").with("from", Some(from)).with("limit", Some(limit))).await
    }

    /// The proof that the entry at `index` is in the tree of `size`.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Proof, Error> {
        let target = Target::at("ledger", "proofs/inclusion").with("index", Some(index)).with("size", Some(size));
        self.0.fetch(target).await
    }

    /// The proof that the tree of size `to` extends the tree of size `from`.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<Proof, Error> {
        self.0.fetch(Target::at("ledger", "proofs/consistency").with("from", Some(from)).with("to", Some(to))).await
    }
}
