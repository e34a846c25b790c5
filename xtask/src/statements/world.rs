//! A workspace with many of everything, and somebody who looks at it.

use anyhow::{Result, bail, ensure};
use http::Method;
use kernel_core::http::{Counting, Json, Query, Route};
use kernel_core::testkit::{Client, TestKernel};
use kernel_core::{AppBuilder, DbError, Error, Pillar, TenantTx, Tx};
use kernel_tenancy::permission::WORKSPACE_READ;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Executor, PgConnection};
use uuid::Uuid;

use crate::founder::{self, made};
use crate::prove::Options;

/// How many there are of the other things.
const MANY: usize = 300;

/// One of so many issues has what a filter looks for.
const RARE: usize = 5000;

/// What is asked of pages that want to be asked something.
const ASKED: [(&str, &str); 1] = [("/search", "q=issue")];

pub(super) struct World {
    pub(super) kernel: TestKernel,
    pub(super) client: Client,
    pub(super) issues: i32,
    /// What stands for the parameters of paths.
    named: Vec<(&'static str, String)>,
    /// What filters of lists are asked for.
    filters: Vec<(&'static str, String)>,
}

impl World {
    pub(super) async fn make(issues: i32, options: &Options) -> Result<Self> {
        let (tracker, mut config) = founder::product();
        // How often more is fetched from the database depends on the requests before.
        config.http.quotas.counting = Counting::Process;
        let chatty = options.plants("per-row");
        let kernel = TestKernel::with(config, |builder| plant(tracker.register(builder), chatty)).await;

        let (mut client, _) = founder::founder(&kernel, "acme").await?;
        let project = json!({ "name": "App", "key": "APP" });
        let project = made(&client.post("/api/v1/w/acme/projects", &project).await)?;
        let of_project = format!("/api/v1/w/acme/projects/{}/issues", id(&project));
        let issue = made(&client.post(&of_project, &json!({ "title": "The first issue" })).await)?;
        let of_issue = format!("/api/v1/w/acme/issues/{}", id(&issue));
        let comment = json!({ "body": "Indeed" });
        let comment = made(&client.post(&format!("{of_issue}/comments"), &comment).await)?;
        // What happened to it and in the workspace; the history and the audit log are lists as well.
        for number in 0..120 {
            let changed = json!({ "title": format!("The first issue, change {number}") });
            let answer = client.json(Method::PATCH, &of_issue, &changed).await;
            ensure!(answer.status == 200, "an issue was not changed: {}", answer.text());
        }

        let mut admin = kernel.admin().await;
        fill(&mut admin, issues, uuid(&project), uuid(&issue)).await?;
        if options.plants("no-index") {
            admin.execute("DROP INDEX tracker.issue_by_age, tracker.issue_unfinished").await?;
        }
        if options.plants("no-filter-index") {
            admin.execute("DROP INDEX tracker.issue_by_assignee, tracker.issue_by_status").await?;
        }
        let named = vec![
            ("{workspace}", "acme".to_owned()),
            ("{project}", id(&project).to_owned()),
            ("{issue}", id(&issue).to_owned()),
            ("{comment}", id(&comment).to_owned()),
            ("{request}", "req_00000000000000000000000000000000".to_owned()),
        ];
        let label: Uuid = sqlx::query_scalar("SELECT id FROM tracker.label WHERE name = 'Label 4'")
            .fetch_one(&mut admin)
            .await?;
        let filters = vec![
            ("assignee", "me".to_owned()),
            ("label", format!("lab_{}", label.simple())),
            ("priority", "urgent".to_owned()),
            ("status", "in_progress".to_owned()),
            ("target_id", id(&issue).to_owned()),
            ("within_id", id(&project).to_owned()),
        ];
        Ok(Self { kernel, client, issues, named, filters })
    }

    /// Every path that can be looked at, with something in place of its parameters.
    pub(super) fn pages(&self) -> Vec<String> {
        let routes = self.kernel.app.routes().filter(|route| route.method() == Method::GET);
        let mut paths: Vec<_> = routes
            .map(|route| {
                let template = self.kernel.app.mounted(route);
                let path = self.named.iter().fold(template, |path, (name, value)| path.replace(name, value));
                let asked = ASKED.iter().find(|(end, _)| path.ends_with(end));
                let path = asked.map_or_else(|| path.clone(), |(_, query)| format!("{path}?{query}"));
                (path, route.input().query)
            })
            .flat_map(|(path, query)| self.filtered(&path, query.as_ref()).into_iter().chain([path]))
            .collect();
        // Files come out of the program.
        paths.retain(|path| !path.starts_with("/static/"));
        paths
    }

    /// The list once for each filter that it has.
    fn filtered(&self, path: &str, query: Option<&Value>) -> Vec<String> {
        let known = |name: &str| query.is_some_and(|schema| schema["properties"][name].is_object());
        let filters = self.filters.iter().filter(|(name, _)| known(name) && !path.contains('?'));
        filters.map(|(name, value)| format!("{path}?{name}={value}")).collect()
    }

    /// Has the page served once, so that connections and what is remembered between requests are there.
    pub(super) async fn warm(&mut self, path: &str) -> Result<()> {
        let mut status = 0;
        // A connection that was closed under the pool may fail a request or two.
        for _ in 0..10 {
            status = self.client.get(path).await.status;
            if status < 400 {
                return Ok(());
            }
        }
        bail!("{path} was answered {status}")
    }

    /// How long the answer is; nothing when there is none.
    pub(super) async fn length(&mut self, path: &str) -> usize {
        let answer = self.client.get(path).await;
        if answer.status == 200 { answer.body.len() } else { 0 }
    }
}

/// Rows of what a busy workspace has, next to those that the routes have made.
async fn fill(admin: &mut PgConnection, issues: i32, project: &str, issue: &str) -> Result<()> {
    let statements = [
        format!(
            "INSERT INTO tracker.issue (workspace_id, id, project_id, number, title, body, status, priority, created_at, updated_at)
             SELECT w.workspace_id, gen_random_uuid(), '{project}', n + 1, 'Issue ' || n, 'What is wrong with ' || n,
                    CASE WHEN n % {RARE} = 0 THEN 'in_progress' ELSE (ARRAY['open', 'done'])[1 + n % 2] END,
                    CASE WHEN n % {RARE} = 0 THEN 'urgent' ELSE (ARRAY['none', 'low', 'medium', 'high'])[1 + n % 4] END,
                    now() - n * interval '1 minute', now() - n * interval '1 minute'
             FROM kernel_tenancy.workspace AS w, generate_series(1, {issues}) AS n"
        ),
        format!(
            "INSERT INTO tracker.project (workspace_id, id, key, name, description, last_issue_number, created_at, updated_at)
             SELECT w.workspace_id, gen_random_uuid(), 'P' || translate(lpad(n::text, 3, '0'), '0123456789', 'ABCDEFGHIJ'),
                    'Project ' || n, '', 0, now(), now()
             FROM kernel_tenancy.workspace AS w, generate_series(1, {MANY}) AS n"
        ),
        format!(
            "INSERT INTO tracker.label (workspace_id, id, name, colour, created_at, updated_at)
             SELECT w.workspace_id, gen_random_uuid(), 'Label ' || n, 'blue', now(), now()
             FROM kernel_tenancy.workspace AS w, generate_series(1, {MANY}) AS n"
        ),
        format!(
            "INSERT INTO tracker.comment (workspace_id, id, issue_id, body, created_at, updated_at)
             SELECT w.workspace_id, gen_random_uuid(), '{issue}', 'Comment ' || n, now(), now()
             FROM kernel_tenancy.workspace AS w, generate_series(1, {MANY}) AS n"
        ),
        format!(
            "INSERT INTO tracker.issue_label (workspace_id, issue_id, label_id)
             SELECT i.workspace_id, i.id, l.id FROM tracker.issue AS i
             JOIN tracker.label AS l ON l.workspace_id = i.workspace_id
                 AND (l.name IN ('Label 1', 'Label 2', 'Label 3') OR l.name = 'Label 4' AND i.number % {RARE} = 0)"
        ),
        format!(
            "WITH people AS (
                 INSERT INTO kernel_auth.\"user\" (id, email, email_key, name, password_hash, created_at, updated_at)
                 SELECT gen_random_uuid(), 'p' || n || '@example.com', 'p' || n || '@example.com', 'Person ' || n, '', now(), now()
                 FROM generate_series(1, {MANY}) AS n
                 RETURNING id
             )
             INSERT INTO kernel_tenancy.membership (workspace_id, id, user_id, role, created_at, updated_at)
             SELECT w.workspace_id, gen_random_uuid(), p.id, 'member', now(), now()
             FROM kernel_tenancy.workspace AS w, people AS p"
        ),
        "UPDATE tracker.issue AS i SET assignee_id = m.user_id, created_by = m.user_id
         FROM (SELECT user_id, row_number() OVER () AS number FROM kernel_tenancy.membership) AS m
         WHERE m.number = 1 + i.number % 300"
            .to_owned(),
        "VACUUM ANALYZE".to_owned(),
    ];
    for statement in statements {
        admin.execute(sqlx::AssertSqlSafe(statement)).await?;
    }
    Ok(())
}

fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap_or_default()
}

/// The id without the noun before it.
fn uuid(made: &Value) -> &str {
    id(made).split_once('_').map_or("", |(_, uuid)| uuid)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Length {
    #[serde(default)]
    limit: i32,
}

/// A list that is put together one row at a time.
async fn chatter((): (), tx: &mut TenantTx, Query(of): Query<Length>) -> Result<Json<Vec<i64>>, Error> {
    let mut found = Vec::new();
    for number in 0..of.limit {
        let statement = "SELECT count(*) FROM tracker.issue WHERE workspace_id = $1 AND number = $2";
        let query =
            sqlx::query_scalar::<_, i64>(statement).bind(tx.workspace_id().uuid()).bind(i64::from(number));
        found.push(query.fetch_one(tx.conn()).await.map_err(DbError::from)?);
    }
    Ok(Json(found))
}

fn plant(builder: AppBuilder, chatty: bool) -> AppBuilder {
    if !chatty {
        return builder;
    }
    let route = Route::tenant(Method::GET, "/chatter", "statements.chatter", WORKSPACE_READ, (), chatter);
    builder.with(Pillar::new("chatter").routes([route]))
}
