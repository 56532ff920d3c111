//! The certificate that doors show: made at first start or the operator's own, and how it is served.

mod own;
mod serve;

pub use own::{OwnCertificates, TlsFiles};
pub use serve::{Identity, TlsError};
