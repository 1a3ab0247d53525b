//! The options, and what is the same for source and sink of them.

use std::path::PathBuf;
use std::time::Duration;

use egret_runtime::config::{OptionKind, OptionSpec, OptionTable, Options, Problem, Problems};
use egret_runtime::plugin::PlanContext;

use super::client::{ClientSettings, RetryPolicy};
use super::url::Url;

/// Longest wait that an option can ask for: a day.
const MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// Largest answer that `max_response_bytes` can allow: places in a text are 31 bits wide.
const RESPONSE_BYTES_LIMIT: i64 = 1 << 30;
/// Rows of one request that `batch_size` of the sink can ask for.
const BATCH_ROWS_LIMIT: i64 = 100_000;

const MS: OptionKind = OptionKind::Integer { min: 0, max: MS_MAX };

const HEADERS: OptionSpec = OptionSpec::new(
    "headers",
    OptionKind::TextMap,
    "Headers of the request. Their values are never printed, and those that may be secret (Authorization, Cookie, \
     token and the like) are not sent on when a redirect leads to another server.",
)
.example("{ token = \"${TOKEN}\" }");
const RETRY: OptionSpec = OptionSpec::new(
    "retry",
    OptionKind::Integer { min: 0, max: 1_000_000 },
    "How often a request is sent again when no answer came (the connection failed, broke off, or was silent for too \
     long). An answer is never asked for again, whatever its status.",
)
.default("0")
.example("10");
const RETRY_MULTIPLIER: OptionSpec = OptionSpec::new(
    "retry_backoff_multiplier_ms",
    MS,
    "Milliseconds before the first two further tries; the pauses then grow with the Fibonacci numbers.",
)
.default("100");
const RETRY_MAX: OptionSpec =
    OptionSpec::new("retry_backoff_max_ms", MS, "Longest of these pauses, in milliseconds.").default("10000");
const CONNECT_TIMEOUT: OptionSpec = OptionSpec::new(
    "connect_timeout_ms",
    MS,
    "How long a connection may take to come about, with the lookup of the name and TLS. 0 stands for a day.",
)
.default("12000");
const SOCKET_TIMEOUT: OptionSpec = OptionSpec::new(
    "socket_timeout_ms",
    MS,
    "Longest silence of the server while an answer is due. 0 stands for a day.",
)
.default("60000");
const RESPONSE_BYTES: OptionSpec = OptionSpec::new(
    "max_response_bytes",
    OptionKind::Integer { min: 1, max: RESPONSE_BYTES_LIMIT },
    "Largest answer, unpacked; a larger one fails the job.",
)
.default("67108864");
const CA_FILE: OptionSpec = OptionSpec::new(
    "ssl_ca_file",
    OptionKind::Text,
    "PEM file with certificates to trust beside the system's, for servers whose certificate is the company's own.",
)
.example("\"/etc/egret/company-ca.pem\"");

/// Options of the source.
pub(super) const SOURCE_OPTIONS: OptionTable = &[
    OptionSpec::new("url", OptionKind::Text, "What is asked, http or https.")
        .required()
        .example("\"http://host:8080/rows\""),
    OptionSpec::new("method", OptionKind::OneOf(&["GET", "POST"]), "How it is asked.").default("GET"),
    HEADERS,
    OptionSpec::new(
        "params",
        OptionKind::TextMap,
        "Parameters of the request: in the query of the URL for GET, for POST as keep_params_as_form says.",
    )
    .example("{ since = \"2024-01-01\" }"),
    OptionSpec::new(
        "body",
        OptionKind::Text,
        "Body of a POST: JSON, unless headers name another Content-Type. As application/x-www-form-urlencoded the \
         members of an object are the fields of the form.",
    )
    .example("\"\"\"{\"id\":1}\"\"\""),
    OptionSpec::new(
        "keep_params_as_form",
        OptionKind::Boolean,
        "Whether the params of a POST are a form in its body (true) or stand in the query of the URL (false). Unless \
         given: a form, if there is no body.",
    ),
    OptionSpec::new(
        "format",
        OptionKind::OneOf(&["json", "text", "binary"]),
        "What answers are: json needs a schema; text gives one column `content`. json where there is a schema, else \
         text. binary is not supported yet.",
    ),
    OptionSpec::new("schema", OptionKind::Object, "Columns of the rows in a json answer.")
        .example("{ fields { id = bigint, name = string } }"),
    OptionSpec::new(
        "json_field",
        OptionKind::TextMap,
        "A JSONPath for each column: the lists that they find are zipped to rows and must be of one length.",
    )
    .example("{ title = \"$.store.book[*].title\" }"),
    OptionSpec::new(
        "content_field",
        OptionKind::Text,
        "JSONPath to the objects that are the rows, or to lists of them. Given, json_field has no effect.",
    )
    .aliases(&["content_json"])
    .example("\"$.store.book.*\""),
    OptionSpec::new("pageing", OptionKind::Object, "Reads page after page; see below.")
        .aliases(&["paging"])
        .example("{ page_field = page, batch_size = 100 }"),
    OptionSpec::new(
        "keep_page_param_as_http_param",
        OptionKind::Boolean,
        "Whether the page is always a parameter of the request. If not it goes where its name or ${name} stands in \
         headers, params and body, and becomes a parameter only where there is no such place.",
    )
    .default("false"),
    OptionSpec::new(
        "enable_multi_lines",
        OptionKind::Boolean,
        "Whether each line of an answer is one of its own: a text row, or a json object or list.",
    )
    .default("false"),
    OptionSpec::new(
        "poll_interval_millis",
        MS,
        "Streaming: milliseconds from the end of one pass over all pages to the start of the next.",
    )
    .aliases(&["poll_interval_ms"])
    .default("10"),
    RETRY,
    RETRY_MULTIPLIER,
    RETRY_MAX,
    CONNECT_TIMEOUT,
    SOCKET_TIMEOUT,
    RESPONSE_BYTES,
    CA_FILE,
];

/// Options within `pageing`.
pub(super) const PAGE_OPTIONS: OptionTable = &[
    OptionSpec::new("page_field", OptionKind::Text, "Name of the page's number.").default("page").example("pn"),
    OptionSpec::new(
        "total_page_size",
        OptionKind::COUNT,
        "Number of the last page. 0: unknown, the first page with fewer than batch_size records is the last.",
    )
    .default("0"),
    OptionSpec::new("batch_size", OptionKind::POSITIVE, "Records of a full page.").default("100"),
    OptionSpec::new("start_page_number", OptionKind::INTEGER, "Number of the first page.").default("1"),
    OptionSpec::new(
        "page_type",
        OptionKind::OneOf(&["PageNumber", "Cursor"]),
        "Whether pages have numbers, or each names the next by a cursor.",
    )
    .default("PageNumber"),
    OptionSpec::new("cursor_field", OptionKind::Text, "Cursor: its name in the request. Required then."),
    OptionSpec::new(
        "cursor_response_field",
        OptionKind::Text,
        "Cursor: JSONPath to it in the answer. Required then. The page without one is the last.",
    )
    .example("\"$.paging.next\""),
    OptionSpec::new(
        "use_placeholder_replacement",
        OptionKind::Boolean,
        "Whether the page goes only into ${name}, not also into values of that name.",
    )
    .default("false"),
];

/// Options of the sink.
pub(super) const SINK_OPTIONS: OptionTable = &[
    OptionSpec::new("url", OptionKind::Text, "Where rows are posted to, http or https.")
        .required()
        .example("\"http://host:8080/hook\""),
    HEADERS,
    OptionSpec::new("params", OptionKind::TextMap, "Parameters in the query of the URL."),
    OptionSpec::new("array_mode", OptionKind::Boolean, "Whether rows are posted as JSON lists, many in a request.")
        .default("false"),
    OptionSpec::new(
        "batch_size",
        OptionKind::Integer { min: 1, max: BATCH_ROWS_LIMIT },
        "With array_mode: rows of a request. Fewer go out at a checkpoint, at the end, and when they take 16 MiB.",
    )
    .default("1"),
    OptionSpec::new("request_interval_ms", MS, "Least milliseconds between the starts of two requests of a task.")
        .default("0"),
    RETRY,
    RETRY_MULTIPLIER,
    RETRY_MAX,
    CONNECT_TIMEOUT,
    SOCKET_TIMEOUT,
    RESPONSE_BYTES,
    CA_FILE,
];

/// Finds problems in options and tells where they are.
pub(super) struct Checker<'a> {
    pub options: Options<'a>,
    pub context: &'a PlanContext,
    pub problems: Problems,
}

impl<'a> Checker<'a> {
    pub fn new(options: Options<'a>, context: &'a PlanContext) -> Self {
        Self { options, context, problems: Problems::default() }
    }

    /// A problem of an option, placed at its value.
    pub fn problem(&self, option: &str, message: impl Into<String>) -> Problem {
        let mut problem = self.context.error(message).of_option(option);
        if let Some(value) = self.options.value(option) {
            problem.position = Some(value.position.clone());
        }
        problem
    }

    pub fn error(&mut self, option: &str, message: impl Into<String>) {
        let problem = self.problem(option, message);
        self.problems.push(problem);
    }

    /// A warning about an option.
    pub fn warning(&self, option: &str, message: impl Into<String>) -> Problem {
        Problem { severity: egret_runtime::config::Severity::Warning, ..self.problem(option, message) }
    }

    pub fn millis(&self, option: &str) -> Duration {
        Duration::from_millis(self.options.integer(option).and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default())
    }

    fn timeout(&self, option: &str) -> Duration {
        let wait = self.millis(option);
        if wait.is_zero() { Duration::from_millis(MS_MAX as u64) } else { wait }
    }

    /// The address of an option. A user in it is no secret that is printed: the message leaves the text out.
    pub fn url(&mut self, text: &str) -> Option<Url> {
        match Url::parse(text) {
            Ok(url) => Some(url),
            Err(error) => {
                self.error("url", error.to_string());
                None
            }
        }
    }

    /// What holds for all requests. Reads the trusted certificates if `url` needs them.
    pub fn client(&mut self, url: Option<&Url>) -> ClientSettings {
        let count = |option: &str| self.options.count(option).unwrap_or_default();
        let retry = RetryPolicy {
            retries: count("retry") as u64,
            multiplier: self.millis("retry_backoff_multiplier_ms"),
            pause_max: self.millis("retry_backoff_max_ms"),
        };
        let settings = ClientSettings::new(
            self.timeout("connect_timeout_ms"),
            self.timeout("socket_timeout_ms"),
            retry,
            count("max_response_bytes"),
            self.options.text("ssl_ca_file").map(PathBuf::from),
        );
        let given = self.options.is_given("ssl_ca_file");
        if (given || url.is_some_and(|url| url.tls))
            && let Err(error) = settings.load_trust()
        {
            self.error(if given { "ssl_ca_file" } else { "url" }, error.to_string());
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_says_what_it_means_and_is_there_once() {
        for table in [SOURCE_OPTIONS, SINK_OPTIONS, PAGE_OPTIONS] {
            for (index, spec) in table.iter().enumerate() {
                assert!(!spec.meaning.is_empty(), "{}", spec.name);
                assert!(table[..index].iter().all(|other| other.name != spec.name), "{}", spec.name);
            }
        }
    }
}
