//! A pillar with a route of every kind, for the parity of hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use garde::Validate;
use http::Method;
use kernel_core::http::{
    Access, Body, BodyFile, Call, Created, Either, Head, Html, Idempotency, Incoming, Input, InputShape,
    Json, NoContent, Path, Query, RateClass, Route, SeeOther,
};
use kernel_core::{AuditAction, AuditEntry, Error, ErrorKind, GlobalTx, Pillar, TenantTx, Tx, audit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod reply;

mod permission {
    kernel_core::permissions! {
        /// See notes.
        pub READ = "parity.read" for Viewer;
        /// Write notes.
        pub WRITE = "parity.write" for Member;
    }
}

mod feature {
    kernel_core::features! {
        /// What no plan includes.
        pub LUXURY = "parity.luxury";
    }
}

/// What a body may weigh on the route with a small limit.
pub(super) const SMALL: usize = 1024;

/// Which handlers have run, and which are running.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    pub(super) ever: Arc<AtomicUsize>,
    pub(super) now: Arc<AtomicUsize>,
}

/// One handler at work; counted however it ends.
struct Run(Runs);

impl Runs {
    fn begin(&self) -> Run {
        self.ever.fetch_add(1, Ordering::SeqCst);
        self.now.fetch_add(1, Ordering::SeqCst);
        Run(self.clone())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn pillar(runs: &Runs) -> Pillar {
    let routes = [in_workspace(runs), global(runs), free(runs), reply::routes(runs), pages(runs)];
    Pillar::new("parity")
        .permissions(permission::ALL)
        .features(feature::ALL)
        .routes(routes.into_iter().flatten())
}

fn in_workspace(runs: &Runs) -> Vec<Route> {
    use permission::{READ, WRITE};
    let runs = || runs.clone();
    vec![
        Route::tenant(Method::GET, "/notes/{number}", "parity.note.show", READ, runs(), show),
        Route::tenant(Method::POST, "/notes", "parity.note.create", WRITE, runs(), create),
        Route::tenant(Method::DELETE, "/notes/{number}", "parity.note.delete", WRITE, runs(), delete),
        Route::tenant(Method::POST, "/orders", "parity.order.create", WRITE, runs(), create)
            .idempotent(Idempotency::Required),
        Route::tenant(
            Method::POST,
            "/slow-orders",
            "parity.order.create_slowly",
            WRITE,
            runs(),
            create_slowly,
        ),
        Route::tenant(Method::POST, "/uploads", "parity.upload.create", WRITE, runs(), upload)
            .body_limit(SMALL * SMALL),
        Route::tenant(Method::GET, "/search", "parity.search", READ, runs(), search),
        Route::tenant(Method::GET, "/broken", "parity.note.panic", READ, runs(), panic_in_transaction),
        Route::tenant(Method::GET, "/luxury", "parity.luxury.show", READ, runs(), search)
            .feature(feature::LUXURY),
        Route::tenant(Method::GET, "/verified", "parity.verified.show", READ, runs(), search).verified(),
    ]
}

fn global(runs: &Runs) -> Vec<Route> {
    let runs = || runs.clone();
    vec![
        Route::global(Method::GET, "/whoami", "parity.whoami", Access::SignedIn, runs(), whoami),
        Route::global(Method::GET, "/staff", "parity.staff", Access::Staff, runs(), whoami),
        Route::global(Method::POST, "/letters", "parity.letter.create", Access::Public, runs(), write_letter),
    ]
}

fn free(runs: &Runs) -> Vec<Route> {
    let (runs, public) = (|| runs.clone(), Access::Public);
    vec![
        Route::free(Method::GET, "/seen", "parity.seen", public, runs(), seen),
        Route::free(Method::GET, "/things/{name}", "parity.thing.show", public, runs(), thing),
        Route::free(Method::PUT, "/things/{name}", "parity.thing.put", public, runs(), put_thing),
        Route::free(Method::GET, "/errors/{kind}", "parity.error", public, runs(), fail),
        Route::free(Method::GET, "/panic", "parity.panic", public, runs(), panic),
        Route::free(Method::POST, "/panic", "parity.panic.post", public, runs(), panic_after_reading),
        Route::free(Method::POST, "/small", "parity.small", public, runs(), take).body_limit(SMALL),
        Route::free(Method::POST, "/large", "parity.large", public, runs(), take).body_limit(SMALL * SMALL),
        Route::free(Method::POST, "/take", "parity.take", public, runs(), take),
        Route::free(Method::POST, "/guess", "parity.guess", public, runs(), take).rate(RateClass::Auth),
        Route::free(Method::GET, "/heavy", "parity.heavy", public, runs(), thing_of_nothing)
            .rate(RateClass::Heavy),
        Route::free(Method::GET, "/wait", "parity.wait", public, runs(), wait),
    ]
}

fn pages(runs: &Runs) -> Vec<Route> {
    let (runs, public) = (|| runs.clone(), Access::Public);
    vec![
        Route::free(Method::GET, "/", "parity.page.home", public, runs(), page).page(),
        Route::free(Method::GET, "/form", "parity.page.form", public, runs(), page).page(),
        Route::free(Method::POST, "/form", "parity.page.send", public, runs(), send_form).page(),
        Route::global(Method::GET, "/private", "parity.page.private", Access::SignedIn, runs(), whoami)
            .page(),
        Route::free(Method::GET, "/broken-page", "parity.page.panic", public, runs(), panic).page(),
    ]
}

/// A note to read or write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Note {
    /// What it says.
    #[garde(length(chars, min = 1, max = 100))]
    text: String,
    /// How urgent it is.
    #[serde(default)]
    #[garde(range(max = 9))]
    urgency: u8,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    q: Option<String>,
    page: Option<u32>,
    #[serde(default)]
    tag: Vec<String>,
}

/// A request as its handler saw it.
#[derive(Debug, Serialize, JsonSchema)]
struct Seen {
    method: String,
    uri: String,
    version: String,
    headers: Vec<(String, Vec<u8>)>,
    ip: Option<String>,
}

async fn show(runs: Runs, _: &mut TenantTx, Path(number): Path<u32>) -> Result<Json<Note>, Error> {
    let _run = runs.begin();
    Ok(Json(Note { text: format!("note {number}"), urgency: 0 }))
}

async fn create(runs: Runs, tx: &mut TenantTx, Body(note): Body<Note>) -> Result<Created<Note>, Error> {
    let _run = runs.begin();
    audit(tx, AuditEntry::new(AuditAction::new("parity.note.create"))).await?;
    Ok(Created(note))
}

/// A file of any kind.
struct Upload(BodyFile);

impl Input for Upload {
    fn read(from: &Incoming) -> Result<Self, Error> {
        Ok(Self(from.file()))
    }

    fn describe(shape: &mut InputShape<'_>) {
        shape.text::<String>("text/plain");
        shape.file();
    }
}

/// Adds up the bytes of a file.
async fn upload(runs: Runs, tx: &mut TenantTx, Upload(file): Upload) -> Result<Json<(u64, u64)>, Error> {
    let _run = runs.begin();
    let (mut at, mut count) = (0, 0);
    while at < file.length() {
        let piece = file.read(at).await?;
        at += piece.len() as u64;
        count += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    audit(tx, AuditEntry::new(AuditAction::new("parity.upload.create"))).await?;
    Ok(Json((at, count)))
}

async fn create_slowly(runs: Runs, tx: &mut TenantTx, body: Body<Note>) -> Result<Created<Note>, Error> {
    let _run = runs.begin();
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    create(Runs::default(), tx, body).await
}

async fn delete(runs: Runs, _: &mut TenantTx, Path(_): Path<u32>) -> Result<NoContent, Error> {
    let _run = runs.begin();
    Ok(NoContent)
}

async fn search(runs: Runs, _: &mut TenantTx, Query(search): Query<Search>) -> Result<Json<Search>, Error> {
    let _run = runs.begin();
    Ok(Json(search))
}

async fn panic_in_transaction(runs: Runs, _: &mut TenantTx, (): ()) -> Result<NoContent, Error> {
    let _run = runs.begin();
    panic!("{ON_PURPOSE}")
}

/// Marks the panics that belong to the trial.
pub(super) const ON_PURPOSE: &str = "on purpose, to see what the host makes of it";

async fn whoami(runs: Runs, tx: &mut GlobalTx, (): ()) -> Result<Json<String>, Error> {
    let _run = runs.begin();
    Ok(Json(tx.ctx().actor().kind().to_owned()))
}

async fn write_letter(runs: Runs, tx: &mut GlobalTx, Body(note): Body<Note>) -> Result<Created<Note>, Error> {
    let _run = runs.begin();
    audit(tx, AuditEntry::new(AuditAction::new("parity.letter.create"))).await?;
    Ok(Created(note))
}

async fn seen(
    runs: Runs,
    call: Call,
    (Head(head), Query(_)): (Head, Query<Search>),
) -> Result<Json<Seen>, Error> {
    let _run = runs.begin();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let mut headers: Vec<_> = headers.collect();
    // Values of one name stay in their order; the names have none.
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Json(Seen {
        method: head.method.to_string(),
        uri: head.uri.to_string(),
        version: format!("{:?}", head.version),
        headers,
        ip: call.ctx.client().ip.map(|ip| ip.to_string()),
    }))
}

async fn thing(runs: Runs, _: Call, Path(name): Path<String>) -> Result<Json<String>, Error> {
    let _run = runs.begin();
    Ok(Json(name))
}

async fn thing_of_nothing(runs: Runs, _: Call, (): ()) -> Result<NoContent, Error> {
    let _run = runs.begin();
    Ok(NoContent)
}

async fn put_thing(
    runs: Runs,
    _: Call,
    (Path(_), Body(note)): (Path<String>, Body<Note>),
) -> Result<Json<Note>, Error> {
    let _run = runs.begin();
    Ok(Json(note))
}

async fn fail(runs: Runs, _: Call, Path(kind): Path<String>) -> Result<NoContent, Error> {
    let _run = runs.begin();
    let (kind, code) = match kind.as_str() {
        "malformed" => (ErrorKind::Malformed, "malformed"),
        "unauthenticated" => (ErrorKind::Unauthenticated, "unauthenticated"),
        "payment_required" => (ErrorKind::PaymentRequired, "feature_not_in_plan"),
        "forbidden" => (ErrorKind::Forbidden, "forbidden"),
        "method_not_allowed" => (ErrorKind::MethodNotAllowed, "method_not_allowed"),
        "conflict" => (ErrorKind::Conflict, "conflict"),
        "too_large" => (ErrorKind::TooLarge, "too_large"),
        "too_slow" => (ErrorKind::TooSlow, "too_slow"),
        "unsupported_media_type" => (ErrorKind::UnsupportedMediaType, "unsupported_media_type"),
        "invalid" => return Err(Error::new(ErrorKind::Invalid, "invalid").field("text", "field.required")),
        "rate_limited" => {
            let wait = std::time::Duration::from_millis(1500);
            return Err(Error::new(ErrorKind::RateLimited, "rate_limited").retry_after(wait));
        }
        "timeout" => (ErrorKind::Timeout, "timeout"),
        "unavailable" => (ErrorKind::Unavailable, "unavailable"),
        "internal" => return Err(Error::internal("a secret of the server's")),
        _ => return Err(Error::not_found()),
    };
    Err(Error::new(kind, code))
}

async fn panic(runs: Runs, _: Call, (): ()) -> Result<NoContent, Error> {
    let _run = runs.begin();
    panic!("{ON_PURPOSE}")
}

async fn panic_after_reading(runs: Runs, _: Call, Body(_): Body<Note>) -> Result<NoContent, Error> {
    let _run = runs.begin();
    panic!("{ON_PURPOSE}")
}

async fn take(runs: Runs, _: Call, Body(note): Body<Note>) -> Result<Json<Note>, Error> {
    let _run = runs.begin();
    Ok(Json(note))
}

async fn wait(runs: Runs, _: Call, (): ()) -> Result<NoContent, Error> {
    let _run = runs.begin();
    std::future::pending().await
}

async fn page(runs: Runs, _: Call, (): ()) -> Result<Html, Error> {
    let _run = runs.begin();
    Ok(Html::new("<!doctype html><title>Parity</title><p>a page</p>"))
}

async fn send_form(
    runs: Runs,
    _: Call,
    note: Result<Body<Note>, Error>,
) -> Result<Either<Html, SeeOther>, Error> {
    let _run = runs.begin();
    Ok(match note {
        Ok(_) => Either::Right(SeeOther::to("/form")),
        Err(_) => Either::Left(Html::new("<p>again</p>").refusing(ErrorKind::Invalid)),
    })
}
