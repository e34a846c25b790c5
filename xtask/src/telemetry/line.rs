//! Every line of a request, a job or a chore says whose it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use kernel_core::testkit::{Listener, SeenSpan};
use kernel_core::{GlobalTx, Tx};
use kernel_jobs::{Runner, RunnerConfig};
use sqlx::PgConnection;
use tokio::sync::oneshot;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context as Around, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::{BARE_LINE, LOST_TRACE, product, trace};
use crate::outcome::Outcome;
use crate::prove::Options;

type Fields = BTreeMap<&'static str, String>;

/// The fields of each line, those of the spans around it included; of none once they were taken.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Option<Vec<Fields>>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Around<'_, S>) {
        let mut fields = Said(Fields::new());
        fields.0.insert("span", attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Around<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(said) = span.extensions_mut().get_mut::<Said>() {
            values.record(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Around<'_, S>) {
        if *event.metadata().level() > Level::DEBUG {
            return;
        }
        let mut said = Said(Fields::new());
        event.record(&mut said);
        said.0.insert("target", event.metadata().target().to_owned());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Said>() {
                for (name, value) in &around.0 {
                    said.0.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        if let Some(lines) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            lines.push(said.0);
        }
    }
}

struct Said(Fields);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// What the product has told of a day.
pub(super) struct Told {
    routes: usize,
    requests: usize,
    lines: usize,
    incomplete: Vec<Fields>,
    access: usize,
    traced: trace::Joined,
    /// The metrics afterwards, as Prometheus gets them.
    pub(super) metrics: String,
}

/// Lines of the machinery below, which belong to connections rather than to requests.
const OTHERS: [&str; 3] = ["hyper", "tokio", "rustls"];

pub(super) async fn told(options: &Options) -> Result<Told> {
    let collector = Listener::start().await?;
    let (kernel, spans, exporter) = product::start(&collector.url(), |_| {}).await?;
    if options.plants(LOST_TRACE) {
        forget_traces(&mut kernel.admin().await).await?;
    }
    let lines = Lines(Arc::new(Mutex::new(Some(Vec::new()))));
    // For the whole process: jobs run in tasks of their own.
    let log = tracing_subscriber::registry().with(lines.clone()).with(spans.layer());
    tracing::subscriber::set_global_default(log).context("another log is set")?;
    let (stop, stopped) = oneshot::channel::<()>();
    let runner = Runner::new(&kernel.app, RunnerConfig::default())?;
    let day = async {
        let (mut ada, _) = crate::founder::founder(&kernel, "ada").await?;
        let (answer, _) = product::issue(&mut ada, "ada").await?;
        let routes = product::every_route(&kernel, &mut ada, "ada").await;
        if options.plants(BARE_LINE) {
            tracing::info!("somebody forgot whose request this is");
        }
        runner.drain().await?;
        runner.tend().await?;
        runner.survey().await?;
        let ctx = kernel.app.system("command");
        let looked = kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| {
            let one = sqlx::query("SELECT 1").execute(tx.conn()).await;
            one.map(drop).map_err(kernel_core::DbError::from)
        });
        looked.await?;
        drop(stop);
        anyhow::Ok((answer, routes))
    };
    let (day, ()) = tokio::join!(day, exporter.run(async { drop(stopped.await) }));
    let (answer, routes) = day?;
    let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    let ours: Vec<_> = lines.into_iter().filter(concerns).collect();
    let access = ours.iter().filter(|line| line["target"] == "kernel::access").count();
    let id = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok()).context("a request id")?;
    let seen: Vec<SeenSpan> = collector.spans();
    Ok(Told {
        routes,
        requests: ours.iter().filter_map(|line| line.get("span").filter(|span| *span == "request")).count(),
        lines: ours.len(),
        incomplete: ours.into_iter().filter(|line| !is_complete(line)).collect(),
        access,
        traced: trace::joined(&seen, id),
        metrics: kernel.app.metrics().text(),
    })
}

/// The queue's own polling concerns nobody's request.
fn concerns(line: &Fields) -> bool {
    let target = line.get("target").map(String::as_str).unwrap_or_default();
    let polls = target == "sqlx::query" && !line.contains_key("span");
    !polls && !OTHERS.iter().any(|other| target.starts_with(other))
}

/// Whether the line says of which request it is and, as soon as that is known, whose and where.
fn is_complete(line: &Fields) -> bool {
    let has = |name: &str| line.get(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, value: &str| line.get(name).is_some_and(|known| known == value);
    let of_user = !is("actor", "\"user\"") || has("user_id");
    let in_span = is("span", "job") || is("span", "system");
    // By then the workspace was found: the handler has answered, or its transaction begins.
    let answered = line.get("route").is_some_and(|route| route.contains("{workspace}"))
        && line.get("status").is_some_and(|status| status.starts_with('2'));
    let begun = line.get("db.statement").and_then(|text| text.split_once("app.workspace_id = '"));
    let begun = begun.is_some_and(|(_, id)| !id.starts_with("00000000-"));
    has("request_id") && of_user && (has("workspace_id") || !(in_span || answered || begun))
}

/// Replaces the relay by one that loses the trace of what it relays.
async fn forget_traces(admin: &mut PgConnection) -> Result<()> {
    let text: String = sqlx::query_scalar("SELECT pg_get_functiondef('kernel_jobs.relay'::regproc)")
        .fetch_one(&mut *admin)
        .await?;
    let forgetful = text.replace("d.trace_id", "NULL::uuid");
    anyhow::ensure!(forgetful != text, "the relay carries no trace that could be lost");
    sqlx::raw_sql(sqlx::AssertSqlSafe(forgetful)).execute(admin).await?;
    Ok(())
}

impl Told {
    pub(super) fn outcome(&self) -> Outcome {
        let Self { routes, requests, lines, incomplete, access, traced, .. } = self;
        let first = incomplete.first().map(|line| format!("{line:?}")).unwrap_or_default();
        Outcome::new()
            .value("routes", routes)
            .value("lines", lines)
            .value("incomplete", incomplete.len())
            .value("access_lines", access)
            .value("spans", traced.spans)
            .value("joined", traced.jobs)
            .require(*lines >= 200 && *requests >= 100, "hardly anything was told")
            .require(*access >= *routes, "a request has no access line")
            .require(incomplete.is_empty(), format!("a line does not say whose it is: {first}"))
            .require(traced.jobs > 0, "no job is in the trace of the request that set it off")
            .require(traced.transactions > 0, "no transaction is in the trace of its request")
            .require(traced.leaks.is_empty(), format!("spans hold what people entered: {:?}", traced.leaks))
    }
}
