//! Workspaces and their members.

use http::Method;
use kernel_core::http::{Access, Either, Html, Items, Paged, Path, Route, SeeOther, Unfiltered};
use kernel_core::{Error, GlobalTx, Role, TenantTx, Tx, UserId};
use kernel_tenancy::permission::{MEMBER_READ, MEMBER_UPDATE, WORKSPACE_READ};
use kernel_tenancy::{ChangeRole, Member, NewWorkspace};
use minijinja::{Value, context};

use super::form::{Form, Refused};
use super::frame::{Asked, base, may};
use super::{next_url, time};
use crate::tracker::Tracker;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post, person) = (Method::GET, Method::POST, Access::SignedIn);
    let t = || tracker.clone();
    let new = "/workspaces/new";
    vec![
        Route::global(get.clone(), "/workspaces", "tracker.page.workspaces", person, t(), list).page(),
        Route::global(get.clone(), new, "tracker.page.workspace_new", person, t(), new_form).page(),
        Route::global(post.clone(), new, "tracker.page.workspace_new.send", person, t(), create).page(),
        Route::tenant(get.clone(), "/", "tracker.page.workspace", WORKSPACE_READ, t(), home).page(),
        Route::tenant(get, "/members", "tracker.page.members", MEMBER_READ, t(), members).page(),
        Route::tenant(post, "/members/{user}", "tracker.page.member.send", MEMBER_UPDATE, t(), change_role)
            .page(),
    ]
}

async fn list(tracker: Tracker, tx: &mut GlobalTx, asked: Asked) -> Result<Html, Error> {
    let frame = tracker.frame(tx, &asked).await?;
    let mine = tracker.tenancy.list_mine(tx).await?;
    let items: Vec<_> = mine
        .into_iter()
        .map(|mine| {
            let url = format!("{}/projects", base(&mine.workspace.slug));
            context! { name => mine.workspace.name, slug => mine.workspace.slug, role => mine.role.name(), url }
        })
        .collect();
    tracker.pages.html("workspaces.html", &frame, context! { items })
}

async fn new_form(tracker: Tracker, tx: &mut GlobalTx, asked: Asked) -> Result<Html, Error> {
    let frame = tracker.frame(tx, &asked).await?;
    tracker.pages.html("workspace_new.html", &frame, context! {})
}

async fn create(
    tracker: Tracker,
    tx: &mut GlobalTx,
    form: Form<NewWorkspace>,
) -> Result<Either<SeeOther, Html>, Error> {
    let user = tx.ctx().actor().user().ok_or_else(Error::unauthenticated)?;
    let Form { asked, sent, input } = form;
    let outcome = match input {
        // Founding undoes its own work when it fails.
        Ok(new) => tracker.tenancy.create(tx, user, new).await,
        Err(error) => Err(error),
    };
    match Refused::or(asked, sent, outcome)? {
        Ok(workspace) => Ok(Either::Left(SeeOther::to(format!("{}/projects", base(&workspace.slug))))),
        Err(refused) => {
            let frame = tracker.frame(tx, &refused.asked).await?;
            Ok(Either::Right(tracker.pages.again("workspace_new.html", &frame, &refused, context! {})?))
        }
    }
}

async fn home(_: Tracker, tx: &mut TenantTx, (): ()) -> Result<SeeOther, Error> {
    Ok(SeeOther::to(format!("{}/projects", base(tx.ctx().workspace()?.slug()))))
}

async fn members(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Paged { page, .. }): (Asked, Paged<Unfiltered>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let Items { items, next_cursor, .. } = tracker.tenancy.members(tx, &page).await?;
    let (ctx, gone) = (tx.ctx(), tracker.pages.text(frame.language(), "person.gone"));
    let own = ctx.grant().map(kernel_core::Grant::role).filter(|_| may(ctx, MEMBER_UPDATE));
    let roles: Vec<_> = Role::ALL.into_iter().filter(|role| Some(*role) <= own).map(Role::name).collect();
    let owners = items.iter().filter(|member| member.role == Role::Owner).count();
    let items: Vec<_> = items
        .into_iter()
        .map(|member| {
            let last_owner = member.role == Role::Owner && owners == 1;
            let editable = Some(member.role) <= own && !last_owner;
            row(member, &gone, ctx.actor().user(), editable)
        })
        .collect();
    let next_url = next_url(&asked.path, &[], next_cursor);
    tracker.pages.html("members.html", &frame, context! { items, roles, next_url })
}

fn row(member: Member, gone: &str, me: Option<UserId>, editable: bool) -> Value {
    context! {
        user_id => member.user_id.to_string(),
        name => member.name.unwrap_or_else(|| gone.to_owned()),
        email => member.email.unwrap_or_default(),
        role => member.role.name(),
        joined_at => time(member.joined_at),
        is_me => Some(member.user_id) == me,
        editable,
    }
}

async fn change_role(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(user), form): (Path<UserId>, Form<ChangeRole>),
) -> Result<SeeOther, Error> {
    tracker.tenancy.change_role(tx, user, form.input?).await?;
    Ok(SeeOther::to(format!("{}/members", base(tx.ctx().workspace()?.slug()))))
}
