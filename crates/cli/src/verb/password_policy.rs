//! `aumbry password-policy`: named rules that passwords are made by.

use api::password_policy::{PasswordPolicy as Item, PasswordPolicyList, PasswordRules};
use api::secret::{AtLeast, Characters};
use clap::{Args, Subcommand, ValueEnum};

use crate::connect::Global;
use crate::{exit, fault, pages};

/// Named rules that passwords are made by
#[derive(Debug, Subcommand)]
pub(crate) enum PasswordPolicy {
    /// Write a password policy; `aumbry generate PATH --policy NAME` makes passwords by it
    Put {
        /// Name of the policy
        name: String,
        #[command(flatten)]
        rules: Rules,
    },
    /// Show a password policy
    Show {
        /// Name of the policy
        name: String,
    },
    /// List the password policies
    List,
    /// Remove a password policy; values made by it stay
    Delete {
        /// Name of the policy
        name: String,
    },
}

/// Which passwords may come out.
#[derive(Debug, Args)]
pub(crate) struct Rules {
    /// Characters of a password, random bytes of hex, base64 and bytes [default: 32]
    #[arg(long, value_name = "COUNT")]
    length: Option<usize>,
    /// Sets of characters of a password, separated by commas [default: lower,upper,digits]
    #[arg(long, value_enum, value_delimiter = ',')]
    characters: Vec<Set>,
    /// How many characters of a set a password has at least, such as digits=2; may be given several times
    #[arg(long, value_name = "SET=COUNT")]
    at_least: Vec<String>,
    /// Symbols of a password in place of the usual ones
    #[arg(long, value_name = "CHARACTERS")]
    symbols: Option<String>,
    /// Characters that do not come in a password
    #[arg(long, value_name = "CHARACTERS")]
    exclude: Option<String>,
    /// Leave out characters that look alike: 0 O 1 l I |
    #[arg(long)]
    unambiguous: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    Lower,
    Upper,
    Digits,
    Symbols,
}

impl PasswordPolicy {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        let calls = client.password_policies();
        match self {
            Self::Put { name, rules } => {
                let changed = calls.put(&name, &rules.message()?).await?;
                output.answer(&changed, |changed| format!("{} is in force", changed.policy.name))?;
            }
            Self::Show { name } => output.rows(&calls.read(&name).await?, HEAD, |found| vec![row(found)])?,
            Self::List => {
                let items = pages::all(async |cursor| {
                    let page = calls.list(&pages::query(cursor)).await?;
                    Ok((page.items, page.next_cursor))
                });
                let mut all = PasswordPolicyList { items: items.await?, next_cursor: None };
                all.items.sort_by(|a, b| a.name.cmp(&b.name));
                output.rows(&all, HEAD, |all| all.items.iter().map(row).collect())?;
            }
            Self::Delete { name } => {
                let removed = calls.remove(&name).await?;
                output.answer(&removed, |removed| format!("{} is gone", removed.name))?;
            }
        }
        Ok(exit::OK)
    }
}

const HEAD: &[&str] = &["name", "length", "at least", "symbols", "excluded", "changed"];

fn row(found: &Item) -> Vec<String> {
    let PasswordRules { length, at_least, symbols, exclude, .. } = &found.rules;
    let least = at_least.unwrap_or_default();
    let named = [("lower", least.lower), ("upper", least.upper), ("digits", least.digits), ("symbols", least.symbols)];
    let named = named.into_iter().filter_map(|(set, count)| count.map(|count| format!("{set}={count}")));
    vec![
        found.name.clone(),
        length.map(|length| length.to_string()).unwrap_or_default(),
        named.collect::<Vec<_>>().join(","),
        symbols.clone().unwrap_or_default(),
        exclude.clone().unwrap_or_default(),
        found.updated_at.to_string(),
    ]
}

impl Rules {
    /// As they are sent.
    pub(crate) fn message(self) -> Result<PasswordRules, client::Error> {
        let set = |set| match set {
            Set::Lower => Characters::Lower,
            Set::Upper => Characters::Upper,
            Set::Digits => Characters::Digits,
            Set::Symbols => Characters::Symbols,
        };
        Ok(PasswordRules {
            length: self.length,
            characters: (!self.characters.is_empty()).then(|| self.characters.into_iter().map(set).collect()),
            at_least: at_least(&self.at_least)?,
            symbols: self.symbols,
            exclude: match self.unambiguous {
                true => Some(self.exclude.unwrap_or_default() + ALIKE),
                false => self.exclude,
            },
        })
    }
}

/// Characters that look alike.
const ALIKE: &str = "0O1lI|";

fn at_least(rules: &[String]) -> Result<Option<AtLeast>, client::Error> {
    let mut all = AtLeast::default();
    for rule in rules {
        let wrong = || fault::invalid(format!("`{rule}` is not SET=COUNT"), "write --at-least digits=2, each set once");
        let (set, count) = rule.split_once('=').ok_or_else(wrong)?;
        let count = count.parse().map_err(|_| wrong())?;
        let place = match set {
            "lower" => &mut all.lower,
            "upper" => &mut all.upper,
            "digits" => &mut all.digits,
            "symbols" => &mut all.symbols,
            _ => return Err(wrong()),
        };
        if place.replace(count).is_some() {
            return Err(wrong());
        }
    }
    Ok((!rules.is_empty()).then_some(all))
}
