//! From the text of a query to its parts, refusing what the transform does not do.

use std::any::TypeId;

use sqlparser::ast::{Expr, GroupByExpr, Query, SelectItem, SetExpr, Statement, TableFactor};
use sqlparser::dialect::Dialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Bytes of a query.
const QUERY_BYTES_MAX: usize = 1 << 20;
/// Operators in a query: each may add a level to the tree, and a level costs stack.
const OPERATORS_MAX: usize = 500;
/// Parentheses, calls and the like within each other.
const NESTING_MAX: usize = 50;

/// What a query asks for.
#[derive(Debug)]
pub(super) struct Select {
    pub items: Vec<SelectItem>,
    pub condition: Option<Expr>,
    /// The table named behind `FROM`.
    pub table: String,
}

/// SQL as the transform's users write it: names in backticks or double quotes, texts in single quotes without
/// backslash escapes.
#[derive(Debug)]
struct SqlDialect;

impl Dialect for SqlDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        matches!(letter, '`' | '"')
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        letter.is_alphabetic() || letter == '_'
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        letter.is_alphanumeric() || matches!(letter, '_' | '$' | '#')
    }

    fn supports_boolean_literals(&self) -> bool {
        true
    }

    /// `TRIM(x, 'c')`
    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    /// `EXTRACT(DECADE FROM x)`, `EXTRACT(ISODOW FROM x)` and whatever field is not a keyword.
    fn allow_extract_custom(&self) -> bool {
        true
    }
}

/// Reads a query.
///
/// # Errors
/// With what is wrong, for users.
pub(super) fn parse(query: &str) -> Result<Select, String> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(format!("the query has {} bytes; at most {QUERY_BYTES_MAX} are allowed", query.len()));
    }
    let tokens = Tokenizer::new(&SqlDialect, query)
        .tokenize_with_location()
        .map_err(|error| format!("syntax error: {error}"))?;
    let operators = tokens.iter().filter(|token| is_operator(&token.token)).count();
    if operators > OPERATORS_MAX {
        return Err(format!(
            "the query has {operators} operators; at most {OPERATORS_MAX} are allowed (IN lists do not count)"
        ));
    }
    let statements = Parser::new(&SqlDialect)
        .with_recursion_limit(NESTING_MAX)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| match error {
            sqlparser::parser::ParserError::RecursionLimitExceeded => {
                format!("the query is nested too deeply; at most about {NESTING_MAX} levels are allowed")
            }
            sqlparser::parser::ParserError::TokenizerError(text)
            | sqlparser::parser::ParserError::ParserError(text) => {
                format!("syntax error: {text}")
            }
        })?;
    match <[Statement; 1]>::try_from(statements) {
        Ok([Statement::Query(query)]) => select_of(*query),
        Ok(_) => Err("Unsupported SQL syntax: only SELECT is supported".into()),
        Err(statements) => Err(format!("expected one SELECT, found {} statements", statements.len())),
    }
}

/// Whether a token may deepen the tree without deepening the parser's stack.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            use sqlparser::keywords::Keyword as K;
            let joins_queries = matches!(word.keyword, K::EXCEPT | K::INTERSECT | K::JOIN | K::MINUS | K::UNION);
            let follows_operand = matches!(
                word.keyword,
                K::AT | K::BETWEEN | K::COLLATE | K::ILIKE | K::IN | K::IS | K::LIKE | K::NOTNULL | K::OVERLAPS
            );
            let between_operands =
                matches!(word.keyword, K::AND | K::DIV | K::OR | K::REGEXP | K::RLIKE | K::SIMILAR | K::XOR);
            joins_queries || follows_operand || between_operands || word.keyword == K::NOT
        }
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::SemiColon
        | Token::Whitespace(_)
        | Token::EOF => false,
        _ => true,
    }
}

fn unsupported(what: &str) -> String {
    format!("Unsupported SQL syntax: {what} is not supported by the Sql transform")
}

/// Takes a query apart, refusing every clause but SELECT, FROM and WHERE.
fn select_of(query: Query) -> Result<Select, String> {
    let refused = [
        (query.with.is_some(), "WITH"),
        (query.order_by.is_some(), "ORDER BY"),
        (query.limit_clause.is_some(), "LIMIT or OFFSET"),
        (query.fetch.is_some(), "FETCH"),
        (!query.locks.is_empty() || query.for_clause.is_some(), "FOR"),
        (query.settings.is_some() || query.format_clause.is_some(), "SETTINGS or FORMAT"),
        (!query.pipe_operators.is_empty(), "the pipe operator"),
    ];
    if let Some((_, what)) = refused.iter().find(|(present, _)| *present) {
        return Err(unsupported(what));
    }
    let select = match *query.body {
        SetExpr::Select(select) => *select,
        SetExpr::SetOperation { op, .. } => return Err(unsupported(&op.to_string())),
        SetExpr::Query(_) => return Err(unsupported("a SELECT in parentheses")),
        _ => return Err(unsupported("anything but SELECT")),
    };
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, modifiers) => !expressions.is_empty() || !modifiers.is_empty(),
    };
    let refused = [
        (select.distinct.is_some(), "DISTINCT"),
        (select.top.is_some(), "TOP"),
        (select.into.is_some(), "INTO"),
        (select.exclude.is_some(), "EXCLUDE"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (grouped, "GROUP BY"),
        (select.having.is_some(), "HAVING"),
        (!select.cluster_by.is_empty() || !select.distribute_by.is_empty(), "CLUSTER BY or DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (!select.named_window.is_empty() || select.qualify.is_some(), "WINDOW or QUALIFY"),
        (select.prewhere.is_some(), "PREWHERE"),
        (select.select_modifiers.is_some() || select.value_table_mode.is_some(), "a modifier behind SELECT"),
    ];
    if let Some((_, what)) = refused.iter().find(|(present, _)| *present) {
        return Err(unsupported(what));
    }
    let from = match <[_; 1]>::try_from(select.from) {
        Ok([from]) => from,
        Err(none) if none.is_empty() => {
            return Err("FROM is missing: write SELECT ... FROM and the input's name".into());
        }
        Err(_) => return Err(unsupported("a join (several tables behind FROM)")),
    };
    if !from.joins.is_empty() {
        return Err(unsupported("a join"));
    }
    Ok(Select { items: select.projection, condition: select.selection, table: table_name(from.relation)? })
}

fn table_name(table: TableFactor) -> Result<String, String> {
    match table {
        TableFactor::Table { name, alias, args, version, sample, partitions, with_hints, index_hints, .. } => {
            if alias.is_some() {
                return Err(unsupported("an alias for the table"));
            }
            let plain = args.is_none() && version.is_none() && sample.is_none();
            if !plain || !partitions.is_empty() || !with_hints.is_empty() || !index_hints.is_empty() {
                return Err(unsupported("anything but a name behind FROM"));
            }
            match name.0.as_slice() {
                [part] => Ok(part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone())),
                _ => Err(unsupported(&format!("a schema before the table's name ({name})"))),
            }
        }
        TableFactor::Derived { .. } => Err(unsupported("a subquery behind FROM")),
        TableFactor::NestedJoin { .. } => Err(unsupported("a join")),
        _ => Err(unsupported("anything but a table's name behind FROM")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_taken_apart() {
        let select = parse("SELECT a, `b c` x, upper(d) FROM `my table` WHERE a > 1;").expect("query");
        assert_eq!((select.items.len(), select.table.as_str()), (3, "my table"));
        assert!(select.condition.is_some());
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (query, named) in [
            ("SELECT a FROM t JOIN u ON t.a = u.a", "a join"),
            ("SELECT a FROM t, u", "a join"),
            ("SELECT a FROM (SELECT b FROM u)", "a subquery"),
            ("SELECT a FROM t GROUP BY a", "GROUP BY"),
            ("SELECT a FROM t HAVING a > 1", "HAVING"),
            ("SELECT a FROM t ORDER BY a", "ORDER BY"),
            ("SELECT a FROM t LIMIT 5", "LIMIT"),
            ("SELECT DISTINCT a FROM t", "DISTINCT"),
            ("SELECT a FROM t UNION SELECT a FROM t", "UNION"),
            ("SELECT a FROM s.t", "a schema before the table's name (s.t)"),
            ("SELECT a FROM t AS x", "an alias"),
            ("WITH x AS (SELECT 1) SELECT a FROM x", "WITH"),
            ("DELETE FROM t", "only SELECT"),
            ("SELECT a", "FROM is missing"),
            ("SELECT a FROM t; SELECT b FROM t", "one SELECT"),
            ("", "one SELECT"),
            ("SELECT a FROM t WHERE", "syntax error"),
            ("SELECT 'a FROM t", "syntax error"),
            ("SELECT * FROM t LATERAL VIEW EXPLODE(a) AS b", "LATERAL VIEW"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.contains(named), "{query}: {error}");
        }
    }

    #[test]
    fn deep_and_long_queries_are_refused_not_a_stack_overflow() {
        let deep = format!("SELECT {}a{} FROM t", "(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&deep).expect_err("deep").contains("nested too deeply"));
        for one in ["a + ", "a AND ", "NOT ", "- ", "a || "] {
            assert!(parse(&format!("SELECT {}a FROM t", one.repeat(20_000))).expect_err(one).contains("operators"));
        }
        for one in [" IS NULL", "::int", " COLLATE x", " UNION SELECT 1"] {
            assert!(parse(&format!("SELECT a{} FROM t", one.repeat(20_000))).expect_err(one).contains("operators"));
        }
        assert!(parse(&format!("SELECT a FROM t WHERE a IN ({}1)", "1, ".repeat(20_000))).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_words_of_sql_make_the_parser_panic(words in proptest::collection::vec(
            prop_oneof![
                "SELECT|FROM|WHERE|AND|OR|NOT|IN|LIKE|IS|NULL|CASE|WHEN|THEN|ELSE|END|CAST|AS|BETWEEN|a|b|t|1|'x'",
                "[(),.*+/%|=<>`'\";:-]",
                "EXTRACT|TRIM|SUBSTRING|POSITION|CEIL|FLOOR|DATE|INTERVAL|ARRAY|MAP|STRUCT|EXISTS|LATERAL|VIEW",
            ], 0..40)) {
            let _ = parse(&words.join(" "));
            let _ = parse(&format!("SELECT {} FROM t", words.join(" ")));
        }
    }
}
