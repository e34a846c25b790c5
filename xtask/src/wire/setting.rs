//! Mutants of the begin string: the session setting that row-level security reads.

use sqlparser::ast::{Expr, ObjectName, Set, Statement, Value};
use uuid::Uuid;

use super::parse::Parsed;
use super::rewrite::{Rewrite, Rewriting, Unparsed};
use super::strip::each_statement;

/// The setting that the policies of tenant tables read.
pub const TENANT_SETTING: &str = "app.workspace_id";

/// Changes how a transaction announces its tenant. Made by [`drop_guc`] and [`foreign_guc`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettingMutant {
    value: Option<Uuid>,
}

/// Removes each `SET app.workspace_id`: the code forgets to say whose transaction it is.
#[must_use]
pub fn drop_guc() -> SettingMutant {
    SettingMutant { value: None }
}

/// Makes each `SET app.workspace_id` name another workspace.
#[must_use]
pub fn foreign_guc(workspace: Uuid) -> SettingMutant {
    SettingMutant { value: Some(workspace) }
}

impl Rewrite for SettingMutant {
    fn rewrite(&self, sql: &str) -> Rewriting {
        each_statement(sql, |piece| self.change(piece))
    }
}

impl SettingMutant {
    fn change(&self, sql: &str) -> Result<Option<String>, Unparsed> {
        if !sql.to_ascii_lowercase().contains(TENANT_SETTING) {
            return Ok(None);
        }
        let Some(mut parsed) = Parsed::read(sql).map_err(|reason| Unparsed::new(sql, reason))? else {
            return Ok(None);
        };
        match &mut parsed.statement {
            Statement::Set(Set::SingleAssignment { variable, values, .. }) if is_setting(variable) => {
                Ok(Some(match self.value {
                    None => String::new(),
                    Some(workspace) => {
                        let text = Value::SingleQuotedString(workspace.to_string());
                        *values = vec![Expr::Value(text.into())];
                        parsed.render().map_err(|reason| Unparsed::new(sql, reason))?
                    }
                }))
            }
            // Reading the setting is no business of ours; setting it in another way is.
            _ if sql.to_ascii_lowercase().contains("set_config") => {
                Err(Unparsed::new(sql, "it sets the tenant by a function, not by SET"))
            }
            _ => Ok(None),
        }
    }
}

fn is_setting(name: &ObjectName) -> bool {
    let parts: Vec<&str> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    parts.join(".").eq_ignore_ascii_case(TENANT_SETTING)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Rewrite, drop_guc, foreign_guc};

    const BEGIN: &str = "BEGIN; SET LOCAL app.workspace_id = '018f2f4e-0000-7000-8000-000000000001'; SET LOCAL statement_timeout = 5000";

    #[test]
    fn the_setting_is_dropped_or_replaced_and_nothing_else() {
        let dropped = drop_guc().rewrite(BEGIN);
        assert_eq!(dropped.sql.as_deref(), Some("BEGIN;; SET LOCAL statement_timeout = 5000"));
        let foreign = foreign_guc(Uuid::from_u128(7)).rewrite(BEGIN);
        assert_eq!(
            foreign.sql.as_deref(),
            Some(
                "BEGIN;SET LOCAL app.workspace_id = '00000000-0000-0000-0000-000000000007'; SET LOCAL statement_timeout = 5000"
            )
        );
        for sql in ["BEGIN; SET LOCAL app.actor = 'x'", "SELECT current_setting('app.workspace_id', true)"] {
            assert_eq!(drop_guc().rewrite(sql), super::Rewriting::default());
        }
    }

    #[test]
    fn set_config_is_reported() {
        let done = drop_guc().rewrite("SELECT set_config('app.workspace_id', $1, true)");
        assert_eq!(done.sql, None);
        assert!(done.unparsed[0].mentions_tenant);
    }
}
