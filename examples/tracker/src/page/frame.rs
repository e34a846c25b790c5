//! What surrounds every page: who is there, in which workspace, what they may do.

use std::collections::BTreeMap;

use http::header::HeaderMap;
use kernel_core::http::{Environment, ErrorView, Incoming, Input, InputShape, prefers_json};
use kernel_core::product::Brand;
use kernel_core::seam::Person;
use kernel_core::{Ctx, Error, Language, Permission, TenantTx, Tx, WorkspaceStatus, people};
use serde::{Serialize, Serializer};

use super::{asset, log};
use crate::permission;
use crate::tracker::Tracker;

/// The product, as pages speak of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    pub(crate) name: String,
    /// The logo's name among the files that pages refer to, if it is not the one drawn into them.
    logo: Option<&'static str>,
    #[serde(serialize_with = "environment")]
    pub(crate) environment: Environment,
    /// Whether the log lines of requests can be looked at.
    #[serde(skip)]
    keeps_log: bool,
}

impl Seen {
    pub(crate) fn new(brand: &Brand, environment: Environment, keeps_log: bool) -> Self {
        let logo = brand.logo.as_ref().map(asset::logo_name);
        Self { name: brand.name.clone(), logo, environment, keeps_log }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn environment<S: Serializer>(environment: &Environment, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *environment == Environment::Development {
        "dev"
    } else {
        environment.name()
    })
}

/// The page that somebody asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(super) path: String,
    /// A script asks, which shows errors itself.
    pub(super) scripted: bool,
}

impl Asked {
    pub(super) fn new(path: &str, headers: &HeaderMap) -> Self {
        Self { path: path.to_owned(), scripted: prefers_json(headers) }
    }
}

impl Input for Asked {
    fn read(from: &Incoming) -> Result<Self, Error> {
        Ok(Self::new(from.head().uri.path(), &from.head().headers))
    }

    fn describe(_: &mut InputShape<'_>) {}
}

/// What `layout.html` and `workspace_layout.html` need.
#[derive(Debug, Serialize)]
pub(crate) struct Frame {
    #[serde(skip)]
    language: Language,
    app: Seen,
    csrf: String,
    user: Option<Viewer>,
    path: String,
    request_id: String,
    /// Where the log lines of this request are.
    log_url: Option<String>,
    #[serde(flatten)]
    place: Option<Place>,
}

#[derive(Debug, Serialize)]
struct Viewer {
    name: String,
    email: String,
}

/// What is known inside a workspace.
#[derive(Debug, Serialize)]
struct Place {
    workspace: Here,
    workspaces: Vec<Listed>,
    can: BTreeMap<&'static str, bool>,
}

#[derive(Debug, Serialize)]
struct Here {
    name: String,
    slug: String,
    role: &'static str,
    base: String,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    slug: String,
    url: String,
}

/// Where the pages of a workspace are.
pub(super) fn base(slug: &str) -> String {
    format!("/w/{slug}")
}

impl Frame {
    fn new(product: &Seen, ctx: &Ctx, viewer: Option<Person>, asked: &Asked) -> Self {
        Self {
            language: ctx.language(),
            app: product.clone(),
            csrf: ctx.csrf().unwrap_or_default().to_owned(),
            user: viewer.map(|person| Viewer { name: person.name, email: person.email }),
            path: asked.path.clone(),
            request_id: ctx.request_id().to_string(),
            log_url: None,
            place: None,
        }
    }

    pub(super) fn of_error(product: &Seen, view: &ErrorView<'_>) -> Self {
        Self {
            language: view.language,
            app: product.clone(),
            csrf: String::new(),
            user: None,
            path: view.path.to_owned(),
            request_id: view.request_id.to_string(),
            log_url: log::url(view.path, &view.request_id.to_string())
                .filter(|_| product.keeps_log && view.signed_in),
            place: None,
        }
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// The address of the workspace's pages; empty outside one.
    pub(super) fn base(&self) -> &str {
        self.place.as_ref().map_or("", |place| &place.workspace.base)
    }
}

impl Tracker {
    /// The frame of a page outside any workspace.
    pub(super) async fn frame(&self, tx: &mut impl Tx, asked: &Asked) -> Result<Frame, Error> {
        let ctx = tx.ctx().clone();
        let viewer = people(tx, ctx.actor().user().as_slice()).await?.pop();
        Ok(Frame::new(self.pages.product(), &ctx, viewer, asked))
    }

    /// The frame of a page inside the transaction's workspace.
    pub(super) async fn frame_inside(&self, tx: &mut TenantTx, asked: &Asked) -> Result<Frame, Error> {
        let mut frame = self.frame(tx, asked).await?;
        let ctx = tx.ctx().clone();
        let grant = ctx.grant().ok_or_else(Error::not_found)?;
        let mine = self.tenancy.list_mine(tx).await?;
        let slug = grant.workspace().slug().to_owned();
        let here = mine.iter().find(|mine| mine.workspace.id == grant.workspace().id());
        frame.place = Some(Place {
            workspace: Here {
                name: here.map_or_else(|| slug.clone(), |mine| mine.workspace.name.clone()),
                base: base(&slug),
                role: grant.role().name(),
                slug,
            },
            workspaces: mine
                .into_iter()
                .map(|mine| Listed {
                    url: format!("{}/projects", base(&mine.workspace.slug)),
                    name: mine.workspace.name,
                    slug: mine.workspace.slug,
                })
                .collect(),
            can: permission::ALL
                .iter()
                .chain(kernel_tenancy::permission::ALL)
                .map(|permission| (permission.name(), may(&ctx, *permission)))
                .collect(),
        });
        Ok(frame)
    }
}

/// Whether a page should offer it: where nobody may write, what writes is not shown.
pub(super) fn may(ctx: &Ctx, permission: Permission) -> bool {
    let active = ctx.workspace().is_ok_and(|workspace| workspace.status() == WorkspaceStatus::Active);
    ctx.can(permission)
        && (active || permission.name().rsplit_once('.').is_some_and(|(_, verb)| verb == "read"))
}
