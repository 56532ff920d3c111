//! Files of documents that say what there shall be: YAML, JSON or TOML.

use crate::files::FileError;
use api::apply::Document;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Largest file of documents, and largest policy beside one.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    document: Vec<Document>,
}

/// Reads the documents of a file, or of all `.yaml`, `.yml`, `.json` and `.toml` files of a folder, by name.
///
/// YAML holds one or several documents; JSON one or a list; TOML tables `[[document]]`. A policy may say `file` in place of
/// `text`: Cedar text in a file beside. Errors name the file and the place, never what stands there.
pub fn read(place: &Path) -> Result<Vec<Document>, FileError> {
    let mut all = Vec::new();
    for file in files(place)? {
        let text = text(&file)?;
        let wrong = |why: String| FileError::new(&file, why);
        let documents = match extension(&file) {
            Some("toml") => toml::from_str::<Tables>(&text)
                .map(|tables| tables.document)
                .map_err(|error| wrong(format!("{}{}", line(&text, error.span()), field(error.message())))),
            Some("json") => json(&text).map_err(wrong),
            _ => yaml(&text).map_err(wrong),
        };
        for document in documents? {
            all.push(with_text(&file, document)?);
        }
    }
    Ok(all)
}

fn files(place: &Path) -> Result<Vec<PathBuf>, FileError> {
    let io = |error: &std::io::Error| FileError::io(place, error);
    if !place.is_dir() {
        return Ok(vec![place.to_path_buf()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(place).map_err(|error| io(&error))? {
        let path = entry.map_err(|error| io(&error))?.path();
        if matches!(extension(&path), Some("yaml" | "yml" | "json" | "toml")) && path.is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    if found.is_empty() {
        return Err(FileError::new(place, "holds no .yaml, .yml, .json or .toml file"));
    }
    Ok(found)
}

fn extension(file: &Path) -> Option<&str> {
    file.extension().and_then(|extension| extension.to_str())
}

fn text(file: &Path) -> Result<String, FileError> {
    let length = std::fs::metadata(file).map_err(|error| FileError::io(file, &error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(FileError::new(file, "is larger than 1 MiB"));
    }
    std::fs::read_to_string(file).map_err(|error| FileError::io(file, &error))
}

fn json(text: &str) -> Result<Vec<Document>, String> {
    let at = |error: &serde_json::Error| format!("line {}: {}", error.line(), field(&error.to_string()));
    match serde_json::from_str(text).map_err(|error| at(&error))? {
        list @ Value::Array(_) => serde_json::from_value(list).map_err(|error| field(&error.to_string())),
        one => serde_json::from_value(one).map(|one| vec![one]).map_err(|error| field(&error.to_string())),
    }
}

fn yaml(text: &str) -> Result<Vec<Document>, String> {
    let mut all = Vec::new();
    for one in serde_norway::Deserializer::from_str(text) {
        let read = Option::<Document>::deserialize(one).map_err(|error| {
            let line = error.location().map(|at| format!("line {}: ", at.line())).unwrap_or_default();
            format!("{line}{}", field(&error.to_string()))
        });
        all.extend(read?);
    }
    Ok(all)
}

fn line(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let Some(span) = span else { return String::new() };
    let lines = text.get(..span.start).unwrap_or_default().matches('\n').count();
    format!("line {}: ", lines.saturating_add(1))
}

/// What is wrong, without what was written: that may be a value that does not belong there.
fn field(message: &str) -> String {
    for known in ["unknown field", "missing field", "duplicate"] {
        if let Some(at) = message.find(known) {
            let name = message.get(at..).and_then(|rest| rest.split('`').nth(1)).filter(|name| name.len() <= 32);
            return format!("{known} `{}`; a document has kind, name and spec", name.unwrap_or("…"));
        }
    }
    "is not a document of kind, name and spec".to_owned()
}

/// A policy's text from the file beside that it names.
fn with_text(beside: &Path, mut document: Document) -> Result<Document, FileError> {
    if document.kind != "policy" {
        return Ok(document);
    }
    let Some(spec) = document.spec.as_object_mut() else { return Ok(document) };
    let Some(name) = spec.remove("file") else { return Ok(document) };
    let wrong = || FileError::new(beside, "a policy has either `text` or `file`, the name of a file beside");
    let name = name.as_str().filter(|_| !spec.contains_key("text")).ok_or_else(wrong)?;
    let folder = beside.parent().unwrap_or(Path::new("")).join(".");
    let file = folder.join(name);
    let whole = |path: &Path| path.canonicalize().map_err(|error| FileError::io(path, &error));
    if !whole(&file)?.starts_with(whole(&folder)?) {
        return Err(FileError::new(beside, "names a policy's `file` outside its own folder"));
    }
    let text = text(&file)?;
    spec.insert("text".to_owned(), text.into());
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        (folder, file)
    }

    fn names(place: &Path) -> Vec<String> {
        read(place).unwrap().into_iter().map(|document| format!("{} {}", document.kind, document.name)).collect()
    }

    #[test]
    fn yaml_json_and_toml_say_the_same() {
        for (name, text) in [
            (
                "a.yaml",
                "kind: principal\nname: a\nspec:\n  roles: [r]\n---\nkind: policy\nname: p\nspec:\n  text: x\n---\n",
            ),
            (
                "a.json",
                r#"[{"kind":"principal","name":"a","spec":{"roles":["r"]}},{"kind":"policy","name":"p","spec":{"text":"x"}}]"#,
            ),
            (
                "a.toml",
                "[[document]]\nkind='principal'\nname='a'\nspec.roles=['r']\n[[document]]\nkind='policy'\nname='p'\nspec.text='x'\n",
            ),
        ] {
            let (_folder, file) = written(name, text);
            assert_eq!(names(&file), ["principal a", "policy p"], "{name}");
            assert_eq!(read(&file).unwrap()[0].spec["roles"][0], "r");
        }
        let (_folder, one) = written("b.json", r#"{"kind":"secret","name":"a/b"}"#);
        assert_eq!(names(&one), ["secret a/b"]);
    }

    #[test]
    fn a_folder_is_read_by_name_and_a_policy_from_the_file_beside() {
        let (folder, _) = written("2.yaml", "kind: policy\nname: p\nspec:\n  file: p.cedar\n");
        std::fs::write(folder.path().join("1.yml"), "kind: principal\nname: a\n").unwrap();
        std::fs::write(folder.path().join("p.cedar"), "permit (principal, action, resource);").unwrap();
        assert_eq!(names(folder.path()), ["principal a", "policy p"]);
        assert_eq!(read(folder.path()).unwrap()[1].spec["text"], "permit (principal, action, resource);");
        std::fs::remove_file(folder.path().join("p.cedar")).unwrap();
        let (elsewhere, other) = written("x.cedar", "permit (principal, action, resource);");
        std::os::unix::fs::symlink(&other, folder.path().join("p.cedar")).unwrap();
        let told = read(folder.path()).unwrap_err().to_string();
        assert!(told.contains("outside its own folder"), "{told}");
        drop(elsewhere);
        std::fs::remove_file(folder.path().join("p.cedar")).unwrap();
        assert!(read(folder.path()).is_err());
    }

    #[test]
    fn what_is_no_document_is_named_without_what_it_says() {
        for (name, text) in [
            ("a.yaml", "kind: secret\nname: a\nvalue: hunter2\n"),
            ("a.yaml", "hunter2"),
            ("a.json", r#"{"kind":"secret","name":"a","value":"hunter2"}"#),
            ("a.json", r#"["hunter2"]"#),
            ("a.toml", "[[document]]\nkind='secret'\nname='a'\nvalue='hunter2'\n"),
            ("a.toml", "hunter2"),
            ("a.yaml", "kind: policy\nname: p\nspec:\n  file: x\n  text: hunter2\n"),
        ] {
            let (_folder, file) = written(name, text);
            let told = read(&file).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
