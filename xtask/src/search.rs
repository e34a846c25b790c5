//! `cargo xtask prove search`: a search finds what a superuser's filtered query finds, by index where that one uses an
//! index, although the table's policy would keep everybody else from them; and nothing of another workspace.

use anyhow::{Result, ensure};
use kernel_core::WorkspaceId;
use kernel_core::testkit::{TestKernel, roles};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use uuid::Uuid;

use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;

pub mod corpus;
mod plan;

use corpus::Size;
use plan::Watched;

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = &["invoker", "no-workspace", "no-word-index", "no-part-index"];

/// What a function may look at of the rows that a word matches; a word that more rows have is compared by what was found.
const CANDIDATES: usize = 10_000;
const MOST: i32 = 50;
/// How many pages may be read for a hundred of the superuser's. They are more for parts of words that are in most rows:
/// PostgreSQL keeps from a role with a policy, even one that lets it see everything, how frequent a value is, so it uses an
/// index where the superuser reads a small workspace as a whole.
const PAGES: u64 = 120;

/// Looks for the same things in every workspace, through the function and as the superuser.
///
/// # Errors
///
/// When there is no PostgreSQL, or it cannot show the plans of nested statements.
pub async fn run(options: Options) -> Result<Outcome> {
    let size = if options.short {
        Size { documents: 50_000, tenants: 500 }
    } else {
        Size { documents: 1_000_000, tenants: 10_000 }
    };
    let mut clock = Stopwatch::start();
    // Held so that the server that the test kit finds is the one that the command line asks for.
    let _server = options.postgres().await?;
    let kernel = TestKernel::start(|app| app.with(corpus::pillar())).await;
    let mut admin = kernel.admin().await;
    corpus::fill(&mut admin, size).await?;
    clock.done("documents written");
    plant(&mut admin, options.fault).await?;

    let admin_url = kernel.database.logins().admin();
    let trial = Trial { watched: Watched::open(&admin_url, &roles().app).await?, admin };
    let outcome = Outcome::new().value("documents", size.documents).value("tenants", size.tenants);
    let outcome = trial.run(outcome).await;
    clock.done("searched");
    outcome
}

async fn plant(admin: &mut PgConnection, fault: Option<&str>) -> Result<()> {
    let function = "library.search_document(text, integer)";
    let statement = match fault {
        None => return Ok(()),
        Some("invoker") => format!("ALTER FUNCTION {function} SECURITY INVOKER"),
        Some("no-word-index") => "DROP INDEX library.document_search".to_owned(),
        Some("no-part-index") => "DROP INDEX library.document_search_parts".to_owned(),
        Some(_) => {
            let define: String = sqlx::query_scalar("SELECT pg_get_functiondef($1::regprocedure)")
                .bind(function)
                .fetch_one(&mut *admin)
                .await?;
            define.replace("t.workspace_id = workspace", "true")
        }
    };
    admin.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

/// What was asked, and of whom.
struct Case<'a> {
    tenant: &'static str,
    query: &'a str,
}

#[derive(Default)]
struct Tally {
    cases: usize,
    hits: usize,
    foreign: usize,
    differences: usize,
    /// Cases in which the function found words, or parts of them, by their index.
    words_indexed: usize,
    parts_indexed: usize,
    /// Cases in which the superuser's query used an index, and the function did not.
    unindexed: Vec<String>,
    /// The pages read, by us and by the superuser.
    buffers: (u64, u64),
    /// Cases in which the table itself, asked as the app, would have used its index.
    direct_indexed: usize,
}

struct Trial {
    watched: Watched,
    admin: PgConnection,
}

impl Trial {
    async fn run(mut self, outcome: Outcome) -> Result<Outcome> {
        let mut tally = Tally::default();
        let queries = corpus::queries(&mut self.admin).await?;
        for tenant in corpus::TENANTS {
            for query in &queries {
                self.case(&Case { tenant, query }, &mut tally).await?;
            }
        }
        ensure!(tally.hits > 0, "nothing was found at all");
        Ok(outcome
            .value("cases", tally.cases)
            .value("hits", tally.hits)
            .value("foreign", tally.foreign)
            .value("differences", tally.differences)
            .value("buffers", format!("{}/{}", tally.buffers.0, tally.buffers.1))
            .value("words_indexed", tally.words_indexed)
            .value("parts_indexed", tally.parts_indexed)
            .value("direct_indexed", tally.direct_indexed)
            .require(tally.foreign == 0, "rows of other workspaces were found")
            .require(tally.differences == 0, "the superuser found something else")
            .require(tally.unindexed.is_empty(), format!("an index was not used: {:?}", tally.unindexed))
            .require(
                tally.words_indexed * 10 >= tally.cases * 9 && tally.parts_indexed * 2 >= tally.cases,
                "words or parts of them are not found by their index as a rule",
            )
            .require(
                tally.buffers.0 * 100 <= tally.buffers.1 * PAGES,
                format!("more than {PAGES} % of the pages that the superuser's queries read"),
            )
            // The control: were this otherwise, the function would not be needed.
            .require(tally.direct_indexed == 0, "the table itself can be searched by index; simplify"))
    }

    async fn case(&mut self, case: &Case<'_>, tally: &mut Tally) -> Result<()> {
        let id: Uuid =
            sqlx::query_scalar("SELECT md5($1)::uuid").bind(case.tenant).fetch_one(&mut self.admin).await?;
        let id = WorkspaceId::from_uuid(id);
        let name = format!("{} in {}", case.query, case.tenant);
        let found = self.watched.search(id, case.query, MOST).await?;
        let wanted = corpus::matches(&mut self.admin, id, case.query).await?;
        tally.cases += 1;
        tally.hits += found.len();
        tally.foreign += found.iter().filter(|hit| !wanted.iter().any(|other| other.0 == hit.0)).count();
        let same = if wanted.len() < CANDIDATES {
            found == wanted[..wanted.len().min(MOST as usize)]
        } else {
            found.len() == MOST as usize
                && found.iter().all(|hit| wanted.iter().any(|other| other.0 == hit.0))
        };
        if !same {
            eprintln!("{name}: {found:?}, and the superuser {wanted:?}");
        }
        tally.differences += usize::from(!same);

        let ours = self.watched.plan(id, case.query, MOST).await?;
        let theirs = plan::of(&mut self.admin, &corpus::reference(id, case.query, MOST)).await?;
        tally.buffers.0 += ours.buffers;
        tally.buffers.1 += theirs.buffers;
        if ours.buffers > 2 * theirs.buffers {
            eprintln!("{name}: {} pages, and the superuser {}", ours.buffers, theirs.buffers);
        }
        // Of a word that most rows have, enough are found sooner without an index: then the superuser goes without too.
        let lost = |operator| theirs.indexes(operator) && !ours.indexes(operator);
        if lost("@@") || lost("%>") {
            tally.unindexed.push(format!("{name}: {:?}", ours.index_conditions));
        }
        tally.words_indexed += usize::from(ours.indexes("@@"));
        tally.parts_indexed += usize::from(ours.indexes("%>"));
        let direct = self.watched.direct(id, case.query).await?;
        tally.direct_indexed += usize::from(direct.indexes("@@"));
        Ok(())
    }
}
