//! The faults that the proof can plant in the product, in its database and in its own list of masks.

use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use kernel_core::http::{Json, Path, Route};
use kernel_core::{AuditAction, AuditEntry, Error, Pillar, TenantTx, Tx, audit};
use sqlx::{Executor, Row};

kernel_core::permissions! {
    /// For the routes that are planted.
    pub READ = "isolation.read" for Viewer;
    /// For a route that should be in the audit log.
    pub ADMINISTER = "isolation.administer" for Admin;
}

/// A privileged route writes no audit row.
pub const SILENT_ROUTE: &str = "silent-route";
/// A privileged route tells the audit log of a deed that no pillar declares.
pub const UNDECLARED_DEED: &str = "undeclared-deed";

/// A fault, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    None,
    /// The explicit filters and the policies are both off.
    NoWhere,
    /// Every tenant policy lets everything through while the filters are off.
    PolicyTrue,
    /// A handler keeps the last page in memory, for whoever comes next.
    SharedCursor,
    /// The list of masks hides bodies.
    MaskEverything,
    /// A route for which nobody can find a request that succeeds.
    RouteWithoutOwnCase,
    /// A mutant that changes nothing.
    Survivor,
    /// [`SILENT_ROUTE`]; [`Tripwire`](super::Tripwire) must notice it.
    SilentRoute,
    /// [`UNDECLARED_DEED`]; the same must notice it.
    UndeclaredDeed,
}

impl Plant {
    pub(super) fn of(fault: Option<&str>) -> Self {
        match fault {
            Some("no-where") => Self::NoWhere,
            Some("policy-true") => Self::PolicyTrue,
            Some("shared-cursor") => Self::SharedCursor,
            Some("mask-everything") => Self::MaskEverything,
            Some("route-without-own-case") => Self::RouteWithoutOwnCase,
            Some("survivor") => Self::Survivor,
            Some(SILENT_ROUTE) => Self::SilentRoute,
            Some(UNDECLARED_DEED) => Self::UndeclaredDeed,
            _ => Self::None,
        }
    }

    /// The faulty pillar, where the fault is one of a product.
    pub(super) fn pillar(self) -> Option<Pillar> {
        let route = match self {
            Self::SharedCursor => {
                let page = Page::default();
                Route::tenant(Method::GET, "/planted/page", "isolation.page.list", READ, page, next_page)
            }
            Self::RouteWithoutOwnCase => {
                Route::tenant(Method::GET, "/planted/{thing}", "isolation.thing.show", READ, (), nothing)
            }
            Self::SilentRoute => Route::tenant(
                Method::POST,
                "/planted/silence",
                "isolation.silence.keep",
                ADMINISTER,
                (),
                silence,
            ),
            Self::UndeclaredDeed => {
                Route::tenant(Method::POST, "/planted/deed", "isolation.deed.do", ADMINISTER, (), undeclared)
            }
            _ => return None,
        };
        Some(Pillar::new("isolation_plant").permissions(ALL).routes([route]))
    }
}

/// A page that outlives the request: whoever asks next gets it, whichever tenant that is.
#[derive(Debug, Clone, Default)]
struct Page(Arc<Mutex<Option<Vec<String>>>>);

async fn next_page(page: Page, tx: &mut TenantTx, (): ()) -> Result<Json<Vec<String>>, Error> {
    let waiting = page.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(waiting) = waiting {
        return Ok(Json(waiting));
    }
    let sql = "SELECT slug FROM kernel_tenancy.workspace WHERE workspace_id = \
               nullif(current_setting('app.workspace_id', true), '')::uuid";
    let rows = tx.conn().fetch_all(sql).await.map_err(Error::internal)?;
    let names: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let names = names.map_err(Error::internal)?;
    *page.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(names.clone());
    Ok(Json(names))
}

async fn silence((): (), _: &mut TenantTx, (): ()) -> Result<Json<&'static str>, Error> {
    Ok(Json("done"))
}

async fn undeclared((): (), tx: &mut TenantTx, (): ()) -> Result<Json<&'static str>, Error> {
    const DEED: AuditAction = AuditAction::new("isolation.deed.do");
    audit(tx, AuditEntry::new(DEED)).await?;
    Ok(Json("done"))
}

async fn nothing((): (), _: &mut TenantTx, _: Path<String>) -> Result<Json<u8>, Error> {
    Err(Error::not_found())
}
