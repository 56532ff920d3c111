//! The Cedar schema, made from the tables of actions and resources.

use super::record::Checked;
use crate::action::Action;
use crate::resource::{Part, ResourceKind};
use cedar_policy::{EntityTypeName, EntityUid, Schema, Validator};
use std::fmt::Write;
use std::sync::LazyLock;

/// The schema that every policy is checked against, in Cedar's own syntax; shown to people who write policies.
pub fn schema_text() -> String {
    let mut text = String::from(
        "// Who asks: `Principal::\"ent_…\"`, in each of its roles.\n\
         entity Role;\n\
         entity Principal in [Role] = { name: String };\n\
         // What is asked for. `Path::\"\"` is the top; a secret and a folder are in every folder above them. `name` is the\n\
         // last segment, `space` the second one from the top, empty where there is none.\n\
         entity Path in [Path] = { path: String, name: String, space: String };\n\
         entity Secret in [Path] = { path: String, name: String, space: String };\n\
         entity Policy = { name: String };\n\
         entity PrincipalRecord = { name: String };\n\
         entity PasswordPolicy = { name: String };\n",
    );
    let parts: Vec<String> = Part::ALL.iter().map(|part| format!("\"{}\"", part.name())).collect();
    let _ = writeln!(text, "entity System enum [{}];", parts.join(", "));
    text.push_str("type Circumstances = { source_ip: ipaddr, now_ms: Long, tls: Bool, cas: Bool };\n");
    for group in Action::groups() {
        let _ = writeln!(text, "action \"{group}\";");
    }
    for action in Action::ALL {
        let kinds: Vec<&str> = action.resources().iter().map(|kind| kind.type_name()).collect();
        let _ = writeln!(
            text,
            "action \"{}\" in [\"{}\"] appliesTo {{ principal: Principal, resource: [{}], context: Circumstances }};",
            action.name(),
            action.group(),
            kinds.join(", "),
        );
    }
    text
}

/// Parsed names and the validator; made once.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) validator: Validator,
    pub(crate) principal: EntityTypeName,
    pub(crate) role: EntityTypeName,
    pub(crate) resources: [EntityTypeName; ResourceKind::ALL.len()],
    pub(crate) actions: Vec<EntityUid>,
    pub(crate) groups: Vec<(&'static str, EntityUid)>,
}

impl Types {
    fn make() -> Option<Types> {
        let (schema, _) = Schema::from_cedarschema_str(&schema_text()).ok()?;
        let action: EntityTypeName = "Action".parse().ok()?;
        let uid = |id: &str| EntityUid::from_type_name_and_id(action.clone(), cedar_policy::EntityId::new(id));
        let [secret, folder, policy, record, system, password] =
            ResourceKind::ALL.map(|kind| kind.type_name().parse::<EntityTypeName>().ok());
        Some(Types {
            validator: Validator::new(schema),
            principal: "Principal".parse().ok()?,
            role: "Role".parse().ok()?,
            resources: [secret?, folder?, policy?, record?, system?, password?],
            actions: Action::ALL.iter().map(|action| uid(action.name())).collect(),
            groups: Action::groups().into_iter().map(|group| (group, uid(group))).collect(),
        })
    }

    pub(crate) fn resource_type(&self, kind: ResourceKind) -> &EntityTypeName {
        let [secret, folder, policy, record, system, password] = &self.resources;
        match kind {
            ResourceKind::Secret => secret,
            ResourceKind::Folder => folder,
            ResourceKind::Policy => policy,
            ResourceKind::PrincipalRecord => record,
            ResourceKind::System => system,
            ResourceKind::PasswordPolicy => password,
        }
    }

    pub(crate) fn action(&self, action: Action) -> Option<&EntityUid> {
        self.actions.get(action as usize)
    }

    pub(crate) fn group(&self, action: Action) -> Option<&EntityUid> {
        self.groups.iter().find(|(name, _)| *name == action.group()).map(|(_, uid)| uid)
    }
}

/// The types, or nothing when the schema of this very build does not parse (a test shows that it does).
pub(crate) fn types() -> Option<&'static Types> {
    static TYPES: LazyLock<Option<Types>> = LazyLock::new(Types::make);
    TYPES.as_ref()
}

/// What a policy that [`super::ValidPolicy::parse`] takes was checked against: stored with it, so that the same build, and
/// every later one with the same schema, need not check its types again. Raise the number when a check gets stricter.
pub(crate) fn checked_here() -> Option<Checked> {
    static DIGEST: LazyLock<Option<Checked>> = LazyLock::new(|| {
        let whole = crypto::sha256(format!("1 {}\n{}", cedar_policy::get_lang_version(), schema_text()).as_bytes());
        whole.first_chunk().map(|head| Checked(*head))
    });
    *DIGEST
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_parses() {
        let text = super::schema_text();
        if let Err(why) = cedar_policy::Schema::from_cedarschema_str(&text) {
            panic!("{why}\n{text}");
        }
        assert!(super::types().is_some());
    }
}
