//! Columns, fields of rows and keys of maps by name.

use sqlparser::ast;

use super::literals::text_literal;
use super::{Binder, Bound, Refusal};
use crate::config::nearest;
use crate::row::DataType;
use crate::transform::sql::cast::{OnFailure, type_name};
use crate::transform::sql::expr::{Expr, Kind};

impl Binder<'_> {
    pub(super) fn column(&mut self, names: &[ast::Ident]) -> Bound {
        let whole = names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".");
        // A column's own name may hold dots.
        if let Some(index) = self.table.index_of(&whole) {
            return Ok(self.column_at(index));
        }
        let mut names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        if names.len() > 1 && self.table.index_of(names[0]).is_none() && names[0].eq_ignore_ascii_case(self.from) {
            names.remove(0);
        }
        let Some(index) = self.table.index_of(names[0]) else {
            return Err(self.unknown_column(names[0]));
        };
        let mut value = self.column_at(index);
        for (place, name) in names.iter().enumerate().skip(1) {
            value = match value.data_type.clone() {
                DataType::Row(fields) => {
                    let Some(index) = fields.iter().position(|field| field.name.as_ref() == *name) else {
                        let known = fields.iter().map(|field| field.name.as_ref());
                        let help = nearest(name, known).map(|known| format!("did you mean '{known}'?"));
                        let message = format!("the row '{}' has no field '{name}'", names[..place].join("."));
                        return Err(Refusal { message, help });
                    };
                    let data_type = fields[index].data_type.clone();
                    Expr::new(Kind::Field(Box::new(value), index), data_type, false)
                }
                DataType::Map(key, item) if place + 1 == names.len() => {
                    let wanted = text_literal(name).cast_to(&key, OnFailure::Fail);
                    let wanted = self.finish(wanted)?;
                    let key = wanted.as_literal().cloned().ok_or("the key of a map must be constant")?;
                    Expr::new(Kind::MapKey(Box::new(value), key), *item, false)
                }
                DataType::Map(..) => {
                    let message = format!("'{whole}': the key of a map must be the last part of a name");
                    return Err(message.into());
                }
                other => {
                    let shown = names[..place].join(".");
                    return Err(
                        format!("'{shown}' is {}, not a row or a map: it has no '{name}'", type_name(&other)).into()
                    );
                }
            };
        }
        Ok(value)
    }

    fn column_at(&self, index: usize) -> Expr {
        Expr::new(Kind::Column(index), self.table.columns[index].data_type.clone(), false)
    }

    fn unknown_column(&self, name: &str) -> Refusal {
        let known = || self.table.columns.iter().map(|column| column.name.as_ref());
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("there are {}", known().take(50).collect::<Vec<_>>().join(", ")),
        };
        Refusal { message: format!("unknown column '{name}'"), help: Some(help) }
    }
}
