//! A route as data: where it is, who may call it, what it reads and answers.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::handler::{Bound, Call, Handler, Prepare, TxFn, TxStep};
use super::input::Input;
use super::output::Output;
use super::schema::{InputSchemas, InputShape, OutputShape, Reading};
use crate::db::{GlobalTx, TenantTx};
use crate::error::Error;
use crate::role::{Feature, Permission};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Anybody.
    Public,
    /// A person who has signed in.
    SignedIn,
    /// A member of staff.
    Staff,
    /// Whoever holds the permission in the request's workspace.
    Member(Permission),
}

/// Whether a repeated request is recognised by its `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Idempotency {
    /// A key is ignored.
    Off,
    /// A request with a key has its effect once; without one, each time.
    Accepted,
    /// A request without a key is refused.
    Required,
}

/// Which quota a route spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateClass {
    /// The usual ones.
    Default,
    /// Also a small one per address: log-in, sign-up, reset.
    Auth,
    /// Also a small one per workspace: exports, searches over everything.
    Heavy,
    /// One of its own per address, so that no client's requests make a probe fail.
    Probe,
}

/// One operation of the API, or one page.
#[derive(Clone)]
pub struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) access: Access,
    pub(crate) handler: Handler,
    pub(crate) page: bool,
    pub(crate) feature: Option<Feature>,
    pub(crate) verified: bool,
    pub(crate) idempotency: Idempotency,
    pub(crate) rate: RateClass,
    pub(crate) body_limit: Option<usize>,
    pub(crate) summary: Option<&'static str>,
    pub(crate) reading: Arc<Reading>,
    pub(crate) describe_input: fn(&mut InputShape<'_>),
    pub(crate) describe_output: fn(&mut OutputShape<'_>),
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({} {} {})", self.method, self.path, self.operation)
    }
}

impl Route {
    /// An operation inside a workspace, for whoever holds the permission. It runs in a transaction of that workspace,
    /// a read-only one for `GET`.
    ///
    /// ```
    /// # use kernel_core::{Error, TenantTx, http::{Json, Path, Route}};
    /// # kernel_core::permissions! {
    /// #     /// Read.
    /// #     pub READ = "demo.read" for Viewer;
    /// # }
    /// async fn show(_: (), _tx: &mut TenantTx, Path(number): Path<u32>) -> Result<Json<u32>, Error> {
    ///     Ok(Json(number))
    /// }
    /// let route = Route::tenant(http::Method::GET, "/numbers/{number}", "demo.number.show", READ, (), show);
    /// assert!(route.problems().is_empty());
    /// ```
    pub fn tenant<S, I, O, F>(
        method: Method,
        path: &'static str,
        operation: &'static str,
        need: Permission,
        state: S,
        handler: F,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: for<'t> TxFn<'t, S, TenantTx, I, Out = O> + 'static,
        I: Input,
        O: Output,
    {
        let handler: Arc<dyn Prepare<TxStep<TenantTx>>> = Arc::new(Bound::new(state, handler));
        Self::new::<I, O>(method, path, operation, Access::Member(need), Handler::Tenant(handler))
    }

    /// An operation outside any workspace. It runs in a transaction of the system workspace.
    pub fn global<S, I, O, F>(
        method: Method,
        path: &'static str,
        operation: &'static str,
        access: Access,
        state: S,
        handler: F,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: for<'t> TxFn<'t, S, GlobalTx, I, Out = O> + 'static,
        I: Input,
        O: Output,
    {
        let handler: Arc<dyn Prepare<TxStep<GlobalTx>>> = Arc::new(Bound::new(state, handler));
        Self::new::<I, O>(method, path, operation, access, Handler::Global(handler))
    }

    /// An operation that opens its own transactions, or none: hashing a password, a stream, a socket. With
    /// [`Access::Member`] it lives inside a workspace, like [`Route::tenant`].
    pub fn free<S, I, O, F, Fut>(
        method: Method,
        path: &'static str,
        operation: &'static str,
        access: Access,
        state: S,
        handler: F,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(S, Call, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Error>> + Send + 'static,
        I: Input,
        O: Output,
    {
        Self::new::<I, O>(
            method,
            path,
            operation,
            access,
            Handler::Free(Arc::new(Bound::new(state, handler))),
        )
    }

    fn new<I: Input, O: Output>(
        method: Method,
        path: &'static str,
        operation: &'static str,
        access: Access,
        handler: Handler,
    ) -> Self {
        let keyed = method == Method::POST && !matches!(handler, Handler::Free(_));
        Self {
            method,
            path,
            operation,
            access,
            handler,
            page: false,
            feature: None,
            verified: false,
            idempotency: if keyed { Idempotency::Accepted } else { Idempotency::Off },
            rate: RateClass::Default,
            body_limit: None,
            summary: None,
            reading: Arc::new(Reading::of(I::describe)),
            describe_input: I::describe,
            describe_output: O::describe,
        }
    }

    /// A page for people: outside the API prefix and the OpenAPI document, takes forms, shows errors as HTML.
    #[must_use]
    pub fn page(mut self) -> Self {
        self.page = true;
        self
    }

    /// Only for workspaces whose plan includes the feature.
    #[must_use]
    pub fn feature(mut self, feature: Feature) -> Self {
        self.feature = Some(feature);
        self
    }

    /// Only for people who have shown that their address is theirs.
    #[must_use]
    pub fn verified(mut self) -> Self {
        self.verified = true;
        self
    }

    /// What an `Idempotency-Key` does. A `POST` with a transaction accepts one unless this says otherwise.
    #[must_use]
    pub fn idempotent(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// Which quota it spends.
    #[must_use]
    pub fn rate(mut self, class: RateClass) -> Self {
        self.rate = class;
        self
    }

    /// What the body may weigh, instead of the app's usual limit.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// One line for the OpenAPI document.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.summary = Some(summary);
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without prefix and workspace.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The operation's id: `tracker.project.create`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Who may call it.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The permission that it needs, when it lives inside a workspace.
    #[must_use]
    pub fn permission(&self) -> Option<Permission> {
        match self.access {
            Access::Member(permission) => Some(permission),
            _ => None,
        }
    }

    /// The feature that the workspace's plan must include.
    #[must_use]
    pub fn required_feature(&self) -> Option<Feature> {
        self.feature
    }

    /// Whether it is a page for people.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.page
    }

    /// Whether it only reads: its transaction is read-only.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    /// What an `Idempotency-Key` does.
    #[must_use]
    pub fn idempotency(&self) -> Idempotency {
        self.idempotency
    }

    /// What it reads, as JSON schemas.
    #[must_use]
    pub fn input(&self) -> InputSchemas {
        InputSchemas::of(self.describe_input)
    }

    /// The names of the path's parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(parameter)
    }

    /// Why it cannot be served; empty when it can. The build asks.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.reading.problems.clone();
        problems.extend(self.path_problems());
        let mut refuse = |wrong: bool, why: &str| {
            if wrong {
                problems.push(why.to_owned());
            }
        };
        let operation = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'.' || c == b'_';
        refuse(
            !self.operation.contains('.') || !self.operation.bytes().all(operation),
            "the operation must look like pillar.noun.verb",
        );
        let free = matches!(self.handler, Handler::Free(_));
        let in_workspace = matches!(self.access, Access::Member(_));
        let global = matches!(self.handler, Handler::Global(_));
        refuse(
            global && in_workspace,
            "a global route is in no workspace, so it cannot need a permission there",
        );
        refuse(
            self.feature.is_some() && !in_workspace,
            "a feature belongs to a workspace's plan; this is in none",
        );
        refuse(
            self.verified && self.access == Access::Public,
            "nobody has verified anything on a public route",
        );
        let keyed = self.idempotency != Idempotency::Off;
        refuse(keyed && (free || self.is_safe()), "only a writing route with a transaction can take a key");
        refuse(self.is_safe() && self.reading.reads_body(), "a route that only reads has no body");
        problems.into_iter().map(|why| format!("{} {}: {why}", self.method, self.operation)).collect()
    }

    fn path_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let segments: Vec<_> = self.path.strip_prefix('/').unwrap_or_default().split('/').collect();
        let literal = |c: u8| c.is_ascii_alphanumeric() || b"-_.~".contains(&c);
        let sound = |segment: &&str| match parameter(segment) {
            Some(name) => !name.is_empty() && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'),
            None => !segment.is_empty() && segment.bytes().all(literal),
        };
        if !self.path.starts_with('/') || (self.path != "/" && !segments.iter().all(sound)) {
            problems.push(format!("the path {:?} must be segments, each plain or {{name}}", self.path));
        }
        let mut named: Vec<_> = self.parameters().collect();
        if named.contains(&"workspace") {
            problems.push("the app puts {workspace} before the path itself".to_owned());
        }
        named.sort_unstable();
        if named.windows(2).any(|pair| pair[0] == pair[1]) {
            problems.push("a parameter of the path comes twice".to_owned());
        }
        match (&self.reading.path, self.reading.reads_path) {
            (Some(fields), _) => {
                let mut fields: Vec<_> = fields.iter().map(String::as_str).collect();
                fields.sort_unstable();
                if fields != named {
                    problems.push(format!("the path names {named:?}, the handler reads {fields:?}"));
                }
            }
            (None, true) if named.len() != 1 => {
                problems.push(format!("the handler reads one value of the path, which names {named:?}"));
            }
            (None, false) if !named.is_empty() => {
                problems.push(format!("the handler does not read {named:?} of the path"));
            }
            _ => {}
        }
        problems
    }
}

/// The name in `{name}`.
pub(crate) fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests;
