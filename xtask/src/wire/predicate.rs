//! Finds every place where a statement filters by the tenant column, and takes it apart.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FromTable, Ident, Insert, Join, JoinConstraint, JoinOperator, OnConflictAction,
    OnInsert, Query, Select, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, UnaryOperator,
    UpdateTableFromKind, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::parse::is_tenant;

/// A place in a statement that decides which rows it sees.
pub(super) enum Condition<'a> {
    /// `WHERE`, of a query, an update, a delete or an `ON CONFLICT`.
    Where(&'a mut Expr),
    /// `ON`, `HAVING`, `FILTER`, or of a `MERGE`.
    Other(&'a mut Expr),
    /// `USING (…)` or `NATURAL`.
    Shared(&'a mut JoinConstraint),
}

/// Calls `visit` for every condition of a statement, those of subqueries included, outer before inner.
pub(super) fn conditions(statement: &mut Statement, mut visit: impl FnMut(Condition<'_>)) {
    let _: ControlFlow<()> = statement.visit(&mut Walk(&mut visit));
}

struct Walk<'a>(&'a mut dyn FnMut(Condition<'_>));

impl Walk<'_> {
    fn filter(&mut self, selection: &mut Option<Expr>) {
        if let Some(expr) = selection {
            (self.0)(Condition::Where(expr));
        }
    }

    fn tables(&mut self, tables: &mut [TableWithJoins]) {
        for Join { join_operator, .. } in tables.iter_mut().flat_map(|table| &mut table.joins) {
            match constraint(join_operator) {
                Some(JoinConstraint::On(expr)) => (self.0)(Condition::Other(expr)),
                Some(shared @ (JoinConstraint::Using(_) | JoinConstraint::Natural)) => {
                    (self.0)(Condition::Shared(shared));
                }
                Some(JoinConstraint::None) | None => {}
            }
        }
    }
}

impl VisitorMut for Walk<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        match statement {
            Statement::Update(update) => {
                self.tables(std::slice::from_mut(&mut update.table));
                if let Some(UpdateTableFromKind::AfterSet(tables) | UpdateTableFromKind::BeforeSet(tables)) =
                    &mut update.from
                {
                    self.tables(tables);
                }
                self.filter(&mut update.selection);
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &mut delete.from;
                self.tables(from);
                self.tables(delete.using.as_deref_mut().unwrap_or_default());
                self.filter(&mut delete.selection);
            }
            Statement::Insert(Insert { on: Some(OnInsert::OnConflict(conflict)), .. }) => {
                if let OnConflictAction::DoUpdate(update) = &mut conflict.action {
                    self.filter(&mut update.selection);
                }
            }
            Statement::Merge(merge) => {
                (self.0)(Condition::Other(&mut merge.on));
                for predicate in merge.clauses.iter_mut().filter_map(|clause| clause.predicate.as_mut()) {
                    (self.0)(Condition::Other(predicate));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.tables(&mut select.from);
        self.filter(&mut select.selection);
        if let Some(having) = &mut select.having {
            (self.0)(Condition::Other(having));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.tables(std::slice::from_mut(table_with_joins));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(filter) = &mut function.filter
        {
            (self.0)(Condition::Other(filter));
        }
        ControlFlow::Continue(())
    }
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

/// Calls `visit` for every tenant predicate of a boolean expression, and says whether it stands under `NOT`.
pub(super) fn predicates(expr: &mut Expr, negated: bool, visit: &mut dyn FnMut(&mut Expr, bool)) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            predicates(left, negated, visit);
            predicates(right, negated, visit);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => predicates(expr, !negated, visit),
        Expr::Nested(inner) => predicates(inner, negated, visit),
        leaf if names_tenant(leaf) => visit(leaf, negated),
        _ => {}
    }
}

/// Whether the expression itself, not a subquery in it, names the tenant column.
pub(super) fn names_tenant(expr: &Expr) -> bool {
    struct Search {
        depth: usize,
    }
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_ident(&mut self, ident: &Ident) -> ControlFlow<()> {
            if self.depth == 0 && is_tenant(ident) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    expr.visit(&mut Search { depth: 0 }).is_break()
}

/// The tenant column itself, be it qualified, cast or in parentheses.
pub(super) fn is_tenant_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(ident) => is_tenant(ident),
        Expr::CompoundIdentifier(idents) => idents.last().is_some_and(is_tenant),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_tenant_column(inner),
        _ => false,
    }
}

/// The two sides of a comparison of the tenant column: the column, and what it is compared with, if that
/// is one expression.
pub(super) fn sides(leaf: &Expr) -> Option<(&Expr, Option<&Expr>)> {
    let (left, right) = match leaf {
        Expr::BinaryOp { left, right, .. }
        | Expr::IsNotDistinctFrom(left, right)
        | Expr::IsDistinctFrom(left, right)
        | Expr::AnyOp { left, right, .. } => (left, Some(right.as_ref())),
        Expr::InList { expr, .. } | Expr::InSubquery { expr, .. } => (expr, None),
        _ => return None,
    };
    if is_tenant_column(left) {
        return Some((left, right));
    }
    right.filter(|right| is_tenant_column(right)).map(|right| (right, Some(left.as_ref())))
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

pub(super) fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

pub(super) fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

/// `(TRUE OR …)`, under `NOT` `(FALSE AND …)`: the planner drops it, and the parameters in it keep their
/// types, so that the client's `Bind` stays valid.
pub(super) fn neutral(expr: Expr, negated: bool) -> Expr {
    let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
    nested(binary(boolean(!negated), op, expr))
}

/// Takes the tenant column out of one predicate; the error says what it is that cannot be taken apart.
pub(super) fn drop_predicate(leaf: &mut Expr, negated: bool) -> Result<(), &'static str> {
    *leaf = match leaf.clone() {
        Expr::BinaryOp { left, op, right } if is_row(&left) && is_row(&right) => {
            drop_from_rows(&left, &op, &right)?
        }
        Expr::InList { expr, list, negated: not } if is_row(&expr) => drop_from_list(&expr, &list, not)?,
        Expr::InSubquery { expr, subquery, negated: not } if is_row(&expr) => {
            drop_from_subquery(&expr, *subquery, not)?
        }
        whole => neutral(whole, negated),
    };
    Ok(())
}

fn is_row(expr: &Expr) -> bool {
    matches!(expr, Expr::Tuple(fields) if fields.len() > 1)
}

fn fields(row: &Expr) -> Result<&[Expr], &'static str> {
    match row {
        Expr::Tuple(fields) => Ok(fields),
        _ => Err("a row is compared with something that is not written out as a row"),
    }
}

fn tenant_field(row: &Expr) -> Option<usize> {
    fields(row).ok()?.iter().position(is_tenant_column)
}

fn without(row: &Expr, index: usize) -> Result<Expr, &'static str> {
    let mut rest = fields(row)?.to_vec();
    if index >= rest.len() {
        return Err("two rows of different length are compared");
    }
    rest.remove(index);
    Ok(if rest.len() == 1 { rest.remove(0) } else { Expr::Tuple(rest) })
}

fn drop_from_rows(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Expr, &'static str> {
    let index =
        tenant_field(left).or_else(|| tenant_field(right)).ok_or("the tenant column is hidden in a row")?;
    let rest = binary(without(left, index)?, op.clone(), without(right, index)?);
    let gone = binary(fields(left)?[index].clone(), BinaryOperator::Eq, fields(right)?[index].clone());
    Ok(nested(binary(rest, BinaryOperator::And, neutral(gone, false))))
}

fn drop_from_list(row: &Expr, list: &[Expr], negated: bool) -> Result<Expr, &'static str> {
    let index = tenant_field(row).ok_or("the tenant column is hidden in a row")?;
    let rest = list.iter().map(|item| without(item, index)).collect::<Result<_, _>>()?;
    // Each item is as long as the row: it had that field to lose.
    let gone = list.iter().filter_map(|item| fields(item).ok()?.get(index).cloned()).collect();
    let rest = Expr::InList { expr: Box::new(without(row, index)?), list: rest, negated };
    let gone = Expr::InList { expr: Box::new(fields(row)?[index].clone()), list: gone, negated };
    Ok(nested(binary(rest, BinaryOperator::And, neutral(gone, false))))
}

fn drop_from_subquery(row: &Expr, mut subquery: Query, negated: bool) -> Result<Expr, &'static str> {
    const ODD: &str =
        "a row with the tenant column is looked up in a subquery that is not a plain SELECT of columns";
    let index = tenant_field(row).ok_or("the tenant column is hidden in a row")?;
    let SetExpr::Select(select) = subquery.body.as_mut() else { return Err(ODD) };
    if select.projection.len() != fields(row)?.len() || select.distinct.is_some() {
        return Err(ODD);
    }
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_));
    if !select.projection.iter().all(plain) {
        return Err(ODD);
    }
    let SelectItem::UnnamedExpr(gone) = select.projection.remove(index) else { return Err(ODD) };
    if !matches!(gone, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return Err(ODD);
    }
    Ok(Expr::InSubquery { expr: Box::new(without(row, index)?), subquery: Box::new(subquery), negated })
}

/// Takes the tenant column out of `USING (…)`; false if it is not in there.
pub(super) fn drop_using(constraint: &mut JoinConstraint) -> bool {
    let JoinConstraint::Using(columns) = constraint else { return false };
    let before = columns.len();
    columns.retain(|column| !column.0.last().and_then(|part| part.as_ident()).is_some_and(is_tenant));
    let dropped = columns.len() < before;
    if columns.is_empty() {
        *constraint = JoinConstraint::On(boolean(true));
    }
    dropped
}
