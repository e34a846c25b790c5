//! What handlers answer with.

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, SET_COOKIE, VARY};
use http::request::Parts;
use http::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::accept::prefers_json;
use super::cookie::SetCookie;
use super::problem;
use super::reply::Reply;
use super::schema::OutputShape;
use crate::error::{Error, ErrorKind};

/// Something that a handler answers with.
pub trait Output: Send + 'static {
    /// The reply to the request with this head.
    ///
    /// # Errors
    /// When the value cannot be represented.
    fn reply(self, head: &Parts) -> Result<Reply, Error>;

    /// Says what it looks like, for OpenAPI.
    fn describe(shape: &mut OutputShape<'_>);
}

/// `200` and the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// `201` and the value that now exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created<T>(pub T);

/// `204`: done, nothing to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoContent;

/// One page of a list; [`PageRequest::items`](super::PageRequest::items) makes it.
///
/// Its schema is called after its items, `ProjectPage`: generated clients have it as a type, whose name must not hang on the
/// order of routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Items<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the next page starts; `null` on the last page.
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

impl<T> Items<T> {
    /// The same page with each item turned into something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Items<U> {
        let items = self.items.into_iter().map(change).collect();
        Items { items, next_cursor: self.next_cursor, has_more: self.has_more }
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Reply, Error> {
    let body = serde_json::to_vec(value).map_err(Error::internal)?;
    let mut response = problem::response(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Reply::Full(response))
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Json<T> {
    fn reply(self, _: &Parts) -> Result<Reply, Error> {
        json(problem::OK, &self.0)
    }

    fn describe(shape: &mut OutputShape<'_>) {
        shape.json::<T>(problem::OK);
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Created<T> {
    fn reply(self, _: &Parts) -> Result<Reply, Error> {
        json(problem::CREATED, &self.0)
    }

    fn describe(shape: &mut OutputShape<'_>) {
        shape.json::<T>(problem::CREATED);
    }
}

impl Output for NoContent {
    fn reply(self, _: &Parts) -> Result<Reply, Error> {
        Ok(Reply::Full(problem::response(problem::NO_CONTENT, Vec::new())))
    }

    fn describe(shape: &mut OutputShape<'_>) {
        shape.empty(problem::NO_CONTENT);
    }
}

/// A page, already escaped by the template that made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Html {
    text: String,
    refusing: Option<ErrorKind>,
}

impl fmt::Debug for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Html").field("bytes", &self.text.len()).field("refusing", &self.refusing).finish()
    }
}

impl Html {
    /// A page of this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), refusing: None }
    }

    /// The same page with the status of an error: a form shown again with what is wrong in it. What the transaction
    /// did is kept all the same; return an error to undo it.
    #[must_use]
    pub fn refusing(self, kind: ErrorKind) -> Self {
        Self { refusing: Some(kind), ..self }
    }
}

impl Output for Html {
    fn reply(self, _: &Parts) -> Result<Reply, Error> {
        let mut response = problem::response(self.refusing.map_or(problem::OK, problem::status), self.text);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        Ok(Reply::Full(response))
    }

    fn describe(shape: &mut OutputShape<'_>) {
        shape.text(problem::OK, "text/html; charset=utf-8");
    }
}

/// `303`: look there now. A script that asked for JSON gets `200 {"location": …}`, because it cannot follow a redirect
/// without losing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeeOther(String);

impl SeeOther {
    /// To this URL, which must not come from the request unchecked.
    #[must_use]
    pub fn to(location: impl Into<String>) -> Self {
        Self(location.into())
    }
}

#[derive(Serialize)]
struct Location<'a> {
    location: &'a str,
}

impl Output for SeeOther {
    fn reply(self, head: &Parts) -> Result<Reply, Error> {
        let mut reply = if prefers_json(&head.headers) {
            json(problem::OK, &Location { location: &self.0 })?
        } else {
            let location = HeaderValue::try_from(self.0).map_err(Error::internal)?;
            let mut response = problem::response(problem::SEE_OTHER, Vec::new());
            response.headers_mut().insert(LOCATION, location);
            Reply::Full(response)
        };
        header(&mut reply, VARY, HeaderValue::from_static("accept"));
        Ok(reply)
    }

    fn describe(shape: &mut OutputShape<'_>) {
        shape.empty(problem::SEE_OTHER);
    }
}

/// Sets a cookie beside the answer.
#[derive(Debug, Clone)]
pub struct WithCookie<T>(pub SetCookie, pub T);

impl<T: Output> Output for WithCookie<T> {
    fn reply(self, head: &Parts) -> Result<Reply, Error> {
        let cookie = self.0.header()?;
        let mut reply = self.1.reply(head)?;
        header(&mut reply, SET_COOKIE, cookie);
        Ok(reply)
    }

    fn describe(shape: &mut OutputShape<'_>) {
        T::describe(shape);
        shape.headers.push("Set-Cookie");
    }
}

/// Sets a header beside the answer.
#[derive(Debug, Clone)]
pub struct WithHeader<T>(pub HeaderName, pub HeaderValue, pub T);

impl<T: Output> Output for WithHeader<T> {
    fn reply(self, head: &Parts) -> Result<Reply, Error> {
        let mut reply = self.2.reply(head)?;
        header(&mut reply, self.0, self.1);
        Ok(reply)
    }

    fn describe(shape: &mut OutputShape<'_>) {
        T::describe(shape);
    }
}

/// One of two answers: a page again, or a redirect.
#[derive(Debug, Clone)]
pub enum Either<A, B> {
    /// The first.
    Left(A),
    /// The second.
    Right(B),
}

impl<A: Output, B: Output> Output for Either<A, B> {
    fn reply(self, head: &Parts) -> Result<Reply, Error> {
        match self {
            Self::Left(answer) => answer.reply(head),
            Self::Right(answer) => answer.reply(head),
        }
    }

    fn describe(shape: &mut OutputShape<'_>) {
        A::describe(shape);
        B::describe(shape);
    }
}

/// A reply made by hand: bytes of another type, a stream, a socket.
impl Output for Reply {
    fn reply(self, _: &Parts) -> Result<Reply, Error> {
        Ok(self)
    }

    fn describe(shape: &mut OutputShape<'_>) {
        shape.empty(problem::OK);
    }
}

impl Output for Response<bytes::Bytes> {
    fn reply(self, _: &Parts) -> Result<Reply, Error> {
        Ok(Reply::Full(self))
    }

    fn describe(shape: &mut OutputShape<'_>) {
        shape.empty(problem::OK);
    }
}

fn header(reply: &mut Reply, name: HeaderName, value: HeaderValue) {
    if let Some(headers) = reply.headers_mut() {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(accept: &str) -> Parts {
        Request::builder().header("accept", accept).body(()).unwrap().into_parts().0
    }

    fn full(reply: Result<Reply, Error>) -> Response<bytes::Bytes> {
        match reply.unwrap() {
            Reply::Full(response) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_browser_is_redirected_and_a_script_told_where() {
        let browser = full(SeeOther::to("/w/acme").reply(&head("text/html")));
        assert_eq!(
            (browser.status().as_u16(), browser.headers()[LOCATION].to_str().unwrap()),
            (303, "/w/acme")
        );
        let script = full(SeeOther::to("/w/acme").reply(&head("application/json")));
        assert_eq!(
            (script.status().as_u16(), script.body().as_ref()),
            (200, br#"{"location":"/w/acme"}"#.as_ref())
        );
    }

    #[test]
    fn a_location_that_would_split_the_head_is_refused() {
        assert!(SeeOther::to("/a\r\nset-cookie: x=y").reply(&head("text/html")).is_err());
    }

    #[test]
    fn every_cookie_of_an_answer_is_kept() {
        let cookie = |name: &'static str| SetCookie::session(name, "v");
        let answer = WithCookie(cookie("__Host-a"), WithCookie(cookie("__Host-b"), NoContent));
        assert_eq!(full(answer.reply(&head("*/*"))).headers().get_all(SET_COOKIE).iter().count(), 2);
    }

    #[test]
    fn a_form_shown_again_keeps_its_status() {
        let page = full(Html::new("<p>again</p>").refusing(ErrorKind::Invalid).reply(&head("text/html")));
        assert_eq!(page.status().as_u16(), 422);
    }
}
