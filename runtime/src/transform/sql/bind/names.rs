//! Columns, fields of rows and keys of maps by name.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
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
                    self.map_key(value, text_literal(name), &key, *item)?
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

    fn map_key(&self, map: Expr, wanted: Expr, key: &DataType, item: DataType) -> Bound {
        let wanted = self.finish(wanted.cast_to(key, OnFailure::Fail))?;
        let key = wanted.as_literal().cloned().ok_or("the key of a map must be constant")?;
        Ok(Expr::new(Kind::MapKey(Box::new(map), key), item, false))
    }

    /// `items[0]`, `attributes['name']`, `row.items[0]`, and more of them in a row.
    pub(super) fn subscripts(&mut self, root: &ast::Expr, accesses: &[ast::AccessExpr]) -> Bound {
        // What stands before the first bracket is a name of several parts.
        let mut names = match root {
            ast::Expr::Identifier(name) => vec![name.clone()],
            ast::Expr::CompoundIdentifier(names) => names.clone(),
            _ => Vec::new(),
        };
        let mut accesses = accesses.iter().peekable();
        while let (false, Some(ast::AccessExpr::Dot(ast::Expr::Identifier(name)))) = (names.is_empty(), accesses.peek())
        {
            names.push(name.clone());
            accesses.next();
        }
        let mut value = if names.is_empty() { self.bind(root)? } else { self.column(&names)? };
        for access in accesses {
            let ast::AccessExpr::Subscript(ast::Subscript::Index { index }) = access else {
                return Err(super::unsupported(format_args!("'{access}' behind brackets")));
            };
            let index = self.bind(index)?;
            value = self.subscript(value, index)?;
            value = self.finish(value)?;
        }
        Ok(value)
    }

    fn subscript(&self, value: Expr, index: Expr) -> Bound {
        let item = match value.data_type.clone() {
            DataType::Map(key, item) => return self.map_key(value, index, &key, *item),
            DataType::SparseFloatVector => return self.map_key(value, index, &DataType::Int, DataType::Float),
            DataType::Array(item) => *item,
            DataType::FloatVector => DataType::Float,
            other => {
                return Err(format!("brackets need an array or a map before them, not {}", type_name(&other)).into());
            }
        };
        if !index.data_type.is_integer() {
            return Err(
                format!("the index of an array must be a whole number, not {}", type_name(&index.data_type)).into()
            );
        }
        let index = self.finish(index.cast_to(&DataType::BigInt, OnFailure::Fail))?;
        let index = index.as_literal().map(|index| index.as_primitive::<Int64Type>().value(0));
        let index = index.ok_or("the index of an array must be constant")?;
        let index = usize::try_from(index).map_err(|_| format!("{index} is no index: arrays count from 0"))?;
        Ok(Expr::new(Kind::Item(Box::new(value), index), item, false))
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
