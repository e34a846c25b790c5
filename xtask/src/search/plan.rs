//! Plans: of a statement, and of those inside a function, which only the server's own `auto_explain` shows.

use anyhow::{Context, Result};
use futures_util::StreamExt;
use kernel_core::WorkspaceId;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// How a statement was carried out.
#[derive(Debug)]
pub(super) struct Plan {
    /// What its indexes were asked for.
    pub(super) index_conditions: Vec<String>,
    /// The pages that it looked at.
    pub(super) buffers: u64,
}

impl Plan {
    fn read(top: &Value) -> Self {
        let buffers = ["Shared Hit Blocks", "Shared Read Blocks"];
        let buffers = buffers.iter().filter_map(|key| top[*key].as_u64()).sum();
        let mut index_conditions = Vec::new();
        walk(top, &mut index_conditions);
        Self { index_conditions, buffers }
    }

    /// Whether an index was asked for this operator.
    pub(super) fn indexes(&self, operator: &str) -> bool {
        self.index_conditions.iter().any(|condition| condition.contains(operator))
    }
}

fn walk(node: &Value, conditions: &mut Vec<String>) {
    conditions.extend(node["Index Cond"].as_str().map(str::to_owned));
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, conditions);
    }
}

/// The plan of a statement as the superuser runs it, once everything is in memory.
pub(super) async fn of(admin: &mut PgConnection, statement: &str) -> Result<Plan> {
    admin.execute("SET max_parallel_workers_per_gather = 0").await?;
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}");
    let mut plan = Value::Null;
    for _ in 0..3 {
        plan = sqlx::query_scalar(AssertSqlSafe(explain.clone())).fetch_one(&mut *admin).await?;
    }
    Ok(Plan::read(&plan[0]["Plan"]))
}

/// A session of the app login whose every statement the server explains, those inside functions too.
pub(super) struct Watched {
    client: tokio_postgres::Client,
    notices: UnboundedReceiver<String>,
}

impl Watched {
    #[expect(clippy::disallowed_methods, reason = "the connection is driven beside its client")]
    pub(super) async fn open(admin_url: &str, app: &str) -> Result<Self> {
        // What comes after the address in the URL is for another driver.
        let address = admin_url.split_once('?').map_or(admin_url, |(address, _)| address);
        let (client, mut connection) = tokio_postgres::connect(address, NoTls).await?;
        let (sender, notices) = unbounded_channel();
        tokio::spawn(async move {
            let mut messages =
                futures_util::stream::poll_fn(move |context| connection.poll_message(context)).fuse();
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message {
                    // Whoever listened has gone, and with them the reason to tell.
                    let _ = sender.send(notice.message().to_owned());
                }
            }
        });
        // Only a superuser may load this; what follows is done as the app.
        client
            .batch_execute(&format!(
                "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; \
                 SET auto_explain.log_buffers = on; SET auto_explain.log_nested_statements = on; \
                 SET auto_explain.log_format = json; SET auto_explain.log_level = notice; \
                 SET max_parallel_workers_per_gather = 0; SET SESSION AUTHORIZATION \"{app}\""
            ))
            .await
            .context("the server cannot show nested plans")?;
        Ok(Self { client, notices })
    }

    /// What the function finds.
    pub(super) async fn search(
        &mut self,
        workspace: WorkspaceId,
        query: &str,
        most: i32,
    ) -> Result<Vec<(Uuid, f32)>> {
        let rows = self.run(workspace, &call(query, most)).await?;
        let rows = rows.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?)),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The plan of the statement inside the function, once everything is in memory.
    pub(super) async fn plan(&mut self, workspace: WorkspaceId, query: &str, most: i32) -> Result<Plan> {
        for _ in 0..2 {
            self.run(workspace, &call(query, most)).await?;
        }
        self.drain();
        self.run(workspace, &call(query, most)).await?;
        self.explained("WITH found AS")
    }

    /// The plan of the table's own full-text condition, under its policy.
    pub(super) async fn direct(&mut self, workspace: WorkspaceId, query: &str) -> Result<Plan> {
        self.drain();
        let query = query.replace('\'', "''");
        let statement = format!(
            "SELECT id FROM library.document WHERE workspace_id = '{}' \
             AND search @@ websearch_to_tsquery('english', '{query}')",
            workspace.uuid()
        );
        self.run(workspace, &statement).await?;
        self.explained("SELECT id FROM library.document")
    }

    async fn run(&self, workspace: WorkspaceId, statement: &str) -> Result<Vec<SimpleQueryMessage>> {
        let text = format!("BEGIN; SET LOCAL app.workspace_id = '{}'; {statement}; COMMIT", workspace.uuid());
        Ok(self.client.simple_query(&text).await?)
    }

    fn drain(&mut self) {
        while self.notices.try_recv().is_ok() {}
    }

    /// The plan among those told that belongs to the statement with this in it.
    fn explained(&mut self, part: &str) -> Result<Plan> {
        let mut told = Vec::new();
        while let Ok(notice) = self.notices.try_recv() {
            told.push(notice);
        }
        let plans = told.iter().filter_map(|notice| notice.split_once("plan:\n"));
        let mut plans = plans.filter_map(|(_, json)| serde_json::from_str::<Value>(json).ok());
        let ours = |plan: &Value| plan["Query Text"].as_str().is_some_and(|text| text.contains(part));
        let plan = plans.find(ours).context("the server told no plan of the statement")?;
        Ok(Plan::read(&plan["Plan"]))
    }
}

fn call(query: &str, most: i32) -> String {
    format!("SELECT id, rank FROM library.search_document('{}', {most})", query.replace('\'', "''"))
}
