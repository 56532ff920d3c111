//! Shares on their way between holders and a server: never in an argument, never on a screen while they are typed.

mod give;
mod hand_out;

pub(crate) use give::{Shares, Source};
pub(crate) use hand_out::{Outlet, SplitArgs, caution};
