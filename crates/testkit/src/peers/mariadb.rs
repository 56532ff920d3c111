//! MariaDB, from the package `mariadb-server`.

use super::owner::Owner;
use super::{Authority, Program, fail, find, free_port, pause};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A MariaDB server that flushes each commit, with and without TLS on one port of 127.0.0.1 and 127.0.0.2. Its login
/// `aumbry` may do anything, with a password.
#[derive(Debug)]
pub struct MariaDbPeer {
    /// Its port.
    pub port: u16,
    /// The authority of its certificate, which is for 127.0.0.1 and localhost.
    pub authority: Authority,
    settings: Vec<String>,
    program: Option<Program>,
    folder: TempDir,
}

const PACKAGE: &str = "mariadb-server";
const PLACES: [&str; 2] = ["/usr/sbin", "/usr/bin"];

impl MariaDbPeer {
    /// The password of its login, to be found where it does not belong.
    pub const PASSWORD: &str = "canary-password-of-mariadb";

    /// Makes and starts one; `settings` as on its command line, and win.
    pub fn start(settings: &[&str]) -> MariaDbPeer {
        let folder = TempDir::new().unwrap_or_else(|error| fail(&format!("no folder: {error}")));
        let authority = Authority::make(folder.path());
        owner().take(folder.path());
        [&authority.authority, &authority.certificate, &authority.key].iter().for_each(|file| owner().take(file));
        let made = owner()
            .command(&find("mariadb-install-db", &PLACES, PACKAGE))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            .output();
        match made {
            Ok(made) if made.status.success() => {}
            Ok(made) => fail(&String::from_utf8_lossy(&made.stderr)),
            Err(error) => fail(&format!("mariadb-install-db: {error}")),
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut peer = MariaDbPeer { port: free_port(), authority, settings, program: None, folder };
        peer.start_again();
        let login = format!(
            "CREATE USER aumbry@'%' IDENTIFIED BY '{}'; GRANT ALL ON *.* TO aumbry@'%'; \
             REVOKE READ_ONLY ADMIN ON *.* FROM aumbry@'%'",
            Self::PASSWORD
        );
        peer.sql("mysql", &login);
        peer
    }

    /// Starts it again over what it left.
    pub fn start_again(&mut self) {
        for _ in 0..20 {
            let mut program = self.run();
            while !program.ended() {
                if self.try_sql("mysql", "SELECT 1").is_ok() {
                    self.program = Some(program);
                    return;
                }
                pause(50);
            }
            pause(200);
        }
        fail("MariaDB does not start")
    }

    fn run(&self) -> Program {
        let mut command = owner().command(&find("mariadbd", &PLACES, PACKAGE));
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1,127.0.0.2", "--skip-name-resolve"])
            .arg(format!("--datadir={}", self.folder.path().join("data").display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--ssl-ca={}", self.authority.authority.display()))
            .arg(format!("--ssl-cert={}", self.authority.certificate.display()))
            .arg(format!("--ssl-key={}", self.authority.key.display()))
            .args(&self.settings);
        Program::start(command, PACKAGE)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.program = None;
    }

    /// Sends a signal, such as `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        if let Some(program) = &self.program {
            program.signal_all(name);
        }
    }

    /// Makes a database; its connection string.
    pub fn database(&self, name: &str) -> String {
        self.sql("mysql", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// The connection string of a database.
    pub fn url(&self, database: &str) -> String {
        self.url_by(self.port, database)
    }

    /// The same by way of another port, as that of a proxy.
    pub fn url_by(&self, port: u16, database: &str) -> String {
        format!("mysql://aumbry:{}@127.0.0.1:{port}/{database}", Self::PASSWORD)
    }

    /// What the server answers to its root: rows by line, columns by tabs. An error fails the test.
    pub fn sql(&self, database: &str, text: &str) -> String {
        self.try_sql(database, text).unwrap_or_else(|error| fail(&error))
    }

    fn try_sql(&self, database: &str, text: &str) -> Result<String, String> {
        let asked = Command::new(find("mariadb", &PLACES, PACKAGE))
            .args(["--no-defaults", "-N", "-B", "-u", "root", "-D", database, "-e", text])
            .arg(format!("--socket={}", self.socket().display()))
            .output();
        let asked = asked.map_err(|error| format!("mariadb: {error}"))?;
        match asked.status.success() {
            true => Ok(String::from_utf8_lossy(&asked.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&asked.stderr).into_owned()),
        }
    }
}

impl Drop for MariaDbPeer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn owner() -> Owner {
    Owner::named("mysql", PACKAGE)
}
