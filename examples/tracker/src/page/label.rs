//! Labels: the page where they are managed, and the choice of them on others.

use http::Method;
use kernel_core::http::{Either, Html, Items, Paged, Path, Route, SeeOther, Unfiltered};
use kernel_core::{Error, TenantTx};
use minijinja::{Value, context};

use super::form::{Form, Refused};
use super::frame::{Asked, Frame};
use super::{base_of, next_url};
use crate::label::{Colour, EditLabel, Label, LabelId, NewLabel};
use crate::permission::{LABEL_CREATE, LABEL_DELETE, LABEL_READ, LABEL_UPDATE};
use crate::tracker::Tracker;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post) = (Method::GET, Method::POST);
    let t = || tracker.clone();
    let (all, one, gone) = ("/labels", "/labels/{label}", "/labels/{label}/delete");
    vec![
        Route::tenant(get, all, "tracker.page.labels", LABEL_READ, t(), list).page(),
        Route::tenant(post.clone(), all, "tracker.page.label_new.send", LABEL_CREATE, t(), create).page(),
        Route::tenant(post.clone(), one, "tracker.page.label.send", LABEL_UPDATE, t(), update).page(),
        Route::tenant(post, gone, "tracker.page.label.delete", LABEL_DELETE, t(), delete).page(),
    ]
}

/// A label as the templates know it.
pub(super) fn shown(label: &Label) -> Value {
    context! { id => label.id.to_string(), name => label.name.as_str(), colour => label.colour.name() }
}

/// The labels to choose among.
pub(super) async fn choice(tracker: &Tracker, tx: &mut TenantTx) -> Result<Vec<Value>, Error> {
    Ok(tracker.first_labels(tx).await?.iter().map(shown).collect())
}

fn url(base: &str) -> String {
    format!("{base}/labels")
}

async fn list(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Paged { page, .. }): (Asked, Paged<Unfiltered>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let labels = tracker.labels(tx, &page).await?;
    let content = content(&frame, labels);
    tracker.pages.html("labels.html", &frame, content)
}

async fn create(
    tracker: Tracker,
    tx: &mut TenantTx,
    form: Form<NewLabel>,
) -> Result<Either<SeeOther, Html>, Error> {
    let work = async |tx: &mut TenantTx, new| tracker.create_label(tx, new).await;
    match form.carry_out(tx, work).await? {
        Ok(_) => Ok(Either::Left(SeeOther::to(url(&base_of(tx)?)))),
        Err(refused) => Ok(Either::Right(again(&tracker, tx, &refused, "new").await?)),
    }
}

async fn update(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), form): (Path<LabelId>, Form<EditLabel>),
) -> Result<Either<SeeOther, Html>, Error> {
    let work = async |tx: &mut TenantTx, edit| tracker.update_label(tx, id, edit).await;
    match form.carry_out(tx, work).await? {
        Ok(_) => Ok(Either::Left(SeeOther::to(url(&base_of(tx)?)))),
        Err(refused) => Ok(Either::Right(again(&tracker, tx, &refused, &id.to_string()).await?)),
    }
}

async fn delete(tracker: Tracker, tx: &mut TenantTx, Path(id): Path<LabelId>) -> Result<SeeOther, Error> {
    tracker.delete_label(tx, id).await?;
    Ok(SeeOther::to(url(&base_of(tx)?)))
}

/// The page again, after one of its forms was refused: `new`, or the id of a label.
async fn again(tracker: &Tracker, tx: &mut TenantTx, refused: &Refused, form: &str) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &refused.asked).await?;
    let items = tracker.first_labels(tx).await?;
    let content = content(&frame, Items { items, next_cursor: None, has_more: false });
    tracker.pages.again("labels.html", &frame, refused, context! { refused_form => form, ..content })
}

fn content(frame: &Frame, Items { items, next_cursor, .. }: Items<Label>) -> Value {
    let url = url(frame.base());
    let items: Vec<_> =
        items.iter().map(|label| context! { url => format!("{url}/{}", label.id), ..shown(label) }).collect();
    let colours: Vec<_> = Colour::ALL.into_iter().map(Colour::name).collect();
    context! { items, colours, next_url => next_url(&url, &[], next_cursor) }
}
