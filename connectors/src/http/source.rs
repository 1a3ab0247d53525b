//! The source: planned from options.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use egret_runtime::config::{OptionTable, Options, Problem, Problems, SchemaContext, parse_schema, schema_of};
use egret_runtime::json_path::{JsonPath, PathSyntaxError};
use egret_runtime::plugin::{
    FixedSplits, JobMode, PlanContext, Plugin, Source, SourceFactory, SourceReader, Split, SplitEnumerator,
    TaskContext, TaskError,
};
use egret_runtime::row::{Column, DataType, TablePath, TableSchema};
use http::Method;

use super::client::ClientSettings;
use super::decode::{ContentPath, Decoding, Format};
use super::options::{Checker, PAGE_OPTIONS, SOURCE_OPTIONS};
use super::paging::{Page, Paging};
use super::reader::HttpReader;
use super::request::{PagePlaces, Template};

/// The column of text.
const CONTENT: &str = "content";
/// Id of the one split.
pub(super) const SPLIT: &str = "http";

/// Reads the answers of web services.
pub struct HttpSource;

impl Plugin for HttpSource {
    fn name(&self) -> &'static str {
        "Http"
    }

    fn options(&self) -> OptionTable {
        SOURCE_OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Asks a web service by GET or POST and makes rows of its answers: text, or JSON objects found by name or by \
         JSONPath, page after page. A batch job makes one pass over the pages, a streaming job begins anew after each \
         poll interval. There is one reader, whatever the parallelism."
    }
}

impl SourceFactory for HttpSource {
    fn plan(
        &self,
        options: Options<'_>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Source>, Problems> {
        let mut checker = Checker::new(options, context);
        let template = template(&mut checker, warnings);
        let settings = checker.client(template.as_ref().map(|template| &template.url));
        let schema = schema(&mut checker, warnings);
        let paging = paging(&mut checker, warnings);
        let decoding = decoding(&mut checker, paging.as_ref().and_then(|(_, cursor)| cursor.as_deref()), warnings);
        let paging = paging.map(|(paging, _)| paging);
        if let Some(template) = &template {
            // What a request of every page has in common shows in the first.
            let first = paging.as_ref().map(|paging| (paging.values(&paging.first()), paging.places));
            let (values, places) = first.unwrap_or_default();
            if let Err((option, error)) = template.request(&values, places) {
                checker.error(option, error);
            }
        }
        let poll = checker.millis("poll_interval_millis");
        let (Some(template), Some(schema), Some(decoding), false) =
            (template, schema, decoding, checker.problems.has_errors())
        else {
            return Err(checker.problems);
        };
        Ok(Arc::new(PlannedHttp {
            schemas: vec![Arc::new(schema)],
            work: Arc::new(Work {
                template,
                paging,
                decoding: Arc::new(decoding),
                settings: Arc::new(settings),
                repeats: (context.mode == JobMode::Streaming).then_some(poll),
            }),
        }))
    }
}

fn template(checker: &mut Checker<'_>, warnings: &mut Problems) -> Option<Template> {
    let options = checker.options;
    let url = options.text("url").unwrap_or_default();
    let url = checker.url(&url);
    let method = if options.word("method") == Some("POST") { Method::POST } else { Method::GET };
    let body = options.text("body").filter(|body| !body.is_empty());
    for option in ["body", "keep_params_as_form"] {
        if method == Method::GET && options.is_given(option) {
            warnings.push(checker.warning(option, "has no effect with method = GET"));
        }
    }
    Some(Template {
        method,
        url: url?,
        headers: options.text_map("headers").unwrap_or_default(),
        params: options.text_map("params").unwrap_or_default(),
        body,
        params_as_form: options.value("keep_params_as_form").and_then(|value| value.to_boolean()),
    })
}

/// The word of `format`; where it is not given a schema speaks for json.
fn format_word(checker: &Checker<'_>) -> &'static str {
    let implied = if schema_of(checker.options.object()).is_some() { "json" } else { "text" };
    checker.options.word("format").unwrap_or(implied)
}

fn schema(checker: &mut Checker<'_>, warnings: &mut Problems) -> Option<TableSchema> {
    let context = checker.context;
    let default = || TablePath::parse("default.default.default", false);
    let named = context.output.as_deref().map(TablePath::bare);
    let default_path = named.or_else(default)?;
    let format = format_word(checker);
    let Some(schema) = schema_of(checker.options.object()) else {
        if format == "json" {
            let help = "for example schema = { fields { id = bigint, name = string } }";
            let problem = checker.problem("schema", "is required for format = json but not given").with_help(help);
            checker.problems.push(problem);
            return None;
        }
        return Some(TableSchema::new(default_path, vec![Column::new(CONTENT, DataType::String)]));
    };
    let position = schema.position.clone();
    let schema_context = SchemaContext { plugin: "Http", block: &context.block, default_path: &default_path };
    let table = match parse_schema(&schema, &schema_context, warnings) {
        Ok(table) => table,
        Err(problems) => {
            checker.problems.append(problems);
            return None;
        }
    };
    let refuse = |checker: &mut Checker<'_>, message: &str| {
        let problem = Problem::error(position, message).in_block(context.block.clone()).of_option("schema");
        checker.problems.push(problem);
        None
    };
    match (format, &table.columns[..]) {
        (_, []) => refuse(checker, "has no columns: expected 'fields' or 'columns'"),
        ("text", [column]) if column.data_type == DataType::String => Some(table),
        ("text", _) => refuse(checker, "must have one column of type string for format = text"),
        _ => Some(table),
    }
}

fn decoding(checker: &mut Checker<'_>, cursor: Option<&str>, warnings: &mut Problems) -> Option<Decoding> {
    let options = checker.options;
    let format = format_word(checker);
    if format == "binary" {
        checker.error("format", "binary is not supported yet: json and text are");
        return None;
    }
    let content = options.text("content_field").filter(|path| !path.is_empty());
    let fields = options.text_map("json_field").filter(|fields| !fields.is_empty());
    for option in ["content_field", "json_field"] {
        if format == "text" && options.is_given(option) {
            checker.error(option, "needs format = json");
        }
    }
    if content.is_some() && fields.is_some() {
        warnings.push(checker.warning("json_field", "has no effect beside content_field"));
    }
    let format = match (content, fields) {
        _ if format == "text" => Format::Text,
        (Some(text), _) => Format::Content(parsed(checker, "content_field", ContentPath::parse(&text))?),
        (None, Some(fields)) => {
            let mut paths = Vec::new();
            for (name, text) in fields {
                paths.push((name, parsed(checker, "json_field", JsonPath::parse(&text))?));
            }
            Format::Fields(paths)
        }
        (None, None) => Format::Json,
    };
    let cursor = match cursor {
        Some(text) => Some(parsed(checker, "pageing", JsonPath::parse(text))?),
        None => None,
    };
    Some(Decoding { format, multi_lines: options.boolean("enable_multi_lines").unwrap_or_default(), cursor })
}

fn parsed<T>(checker: &mut Checker<'_>, option: &str, path: Result<T, PathSyntaxError>) -> Option<T> {
    path.map_err(|error| checker.error(option, error.to_string())).ok()
}

/// `pageing`, and the path of the cursor.
fn paging(checker: &mut Checker<'_>, warnings: &mut Problems) -> Option<(Paging, Option<String>)> {
    let object = checker.options.nested("pageing")?;
    let position = checker.options.value("pageing").map(|value| value.position.clone())?;
    let options = Options::new(object, PAGE_OPTIONS);
    let mut found = Problems::default();
    options.check(&checker.context.block, &position, &[], &mut found);
    let (errors, odd) = found.in_option("pageing").split();
    warnings.append(odd);
    checker.problems.append(errors);
    let by_cursor = options.word("page_type") == Some("Cursor");
    let text = |name: &str| options.text(name).filter(|text| by_cursor && !text.is_empty());
    let (cursor_field, cursor_path) = (text("cursor_field"), text("cursor_response_field"));
    for (name, value) in [("cursor_field", &cursor_field), ("cursor_response_field", &cursor_path)] {
        if by_cursor && value.is_none() {
            checker.error("pageing", format!("{name} is required with page_type = Cursor but not given"));
        }
        if !by_cursor && options.is_given(name) {
            let message = format!("{name} has no effect without page_type = Cursor");
            warnings.push(checker.warning("pageing", message));
        }
    }
    let paging = Paging {
        field: options.text("page_field").unwrap_or_default(),
        start: options.integer("start_page_number").unwrap_or(1),
        last: options.integer("total_page_size").unwrap_or_default(),
        batch_size: options.count("batch_size").unwrap_or(100),
        cursor_field,
        places: PagePlaces {
            as_param: checker.options.boolean("keep_page_param_as_http_param").unwrap_or_default(),
            placeholders_only: options.boolean("use_placeholder_replacement").unwrap_or_default(),
        },
    };
    Some((paging, cursor_path))
}

/// What a reader does.
pub(super) struct Work {
    pub template: Template,
    pub paging: Option<Paging>,
    pub decoding: Arc<Decoding>,
    pub settings: Arc<ClientSettings>,
    /// The pause between two passes of a streaming job.
    pub repeats: Option<Duration>,
}

impl Work {
    /// The page that a pass begins with.
    pub fn first(&self) -> Page {
        self.paging.as_ref().map_or(Page { number: 1, cursor: None }, Paging::first)
    }
}

struct PlannedHttp {
    schemas: Vec<Arc<TableSchema>>,
    work: Arc<Work>,
}

impl Source for PlannedHttp {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.schemas
    }

    fn readers_max(&self) -> Option<usize> {
        Some(1)
    }

    fn enumerate(&self, readers: usize) -> Result<Box<dyn SplitEnumerator>, TaskError> {
        let split = Split { id: SPLIT.into(), state: self.work.first().encode() };
        Ok(Box::new(FixedSplits::new(readers, [split], |_, _| 0)))
    }

    fn reader(&self, context: &TaskContext) -> Result<Box<dyn SourceReader>, TaskError> {
        let reader = HttpReader::new(Arc::clone(&self.work), Arc::clone(&self.schemas[0]), Rc::clone(&context.probe));
        Ok(Box::new(reader))
    }
}
