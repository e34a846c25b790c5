//! Reads a configuration, and goes on after each thing that is wrong so that all of them are told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use bytes::Bytes;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Brand, Colour, FEATURE, LIMIT, Logo, Mention, Plan, Product, ProductFault};

/// How long names may be that people see.
const NAME_MAX: usize = 60;

pub(super) fn product(file: &str, text: &str) -> Result<Product, Vec<ProductFault>> {
    Reader::new(text).product(file)
}

pub(super) struct Reader<'t> {
    text: &'t str,
    faults: Vec<ProductFault>,
    mentions: Vec<Mention>,
    /// Every key that was looked for: `plans[].name`.
    pub(super) known: BTreeSet<String>,
}

/// A table while it is read: a key that nobody has asked for is unknown.
struct Place<'p> {
    table: &'p DeTable<'p>,
    path: String,
    at: usize,
    known: Vec<&'static str>,
}

/// A value and where it stands.
struct Found<'p> {
    value: &'p DeValue<'p>,
    path: String,
    at: usize,
}

impl<'p> Place<'p> {
    fn take(&mut self, name: &'static str) -> Option<Found<'p>> {
        self.known.push(name);
        let (key, value) = self.table.iter().find(|(key, _)| key.get_ref() == name)?;
        Some(found(&self.path, key, value))
    }

    fn entries(&self) -> impl Iterator<Item = (&'p str, Found<'p>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), found(&self.path, key, value)))
    }
}

fn found<'p>(
    path: &str,
    key: &Spanned<std::borrow::Cow<'p, str>>,
    value: &'p Spanned<DeValue<'p>>,
) -> Found<'p> {
    let dot = if path.is_empty() { "" } else { "." };
    Found { value: value.get_ref(), path: format!("{path}{dot}{}", key.get_ref()), at: key.span().start }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, faults: Vec::new(), mentions: Vec::new(), known: BTreeSet::new() }
    }

    pub(super) fn product(&mut self, file: &str) -> Result<Product, Vec<ProductFault>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.fault(at, "", error.message());
        }
        // What a text says that is no TOML is guesswork.
        if !self.faults.is_empty() {
            return Err(std::mem::take(&mut self.faults));
        }
        let mut root = Place { table: root.get_ref(), path: String::new(), at: 0, known: Vec::new() };
        let brand = self.need(&mut root, "brand").and_then(|brand| self.brand(&brand));
        let features = root.take("features").map(|features| self.features(&features)).unwrap_or_default();
        let plans = root.take("plans").map(|plans| self.plans(&plans, &features)).unwrap_or_default();
        let default_plan = self.default_plan(&mut root, &plans);
        self.close(&root);
        let (mut faults, mentions) = (std::mem::take(&mut self.faults), std::mem::take(&mut self.mentions));
        match brand {
            Some(brand) if faults.is_empty() => {
                Ok(Product { file: file.to_owned(), brand, features, plans, default_plan, mentions })
            }
            _ => {
                faults.sort_by_key(|fault| fault.line);
                Err(faults)
            }
        }
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }

    fn fault(&mut self, at: usize, key: &str, reason: impl Into<String>) {
        let (line, key) = (self.line(at), key.to_owned());
        self.faults.push(ProductFault { line, key, reason: reason.into() });
    }

    fn wrong<T>(&mut self, found: &Found<'_>, reason: impl Into<String>) -> Option<T> {
        self.fault(found.at, &found.path, reason);
        None
    }

    fn mistyped<T>(&mut self, found: &Found<'_>, wanted: &str) -> Option<T> {
        self.wrong(found, format!("it is {}, and must be {wanted}", kind(found.value)))
    }

    fn need<'p>(&mut self, place: &mut Place<'p>, name: &'static str) -> Option<Found<'p>> {
        let found = place.take(name);
        if found.is_none() {
            let dot = if place.path.is_empty() { "" } else { "." };
            self.fault(place.at, &format!("{}{dot}{name}", place.path), "it is missing");
        }
        found
    }

    /// What is left is a misspelling, or belongs elsewhere.
    fn close(&mut self, place: &Place<'_>) {
        for name in &place.known {
            self.know(&place.path, name);
        }
        for (name, found) in place.entries().filter(|(name, _)| !place.known.contains(name)) {
            self.wrong::<()>(&found, format!("{name} is no key here; there are {}", place.known.join(", ")));
        }
    }

    fn know(&mut self, path: &str, name: &str) {
        let path: String = path.chars().filter(|character| !character.is_ascii_digit()).collect();
        self.known.insert(if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") });
    }

    fn table<'p>(&mut self, found: &Found<'p>) -> Option<Place<'p>> {
        match found.value.as_table() {
            Some(table) => Some(Place { table, path: found.path.clone(), at: found.at, known: Vec::new() }),
            None => self.mistyped(found, "a table"),
        }
    }

    fn list<'p>(&mut self, found: &Found<'p>) -> Vec<Found<'p>> {
        let Some(array) = found.value.as_array() else {
            self.mistyped::<()>(found, "a list");
            return Vec::new();
        };
        let item = |(index, item): (usize, &'p Spanned<DeValue<'p>>)| Found {
            value: item.get_ref(),
            path: format!("{}[{index}]", found.path),
            at: item.span().start,
        };
        array.iter().enumerate().map(item).collect()
    }

    fn text<'p>(&mut self, found: &Found<'p>) -> Option<&'p str> {
        found.value.as_str().or_else(|| self.mistyped(found, "text"))
    }

    /// A text that people read.
    fn name(&mut self, found: &Found<'_>) -> Option<String> {
        let name = self.text(found)?;
        let plain = !name.chars().any(char::is_control) && name.trim() == name;
        if !plain || name.is_empty() || name.chars().count() > NAME_MAX {
            return self.wrong(found, format!("a name has 1 to {NAME_MAX} characters, no space at its ends"));
        }
        Some(name.to_owned())
    }

    fn number(&mut self, found: &Found<'_>) -> Option<u64> {
        let Some(integer) = found.value.as_integer() else { return self.mistyped(found, "a whole number") };
        // The database keeps money and counts in 63 bits.
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|number| u64::try_from(number).ok());
        number.or_else(|| self.wrong(found, format!("it must be from 0 to {}", i64::MAX)))
    }

    fn brand(&mut self, found: &Found<'_>) -> Option<Brand> {
        let mut place = self.table(found)?;
        let name = self.need(&mut place, "name").and_then(|name| self.name(&name));
        let colour = self.need(&mut place, "primary_color").and_then(|colour| self.colour(&colour));
        let logo = place.take("logo").and_then(|logo| self.logo(&logo));
        self.close(&place);
        Some(Brand { name: name?, primary_color: colour?, logo })
    }

    fn colour(&mut self, found: &Found<'_>) -> Option<Colour> {
        let text = self.text(found)?;
        match text.parse::<Colour>() {
            Ok(colour) => Some(colour),
            Err(error) => self.wrong(found, error.to_string()),
        }
    }

    fn logo(&mut self, found: &Found<'_>) -> Option<Logo> {
        let file = Path::new(self.text(found)?);
        let content_type = match file.extension().and_then(std::ffi::OsStr::to_str) {
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            _ => return self.wrong(found, "a logo is a file that ends with .svg or .png"),
        };
        let within = file.components().all(|part| matches!(part, Component::Normal(_)));
        if !within {
            return self
                .wrong(found, "the logo lies beside this file or in a folder there; name it from here");
        }
        Some(Logo { file: file.to_owned(), content_type, content: Bytes::new() })
    }

    /// Switches, under names with dots: those of nested tables are put together.
    fn features(&mut self, found: &Found<'_>) -> BTreeMap<String, bool> {
        let mut features = BTreeMap::new();
        self.know(&found.path, "*");
        if let Some(place) = self.table(found) {
            self.switches("", &place, &mut features);
        }
        features
    }

    fn switches(&mut self, before: &str, place: &Place<'_>, features: &mut BTreeMap<String, bool>) {
        for (name, found) in place.entries() {
            let name = format!("{before}{name}");
            match found.value {
                DeValue::Table(_) => {
                    if let Some(place) = self.table(&found) {
                        self.switches(&format!("{name}."), &place, features);
                    }
                }
                DeValue::Boolean(on) => {
                    self.mention(FEATURE, &name, &found);
                    features.insert(name, *on);
                }
                _ => {
                    self.mistyped::<()>(&found, "true or false");
                }
            }
        }
    }

    fn mention(&mut self, what: &'static str, name: &str, found: &Found<'_>) {
        let (line, key) = (self.line(found.at), found.path.clone());
        self.mentions.push(Mention { what, name: name.to_owned(), line, key });
    }

    fn plans(&mut self, found: &Found<'_>, features: &BTreeMap<String, bool>) -> Vec<Plan> {
        let mut plans = Vec::<Plan>::new();
        for found in self.list(found) {
            let Some(plan) = self.plan(&found, features) else { continue };
            if plans.iter().any(|other| other.key == plan.key) {
                self.wrong::<()>(&found, format!("another plan has the key {}", plan.key));
            }
            plans.push(plan);
        }
        plans
    }

    fn plan(&mut self, found: &Found<'_>, switched: &BTreeMap<String, bool>) -> Option<Plan> {
        let mut place = self.table(found)?;
        let key = self.need(&mut place, "key").and_then(|key| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            let text = self.text(&key)?;
            let usable = (1..=40).contains(&text.len()) && text.bytes().all(plain);
            if usable {
                Some(text.to_owned())
            } else {
                self.wrong(&key, "a key is 1 to 40 of a-z, 0-9 and _")
            }
        });
        let name = self.need(&mut place, "name").and_then(|name| self.name(&name));
        let price = self.need(&mut place, "price_cents").and_then(|price| self.number(&price));
        let currency = self.need(&mut place, "currency").and_then(|currency| {
            let text = self.text(&currency)?;
            let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
            if is_code {
                Some(text.to_owned())
            } else {
                self.wrong(&currency, "a currency is three capitals: EUR")
            }
        });
        let features =
            place.take("features").map(|features| self.included(&features, switched)).unwrap_or_default();
        let limits = place.take("limits").map(|limits| self.limits(&limits)).unwrap_or_default();
        self.close(&place);
        Some(Plan { key: key?, name: name?, price_cents: price?, currency: currency?, features, limits })
    }

    fn included(&mut self, found: &Found<'_>, switched: &BTreeMap<String, bool>) -> BTreeSet<String> {
        let mut features = BTreeSet::new();
        for found in self.list(found) {
            let Some(name) = self.text(&found) else { continue };
            if !switched.contains_key(name) {
                self.wrong::<()>(&found, format!("{name} is not in [features]; put it there, on or off"));
            }
            if !features.insert(name.to_owned()) {
                self.wrong::<()>(&found, format!("{name} is named twice"));
            }
        }
        features
    }

    /// Numbers, under names with dots.
    fn limits(&mut self, found: &Found<'_>) -> BTreeMap<String, u64> {
        let mut limits = BTreeMap::new();
        self.know(&found.path, "*");
        let Some(place) = self.table(found) else { return limits };
        let mut places = vec![(String::new(), place)];
        while let Some((before, place)) = places.pop() {
            for (name, found) in place.entries() {
                let name = format!("{before}{name}");
                if found.value.is_table() {
                    places.extend(self.table(&found).map(|place| (format!("{name}."), place)));
                } else if let Some(number) = self.number(&found) {
                    self.mention(LIMIT, &name, &found);
                    limits.insert(name, number);
                }
            }
        }
        limits
    }

    fn default_plan(&mut self, root: &mut Place<'_>, plans: &[Plan]) -> Option<String> {
        if root.table.iter().any(|(key, _)| key.get_ref() == "plans") {
            let found = self.need(root, "default_plan")?;
            let key = self.text(&found)?;
            if plans.iter().any(|plan| plan.key == key) || !self.faults.is_empty() {
                return Some(key.to_owned());
            }
            return self.wrong(&found, format!("no plan has the key {key}"));
        }
        let found = root.take("default_plan")?;
        self.wrong(&found, "there are no plans")
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
