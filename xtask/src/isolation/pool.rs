//! What a tenant has seen of its own: ids, values, addresses of things, in the answers to its own requests.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::exchange::Answer;

/// How many values of one name are kept.
const KEPT: usize = 40;

/// Values that go together: the parameters of one address, or the fields of one thing. Ids by prefix, others by name.
pub(super) type Together = BTreeMap<String, String>;

/// Everything that a tenant knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    /// Ids by prefix, in the order in which they were first seen.
    ids: BTreeMap<String, Vec<String>>,
    /// Other values by field or parameter name.
    values: BTreeMap<String, Vec<Value>>,
    pub(super) together: Vec<Together>,
    /// The next page of each list, by operation.
    pub(super) cursors: BTreeMap<String, String>,
}

impl Pool {
    pub(super) fn ids(&self, prefix: &str) -> &[String] {
        self.ids.get(prefix).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all_ids(&self) -> impl Iterator<Item = &String> {
        self.ids.values().flatten()
    }

    /// The first id of every noun.
    pub(super) fn one_of_each(&self) -> Vec<&String> {
        self.ids.values().filter_map(|ids| ids.first()).collect()
    }

    /// The latest text of every name.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Value> {
        self.values.values().filter_map(|values| values.iter().rev().find(|value| value.is_string()))
    }

    pub(super) fn values(&self, name: &str) -> &[Value] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes in what an own request and its successful answer show.
    pub(super) fn learn(
        &mut self,
        operation: &str,
        asked: &Together,
        answer: &Answer,
        templates: &Templates,
    ) {
        self.keep(asked.clone());
        let json = answer.json();
        if json.is_null() {
            let page = answer.text();
            self.addresses(&page, templates);
            if let Some((_, rest)) = page.split_once("cursor=") {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                let cursor: String = rest.chars().take_while(|c| plain(*c)).collect();
                self.cursors.insert(operation.to_owned(), cursor);
            }
        } else {
            self.object(&json, asked, templates);
        }
        if let Some(cursor) = json["next_cursor"].as_str() {
            self.cursors.insert(operation.to_owned(), cursor.to_owned());
        }
        if let Some(location) = answer.header("location") {
            self.address(location, templates);
        }
    }

    /// Takes in values that were sent and accepted.
    pub(super) fn remember(&mut self, name: &str, value: &Value) {
        let kept = self.values.entry(name.to_owned()).or_default();
        if !kept.contains(value) && kept.len() < KEPT {
            kept.push(value.clone());
        }
    }

    fn object(&mut self, json: &Value, asked: &Together, templates: &Templates) {
        match json {
            Value::Object(fields) => {
                let mut together = asked.clone();
                for (name, value) in fields {
                    match value.as_str().and_then(|text| Some((prefix_of(text)?, text))) {
                        // A thing's own id counts more than that of another to which it refers.
                        Some((prefix, text)) if name == "id" || !together.contains_key(prefix) => {
                            together.insert(prefix.to_owned(), text.to_owned());
                        }
                        Some(_) => {}
                        None => {
                            let plain = value
                                .as_str()
                                .map(str::to_owned)
                                .or_else(|| Some(value.as_i64()?.to_string()));
                            together.extend(plain.map(|text| (name.clone(), text)));
                        }
                    }
                    self.field(name, value, templates);
                }
                self.keep(together.clone());
                fields.values().for_each(|value| self.object(value, asked, templates));
            }
            Value::Array(items) => items.iter().for_each(|item| self.object(item, asked, templates)),
            _ => {}
        }
    }

    fn field(&mut self, name: &str, value: &Value, templates: &Templates) {
        match value {
            Value::String(text) if text.starts_with('/') => self.address(text, templates),
            Value::String(text) if prefix_of(text).is_some() => {}
            Value::String(_) | Value::Number(_) => self.remember(name, value),
            _ => {}
        }
    }

    /// The addresses in a page.
    fn addresses(&mut self, html: &str, templates: &Templates) {
        // Templates may escape the slash too.
        let html = html.replace("&#x2f;", "/").replace("&amp;", "&");
        for attribute in ["href=\"", "src=\"", "action=\""] {
            for rest in html.split(attribute).skip(1) {
                self.address(rest.split('"').next().unwrap_or_default(), templates);
            }
        }
    }

    fn address(&mut self, url: &str, templates: &Templates) {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        for parameters in templates.read(path) {
            for (name, value) in &parameters {
                if prefix_of(value).is_none() {
                    self.remember(name, &Value::from(value.clone()));
                }
            }
            self.keep(parameters);
        }
    }

    fn keep(&mut self, together: Together) {
        for (prefix, id) in &together {
            if prefix_of(id) == Some(prefix) {
                let kept = self.ids.entry(prefix.clone()).or_default();
                if !kept.contains(id) {
                    kept.push(id.clone());
                }
            }
        }
        if !together.is_empty() && !self.together.contains(&together) {
            self.together.push(together);
        }
    }
}

/// The noun of an id on the wire; `None` for any other text.
pub(super) fn prefix_of(text: &str) -> Option<&str> {
    let (prefix, digits) = text.rsplit_once('_')?;
    let noun = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_lowercase());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (noun && digits.len() == 32 && digits.bytes().all(hex)).then_some(prefix)
}

/// The mounted paths of all routes, for reading addresses that answers hold.
#[derive(Debug, Clone)]
pub(super) struct Templates(Vec<String>);

impl Templates {
    pub(super) fn new(paths: impl Iterator<Item = String>) -> Self {
        Self(paths.filter(|path| path.contains('{')).collect())
    }

    /// The parameters of the address under each template that it fits, ids by their prefix.
    fn read(&self, path: &str) -> Vec<Together> {
        self.0.iter().filter_map(|template| read_one(template, path)).collect()
    }
}

fn read_one(template: &str, path: &str) -> Option<Together> {
    let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return None;
    }
    let mut parameters = Together::new();
    for (wanted, given) in wanted.into_iter().zip(given) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(_) if given.is_empty() => return None,
            // The workspace's place in the path is no value of a route.
            Some("workspace") => {}
            Some(name) => {
                let value = percent_decode_str(given).decode_utf8().ok()?.into_owned();
                let key = prefix_of(&value).unwrap_or(name).to_owned();
                parameters.insert(key, value);
            }
            None if wanted != given => return None,
            None => {}
        }
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "iss_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";

    #[test]
    fn addresses_are_read_by_the_routes_templates() {
        let templates = Templates::new(
            ["/w/{workspace}/issues/{issue}", "/static/{name}", "/x"].map(str::to_owned).into_iter(),
        );
        let mut pool = Pool::default();
        let page = format!(
            "<a href=\"/w/acme/issues/{ID}?tab=1\"><link href=\"/static/app%2Ecss\"><a href=\"/y/z\">"
        );
        pool.addresses(&page, &templates);
        assert_eq!(pool.ids("iss"), [ID]);
        assert_eq!(pool.values("name"), ["app.css"]);
        assert!(pool.values("workspace").is_empty());
    }

    #[test]
    fn an_id_is_a_noun_and_thirty_two_digits() {
        assert_eq!(prefix_of(ID), Some("iss"));
        for other in ["", "iss_", "iss_0192E0C17A2B7C3D8E4F5A6B7C8D9E0F", "0192e0c17a2b7c3d8e4f5a6b7c8d9e0f"]
        {
            assert_eq!(prefix_of(other), None, "{other}");
        }
    }
}
