//! The OpenAPI 3.1 document, made from the route table and the wire types.

use crate::route::{Route, Takes};
use serde_json::{Map, Value, json};
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{RefOr, path::ParameterIn};
use utoipa::{IntoParams, ToSchema};

/// Schemas by name.
type Schemas = Vec<(String, RefOr<Schema>)>;

/// What the document says about a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doc {
    /// One sentence.
    pub(crate) about: &'static str,
    /// Parameters of the query.
    pub(crate) query: Option<fn() -> Vec<Parameter>>,
    /// The JSON body taken.
    pub(crate) body: Option<fn(&mut Schemas) -> String>,
    /// The JSON answer.
    pub(crate) answer: Option<fn(&mut Schemas) -> String>,
}

/// The parameters of a query type.
pub(crate) fn query_of<T: IntoParams>() -> Vec<Parameter> {
    T::into_params(|| Some(ParameterIn::Query))
}

/// Adds a type and all it is made of; gives its name.
pub(crate) fn schema_of<T: ToSchema>(schemas: &mut Schemas) -> String {
    let name = T::name().into_owned();
    if !schemas.iter().any(|(known, _)| *known == name) {
        T::schemas(schemas);
        schemas.push((name.clone(), T::schema()));
    }
    name
}

/// The document. The same table and version give the same bytes.
#[must_use]
pub fn document(routes: &[Route]) -> String {
    let mut schemas = Schemas::new();
    let problem = schema_of::<api::Problem>(&mut schemas);
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operation = operation(route, &problem, &mut schemas);
        let path = paths.entry(route.template).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.verb.as_str().to_ascii_lowercase(), operation);
        }
    }
    schemas.sort_by(|left, right| left.0.cmp(&right.0));
    schemas.dedup_by(|left, right| left.0 == right.0);
    let schemas: Map<String, Value> =
        schemas.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Aumbry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The native API of Aumbry, a secrets platform.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "session": {
                "type": "http", "scheme": "bearer", "description": "A session token, `aum_ses_…`.",
            } },
        },
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn operation(route: &Route, problem: &str, schemas: &mut Schemas) -> Value {
    let reference = |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
    let mut parameters: Vec<Value> = Vec::new();
    if let Some((_, name)) = route.parameter() {
        let about = "Takes slashes: everything to the end of the path.";
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": about, "schema": { "type": "string" },
        }));
    }
    let query = route.doc.query.map(|query| query()).unwrap_or_default();
    parameters.extend(query.into_iter().map(|parameter| serde_json::to_value(parameter).unwrap_or_default()));
    let mut operation = json!({
        "summary": route.doc.about,
        "operationId": operation_id(route),
        "tags": [route.act.split('.').next().unwrap_or_default()],
        "parameters": parameters,
    });
    let Some(fields) = operation.as_object_mut() else { return operation };
    if let Some(body) = route.doc.body {
        let mut content = Map::new();
        let kind = if route.takes == Takes::MergePatch { api::MERGE_PATCH } else { api::JSON };
        content.insert(kind.to_owned(), reference(&body(schemas)));
        if route.takes == Takes::JsonOrBytes {
            content.insert(api::OCTETS.to_owned(), json!({}));
        }
        fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let mut answers = Map::new();
    let good = match route.doc.answer {
        Some(answer) => {
            json!({ "description": "Done.", "content": { "application/json": reference(&answer(schemas)) } })
        }
        None => json!({ "description": "Done." }),
    };
    answers.insert("200".to_owned(), good);
    let refused = json!({ "description": "Refused; nothing happened unless the class is `unknown`.",
        "content": { "application/problem+json": reference(problem) } });
    answers.insert("default".to_owned(), refused);
    fields.insert("responses".to_owned(), Value::Object(answers));
    if route.open {
        fields.insert("security".to_owned(), json!([]));
    }
    operation
}

/// Verb and words of the template: stable and unique, since both together are.
fn operation_id(route: &Route) -> String {
    let words = route.template.trim_start_matches(api::BASE).split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{}_{}", route.verb.as_str().to_ascii_lowercase(), words.join("_"))
}
