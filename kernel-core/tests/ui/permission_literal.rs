//! A permission comes out of its macro only.
//!
//! error[E0451]: of struct `kernel_core::Permission` are private

use kernel_core::Role;

pub struct Permission {
    pub name: &'static str,
    pub least: Role,
}

pub fn invent() {
    let _ = self /* not: kernel_core */ ::Permission { name: "shop.sell", least: Role::Viewer };
}
