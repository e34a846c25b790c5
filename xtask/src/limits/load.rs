//! Clients that want more than they get.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use kernel_core::App;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::record::{Asked, Record};

pub(super) const CLIENTS: usize = 64;
/// Between two requests of a client: all of them together want many times what there is, and leave the database room to
/// answer.
const PAUSE: Duration = Duration::from_millis(10);

/// What the requests of a client have in common with those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// They come from one address and prove nothing.
    Address,
    /// The same, from an address of their own.
    Neighbour,
    /// They are one actor's, from many addresses.
    Actor,
    /// They are for one workspace, from many actors.
    Workspace,
}

impl Traffic {
    fn request(self, client: usize) -> (Request<Bytes>, IpAddr) {
        let (path, number) = match self {
            Self::Address | Self::Neighbour => ("/api/v1/anybody", None),
            Self::Actor => ("/api/v1/somebody", Some(1)),
            Self::Workspace => ("/api/v1/w/acme/members", Some(1000 + client)),
        };
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = http::Uri::from_static(path);
        if let Some(number) = number {
            let value = format!("Bearer {number}").parse().expect("digits are a header's value");
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let last = match self {
            Self::Address => 1,
            Self::Neighbour => 2,
            Self::Actor | Self::Workspace => u8::try_from(client % 200).unwrap_or_default() + 10,
        };
        (request, IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    async fn send(self, node: &App, client: usize) -> Result<Asked> {
        let (request, peer) = self.request(client);
        let (head, body) = request.into_parts();
        let to = node.find(&head);
        let sent_at = Instant::now();
        let reply = node.call(to, Request::from_parts(head, body), peer).await;
        let heard_at = Instant::now();
        let admitted = match reply.status().map(|status| status.as_u16()) {
            Some(200) => true,
            Some(429) => false,
            status => bail!("a node answered {status:?}"),
        };
        Ok(Asked { traffic: self, sent_at, heard_at, admitted })
    }
}

/// Lets all clients ask, each one node after the other, for so long.
pub(super) async fn press(cluster: &Cluster, all: &[Traffic], time: Duration) -> Result<Record> {
    let until = Instant::now() + time;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (nodes, traffic) = (cluster.nodes.clone(), all[client % all.len()]);
        clients.spawn(async move {
            let mut heard = Vec::new();
            for node in nodes.iter().cycle().skip(client % nodes.len()) {
                if Instant::now() >= until {
                    break;
                }
                heard.push(traffic.send(node, client).await?);
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(heard)
        });
    }
    collect(clients).await
}

/// Sends so many requests of one address to each node, one after the other.
pub(super) async fn warm(cluster: &Cluster, requests: usize) -> Result<Record> {
    let mut clients = JoinSet::new();
    for node in cluster.nodes.clone() {
        clients.spawn(async move {
            let mut heard = Vec::new();
            for _ in 0..requests {
                heard.push(Traffic::Neighbour.send(&node, 0).await?);
            }
            anyhow::Ok(heard)
        });
    }
    collect(clients).await
}

async fn collect(mut clients: JoinSet<Result<Vec<Asked>>>) -> Result<Record> {
    let mut record = Record::default();
    while let Some(heard) = clients.join_next().await {
        record.extend(Record(heard??));
    }
    Ok(record)
}
