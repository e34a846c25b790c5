//! What PostgreSQL knows and the parser does not: cut out before it reads a statement, put back after.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::parse::{is_word, offsets, tokenize, without_space};

/// The parts that were cut out of one statement, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    /// `NO KEY ` or `KEY ` of each row lock.
    locks: Vec<&'static str>,
    /// `(…) WHERE … ` between each `ON CONFLICT` and `DO`: expressions and predicate of the unique index.
    /// They pick the index and filter no rows.
    arbiters: Vec<String>,
}

impl Gaps {
    /// Takes the parts out of the tokens (without blank space) of `sql`.
    pub(super) fn cut(sql: &str, tokens: &mut Vec<TokenWithSpan>) -> Self {
        let mut gaps = Self::default();
        let mut at = 0;
        while at + 1 < tokens.len() {
            if is_word(&tokens[at].token, "FOR") {
                gaps.cut_lock(tokens, at);
            } else if is_conflict(tokens, at) {
                gaps.cut_arbiter(sql, tokens, at + 2);
            }
            at += 1;
        }
        gaps
    }

    fn cut_lock(&mut self, tokens: &mut Vec<TokenWithSpan>, at: usize) {
        let word = |i: usize, text| tokens.get(at + i).is_some_and(|token| is_word(&token.token, text));
        let (extra, strength) = match () {
            () if word(1, "NO") && word(2, "KEY") && word(3, "UPDATE") => (2, "NO KEY "),
            () if word(1, "KEY") && word(2, "SHARE") => (1, "KEY "),
            () => (0, ""),
        };
        tokens.drain(at + 1..=at + extra);
        if is_lock(&tokens[at + 1].token) {
            self.locks.push(strength);
        }
    }

    fn cut_arbiter(&mut self, sql: &str, tokens: &mut Vec<TokenWithSpan>, from: usize) {
        let mut text = String::new();
        let action = (from..tokens.len()).find(|at| is_action(&tokens[*at..]));
        if tokens.get(from).is_some_and(|next| next.token == Token::LParen)
            && let Some(end) = action
            && let [start, stop] = offsets(sql, &[tokens[from].span.start, tokens[end].span.start])[..]
        {
            text.push_str(&sql[start..stop]);
            tokens.drain(from..end);
        }
        if is_action(tokens.get(from..).unwrap_or_default()) {
            self.arbiters.push(text);
        }
    }

    /// Puts the parts back into the statement that was rendered without them.
    pub(super) fn restore(&self, sql: String) -> Result<String, String> {
        if self.locks.iter().all(|lock| lock.is_empty()) && self.arbiters.iter().all(String::is_empty) {
            return Ok(sql);
        }
        let tokens = without_space(tokenize(&sql)?);
        let locks = (1..tokens.len())
            .filter(|at| is_word(&tokens[at - 1].token, "FOR") && is_lock(&tokens[*at].token))
            .zip(self.locks.iter().copied());
        let arbiters = (0..tokens.len())
            .filter(|at| is_conflict(&tokens, *at) && is_action(tokens.get(at + 2..).unwrap_or_default()))
            .map(|at| at + 2)
            .zip(self.arbiters.iter().map(String::as_str));
        let mut parts: Vec<(usize, &str)> = locks.chain(arbiters).collect();
        if parts.len() != self.locks.len() + self.arbiters.len() {
            return Err("a part of the statement that the parser does not know has lost its place".into());
        }
        parts.sort_by_key(|(at, _)| *at);
        let places: Vec<Location> = parts.iter().map(|(at, _)| tokens[*at].span.start).collect();
        let mut out = String::with_capacity(sql.len() + 64);
        let mut from = 0;
        for (place, (_, part)) in offsets(&sql, &places).into_iter().zip(parts) {
            out.push_str(&sql[from..place]);
            out.push_str(part);
            from = place;
        }
        out.push_str(&sql[from..]);
        Ok(out)
    }
}

fn is_conflict(tokens: &[TokenWithSpan], at: usize) -> bool {
    let next = tokens.get(at + 1).is_some_and(|next| is_word(&next.token, "CONFLICT"));
    next && is_word(&tokens[at].token, "ON")
}

fn is_action(tokens: &[TokenWithSpan]) -> bool {
    let [first, second, ..] = tokens else { return false };
    is_word(&first.token, "DO") && (is_word(&second.token, "NOTHING") || is_word(&second.token, "UPDATE"))
}

fn is_lock(token: &Token) -> bool {
    is_word(token, "UPDATE") || is_word(token, "SHARE")
}

#[cfg(test)]
mod tests {
    use super::super::parse::Parsed;

    #[test]
    fn row_locks_keep_their_strength() {
        for sql in [
            "SELECT a FROM t WHERE b = $1 FOR NO KEY UPDATE OF t SKIP LOCKED",
            "SELECT a FROM t WHERE b = $1 FOR KEY SHARE",
            "SELECT (SELECT 1 FROM u FOR UPDATE) FROM t FOR SHARE",
            "SELECT (SELECT 1 FROM u FOR UPDATE), 'ü' FROM t FOR NO KEY UPDATE",
        ] {
            assert_eq!(Parsed::read(sql).unwrap().unwrap().render().unwrap(), sql);
        }
    }

    #[test]
    fn an_index_stays_the_arbiter() {
        for sql in [
            "INSERT INTO t (a) VALUES ($1) ON CONFLICT ON CONSTRAINT t_a DO NOTHING",
            "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a text_ops, b COLLATE \"C\", (a + b)) DO UPDATE SET a = 2",
            "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a, lower(b)) WHERE b IS NOT NULL AND c <> 'DO NOTHING' DO NOTHING",
            "WITH x AS (INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO NOTHING RETURNING a), y AS (SELECT a FROM x FOR NO KEY UPDATE) INSERT INTO u (a) SELECT a FROM y ON CONFLICT (a) WHERE a > 0 DO UPDATE SET a = 1 WHERE u.a = 2",
        ] {
            assert_eq!(Parsed::read(sql).unwrap().unwrap().render().unwrap(), sql);
        }
    }

    #[test]
    fn an_open_target_is_refused() {
        assert!(Parsed::read("INSERT INTO t (a) VALUES (1) ON CONFLICT (a").is_err());
        assert!(Parsed::read("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) WHERE a").is_err());
    }
}
