//! `aumbry policy who|test|diff|actions`: what policies say, and what they would.

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::Timestamp;
use api::policy::{DiffPolicies, Explain, Explained, PolicyDifference, TestPolicies, ThoseWhoMay, WhoMay};
use clap::Args;
use client::{Client, Error};
use serde::{Deserialize, Serialize};

use crate::output::Output;
use crate::{escape, exit, fault, input};

/// What, to what
#[derive(Debug, Args)]
pub(crate) struct WhoQuestion {
    /// The act, such as `secret.read`
    action: String,
    /// A secret's path, a folder with `/` at its end, the name of a policy or principal; nothing for a part of the server
    resource: Option<String>,
    /// As if it said which version it replaces
    #[arg(long)]
    cas: bool,
}

impl WhoQuestion {
    /// Lists those who may.
    pub(crate) async fn ask(self, client: &Client, output: Output) -> Result<(), Error> {
        let found =
            client.policies().who(&WhoMay { action: self.action, resource: self.resource, cas: self.cas }).await?;
        output.rows(&found, &["principal", "permitted by"], |found: &ThoseWhoMay| {
            found.principals.iter().map(|who| vec![who.principal.clone(), who.rules.join(" ")]).collect()
        })
    }
}

/// Policies that would be written or removed
#[derive(Debug, Args)]
pub(crate) struct Changes {
    /// Policy that would be written, and the file with its Cedar text; may be given several times
    #[arg(long, value_name = "NAME=FILE")]
    put: Vec<String>,
    /// Policy that would be removed; may be given several times
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
}

impl Changes {
    fn texts(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut texts = BTreeMap::new();
        for pair in &self.put {
            let wrong =
                || fault::invalid("`--put` wants NAME=FILE", "write for example --put web-reads=web-reads.cedar");
            let (name, file) = pair.split_once('=').ok_or_else(wrong)?;
            texts.insert(name.to_owned(), super::text(Some(PathBuf::from(file)))?);
        }
        Ok(texts)
    }

    /// Says whose access would be another.
    pub(crate) async fn compare(self, client: &Client, output: Output) -> fault::Outcome {
        if self.put.is_empty() && self.remove.is_empty() {
            return Err(fault::invalid("nothing would change", "name a change: --put NAME=FILE, --remove NAME"));
        }
        let message = DiffPolicies { put: self.texts()?, remove: self.remove };
        let found = client.policies().diff(&message).await?;
        output.rows(&found, &["", "principal", "action", "on", "by"], |found: &PolicyDifference| {
            let sign = |allowed| if allowed { "+" } else { "-" }.to_owned();
            let row = |one: &api::policy::AlteredAccess| {
                let by = one.rules.join(" ");
                vec![sign(one.allowed), one.principal.clone(), one.action.clone(), one.resource.clone(), by]
            };
            found.altered.iter().map(row).collect()
        })?;
        if !output.json {
            let PolicyDifference { altered, principals, probes, conditional } = &found;
            let told =
                format!("{} altered, of {principals} principals asked about {probes} things each", altered.len());
            crate::output::note(&told);
            if !conditional.is_empty() {
                let rules = conditional.join(", ");
                crate::output::note(&escape::text(&format!(
                    "conditions were judged for one case only, so more may change by: {rules}; ask about what matters with \
                     `aumbry policy test`"
                )));
            }
        }
        let same = found.altered.is_empty() && found.conditional.is_empty();
        Ok(if same { exit::OK } else { exit::DIFFERENT })
    }
}

/// A file of expectations
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// TOML: tables `[[case]]` with `principal`, `action`, `resource`, `expect = "yes"` or `"no"`, and circumstances if need be
    file: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[serde(default)]
    case: Vec<Case>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    principal: String,
    action: String,
    resource: Option<String>,
    expect: Expected,
    source_ip: Option<String>,
    at: Option<String>,
    tls: Option<bool>,
    #[serde(default)]
    cas: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Yes,
    No,
}

/// How the cases went.
#[derive(Debug, Serialize)]
struct Went {
    cases: usize,
    differ: Vec<Differs>,
}

#[derive(Debug, Serialize)]
struct Differs {
    case: usize,
    question: String,
    answer: Explained,
}

impl Test {
    /// Asks everything at once and says what differs.
    pub(crate) async fn run(self, client: &Client, output: Output) -> fault::Outcome {
        let cases = read(&self.file)?;
        let questions = cases.iter().cloned().map(question).collect();
        let message = TestPolicies { put: self.changes.texts()?, remove: self.changes.remove, questions };
        let told = client.policies().test(&message).await?;
        let mut went = Went { cases: cases.len(), differ: Vec::new() };
        for (number, (case, answer)) in cases.iter().zip(told.answers).enumerate() {
            if answer.allowed != (case.expect == Expected::Yes) {
                let question = format!("{} {} {}", case.principal, case.action, case.resource.as_deref().unwrap_or(""));
                let (case, question) = (number.saturating_add(1), question.trim_end().to_owned());
                went.differ.push(Differs { case, question, answer });
            }
        }
        output.answer(&went, |went| {
            let mut lines: Vec<String> = went.differ.iter().map(line).collect();
            lines.push(format!("{} of {} cases as expected", went.cases.saturating_sub(went.differ.len()), went.cases));
            lines.join("\n")
        })?;
        Ok(if went.differ.is_empty() { exit::OK } else { exit::DIFFERENT })
    }
}

fn line(one: &Differs) -> String {
    let verdict = if one.answer.allowed { "yes" } else { "no" };
    let told = format!("case {}: {}: {verdict}, {}", one.case, one.question, super::because(&one.answer));
    escape::text(&told).into_owned()
}

fn read(file: &std::path::Path) -> Result<Vec<Case>, Error> {
    let hint = "write tables [[case]] with principal, action, resource and expect = \"yes\" or \"no\"";
    let bytes = input::file(file, CASES_BYTES_MAX)?;
    let text = bytes.into_text().map_err(|_| fault::invalid("the cases are not UTF-8 text", hint))?;
    let cases: Cases = toml::from_str(text.expose())
        .map_err(|error| fault::invalid(format!("{}: {}", file.display(), error.message()), hint))?;
    if cases.case.is_empty() {
        return Err(fault::invalid("there is no case", hint));
    }
    Ok(cases.case)
}

fn question(case: Case) -> Explain {
    Explain {
        principal: case.principal,
        action: case.action,
        resource: case.resource,
        source_ip: case.source_ip,
        at: case.at.map(Timestamp),
        tls: case.tls,
        cas: case.cas,
    }
}

/// Lists every action with its group.
pub(crate) fn actions(output: Output) -> Result<(), Error> {
    let all = server::actions();
    output.rows(&all, &["action", "group"], |all| {
        all.iter().map(|(action, group)| vec![(*action).to_owned(), (*group).to_owned()]).collect()
    })
}

const CASES_BYTES_MAX: usize = 1024 * 1024;
