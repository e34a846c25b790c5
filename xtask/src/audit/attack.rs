//! Every change that somebody can make who holds the database and knows the format, but has no key. Each is made in a
//! transaction of the superuser, verified there, and undone.

use anyhow::{Context, Result, ensure};
use kernel_core::audit::Checkpoint;
use kernel_core::testkit::audit as weak;
use kernel_core::{App, WorkspaceId};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use uuid::Uuid;

/// The fault of a sealer that goes by ids: what lies before the last sealed row is taken for sealed.
pub(super) const SKIPPING: &str = "
    CREATE OR REPLACE FUNCTION kernel_core.unsealed_audit(batch integer, skipped uuid[])
    RETURNS SETOF kernel_core.audit_unsealed
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
        SELECT a.*
        FROM kernel_core.audit_unsealed AS a
        WHERE a.workspace_id <> ALL (skipped)
          AND a.id > coalesce((SELECT s.id FROM kernel_core.audit_seal AS s WHERE s.workspace_id = a.workspace_id
                               ORDER BY s.id DESC LIMIT 1), '00000000-0000-0000-0000-000000000000')
        ORDER BY a.workspace_id, a.id
        LIMIT batch
    $$";

const LOG: &str = "kernel_core.audit_log";
const WAITING: &str = "kernel_core.audit_unsealed";
const SEAL: &str = "kernel_core.audit_seal";
const HEAD: &str = "kernel_core.audit_head";
const TOTAL: &str = "kernel_core.audit_total";

/// Keeps the signed heads and the total as they are now, for an attacker of a later time.
pub(super) async fn keep(admin: &mut PgConnection) -> Result<()> {
    admin.execute("CREATE TABLE public.kept_head AS SELECT * FROM kernel_core.audit_head").await?;
    admin.execute("CREATE TABLE public.kept_total AS SELECT * FROM kernel_core.audit_total").await?;
    Ok(())
}

/// What came of the attacks.
#[derive(Debug, Default)]
pub(super) struct Attacked {
    pub(super) tried: usize,
    pub(super) unnoticed: Vec<String>,
}

struct Attack {
    name: String,
    statements: Vec<String>,
    /// The seals that are then computed anew, as far as that goes without a key.
    forge: Option<(i64, i64)>,
    /// Whether a checkpoint that was kept outside the database is needed to notice it.
    needs_checkpoint: bool,
}

/// The attacks on one log: on the middle of its longest chain, mostly.
pub(super) struct Attacks<'a> {
    admin: &'a mut PgConnection,
    app: &'a App,
    victim: WorkspaceId,
    other: WorkspaceId,
    ids: Vec<Uuid>,
    all: Vec<Attack>,
}

impl<'a> Attacks<'a> {
    pub(super) async fn new(
        admin: &'a mut PgConnection,
        app: &'a App,
        workspaces: Vec<WorkspaceId>,
    ) -> Result<Self> {
        let mut lengths = Vec::new();
        for workspace in workspaces {
            lengths.push((weak::sealed_ids(admin, workspace).await?, workspace));
        }
        lengths.sort_by_key(|(ids, _)| std::cmp::Reverse(ids.len()));
        let mut lengths = lengths.into_iter();
        let (ids, victim) = lengths.next().context("nothing is sealed")?;
        let (_, other) = lengths.next().context("one workspace only")?;
        ensure!(ids.len() >= 12, "the longest chain is too short to attack");
        Ok(Self { admin, app, victim, other, ids, all: Vec::new() })
    }

    pub(super) async fn run(mut self) -> Result<Attacked> {
        for table in [LOG, SEAL, HEAD, TOTAL] {
            self.edits(table).await?;
        }
        self.rows();
        self.chains();
        self.admin.execute("SET session_replication_role = replica").await?;
        let (sound, kept) = weak::verify(self.admin, self.app, &[]).await?;
        ensure!(sound.is_clean(), "the log is not sound before the attacks: {sound:?}");
        let mut attacked = Attacked::default();
        for attack in std::mem::take(&mut self.all) {
            attacked.tried += 1;
            if !self.is_noticed(&attack, &kept).await.with_context(|| attack.name.clone())? {
                attacked.unnoticed.push(attack.name);
            }
        }
        Ok(attacked)
    }

    async fn is_noticed(&mut self, attack: &Attack, kept: &[Checkpoint]) -> Result<bool> {
        self.admin.execute("BEGIN").await?;
        let mut changed = 0;
        for statement in &attack.statements {
            changed += self.admin.execute(AssertSqlSafe(statement.clone())).await?.rows_affected();
        }
        ensure!(changed > 0, "the attack changes nothing");
        if let Some(range) = attack.forge {
            weak::forge(self.admin, self.app, self.victim, range).await?;
        }
        let known = if attack.needs_checkpoint { kept } else { &[] };
        let (report, _) = weak::verify(self.admin, self.app, known).await?;
        self.admin.execute("ROLLBACK").await?;
        Ok(!report.is_clean())
    }

    fn add(&mut self, name: &str, statements: &[String], forge: Option<(i64, i64)>) {
        let (name, statements) = (name.to_owned(), statements.to_vec());
        self.all.push(Attack { name, statements, forge, needs_checkpoint: false });
    }

    /// The number of the seal in the middle, and the row under it.
    fn middle(&self) -> (i64, Uuid) {
        let index = self.ids.len() / 2;
        (i64::try_from(index).unwrap_or_default() + 1, self.ids[index])
    }

    /// A condition for the victim's rows of a table.
    fn of_victim(&self) -> String {
        format!("workspace_id = '{}'", self.victim.uuid())
    }

    /// Each column of a table changed by itself.
    async fn edits(&mut self, table: &str) -> Result<()> {
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT a.attname::text, format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, NULL)
             FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
             WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        )
        .bind(table)
        .fetch_all(&mut *self.admin)
        .await?;
        ensure!(columns.len() >= 5, "{table} has hardly any columns");
        let (seq, id) = self.middle();
        let place = match table {
            LOG => format!("{} AND id = '{id}'", self.of_victim()),
            SEAL => format!("{} AND seq = {seq}", self.of_victim()),
            HEAD => self.of_victim(),
            _ => "true".to_owned(),
        };
        for (column, kind) in columns {
            let value = match (column.as_str(), kind.as_str()) {
                // There is one total, and a rule that says so: its number says nothing.
                ("id", "smallint") => continue,
                ("workspace_id", _) => format!("'{}'::uuid", Uuid::from_u128(u128::MAX)),
                ("actor_type", _) => "'system'".to_owned(),
                ("sealed" | "seq", _) if table != SEAL => format!("{column} - 1"),
                ("floor_seq", _) => "1".to_owned(),
                // Of the same month, so that it stays in its partition.
                (_, "uuid") => {
                    format!("overlay(coalesce({column}, '{id}')::text placing 'abcdef012345' from 25)::uuid")
                }
                (_, "text") => format!("coalesce({column}, '') || 'x'"),
                (_, "bigint") => format!("{column} + 100000"),
                (_, "jsonb") => format!("{column} || '{{\"forged\": true}}'"),
                (_, "inet") => "'198.51.100.7'".to_owned(),
                (_, "timestamp with time zone") => format!("{column} + interval '1 second'"),
                (_, "bytea") => format!("substr(sha256({column}), 1, greatest(length({column}), 1))"),
                other => anyhow::bail!("no other value is known for {other:?}"),
            };
            let name = format!("{table}: another {column}");
            self.add(&name, &[format!("UPDATE {table} SET {column} = {value} WHERE {place}")], None);
        }
        Ok(())
    }

    /// Rows edited, deleted and inserted, with and without their seals.
    fn rows(&mut self) {
        let ((seq, id), own, end) = (self.middle(), self.of_victim(), i64::MAX);
        let edit = format!("UPDATE {LOG} SET action = 'forged' WHERE {own} AND id = '{id}'");
        let row = format!("DELETE FROM {LOG} WHERE {own} AND id = '{id}'");
        let seal = format!("DELETE FROM {SEAL} WHERE {own} AND seq = {seq}");
        // In two steps, because numbers are unique at every moment.
        let close = [
            format!("UPDATE {SEAL} SET seq = seq + 1000000 WHERE {own} AND seq > {seq}"),
            format!("UPDATE {SEAL} SET seq = seq - 1000001 WHERE {own} AND seq > 1000000"),
        ];
        let fresh = Uuid::from_u128(id.as_u128() ^ 0xffff);
        let insert = format!(
            "INSERT INTO {LOG} SELECT (jsonb_populate_record(a, '{{\"id\": \"{fresh}\"}}')).* FROM {LOG} AS a \
             WHERE {own} AND id = '{id}'"
        );
        let new_seal = |seq: String| {
            format!(
                "INSERT INTO {SEAL} SELECT workspace_id, {seq}, '{fresh}', salt, personal, digest, hash \
                 FROM {SEAL} WHERE {own} AND id = '{id}'"
            )
        };
        let last = format!("(SELECT max(seq) + 1 FROM {SEAL} WHERE {own})");
        let open = [
            format!("UPDATE {SEAL} SET seq = seq + 1000000 WHERE {own} AND seq > {seq}"),
            format!("UPDATE {SEAL} SET seq = seq - 999999 WHERE {own} AND seq > 1000000"),
        ];
        let twice = format!("INSERT INTO {WAITING} SELECT * FROM {LOG} WHERE {own} AND id = '{id}'");
        let total = |by: &str| format!("UPDATE {TOTAL} SET sealed = sealed {by} 1");
        self.add("a row edited and sealed anew", std::slice::from_ref(&edit), Some((seq, seq)));
        self.add("a row edited and all after it sealed anew", std::slice::from_ref(&edit), Some((seq, end)));
        self.add("a row edited and the whole chain rewritten", std::slice::from_ref(&edit), Some((1, end)));
        self.add("a row deleted", std::slice::from_ref(&row), None);
        self.add("a seal deleted", std::slice::from_ref(&seal), None);
        self.add("a row deleted with its seal", &[row.clone(), seal.clone()], None);
        let closed = [&[row, seal][..], &close, &[total("-")]].concat();
        self.add("a row deleted, the gap closed, the chain rewritten", &closed, Some((1, end)));
        self.add("a row inserted", std::slice::from_ref(&insert), None);
        self.add("a sealed row written once more", &[twice], None);
        let appended = [insert.clone(), new_seal(last)];
        self.add("a row inserted with a seal at the end", &appended, None);
        let appended = [&appended[..], &[total("+")]].concat();
        self.add("a row inserted at the end, sealed, the head moved", &appended, Some((seq, end)));
        let opened = [&[insert][..], &open, &[new_seal(format!("{seq} + 1")), total("+")]].concat();
        self.add("a row inserted in the middle and the chain rewritten", &opened, Some((1, end)));
    }

    /// Chains reordered, exchanged, cut off and put back.
    fn chains(&mut self) {
        let ((seq, _), own, end) = (self.middle(), self.of_victim(), i64::MAX);
        let (victim, other) = (self.victim.uuid(), self.other.uuid());
        let swapped = [
            format!("UPDATE {SEAL} SET seq = 1000000 WHERE {own} AND seq = {seq}"),
            format!("UPDATE {SEAL} SET seq = {seq} WHERE {own} AND seq = {seq} + 1"),
            format!("UPDATE {SEAL} SET seq = {seq} + 1 WHERE {own} AND seq = 1000000"),
        ];
        self.add("two seals exchanged", &swapped, None);
        self.add("two seals exchanged and made anew", &swapped, Some((seq, seq + 1)));
        self.add("two seals exchanged and the chain rewritten", &swapped, Some((1, end)));
        let rows = format!(
            "WITH one AS (SELECT * FROM {LOG} WHERE {own} AND id = '{}'), two AS (SELECT * FROM {LOG} WHERE {own} AND id = '{}') \
             UPDATE {LOG} AS a SET action = 'x' || b.action, metadata = b.metadata, created_at = b.created_at \
             FROM (SELECT one.id AS at, two.* FROM one, two UNION ALL SELECT two.id, one.* FROM one, two) AS b \
             WHERE a.workspace_id = '{victim}' AND a.id = b.at",
            self.ids[0], self.ids[1]
        );
        self.add("the contents of two rows exchanged", &[rows], None);
        let nowhere = Uuid::from_u128(u128::MAX);
        let exchanged: Vec<_> = [LOG, SEAL, HEAD]
            .iter()
            .flat_map(|table| {
                [(victim, nowhere), (other, victim), (nowhere, other)].map(|pair| (*table, pair))
            })
            .map(|(table, (from, to))| {
                format!("UPDATE {table} SET workspace_id = '{to}' WHERE workspace_id = '{from}'")
            })
            .collect();
        self.add("two workspaces exchanged", &exchanged, None);
        self.add("two workspaces exchanged and a chain rewritten", &exchanged, Some((1, end)));
        let moved = [LOG, SEAL].map(|table| {
            format!("UPDATE {table} SET workspace_id = '{nowhere}' WHERE workspace_id = '{other}'")
        });
        self.add("a log given to another workspace", &moved, None);
        let cut = [
            format!(
                "DELETE FROM {LOG} WHERE {own} AND id IN (SELECT id FROM {SEAL} WHERE {own} AND seq > {seq})"
            ),
            format!("DELETE FROM {SEAL} WHERE {own} AND seq > {seq}"),
        ];
        self.add("the tail cut off", &cut, None);
        let head = format!(
            "UPDATE {HEAD} SET seq = {seq}, hash = (SELECT hash FROM {SEAL} WHERE {own} AND seq = {seq}) WHERE {own}"
        );
        self.add("the tail cut off and the head moved", &[&cut[..], &[head]].concat(), None);
        self.back();
        let gone = [LOG, SEAL, HEAD].map(|table| format!("DELETE FROM {table} WHERE {own}"));
        self.add("a whole log removed", &gone, None);
        self.add("a head removed", &gone[2..], None);
    }

    /// Heads of an earlier time put back, whose codes are sound.
    fn back(&mut self) {
        let back = |own: &str| {
            vec![
                format!(
                    "DELETE FROM {LOG} WHERE {own} AND (workspace_id, id) IN (SELECT s.workspace_id, s.id \
                     FROM {SEAL} AS s LEFT JOIN public.kept_head AS k USING (workspace_id) WHERE s.seq > coalesce(k.seq, 0))"
                ),
                format!(
                    "DELETE FROM {SEAL} AS s WHERE {own} AND s.seq > coalesce( \
                     (SELECT k.seq FROM public.kept_head AS k WHERE k.workspace_id = s.workspace_id), 0)"
                ),
                format!("DELETE FROM {HEAD} WHERE {own}"),
                format!("INSERT INTO {HEAD} SELECT * FROM public.kept_head WHERE {own}"),
            ]
        };
        self.add("a chain put back to an earlier head", &back(&self.of_victim()), None);
        let mut all = back("true");
        // The verification itself has left rows that wait; they go too.
        all.push(format!("DELETE FROM {WAITING}"));
        all.push(format!("DELETE FROM {TOTAL}"));
        all.push(format!("INSERT INTO {TOTAL} SELECT * FROM public.kept_total"));
        self.add("the whole log put back to an earlier state", &all, None);
        if let Some(last) = self.all.last_mut() {
            last.needs_checkpoint = true;
        }
    }
}
