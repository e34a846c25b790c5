//! The keys of a configuration, as its reference lists them.

/// One key of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Where it stands: `plans[].name`. A `*` is any name.
    pub path: &'static str,
    /// What its value is.
    pub kind: &'static str,
    /// Whether it must be there, if what it is part of is.
    pub needed: bool,
    /// What it is for.
    pub about: &'static str,
}

const fn key(path: &'static str, kind: &'static str, needed: bool, about: &'static str) -> Key {
    Key { path, kind, needed, about }
}

/// Every key, in the order in which the reference explains them. A test holds it against what is read.
pub const KEYS: &[Key] = &[
    key(
        "default_plan",
        "text",
        false,
        "The key of the plan that a workspace has which bought none; needed with plans",
    ),
    key("brand", "table", true, "How the product looks and what it is called"),
    key(
        "brand.name",
        "text, 1 to 60 characters",
        true,
        "The product's name, on pages and in the API's description",
    ),
    key(
        "brand.primary_color",
        "colour, `#rrggbb`",
        true,
        "The colour from which the palette of accents follows",
    ),
    key("brand.logo", "file name, .svg or .png", false, "A logo beside the configuration, at most 256 KiB"),
    key("features", "table", false, "Which features the product has; what is not named is off"),
    key(
        "features.*",
        "true or false",
        false,
        "A feature that a pillar declares; false takes it out of every plan",
    ),
    key(
        "plans",
        "list of tables",
        false,
        "What is sold; without plans, everybody has every feature that is on",
    ),
    key(
        "plans[].key",
        "text: a-z, 0-9, _",
        true,
        "What the plan is called where people do not see it; never change it",
    ),
    key("plans[].name", "text, 1 to 60 characters", true, "What people call the plan"),
    key(
        "plans[].price_cents",
        "whole number from 0",
        true,
        "What a month costs, in the currency's smallest unit",
    ),
    key("plans[].currency", "text, three capitals", true, "The currency of the price, as ISO 4217 writes it"),
    key(
        "plans[].features",
        "list of text",
        false,
        "The features that it includes; each is named in `[features]`",
    ),
    key(
        "plans[].limits",
        "table",
        false,
        "The most of something that it allows; what is not named is not limited",
    ),
    key("plans[].limits.*", "whole number from 0", false, "A limit that a pillar declares"),
];
