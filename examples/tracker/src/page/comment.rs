//! Comments, on the page of their issue.

use http::Method;
use kernel_core::http::{Either, Html, Path, Route, SeeOther};
use kernel_core::{Ctx, Error, TenantTx};
use minijinja::{Value, context};

use super::form::Form;
use super::frame::may;
use super::person::Names;
use super::{base_of, issue, time};
use crate::comment::{Comment, CommentId, CommentText};
use crate::issue::IssueId;
use crate::permission::{COMMENT_CREATE, COMMENT_DELETE, COMMENT_MODERATE, COMMENT_UPDATE};
use crate::tracker::Tracker;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let post = Method::POST;
    let t = || tracker.clone();
    let (all, one, gone) = ("/issues/{issue}/comments", "/comments/{comment}", "/comments/{comment}/delete");
    vec![
        Route::tenant(post.clone(), all, "tracker.page.comment_new.send", COMMENT_CREATE, t(), create).page(),
        Route::tenant(post.clone(), one, "tracker.page.comment.send", COMMENT_UPDATE, t(), update).page(),
        Route::tenant(post, gone, "tracker.page.comment.delete", COMMENT_DELETE, t(), delete).page(),
    ]
}

/// A comment as the templates know it.
pub(super) fn shown(comment: &Comment, ctx: &Ctx, names: &Names, base: &str) -> Value {
    let own = comment.is_by(ctx.actor().user());
    context! {
        id => comment.id.to_string(),
        body => comment.body.as_str(),
        created_by => names.author(comment.created_by),
        created_at => time(comment.created_at),
        is_edited => comment.updated_at > comment.created_at,
        may_edit => own && may(ctx, COMMENT_UPDATE),
        may_delete => may(ctx, if own { COMMENT_DELETE } else { COMMENT_MODERATE }),
        url => format!("{base}/comments/{}", comment.id),
    }
}

/// Where a comment stands on the page of its issue.
fn place(comment: &Comment, base: &str) -> SeeOther {
    SeeOther::to(format!("{}#{}", issue::url(comment.issue_id, base), comment.id))
}

async fn create(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), form): (Path<IssueId>, Form<CommentText>),
) -> Result<Either<SeeOther, Html>, Error> {
    let work = async |tx: &mut TenantTx, text| tracker.create_comment(tx, id, text).await;
    match form.carry_out(tx, work).await? {
        Ok(comment) => Ok(Either::Left(place(&comment, &base_of(tx)?))),
        Err(refused) => Ok(Either::Right(issue::again(&tracker, tx, id, &refused, "comment").await?)),
    }
}

async fn update(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), form): (Path<CommentId>, Form<CommentText>),
) -> Result<Either<SeeOther, Html>, Error> {
    let work = async |tx: &mut TenantTx, text| tracker.update_comment(tx, id, text).await;
    match form.carry_out(tx, work).await? {
        Ok(comment) => Ok(Either::Left(place(&comment, &base_of(tx)?))),
        Err(refused) => {
            let about = tracker.comment(tx, id).await?.issue_id;
            Ok(Either::Right(issue::again(&tracker, tx, about, &refused, &id.to_string()).await?))
        }
    }
}

async fn delete(tracker: Tracker, tx: &mut TenantTx, Path(id): Path<CommentId>) -> Result<SeeOther, Error> {
    let comment = tracker.delete_comment(tx, id).await?;
    Ok(SeeOther::to(issue::url(comment.issue_id, &base_of(tx)?)))
}
