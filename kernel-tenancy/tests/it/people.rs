//! Somebody to be: identities without a pillar of their own, since pillars do not know each other.

use std::sync::Arc;

use kernel_core::http::Route;
use kernel_core::seam::{Auth, Credential, People, Person, Principal};
use kernel_core::testkit::{Client, TestKernel, config};
use kernel_core::{Actor, Ctx, Db, Error, Pillar, UserId};
use kernel_tenancy::Tenancy;
use sqlx::PgConnection;

/// The bearer token is the user's id.
struct ById;

#[async_trait::async_trait]
impl Auth for ById {
    fn cookie_name(&self) -> &'static str {
        "__Host-nobody"
    }

    async fn authenticate(&self, _: &Ctx, _: &Db, shown: Credential<'_>) -> Result<Option<Principal>, Error> {
        let Credential::Bearer(token) = shown else { return Ok(None) };
        let Ok(id) = token.parse() else { return Ok(None) };
        Ok(Some(Principal::by_bearer(Actor::User { id, verified: true })))
    }
}

#[async_trait::async_trait]
impl People for ById {
    async fn people(&self, _: &mut PgConnection, ids: &[UserId]) -> Result<Vec<Person>, Error> {
        let person = |id: &UserId| Person::new(*id, format!("name of {id}"), format!("{id}@example.com"));
        Ok(ids.iter().map(person).collect())
    }
}

pub(crate) fn identity() -> Pillar {
    let routes: [Route; 0] = [];
    Pillar::new("identity").routes(routes).provides_auth(Arc::new(ById)).provides_people(Arc::new(ById))
}

pub(crate) async fn kernel(resolution: kernel_core::http::Resolution) -> TestKernel {
    let mut config = config();
    config.http.resolution = resolution;
    TestKernel::with(config, |app| app.with(identity()).with(Tenancy)).await
}

/// A client in whose name the user acts.
pub(crate) struct User {
    pub(crate) id: UserId,
    client: Client,
}

impl User {
    pub(crate) fn new(kernel: &TestKernel) -> Self {
        Self { id: kernel.app.system("test").new_id(), client: Client::new(&kernel.app) }
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> kernel_core::testkit::Answer {
        let mut request = http::Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.id));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.send(request, body.to_owned().into()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> kernel_core::testkit::Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn found(&mut self, slug: &str) -> String {
        let body = format!(r#"{{"name": "The {slug}", "slug": "{slug}"}}"#);
        let answer = self.send("POST", "/api/v1/workspaces", &[], &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }
}
