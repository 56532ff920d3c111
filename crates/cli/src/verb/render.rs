//! `aumbry render`: fills a template with secrets, to standard output or a private file.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use client::{Error, Reference};
use crypto::secret::SecretBytes;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use tokio::runtime::Handle;

use crate::connect::Global;
use crate::inject::fetch;
use crate::{exit, fault, input, output, private};

/// Fill a template with secrets
#[derive(Debug, Args)]
#[command(after_help = "In the template {{ secret(\"db/password\") }} is the value of a secret, and \
                        {{ secret(\"db\", field=\"user\", version=3) }} one field of one version.")]
pub(crate) struct Render {
    /// The template; `-` for standard input
    template: PathBuf,
    /// Write to this file, with mode 0600; the old one stays when anything fails
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Resolve references in the values of secrets too
    #[arg(long)]
    resolve: bool,
}

/// What was written, for scripts.
#[derive(Debug, Serialize)]
struct Written {
    file: String,
    bytes: usize,
}

impl Render {
    /// Renders the whole, then prints or writes it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        if global.json && self.out.is_none() {
            let hint = "leave --json out, or add --out FILE; `aumbry --json get PATH` gives a value as JSON";
            return Err(fault::invalid("what is rendered is no JSON", hint));
        }
        let text = if self.template.as_os_str() == "-" {
            input::stdin(TEMPLATE_BYTES_MAX)?
        } else {
            input::file(&self.template, TEMPLATE_BYTES_MAX)?
        };
        let text = text.into_text().map_err(|_| fault::invalid("the template is not UTF-8 text", ""))?;
        let (asking, handle, resolve) = (global.clone(), Handle::current(), self.resolve);
        let read = move |reference: &Reference| handle.block_on(read(&asking, reference, resolve));
        let rendered = tokio::task::spawn_blocking(move || render(text.expose(), read));
        let rendered = rendered.await.map_err(|_| fault::invalid("the template could not be rendered", ""))??;
        match &self.out {
            Some(file) => {
                private::write(file, rendered.expose())?;
                let written = Written { file: file.display().to_string(), bytes: rendered.len() };
                global.output().answer(&written, |_| String::new())?;
            }
            None => output::write(rendered.expose())?,
        }
        Ok(exit::OK)
    }
}

async fn read(global: &Global, reference: &Reference, resolve: bool) -> Result<SecretBytes, Error> {
    let mut found = fetch::values(global, [reference], resolve).await?;
    found.remove(reference).ok_or_else(|| fault::invalid("the server left a secret out", "try again"))
}

/// Renders a template whose secrets `read` fetches, each once.
///
/// Errors: the refusal of a secret, or the line and kind of what is wrong in the template; never a value.
fn render(
    template: &str,
    read: impl Fn(&Reference) -> Result<SecretBytes, Error> + Send + Sync + 'static,
) -> Result<SecretBytes, Error> {
    let failure: Arc<Mutex<Option<Error>>> = Arc::default();
    let (told, cache) = (Arc::clone(&failure), Mutex::new(BTreeMap::<Reference, String>::new()));
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_MAX);
    environment
        .set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(|error| in_template(&error))?);
    environment.add_function("secret", move |text: &str, options: Kwargs| -> Result<String, minijinja::Error> {
        let given = reference(text, &options)?;
        let value = given.and_then(|reference| {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = cache.get(&reference) {
                return Ok(value.clone());
            }
            let value = as_text(read(&reference)?, &reference)?;
            cache.insert(reference, value.clone());
            Ok(value)
        });
        value.map_err(|error| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            minijinja::Error::from(ErrorKind::InvalidOperation)
        })
    });
    let mut out = Bounded(Vec::with_capacity(OUTPUT_FIRST_BYTES));
    let result = environment
        .template_from_named_str("template", template)
        .and_then(|template| template.render_captured_to((), &mut out).map(|_| ()));
    let rendered = SecretBytes::new(std::mem::take(&mut out.0));
    match result {
        Ok(()) => Ok(rendered),
        Err(error) => {
            let told = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(told.map_or_else(|| in_template(&error), |told| at_line(told, error.line())))
        }
    }
}

/// Reads the arguments of `secret`; the inner result is a refusal to show.
fn reference(text: &str, options: &Kwargs) -> Result<Result<Reference, Error>, minijinja::Error> {
    let (version, field) = (options.get::<Option<u64>>("version")?, options.get::<Option<String>>("field")?);
    options.assert_all_used()?;
    Ok(client::reference(text).map(|mut reference| {
        reference.version = version.or(reference.version);
        reference.field = field.or(reference.field);
        reference
    }))
}

fn as_text(value: SecretBytes, reference: &Reference) -> Result<String, Error> {
    let text = value.into_text();
    let text =
        text.map_err(|_| fault::invalid(format!("`{}` is not UTF-8 text", reference.path), "use `aumbry get --out`"))?;
    Ok(text.expose().to_owned())
}

/// What is wrong in a template: line and kind only, since the rest may repeat a value.
fn in_template(error: &minijinja::Error) -> Error {
    let detail = format!("the template cannot be rendered: {}", error.kind());
    at_line(fault::invalid(detail, "correct the template; nothing was written"), error.line())
}

fn at_line(mut error: Error, line: Option<usize>) -> Error {
    if let Some(line) = line {
        error.detail = format!("line {line}: {}", error.detail).into();
    }
    error
}

/// Collects output up to a bound; what is outgrown is wiped.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = self.0.len().saturating_add(bytes.len());
        if wanted > OUTPUT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if wanted > self.0.capacity() {
            let mut larger = Vec::with_capacity(wanted.saturating_mul(2));
            larger.extend_from_slice(&self.0);
            drop(SecretBytes::new(std::mem::replace(&mut self.0, larger)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const TEMPLATE_BYTES_MAX: usize = 1024 * 1024;
const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
const OUTPUT_FIRST_BYTES: usize = 16 * 1024;
/// Steps a template may take.
const FUEL: u64 = 1_000_000;
const RECURSION_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(reference: &Reference) -> Result<SecretBytes, Error> {
        match reference.path.as_str() {
            "none" => Err(fault::invalid("`none` is not there", "")),
            "binary" => Ok(SecretBytes::from_slice(b"canary\xff")),
            path => Ok(SecretBytes::from_slice(format!("canary<{path}>").as_bytes())),
        }
    }

    fn check(template: &str, wanted: &str) {
        let rendered = render(template, canary).unwrap();
        assert_eq!(std::str::from_utf8(rendered.expose()).unwrap(), wanted, "{template}");
    }

    #[test]
    fn secrets_stand_where_the_template_asks_for_them() {
        check("p={{ secret(\"db/password\") }}\n", "p=canary<db/password>\n");
        check("{% for n in [\"a\", \"b\"] %}{{ secret(n) }};{% endfor %}", "canary<a>;canary<b>;");
        check("{{ secret(\"aumbry:///a\") | upper }}", "CANARY<A>");
    }

    #[test]
    fn leak_07_a_template_that_fails_after_fetching_shows_no_value() {
        for template in [
            "{{ secret(\"a\") }}{{ secret(\"none\") }}",
            "{{ secret(\"a\") | int }}",
            "{{ secret(\"a\") | no_such_filter }}",
            "{{ secret(\"a\").field.deeper }}",
            "{{ secret(\"a\") + 1 }}",
            "{{ secret(secret(\"a\") ~ \"/../x\") }}",
            "{{ secret(\"a\", version=secret(\"a\")) }}",
            "{% include secret(\"a\") %}",
            "{{ secret(\"a\") }}{{ missing }}",
            "{{ secret(\"binary\") }}",
            "{{ [secret(\"a\")] | join(1, 2, 3) }}",
            "{{ secret(\"a\")() }}",
        ] {
            let refused = render(template, canary).unwrap_err();
            assert!(!format!("{refused:?} {refused}").contains("canary"), "{template}: {refused:?}");
        }
    }

    #[test]
    fn leak_15_the_check_for_values_in_errors_can_fail() {
        let leaking = |reference: &Reference| Err(fault::invalid(format!("canary {}", reference.path), ""));
        let refused = render("{{ secret(\"a\") }}", leaking).unwrap_err();
        assert!(format!("{refused:?} {refused}").contains("canary"), "the control must be caught");
    }

    #[test]
    fn a_template_cannot_run_for_ever_nor_fill_memory_nor_read_files() {
        for template in [
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "{% include \"/etc/hostname\" %}",
            "{% import \"/etc/hostname\" as x %}",
            "{% for a in range(99999) %}{{ \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" * 10 }}{% endfor %}",
        ] {
            assert!(render(template, canary).is_err(), "{template}");
        }
    }

    #[test]
    fn a_secret_is_fetched_once() {
        let count = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&count);
        let read = move |reference: &Reference| {
            *counted.lock().unwrap() += 1;
            canary(reference)
        };
        render("{{ secret(\"a\") }}{{ secret(\"a\") }}{{ secret(\"b\") }}", read).unwrap();
        assert_eq!(*count.lock().unwrap(), 2);
    }
}
