//! The `aumbry` binary: the command line, and the server behind `aumbry serve`.

mod allocator;
mod args;
mod connect;
mod escape;
mod exit;
mod export;
mod fault;
mod field;
mod import_file;
mod inject;
mod input;
mod login_file;
mod output;
mod pages;
mod pins;
mod private;
mod shares;
mod verb;

use std::process::ExitCode;

use api::Class;
use clap::Parser as _;
use clap::error::ErrorKind;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

fn main() -> ExitCode {
    // The place alone: what a panic says may hold a value.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        output::note(&format!("error: a fault of this program at {place} (cli.bug)"));
    }));
    ExitCode::from(guarded(|| match args::Aumbry::try_parse() {
        Ok(parsed) => start(parsed),
        Err(error) => usage(&error),
    }))
}

/// Runs to an exit code, whatever happens: a panic ends in 10.
fn guarded(run: impl FnOnce() -> u8 + std::panic::UnwindSafe) -> u8 {
    std::panic::catch_unwind(run).unwrap_or_else(|_| exit::code(Class::Bug))
}

fn start(parsed: args::Aumbry) -> u8 {
    let args::Aumbry { global, command } = parsed;
    // The only other provider in the process would be one we installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(command.run(&global)),
        Err(error) => Err(fault::local("this process cannot start", &error)),
    };
    outcome.unwrap_or_else(|error| {
        fault::show(&error, global.json);
        exit::code(error.class)
    })
}

/// Shows help, or what is wrong with the command line. What was typed is not repeated where it may be a value.
fn usage(error: &clap::Error) -> u8 {
    let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let words: Vec<_> = std::env::args_os().skip(1).take_while(|word| word != "--").collect();
    let as_json = words.iter().any(|word| word == "--json");
    let unknown = error.kind() == ErrorKind::UnknownArgument;
    if unknown && words.iter().any(|word| word == "put") {
        let hint = "quote a value with blanks, or give it on standard input; `aumbry put --help` shows the options";
        fault::show(&fault::invalid("`put` got an argument it does not know, not shown here", hint), as_json);
    } else if unknown && words.iter().any(|word| word == "operator") {
        let hint =
            "a share is asked for, read from standard input or from --share-file; an argument can be seen by others";
        fault::show(&fault::invalid("`operator` got an argument it does not know, not shown here", hint), as_json);
    } else if as_json && !shown {
        fault::show(&usage_problem(error), true);
    } else if error.print().is_err() {
        return exit::code(Class::Unavailable);
    }
    match (shown, words.iter().any(|word| word == "run")) {
        (true, _) => exit::OK,
        (false, true) => exit::RUN_FAILED,
        (false, false) => exit::code(Class::Invalid),
    }
}

/// All that the text for people says: what is wrong, and as the hint what clap suggests and how it is used.
fn usage_problem(error: &clap::Error) -> client::Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return fault::invalid("the command is not whole", "add --help to it to see what there is");
    }
    let text = error.render().to_string();
    let (mut detail, mut hint) = (Vec::new(), Vec::new());
    for part in text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")) {
        match part.split_once(' ') {
            Some(("error:", what)) => detail.push(what.to_owned()),
            Some(("tip:" | "Usage:", _)) => hint.push(part),
            _ if part.starts_with("For more information") => {}
            _ => detail.push(part),
        }
    }
    fault::invalid(detail.join(" "), &hint.join("; "))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn cli_03_a_panic_ends_in_the_code_for_bugs() {
        assert_eq!(super::guarded(|| panic!("canary")), 10);
        assert_eq!(super::guarded(|| 3), 3);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        super::args::Aumbry::command().debug_assert();
    }
}
