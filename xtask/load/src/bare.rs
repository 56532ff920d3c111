//! The bare handler as a running process.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::drive::Shape;
use crate::link::Peer;
use crate::machine::{self, Core, Owned};
use crate::{Fail, Plan};

/// A running bare handler.
#[derive(Debug)]
pub(crate) struct Bare {
    process: Owned,
    pub(crate) peer: Peer,
}

impl Bare {
    pub(crate) fn start(plan: &Plan, body_bytes: usize, core: Option<Core>) -> Result<Self, Fail> {
        let certificate = plan.folder.join("bare.pem");
        let mut command = Command::new(plan.binaries.join("bare"));
        command.arg("--body-bytes").arg(body_bytes.to_string()).arg("--certificate").arg(&certificate);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Owned(machine::start(command, core)?);
        let out = process.0.stdout.take().ok_or("the bare handler has no standard output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening ").ok_or("the bare handler did not start")?.parse()?;
        Ok(Self { process, peer: Peer::new(address, &certificate)? })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// The one request it answers.
    pub(crate) fn shape() -> Shape {
        // As long as a read's request: a token and an Accept header travel with it too.
        let token = "t".repeat(58);
        let text = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\r\n"
        );
        std::sync::Arc::new(move |_, out| out.extend_from_slice(text.as_bytes()))
    }
}
