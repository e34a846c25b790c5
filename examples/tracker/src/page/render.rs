//! The templates, the texts and what is needed to make a page of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kernel_core::http::{ErrorView, Html};
use kernel_core::product::Brand;
use kernel_core::{Error, Flaw, Language, Messages, Pillar};
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::asset::Assets;
use super::form::Refused;
use super::frame::{Frame, Seen};

/// Makes pages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pages(Arc<Shared>);

struct Shared {
    /// The templates, each time with the texts of one language.
    environments: BTreeMap<Language, Environment<'static>>,
    messages: Arc<Messages>,
    assets: Arc<Assets>,
    product: Seen,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("product", &self.0.product).finish_non_exhaustive()
    }
}

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../templates/", $name)))),*]
    };
}

const TEMPLATES: &[(&str, &str)] = &templates![
    "_comments.html",
    "_history.html",
    "_macros.html",
    "activity.html",
    "error.html",
    "import.html",
    "issue.html",
    "issue_new.html",
    "issues.html",
    "jump.html",
    "labels.html",
    "layout.html",
    "log_in.html",
    "members.html",
    "project_new.html",
    "projects.html",
    "request.html",
    "search.html",
    "sign_up.html",
    "welcome.html",
    "workspace_layout.html",
    "workspace_new.html",
    "workspaces.html",
];

impl Pages {
    /// Pages with the texts of these pillars and of the tracker.
    pub(crate) fn new(product: Seen, brand: &Brand, pillars: &[Pillar]) -> Self {
        let mut messages = Messages::of(pillars).expect("the texts of the pillars are tested");
        messages.add(crate::tracker::TEXTS).expect("the tracker's texts are tested");
        let (tag, german) = crate::tracker::GERMAN;
        messages.translate(tag, german).expect("the tracker's texts are tested");
        let (messages, assets) = (Arc::new(messages), Arc::new(Assets::new(brand)));
        let environments =
            messages.languages().map(|language| (language, environment(language, &messages, &assets)));
        let environments = environments.collect();
        Self(Arc::new(Shared { environments, messages, assets, product }))
    }

    pub(crate) fn product(&self) -> &Seen {
        &self.0.product
    }

    pub(super) fn assets(&self) -> &Assets {
        &self.0.assets
    }

    /// A text without parameters.
    pub(crate) fn text(&self, language: Language, key: &str) -> String {
        self.0.messages.t(language, key, &BTreeMap::new())
    }

    /// What is wrong with a field.
    pub(super) fn flaw(&self, language: Language, flaw: &Flaw) -> String {
        self.0.messages.t(language, flaw.key(), flaw.args())
    }

    /// The page of this template; `content` is what it needs beside the frame.
    pub(super) fn html(&self, template: &str, frame: &Frame, content: Value) -> Result<Html, Error> {
        self.render(template, frame, content).map(Html::new).map_err(Error::internal)
    }

    /// The page of a form again, with what was sent and what is wrong with it.
    pub(super) fn again(
        &self,
        template: &str,
        frame: &Frame,
        refused: &Refused,
        content: Value,
    ) -> Result<Html, Error> {
        let (messages, language) = (&self.0.messages, frame.language());
        let error = &refused.error;
        let fields: BTreeMap<_, _> =
            error.fields().iter().map(|(name, flaw)| (name, self.flaw(language, flaw))).collect();
        // A message at a field says it all; one about something that the form does not show must stand above it.
        let placed = !fields.is_empty() && fields.keys().all(|name| refused.sent.contains_key(*name));
        let whole = messages.t(language, &format!("error.{}", error.code()), error.args());
        let again = context! {
            values => Value::from(Serde(&refused.sent)),
            errors => Value::from(Serde(&fields)),
            form_error => if placed { String::new() } else { whole },
        };
        let html = self.html(template, frame, context! { ..again, ..content })?;
        Ok(html.refusing(error.kind()))
    }

    /// The page that says what went wrong.
    pub(crate) fn error(&self, view: &ErrorView<'_>) -> String {
        let titled = format!("error.title.{}", view.status);
        let title = if self.0.messages.has(&titled) { titled } else { "error.title".to_owned() };
        let content = context! {
            status => view.status,
            code => view.code,
            title => self.text(view.language, &title),
            message => view.message,
            fields => Value::from(Serde(view.fields)),
            signed_in => view.signed_in,
        };
        let frame = Frame::of_error(&self.0.product, view);
        self.render("error.html", &frame, content).unwrap_or_else(|error| {
            tracing::error!(%error, "the error page cannot be made");
            format!("{}\n", view.request_id)
        })
    }

    fn render(&self, template: &str, frame: &Frame, content: Value) -> Result<String, minijinja::Error> {
        let environment = &self.0.environments[&frame.language()];
        let frame = Value::from(Serde(frame));
        environment.get_template(template)?.render(context! { ..content, ..frame })
    }
}

/// The templates with the texts of this language.
fn environment(language: Language, messages: &Arc<Messages>, assets: &Arc<Assets>) -> Environment<'static> {
    let mut environment = Environment::new();
    // A name that is misspelt in a template shows in the tests instead of as nothing.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("the templates are tested");
    }
    let texts = messages.clone();
    environment.add_function("t", move |key: &str, args: Kwargs| {
        let mut values = BTreeMap::new();
        for name in args.args() {
            values.insert(name, args.get::<Value>(name)?.to_string());
        }
        Ok::<_, minijinja::Error>(texts.t(language, key, &values))
    });
    let files = assets.clone();
    environment.add_function("static_url", move |name: &str| {
        let unknown = || minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, "no such file");
        files.path(name).ok_or_else(unknown)
    });
    environment
}
