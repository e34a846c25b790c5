//! A scenario: what a client does, and what must come of it on every host.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, HeaderValue};
use kernel_core::http::Reply;
use kernel_core::testkit::RawClient;
use tokio::time::timeout;

use super::ask::Ask;
use super::host::{Host, Kind, PEER};
use super::transcript::{Answer, Heard, Transcript};
use super::world::World;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(15);

/// One thing that a client does.
#[derive(Debug, Clone)]
enum Step {
    /// Sends a request on a connection of its own and hears the answer.
    Ask(Ask),
    /// Sends these bytes on the open connection.
    Send(Vec<u8>),
    /// Sends this request on the open connection.
    Begin(Ask),
    /// Hears an answer on the open connection.
    Hear {
        head: bool,
    },
    /// Hears the head of an answer.
    HearHead,
    /// Hears the next piece of a body that does not end.
    HearChunk,
    /// Hears so many bytes.
    HearBytes(usize),
    /// Hears nothing more.
    HearEnd,
    /// Waits until a handler runs.
    AwaitRun,
    /// Hangs up, and waits until no handler runs.
    Leave,
    Pause(Duration),
}

/// A scenario and what must come of it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) world: World,
    steps: Vec<Step>,
    statuses: Vec<(u16, Option<&'static str>)>,
    runs: Option<usize>,
    /// Whose own parser may turn the client away before the app hears of it.
    pub(super) refused_by: &'static [Kind],
}

pub(super) const BOTH: &[Kind] = &[Kind::Axum, Kind::Actix];

pub(super) fn case(name: &'static str) -> Case {
    Case { name, world: World::Path, steps: Vec::new(), statuses: Vec::new(), runs: None, refused_by: &[] }
}

impl Case {
    pub(super) fn world(self, world: World) -> Self {
        Self { world, ..self }
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn ask(self, ask: Ask) -> Self {
        self.step(Step::Ask(ask))
    }

    pub(super) fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Send(bytes.as_ref().to_vec()))
    }

    pub(super) fn begin(self, ask: Ask) -> Self {
        self.step(Step::Begin(ask))
    }

    pub(super) fn hear(self) -> Self {
        self.step(Step::Hear { head: false })
    }

    pub(super) fn hear_about_head(self) -> Self {
        self.step(Step::Hear { head: true })
    }

    pub(super) fn hear_head(self) -> Self {
        self.step(Step::HearHead)
    }

    pub(super) fn hear_chunk(self) -> Self {
        self.step(Step::HearChunk)
    }

    pub(super) fn hear_bytes(self, count: usize) -> Self {
        self.step(Step::HearBytes(count))
    }

    pub(super) fn hear_end(self) -> Self {
        self.step(Step::HearEnd)
    }

    pub(super) fn await_run(self) -> Self {
        self.step(Step::AwaitRun)
    }

    pub(super) fn leave(self) -> Self {
        self.step(Step::Leave)
    }

    pub(super) fn pause(self, millis: u64) -> Self {
        self.step(Step::Pause(Duration::from_millis(millis)))
    }

    /// The next answer must have this status.
    pub(super) fn gives(mut self, status: u16) -> Self {
        self.statuses.push((status, None));
        self
    }

    /// The next answer must be this error in the kernel's envelope.
    pub(super) fn refuses(mut self, status: u16, code: &'static str) -> Self {
        self.statuses.push((status, Some(code)));
        self
    }

    /// So many handlers must have run.
    pub(super) fn runs(self, runs: usize) -> Self {
        Self { runs: Some(runs), ..self }
    }

    /// The parsers of these hosts turn the client away, and no handler runs.
    pub(super) fn refused_by(self, hosts: &'static [Kind]) -> Self {
        Self { refused_by: hosts, ..self }
    }

    /// Whether the app in memory can be asked the same.
    pub(super) fn is_request_level(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Ask(_)))
    }

    /// What is wrong with what a host made of it.
    pub(super) fn problem(&self, on: Kind, transcript: &Transcript) -> Option<String> {
        if self.refused_by.contains(&on) {
            return (!transcript.is_refusal()).then(|| format!("not refused by the parser: {transcript}"));
        }
        let given: Vec<_> = transcript.answers().map(|answer| (answer.status, answer.code())).collect();
        let same = given.len() == self.statuses.len()
            && given.iter().zip(&self.statuses).all(|((status, code), (wanted, named))| {
                status == wanted && named.is_none_or(|named| code.as_deref() == Some(named))
            });
        if !same {
            return Some(format!("wanted {:?}, got {transcript}", self.statuses));
        }
        let other_runs = self.runs.filter(|runs| *runs != transcript.runs)?;
        Some(format!("{other_runs} handlers should have run: {transcript}"))
    }

    /// Plays it; `None` where the host cannot be asked.
    pub(super) async fn play(&self, number: usize, host: &Host) -> Result<Option<Transcript>> {
        let address = host.address(self.world);
        if address.is_none() && !self.is_request_level() {
            host.prepare(number);
            return Ok(None);
        }
        host.prepare(number);
        let before = host.runs.ever.load(Ordering::SeqCst);
        let mut stage = Stage { host, world: self.world, address, open: None, heard: Vec::new() };
        for step in &self.steps {
            stage.act(step).await?;
            if stage.heard.last() == Some(&Heard::Nothing) {
                break;
            }
        }
        drop(stage.open);
        idle(host).await;
        let runs = host.runs.ever.load(Ordering::SeqCst) - before;
        Ok(Some(Transcript { heard: stage.heard, runs }))
    }
}

struct Stage<'a> {
    host: &'a Host,
    world: World,
    address: Option<SocketAddr>,
    open: Option<RawClient>,
    heard: Vec<Heard>,
}

impl Stage<'_> {
    async fn act(&mut self, step: &Step) -> Result<()> {
        let seed = &self.host.seed;
        match step {
            Step::Ask(ask) => {
                let heard = match self.address {
                    None => in_memory(self.host, self.world, ask).await?,
                    Some(address) => {
                        let mut client = RawClient::connect(address).await?;
                        // A host that refuses may hang up before it has read all of it.
                        let _ = client.send(ask.bytes(seed)).await;
                        answer(&mut client, ask.is_head()).await
                    }
                };
                self.heard.push(heard);
            }
            Step::Send(bytes) => {
                let bytes = seed.fill(bytes);
                let _ = self.client().await?.send(bytes).await;
            }
            Step::Begin(ask) => {
                let bytes = ask.bytes(seed);
                let _ = self.client().await?.send(bytes).await;
            }
            Step::AwaitRun => {
                let begun = until(|| self.host.runs.now.load(Ordering::SeqCst) > 0);
                if timeout(PATIENCE, begun).await.is_err() {
                    self.heard.push(Heard::Nothing);
                }
            }
            Step::Leave => {
                self.open = None;
                self.heard.push(if idle(self.host).await { Heard::Idle } else { Heard::Nothing });
            }
            Step::Pause(time) => tokio::time::sleep(*time).await,
            listening => {
                let heard = hear(self.client().await?, listening).await;
                self.heard.push(heard);
            }
        }
        Ok(())
    }

    async fn client(&mut self) -> Result<&mut RawClient> {
        let Some(address) = self.address else { bail!("nobody listens") };
        if self.open.is_none() {
            self.open = Some(RawClient::connect(address).await?);
        }
        self.open.as_mut().ok_or_else(|| anyhow::anyhow!("no connection"))
    }
}

async fn hear(client: &mut RawClient, step: &Step) -> Heard {
    let bytes = |bytes: bytes::Bytes| Heard::Bytes(bytes.to_vec());
    let heard = async {
        match step {
            Step::Hear { head } => Ok(answer(client, *head).await),
            Step::HearHead => client
                .head()
                .await
                .map(|head| Heard::Answer(Answer::new(head.status, &head.headers, &head.body))),
            Step::HearChunk => client.chunk().await.map(bytes),
            Step::HearBytes(count) => client.exactly(*count).await.map(bytes),
            _ => Ok(client
                .rest()
                .await
                .map_or(Heard::Ended, |rest| if rest.is_empty() { Heard::Ended } else { bytes(rest) })),
        }
    };
    match timeout(PATIENCE, heard).await {
        Ok(heard) => heard.unwrap_or(Heard::BrokenOff),
        Err(_) => Heard::Nothing,
    }
}

async fn answer(client: &mut RawClient, to_head: bool) -> Heard {
    match timeout(PATIENCE, client.answer(to_head)).await {
        Ok(Ok(answer)) => Heard::Answer(Answer::new(answer.status, &answer.headers, &answer.body)),
        Ok(Err(_)) => Heard::BrokenOff,
        Err(_) => Heard::Nothing,
    }
}

async fn in_memory(host: &Host, world: World, ask: &Ask) -> Result<Heard> {
    let (head, body) = ask.request(&host.seed)?.into_parts();
    let app = host.app(world);
    let to = app.find(&head);
    Ok(match app.call(to, http::Request::from_parts(head, body), PEER).await {
        Reply::Full(mut response) => {
            let length = HeaderValue::from(response.body().len());
            // A server says how long the body is, where there can be one.
            if !matches!(response.status().as_u16(), 204 | 304) {
                response.headers_mut().entry(CONTENT_LENGTH).or_insert(length);
            }
            Heard::Answer(Answer::new(response.status().as_u16(), response.headers(), response.body()))
        }
        Reply::Stream(response) => {
            let (head, mut stream) = response.into_parts();
            let mut body = Vec::new();
            while let Some(piece) = stream.next().await.filter(|_| !ask.is_head()) {
                let Ok(piece) = piece else { return Ok(Heard::BrokenOff) };
                body.extend_from_slice(&piece);
            }
            Heard::Answer(Answer::new(head.status.as_u16(), &head.headers, &body))
        }
        Reply::Socket(_) => bail!("a socket in memory is no case"),
    })
}

/// Waits until no handler runs; `false` when one does not end.
async fn idle(host: &Host) -> bool {
    timeout(PATIENCE, until(|| host.runs.now.load(Ordering::SeqCst) == 0)).await.is_ok()
}

async fn until(holds: impl Fn() -> bool + Send + Sync) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
