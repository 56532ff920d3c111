//! What `aumbry run` puts into a program's environment, and where it learns it from.

pub(crate) mod env_file;
pub(crate) mod fetch;
pub(crate) mod name;
pub(crate) mod plan;
pub(crate) mod project;
