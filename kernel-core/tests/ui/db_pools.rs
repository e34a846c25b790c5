//! The database hands out no pool.
//!
//! error[E0624]: method `pools` is private

use kernel_core::Db;

pub fn raid(db: &Db) {
    let _ = db.roles /* not: pools */ ();
}
