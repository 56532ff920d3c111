//! One file per command.

pub(crate) mod access;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod get;
pub(crate) mod grant;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod offline;
pub(crate) mod openapi;
pub(crate) mod policy;
pub(crate) mod principal;
pub(crate) mod purge;
pub(crate) mod put;
pub(crate) mod render;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod seal;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod undelete;
pub(crate) mod versions;
