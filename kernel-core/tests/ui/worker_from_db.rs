//! The database gives its callers no worker's side.
//!
//! error[E0624]: method `worker` is private

use kernel_core::{App, Db};

pub fn raid(app: &App, db: &Db) {
    let _ = db.roles();
    let _ = app /* not: db */ .worker();
}
