//! The options of the sink (contract D.4).

use egret_runtime::config::{OptionKind, OptionSpec, OptionTable};

use super::options::{DATE, DATETIME, FORMAT, TIME};

/// Words of `compress_codec`; each format takes some of them.
const CODECS: &[&str] = &["none", "lzo", "snappy", "lz4", "zlib", "gzip", "gz", "bzip2", "bz2", "brotli", "zstd"];

/// Options of the sink.
pub const SINK_OPTIONS: OptionTable = &[
    OptionSpec::new(
        "path",
        OptionKind::Text,
        "Folder to write into; may hold ${database_name}, ${schema_name} and ${table_name}.",
    )
    .required()
    .example("\"/data/out/${table_name}\""),
    OptionSpec::new(
        "tmp_path",
        OptionKind::Text,
        "Where files stand until they are committed. Without it beside the target, in a folder .egret-staging, so \
         that a commit is a rename.",
    )
    .example("\"/data/tmp\""),
    OptionSpec::new(
        "custom_filename",
        OptionKind::Boolean,
        "Kept for compatibility: file_name_expression is used whenever it is given.",
    )
    .default("false"),
    OptionSpec::new(
        "file_name_expression",
        OptionKind::Text,
        "Name of the files, without part number and ending: ${transactionId}, ${now}, ${uuid} and the names of the \
         table (as in path) are replaced.",
    )
    .default("${transactionId}")
    .example("\"${transactionId}_${now}\""),
    OptionSpec::new("filename_time_format", OptionKind::Text, "Pattern of ${now}, as in Java.").default("yyyy.MM.dd"),
    OptionSpec::new("filename_extension", OptionKind::Text, "What file names end with, instead of the format's own.")
        .aliases(&["file_extension"])
        .example("\".dat\""),
    OptionSpec { default: Some("csv"), ..FORMAT },
    OptionSpec::new(
        "field_delimiter",
        OptionKind::Text,
        "What parts the fields of a text row, as it is, and those of a nested row in xml and excel; \\001 unless \
         given. csv takes a comma.",
    )
    .aliases(&["delimiter"]),
    OptionSpec::new("row_delimiter", OptionKind::Text, "What parts rows of text, csv and json; a newline unless given."),
    OptionSpec::new("have_partition", OptionKind::Boolean, "Kept for compatibility: partition_by alone decides.")
        .default("false"),
    OptionSpec::new("partition_by", OptionKind::TextList, "Columns whose values name the folders of a row.")
        .example("[\"day\"]"),
    OptionSpec::new("partition_dir_expression", OptionKind::Text, "Folders of a row.")
        .default("${k0}=${v0}/${k1}=${v1}/.../${kn}=${vn}/"),
    OptionSpec::new(
        "is_partition_field_write_in_file",
        OptionKind::Boolean,
        "Whether the columns of partition_by are in the files too.",
    )
    .default("false"),
    OptionSpec::new("sink_columns", OptionKind::TextList, "Columns to write, in this order.").example("[\"id\"]"),
    OptionSpec::new(
        "is_enable_transaction",
        OptionKind::Boolean,
        "Whether files become visible at once when a checkpoint or the job completes.",
    )
    .default("true"),
    OptionSpec::new("batch_size", OptionKind::POSITIVE, "Rows after which a new file begins.").default("1000000"),
    OptionSpec::new(
        "single_file_mode",
        OptionKind::Boolean,
        "Whether each task writes one file, whatever batch_size says, without a part number in its name.",
    )
    .default("false"),
    OptionSpec::new(
        "create_empty_file_when_no_data",
        OptionKind::Boolean,
        "Whether a task that had no rows writes a file without rows.",
    )
    .default("false"),
    OptionSpec::new(
        "compress_codec",
        OptionKind::OneOf(CODECS),
        "Compression. text, csv, json and xml take all; parquet takes snappy, gzip, zstd, lz4 and brotli; orc takes zlib, \
         snappy, lzo, lz4 and zstd.",
    )
    .default("none")
    .example("zstd"),
    OptionSpec::new("enable_header_write", OptionKind::Boolean, "Whether text and csv files begin with the names.")
        .default("false"),
    OptionSpec::new(
        "csv_string_quote_mode",
        OptionKind::OneOf(&["MINIMAL", "ALL", "NONE"]),
        "Which texts of csv stand in quotes: those that need to, all, or none.",
    )
    .default("MINIMAL"),
    OptionSpec::new(
        "encoding",
        OptionKind::Text,
        "Encoding of text, csv, json and xml files, by Java's names. A character that it lacks becomes '?' and is \
         counted as a warning; in xml its number is written.",
    )
    .default("UTF-8")
    .example("GBK"),
    DATE,
    DATETIME,
    TIME,
    OptionSpec::new(
        "max_rows_in_memory",
        OptionKind::COUNT,
        "Kept for compatibility: excel files are streamed, no row is held.",
    ),
    OptionSpec::new("sheet_name", OptionKind::Text, "Name of the sheet of excel files.").default("Sheet1"),
    OptionSpec::new("xml_root_tag", OptionKind::Text, "Name of the element around all rows of an xml file.")
        .default("RECORDS"),
    OptionSpec::new("xml_row_tag", OptionKind::Text, "Name of the element of a row.").default("RECORD"),
    OptionSpec::new(
        "xml_use_attr_format",
        OptionKind::Boolean,
        "Whether the columns of a row are attributes of its element, or elements in it. xml needs it.",
    )
    .example("true"),
    OptionSpec::new(
        "parquet_avro_write_timestamp_as_int96",
        OptionKind::Boolean,
        "parquet: whether timestamps are written as the outdated INT96, for readers that want it; otherwise as microseconds.",
    )
    .default("false"),
    OptionSpec::new("parquet_avro_write_fixed_as_int96", OptionKind::TextList, "Not supported: columns of 12 bytes have no type here."),
    OptionSpec::new(
        "schema_save_mode",
        OptionKind::OneOf(&[
            "RECREATE_SCHEMA",
            "CREATE_SCHEMA_WHEN_NOT_EXIST",
            "ERROR_WHEN_SCHEMA_NOT_EXIST",
            "IGNORE",
        ]),
        "What happens to the folder before the job: emptied and made anew, made if missing, demanded, or nothing.",
    )
    .default("CREATE_SCHEMA_WHEN_NOT_EXIST"),
    OptionSpec::new(
        "data_save_mode",
        OptionKind::OneOf(&["DROP_DATA", "APPEND_DATA", "ERROR_WHEN_DATA_EXISTS"]),
        "What happens to files that are there before the job: removed, kept, or they fail it.",
    )
    .default("APPEND_DATA"),
];
