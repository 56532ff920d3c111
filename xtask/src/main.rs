//! Project tasks: `cargo xtask <task>`. Each task is one file beside this one.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what a project task writes to")]
#![expect(clippy::disallowed_methods, reason = "a project task reads the environment and measures wall time itself")]

mod bench;
mod layers;
mod licences;
mod nightly;
mod openapi;
mod shell;
mod test;
mod tidy;
mod tree;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <task>

  test [FILTER…]      build and run every test of the workspace, documentation examples included
  tidy                file rules: lengths, words, manifests, security cases, deployment files, links
  layers              check crate dependencies against xtask/layers.toml, licences and sources against deny.toml
  openapi [--write]   compare docs/openapi.json with what the binary prints, or write it
  bench [FLAGS…]      measure against a bare handler; `cargo xtask bench --help`
  nightly             feature matrix, long simulations, release checks, licences
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match task.as_str() {
        "test" => test::run(&rest),
        "tidy" => tidy::run(),
        "layers" => layers::run(),
        "openapi" => openapi::run(&rest),
        "bench" => bench::run(&rest),
        "nightly" => nightly::run(),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("no task `{other}`\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask {task}: {why}");
            ExitCode::FAILURE
        }
    }
}
