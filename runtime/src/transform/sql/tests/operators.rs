//! Literals, names, operators, `CASE` and `CAST`.

use super::{check, check_refused};

#[test]
fn literals_have_their_types() {
    check(&[
        ("1", "INT: 1"),
        ("2147483647", "INT: 2147483647"),
        ("2147483648", "BIGINT: 2147483648"),
        ("-2147483648", "INT: -2147483648"),
        ("-9223372036854775808", "BIGINT: -9223372036854775808"),
        ("1.5", "DOUBLE: 1.5"),
        ("-1e3", "DOUBLE: -1000.0"),
        ("'it''s'", "STRING: it's"),
        ("'a\\n'", "STRING: a\\n"),
        ("TRUE", "BOOLEAN: true"),
        ("NULL", "NULL: null"),
        ("DATE '2024-01-02'", "DATE: 2024-01-02"),
        ("TIMESTAMP '2024-01-02 03:04:05'", "TIMESTAMP: 2024-01-02T03:04:05"),
    ]);
    check_refused(&[("9223372036854775808", "does not fit bigint"), ("DATE 'x'", "cannot cast 'x' to date")]);
}

#[test]
fn columns_and_their_parts_are_found_by_name() {
    check(&[
        ("s", "STRING: Hello, null, größe"),
        ("t.s", "STRING: Hello, null, größe"),
        ("`two words`", "INT: 1, 2, 3"),
        ("\"two words\"", "INT: 1, 2, 3"),
        ("r.a", "STRING: x, null, z"),
        ("t.r.a", "STRING: x, null, z"),
        ("r.inner.n", "INT: 7, null, null"),
        ("m.k", "STRING: v, null, w"),
        ("m.other", "STRING: null"),
        ("r.inner.n + 1", "INT: 8, null, null"),
        ("m['k']", "STRING: v, null, w"),
        ("t.m['k'] || '!'", "STRING: v!, null, w!"),
        ("m['other']", "STRING: null"),
        ("arr[0]", "INT: 5, null, null"),
        ("arr[1 + 1]", "INT: null"),
        ("arr[1]", "INT: 6, null, null"),
    ]);
    check_refused(&[
        ("S", "unknown column 'S' (did you mean 's'?)"),
        ("q", "unknown column 'q' (there are s, b, ti"),
        ("nothing_like_it", "there are s, b, ti"),
        ("r.aa", "the row 'r' has no field 'aa'"),
        ("r.iner", "the row 'r' has no field 'iner' (did you mean 'inner'?)"),
        ("i.x", "'i' is int, not a row or a map"),
        ("m.k.x", "must be the last part"),
        ("i[0]", "brackets need an array or a map before them, not int"),
        ("arr['x']", "the index of an array must be a whole number, not string"),
        ("arr[i]", "the index of an array must be constant"),
        ("arr[-1]", "-1 is no index: arrays count from 0"),
        ("m[s]", "the key of a map must be constant"),
        ("arr[0:1]", "behind brackets is not supported"),
        ("arr[0][1]", "brackets need an array or a map before them, not int"),
        ("count(i)", "the aggregate function COUNT is not supported"),
        ("uper(s)", "unknown function 'uper' (did you mean UPPER?)"),
        ("upper(s, s)", "UPPER takes 1 argument, 2 given (UPPER(text): STRING)"),
        ("lpad(s)", "LPAD takes 2 to 3 arguments, 1 given"),
        ("(select 1)", "a subquery is not supported"),
        ("sum(i) over ()", "is not supported"),
        ("lower(s) over ()", "a clause behind a function"),
        ("i in (select 1)", "a subquery is not supported"),
        ("INTERVAL '1' DAY", "INTERVAL is not supported by the Sql transform (use DATEADD"),
    ]);
}

#[test]
fn arithmetic_has_seatunnels_types_and_javas_overflow() {
    check(&[
        ("i + 1", "INT: 11, null, -2"),
        ("ti + si", "INT: 307, null, -130"),
        ("i * l", "BIGINT: 100000000000, null, 12"),
        ("i - d", "DOUBLE: 7.5, null, -1.5"),
        ("f + f", "DOUBLE: 2.4600000381469727, null, -1.0"),
        ("dec + i", "Decimal(10, 2): 22.34, null, -8.50"),
        ("dec * 0.9", "Decimal(10, 2): 11.11, null, -4.95"),
        ("dec / 3", "Decimal(10, 2): 4.12, null, -1.84"),
        ("dec % 5", "Decimal(10, 2): 2.34, null, -0.50"),
        ("i / 3", "INT: 3, null, -1"),
        ("i % 4", "INT: 2, null, -3"),
        ("7 / 2", "INT: 3"),
        ("-7 % 3", "INT: -1"),
        ("7.0 / 2", "DOUBLE: 3.5"),
        ("1.0 / 0", "DOUBLE: Infinity"),
        ("2147483647 + 1", "INT: -2147483648"),
        ("-i", "INT: -10, null, 3"),
        ("-ti", "TINYINT: -7, null, -128"),
        ("+d", "DOUBLE: 2.5, null, -1.5"),
        ("i + NULL", "INT: null"),
        ("1 + 2 * 3", "INT: 7"),
        ("(1 + 2) * 3", "INT: 9"),
        ("10 - 2 - 3", "INT: 5"),
    ]);
    check_refused(&[
        ("i / 0", "row 1: division by zero (in i / 0)"),
        ("1 / 0", "division by zero"),
        ("dec / 0", "division by zero"),
        ("s + 1", "arithmetic needs numbers, not string and int"),
        ("dec * 100000000.0", "does not fit decimal(10, 2)"),
        ("-s", "'-' needs a number"),
        ("b + 1", "arithmetic needs numbers"),
    ]);
}

#[test]
fn comparisons_with_null_are_false() {
    check(&[
        ("i > 5", "BOOLEAN: true, false, false"),
        ("i <> 10", "BOOLEAN: false, false, true"),
        ("i = 10.0", "BOOLEAN: true, false, false"),
        ("dec > 12.3", "BOOLEAN: true, false, false"),
        ("dec = 12.34", "BOOLEAN: true, false, false"),
        ("dec >= i", "BOOLEAN: true, false, false"),
        ("ti = 7", "BOOLEAN: true, false, false"),
        ("ti < 1000", "BOOLEAN: true, false, true"),
        ("9007199254740993 = 9007199254740992", "BOOLEAN: false"),
        ("s = 'Hello'", "BOOLEAN: true, false, false"),
        ("'a' < 'b'", "BOOLEAN: true"),
        ("b = true", "BOOLEAN: true, false, false"),
        ("dt = '2024-02-29'", "BOOLEAN: true, false, false"),
        ("dt < ts", "BOOLEAN: true, false, false"),
        ("ts >= '2024-01-01 00:00:00'", "BOOLEAN: true, false, false"),
        ("tm > '13:00:00'", "BOOLEAN: true, false, false"),
        ("s = NULL", "BOOLEAN: false"),
        ("NOT i = 10", "BOOLEAN: false, true, true"),
        ("NOT b", "BOOLEAN: false, null, true"),
        ("b IS TRUE", "BOOLEAN: true, false, false"),
        ("b IS NOT FALSE", "BOOLEAN: true, true, false"),
        ("0.0 = -0.0", "BOOLEAN: true"),
        ("bin = CAST('ab' AS BYTES)", "BOOLEAN: true, false, false"),
    ]);
    check_refused(&[
        ("s > 1", "string and int cannot be compared (convert one of them with CAST)"),
        ("dt = 'abc'", "cannot cast 'abc' to date"),
        ("m = m", "cannot be compared"),
        ("i and b", "AND needs a condition, not int"),
    ]);
}

#[test]
fn logic_looks_no_further_than_it_must() {
    check(&[
        ("i > 5 AND b", "BOOLEAN: true, false, false"),
        ("i > 5 OR s = 'größe'", "BOOLEAN: true, false, true"),
        ("i <> 10 AND 1 / (i - 10) = 0", "BOOLEAN: false, false, true"),
        ("i = 10 OR i IS NULL OR 1 / (i - 10) = 0", "BOOLEAN: true, true, true"),
        ("b OR NULL", "BOOLEAN: true, false, false"),
        ("i > 0 AND i > 1 AND i > 2 AND i > 11", "BOOLEAN: false, false, false"),
    ]);
}

#[test]
fn sets_ranges_patterns_and_null_tests() {
    check(&[
        ("s IN ('Hello', 'x')", "BOOLEAN: true, false, false"),
        ("s NOT IN ('Hello', 'x')", "BOOLEAN: false, false, true"),
        ("i IN (10, -3)", "BOOLEAN: true, false, true"),
        ("ti NOT IN (7)", "BOOLEAN: false, false, true"),
        ("i IN (1, NULL)", "BOOLEAN: false"),
        ("i NOT IN (1, NULL)", "BOOLEAN: true, false, true"),
        ("i IN (10.0, l)", "BOOLEAN: true, false, false"),
        ("dec IN (12.34, 5)", "BOOLEAN: true, false, false"),
        ("dec IN (i, 5)", "BOOLEAN: false"),
        ("dt IN ('2024-02-29', '2024-03-01')", "BOOLEAN: true, false, false"),
        ("b IN (true)", "BOOLEAN: true, false, false"),
        ("i BETWEEN -3 AND 5", "BOOLEAN: false, false, true"),
        ("i NOT BETWEEN -3 AND 5", "BOOLEAN: true, false, false"),
        ("s LIKE 'H%o'", "BOOLEAN: true, false, false"),
        ("s LIKE '_r__e'", "BOOLEAN: false, false, true"),
        ("s NOT LIKE '%l%'", "BOOLEAN: false, false, true"),
        ("s LIKE s", "BOOLEAN: true, false, true"),
        ("'50%' LIKE '50!%' ESCAPE '!'", "BOOLEAN: true"),
        ("i LIKE '1_'", "BOOLEAN: true, false, false"),
        ("s IS NULL", "BOOLEAN: false, true, false"),
        ("s IS NOT NULL", "BOOLEAN: true, false, true"),
        ("n IS NULL", "BOOLEAN: true"),
        ("r.a IS NULL", "BOOLEAN: false, true, false"),
    ]);
    check_refused(&[("i IN ('a')", "int and string cannot be compared"), ("m LIKE 'x'", "LIKE needs text, not map")]);
}

#[test]
fn case_evaluates_the_branch_it_takes() {
    check(&[
        ("CASE WHEN i > 5 THEN 'big' WHEN i < 0 THEN 'negative' ELSE s END", "STRING: big, null, negative"),
        ("CASE WHEN i > 5 THEN 1 END", "INT: 1, null, null"),
        ("CASE i WHEN 10 THEN 'ten' WHEN -3 THEN 'three' ELSE 'none' END", "STRING: ten, none, three"),
        ("CASE WHEN i = 10 THEN 0 ELSE 100 / (i - 10) END", "INT: 0, null, -7"),
        ("CASE WHEN true THEN 1 ELSE 1 / 0 END", "INT: 1"),
        ("CASE WHEN b THEN ti ELSE l END", "BIGINT: 7, null, -4"),
        ("CASE WHEN b THEN i ELSE d END", "DOUBLE: 10.0, null, -1.5"),
        ("CASE WHEN b THEN i ELSE dec END", "Decimal(10, 2): 10.00, null, -5.50"),
        ("CASE WHEN b THEN NULL ELSE i END", "INT: null, null, -3"),
        ("CASE WHEN s = 'größe' THEN r.a ELSE m.k END", "STRING: v, null, z"),
        ("MULTI_IF(i > 5, 'a', i < 0, 'b', 'c')", "STRING: a, c, b"),
    ]);
    check_refused(&[
        ("CASE WHEN b THEN 1 ELSE 'x' END", "CASE has results of types that do not go together: int and string"),
        ("CASE WHEN i THEN 1 END", "WHEN needs a condition, not int"),
        ("MULTI_IF(b, 1, 2, 3)", "MULTI_IF"),
    ]);
}

#[test]
fn casts_follow_the_contract() {
    check(&[
        ("CAST(i AS STRING)", "STRING: 10, null, -3"),
        ("CAST(d AS VARCHAR)", "STRING: 2.5, null, -1.5"),
        ("CAST(b AS STRING)", "STRING: true, null, false"),
        ("CAST(dec AS STRING)", "STRING: 12.34, null, -5.50"),
        ("CAST(ts AS STRING)", "STRING: 2024-02-29T13:14:15.123456, null, 1969-12-31T23:59:59"),
        ("CAST(bin AS STRING)", "STRING: ab, null, "),
        ("CAST(l AS DOUBLE)", "DOUBLE: 1.0E10, null, -4.0"),
        ("CAST(f AS DOUBLE)", "DOUBLE: 1.23, null, -0.5"),
        ("CAST(d AS INT)", "INT: 2, null, -1"),
        ("CAST('12' AS INTEGER)", "INT: 12"),
        ("CAST('7' AS TINYINT)", "TINYINT: 7"),
        ("CAST('7' AS BYTE)", "TINYINT: 7"),
        ("CAST(i AS SMALLINT)", "SMALLINT: 10, null, -3"),
        ("CAST('7' AS LONG)", "BIGINT: 7"),
        ("CAST(' 12.4 ' AS DOUBLE)", "DOUBLE: 12.4"),
        ("CAST('1.5' AS FLOAT)", "FLOAT: 1.5"),
        ("CAST('12.341' AS DECIMAL(10, 2))", "Decimal(10, 2): 12.35"),
        ("CAST('-12.349' AS DECIMAL(10, 2))", "Decimal(10, 2): -12.34"),
        ("CAST(1687747869032 AS DECIMAL(17,4))", "Decimal(17, 4): 1687747869032.0000"),
        ("CAST(d AS DECIMAL(5, 0))", "Decimal(5, 0): 3, null, -1"),
        ("CAST('TRUE' AS BOOLEAN)", "BOOLEAN: true"),
        ("CAST(0 AS BOOLEAN)", "BOOLEAN: false"),
        ("CAST(s AS BYTES) = bin", "BOOLEAN: false, false, false"),
        ("CAST(ts AS DATE)", "DATE: 2024-02-29, null, 1969-12-31"),
        ("CAST(ts AS TIME)", "TIME: 13:14:15.123456, null, 23:59:59"),
        ("CAST(dt AS TIMESTAMP)", "TIMESTAMP: 2024-02-29T00:00:00, null, 1999-12-31T00:00:00"),
        ("CAST('2024-01-02' AS DATE)", "DATE: 2024-01-02"),
        ("CAST('2024/01/02' AS DATE)", "DATE: 2024-01-02"),
        ("CAST('2024-01-02 03:04:05' AS DATE)", "DATE: 2024-01-02"),
        ("CAST('2024-01-02T03:04:05' AS DATETIME)", "TIMESTAMP: 2024-01-02T03:04:05"),
        ("CAST('20240102030405' AS TIMESTAMP)", "TIMESTAMP: 2024-01-02T03:04:05"),
        ("CAST('03:04:05' AS TIME)", "TIME: 03:04:05"),
        ("CAST(1687747869032 AS TIMESTAMP)", "TIMESTAMP: 2023-06-26T02:51:09.032"),
        ("CAST(20230625 AS DATE)", "DATE: 2023-06-25"),
        ("CAST(235109 AS TIME)", "TIME: 23:51:09"),
        ("CAST(NULL AS INT)", "INT: null"),
        ("TRY_CAST(s AS INT)", "INT: null"),
        ("TRY_CAST('5' AS INT)", "INT: 5"),
        ("TRY_CAST(l AS INT)", "INT: null, null, -4"),
        ("i::string", "STRING: 10, null, -3"),
    ]);
    check_refused(&[
        ("CAST(s AS INT)", "row 1: cannot cast 'Hello' to int (in CAST(s AS INT))"),
        ("CAST(l AS INT)", "cannot cast '10000000000' to int: out of range"),
        ("CAST('x' AS DATE)", "cannot cast 'x' to date"),
        ("CAST(20231341 AS DATE)", "cannot cast '20231341' to date"),
        ("CAST(12345.6 AS DECIMAL(5, 2))", "cannot cast '12345.6' to decimal(5, 2)"),
        ("CAST(i AS BOOLEAN)", "row 1: cannot cast '10' to boolean"),
        ("CAST(s AS DECIMAL)", "DECIMAL needs a precision and a scale"),
        ("CAST(s AS DECIMAL(50, 2))", "the precision is 1 to 38"),
        ("CAST(s AS UUID)", "CAST to UUID is not supported"),
        ("CAST(m AS STRING)", "cannot cast map<string, string> to string"),
        ("CAST(dt AS INT)", "cannot cast date to int"),
    ]);
}
