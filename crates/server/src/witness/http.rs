//! A witness over HTTP. Source: C2SP tlog-witness.

use super::Objection;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::note::{Checkpoint, NOTE_BYTES_MAX, WitnessKey};
use ledger::Ledger;
use reqwest::redirect;
use std::fmt::Write;
use std::time::Duration;

/// Longest time of one request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Times that a witness may name the size it knows in the course of one checkpoint.
const TRIES: usize = 3;

/// The witness.
#[derive(Clone, Debug)]
pub(crate) struct HttpWitness {
    client: reqwest::Client,
    url: String,
    key: WitnessKey,
}

enum Answer {
    Cosigned(String),
    Knows(u64),
}

impl HttpWitness {
    pub(crate) fn new(url: &str, key: WitnessKey) -> Result<HttpWitness, reqwest::Error> {
        // Whoever started the process may have done so; it is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder =
            reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().referer(false).timeout(TIMEOUT);
        if url.starts_with("http://") {
            builder = builder.tls_certs_only([]);
        }
        Ok(HttpWitness { client: builder.build()?, url: format!("{}/add-checkpoint", url.trim_end_matches('/')), key })
    }

    /// Shows a checkpoint to the witness, which knows the ledger up to `known`; where it knows another size it is told from
    /// there. Gives the size, and the checkpoint with the witness's signature below.
    pub(crate) async fn show(&self, ledger: &Ledger, known: u64, checkpoint: &str) -> Result<(u64, String), Objection> {
        let unable = |why: &dyn std::fmt::Display| Objection::Unable(why.to_string());
        let key = ledger.verifier_key().map_err(|refusal| unable(&refusal.detail))?;
        let new = Checkpoint::open(checkpoint, &key).map_err(|error| unable(&error))?;
        let (mut known, own) = (known, own(checkpoint));
        for _ in 0..TRIES {
            match self.add(ledger, known, &new, own).await? {
                Answer::Cosigned(lines) => {
                    self.key.cosigned(own, &lines).map_err(|error| unable(&error))?;
                    return Ok((new.size, format!("{own}{lines}")));
                }
                Answer::Knows(size) if size > new.size => {
                    let is = new.size;
                    let what = format!(
                        "the store has {is} entries, and the witness has seen {size}: the store came back older"
                    );
                    return Err(Objection::RolledBack(what));
                }
                Answer::Knows(size) if size == known => return Err(differs(size)),
                Answer::Knows(size) => known = size,
            }
        }
        Err(Objection::Unable("the witness names another size each time".to_owned()))
    }

    async fn add(&self, ledger: &Ledger, old: u64, new: &Checkpoint, checkpoint: &str) -> Result<Answer, Objection> {
        let mut body = format!("old {old}\n");
        if old > 0 && old < new.size {
            let proof = ledger.consistency(old, new.size).await;
            for hash in proof.map_err(|refusal| Objection::Unable(refusal.detail.to_string()))? {
                // Writing to a string never fails.
                let _ = writeln!(body, "{}", STANDARD.encode(hash));
            }
        }
        let _ = write!(body, "\n{checkpoint}");
        let failed = |error: reqwest::Error| {
            let what = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
            Objection::Unable(format!("the witness {what}"))
        };
        let mut answer = self.client.post(&self.url).body(body).send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len().saturating_add(chunk.len()) > NOTE_BYTES_MAX {
                return Err(Objection::Unable("the witness answers without end".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes).unwrap_or_default();
        match status {
            200 => Ok(Answer::Cosigned(text)),
            409 => match text.trim_end().parse() {
                Ok(size) => Ok(Answer::Knows(size)),
                Err(_) => Err(Objection::Unable("the witness names no size".to_owned())),
            },
            422 => Err(differs(old)),
            403 => {
                Err(Objection::Unable("the witness does not trust this ledger's key; give it the new one".to_owned()))
            }
            404 => Err(Objection::Unable("the witness does not know this ledger; register its key there".to_owned())),
            other => Err(Objection::Unable(format!("the witness answers {other}"))),
        }
    }
}

/// A checkpoint with the ledger's own signature only, which is the first.
fn own(checkpoint: &str) -> &str {
    let text = checkpoint.find("\n\n").map_or(0, |at| at.saturating_add(2));
    let line = checkpoint.get(text..).and_then(|lines| lines.find('\n')).map_or(checkpoint.len(), |at| at + 1);
    checkpoint.get(..text.saturating_add(line)).unwrap_or(checkpoint)
}

fn differs(size: u64) -> Objection {
    Objection::RolledBack(format!(
        "the first {size} entries of the store are not those that the witness has seen: the store came back older and went \
         on, or is another"
    ))
}
