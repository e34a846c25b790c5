//! Runs libFuzzer on the target that `FUZZ_TARGET` names. `cargo xtask fuzz` builds and starts it.

#![no_main]

#[path = "../../xtask/src/fuzz/target.rs"]
mod target;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "libFuzzer leaves a program no arguments of its own")]
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = target::TARGETS.iter().find(|target| target.name == name);
    target.expect("FUZZ_TARGET names a target").run
});

fuzz_target!(|data: &[u8]| (*RUN)(data));
