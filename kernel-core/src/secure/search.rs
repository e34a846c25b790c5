//! Search functions, generated: the one way to a full-text index under row-level security.
//!
//! What full-text and trigram operators do may leak what they look at, so PostgreSQL applies them only after a policy,
//! and never in an index. A function that runs as the search role, whose policy is `true`, has the index back; it names
//! the workspace itself.

use crate::db::RoleNames;
use crate::table::{Searchable, Table};

/// Stands in the text of a function for the schema that the host has `pg_trgm` in.
const TRIGRAMS: &str = "{trigrams}";

/// What a search function sets while it runs, as the catalog shows it.
pub(crate) const SETTINGS: [&str; 2] = ["search_path=pg_catalog", "plan_cache_mode=force_custom_plan"];

/// What else a search function is, as the catalog shows it: language, volatility, strictness, not leakproof and not for
/// parallel plans, rows and cost.
pub(crate) fn attributes(searchable: &Searchable) -> String {
    format!("plpgsql s {} f u {ROWS} 100", if searchable.within.is_none() { 't' } else { 'f' })
}

/// How many rows the planner is told that a search gives.
const ROWS: u32 = 100;
/// How many rows that a word matches are looked at: of a word that is in all of them, ranking each would take seconds.
const CANDIDATES: u32 = 10_000;
/// How many rows a search gives at most.
const MOST: u32 = 1_000;
/// How many characters of a query are read; a regular expression counts no further than 255.
const QUERY_LENGTH: u32 = 250;

/// Name and argument types of the table's search function.
pub(crate) fn signature(table: &Table, searchable: &Searchable) -> String {
    let within = if searchable.within.is_some() { ",uuid" } else { "" };
    format!("search_{}(text,integer{within})", table.name())
}

/// What the function does, with the schema of `pg_trgm` in it.
pub(crate) fn body(table: &Table, searchable: &Searchable, trigrams: &str) -> String {
    let (from, language) = (format!("\"{}\".\"{}\"", table.schema(), table.name()), searchable.language);
    let part = searchable.columns.first().copied().unwrap_or_default();
    let narrowed = searchable
        .within
        .map(|column| format!(" AND (within IS NULL OR t.\"{column}\" = within)"))
        .unwrap_or_default();
    format!(
        r#"
#variable_conflict use_column
DECLARE
    workspace uuid    := nullif(current_setting('app.workspace_id', true), '')::uuid;
    -- Of a long query the whole words that fit.
    wanted    text    := CASE WHEN length(query) <= {QUERY_LENGTH} THEN query
                              ELSE substring(query FROM '^.{{0,{QUERY_LENGTH}}}\s') END;
    words     tsquery := websearch_to_tsquery('{language}', wanted);
    -- Whoever excludes a word, or quotes a phrase, does not mean words that are like it.
    plain     boolean := wanted !~ '(^|\s)-|"';
BEGIN
    RETURN QUERY
    WITH found AS (
        (SELECT t.id, ts_rank(t.search, words) AS rank FROM {from} AS t
         WHERE t.workspace_id = workspace AND t.search @@ words{narrowed} LIMIT {CANDIDATES})
        UNION ALL
        (SELECT t.id, {trigrams}.word_similarity(wanted, t."{part}") FROM {from} AS t
         WHERE plain AND t.workspace_id = workspace AND wanted OPERATOR({trigrams}.<%) t."{part}"{narrowed}
         LIMIT {CANDIDATES})
    )
    SELECT f.id, sum(f.rank)::real FROM found AS f GROUP BY f.id ORDER BY 2 DESC, 1 DESC
    LIMIT least(greatest(most, 0), {MOST});
END"#
    )
}

/// The statements that make the function anew.
pub(super) fn secure(table: &Table, searchable: &Searchable, roles: &RoleNames) -> String {
    let RoleNames { app, worker, operator, search, .. } = roles;
    let (schema, name) = (table.schema(), table.name());
    // Without a part all parts are meant, so only the function without that argument is strict.
    let (types, argument, strict) = match searchable.within {
        Some(_) => ("text, integer, uuid", ", within uuid", "CALLED ON NULL INPUT"),
        None => ("text, integer", "", "STRICT"),
    };
    let function = format!("\"{schema}\".\"search_{name}\"({types})");
    let body = body(table, searchable, TRIGRAMS);
    let settings = SETTINGS.map(|setting| format!("SET {}", setting.replace('=', " = "))).join(" ");
    format!(
        r#"DO $secure$
DECLARE
    trigrams text := (SELECT quote_ident(n.nspname) FROM pg_extension AS e
                      JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = '"{schema}"."{name}"'::regclass AND attname = 'search') THEN
        RAISE EXCEPTION '{schema}.{name} is declared searchable, but no migration calls kernel_core.make_searchable for it';
    END IF;
    EXECUTE replace($function$
        CREATE OR REPLACE FUNCTION "{schema}"."search_{name}"(query text, most integer{argument})
        RETURNS TABLE (id uuid, rank real)
        LANGUAGE plpgsql STABLE SECURITY DEFINER {strict} ROWS {ROWS}
        {settings}
        AS $body${body}$body$
    $function$, '{TRIGRAMS}', trigrams);
END $secure$;
REVOKE ALL ON FUNCTION {function} FROM PUBLIC, "{app}", "{worker}", "{operator}";
GRANT EXECUTE ON FUNCTION {function} TO "{app}", "{worker}", "{operator}";
ALTER FUNCTION {function} OWNER TO "{search}";
"#
    )
}
