//! SQL text to syntax tree and back, with a check that nothing is lost between.

use sqlparser::ast::{Ident, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

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
    /// `NO KEY ` or `KEY ` of each row lock in order: the parser knows neither.
    locks: Vec<&'static str>,
}

impl Parsed {
    /// Reads one statement; `None` if there is only blank space and comments.
    pub(super) fn read(sql: &str) -> Result<Option<Self>, String> {
        let mut tokens = tokenize(sql)?;
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        if tokens.is_empty() {
            return Ok(None);
        }
        let locks = take_lock_strengths(&mut tokens);
        close_bare_selects(&mut tokens);
        let expected = comparable(&tokens);
        let mut statements = Parser::new(&PostgreSqlDialect {})
            .with_tokens_with_locations(tokens)
            .parse_statements()
            .map_err(|error| error.to_string())?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err("it is not one statement".into());
        };
        let mut rendered = tokenize(&statement.to_string())?;
        rendered.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        if comparable(&rendered) != expected {
            return Err(format!("the parser would change it to: {statement}"));
        }
        Ok(Some(Self { statement, locks }))
    }

    /// The statement as SQL, with the row locks as strong as they were.
    pub(super) fn render(&self) -> String {
        let sql = self.statement.to_string();
        if self.locks.iter().all(|strength| strength.is_empty()) {
            return sql;
        }
        let Ok(tokens) = tokenize(&sql) else { return sql };
        let words: Vec<&TokenWithSpan> =
            tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
        let places: Vec<Location> = words
            .windows(2)
            .filter(|pair| is_word(&pair[0].token, "FOR") && is_lock(&pair[1].token))
            .map(|pair| pair[1].span.start)
            .collect();
        let mut out = String::with_capacity(sql.len() + 16);
        let mut from = 0;
        for (place, strength) in offsets(&sql, &places).into_iter().zip(&self.locks) {
            out.push_str(&sql[from..place]);
            out.push_str(strength);
            from = place;
        }
        out.push_str(&sql[from..]);
        out
    }
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, String> {
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

/// Turns `FOR NO KEY UPDATE` into `FOR UPDATE` and `FOR KEY SHARE` into `FOR SHARE`, and remembers.
fn take_lock_strengths(tokens: &mut Vec<TokenWithSpan>) -> Vec<&'static str> {
    let mut locks = Vec::new();
    let mut at = 0;
    while at + 1 < tokens.len() {
        if is_word(&tokens[at].token, "FOR") {
            let word = |i: usize, text| tokens.get(at + i).is_some_and(|t| is_word(&t.token, text));
            let (extra, strength) = match () {
                () if word(1, "NO") && word(2, "KEY") && word(3, "UPDATE") => (2, "NO KEY "),
                () if word(1, "KEY") && word(2, "SHARE") => (1, "KEY "),
                () => (0, ""),
            };
            tokens.drain(at + 1..=at + extra);
            if is_lock(&tokens[at + 1].token) {
                locks.push(strength);
            }
        }
        at += 1;
    }
    locks
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

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(text))
}

fn is_lock(token: &Token) -> bool {
    is_word(token, "UPDATE") || is_word(token, "SHARE")
}

/// Byte offsets of ascending locations (lines and columns count characters from one).
fn offsets(sql: &str, locations: &[Location]) -> Vec<usize> {
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
    fn row_locks_keep_their_strength() {
        for sql in [
            "SELECT a FROM t WHERE b = $1 FOR NO KEY UPDATE OF t SKIP LOCKED",
            "SELECT a FROM t WHERE b = $1 FOR KEY SHARE",
            "SELECT (SELECT 1 FROM u FOR UPDATE) FROM t FOR SHARE",
            "SELECT (SELECT 1 FROM u FOR UPDATE), 'ü' FROM t FOR NO KEY UPDATE",
        ] {
            assert_eq!(Parsed::read(sql).unwrap().unwrap().render(), sql);
        }
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
            assert_eq!(Parsed::read(sql).unwrap().unwrap().render(), read);
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
