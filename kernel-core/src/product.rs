//! The product as its owner configures it: brand, features and plans, in a file that needs no rebuild.
//!
//! ```
//! let product = kernel_core::Product::parse("product.config.toml", r##"
//!     default_plan = "free"
//!
//!     [brand]
//!     name = "Acme"
//!     primary_color = "#5b5bd6"
//!
//!     [features]
//!     tenancy.audit_log_export = true
//!
//!     [[plans]]
//!     key = "free"
//!     name = "Free"
//!     price_cents = 0
//!     currency = "EUR"
//! "##)?;
//! assert_eq!(product.brand().name, "Acme");
//! assert!(product.plans()[0].features.is_empty());
//! # Ok::<_, kernel_core::product::ProductError>(())
//! ```
//!
//! The text says what a plan holds; who has which plan is for whoever provides the
//! [`Entitlements`] seam. A `Product` provides it too: it gives everybody the default plan.

mod key;
mod palette;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use crate::ctx::Ctx;
use crate::db::Db;
use crate::error::Error;
use crate::pillar::Pillar;
use crate::role::{Feature, Limit};
use crate::seam::Entitlements;
use crate::workspace::Workspace;

pub use key::{KEYS, Key};
pub use palette::{Colour, Palette, Shades, UnreadableColour};

/// What a logo may weigh, in bytes.
pub const LOGO_MAX: u64 = 256 * 1024;

/// What the configuration may weigh, in bytes.
pub const CONFIG_MAX: u64 = 1024 * 1024;

/// How the product looks and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Brand {
    /// The product's name.
    pub name: String,
    /// The colour from which the palette follows.
    pub primary_color: Colour,
    /// The logo, instead of the one that the product was built with.
    pub logo: Option<Logo>,
}

impl Brand {
    /// The shades of the primary colour, for light grounds and for dark ones.
    #[must_use]
    pub fn palette(&self) -> Palette {
        Palette::of(self.primary_color)
    }
}

/// A picture in a file beside the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Logo {
    /// The file, as the configuration names it.
    pub file: PathBuf,
    /// `image/svg+xml` or `image/png`.
    pub content_type: &'static str,
    /// Its bytes; empty until [`Product::load`] has read them.
    pub content: Bytes,
}

/// Something that is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// What it is called where people do not see it, and never changes: `team`.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// What a month costs, in the smallest unit of the currency.
    pub price_cents: u64,
    /// The currency, in three capital letters: `EUR`.
    pub currency: String,
    /// The features that it includes.
    pub features: BTreeSet<String>,
    /// The most of something that it allows; what is not named is not limited.
    pub limits: BTreeMap<String, u64>,
}

/// Brand, features and plans of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    file: String,
    brand: Brand,
    features: BTreeMap<String, bool>,
    plans: Vec<Plan>,
    default_plan: Option<String>,
    /// Every feature and limit that is named, and where: whether a pillar declares it shows only when the app is built.
    mentions: Vec<Mention>,
}

/// A name in the text that a pillar must declare.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mention {
    what: &'static str,
    name: String,
    line: usize,
    key: String,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProductFault {
    /// The line, counted from 1.
    pub line: usize,
    /// The key: `plans[1].price_cents`; empty when the text is not TOML at that place.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ProductFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, key, reason } = self;
        if key.is_empty() {
            write!(f, "line {line}: {reason}")
        } else {
            write!(f, "line {line}, {key}: {reason}")
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProductError {
    /// A file cannot be read.
    #[error("{} cannot be read", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is larger than anybody means it to be.
    #[error("{} weighs more than {most} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// What it may weigh.
        most: u64,
    },
    /// The text is wrong, for every reason at once.
    #[error("{file} cannot be used:{}", listed(.faults))]
    Faults {
        /// The file.
        file: String,
        /// In the order of the text.
        faults: Vec<ProductFault>,
    },
}

fn listed(faults: &[ProductFault]) -> String {
    faults.iter().map(|fault| format!("\n- {fault}")).collect()
}

impl Product {
    /// Reads a configuration. `file` is what errors call it.
    ///
    /// # Errors
    /// [`ProductError::Faults`], with everything that is wrong: no TOML, unknown and missing keys, wrong types, plans that
    /// name features which `[features]` does not.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProductError> {
        read::product(file, text).map_err(|faults| ProductError::Faults { file: file.to_owned(), faults })
    }

    /// Reads a configuration from a file, and the logo beside it.
    ///
    /// # Errors
    /// [`ProductError`].
    pub async fn load(file: &Path) -> Result<Self, ProductError> {
        let text = content(file, CONFIG_MAX).await?;
        let unreadable = |source| ProductError::File { file: file.to_owned(), source };
        let text = String::from_utf8(text)
            .map_err(|error| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        let mut product = Self::parse(&file.display().to_string(), &text)?;
        if let Some(logo) = &mut product.brand.logo {
            let beside = file.parent().unwrap_or(Path::new("")).join(&logo.file);
            logo.content = content(&beside, LOGO_MAX).await?.into();
        }
        Ok(product)
    }

    /// How it looks and what it is called.
    #[must_use]
    pub fn brand(&self) -> &Brand {
        &self.brand
    }

    /// What is sold, in the order of the text.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The plan of this key.
    #[must_use]
    pub fn plan(&self, key: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.key == key)
    }

    /// The plan of a workspace that has bought none; `None` when nothing is sold.
    #[must_use]
    pub fn default_plan(&self) -> Option<&Plan> {
        self.plan(self.default_plan.as_deref()?)
    }

    /// Whether a workspace with this plan has the feature: it must be switched on, and the plan must name it. Where
    /// nothing is sold, whoever asks without a plan has all that is switched on.
    #[must_use]
    pub fn includes(&self, plan: Option<&Plan>, feature: Feature) -> bool {
        let on = self.features.get(feature.name()).copied().unwrap_or_default();
        on && plan.map_or(self.plans.is_empty(), |plan| plan.features.contains(feature.name()))
    }

    /// The plans that have the feature, in the file's order.
    pub fn unlocking(&self, feature: Feature) -> impl Iterator<Item = &Plan> {
        self.plans.iter().filter(move |plan| self.includes(Some(plan), feature))
    }

    /// What `[features]` does not name, or the plans name without a pillar that declares it.
    pub(crate) fn problems(&self, pillars: &[Pillar]) -> Vec<String> {
        let features: BTreeSet<_> =
            pillars.iter().flat_map(|pillar| &pillar.features).map(|x| x.name()).collect();
        let limits: BTreeSet<_> =
            pillars.iter().flat_map(|pillar| &pillar.limits).map(|x| x.name()).collect();
        let declared = |mention: &Mention| {
            if mention.what == FEATURE { &features } else { &limits }.contains(mention.name.as_str())
        };
        let dangling = self.mentions.iter().filter(|mention| !declared(mention));
        dangling
            .map(|Mention { what, name, line, key }| {
                format!("{}: line {line}, {key}: no pillar declares the {what} {name}", self.file)
            })
            .collect()
    }
}

const FEATURE: &str = "feature";
const LIMIT: &str = "limit";

impl Plan {
    /// How much of this the plan allows; `None` for any number.
    #[must_use]
    pub fn limit(&self, limit: Limit) -> Option<u64> {
        self.limits.get(limit.name()).copied()
    }
}

/// Gives every workspace the default plan: for a product in which nobody can buy anything as yet.
#[async_trait]
impl Entitlements for Product {
    async fn entitled(&self, _: &Ctx, _: &Db, _: &Workspace, feature: Feature) -> Result<bool, Error> {
        Ok(self.includes(self.default_plan(), feature))
    }
}

async fn content(file: &Path, most: u64) -> Result<Vec<u8>, ProductError> {
    let unreadable = |source| ProductError::File { file: file.to_owned(), source };
    let weight = tokio::fs::metadata(file).await.map_err(unreadable)?.len();
    if weight > most {
        return Err(ProductError::TooLarge { file: file.to_owned(), most });
    }
    tokio::fs::read(file).await.map_err(unreadable)
}

#[cfg(test)]
mod tests;
