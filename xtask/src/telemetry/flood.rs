//! A flood of paths, methods and workspaces that nobody declared makes no series, and no series says who somebody is.

use std::collections::BTreeSet;

use anyhow::Result;
use http::Request;
use kernel_core::telemetry::Labels;
use kernel_core::testkit::{Client, Listener};

use super::{SERIES_PER_PATH, product};
use crate::outcome::Outcome;
use crate::prove::Options;

/// What labels must not be called.
const FORBIDDEN: [&str; 8] =
    ["tenant", "workspace", "workspace_id", "user", "user_id", "path", "ip", "request_id"];

pub(super) async fn flooded(options: &Options) -> Result<Outcome> {
    let wanted = if options.short { 3_000 } else { 10_000 };
    let collector = Listener::start().await?;
    let (kernel, ..) = product::start(&collector.url(), |_| {}).await?;
    let mut client = Client::new(&kernel.app);
    let series = || {
        let text = kernel.app.metrics().text();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let before = series();
    for number in 0..wanted {
        let path = format!("/api/v1/w/workspace-{number}/projects/{number}?q={number}");
        if options.plants(SERIES_PER_PATH) && number % 100 == 0 {
            let name = format!("shop_path{number}_total").leak();
            kernel.app.metrics().counter(name, "Somebody thought it useful.", Labels::none()).of([]).add(1);
        }
        let request = Request::builder().method(format!("M{number}").as_str()).uri(path);
        client.send(request, bytes::Bytes::new()).await;
    }
    let (after, text) = (series(), kernel.app.metrics().text());
    let labels = text.lines().filter(|line| !line.starts_with('#')).flat_map(label_names);
    let labels: BTreeSet<_> = labels.collect();
    let telling: Vec<_> = labels.iter().filter(|label| FORBIDDEN.contains(&label.as_str())).collect();
    let held = text.contains("workspace-1") || text.contains("req_");
    Ok(Outcome::new()
        .value("flood", wanted)
        .value("series", after)
        .value("new_series", after.abs_diff(before))
        .require(after == before, "strangers make series")
        .require(before > 100, "there are hardly any series")
        .require(telling.is_empty(), format!("labels say who somebody is: {telling:?}"))
        .require(!held, "what strangers sent is in the metrics"))
}

/// The names of the labels of a series.
fn label_names(line: &str) -> Vec<String> {
    let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
    let labels = labels.map(|(labels, _)| labels).unwrap_or_default();
    labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned()).collect()
}
