//! A reason cannot be made unchecked.
//!
//! error[E0423]: cannot initialize a tuple struct which contains private fields

pub struct Reason(pub String);

pub fn pretend() {
    let _ = self /* not: kernel_core */ ::Reason(String::new());
}
