//! Spans and metrics as OpenTelemetry's protobuf messages.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Encoded, Status};
use prost::Message;

use super::layer::Span;
use crate::telemetry::metric::{Kind, Point, Snapshot, Value};

/// What the fields of the kernel's spans are called among those who use OpenTelemetry.
const NAMES: &[(&str, &str)] = &[
    ("client", "client.address"),
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("status", "http.response.status_code"),
    ("user_id", "user.id"),
];
/// Is in every line of the log, and says what a span's own times say.
const LEFT_OUT: &[&str] = &["elapsed_us"];

pub(super) fn spans(spans: &[Span], service: &str, release: &str) -> Bytes {
    let scope_spans =
        ScopeSpans { scope: Some(scope()), spans: spans.iter().map(span).collect(), ..ScopeSpans::default() };
    let resource_spans = ResourceSpans {
        resource: Some(resource(service, release)),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec().into()
}

fn span(span: &Span) -> Encoded {
    let kind = if span.serves { SpanKind::Server } else { SpanKind::Internal };
    let code = if span.failed { StatusCode::Error } else { StatusCode::Unset };
    let attribute =
        |name: &str| span.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    // `GET /projects/{project}` for a request, `job tracker.import` for a job.
    let name = match (attribute("method"), attribute("route"), attribute("kind")) {
        (Some(method), Some(route), _) if span.serves && !route.is_empty() => format!("{method} {route}"),
        (Some(method), ..) if span.serves => method.clone(),
        (.., Some(kind)) => format!("{} {kind}", span.name),
        _ => span.name.to_owned(),
    };
    let kept = span.attributes.iter().filter(|(name, _)| !LEFT_OUT.contains(name));
    Encoded {
        trace_id: span.trace_id.to_be_bytes().to_vec(),
        span_id: span.id.to_be_bytes().to_vec(),
        parent_span_id: if span.parent_id == 0 { Vec::new() } else { span.parent_id.to_be_bytes().to_vec() },
        name,
        kind: kind.into(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end),
        attributes: kept.map(|(name, value)| key_value(semantic(name), value)).collect(),
        status: Some(Status { code: code.into(), ..Status::default() }),
        ..Encoded::default()
    }
}

pub(super) fn metrics(
    snapshots: &[Snapshot],
    service: &str,
    release: &str,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Bytes {
    let times = (nanos(since), nanos(now));
    let scope_metrics = ScopeMetrics {
        scope: Some(scope()),
        metrics: snapshots.iter().map(|snapshot| metric(snapshot, times)).collect(),
        ..ScopeMetrics::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource(service, release)),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec().into()
}

fn metric(snapshot: &Snapshot, times: (u64, u64)) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let numbers = || snapshot.points.iter().map(|point| number(point, times)).collect();
    let data = match snapshot.kind {
        Kind::Counter => {
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality, is_monotonic: true })
        }
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: snapshot.points.iter().map(|point| buckets(point, times)).collect(),
            aggregation_temporality,
        }),
    };
    Metric {
        name: snapshot.name.to_owned(),
        description: snapshot.help.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(point: &Point, (since, now): (u64, u64)) -> NumberDataPoint {
    let Value::Number(value) = point.value else { return NumberDataPoint::default() };
    NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: since,
        time_unix_nano: now,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn buckets(point: &Point, (since, now): (u64, u64)) -> HistogramDataPoint {
    let Value::Buckets { bounds, counts, sum } = &point.value else { return HistogramDataPoint::default() };
    HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: since,
        time_unix_nano: now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    point.labels.iter().map(|(name, value)| key_value(name, value)).collect()
}

fn resource(service: &str, release: &str) -> Resource {
    let attributes = vec![key_value("service.name", service), key_value("service.version", release)];
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "kernel".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn semantic(name: &'static str) -> &'static str {
    NAMES.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs)
}

fn key_value(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn nanos(at: DateTime<Utc>) -> u64 {
    at.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or_default()
}
