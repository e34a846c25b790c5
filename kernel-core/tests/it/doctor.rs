//! Each examination finds its fault, planted in a real database, and nothing when it is mended again.

mod fault;

use kernel_core::doctor::{self, Report, Verdict};
use kernel_core::table::Function;
use kernel_core::testkit::{Logins, config, server};
use kernel_core::{App, AppBuilder, Clock, Config, Db, DbConfig, Pillar, RoleNames, Table};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::shop;
use fault::Fault;

/// Their own, because what is planted in a role is planted for everybody who has it.
const PREFIX: &str = "kernel_doctor";

const SCHEMA: &str = "
    CREATE TABLE shop.item (
        workspace_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL,
        PRIMARY KEY (workspace_id, id)
    );
    SELECT kernel_core.make_searchable('shop.item', 'simple', ARRAY['name']);
    CREATE FUNCTION shop.claim() RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
    AS 'SELECT 1';
";

kernel_core::permissions! {
    /// Sell things.
    pub SELL = "shop.sell" for Member;
}

mod feature {
    kernel_core::features! {
        /// Sell abroad.
        pub EXPORT = "shop.export";
    }
}

fn pillar() -> Pillar {
    let item = Table::tenant("shop", "item").public(&["id"]).private(&["name"]);
    Pillar::new("shop")
        .migrations(shop::migrations(SCHEMA))
        .tables([item.searchable("simple", &["name"])])
        .functions([Function::queue("shop", "claim()")])
        .messages(r#"{"shop.sold": "Sold"}"#)
}

fn builder(db: &DbConfig, change: fn(&mut Config), pillar: Pillar) -> AppBuilder {
    let mut config = config();
    config.clock = Clock::system();
    change(&mut config);
    App::builder(Db::new(db).unwrap(), config).with(pillar)
}

fn verdict<'a>(report: &'a Report, check: &str) -> &'a Verdict {
    &report.diagnoses.iter().find(|diagnosis| diagnosis.check == check).unwrap().verdict
}

#[tokio::test]
async fn each_fault_is_found_and_its_mend_is_told() {
    let server = server().await.unwrap();
    let name = format!("{PREFIX}_{}", std::process::id());
    let roles = RoleNames::prefixed(&name);
    let logins = Logins::new(server.options(), &name, &roles);
    logins.prepare(&builder(&logins.config(), |_| (), pillar()).plan()).await.unwrap();
    let mut admin = PgConnection::connect(&logins.admin()).await.unwrap();
    let migrate = logins.of(&roles.migrate);

    let healthy = builder(&logins.config(), |_| (), pillar()).examine(Some(&migrate)).await;
    assert!(healthy.is_sound(), "{healthy:#?}");
    let skipped = healthy.diagnoses.iter().filter(|d| matches!(d.verdict, Verdict::Skipped(_)));
    assert_eq!(skipped.count(), 0, "{healthy:#?}");

    for (check, fault) in fault::all() {
        let (mut db, mut change, mut sick): (_, fn(&mut Config), _) = (logins.config(), |_| (), pillar());
        let sql = |text: &str| AssertSqlSafe(text.replace("{db}", &name));
        match &fault {
            Fault::Elsewhere => continue,
            Fault::Sql(plant, _) => {
                admin.execute(sql(plant)).await.unwrap_or_else(|error| panic!("{check}: {error}"));
            }
            Fault::Config(plant) => change = *plant,
            Fault::Logins(plant) => plant(&mut db),
            Fault::Pillar(plant) => sick = plant(sick),
        }
        // As in production, where what is only unwise elsewhere is a fault.
        if check == "server.synchronous_commit" {
            change = fault::production;
        }
        let report = builder(&db, change, sick).examine(Some(&migrate)).await;
        match verdict(&report, check) {
            Verdict::Fault { problem, mend } | Verdict::Advice { problem, mend } => {
                assert!(!problem.is_empty() && !mend.is_empty(), "{check}");
            }
            other => panic!("{check}: {other:?}"),
        }
        if let Fault::Sql(_, undo) = &fault {
            admin.execute(sql(undo)).await.unwrap_or_else(|error| panic!("{check}: {error}"));
        }
    }
    let mended = builder(&logins.config(), |_| (), pillar()).examine(Some(&migrate)).await;
    assert_eq!(healthy, mended);

    admin.close().await.unwrap();
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    let RoleNames { app, worker, operator, migrate, owner, resolver, search } = roles;
    for role in [app, worker, operator, migrate, owner, resolver, search] {
        admin.execute(AssertSqlSafe(format!("DROP ROLE {role}"))).await.unwrap();
    }
}

#[test]
fn every_examination_has_a_fault() {
    let mut planted: Vec<_> = fault::all().into_iter().map(|(check, _)| check).collect();
    let mut names: Vec<_> = doctor::names().collect();
    planted.sort_unstable();
    names.sort_unstable();
    assert_eq!(planted, names);
    assert!(names.len() >= 40, "{}", names.len());
}
