//! Parts of a test that need something which this machine lacks.

use std::fs::OpenOptions;
use std::io::Write;

/// Notes that `what` was left out because of `why`, and returns; the caller then skips that part.
///
/// `cargo xtask test` lists what was left out. With `KERNEL_REQUIRE_ALL=1`, as in continuous integration, nothing may
/// be left out.
///
/// # Panics
///
/// With `KERNEL_REQUIRE_ALL=1`, and when the list cannot be written.
#[expect(
    clippy::disallowed_methods,
    reason = "speaks with `cargo xtask test`, which runs the tests as child processes"
)]
pub fn left_out(what: &str, why: &str) {
    let line = format!("{what}: {why}").replace('\n', " ");
    assert!(
        std::env::var("KERNEL_REQUIRE_ALL").as_deref() != Ok("1"),
        "left out, but all is required: {line}"
    );
    eprintln!("LEFT OUT {line}");
    if let Some(list) = std::env::var_os("KERNEL_LEFT_OUT") {
        let mut file =
            OpenOptions::new().append(true).create(true).open(list).expect("the list can be opened");
        // One write, so that lines of tests that run at the same time do not mix.
        file.write_all(format!("{line}\n").as_bytes()).expect("the list can be written");
    }
}
