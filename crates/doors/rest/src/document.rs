//! Documents that say what there shall be, from their written form.

use crate::password_policy::password;
use crate::secret_made::recipe;
use crate::secret_wire::edit;
use api::apply::Document as Written;
use api::secret::Generate;
use app::apply::{DOCUMENTS_MAX, Document};
use app::code::APPLY_INVALID;
use app::tenant::Change;
use app::{PasswordPolicyName, Path, PolicyName, PrincipalName, Refusal};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicySpec {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalSpec {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantSpec {
    #[serde(default)]
    limits: Option<api::tenant::TenantLimits>,
    #[serde(default)]
    suspended: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretSpec {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    max_versions: Option<u32>,
    /// As the body of `secrets:generate`, without the path and what stands beside it here.
    #[serde(default)]
    generate: Option<Value>,
}

/// Reads documents. Errors: `apply.invalid` naming the document by number, kind and name, never a value.
pub fn read(documents: Vec<Written>) -> Result<Vec<Document>, Refusal> {
    if documents.len() > DOCUMENTS_MAX {
        return Err(Refusal::new(&APPLY_INVALID, format!("there are more than {DOCUMENTS_MAX} documents")));
    }
    let numbered = documents.into_iter().zip(1u32..);
    numbered.map(|(written, number)| document(written).map_err(|refusal| at(number, refusal))).collect()
}

fn at(number: u32, refusal: Refusal) -> Refusal {
    Refusal { detail: format!("document {number}: {}", refusal.detail), ..refusal }
}

fn document(written: Written) -> Result<Document, Refusal> {
    let Written { kind, name, spec } = written;
    match kind.as_str() {
        "policy" => {
            let spec: PolicySpec = said(spec, "policy: `text` with Cedar text")?;
            Ok(Document::Policy { name: PolicyName::parse(&name)?, text: spec.text })
        }
        "principal" => {
            let spec: PrincipalSpec = said(spec, "principal: `roles`, a list, and `disabled`")?;
            Ok(Document::Principal { name: PrincipalName::parse(&name)?, roles: spec.roles, disabled: spec.disabled })
        }
        "secret" => {
            let spec: SecretSpec = said(spec, "secret: `labels`, `max_versions`, `generate`; never a value")?;
            let path = Path::parse(&name)?;
            let recipe = spec.generate.map(|how| generate(&name, how)).transpose()?;
            let edit = edit(spec.labels, None, spec.max_versions)?;
            Ok(Document::Secret { path, recipe, edit })
        }
        "password_policy" => {
            let wants = "password policy: `length`, `characters`, `at_least`, `symbols`, `exclude`";
            let rules = password(said(spec, wants)?);
            Ok(Document::PasswordPolicy { name: PasswordPolicyName::parse(&name)?, rules })
        }
        "tenant" => {
            let spec: TenantSpec = said(spec, "tenant: `limits` with `secrets` and `request_rate`, and `suspended`")?;
            let change = Change { suspended: spec.suspended, limits: spec.limits.map(crate::tenant::limits) };
            Ok(Document::Tenant { name, change })
        }
        _ => Err(Refusal::new(&APPLY_INVALID, "`kind` is policy, password_policy, principal, secret or tenant")),
    }
}

/// Reads a spec. What was written there is never repeated: it may be a value that does not belong there.
fn said<T: DeserializeOwned>(spec: Value, wants: &str) -> Result<T, Refusal> {
    let spec = if spec.is_null() { Value::Object(serde_json::Map::new()) } else { spec };
    serde_json::from_value(spec).map_err(|_bad| Refusal::new(&APPLY_INVALID, format!("`spec` of a {wants}")))
}

fn generate(path: &str, mut how: Value) -> Result<app::secret::Recipe, Refusal> {
    let wrong = || {
        Refusal::new(&APPLY_INVALID, "`generate` takes what `secrets:generate` takes to make a value, without a path")
    };
    let fields = how.as_object_mut().ok_or_else(wrong)?;
    if ["path", "cas", "labels", "expires_at", "max_versions"].iter().any(|field| fields.contains_key(*field)) {
        return Err(wrong());
    }
    fields.insert("path".to_owned(), path.into());
    let generate: Generate = serde_json::from_value(how).map_err(|_bad| wrong())?;
    recipe(&generate)
}
