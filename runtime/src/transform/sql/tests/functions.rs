//! Every function, with its result type and nulls.

use super::{check, check_refused, rows, run, texts};
use crate::row::DataType;

#[test]
fn text_functions() {
    check(&[
        ("ASCII(s)", "INT: 72, null, 103"),
        ("ASCII('')", "INT: null"),
        ("BIT_LENGTH(s)", "BIGINT: 40, null, 56"),
        ("OCTET_LENGTH(s)", "BIGINT: 5, null, 7"),
        ("OCTET_LENGTH(bin)", "BIGINT: 2, null, 0"),
        ("LENGTH(s)", "BIGINT: 5, null, 5"),
        ("CHAR_LENGTH('')", "BIGINT: 0"),
        ("CHAR(65)", "STRING: A"),
        ("CHR(ti)", "STRING: \u{7}, null, \u{ff80}"),
        ("CONCAT(s, '-', i)", "STRING: Hello-10, -, größe--3"),
        ("CONCAT(NULL)", "STRING: "),
        ("CONCAT_WS('-', s, NULL, i)", "STRING: Hello-10, , größe--3"),
        ("CONCAT_WS(NULL, 'a', 'b')", "STRING: ab"),
        ("s || '!' || i", "STRING: Hello!10, null, größe!-3"),
        ("HEXTORAW('0041d83dde00')", "STRING: A😀"),
        ("RAWTOHEX('A')", "STRING: 0041"),
        ("RAWTOHEX(bin)", "STRING: 6162, null, "),
        ("INSERT('abcdef', 2, 3, 'X')", "STRING: aXef"),
        ("INSERT(s, 4, 9, 'X')", "STRING: HelX, X, gröX"),
        ("INSERT('abc', 9, 1, 'X')", "STRING: abc"),
        ("LOWER(s)", "STRING: hello, null, größe"),
        ("UCASE(s)", "STRING: HELLO, null, GRÖSSE"),
        ("LCASE(s)", "STRING: hello, null, größe"),
        ("UPPER(r.a)", "STRING: X, null, Z"),
        ("LEFT(s, 3)", "STRING: Hel, null, grö"),
        ("LEFT(s, -1)", "STRING: , null, "),
        ("RIGHT(s, 3)", "STRING: llo, null, öße"),
        ("RIGHT(s, 99)", "STRING: Hello, null, größe"),
        ("LOCATE('l', s)", "INT: 3, 0, 0"),
        ("LOCATE('l', s, 4)", "INT: 4, 0, 0"),
        ("LOCATE('l', 'lala', -2)", "INT: 3"),
        ("LOCATE('l', 'lala', -3)", "INT: 1"),
        ("INSTR(s, 'ße')", "INT: 0, 0, 4"),
        ("INSTR(s, '')", "INT: 1, 0, 1"),
        ("POSITION('l', s)", "INT: 3, 0, 0"),
        ("POSITION('l' IN s)", "INT: 3, 0, 0"),
        ("LPAD(s, 7, '*#')", "STRING: **Hello, null, **größe"),
        ("LPAD(s, 3)", "STRING: Hel, null, grö"),
        ("RPAD(s, 7)", "STRING: Hello  , null, größe  "),
        ("RPAD('a', -1)", "STRING: "),
        ("LTRIM('  a ')", "STRING: a "),
        ("RTRIM('xaxx', 'x')", "STRING: xa"),
        ("TRIM('  a ')", "STRING: a"),
        ("TRIM('xaxx', 'x')", "STRING: a"),
        ("TRIM(BOTH 'x' FROM 'xaxx')", "STRING: a"),
        ("TRIM(LEADING 'x' FROM 'xaxx')", "STRING: axx"),
        ("REPEAT('ab', 3)", "STRING: ababab"),
        ("REPEAT(s, -1)", "STRING: , null, "),
        ("REPLACE(s, 'l', 'LL')", "STRING: HeLLLLo, null, größe"),
        ("REPLACE(s, 'l')", "STRING: Heo, null, größe"),
        ("REPLACE(s, '', 'x')", "STRING: Hello, null, größe"),
        ("REPLACE(s, s, 'x')", "STRING: x, null, x"),
        ("SOUNDEX('Robert')", "STRING: R163"),
        ("SOUNDEX('Tymczak')", "STRING: T522"),
        ("SOUNDEX('Pfister')", "STRING: P236"),
        ("SOUNDEX('')", "STRING: 0000"),
        ("SPACE(2) || 'a'", "STRING:   a"),
        ("SUBSTRING(s, 2)", "STRING: ello, null, röße"),
        ("SUBSTRING(s, 2, 3)", "STRING: ell, null, röß"),
        ("SUBSTR(s, -3)", "STRING: llo, null, öße"),
        ("SUBSTRING(s, 0, 2)", "STRING: He, null, gr"),
        ("SUBSTRING(s, 9)", "STRING: null"),
        ("SUBSTRING(s, 2, 0)", "STRING: null"),
        ("SUBSTRING(s, -9, 6)", "STRING: He, null, gr"),
        ("SUBSTRING(s FROM 2 FOR 1)", "STRING: e, null, r"),
        ("SUBSTRING(ts, 1, 13)", "STRING: 2024-02-29 13, null, 1969-12-31 23"),
        ("TRANSLATE('Hello', 'elo', 'ip')", "STRING: Hipp"),
        ("LENGTH(i)", "BIGINT: 2, null, 2"),
        ("UPPER(NULL)", "STRING: null"),
    ]);
    check_refused(&[
        ("HEXTORAW('12x')", "groups of four hexadecimal digits"),
        ("LEFT(s, 'x')", "LEFT: argument 2 must be a whole number, not string"),
        ("UPPER(m)", "UPPER: argument 1 must be text, not map<string, string>"),
        ("REPEAT(s, 2147483647)", "a text of 10737418235 bytes is too long"),
    ]);
}

#[test]
fn regular_expressions_are_javas() {
    check(&[
        ("REGEXP_REPLACE(s, '[lr]+', '<$0>')", "STRING: He<ll>o, null, g<r>öße"),
        ("REGEXP_REPLACE('Hello WWWWorld', 'w+', 'W', 'i')", "STRING: Hello World"),
        ("REGEXP_REPLACE(s, '.+', 'b')", "STRING: b, null, b"),
        ("REGEXP_REPLACE(s, NULL, 'b')", "STRING: null"),
        ("REGEXP_REPLACE(s, s, 'x')", "STRING: x, null, x"),
        ("REGEXP_LIKE(s, '^H')", "BOOLEAN: true, null, false"),
        ("REGEXP_LIKE(s, 'h', 'i')", "BOOLEAN: true, null, false"),
        ("REGEXP_SUBSTR('2020-10-01', '\\d{4}')", "STRING: 2020"),
        ("REGEXP_SUBSTR('2020-10-01', '(\\d{4})-(\\d{2})-(\\d{2})', 1, 1, NULL, 2)", "STRING: 10"),
        ("REGEXP_SUBSTR('a1b22', '\\d+', 3, 1)", "STRING: 22"),
        ("REGEXP_SUBSTR('a1b22', '\\d+', 1, 2)", "STRING: 22"),
        ("REGEXP_SUBSTR(s, 'z')", "STRING: null"),
    ]);
    check_refused(&[
        ("REGEXP_LIKE(s, '(')", "REGEXP_LIKE: regular expression '('"),
        ("REGEXP_LIKE(s, 'a', 'x')", "'x' is not a flag"),
        ("REGEXP_REPLACE(s, 'a', '$1')", "there is no group 1"),
        ("REGEXP_SUBSTR(s, 'H', 1, 1, NULL, 1)", "has no group 1"),
    ]);
}

#[test]
fn number_functions() {
    check(&[
        ("ABS(i)", "INT: 10, null, 3"),
        ("ABS(dec)", "Decimal(10, 2): 12.34, null, 5.50"),
        ("ABS(f)", "FLOAT: 1.23, null, 0.5"),
        ("ACOS(1)", "DOUBLE: 0.0"),
        ("ASIN(2)", "DOUBLE: NaN"),
        ("ATAN(0)", "DOUBLE: 0.0"),
        ("ATAN2(1, 1)", "DOUBLE: 0.7853981633974483"),
        ("COS(0)", "DOUBLE: 1.0"),
        ("COSH(0)", "DOUBLE: 1.0"),
        ("COT(1)", "DOUBLE: 0.6420926159343306"),
        ("SIN(0)", "DOUBLE: 0.0"),
        ("SINH(0)", "DOUBLE: 0.0"),
        ("TAN(0)", "DOUBLE: 0.0"),
        ("TANH(0)", "DOUBLE: 0.0"),
        ("EXP(0)", "DOUBLE: 1.0"),
        ("LN(1)", "DOUBLE: 0.0"),
        ("LOG(2, 8)", "DOUBLE: 3.0"),
        ("LOG(10, 1000)", "DOUBLE: 3.0"),
        ("LOG10(1000)", "DOUBLE: 3.0"),
        ("RADIANS(180)", "DOUBLE: 3.141592653589793"),
        ("SQRT(l)", "DOUBLE: 100000.0, null, NaN"),
        ("PI()", "DOUBLE: 3.141592653589793"),
        ("POWER(2, 10)", "DOUBLE: 1024.0"),
        ("POWER(1, NULL)", "DOUBLE: null"),
        ("RAND(42)", "DOUBLE: 0.7275636800328681"),
        ("MOD(i, 4)", "INT: 2, null, -3"),
        ("MOD(l, ti)", "TINYINT: 4, null, -4"),
        ("MOD(i, 2.5)", "DOUBLE: 0.0, null, -0.5"),
        ("MOD(dec, 5)", "INT: 2, null, 0"),
        ("MOD(7, dec)", "Decimal(10, 2): 7.00, null, 1.50"),
        ("CEIL(d)", "INT: 3, null, -1"),
        ("CEILING(i)", "INT: 10, null, -3"),
        ("CEIL(l)", "BIGINT: 10000000000, null, -4"),
        ("CEIL(dec)", "INT: 13, null, -5"),
        ("FLOOR(d)", "INT: 2, null, -2"),
        ("FLOOR(f)", "INT: 1, null, -1"),
        ("ROUND(d)", "DOUBLE: 3.0, null, -2.0"),
        ("ROUND(2.675, 2)", "DOUBLE: 2.68"),
        ("ROUND(dec, 1)", "Decimal(10, 2): 12.30, null, -5.50"),
        ("ROUND(i, -1)", "INT: 10, null, 0"),
        ("ROUND(i)", "INT: 10, null, -3"),
        ("ROUND(f, 1)", "FLOAT: 1.2, null, -0.5"),
        ("TRUNC(d)", "DOUBLE: 2.0, null, -1.0"),
        ("TRUNC(f, 1)", "DOUBLE: 1.2, null, -0.5"),
        ("TRUNCATE(dec, 1)", "Decimal(10, 2): 12.30, null, -5.50"),
        ("TRUNC(i)", "INT: 10, null, -3"),
        ("SIGN(d)", "INT: 1, null, -1"),
        ("SIGN(dec)", "INT: 1, null, -1"),
        ("SIGN(0)", "INT: 0"),
        ("ABS(NULL)", "INT: null"),
    ]);
    check_refused(&[
        ("ABS(ti)", "row 3: ABS(-128) does not fit its type"),
        ("LN(0)", "LN needs a number above 0"),
        ("MOD(i, 0)", "division by zero"),
        ("MOD(d, 0.0)", "MOD: division by zero"),
        ("COT(0)", "division by zero"),
        ("CEIL(1e300)", "the number does not fit int"),
        ("CEIL(3000000000.5)", "the number does not fit int"),
        ("SQRT(s)", "SQRT: argument 1 must be a number, not string"),
    ]);
}

#[test]
fn time_functions() {
    check(&[
        ("CURRENT_DATE", "DATE: 2024-05-06"),
        ("CURRENT_DATE()", "DATE: 2024-05-06"),
        ("CURRENT_TIME", "TIME: 07:08:09.500"),
        ("CURRENT_TIMESTAMP", "TIMESTAMP: 2024-05-06T07:08:09.500"),
        ("NOW()", "TIMESTAMP: 2024-05-06T07:08:09.500"),
        ("FORMATDATETIME(NOW(), 'HH')", "STRING: 07"),
        ("YEAR(dt)", "INT: 2024, null, 1999"),
        ("MONTH(ts)", "INT: 2, null, 12"),
        ("QUARTER(dt)", "INT: 1, null, 4"),
        ("WEEK(dt)", "INT: 10, null, 53"),
        ("WEEK(DATE '2021-04-08')", "INT: 15"),
        ("WEEK(DATE '2021-01-01')", "INT: 1"),
        ("WEEK(DATE '2021-01-04')", "INT: 2"),
        ("EXTRACT(WEEK FROM DATE '2021-01-01')", "INT: 53"),
        ("DAY_OF_MONTH(ts)", "INT: 29, null, 31"),
        ("DAY_OF_WEEK(dt)", "INT: 4, null, 5"),
        ("DAYOFWEEK(dt)", "INT: 4, null, 5"),
        ("DAYOFMONTH(dt)", "INT: 29, null, 31"),
        ("DAY(dt)", "INT: 29, null, 31"),
        ("DAYOFYEAR(dt)", "INT: 60, null, 365"),
        ("DAY_OF_YEAR(dt)", "INT: 60, null, 365"),
        ("HOUR(ts)", "INT: 13, null, 23"),
        ("MINUTE(tm)", "INT: 14, null, 0"),
        ("SECOND(ts)", "INT: 15, null, 59"),
        ("DAYNAME(dt)", "STRING: Thursday, null, Friday"),
        ("MONTHNAME(dt)", "STRING: February, null, December"),
        ("EXTRACT(YEAR FROM dt)", "INT: 2024, null, 1999"),
        ("EXTRACT(DOW FROM dt)", "INT: 4, null, 5"),
        ("EXTRACT(ISODOW FROM dt)", "INT: 4, null, 5"),
        ("EXTRACT(EPOCH FROM ts)", "BIGINT: 1709212455, null, -1"),
        ("EXTRACT(MILLISECONDS FROM ts)", "INT: 15123, null, 59000"),
        ("EXTRACT(MILLISECOND FROM ts)", "INT: 123, null, 0"),
        ("EXTRACT(MICROSECOND FROM ts)", "INT: 123456, null, 0"),
        ("EXTRACT(MICROSECONDS FROM tm)", "INT: 15500000, null, 0"),
        ("EXTRACT(CENTURY FROM dt)", "INT: 21, null, 20"),
        ("EXTRACT(DECADE FROM dt)", "INT: 202, null, 199"),
        ("EXTRACT(MILLENNIUM FROM dt)", "INT: 3, null, 2"),
        ("EXTRACT(HOUR FROM TIMESTAMP '2001-02-16 20:38:40')", "INT: 20"),
        ("DATEADD(dt, 1)", "DATE: 2024-03-01, null, 2000-01-01"),
        ("DATEADD(dt, 1, 'YEAR')", "DATE: 2025-02-28, null, 2000-12-31"),
        ("DATEADD(dt, -1, 'month')", "DATE: 2024-01-29, null, 1999-11-30"),
        ("DATEADD(ts, 2, 'WEEK')", "TIMESTAMP: 2024-03-14T13:14:15.123456, null, 1970-01-14T23:59:59"),
        ("TIMESTAMPADD(ts, 1, 'SECOND')", "TIMESTAMP: 2024-02-29T13:14:16.123456, null, 1970-01-01T00:00:00"),
        ("DATEADD(dt, 1, 'HOUR')", "TIMESTAMP: 2024-02-29T01:00:00, null, 1999-12-31T01:00:00"),
        ("DATEADD(tm, 12, 'HOUR')", "TIME: 01:14:15.500, null, 12:00:00"),
        ("DATEADD(ts, 5, 'MILLISECOND')", "TIMESTAMP: 2024-02-29T13:14:15.128456, null, 1969-12-31T23:59:59.005"),
        ("DATEDIFF(dt, ts)", "BIGINT: 0, null, -10957"),
        ("DATEDIFF(dt, DATE '2024-03-28', 'MONTH')", "BIGINT: 0, null, 290"),
        ("DATEDIFF(dt, DATE '2024-03-29', 'MONTH')", "BIGINT: 1, null, 290"),
        ("DATEDIFF(dt, DATE '2023-03-01', 'YEAR')", "BIGINT: 0, null, 23"),
        ("DATEDIFF(TIMESTAMP '2024-01-01 00:00:00', ts, 'HOUR')", "BIGINT: 1429, null, -473352"),
        ("DATEDIFF(dt, DATE '2024-03-14', 'WEEK')", "BIGINT: 2, null, 1262"),
        ("DATEDIFF(TIME '01:00:00', tm, 'MINUTE')", "BIGINT: 734, null, -60"),
        ("DATE_TRUNC(ts, 'MONTH')", "TIMESTAMP: 2024-02-01T00:00:00, null, 1969-12-01T00:00:00"),
        ("DATE_TRUNC(ts, 'HOUR')", "TIMESTAMP: 2024-02-29T13:00:00, null, 1969-12-31T23:00:00"),
        ("DATE_TRUNC(dt, 'WEEK')", "TIMESTAMP: 2024-02-26T00:00:00, null, 1999-12-27T00:00:00"),
        ("DATE_TRUNC(ts)", "TIMESTAMP: 2024-02-29T00:00:00, null, 1969-12-31T00:00:00"),
        ("FORMATDATETIME(ts, 'yyyy-MM-dd HH:mm')", "STRING: 2024-02-29 13:14, null, 1969-12-31 23:59"),
        ("FORMATDATETIME(dt, 'yyyyMMdd')", "STRING: 20240229, null, 19991231"),
        ("FORMATDATETIME(tm, CASE WHEN b THEN 'HH' ELSE 'mm' END)", "STRING: 13, null, 00"),
        ("TO_CHAR(ts, 'dd.MM.yyyy')", "STRING: 29.02.2024, null, 31.12.1969"),
        ("TO_CHAR(b)", "STRING: true, null, false"),
        ("TO_CHAR(d)", "STRING: 2.5, null, -1.5"),
        ("PARSEDATETIME('2021-04-08 13:34:45', 'yyyy-MM-dd HH:mm:ss')", "TIMESTAMP: 2021-04-08T13:34:45"),
        ("TO_DATE('2021-04-08T13:34:45', 'yyyy-MM-dd''T''HH:mm:ss')", "TIMESTAMP: 2021-04-08T13:34:45"),
        ("PARSEDATETIME('08/04/2021', 'dd/MM/yyyy')", "DATE: 2021-04-08"),
        ("PARSEDATETIME('13:34', 'HH:mm')", "TIME: 13:34:00"),
        ("IS_DATE('2021-04-08', 'yyyy-MM-dd')", "BOOLEAN: true"),
        ("IS_DATE(s, 'yyyy-MM-dd')", "BOOLEAN: false"),
        ("IS_DATE('2021-13-08', 'yyyy-MM-dd')", "BOOLEAN: false"),
        ("FROM_UNIXTIME(1672502400, 'yyyy-MM-dd HH:mm:ss', 'UTC+8')", "STRING: 2023-01-01 00:00:00"),
        ("FROM_UNIXTIME(0, 'yyyy-MM-dd HH:mm XXX', 'Asia/Tokyo')", "STRING: 1970-01-01 09:00 +09:00"),
        ("YEAR(NULL)", "INT: null"),
    ]);
    check_refused(&[
        ("YEAR(s)", "YEAR: argument 1 must be a date or a timestamp, not string (read texts with PARSEDATETIME"),
        ("HOUR(dt)", "HOUR: argument 1 must be a time or a timestamp, not date"),
        ("DATEADD(tm, 1, 'DAY')", "DAYs cannot be added to a time"),
        ("DATEADD(dt, 1, 'FORTNIGHT')", "'FORTNIGHT' is not a unit"),
        ("DATEADD(dt, 9000000)", "leads out of the calendar"),
        ("DATEADD(dt, 1, s)", "the unit must be a constant text"),
        ("DATEDIFF(dt, tm)", "a time and a date have no difference"),
        ("FORMATDATETIME(dt, 'HH')", "asks for parts that a date does not have"),
        ("FORMATDATETIME(dt, 'yyyy-bb')", "'b' is not a pattern letter"),
        ("PARSEDATETIME(s, 'yyyy-MM-dd')", "PARSEDATETIME: 'Hello' does not fit the pattern 'yyyy-MM-dd'"),
        ("PARSEDATETIME(s, 'yyyy-MM')", "tells neither a whole date nor a time"),
        ("PARSEDATETIME(s, s)", "the pattern must be a constant text"),
        ("FROM_UNIXTIME(1, 'yyyy', 'Mars')", "unknown time zone 'Mars'"),
        ("EXTRACT(FURLONG FROM dt)", "'FURLONG' is not a field"),
    ]);
}

#[test]
fn functions_of_the_system() {
    check(&[
        ("COALESCE(s, 'none')", "STRING: Hello, none, größe"),
        ("COALESCE(n, i, 5)", "INT: 10, 5, -3"),
        ("COALESCE(s, i)", "STRING: Hello, null, größe"),
        ("COALESCE(i, 2.9)", "INT: 10, 2, -3"),
        ("COALESCE(NULL, NULL)", "NULL: null"),
        ("IFNULL(i, 1 / (1 - `two words`))", "INT: 10, -1, -3"),
        ("IFNULL(NULLIF(s, 'Hello'), 'NULL')", "STRING: NULL, NULL, größe"),
        ("NULLIF(i, 10)", "INT: null, null, -3"),
        ("NULLIF(s, 'x')", "STRING: Hello, null, größe"),
        ("LENGTH(UUID())", "BIGINT: 36"),
        ("RAND() < 1", "BOOLEAN: true"),
        ("RANDOM(7) = RAND(7)", "BOOLEAN: true"),
        // As OpenSSL has it: des-cbc, key 3132333435363738, iv 3132333435363738.
        ("DES_ENCRYPT('1234567890', 'Joy Ding')", "STRING: +jXI7ngL1UzB8yoBYEVgoQ=="),
        ("DES_DECRYPT('1234567890', DES_ENCRYPT('12345678', s))", "STRING: Hello, null, größe"),
        ("DES_DECRYPT('12345678', DES_ENCRYPT('12345678', ''))", "STRING: "),
    ]);
    check_refused(&[
        ("IFNULL(i, 'none')", "row 2: cannot cast 'none' to int"),
        ("COALESCE(i, m)", "cannot cast map<string, string> to int"),
        ("NULLIF(i, 'x')", "int and string cannot be compared"),
        ("DES_ENCRYPT('1234567', s)", "the password must have at least 8 characters"),
        ("DES_DECRYPT('12345678', 'x')", "was not made by DES_ENCRYPT with this password"),
        ("DES_DECRYPT('87654321', DES_ENCRYPT('12345678', 'abc'))", "was not made by DES_ENCRYPT"),
    ]);
    let (_, batch) = run("SELECT UUID() AS u FROM t", rows()).expect("query");
    let texts = texts(&DataType::String, batch.rows.column(0));
    assert!(texts[0] != texts[1] && texts.iter().all(|text| text.as_bytes()[14] == b'4'), "{texts:?}");
}

#[test]
fn the_page_for_users_names_every_function() {
    let page = include_str!("../../../../../docs/sql.md");
    for name in super::super::functions::names() {
        assert!(page.contains(&format!("`{name}")), "docs/sql.md does not name {name}");
    }
}

#[test]
fn every_function_has_a_case_above_under_each_of_its_names() {
    let cases = include_str!("functions.rs");
    let operators = include_str!("operators.rs");
    let called = |name: &str| {
        let without_arguments = name.starts_with("CURRENT_");
        [cases, operators]
            .iter()
            .any(|text| text.contains(&format!("{name}(")) || without_arguments && text.contains(name))
    };
    let missing: Vec<&str> = super::super::functions::names().filter(|name| !called(name)).collect();
    assert!(missing.is_empty(), "functions without a case: {missing:?}");
}

/// The functions that the Sql transform's contract (E.1) lists.
const CONTRACT: &str = "ASCII BIT_LENGTH CHAR_LENGTH LENGTH OCTET_LENGTH CHAR CHR CONCAT CONCAT_WS HEXTORAW RAWTOHEX INSERT \
    LOWER LCASE UPPER UCASE LEFT RIGHT LOCATE INSTR POSITION LPAD RPAD LTRIM RTRIM TRIM REGEXP_REPLACE REGEXP_LIKE \
    REGEXP_SUBSTR REPEAT REPLACE SOUNDEX SPACE SUBSTRING SUBSTR TO_CHAR TRANSLATE ABS ACOS ASIN ATAN ATAN2 COS COSH COT \
    SIN SINH TAN TANH MOD CEIL CEILING EXP FLOOR LN LOG LOG10 RADIANS SQRT PI POWER RAND RANDOM ROUND SIGN TRUNC \
    TRUNCATE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP NOW DATEADD TIMESTAMPADD DATEDIFF DATE_TRUNC DAYNAME \
    DAY_OF_MONTH DAY_OF_WEEK DAY_OF_YEAR EXTRACT FORMATDATETIME HOUR MINUTE MONTH MONTHNAME PARSEDATETIME TO_DATE \
    IS_DATE QUARTER SECOND WEEK YEAR FROM_UNIXTIME COALESCE IFNULL NULLIF UUID";

#[test]
fn every_function_of_the_contract_is_there() {
    let missing: Vec<&str> =
        CONTRACT.split_whitespace().filter(|name| super::super::functions::find(name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
