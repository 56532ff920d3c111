//! Running other programs.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::tree::root;

/// What every task ends with; the text says what to mend.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// What a finished program left behind.
pub(crate) struct Finished {
    /// Exit code 0.
    pub(crate) ok: bool,
    /// All of standard output.
    pub(crate) out: String,
    /// All of standard error.
    pub(crate) err: String,
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a program with the terminal attached; an error unless it ends with 0.
pub(crate) fn must<S: AsRef<OsStr>>(mut command: Command, args: &[S]) -> Outcome {
    command.args(args);
    let shown = show(&command);
    eprintln!("+ {shown}");
    let status = command.status().map_err(|e| format!("`{shown}` did not start: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})")) }
}

/// Runs a program and keeps what it prints.
pub(crate) fn take<S: AsRef<OsStr>>(mut command: Command, args: &[S]) -> Outcome<Finished> {
    command.args(args).stdin(Stdio::null());
    let shown = show(&command);
    let done = command.output().map_err(|e| format!("`{shown}` did not start: {e}"))?;
    Ok(Finished {
        ok: done.status.success(),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}

/// Whether a program starts at all with these arguments and ends with 0.
pub(crate) fn present(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

fn show(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    if let Some(name) = text.rsplit('/').next().map(str::to_owned) {
        text = name;
    }
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}
