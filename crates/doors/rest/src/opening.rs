//! Through which a door reaches the use cases, while the server is open.

use app::App;
use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// Where a door finds the use cases: none while the server is sealed. Looking costs a request no lock.
#[derive(Debug, Default)]
pub struct Opening(ArcSwapOption<App>);

impl Opening {
    /// From now on requests reach these use cases.
    pub fn open(&self, app: App) {
        self.0.store(Some(Arc::new(app)));
    }

    /// From now on no request begins that needs a key. Those that run go on to their end and hold the use cases until then.
    pub fn shut(&self) {
        self.0.store(None);
    }

    pub(crate) fn app(&self) -> Option<Arc<App>> {
        self.0.load_full()
    }
}
