//! Which workspace the request is about, and what the actor may do there.

use super::Gate;
use super::arrival::single;
use crate::actor::Actor;
use crate::ctx::Ctx;
use crate::error::{Error, ErrorKind};
use crate::http::config::Resolution;
use crate::http::route::{Access, Route};
use crate::seam::WorkspaceName;
use crate::workspace::{Grant, Workspace, WorkspaceStatus};

const HEADER: &str = "x-workspace-id";

impl Gate<'_> {
    /// The workspace that the request names, by the app's one way of naming it. An unusable name is a missing thing.
    pub(super) fn named(&self, slug: Option<&str>) -> Result<WorkspaceName, Error> {
        let slug = match &self.app.config.http.resolution {
            Resolution::Header => {
                if !self.head.headers.contains_key(HEADER) {
                    return Err(Error::new(ErrorKind::Malformed, "workspace_missing"));
                }
                let id = single(&self.head.headers, HEADER).and_then(|text| text.parse().ok());
                return id.map(WorkspaceName::Id).ok_or_else(Error::not_found);
            }
            Resolution::Path => slug,
            Resolution::Subdomain { base_domain } => self.label(base_domain),
        };
        slug.filter(|slug| is_slug(slug))
            .map(|slug| WorkspaceName::Slug(slug.to_owned()))
            .ok_or_else(Error::not_found)
    }

    /// Exactly one label under the base domain, and none that the product keeps for itself.
    pub(super) fn label(&self, base_domain: &str) -> Option<&str> {
        label(self.arrival.hostname()?, base_domain, &self.app.config.http.reserved_names)
    }

    /// Lets the actor into the workspace. Outsiders, unknown names and workspaces on their way out look alike.
    pub(super) async fn enter(&self, ctx: Ctx, name: &WorkspaceName) -> Result<Ctx, Error> {
        if *ctx.actor() == Actor::Anonymous {
            return Err(Error::unauthenticated());
        }
        let tenants = self.app.tenants.as_ref().ok_or_else(Error::not_found)?;
        let found = tenants.resolve(&ctx, &self.app.db, name).await?;
        let found =
            found.filter(|found| found.status != WorkspaceStatus::Deleting).ok_or_else(Error::not_found)?;
        if let Actor::ApiKey { workspace, .. } = ctx.actor()
            && *workspace != found.id
        {
            return Err(Error::not_found());
        }
        let placement = self.app.db.placement(found.placement.as_deref())?;
        let workspace = Workspace::minted(found.id, found.slug, found.status, placement);
        Ok(ctx.with_grant(Grant::minted(workspace, found.role)))
    }

    /// Whether the actor may use the route at all.
    pub(super) async fn allow(&self, ctx: &Ctx, route: &Route) -> Result<(), Error> {
        let forbidden = |code| Err(Error::new(ErrorKind::Forbidden, code));
        match (route.access, ctx.actor()) {
            (Access::Public, _)
            | (Access::SignedIn, Actor::Staff { .. } | Actor::User { .. })
            | (Access::Staff, Actor::Staff { .. }) => {}
            (_, Actor::Anonymous) => return Err(Error::unauthenticated()),
            (Access::SignedIn, _) => return forbidden("people_only"),
            (Access::Staff, _) => return forbidden("staff_only"),
            (Access::Member(permission), _) => ctx.require(permission)?,
        }
        if route.verified && matches!(ctx.actor(), Actor::User { verified: false, .. }) {
            return forbidden("email_unverified");
        }
        if !route.is_safe() && ctx.read_only() {
            return forbidden("read_only");
        }
        if let Some(feature) = route.feature {
            // Without a provider nobody has any plan, so a gated route stays closed.
            let entitled = match &self.app.entitlements {
                Some(plans) => plans.entitled(ctx, &self.app.db, ctx.workspace()?, feature).await?,
                None => false,
            };
            if !entitled {
                let unlocking = self.app.config.product.iter().flat_map(|product| product.unlocking(feature));
                let keys: Vec<_> = unlocking.map(|plan| plan.key.as_str()).collect();
                return Err(Error::not_in_plan(feature).arg("plans", keys.join(",")));
            }
        }
        Ok(())
    }
}

/// What stands before the base domain and a dot, unless it is reserved.
pub(super) fn label<'h>(hostname: &'h str, base_domain: &str, reserved: &[String]) -> Option<&'h str> {
    let label = hostname.strip_suffix(base_domain)?.strip_suffix('.')?;
    if reserved.iter().any(|name| name == label) { None } else { Some(label) }
}

/// A DNS label. What cannot be one names no workspace, so nobody needs to be asked.
pub(super) fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_one_dns_label() {
        assert!(is_slug("acme") && is_slug("a-1") && is_slug("7"));
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a b", &"a".repeat(64)] {
            assert!(!is_slug(bad), "{bad:?}");
        }
    }
}
