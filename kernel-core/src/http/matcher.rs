//! Which route a request means. Core matches, so that every framework agrees.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::Method;
use http::request::Parts;

use super::config::{HttpConfig, Resolution};
use super::input::is_form;
use super::openapi;
use super::reply::Shutdown;
use super::route::{Access, Route};
use super::security::SecurityHeaders;

/// The parameter that holds the workspace's slug under [`Resolution::Path`].
const WORKSPACE: &str = "workspace";

/// Every route of an app, mounted and ready to be matched.
pub struct Table {
    router: matchit::Router<usize>,
    places: Vec<Place>,
    routes: Vec<Arc<Route>>,
    pub(crate) document: Arc<openapi::Document>,
    pub(crate) security: SecurityHeaders,
    pub(crate) shutdown: Shutdown,
    api_prefix: String,
    body_limit: usize,
}

/// One path and the methods that it takes.
#[derive(Debug)]
struct Place {
    template: Arc<str>,
    methods: Vec<Arc<Route>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// What a request means, as far as its head tells.
#[derive(Debug, Clone)]
pub struct Matched {
    pub(crate) target: Target,
    pub(crate) html: bool,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) workspace: Option<String>,
    body_limit: usize,
    reads_file: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Missing,
    /// The path exists, with these methods.
    OtherMethod(String),
    /// `OPTIONS` on a path with these methods.
    Options(String),
    Route {
        route: Arc<Route>,
        template: Arc<str>,
    },
    /// A handler of the host's own, with its template.
    Own(Arc<str>),
}

impl Matched {
    /// How many bytes of body the adapter reads before it gives up with [`App::refuse`](crate::App::refuse).
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.body_limit
    }

    /// Whether the body may be handed over as [`Payload::Coming`](super::Payload).
    #[must_use]
    pub fn reads_file(&self) -> bool {
        self.reads_file
    }

    /// The route; `None` when the path or the method is unknown.
    #[must_use]
    pub fn route(&self) -> Option<&Route> {
        match &self.target {
            Target::Route { route, .. } => Some(route),
            _ => None,
        }
    }

    /// The same request, served by a handler of the host's own with this template.
    pub(crate) fn for_own(self, template: &str) -> Self {
        Self { target: Target::Own(template.into()), ..self }
    }

    pub(crate) fn template(&self) -> &str {
        match &self.target {
            Target::Route { template, .. } | Target::Own(template) => template,
            _ => "",
        }
    }
}

impl Table {
    /// Mounts the routes. `cookie` is the name of the session cookie.
    ///
    /// # Errors
    /// Every pair of routes that cannot be told apart.
    pub fn new(
        mut routes: Vec<Route>,
        config: &HttpConfig,
        cookie: Option<&str>,
    ) -> Result<Self, Vec<String>> {
        let document = Arc::new(openapi::Document::of(&routes, config, cookie));
        routes.push(document.route());
        #[cfg(feature = "reference")]
        if config.reference {
            routes.extend(super::reference::routes(&document.value));
        }
        let mut problems = Vec::new();
        let mut operations = BTreeMap::new();
        let (mut paths, mut places) = (matchit::Router::new(), Vec::<Place>::new());
        let mut by_template = BTreeMap::<String, usize>::new();
        let routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
        for route in &routes {
            if let Some(other) = operations.insert(route.operation, route) {
                problems.push(format!("the operation {} is both {other:?} and {route:?}", route.operation));
            }
            let template = mounted(route, config);
            let index = *by_template.entry(template.clone()).or_insert_with(|| {
                places.push(Place { template: template.as_str().into(), methods: Vec::new() });
                places.len() - 1
            });
            let methods = &mut places[index].methods;
            if let Some(other) = methods.iter().find(|other| other.method == route.method) {
                problems.push(format!("{other:?} and {route:?} are both {} {template}", route.method));
            }
            if methods.is_empty()
                && let Err(error) = paths.insert(template.clone(), index)
            {
                problems.push(format!("{route:?} cannot be told from another route at {template}: {error}"));
            }
            methods.push(route.clone());
        }
        let security = SecurityHeaders::new(&config.csp, config.strict_transport);
        match security {
            Some(security) if problems.is_empty() => Ok(Self {
                router: paths,
                places,
                routes,
                document,
                security,
                shutdown: Shutdown::default(),
                api_prefix: config.api_prefix.clone(),
                body_limit: config.body_limit,
            }),
            security => {
                if security.is_none() {
                    problems.push("http: the content security policy holds what no header may".to_owned());
                }
                Err(problems)
            }
        }
    }

    /// Every route, in order of registration.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(AsRef::as_ref)
    }

    pub(crate) fn find(&self, head: &Parts) -> Matched {
        let path = head.uri.path();
        let mut matched = Matched {
            target: Target::Missing,
            html: !path
                .strip_prefix(&self.api_prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            params: Vec::new(),
            workspace: None,
            body_limit: self.body_limit,
            reads_file: false,
        };
        let Ok(found) = self.router.at(path) else { return matched };
        // The raw path was matched, so an encoded slash stays inside its segment.
        for (name, value) in found.params.iter() {
            let Ok(value) = percent_encoding::percent_decode_str(value).decode_utf8() else { return matched };
            if name == WORKSPACE {
                matched.workspace = Some(value.into_owned());
            } else {
                matched.params.push((name.to_owned(), value.into_owned()));
            }
        }
        let place = &self.places[*found.value];
        let with = |method: &Method| place.methods.iter().find(|route| route.method == *method);
        let route = with(&head.method);
        let route = if head.method == Method::HEAD { route.or_else(|| with(&Method::GET)) } else { route };
        matched.target = match route {
            Some(route) => {
                matched.html = route.page;
                matched.reads_file = route.reading.reads_file && !is_form(&head.headers);
                // Where a file is read, a form is the exception, which lies in memory.
                let usual = route.reading.reads_file && !matched.reads_file;
                matched.body_limit = route.body_limit.filter(|_| !usual).unwrap_or(self.body_limit);
                Target::Route { route: route.clone(), template: place.template.clone() }
            }
            None if head.method == Method::OPTIONS => Target::Options(place.allow()),
            None => Target::OtherMethod(place.allow()),
        };
        matched
    }
}

impl Place {
    /// The methods of this path, for the `Allow` header.
    fn allow(&self) -> String {
        let mut names: Vec<_> = self.methods.iter().map(|route| route.method.as_str()).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("OPTIONS");
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }
}

/// The whole path of a route, with the prefix of the API and the place of the workspace.
pub(crate) fn mounted(route: &Route, config: &HttpConfig) -> String {
    let prefix = if route.page { "" } else { config.api_prefix.as_str() };
    let in_path = matches!(route.access, Access::Member(_)) && config.resolution == Resolution::Path;
    let workspace = if in_path { "/w/{workspace}" } else { "" };
    let path = match (route.path, prefix, workspace) {
        ("/", "", "") => "/",
        ("/", ..) => "",
        (path, ..) => path,
    };
    format!("{prefix}{workspace}{path}")
}

#[cfg(test)]
mod tests;
