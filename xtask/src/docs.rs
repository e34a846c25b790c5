//! The documents under `docs/`: `cargo test --doc` compiles and runs the examples in them.

pub mod shop;

/// Each document with examples, and the module that its tests are named after.
macro_rules! documents {
    ($($name:ident = $path:literal;)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($path)]
            pub mod $name {}
        )*

        /// The documents whose examples are run, as paths from this file.
        pub const DOCUMENTS: &[&str] = &[$($path),*];
    };
}

documents! {
    activity = "../../docs/activity.md";
    audit = "../../docs/audit.md";
    cache = "../../docs/cache.md";
    client = "../../docs/client.md";
    configuration = "../../docs/configuration.md";
    identity = "../../docs/identity.md";
    jobs = "../../docs/jobs.md";
    limits = "../../docs/limits.md";
    migrations = "../../docs/migrations.md";
    pillar = "../../docs/pillar.md";
    search = "../../docs/search.md";
    secrets = "../../docs/secrets.md";
    telemetry = "../../docs/telemetry.md";
    tenancy = "../../docs/tenancy.md";
    testing = "../../docs/testing.md";
    texts = "../../docs/texts.md";
    upgrading = "../../docs/upgrading.md";
}
