//! A browser without scripts in front of the pages, or with the pages' own script: it knows what the pages tell it.

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use kernel_core::App;
use kernel_core::testkit::{Answer, Client};

const ORIGIN: &str = "http://localhost:3000";

pub(crate) struct Browser(pub(crate) Client);

impl Browser {
    pub(crate) fn new(app: &App) -> Self {
        Self(Client::new(app))
    }

    pub(crate) async fn signed_up(app: &App, name: &str) -> Self {
        let mut browser = Self::new(app);
        let email = format!("{}@example.com", name.to_lowercase());
        let fields = [("name", name), ("email", &email), ("password", "correct horse battery")];
        let answer = browser.post("/sign-up", &fields).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        browser
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(path).header(ACCEPT, "text/html").header("host", "localhost:3000");
        self.0.send(request, Bytes::new()).await
    }

    /// A page, which must be there and whole. Slashes are as good escaped as not.
    #[track_caller]
    pub(crate) fn whole(answer: &Answer, status: u16) -> String {
        let text = answer.text().replace("&#x2f;", "/");
        assert_eq!(answer.status, status, "{text}");
        assert!(text.trim_end().ends_with("</html>"), "not a whole page: {text}");
        text
    }

    /// The session's token, as the forms hold it.
    pub(crate) async fn token(&mut self) -> String {
        let page = self.get("/workspaces/new").await.text();
        let rest = page.split_once("name=\"_csrf\" value=\"").map(|(_, rest)| rest.to_owned());
        rest.and_then(|rest| Some(rest.split_once('"')?.0.to_owned())).unwrap_or_default()
    }

    /// Sends a form as a browser without scripts does.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token().await;
        self.send(path, "text/html", &[&[("_csrf", token.as_str())], fields].concat()).await
    }

    /// Sends a form as the pages' script does.
    pub(crate) async fn scripted(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token().await;
        self.send(path, "application/json", &[&[("_csrf", token.as_str())], fields].concat()).await
    }

    pub(crate) async fn send(&mut self, path: &str, accept: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::post(path).header(ACCEPT, accept).header("host", "localhost:3000");
        let request = request.header("origin", ORIGIN);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.0.send(request, serde_html_form::to_string(fields).unwrap().into()).await
    }
}

/// Where the answer sends the browser.
#[track_caller]
pub(crate) fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.headers[LOCATION].to_str().unwrap().to_owned()
}
