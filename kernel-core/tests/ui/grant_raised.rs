//! A grant cannot be raised.
//!
//! error[E0616]: field `role` of struct `Grant` is private

use kernel_core::{Grant, Role};

pub struct Note {
    pub role: Role,
}

pub fn promote(note: &mut Note, grant: &mut Grant) {
    let _ = grant.role();
    note /* not: grant */ .role = Role::Owner;
}
