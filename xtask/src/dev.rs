//! `cargo xtask dev`: the example product on a PostgreSQL of its own, with data to look at.

mod product;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kernel_core::testkit::Logins;
use kernel_core::{Config, Db, DbConfig, RoleNames};
use sqlx::{Connection, PgConnection};
use tracker::{Settings, seed};
use uuid::Uuid;

pub(crate) use self::product::Product;
use crate::outcome::Stopwatch;
use crate::postgres;

/// The database, and what the names of its roles start with: a server that is named may hold other products' too.
pub(crate) const DATABASE: &str = "tracker_dev";

/// The command line of `cargo xtask dev`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Serve with actix-web instead of axum
    #[arg(long)]
    actix: bool,
    /// The port to serve on, instead of the first free one from 3000
    #[arg(long)]
    port: Option<u16>,
    /// Do only this to the development database, and serve nothing
    #[arg(long)]
    only: Option<Step>,
}

/// What can be done alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// Bring the schema up to date
    Migrate,
    /// Bring the schema up to date and put the example data in
    Seed,
    /// Drop the database, with all that is in it
    Reset,
    /// Leave it as it is, if it is there
    #[value(skip)]
    Look,
}

/// Runs the command.
///
/// # Errors
///
/// In production; when there is no PostgreSQL, the product does not build or its port is taken.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    refuse_production()?;
    if arguments.only == Some(Step::Reset) {
        return reset().await;
    }
    let started = Instant::now();
    let framework = if arguments.actix { "actix" } else { "axum" };
    let product = Product::of(framework);
    let build_product = async { if arguments.only.is_none() { product.build().await } else { Ok(()) } };
    // Building uses the processors, preparing waits for the server: together they take as long as the longer one.
    let (prepared, built) = tokio::join!(prepare(arguments.only), build_product);
    // The server stops when this is dropped.
    let (_server, logins) = prepared?;
    built?;
    if arguments.only.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut running = product.start(&logins, arguments.port, "info").await?;
    announce(&running, &logins, &demo(&logins).await?, started.elapsed());
    running.until_stopped().await
}

#[expect(clippy::disallowed_methods, reason = "a command asks the environment whose database it would touch")]
fn refuse_production() -> Result<()> {
    if std::env::var("APP_ENV").is_ok_and(|environment| environment == "production") {
        bail!("this command writes example data and is refused where APP_ENV is production");
    }
    Ok(())
}

async fn reset() -> Result<ExitCode> {
    let server = postgres::find(&postgres::search("dev")?).await?;
    Logins::new(server.options(), DATABASE, &RoleNames::prefixed(DATABASE)).drop_database().await?;
    println!("  the database {DATABASE} is gone; `make dev` makes it anew");
    Ok(ExitCode::SUCCESS)
}

/// Finds the server and its database, which is left as it is if it is there: what it lacks is somebody's to find.
pub(crate) async fn as_it_is() -> Result<(kernel_core::testkit::postgres::Postgres, Logins)> {
    prepare(Some(Step::Look)).await
}

/// Finds the server, and brings the database up to date.
async fn prepare(only: Option<Step>) -> Result<(kernel_core::testkit::postgres::Postgres, Logins)> {
    let mut clock = Stopwatch::start();
    let server = postgres::find(&postgres::search("dev")?).await?;
    clock.done(&format!("PostgreSQL {} runs", server.major()));
    let roles = RoleNames::prefixed(DATABASE);
    let logins = Logins::new(server.options(), DATABASE, &roles);
    // The plan needs no connection; the address is only there to be replaced.
    let mut nowhere = DbConfig::new("postgres://localhost/nowhere");
    nowhere.roles = roles;
    let settings = Settings::default();
    let plan = tracker::app(Db::new(&nowhere)?, Config::new(logins.keys()), &settings).plan();
    let hint = "the database cannot be prepared (if a migration file has changed: make dev-reset)";
    if only == Some(Step::Look) && logins.exists().await? {
        return Ok((server, logins));
    }
    logins.prepare(&plan).await.context(hint)?;
    clock.done(&format!("database {DATABASE} is up to date"));
    if only.is_none_or(|step| step == Step::Seed) {
        let seeded = seed::run(&logins.config(), Arc::new(logins.keys()), &settings).await?;
        let seed::Seeded { people, workspaces } = seeded;
        clock.done(&match people + workspaces {
            0 => "example data is there".to_owned(),
            _ => format!("example data added: {people} people, {workspaces} workspaces"),
        });
    }
    Ok((server, logins))
}

/// The workspace in which everybody may look around.
async fn demo(logins: &Logins) -> Result<Uuid> {
    let mut admin = PgConnection::connect(&logins.admin()).await?;
    let demo = sqlx::query_scalar("SELECT workspace_id FROM kernel_tenancy.workspace WHERE slug = $1");
    Ok(demo.bind(seed::DEMO).fetch_one(&mut admin).await?)
}

/// The same URL without what only sqlx understands.
fn for_psql(url: &str) -> &str {
    url.split_once("&statement-cache-capacity").map_or(url, |(url, _)| url)
}

fn announce(running: &product::Running, logins: &Logins, demo: &Uuid, took: Duration) {
    let product::Running { url, metrics, .. } = running;
    let address = |index: usize| seed::email(seed::PEOPLE[index]);
    println!(
        "
  The tracker serves after {took:.1} s:

    {url}                     the product
    {url}/api/v1/reference    its API, for people
    {url}/api/v1/openapi.json the same, as OpenAPI
    {metrics}     its metrics, for Prometheus

  Log in as one of these, each with the password `{password}`:

    {ana:26}owner of Northwind Robotics and of the demo
    {kofi:26}admin of Northwind Robotics
    {mei:26}member of Northwind Robotics, owner of Elm Park School
    {diego:26}viewer of Northwind Robotics, owner of Blue Harbor Coffee

  Everybody may look around in {url}/w/{slug}; a new account starts with nothing.

  Look into the database:

    psql '{database}'    as its superuser, who sees everything
    PGOPTIONS='-c app.workspace_id={demo}' psql '{app}'
                         as the app, in the demo: row-level security shows this workspace only

  Interrupt (Ctrl-C) to stop everything.
",
        took = took.as_secs_f32(),
        password = seed::PASSWORD,
        ana = address(0),
        kofi = address(1),
        mei = address(2),
        diego = address(5),
        slug = seed::DEMO,
        database = for_psql(&logins.admin()),
        app = for_psql(&logins.of(&RoleNames::prefixed(DATABASE).app)),
    );
}
