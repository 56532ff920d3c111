//! PostgreSQL, from the package `postgresql`.

use super::owner::Owner;
use super::{Authority, Program, fail, find, free_port, pause};
use std::process::Command;
use tempfile::TempDir;

/// A PostgreSQL server that flushes each commit, with and without TLS on one port of 127.0.0.1 and 127.0.0.2. Its one login
/// may do anything, with a password (SCRAM).
#[derive(Debug)]
pub struct PostgresPeer {
    /// Its port.
    pub port: u16,
    /// The authority of its certificate, which is for 127.0.0.1 and localhost.
    pub authority: Authority,
    settings: Vec<String>,
    program: Option<Program>,
    folder: TempDir,
}

const PACKAGE: &str = "postgresql";
const PLACES: [&str; 4] = [
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/18/bin",
];

impl PostgresPeer {
    /// The password of its login, to be found where it does not belong.
    pub const PASSWORD: &str = "canary-password-of-postgresql";

    /// Makes and starts one; `settings` as in its configuration file, and win.
    pub fn start(settings: &[&str]) -> PostgresPeer {
        let made = TempDir::new().and_then(|folder| {
            std::fs::write(folder.path().join("password"), Self::PASSWORD)?;
            Ok(folder)
        });
        let folder = made.unwrap_or_else(|error| fail(&format!("no folder: {error}")));
        let authority = Authority::make(folder.path());
        let owner = owner();
        owner.take(folder.path());
        let files = [&folder.path().join("password"), &authority.certificate, &authority.key];
        files.iter().for_each(|file| owner.take(file));
        let made = owner
            .command(&find("initdb", &PLACES, PACKAGE))
            .args(["-U", "aumbry", "-A", "scram-sha-256", "-N", "-E", "UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", folder.path().join("password").display()))
            .arg(folder.path().join("data"))
            .output();
        match made {
            Ok(made) if made.status.success() => {}
            Ok(made) => fail(&String::from_utf8_lossy(&made.stderr)),
            Err(error) => fail(&format!("initdb: {error}")),
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut peer = PostgresPeer { port: free_port(), authority, settings, program: None, folder };
        peer.start_again();
        peer
    }

    /// Starts it again over what it left.
    pub fn start_again(&mut self) {
        for _ in 0..20 {
            let mut program = self.run();
            while !program.ended() {
                if self.try_sql("postgres", "SELECT 1").is_ok() {
                    self.program = Some(program);
                    return;
                }
                pause(50);
            }
            // What its processes shared is there for a moment after a kill.
            pause(200);
        }
        fail("PostgreSQL does not start")
    }

    fn run(&self) -> Program {
        let mut command = owner().command(&find("postgres", &PLACES, PACKAGE));
        command.arg("-D").arg(self.folder.path().join("data")).args(["-p", &self.port.to_string()]);
        let own = [
            "listen_addresses=127.0.0.1,127.0.0.2".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=200".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", self.authority.certificate.display()),
            format!("ssl_key_file={}", self.authority.key.display()),
        ];
        for setting in own.iter().chain(&self.settings) {
            command.args(["-c", setting]);
        }
        Program::start(command, PACKAGE)
    }

    /// Kills it with all its processes, as a machine does that stops.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.program = None;
    }

    /// Sends a signal, such as `STOP` or `CONT`, to all its processes.
    pub fn signal(&self, name: &str) {
        if let Some(program) = &self.program {
            program.signal_all(name);
        }
    }

    /// Makes a database; its connection string.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// The connection string of a database.
    pub fn url(&self, database: &str) -> String {
        self.url_by(self.port, database)
    }

    /// The same by way of another port, as that of a proxy.
    pub fn url_by(&self, port: u16, database: &str) -> String {
        format!("postgresql://aumbry:{}@127.0.0.1:{port}/{database}", Self::PASSWORD)
    }

    /// What `psql` answers: rows by line, columns by `|`. An error fails the test.
    pub fn sql(&self, database: &str, text: &str) -> String {
        self.try_sql(database, text).unwrap_or_else(|error| fail(&error))
    }

    fn try_sql(&self, database: &str, text: &str) -> Result<String, String> {
        let asked = Command::new(find("psql", &PLACES, PACKAGE))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "aumbry"])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", text])
            .env("PGPASSWORD", Self::PASSWORD)
            .env("PGCONNECT_TIMEOUT", "5")
            .output();
        let asked = asked.map_err(|error| format!("psql: {error}"))?;
        match asked.status.success() {
            true => Ok(String::from_utf8_lossy(&asked.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&asked.stderr).into_owned()),
        }
    }
}

impl Drop for PostgresPeer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn owner() -> Owner {
    Owner::named("postgres", PACKAGE)
}
