//! The page that takes a file of issues.

use bytes::Bytes;
use garde::Validate;
use http::Method;
use kernel_core::http::{
    BODY_LIMIT, BodyFile, Either, Html, Incoming, Input, InputShape, Path, Query, RateClass, Route, SeeOther,
};
use kernel_core::{Error, Flaw, TenantTx};
use minijinja::{Value, context};
use schemars::JsonSchema;
use serde::Deserialize;

use super::form::{Form, Refused};
use super::frame::{Asked, Frame};
use super::{base_of, project};
use crate::http::{Csv, CsvText};
use crate::import::{BYTES_MAX, Place, ROWS_MAX};
use crate::permission::ISSUE_IMPORT;
use crate::project::ProjectId;
use crate::tracker::Tracker;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let t = || tracker.clone();
    let at = "/projects/{project}/issues/import";
    vec![
        Route::tenant(Method::GET, at, "tracker.page.import", ISSUE_IMPORT, t(), show).page(),
        Route::tenant(Method::POST, at, "tracker.page.import.send", ISSUE_IMPORT, t(), send)
            .page()
            .rate(RateClass::Heavy)
            .body_limit(BYTES_MAX),
    ]
}

/// What has just been imported, as the address says it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Outcome {
    /// The number of the first issue.
    first: Option<u32>,
    /// The number of the last.
    last: Option<u32>,
}

/// A file as text in a field: what a browser without scripts can send.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Pasted {
    #[garde(skip)]
    #[schemars(with = "CsvText")]
    file: String,
}

/// The file itself, as the page's script sends it, or its text in a form.
struct Upload(Form<Pasted>, Option<BodyFile>);

impl Input for Upload {
    fn read(from: &Incoming) -> Result<Self, Error> {
        let file = Csv::is_in(&from.head().headers).then(|| from.file());
        Ok(Self(Form::read(from)?, file))
    }

    fn describe(shape: &mut InputShape<'_>) {
        Form::<Pasted>::describe(shape);
        shape.file();
    }
}

async fn show(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Path(id), Query(Outcome { first, last })): (Asked, Path<ProjectId>, Query<Outcome>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let done = first.zip(last).filter(|(first, last)| first <= last);
    let done = done.map(|(first, last)| context! { first, last, count => last - first + 1 });
    let content = content(&tracker, tx, id, &frame).await?;
    tracker.pages.html("import.html", &frame, context! { done, ..content })
}

async fn send(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), Upload(form, file)): (Path<ProjectId>, Upload),
) -> Result<Either<SeeOther, Html>, Error> {
    let form = match file {
        // The bytes go past the form: they are no text yet.
        Some(_) => Form { input: Ok(Pasted { file: String::new() }), ..form },
        None => form,
    };
    let work = async |tx: &mut TenantTx, pasted: Pasted| {
        tracker.import_issues(tx, id, file.unwrap_or_else(|| Bytes::from(pasted.file).into())).await
    };
    match form.carry_out(tx, work).await? {
        Ok(done) => {
            let at = project::url(id, &base_of(tx)?);
            let (first, last) = (done.first_number, done.last_number);
            Ok(Either::Left(SeeOther::to(format!("{at}/issues/import?first={first}&last={last}"))))
        }
        Err(refused) => {
            let frame = tracker.frame_inside(tx, &refused.asked).await?;
            let problems = problems(&tracker, &frame, &refused);
            let content = content(&tracker, tx, id, &frame).await?;
            let content = context! { problems, ..content };
            Ok(Either::Right(tracker.pages.again("import.html", &frame, &refused, content)?))
        }
    }
}

async fn content(tracker: &Tracker, tx: &mut TenantTx, id: ProjectId, frame: &Frame) -> Result<Value, Error> {
    let project = project::shown(&tracker.project(tx, id).await?, frame.base());
    Ok(
        context! { project, rows_max => ROWS_MAX, bytes_max => BYTES_MAX, text_max => BODY_LIMIT, done => (), problems => () },
    )
}

/// What is wrong with the file, line by line.
fn problems(tracker: &Tracker, frame: &Frame, refused: &Refused) -> Vec<Value> {
    let fields = refused.error.fields().iter();
    let mut places: Vec<(Place, &Flaw)> =
        fields.filter_map(|(name, why)| Some((name.parse().ok()?, why))).collect();
    places.sort_by(|(one, _), (other, _)| one.cmp(other));
    places
        .into_iter()
        .map(|(Place { line, column }, why)| context! { line, column, why => tracker.pages.flaw(frame.language(), why) })
        .collect()
}
