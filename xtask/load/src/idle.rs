//! Size of the program, and memory of a server that does nothing.

use std::time::Duration;

use crate::aumbry::{self, Aumbry};
use crate::report::{Bound, Report};
use crate::{Fail, Plan, machine};

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    report.figure("binary", "MiB", Bound::AtMost(40.0), &[aumbry::binary_mib(&plan.binaries)?]);
    let server = Aumbry::start(plan, "idle", None)?;
    std::thread::sleep(Duration::from_secs(3));
    report.figure(
        "idle, empty store: anonymous memory",
        "MiB",
        Bound::AtMost(30.0),
        &[machine::rss_anon_mib(server.id())?],
    );
    server.stop()
}
