//! Where a ciphertext belongs. It opens nowhere else: the place is authenticated with it.

use std::fmt;

use uuid::Uuid;

use crate::id::WorkspaceId;

/// A column whose values are sealed, one by one, for the row and the workspace that they lie in.
///
/// [`Table::sealed`](crate::Table::sealed) declares it; [`seal`](crate::seal) and [`open`](crate::open) take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedColumn {
    pub(crate) schema: &'static str,
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
}

impl SealedColumn {
    /// The column `column` of the table `schema.table`.
    #[must_use]
    pub const fn new(schema: &'static str, table: &'static str, column: &'static str) -> Self {
        Self { schema, table, column }
    }
}

impl fmt::Display for SealedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.schema, self.table, self.column)
    }
}

/// What a ciphertext is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// A sealed column of one row.
    Cell { column: SealedColumn, workspace: WorkspaceId, id: Uuid },
    /// A cached value; the hash names the workspace among other things.
    Cached { key: &'a [u8; 32] },
    /// A data key under the provider's key.
    DataKey { number: i32 },
    /// A field of a job, an event or an answer; the purpose is its kind.
    Payload { purpose: &'a str, workspace: WorkspaceId },
}

impl Place<'_> {
    /// One spelling per place: every part stands behind its length, so none can pass for the end of another.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Cell { column: SealedColumn { schema, table, column }, workspace, id } => joined(&[
                b"cell",
                schema.as_bytes(),
                table.as_bytes(),
                column.as_bytes(),
                workspace.uuid().as_bytes(),
                id.as_bytes(),
            ]),
            Self::Cached { key } => joined(&[b"cached", *key]),
            Self::DataKey { number } => joined(&[b"data key", &number.to_be_bytes()]),
            Self::Payload { purpose, workspace } => {
                joined(&[b"payload", purpose.as_bytes(), workspace.uuid().as_bytes()])
            }
        }
    }
}

/// The parts, each behind its length in eight bytes.
pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes(), *part].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_places_are_spelt_alike() {
        let (system, one) = (WorkspaceId::SYSTEM, WorkspaceId::from_uuid(Uuid::from_u128(1)));
        let cell = |schema, table, column, workspace, id| Place::Cell {
            column: SealedColumn::new(schema, table, column),
            workspace,
            id: Uuid::from_u128(id),
        };
        let places = [
            cell("a", "bc", "d", system, 1),
            cell("ab", "c", "d", system, 1),
            cell("a", "b", "cd", system, 1),
            cell("a", "bc", "d", one, 1),
            cell("a", "bc", "d", system, 2),
            Place::Payload { purpose: "a", workspace: system },
            Place::Payload { purpose: "a", workspace: one },
            Place::Payload { purpose: "b", workspace: system },
            Place::Cached { key: &[1; 32] },
            Place::Cached { key: &[2; 32] },
            Place::DataKey { number: 1 },
            Place::DataKey { number: 2 },
        ];
        let mut spelt: Vec<_> = places.iter().map(Place::bytes).collect();
        spelt.sort();
        spelt.dedup();
        assert_eq!(spelt.len(), places.len());
    }
}
