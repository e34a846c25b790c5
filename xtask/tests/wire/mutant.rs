//! Every mutant is a statement that PostgreSQL plans, takes the same parameters, and does another thing.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use xtask::wire::mutants;

use crate::fixture::{A, Database, issue};
use crate::strip::{CORPUS, parameter_types};

#[tokio::test]
async fn every_mutant_is_planned_with_the_same_parameters() {
    let database = Database::create("mutants").await;
    let mut conn = database.connect().await;
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for sql in CORPUS {
        let before = parameter_types(&mut conn, sql).await.unwrap();
        let all = mutants(sql).unwrap();
        assert!(!all.is_empty(), "{sql}");
        for mutant in all {
            let after = parameter_types(&mut conn, &mutant.sql).await;
            let after = after.unwrap_or_else(|error| panic!("{}: {}: {error}", mutant.name, mutant.sql));
            assert_eq!(after, before, "{}: {}", mutant.name, mutant.sql);
            *kinds.entry(mutant.name.split('#').next().unwrap().into()).or_default() += 1;
        }
    }
    let names: Vec<&str> = kinds.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "drop_join_column",
            "drop_predicate",
            "drop_where",
            "is_not_null",
            "nil_tenant_value",
            "not_equal",
            "or_instead_of_and",
            "self_compare"
        ]
    );
    assert!(kinds.values().sum::<usize>() >= 100, "{kinds:?}");
    database.drop().await;
}

async fn rows(conn: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(A).bind(issue(1)).fetch_all(conn).await.unwrap();
    rows.iter().map(|row: &PgRow| row.get(0)).collect()
}

#[tokio::test]
async fn each_mutant_of_a_query_lets_a_foreign_row_in() {
    let database = Database::create("mutants_leak").await;
    let mut conn = database.connect().await;
    for sql in [
        "SELECT title FROM demo.issue WHERE workspace_id = $1 AND id = $2 AND state = 'open'",
        "SELECT title FROM demo.issue WHERE (workspace_id, id) = ($1, $2)",
        "SELECT title FROM demo.issue WHERE workspace_id = ANY(ARRAY[$1]::uuid[]) AND id = $2",
        "SELECT title FROM demo.issue WHERE NOT (workspace_id <> $1 OR id <> $2)",
    ] {
        assert_eq!(rows(&mut conn, sql).await, ["issue 1 of a"]);
        let all = mutants(sql).unwrap();
        assert!(!all.is_empty());
        for mutant in all {
            let leaked = rows(&mut conn, &mutant.sql).await;
            assert!(
                leaked.iter().any(|title| title.ends_with('b')),
                "{}: {}: {leaked:?}",
                mutant.name,
                mutant.sql
            );
        }
    }
    database.drop().await;
}
