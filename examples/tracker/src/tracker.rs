//! The product as a pillar, and the app around it.

use std::sync::Arc;

use kernel_auth::Auth;
use kernel_core::http::{Environment, ErrorPage};
use kernel_core::{App, AppBuilder, Config, Db, JobDef, Migrations, Pillar, Product, Table};
use kernel_jobs::Jobs;
use kernel_tenancy::Tenancy;

use crate::hook::GettingStarted;
use crate::job::{PurgeProject, purge_project};
use crate::log::RequestLog;
use crate::page::{Pages, Seen};
use crate::{action, activity, http, page, permission};

/// The tracker's own texts.
pub(crate) const TEXTS: &str = include_str!("../locales/en.json");

/// The same in German; the kernel's pillars bring theirs.
pub(crate) const GERMAN: (&str, &str) = ("de", include_str!("../locales/de.json"));

const PRODUCT_FILE: &str = "product.config.toml";
const PRODUCT: &str = include_str!("../product.config.toml");

/// What can be chosen about the tracker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Brand, features and plans.
    pub product: Arc<Product>,
    /// Whether people depend on this process; pages say so when they do not.
    pub environment: Environment,
    /// How long sessions last, and how many passwords are hashed at once.
    pub auth: kernel_auth::Settings,
    /// Where the lines of requests are kept for whoever develops; production keeps none.
    pub log: Option<RequestLog>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            product: Arc::new(Product::parse(PRODUCT_FILE, PRODUCT).expect("the file is tested")),
            environment: Environment::default(),
            auth: kernel_auth::Settings::default(),
            log: None,
        }
    }
}

/// The issue tracker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tracker {
    pub(crate) auth: Auth,
    pub(crate) tenancy: Tenancy,
    pub(crate) pages: Pages,
    pub(crate) log: Option<RequestLog>,
    product: Arc<Product>,
}

/// The whole product: the kernel's pillars and the tracker's own.
#[must_use]
pub fn app(db: Db, mut config: Config, settings: &Settings) -> AppBuilder {
    let tracker = Tracker::new(settings);
    tracker.configure(&mut config);
    tracker.register(App::builder(db, config))
}

impl Tracker {
    /// The product with these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let auth = Auth::new(settings.auth.clone());
        let log = page::log::kept(settings);
        let product = settings.product.clone();
        let seen = Seen::new(product.brand(), settings.environment, log.is_some());
        let pages = Pages::new(seen, product.brand(), &[Jobs::new().into(), (&auth).into(), Tenancy.into()]);
        Self { auth, tenancy: Tenancy, pages, log, product }
    }

    /// Sets what follows from the product itself, and leaves what the host chooses.
    pub fn configure(&self, config: &mut Config) {
        let product = self.pages.product();
        product.name.clone_into(&mut config.http.title);
        config.http.environment = product.environment;
        config.product = Some(self.product.clone());
        config.languages = vec![GERMAN.0.to_owned()];
        config.http.reference = true;
        config.http.sign_in_page = Some("/log-in".to_owned());
        let pages = self.pages.clone();
        config.http.error_page = ErrorPage::new(move |view| pages.error(view));
    }

    /// Registers the kernel's pillars and the tracker's own.
    #[must_use]
    pub fn register(&self, builder: AppBuilder) -> AppBuilder {
        builder.with(Jobs::new()).with(&self.auth).with(self.tenancy).with(self.clone())
    }
}

impl From<Tracker> for Pillar {
    fn from(tracker: Tracker) -> Self {
        let product = tracker.product.clone();
        activity::declare(Self::new("tracker"))
            .migrations(Migrations::new("tracker", sqlx::migrate!("./migrations")))
            .tables([
                Table::tenant("tracker", "project")
                    .public(&[
                        "id",
                        "key",
                        "last_issue_number",
                        "created_by",
                        "created_at",
                        "updated_at",
                        "deleted_at",
                    ])
                    .private(&["name", "description"])
                    .searchable("english", &["name", "description"]),
                Table::tenant("tracker", "issue")
                    .public(&["id", "project_id", "number", "status", "priority", "priority_rank"])
                    .public(&["assignee_id", "created_by", "created_at", "updated_at"])
                    .private(&["title", "body"])
                    .searchable("english", &["title", "body"])
                    .searchable_within("project_id"),
                Table::tenant("tracker", "comment")
                    .public(&["id", "issue_id", "created_by", "created_at", "updated_at"])
                    .private(&["body"])
                    .searchable("english", &["body"]),
                Table::tenant("tracker", "label")
                    .public(&["id", "colour", "created_at", "updated_at"])
                    .private(&["name"]),
                Table::tenant("tracker", "issue_label").public(&["issue_id", "label_id"]),
            ])
            .permissions(permission::ALL)
            .audits(action::ALL)
            .messages(TEXTS)
            .translation(GERMAN.0, GERMAN.1)
            .routes(http::routes(&tracker))
            .routes(page::routes(&tracker))
            .on_workspace_created(GettingStarted(tracker))
            .provides_entitlements(product)
            .jobs([JobDef::new::<PurgeProject, _, _>((), purge_project)])
    }
}
