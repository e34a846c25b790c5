//! Single changes of a statement, each of which breaks its tenancy in one way.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Insert, JoinConstraint, SelectItem, SetExpr, Statement,
    UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::parse::{Parsed, is_tenant, split};
use super::predicate::{
    Condition, binary, boolean, conditions, drop_predicate, drop_using, is_tenant_column, names_tenant,
    nested, neutral, predicates, sides,
};
use super::rewrite::Unparsed;

/// A statement with one planted fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mutant {
    /// What was done, `#`, and to which occurrence, in reading order from one: `drop_predicate#2`.
    pub name: String,
    /// The changed statement. It takes the same parameters, with the same types, as the original.
    pub sql: String,
}

/// Every mutant of one statement; none if it does not filter or write by tenant.
///
/// - `drop_predicate`: the tenant predicate is a tautology.
/// - `drop_join_column`: so is one that compares the tenant columns of two tables, or `USING` lacks it.
/// - `not_equal`: `=` is `<>`.
/// - `is_not_null`, `self_compare`: the column is compared with nothing, or with itself.
/// - `or_instead_of_and`: the `AND` beside the predicate is `OR`.
/// - `drop_where`: the whole `WHERE` with the predicate in it is a tautology.
/// - `nil_tenant_value`: an `INSERT` writes into the nil workspace.
///
/// # Errors
///
/// When the statement cannot be read, or compares rows in a way that cannot be taken apart.
pub fn mutants(sql: &str) -> Result<Vec<Mutant>, Unparsed> {
    let refused = |reason: String| Unparsed::new(sql, reason);
    if split(sql).map_err(refused)?.iter().filter(|piece| !piece.trim().is_empty()).count() > 1 {
        return Err(refused("mutants are made of one statement, not of several".into()));
    }
    let Some(parsed) = Parsed::read(sql).map_err(refused)? else { return Ok(Vec::new()) };
    let original = parsed.render().map_err(refused)?;
    let mut found: Vec<Mutant> = Vec::new();
    for (number, change) in candidates(&parsed.statement) {
        let mut changed = parsed.clone();
        apply(&mut changed.statement, number, change).map_err(|reason| refused(reason.into()))?;
        let sql = changed.render().map_err(refused)?;
        if sql != original && found.iter().all(|other| other.sql != sql) {
            found.push(Mutant { name: format!("{}#{number}", change.name()), sql });
        }
    }
    Ok(found)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    DropJoinColumn,
    DropPredicate,
    DropWhere,
    IsNotNull,
    NilTenantValue,
    NotEqual,
    OrInsteadOfAnd,
    SelfCompare,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::DropJoinColumn => "drop_join_column",
            Self::DropPredicate => "drop_predicate",
            Self::DropWhere => "drop_where",
            Self::IsNotNull => "is_not_null",
            Self::NilTenantValue => "nil_tenant_value",
            Self::NotEqual => "not_equal",
            Self::OrInsteadOfAnd => "or_instead_of_and",
            Self::SelfCompare => "self_compare",
        }
    }
}

/// What to try where: predicates and `USING` lists, `WHERE` clauses, and inserts are numbered each on
/// their own, in reading order.
fn candidates(statement: &Statement) -> Vec<(usize, Change)> {
    let mut scratch = statement.clone();
    let (mut all, mut number, mut clauses) = (Vec::new(), 0, 0);
    conditions(&mut scratch, |condition| {
        let is_where = matches!(condition, Condition::Where(_));
        let before = number;
        match condition {
            Condition::Where(expr) | Condition::Other(expr) => {
                predicates(expr, false, &mut |leaf, negated| {
                    number += 1;
                    all.extend(changes(leaf, negated).into_iter().map(|change| (number, change)));
                });
            }
            Condition::Shared(constraint @ JoinConstraint::Using(_)) => {
                if drop_using(constraint) {
                    number += 1;
                    all.push((number, Change::DropJoinColumn));
                }
            }
            Condition::Shared(_) => {}
        }
        if is_where && number > before {
            clauses += 1;
            all.push((clauses, Change::DropWhere));
        }
    });
    let mut inserts = 0;
    let _: ControlFlow<()> = scratch.visit(&mut Inserts(&mut |_| inserts += 1));
    all.extend((1..=inserts).map(|number| (number, Change::NilTenantValue)));
    all
}

fn changes(leaf: &Expr, negated: bool) -> Vec<Change> {
    let join = match leaf {
        Expr::BinaryOp { left, right, .. } => match (left.as_ref(), right.as_ref()) {
            (Expr::Tuple(left), Expr::Tuple(right)) => {
                left.iter().zip(right).any(|(left, right)| is_tenant_column(left) && is_tenant_column(right))
            }
            (left, right) => is_tenant_column(left) && is_tenant_column(right),
        },
        _ => false,
    };
    if join {
        return vec![Change::DropJoinColumn, Change::OrInsteadOfAnd];
    }
    let mut all = vec![Change::DropPredicate];
    let excludes =
        matches!(leaf, Expr::BinaryOp { op: BinaryOperator::NotEq, .. } | Expr::IsDistinctFrom(..));
    if !negated && !excludes {
        all.push(Change::OrInsteadOfAnd);
        if sides(leaf).is_some() {
            all.extend([Change::NotEqual, Change::IsNotNull, Change::SelfCompare]);
        }
    }
    all
}

fn apply(statement: &mut Statement, wanted: usize, change: Change) -> Result<(), &'static str> {
    if change == Change::NilTenantValue {
        let mut number = 0;
        let _: ControlFlow<()> = statement.visit(&mut Inserts(&mut |value| {
            number += 1;
            if number == wanted {
                nil_tenant(value);
            }
        }));
        return Ok(());
    }
    let (mut number, mut clauses, mut outcome) = (0, 0, Ok(()));
    conditions(statement, |condition| match condition {
        Condition::Where(expr) if change == Change::DropWhere => {
            let mut any = false;
            predicates(expr, false, &mut |_, _| any = true);
            clauses += usize::from(any);
            if any && clauses == wanted {
                let all = std::mem::replace(expr, boolean(true));
                *expr = neutral(nested(all), false);
            }
        }
        _ if change == Change::DropWhere => {}
        Condition::Where(expr) | Condition::Other(expr) if change == Change::OrInsteadOfAnd => {
            or_around(expr, wanted, &mut number);
        }
        Condition::Where(expr) | Condition::Other(expr) => predicates(expr, false, &mut |leaf, negated| {
            number += 1;
            if number == wanted {
                outcome = change_predicate(leaf, negated, change);
            }
        }),
        Condition::Shared(constraint @ JoinConstraint::Using(_)) => {
            let mut scratch = constraint.clone();
            number += usize::from(drop_using(&mut scratch));
            if number == wanted && change == Change::DropJoinColumn {
                *constraint = scratch;
            }
        }
        Condition::Shared(_) => {}
    });
    outcome
}

fn change_predicate(leaf: &mut Expr, negated: bool, change: Change) -> Result<(), &'static str> {
    if matches!(change, Change::DropPredicate | Change::DropJoinColumn) {
        return drop_predicate(leaf, negated);
    }
    let Some((column, _)) = sides(leaf) else { return Ok(()) };
    let weaker = match change {
        Change::NotEqual => {
            if let Expr::BinaryOp { op: op @ BinaryOperator::Eq, .. } = leaf {
                *op = BinaryOperator::NotEq;
            } else {
                *leaf = Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(leaf.clone())) };
            }
            return Ok(());
        }
        Change::SelfCompare => binary(column.clone(), BinaryOperator::Eq, column.clone()),
        _ => Expr::IsNotNull(Box::new(column.clone())),
    };
    *leaf = nested(binary(weaker, BinaryOperator::And, neutral(leaf.clone(), false)));
    Ok(())
}

/// Turns the `AND` next to the wanted predicate into `OR`; true if `expr` is that predicate.
fn or_around(expr: &mut Expr, wanted: usize, number: &mut usize) -> bool {
    match expr {
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            let left_is = or_around(left, wanted, number);
            let right_is = or_around(right, wanted, number);
            if (left_is || right_is) && *op == BinaryOperator::And {
                *op = BinaryOperator::Or;
                *expr = nested(expr.clone());
            }
            false
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            or_around(expr, wanted, number);
            false
        }
        Expr::Nested(inner) => or_around(inner, wanted, number),
        leaf if names_tenant(leaf) => {
            *number += 1;
            *number == wanted
        }
        _ => false,
    }
}

/// Calls back for every value that an `INSERT` writes into the tenant column.
struct Inserts<'a>(&'a mut dyn FnMut(&mut Expr));

impl VisitorMut for Inserts<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        let Statement::Insert(Insert { columns, source: Some(source), .. }) = statement else {
            return ControlFlow::Continue(());
        };
        let named = |part: &sqlparser::ast::ObjectName| {
            part.0.last().and_then(|part| part.as_ident()).is_some_and(is_tenant)
        };
        let Some(index) = columns.iter().position(named) else { return ControlFlow::Continue(()) };
        match source.body.as_mut() {
            SetExpr::Values(values) => {
                for value in values.rows.iter_mut().filter_map(|row| row.content.get_mut(index)) {
                    (self.0)(value);
                }
            }
            SetExpr::Select(select) => {
                if let Some(SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }) =
                    select.projection.get_mut(index)
                {
                    (self.0)(value);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `CASE WHEN TRUE THEN <nil> ELSE value END`: the value keeps its parameter, and never comes to be.
fn nil_tenant(value: &mut Expr) {
    let nil = Value::SingleQuotedString(uuid::Uuid::nil().to_string());
    let nil = Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(Expr::Value(nil.into())),
        data_type: DataType::Uuid,
        format: None,
    };
    let when = sqlparser::ast::CaseWhen { condition: boolean(true), result: nil };
    *value = Expr::Case {
        case_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        end_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        operand: None,
        conditions: vec![when],
        else_result: Some(Box::new(value.clone())),
    };
}

#[cfg(test)]
mod tests {
    use super::mutants;

    fn named(sql: &str) -> Vec<(String, String)> {
        mutants(sql).unwrap().into_iter().map(|mutant| (mutant.name, mutant.sql)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, sql)| ((*name).into(), (*sql).into())).collect()
    }

    #[test]
    fn a_predicate_is_broken_in_every_way() {
        assert_eq!(
            named("SELECT a FROM t WHERE workspace_id = $1 AND id = $2 AND b"),
            pairs(&[
                ("drop_predicate#1", "SELECT a FROM t WHERE (true OR workspace_id = $1) AND id = $2 AND b"),
                ("or_instead_of_and#1", "SELECT a FROM t WHERE (workspace_id = $1 OR id = $2) AND b"),
                ("not_equal#1", "SELECT a FROM t WHERE workspace_id <> $1 AND id = $2 AND b"),
                (
                    "is_not_null#1",
                    "SELECT a FROM t WHERE (workspace_id IS NOT NULL AND (true OR workspace_id = $1)) AND id = $2 AND b"
                ),
                (
                    "self_compare#1",
                    "SELECT a FROM t WHERE (workspace_id = workspace_id AND (true OR workspace_id = $1)) AND id = $2 AND b"
                ),
                ("drop_where#1", "SELECT a FROM t WHERE (true OR (workspace_id = $1 AND id = $2 AND b))"),
            ])
        );
    }

    #[test]
    fn joins_lose_the_tenant_column_one_at_a_time() {
        let sql = "SELECT 1 FROM a JOIN b ON b.workspace_id = a.workspace_id AND b.id = a.b JOIN c USING (workspace_id, id)";
        assert_eq!(
            named(sql),
            pairs(&[
                (
                    "drop_join_column#1",
                    "SELECT 1 FROM a JOIN b ON (true OR b.workspace_id = a.workspace_id) AND b.id = a.b JOIN c USING(workspace_id, id)"
                ),
                (
                    "or_instead_of_and#1",
                    "SELECT 1 FROM a JOIN b ON (b.workspace_id = a.workspace_id OR b.id = a.b) JOIN c USING(workspace_id, id)"
                ),
                (
                    "drop_join_column#2",
                    "SELECT 1 FROM a JOIN b ON b.workspace_id = a.workspace_id AND b.id = a.b JOIN c USING(id)"
                ),
            ])
        );
    }

    #[test]
    fn inserts_write_into_the_nil_workspace() {
        let nil = "CASE WHEN true THEN '00000000-0000-0000-0000-000000000000'::UUID ELSE $1 END";
        assert_eq!(
            named("INSERT INTO t (id, workspace_id) VALUES ($2, $1)"),
            pairs(&[("nil_tenant_value#1", &format!("INSERT INTO t (id, workspace_id) VALUES ($2, {nil})"))])
        );
    }

    #[test]
    fn a_statement_without_tenant_has_no_mutants() {
        assert_eq!(named("SELECT id FROM kernel_core.meta WHERE id = $1"), []);
        assert_eq!(named(""), []);
        assert!(mutants("BEGIN; SELECT 1").is_err());
        assert!(mutants("DO $$ x $$").is_err());
    }
}
