//! The worker's side opens no transaction of a workspace that its holder names.
//!
//! error[E0624]: method `tenant` is private

use kernel_core::WorkerDb;

pub fn raid() {
    let _ = WorkerDb::clone /* not: tenant */;
}
