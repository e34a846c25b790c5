//! A feature comes out of its macro only.
//!
//! error[E0451]: field `name` of struct `kernel_core::Feature` is private

pub struct Feature {
    pub name: &'static str,
}

pub fn invent() {
    let _ = self /* not: kernel_core */ ::Feature { name: "shop.export" };
}
