//! From text to a valid policy, or a refusal that says where and what to do.

use super::schema::{Types, types};
use super::shape;
use super::statement::Statement;
use crate::name::{OWNER, PasswordPolicyName, PolicyName, PrincipalName, Role};
use crate::policy::scope::{PrincipalScope, ResourceScope};
use crate::resource::ResourceKind;
use crate::{Action, limits};
use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet, ValidationMode, ValidationWarning};
use crypto::id::EntityId;
use ledger::code::{self, Refusal};
use ledger::{Path, Prefix};
use miette::Diagnostic;
use std::str::FromStr;
use std::sync::Arc;

/// Most characters of a Cedar message or of the text itself in a refusal.
const ECHO_MAX: usize = 120;

/// A named policy that Cedar parses, that the schema allows, and of which every name it mentions is canonical.
///
/// One or several statements. No templates. Conditions look only at what principal, action, resource and
/// context themselves hold, so that they can hardly fail when evaluated.
#[derive(Debug)]
pub struct ValidPolicy {
    name: PolicyName,
    text: Arc<str>,
    statements: Vec<Arc<Statement>>,
}

/// Whether a text's types were checked before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Typing {
    Unknown,
    Known,
}

impl ValidPolicy {
    /// Checks a policy's text.
    ///
    /// Errors: `policy.invalid` with the line and what to do; the text is quoted clipped, never whole.
    /// Linear in the text but for conditions, whose size is bounded.
    pub fn parse(name: PolicyName, text: &str) -> Result<ValidPolicy, Refusal> {
        shape::check(text).map_err(|bad| invalid(bad.line, &bad.why))?;
        // Cedar's checker recurses with large frames; a worker's own stack may be nearly used up.
        stacker::grow(limits::POLICY_STACK_BYTES, || ValidPolicy::within_bounds(name, text, Typing::Unknown))
    }

    /// Takes a text that [`ValidPolicy::parse`] took when it was written, against this schema, and that was sealed since.
    /// Its types, by far the dearest part, are not checked again; all else is, and must hold.
    ///
    /// Errors: `policy.invalid`.
    pub(crate) fn checked_before(name: PolicyName, text: &str) -> Result<ValidPolicy, Refusal> {
        shape::check(text).map_err(|bad| invalid(bad.line, &bad.why))?;
        stacker::grow(limits::POLICY_STACK_BYTES, || ValidPolicy::within_bounds(name, text, Typing::Known))
    }

    fn within_bounds(name: PolicyName, text: &str, typing: Typing) -> Result<ValidPolicy, Refusal> {
        let types = types().ok_or_else(|| Refusal::new(&code::BUG, "the policy schema does not parse"))?;
        let parsed = PolicySet::from_str(text).map_err(|errors| {
            let why = errors.iter().next().map_or_else(|| errors.to_string(), ToString::to_string);
            let at = errors.iter().next().and_then(line_of(text)).unwrap_or(1);
            invalid(at, &clip(&why))
        })?;
        if let Some(template) = parsed.templates().next() {
            let why = "templates (`?principal`, `?resource`) are not taken; write the names themselves";
            return Err(invalid(number_of(template.id()), why));
        }
        let mut policies: Vec<&Policy> = parsed.policies().collect();
        policies.sort_by_key(|policy| number_of(policy.id()));
        if policies.is_empty() {
            return Err(invalid(
                1,
                "there is no statement; write `permit (principal, action, resource);` or remove it",
            ));
        }
        if policies.len() > limits::POLICY_STATEMENTS_MAX {
            return Err(invalid(1, "there are too many statements under one name"));
        }
        if typing == Typing::Unknown {
            validate(types, &parsed, text)?;
        }
        let several = policies.len() > 1;
        let mut statements = Vec::with_capacity(policies.len());
        for (index, policy) in policies.into_iter().enumerate() {
            let number = index.saturating_add(1);
            check_names(policy).map_err(|why| in_statement(number, &why))?;
            let rule = if several { format!("{name}#{number}") } else { name.to_string() };
            let statement = Statement::new(rule.into(), policy)
                .ok_or_else(|| in_statement(number, "the condition is of a form that is not taken"))?;
            if locks_out(&statement) && !name.is_built_in() {
                let why = "forbids everybody, the owner included, to mend policies; name the acts or the folder";
                return Err(in_statement(number, why));
            }
            statements.push(Arc::new(statement));
        }
        Ok(ValidPolicy { name, text: text.into(), statements })
    }

    /// Its name.
    pub fn name(&self) -> &PolicyName {
        &self.name
    }

    /// Its text as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many statements it has.
    pub fn statements_count(&self) -> usize {
        self.statements.len()
    }

    pub(crate) fn statements(&self) -> &[Arc<Statement>] {
        &self.statements
    }
}

/// Strict typing, at most one step from the request's own entities, and no statement that can never apply:
/// a forbid that never applies looks like protection.
fn validate(types: &Types, parsed: &PolicySet, text: &str) -> Result<(), Refusal> {
    let result = types.validator.validate_with_level(parsed, ValidationMode::Strict, 1);
    if let Some(error) = result.validation_errors().next() {
        let at = line_of(text)(error).unwrap_or(1);
        return Err(invalid(at, &clip(&without_id(&error.to_string(), error.policy_id()))));
    }
    for warning in result.validation_warnings() {
        let why = match warning {
            ValidationWarning::ImpossiblePolicy(_) => "the condition can never be true",
            ValidationWarning::InvalidActionApplication(_) => {
                "no act fits this principal and resource; `aumbry policy actions` lists the acts"
            }
            ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
                "there are characters that reverse the direction of text"
            }
            ValidationWarning::MixedScriptIdentifier(_) | ValidationWarning::ConfusableIdentifier(_) => {
                "a name mixes scripts, looks like another or holds control characters"
            }
            _ => continue,
        };
        return Err(invalid(line_of(text)(warning).unwrap_or(1), why));
    }
    Ok(())
}

/// Refuses names that no request can ever carry, such as `Path::"team1/"`: a rule about them is silently idle.
fn check_names(policy: &Policy) -> Result<(), String> {
    policy.entity_literals().iter().try_for_each(check_name)
}

fn check_name(uid: &EntityUid) -> Result<(), String> {
    let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped());
    let quoted = clip(&format!("{kind}::\"{id}\""));
    let fault = |why: &str| Err(format!("`{quoted}` {why}"));
    match (kind.as_str(), ResourceKind::named(&kind)) {
        (_, Some(ResourceKind::Secret | ResourceKind::Folder))
            if id.contains('*') || id.split('/').any(|s| s == "+") =>
        {
            fault("has a wildcard, and names are literal; `resource in Path::\"team1\"` means all below it")
        }
        (_, Some(ResourceKind::Secret)) if Path::parse(id).is_err() => {
            fault("is not a canonical path; write it without a slash at either end")
        }
        (_, Some(ResourceKind::Folder)) if id.ends_with('/') || Prefix::parse(id).is_err() => fault(
            "is not a canonical folder; write `Path::\"team1/app1\"` without a slash at either end, `Path::\"\"` for the top",
        ),
        (_, Some(ResourceKind::PrincipalRecord)) if PrincipalName::parse(id).is_err() => {
            fault("is not a principal's name")
        }
        (_, Some(ResourceKind::Policy)) if PolicyName::parse(id).is_err() && !id.starts_with(crate::name::BUILT_IN) => {
            fault("is not a policy's name")
        }
        (_, Some(ResourceKind::PasswordPolicy)) if PasswordPolicyName::parse(id).is_err() => {
            fault("is not a password policy's name")
        }
        ("Role", _) if Role::parse(id).is_err() => fault("is not a role's name"),
        ("Principal", _) if EntityId::from_str(id).is_err() => {
            fault("is not an entity id (`ent_…`); see `aumbry principal list`, or name a role")
        }
        _ => Ok(()),
    }
}

/// Whether a statement unconditionally keeps every owner from writing policies.
fn locks_out(statement: &Statement) -> bool {
    let everybody = match &statement.principal {
        PrincipalScope::Any => true,
        PrincipalScope::Role(role) => &**role == OWNER,
        PrincipalScope::Entity(_) | PrincipalScope::Never => false,
    };
    let policies = matches!(statement.resource, ResourceScope::Any | ResourceScope::Kind(ResourceKind::Policy));
    statement.forbids()
        && statement.condition.is_none()
        && everybody
        && policies
        && statement.actions & Action::PolicyWrite.bit() != 0
}

/// Cedar numbers statements `policy0`, `policy1`, …
fn number_of(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.strip_prefix("policy").and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn line_of<D: Diagnostic>(text: &str) -> impl Fn(&D) -> Option<usize> + '_ {
    move |diagnostic| {
        let at = diagnostic.labels()?.next()?.offset();
        let before = text.as_bytes().get(..at.min(text.len()))?;
        Some(before.iter().filter(|b| **b == b'\n').count().saturating_add(1))
    }
}

/// Takes Cedar's own numbering of the statement out of a message.
fn without_id(message: &str, id: &PolicyId) -> String {
    let id: &str = id.as_ref();
    message.replace(&format!("for policy `{id}`, "), "")
}

fn clip(message: &str) -> String {
    let mut clipped: String = message.chars().filter(|c| !c.is_control()).take(ECHO_MAX).collect();
    if message.chars().count() > ECHO_MAX {
        clipped.push('…');
    }
    clipped
}

fn invalid(line: usize, why: &str) -> Refusal {
    Refusal::new(&code::POLICY_INVALID, format!("line {line}: {why}"))
}

fn in_statement(number: usize, why: &str) -> Refusal {
    Refusal::new(&code::POLICY_INVALID, format!("statement {number}: {why}"))
}
