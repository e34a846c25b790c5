//! What is done to the patient, one fault for each examination.

use kernel_core::http::{Environment, Quota};
use kernel_core::{Clock, Config, DbConfig, Pillar};

use super::{ALL, feature};

/// What is done, and how it is undone. `{db}` is the database and what the names of its roles start with.
pub(super) enum Fault {
    Sql(&'static str, &'static str),
    Config(fn(&mut Config)),
    Logins(fn(&mut DbConfig)),
    Pillar(fn(Pillar) -> Pillar),
    /// It would befall everybody who uses the server: judged from facts beside the examination, or, where it takes a
    /// server and a pooler of one's own, in `tests/pgbouncer.rs`.
    Elsewhere,
}
use Fault::{Elsewhere, Logins as Urls, Sql};

type Faults = Vec<(&'static str, Fault)>;

const FUNCTION: &str =
    "CREATE FUNCTION shop.peek() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'";
const RESET: &str = "ALTER DATABASE {db} RESET ALL";

pub(super) fn production(config: &mut Config) {
    config.http.environment = Environment::Production;
    config.http.public_origin = Some("https://shop.example".to_owned());
}

pub(super) fn all() -> Faults {
    [server(), login(), schema(), migration(), config()].into_iter().flatten().collect()
}

fn server() -> Faults {
    vec![
        ("server.version", Elsewhere),
        ("server.patches", Elsewhere),
        ("server.encoding", Elsewhere),
        ("server.encryption", Elsewhere),
        ("server.transaction_age", Elsewhere),
        ("server.statistics", Elsewhere),
        ("server.full_page_writes", Elsewhere),
        ("server.autovacuum", Elsewhere),
        ("server.checksums", Elsewhere),
        ("server.clock", Fault::Config(|config| config.clock = Clock::manual(chrono::DateTime::UNIX_EPOCH))),
        ("server.connections", Urls(|db| db.max_connections = 100_000)),
        // The server of the tests is fast and would not survive a crash.
        ("server.fsync", Fault::Config(production)),
        ("server.synchronous_commit", Sql("ALTER DATABASE {db} SET synchronous_commit = off", RESET)),
        ("server.row_security", Sql("ALTER DATABASE {db} SET row_security = off", RESET)),
        ("server.strings", Sql("ALTER DATABASE {db} SET standard_conforming_strings = off", RESET)),
        ("server.password_encryption", Sql("ALTER DATABASE {db} SET password_encryption = 'md5'", RESET)),
        ("server.statement_log", Sql("ALTER DATABASE {db} SET log_statement = 'mod'", RESET)),
        (
            "server.audit_partitions",
            Sql(
                "DO $$ DECLARE part regclass; BEGIN
                     FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'kernel_core.audit_log'::regclass
                                 AND inhrelid::regclass::text > 'kernel_core.audit_log_' || to_char(now(), 'YYYY_MM')
                                 AND inhrelid::regclass::text <> 'kernel_core.audit_log_default'
                     LOOP EXECUTE 'DROP TABLE ' || part; END LOOP; END $$",
                "SET ROLE {db}_migrate; SELECT kernel_core.ensure_audit_partitions(12, now()); RESET ROLE",
            ),
        ),
        (
            "server.audit_default",
            Sql(
                "INSERT INTO kernel_core.audit_log
                 VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-7000-8000-000000000001', 'system', NULL, NULL,
                         'shop.sell', NULL, NULL, '{}', NULL, NULL, '00000000-0000-7000-8000-000000000001', now())",
                "TRUNCATE kernel_core.audit_log_default",
            ),
        ),
    ]
}

fn login() -> Faults {
    vec![
        ("login.limits", Elsewhere),
        ("login.trust", Elsewhere),
        ("login.pooler", Elsewhere),
        ("login.app", Urls(|db| db.app = db.app.replacen("_app:", "_app:wrong", 1))),
        (
            "login.worker",
            Urls(|db| db.worker = db.worker.take().map(|url| url.replacen("_worker:", "_worker:wrong", 1))),
        ),
        (
            "login.operator",
            Urls(|db| {
                db.operator = db.operator.take().map(|url| url.replacen("_operator:", "_operator:wrong", 1));
            }),
        ),
        ("login.superuser", Sql("ALTER ROLE {db}_worker SUPERUSER", "ALTER ROLE {db}_worker NOSUPERUSER")),
        ("login.bypass_rls", Sql("ALTER ROLE {db}_app BYPASSRLS", "ALTER ROLE {db}_app NOBYPASSRLS")),
        ("login.create_role", Sql("ALTER ROLE {db}_app CREATEROLE", "ALTER ROLE {db}_app NOCREATEROLE")),
        (
            "login.replication",
            Sql("ALTER ROLE {db}_operator REPLICATION", "ALTER ROLE {db}_operator NOREPLICATION"),
        ),
        ("login.owner", Sql("GRANT {db}_owner TO {db}_app", "REVOKE {db}_owner FROM {db}_app")),
        (
            "login.past_policies",
            Sql("GRANT pg_read_all_data TO {db}_app", "REVOKE pg_read_all_data FROM {db}_app"),
        ),
        ("login.other_login", Sql("GRANT {db}_operator TO {db}_app", "REVOKE {db}_operator FROM {db}_app")),
        (
            "login.temporary_tables",
            Sql(
                "GRANT TEMPORARY ON DATABASE {db} TO PUBLIC",
                "REVOKE TEMPORARY ON DATABASE {db} FROM PUBLIC",
            ),
        ),
        ("login.rights", Urls(|db| std::mem::swap(&mut db.operator, &mut db.worker))),
        (
            "login.queue",
            Sql(
                "GRANT EXECUTE ON FUNCTION shop.claim() TO {db}_app",
                "REVOKE EXECUTE ON FUNCTION shop.claim() FROM {db}_app",
            ),
        ),
    ]
}

fn schema() -> Faults {
    vec![
        (
            "schema.tables",
            Sql(
                "ALTER TABLE shop.item NO FORCE ROW LEVEL SECURITY",
                "ALTER TABLE shop.item FORCE ROW LEVEL SECURITY",
            ),
        ),
        (
            "schema.policies",
            Sql("CREATE POLICY more ON shop.item USING (true)", "DROP POLICY more ON shop.item"),
        ),
        (
            "schema.foreign_keys",
            Sql(
                "CREATE TABLE shop.shelf (workspace_id uuid, id uuid, item_id uuid,
                     CONSTRAINT shelf_item FOREIGN KEY (workspace_id, item_id) REFERENCES shop.item (workspace_id, id))",
                "DROP TABLE shop.shelf",
            ),
        ),
        (
            "schema.columns",
            Sql("ALTER TABLE shop.item ADD COLUMN note text", "ALTER TABLE shop.item DROP COLUMN note"),
        ),
        ("schema.keys", Sql("CREATE UNIQUE INDEX by_name ON shop.item (name)", "DROP INDEX shop.by_name")),
        (
            "schema.grants",
            Sql("GRANT TRUNCATE ON shop.item TO {db}_app", "REVOKE TRUNCATE ON shop.item FROM {db}_app"),
        ),
        ("schema.functions", Sql(FUNCTION, "DROP FUNCTION shop.peek()")),
        (
            "schema.search",
            Sql(
                "ALTER INDEX shop.item_search RENAME TO gone; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.gone'::regclass",
                "ALTER INDEX shop.gone RENAME TO item_search; UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'shop.item_search'::regclass",
            ),
        ),
    ]
}

fn migration() -> Faults {
    vec![
        ("migration.direct", Elsewhere),
        (
            "migration.pending",
            Sql(
                "CREATE TABLE public.kept AS SELECT * FROM shop.migration; DELETE FROM shop.migration",
                "INSERT INTO shop.migration SELECT * FROM public.kept; DROP TABLE public.kept",
            ),
        ),
        (
            "migration.changed",
            Sql(
                "UPDATE shop.migration SET checksum = checksum || '\\x00'",
                "UPDATE shop.migration SET checksum = substr(checksum, 1, 48)",
            ),
        ),
        (
            "migration.unknown",
            Sql(
                "INSERT INTO shop.migration SELECT 9, description, installed_on, success, checksum, execution_time FROM shop.migration",
                "DELETE FROM shop.migration WHERE version = 9",
            ),
        ),
        (
            "migration.failed",
            Sql("UPDATE shop.migration SET success = false", "UPDATE shop.migration SET success = true"),
        ),
    ]
}

fn config() -> Faults {
    vec![
        ("config.http", Fault::Config(|config| config.http.quotas.actor = Quota::per_minute(1_000_000))),
        ("config.public_origin", Fault::Config(|config| config.http.environment = Environment::Production)),
        (
            "config.https",
            Fault::Config(|config| {
                production(config);
                config.http.public_origin = Some("http://shop.example".to_owned());
            }),
        ),
        (
            "config.proxies",
            Fault::Config(|config| config.http.trusted_proxies.push("0.0.0.0/0".parse().unwrap())),
        ),
        (
            "config.cors",
            Fault::Config(|config| {
                production(config);
                config.http.cors.origins = vec!["http://partner.example".to_owned()];
                config.http.cors.credentials = true;
            }),
        ),
        ("config.permissions", Fault::Pillar(|pillar| pillar.permissions(ALL))),
        ("config.features", Fault::Pillar(|pillar| pillar.features(feature::ALL))),
        ("config.languages", Fault::Config(|config| config.languages = vec!["de".to_owned()])),
        ("config.clock", Fault::Config(|config| config.clock = Clock::manual(config.clock.now()))),
    ]
}
