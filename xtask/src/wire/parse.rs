//! SQL text to syntax tree and back, with a check that nothing is lost between.

use sqlparser::ast::{Ident, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::gap::Gaps;

/// The column that every tenant table leads with.
pub const TENANT_COLUMN: &str = "workspace_id";

pub(super) fn mentions_tenant(sql: &str) -> bool {
    sql.to_ascii_lowercase().contains(TENANT_COLUMN)
}

pub(super) fn is_tenant(ident: &Ident) -> bool {
    match ident.quote_style {
        None => ident.value.eq_ignore_ascii_case(TENANT_COLUMN),
        Some(_) => ident.value == TENANT_COLUMN,
    }
}

/// Splits a query string at its semicolons; joined with semicolons the pieces are the string again.
pub(super) fn split(sql: &str) -> Result<Vec<&str>, String> {
    let ends: Vec<Location> = tokenize(sql)?
        .into_iter()
        .filter(|token| token.token == Token::SemiColon)
        .map(|token| token.span.start)
        .collect();
    let mut pieces = Vec::with_capacity(ends.len() + 1);
    let mut from = 0;
    for end in offsets(sql, &ends) {
        pieces.push(&sql[from..end]);
        from = end + 1;
    }
    pieces.push(&sql[from..]);
    Ok(pieces)
}

/// One statement that survives the way to its syntax tree and back token by token.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) statement: Statement,
    gaps: Gaps,
}

impl Parsed {
    /// Reads one statement; `None` if there is only blank space and comments.
    pub(super) fn read(sql: &str) -> Result<Option<Self>, String> {
        let mut tokens = without_space(tokenize(sql)?);
        if tokens.is_empty() {
            return Ok(None);
        }
        let gaps = Gaps::cut(sql, &mut tokens);
        close_bare_selects(&mut tokens);
        let expected = comparable(&tokens);
        let mut statements = Parser::new(&PostgreSqlDialect {})
            .with_tokens_with_locations(tokens)
            .parse_statements()
            .map_err(|error| error.to_string())?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err("it is not one statement".into());
        };
        if comparable(&without_space(tokenize(&statement.to_string())?)) != expected {
            return Err(format!("the parser would change it to: {statement}"));
        }
        Ok(Some(Self { statement, gaps }))
    }

    /// The statement as SQL.
    pub(super) fn render(&self) -> Result<String, String> {
        self.gaps.restore(self.statement.to_string())
    }
}

pub(super) fn without_space(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    tokens
}

pub(super) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, String> {
    Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().map_err(|error| error.to_string())
}

/// What must be the same before and after: the parser may add or drop `AS`, and `TO` in `SET` is `=`.
fn comparable(tokens: &[TokenWithSpan]) -> Vec<String> {
    tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::EOF) && !is_word(&token.token, "AS"))
        .map(|token| match &token.token {
            Token::Word(Word { value, quote_style: None, .. }) => value.to_ascii_lowercase(),
            other => other.to_string(),
        })
        .map(|word| if word == "to" { "=".into() } else { word })
        .collect()
}

/// `INSERT … SELECT $1 ON CONFLICT …`: without a `FROM` the parser takes `ON` and `RETURNING` for an
/// alias; `WHERE TRUE` before them says the same and is read rightly.
fn close_bare_selects(tokens: &mut Vec<TokenWithSpan>) {
    let mut bare = vec![false];
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at].token;
        let last = bare.len() - 1;
        match token {
            Token::LParen => bare.push(false),
            Token::RParen if last > 0 => {
                bare.pop();
            }
            token if is_word(token, "SELECT") => bare[last] = true,
            token
                if ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"]
                    .iter()
                    .any(|w| is_word(token, w)) =>
            {
                bare[last] = false;
            }
            token => {
                let conflict = is_word(token, "ON")
                    && tokens.get(at + 1).is_some_and(|next| is_word(&next.token, "CONFLICT"));
                if bare[last] && (conflict || is_word(token, "RETURNING")) {
                    let span = tokens[at].span;
                    let word = |text| TokenWithSpan::new(Token::make_keyword(text), span);
                    tokens.splice(at..at, [word("WHERE"), word("TRUE")]);
                    bare[last] = false;
                    at += 2;
                }
            }
        }
        at += 1;
    }
}

pub(super) fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(text))
}

/// Byte offsets of ascending locations (lines and columns count characters from one).
pub(super) fn offsets(sql: &str, locations: &[Location]) -> Vec<usize> {
    let mut wanted = locations.iter().peekable();
    let mut found = Vec::with_capacity(locations.len());
    let (mut line, mut column) = (1, 1);
    for (offset, character) in sql.char_indices() {
        if wanted.next_if(|place| place.line == line && place.column == column).is_some() {
            found.push(offset);
        }
        if character == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Parsed, split};

    #[test]
    fn pieces_joined_are_the_text_again() {
        let sql = "BEGIN; SET LOCAL a.b = 'x;y';\n -- ü; no end\n SELECT ';', \"a;b\", $$;$$ ;";
        let pieces = split(sql).unwrap();
        assert_eq!(pieces.join(";"), sql);
        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces[1], " SET LOCAL a.b = 'x;y'");
    }

    #[test]
    fn an_insert_from_a_bare_select_is_read() {
        for (sql, read) in [
            (
                "INSERT INTO t (a) SELECT $1 ON CONFLICT DO NOTHING",
                "INSERT INTO t (a) SELECT $1 WHERE true ON CONFLICT DO NOTHING",
            ),
            ("INSERT INTO t (a) SELECT $1 RETURNING a", "INSERT INTO t (a) SELECT $1 WHERE true RETURNING a"),
        ] {
            assert_eq!(Parsed::read(sql).unwrap().unwrap().render().unwrap(), read);
        }
    }

    #[test]
    fn what_the_parser_would_change_is_refused() {
        for sql in [
            "SELECT a FROM t LIMIT ALL",
            "SELECT a FROM t OFFSET 1 LIMIT 2",
            "DO $$ BEGIN END $$",
            "SELECT 'a",
        ] {
            assert!(Parsed::read(sql).is_err(), "{sql}");
        }
        assert!(Parsed::read(" -- nothing\n").unwrap().is_none());
    }
}
