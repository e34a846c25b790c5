//! What is fuzzed: a function per target that takes any bytes and panics when something does not hold of them. The table in
//! `fuzz/README.md` says what each covers. `fuzz/` compiles this file too.

use kernel_core::testkit::hostile;

/// A name and what is asserted under it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name on the command line, and of the folder of its seeds.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "audit", run: audit },
    Target { name: "body", run: tracker::hostile::body },
    Target { name: "config", run: config },
    Target { name: "cookie", run: cookie },
    Target { name: "csv", run: tracker::hostile::csv },
    Target { name: "cursor", run: hostile::cursor },
    Target { name: "head", run: hostile::head },
    Target { name: "id", run: id },
    Target { name: "query", run: query },
    Target { name: "sealed", run: hostile::sealed },
];

fn audit(data: &[u8]) {
    hostile::audit(data);
    kernel_tenancy::hostile::export(data);
}

fn config(data: &[u8]) {
    tracker::hostile::options(data);
    tracker::hostile::next(data);
}

fn cookie(data: &[u8]) {
    hostile::cookie(data);
    kernel_auth::hostile::session(data);
}

fn id(data: &[u8]) {
    hostile::id(data);
    kernel_tenancy::hostile::slug(data);
}

fn query(data: &[u8]) {
    hostile::pairs(data);
    tracker::hostile::query(data);
}
