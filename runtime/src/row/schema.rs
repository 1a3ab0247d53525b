//! Tables: a path, columns and keys (contract C.5), and the Arrow schema made from them.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema, SchemaRef};

use super::types::DataType;

/// `database.schema.table`, with missing parts left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TablePath {
    /// First part of three, or of two unless `schema_first`.
    pub database: Option<Box<str>>,
    /// Second part of three, or first of two with `schema_first`.
    pub schema: Option<Box<str>>,
    /// The last part.
    pub table: Box<str>,
}

impl TablePath {
    /// A path of one part.
    pub fn bare(table: &str) -> Self {
        Self { database: None, schema: None, table: table.into() }
    }

    /// Reads `t`, `db.t` (`schema.t` with `schema_first`) or `db.schema.t`; `None` for more than three parts or an
    /// empty part.
    pub fn parse(text: &str, schema_first: bool) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        match parts.as_slice() {
            [table] => Some(Self::bare(table)),
            [schema, table] if schema_first => {
                Some(Self { database: None, schema: Some((*schema).into()), table: (*table).into() })
            }
            [database, table] => {
                Some(Self { database: Some((*database).into()), schema: None, table: (*table).into() })
            }
            [database, schema, table] => Some(Self {
                database: Some((*database).into()),
                schema: Some((*schema).into()),
                table: (*table).into(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for TablePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.database, &self.schema].into_iter().flatten() {
            write!(f, "{part}.")?;
        }
        f.write_str(&self.table)
    }
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name as written.
    pub name: Box<str>,
    /// Type of its values.
    pub data_type: DataType,
    /// Whether the schema allows null; values are not checked against it on the way through.
    pub nullable: bool,
    /// The value that generators put into every row, as the config's text.
    pub default_value: Option<Box<str>>,
    /// Free text.
    pub comment: Option<Box<str>>,
    /// `columnLength`, 0 when not given.
    pub length: i64,
    /// `columnScale`.
    pub scale: Option<i32>,
}

impl Column {
    /// A nullable column without further properties.
    pub fn new(name: &str, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            nullable: true,
            default_value: None,
            comment: None,
            length: 0,
            scale: None,
        }
    }
}

/// `primaryKey` of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryKey {
    /// Name of the key.
    pub name: Box<str>,
    /// Its columns in order.
    pub columns: Vec<Box<str>>,
}

/// Kind of a [`ConstraintKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `INDEX_KEY`
    Index,
    /// `UNIQUE_KEY`
    Unique,
    /// `FOREIGN_KEY`
    Foreign,
    /// `VECTOR_INDEX_KEY`
    VectorIndex,
}

/// One entry of `constraintKeys` of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintKey {
    /// Name of the constraint.
    pub name: Box<str>,
    /// What it constrains.
    pub kind: ConstraintKind,
    /// Column and whether it sorts ascending; `None` when the config does not say.
    pub columns: Vec<(Box<str>, Option<bool>)>,
}

/// A table: what a vertex sends and a sink receives.
///
/// Immutable once built; shared by all batches of the table.
#[derive(Clone, Debug)]
pub struct TableSchema {
    /// Where the rows belong.
    pub path: TablePath,
    /// Columns in order.
    pub columns: Arc<[Column]>,
    /// Primary key.
    pub primary_key: Option<PrimaryKey>,
    /// Further keys.
    pub constraint_keys: Vec<ConstraintKey>,
    /// Columns by which the source partitions its rows (partition folders of files).
    pub partition_keys: Vec<Box<str>>,
    /// Free text.
    pub comment: Option<Box<str>>,
    arrow: SchemaRef,
}

impl TableSchema {
    /// A table without keys.
    pub fn new(path: TablePath, columns: Vec<Column>) -> Self {
        let arrow = arrow_schema(&columns);
        Self {
            path,
            columns: columns.into(),
            primary_key: None,
            constraint_keys: Vec::new(),
            partition_keys: Vec::new(),
            comment: None,
            arrow,
        }
    }

    /// The same table (path, keys that still apply, comment) with other columns. Keys over columns that are gone
    /// are dropped.
    pub fn with_columns(&self, columns: Vec<Column>) -> Self {
        let has = |name: &str| columns.iter().any(|column| column.name.as_ref() == name);
        Self {
            path: self.path.clone(),
            primary_key: self.primary_key.clone().filter(|key| key.columns.iter().all(|name| has(name))),
            constraint_keys: self
                .constraint_keys
                .iter()
                .filter(|key| key.columns.iter().all(|(name, _)| has(name)))
                .cloned()
                .collect(),
            partition_keys: self.partition_keys.iter().filter(|name| has(name)).cloned().collect(),
            comment: self.comment.clone(),
            arrow: arrow_schema(&columns),
            columns: columns.into(),
        }
    }

    /// The Arrow schema of the table's batches. All fields are nullable: nullability is the config's statement, not
    /// a guarantee about the values.
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }

    /// Position of a column by its exact name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.as_ref() == name)
    }
}

fn arrow_schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<ArrowField> =
        columns.iter().map(|column| ArrowField::new(column.name.as_ref(), column.data_type.arrow(), true)).collect();
    Arc::new(ArrowSchema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_paths_have_one_to_three_parts() {
        for (text, schema_first, shown) in
            [("t", false, "t"), ("a.t", false, "a.t"), ("a.t", true, "a.t"), ("a.b.t", false, "a.b.t")]
        {
            let path = TablePath::parse(text, schema_first).expect(text);
            assert_eq!(path.to_string(), shown);
            assert_eq!(path.database.is_some(), !schema_first && text.contains('.'));
        }
        assert_eq!(TablePath::parse("a.b.c.t", false), None);
        assert_eq!(TablePath::parse("a..t", false), None);
        assert_eq!(TablePath::parse("", false), None);
    }

    #[test]
    fn a_key_over_a_dropped_column_goes_with_it() {
        let mut table = TableSchema::new(
            TablePath::bare("t"),
            vec![Column::new("id", DataType::Int), Column::new("name", DataType::String)],
        );
        table.primary_key = Some(PrimaryKey { name: "pk".into(), columns: vec!["id".into()] });
        assert!(table.with_columns(vec![Column::new("id", DataType::Int)]).primary_key.is_some());
        assert!(table.with_columns(vec![Column::new("name", DataType::String)]).primary_key.is_none());
    }
}
