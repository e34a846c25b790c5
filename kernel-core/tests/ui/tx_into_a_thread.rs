//! A transaction cannot go on in a task or thread of its own.
//!
//! error[E0521]: borrowed data escapes outside of function

use kernel_core::TenantTx;

pub fn detach(tx: &mut TenantTx, owned: TenantTx) {
    let _ = &tx;
    std::thread::spawn(move || drop(owned /* not: tx */));
}
