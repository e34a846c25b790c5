//! The log lines of one request, where people develop.

use http::Method;
use kernel_core::http::{Environment, Html, Path, Route};
use kernel_core::{Error, TenantTx, Tx};
use minijinja::context;

use super::frame::{Asked, base};
use crate::log::{Line, RequestLog};
use crate::permission::LOG_READ;
use crate::tracker::{Settings, Tracker};

/// The page, if lines are kept here. Production has none, whatever its settings say.
pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (at, operation) = ("/requests/{request}", "tracker.page.request");
    let log = tracker.log.clone().into_iter();
    log.map(|log| Route::tenant(Method::GET, at, operation, LOG_READ, (tracker.clone(), log), show).page())
        .collect()
}

/// The lines that these settings let be kept.
pub(crate) fn kept(settings: &Settings) -> Option<RequestLog> {
    settings.log.clone().filter(|_| settings.environment == Environment::Development)
}

/// Where the lines of a request are, for a request to a page of a workspace.
pub(super) fn url(path: &str, request: &str) -> Option<String> {
    let slug = path.strip_prefix(&base(""))?.split('/').next().filter(|slug| !slug.is_empty())?;
    Some(format!("{}/requests/{request}", base(slug)))
}

async fn show(
    (tracker, log): (Tracker, RequestLog),
    tx: &mut TenantTx,
    (asked, Path(request)): (Asked, Path<String>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let lines = log.lines(&request, &tx.workspace_id().to_string());
    let lines: Vec<_> = lines
        .into_iter()
        .map(|Line { at, level, target, text, .. }| context! { at, level, target, text })
        .collect();
    tracker.pages.html("request.html", &frame, context! { request, lines })
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn only_pages_of_a_workspace_have_lines_to_look_at() {
        assert_eq!(url("/w/acme/projects", "req_1").as_deref(), Some("/w/acme/requests/req_1"));
        assert_eq!(url("/w/acme", "req_1").as_deref(), Some("/w/acme/requests/req_1"));
        for other in ["/", "/w/", "/workspaces", "/w"] {
            assert_eq!(url(other, "req_1"), None, "{other}");
        }
    }
}
