//! Takes every tenant predicate out of every statement, so that row-level security stands alone.

use sqlparser::ast::JoinConstraint;

use super::parse::{Parsed, split};
use super::predicate::{Condition, conditions, drop_predicate, drop_using, predicates};
use super::rewrite::{Rewrite, Rewriting, Unparsed};

/// Replaces each predicate on the tenant column by a tautology: in `WHERE`, `ON`, `USING`, `HAVING` and
/// `FILTER`, against parameters and against other tables' columns, in subqueries, CTEs and `ON CONFLICT`.
///
/// What it does not touch: values written (`INSERT`, `SET`), select lists, arguments of functions, and what
/// views and functions do inside the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct StripTenantPredicate;

impl Rewrite for StripTenantPredicate {
    fn rewrite(&self, sql: &str) -> Rewriting {
        each_statement(sql, strip)
    }
}

/// Rewrites the statements of a query string one by one; the unchanged ones stay as they are, byte for byte.
pub(super) fn each_statement(
    sql: &str,
    change: impl Fn(&str) -> Result<Option<String>, Unparsed>,
) -> Rewriting {
    let pieces = match split(sql) {
        Ok(pieces) => pieces,
        Err(reason) => return Rewriting { sql: None, unparsed: vec![Unparsed::new(sql, reason)] },
    };
    let mut unparsed = Vec::new();
    let changed: Vec<Option<String>> = pieces
        .iter()
        .map(|piece| {
            change(piece).unwrap_or_else(|refused| {
                unparsed.push(refused);
                None
            })
        })
        .collect();
    let sql = changed.iter().any(Option::is_some).then(|| {
        let texts = changed.iter().zip(&pieces).map(|(new, old)| new.as_deref().unwrap_or(old));
        texts.collect::<Vec<_>>().join(";")
    });
    Rewriting { sql, unparsed }
}

fn strip(sql: &str) -> Result<Option<String>, Unparsed> {
    let Some(mut parsed) = Parsed::read(sql).map_err(|reason| Unparsed::new(sql, reason))? else {
        return Ok(None);
    };
    let mut changed = false;
    let mut refused = None;
    conditions(&mut parsed.statement, |condition| match condition {
        Condition::Where(expr) | Condition::Other(expr) => {
            predicates(expr, false, &mut |leaf, negated| match drop_predicate(leaf, negated) {
                Ok(()) => changed = true,
                Err(reason) => refused = Some(reason),
            });
        }
        Condition::Shared(JoinConstraint::Natural) => {
            refused = Some("NATURAL JOIN may join on the tenant column unseen");
        }
        Condition::Shared(constraint) => changed |= drop_using(constraint),
    });
    if let Some(reason) = refused {
        return Err(Unparsed { mentions_tenant: true, ..Unparsed::new(sql, reason) });
    }
    changed.then(|| parsed.render().map_err(|reason| Unparsed::new(sql, reason))).transpose()
}

#[cfg(test)]
mod tests {
    use super::{Rewrite, StripTenantPredicate};

    fn strip(sql: &str) -> String {
        let done = StripTenantPredicate.rewrite(sql);
        assert_eq!(done.unparsed, vec![], "{sql}");
        done.sql.unwrap_or_else(|| sql.into())
    }

    #[track_caller]
    fn check(sql: &str, stripped: &str) {
        assert_eq!(strip(sql), stripped);
    }

    #[test]
    fn the_conjunct_becomes_a_tautology_that_keeps_its_parameter() {
        check(
            "SELECT id FROM t WHERE workspace_id = $1 AND id = $2",
            "SELECT id FROM t WHERE (true OR workspace_id = $1) AND id = $2",
        );
        check(
            "UPDATE t SET a = $3 WHERE id = $2 AND $1 = t.workspace_id",
            "UPDATE t SET a = $3 WHERE id = $2 AND (true OR $1 = t.workspace_id)",
        );
        check(
            "DELETE FROM t WHERE \"workspace_id\" = ANY($1) AND b",
            "DELETE FROM t WHERE (true OR \"workspace_id\" = ANY($1)) AND b",
        );
        check(
            "SELECT 1 FROM t WHERE NOT (WORKSPACE_ID <> $1 OR gone)",
            "SELECT 1 FROM t WHERE NOT ((false AND WORKSPACE_ID <> $1) OR gone)",
        );
    }

    #[test]
    fn joins_subqueries_and_ctes_are_stripped() {
        check(
            "SELECT 1 FROM a JOIN b ON b.workspace_id = a.workspace_id AND b.id = a.b_id JOIN c USING (workspace_id, id)",
            "SELECT 1 FROM a JOIN b ON (true OR b.workspace_id = a.workspace_id) AND b.id = a.b_id JOIN c USING(id)",
        );
        check(
            "WITH x AS (UPDATE t SET a = 1 WHERE workspace_id = $1 RETURNING id) SELECT id FROM x WHERE EXISTS (SELECT 1 FROM u WHERE u.workspace_id = $1 AND u.id = x.id)",
            "WITH x AS (UPDATE t SET a = 1 WHERE (true OR workspace_id = $1) RETURNING id) SELECT id FROM x WHERE EXISTS (SELECT 1 FROM u WHERE (true OR u.workspace_id = $1) AND u.id = x.id)",
        );
        check(
            "INSERT INTO t (workspace_id, id) SELECT $1, id FROM u WHERE workspace_id = $1 ON CONFLICT (workspace_id, id) DO UPDATE SET a = 1 WHERE t.workspace_id = $1",
            "INSERT INTO t (workspace_id, id) SELECT $1, id FROM u WHERE (true OR workspace_id = $1) ON CONFLICT (workspace_id, id) DO UPDATE SET a = 1 WHERE (true OR t.workspace_id = $1)",
        );
        check(
            "SELECT count(*) FILTER (WHERE workspace_id = $1) FROM a LEFT JOIN (b JOIN c ON b.workspace_id = c.workspace_id) ON TRUE",
            "SELECT count(*) FILTER (WHERE (true OR workspace_id = $1)) FROM a LEFT JOIN (b JOIN c ON (true OR b.workspace_id = c.workspace_id)) ON true",
        );
        check("SELECT 1 FROM a JOIN b USING (workspace_id)", "SELECT 1 FROM a JOIN b ON true");
    }

    #[test]
    fn rows_lose_only_the_tenant_column() {
        check(
            "SELECT 1 FROM t WHERE (workspace_id, at, id) < ($1, $2, $3)",
            "SELECT 1 FROM t WHERE ((at, id) < ($2, $3) AND (true OR workspace_id = $1))",
        );
        check(
            "SELECT 1 FROM t WHERE (workspace_id, id) IN (($1, $2), ($1, $3))",
            "SELECT 1 FROM t WHERE (id IN ($2, $3) AND (true OR workspace_id IN ($1, $1)))",
        );
        check(
            "SELECT 1 FROM t WHERE (workspace_id, id) IN (SELECT workspace_id, t_id FROM u WHERE workspace_id = $1)",
            "SELECT 1 FROM t WHERE id IN (SELECT t_id FROM u WHERE (true OR workspace_id = $1))",
        );
    }

    #[test]
    fn other_statements_stay_byte_for_byte() {
        for sql in [
            "BEGIN; SET LOCAL app.workspace_id = '018f2f4e-0000-7000-8000-000000000001';  SET LOCAL statement_timeout = 5000",
            "insert into t (workspace_id,id) values ($1,$2) returning workspace_id",
            "SELECT workspace_id  FROM t",
            "SELECT set_config('app.workspace_id', $1, true)",
            "COMMIT",
            "",
        ] {
            let done = StripTenantPredicate.rewrite(sql);
            assert_eq!((done.sql, done.unparsed), (None, vec![]), "{sql}");
        }
        check(
            "SELECT  1; DELETE FROM t WHERE workspace_id = $1;",
            "SELECT  1;DELETE FROM t WHERE (true OR workspace_id = $1);",
        );
    }

    #[test]
    fn what_cannot_be_read_is_reported() {
        for (sql, mentions_tenant) in [
            ("DO $$ BEGIN DELETE FROM t WHERE workspace_id = '1'; END $$", true),
            ("DO $$ BEGIN NULL; END $$", false),
            ("SELECT 1 FROM a NATURAL JOIN b", true),
            ("SELECT 1 FROM t WHERE (workspace_id, id) IN (SELECT * FROM u)", true),
            ("SELECT 'open", false),
        ] {
            let done = StripTenantPredicate.rewrite(sql);
            assert_eq!(done.sql, None, "{sql}");
            assert_eq!(done.unparsed.len(), 1, "{sql}");
            assert_eq!(done.unparsed[0].mentions_tenant, mentions_tenant, "{sql}");
        }
    }
}
