//! A transaction is opened in a closure or not at all.
//!
//! error[E0624]: method `begin_global` is private

use kernel_core::Db;

pub fn open() {
    let _ = Db::roles /* not: begin_global */;
}
