//! How a request leaves: the response's headers, errors in the caller's form, one line in the log.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    ACCEPT_LANGUAGE, ALLOW, CONTENT_LANGUAGE, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, VARY,
};
use http::request::Parts;
use http::{Method, StatusCode};
use ipnet::IpNet;
use tracing::Span;
use tracing::field::Empty;

use super::arrival::Arrival;
use super::{Gate, Notes};
use crate::ctx::Ctx;
use crate::error::{Error, ErrorKind};
use crate::http::accept::prefers_json;
use crate::http::config::Environment;
use crate::http::matcher::{Matched, Target};
use crate::http::output::{Output, SeeOther};
use crate::http::problem::{self, Voice};
use crate::http::reply::Reply;
use crate::http::route::RateClass;
use crate::telemetry::report::{Incident, Noticed};
use crate::telemetry::{Trace, hex};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Arrival {
    /// The span that every log line of the request belongs to. Who asks, and for which workspace, is added once it is
    /// known.
    pub(super) fn span(&self, head: &Parts) -> Span {
        let trace = self.trace.as_ref();
        let parent = self.upstream.as_ref().filter(|_| trace.is_some());
        tracing::info_span!(
            "request",
            request_id = %self.id,
            method = %head.method,
            trace_id = trace.map(Trace::trace_hex),
            span_id = trace.map(Trace::span_hex),
            parent_id = parent.map(|parent| hex(parent.parent_id)),
            actor = Empty,
            actor_id = Empty,
            user_id = Empty,
            workspace_id = Empty,
        )
    }
}

/// The network that an address is in: enough to see where a flood comes from, and nobody's own.
fn network(ip: IpAddr) -> IpNet {
    let bits = if ip.is_ipv4() { 24 } else { 48 };
    IpNet::new_assert(ip, bits).trunc()
}

impl Gate<'_> {
    /// Makes the outcome a reply that may be sent, and writes the access line.
    pub(super) fn depart(&self, to: &Matched, notes: &Notes, outcome: Result<Reply, Error>) -> Reply {
        let code = outcome.as_ref().err().map(|error| error.code().to_owned());
        self.report(to, notes, &outcome);
        let mut reply = outcome.unwrap_or_else(|error| self.refusal(to, notes, &error));
        let allow = match &to.target {
            Target::Options(allow) | Target::OtherMethod(allow) => Some(allow.as_str()),
            _ => None,
        };
        if let Some(headers) = reply.headers_mut() {
            self.dress(allow, notes, headers);
        }
        if self.head.method == Method::HEAD
            && let Reply::Full(response) = &mut reply
        {
            if response.status() != problem::NO_CONTENT {
                let length = HeaderValue::from(response.body().len());
                response.headers_mut().insert(CONTENT_LENGTH, length);
            }
            *response.body_mut() = Bytes::new();
        }
        let bytes = if let Reply::Full(response) = &reply { Some(response.body().len()) } else { None };
        self.log(to, notes, (reply.status(), bytes), code.as_deref());
        reply.until(&self.app.routes.shutdown)
    }

    /// The same for a response that a handler of the host's own has made itself.
    pub(super) fn answered(&self, to: &Matched, notes: &Notes, status: StatusCode, headers: &mut HeaderMap) {
        self.report_answer(to, notes, Some(status));
        self.dress(None, notes, headers);
        self.log(to, notes, (Some(status), None), None);
    }

    /// Adds what every response carries.
    pub(super) fn dress(&self, allow: Option<&str>, notes: &Notes, headers: &mut HeaderMap) {
        let http = &self.app.config.http;
        if let Ok(id) = HeaderValue::try_from(self.arrival.id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(allow) = allow.and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        let secure = http.environment == Environment::Production && self.arrival.https;
        self.app.routes.security.add(headers, secure);
        http.cors.write(&self.head.headers, allow, headers);
        if let Some(standing) = notes.standing {
            standing.write(headers, self.app.limits.clock());
        }
        if notes.ctx.as_ref().is_some_and(Ctx::has_spoken) {
            self.speak(headers);
        }
    }

    /// Says in which language the answer is, and that there are others.
    pub(super) fn speak(&self, headers: &mut HeaderMap) {
        let known = |value: &HeaderValue| value == ACCEPT_LANGUAGE.as_str();
        if self.app.languages.len() > 1 && !headers.get_all(VARY).iter().any(known) {
            headers.append(VARY, HeaderValue::from_name(ACCEPT_LANGUAGE));
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(self.language().tag()));
        }
    }

    /// Tells the reporter of an answer that is our fault. A probe that finds the app not ready is no news.
    fn report(&self, to: &Matched, notes: &Notes, outcome: &Result<Reply, Error>) {
        let reports = &self.app.reports;
        if !reports.wanted() || to.route().is_some_and(|route| route.rate == RateClass::Probe) {
            return;
        }
        match outcome {
            Err(error) => self.tell(notes, Noticed::of_request(&self.head.method, to.template(), error)),
            Ok(reply) => self.report_answer(to, notes, reply.status()),
        }
    }

    /// The handler has answered so itself.
    fn report_answer(&self, to: &Matched, notes: &Notes, status: Option<StatusCode>) {
        let noticed = status.filter(StatusCode::is_server_error).map(|status| Noticed {
            incident: Incident::Failure,
            place: format!("{} {}", self.head.method, to.template()),
            code: "answered",
            message: format!("the handler answered {status}"),
        });
        self.tell(notes, noticed);
    }

    fn tell(&self, notes: &Notes, noticed: Option<Noticed<'_>>) {
        let (reports, Some(noticed)) = (&self.app.reports, noticed) else { return };
        let ctx = notes.ctx.clone().unwrap_or_else(|| self.nobody());
        let workspace = ctx.grant().map(|grant| grant.workspace().id());
        reports.report(&ctx, workspace, noticed);
    }

    fn refusal(&self, to: &Matched, notes: &Notes, error: &Error) -> Reply {
        match error.kind() {
            ErrorKind::Internal => {
                tracing::error!(code = error.code(), error = error.with_causes(), "request failed");
            }
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                tracing::warn!(code = error.code(), error = error.with_causes(), "request failed");
            }
            _ => {}
        }
        if let Some(reply) = self.sign_in(to, error) {
            return reply;
        }
        let http = &self.app.config.http;
        let voice = Voice {
            messages: &self.app.messages,
            language: self.language(),
            page: &http.error_page,
            html: to.html,
            path: self.head.uri.path(),
            signed_in: notes.ctx.as_ref().is_some_and(|ctx| ctx.actor().user().is_some()),
        };
        let mut response = problem::respond(&voice, &self.head.headers, self.arrival.id, error);
        self.speak(response.headers_mut());
        Reply::Full(response)
    }

    /// Sends a person who must sign in first to the page where they can, and back afterwards.
    fn sign_in(&self, to: &Matched, error: &Error) -> Option<Reply> {
        let page = self.app.config.http.sign_in_page.as_deref()?;
        let person = to.html && self.head.method == Method::GET && !prefers_json(&self.head.headers);
        if !person || error.kind() != ErrorKind::Unauthenticated {
            return None;
        }
        let wanted = self.head.uri.path_and_query()?.as_str();
        let query = serde_html_form::to_string([("next", wanted)]).ok()?;
        SeeOther::to(format!("{page}?{query}")).reply(self.head).ok()
    }

    fn log(
        &self,
        to: &Matched,
        notes: &Notes,
        (status, bytes): (Option<StatusCode>, Option<usize>),
        code: Option<&str>,
    ) {
        let ctx = notes.ctx.as_ref();
        let actor = ctx.map(Ctx::actor);
        tracing::info!(
            target: "kernel::access",
            request_id = %self.arrival.id,
            method = %self.head.method,
            // The template, not the path: what people name their things is not for the log.
            route = to.template(),
            operation = to.route().map(super::Route::operation),
            status = status.map(|status| status.as_u16()),
            code,
            bytes,
            elapsed_us = u64::try_from(self.arrival.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            // The audit log has the whole address.
            client = %network(self.arrival.ip),
            actor = actor.map(crate::actor::Actor::kind),
            actor_id = actor.and_then(crate::actor::Actor::id).map(tracing::field::display),
            workspace_id = ctx.and_then(|ctx| ctx.grant()).map(|grant| tracing::field::display(grant.workspace().id())),
            "request"
        );
    }
}
