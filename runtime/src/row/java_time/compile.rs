//! From the text of a pattern to its items.

use std::fmt;

use super::{Field, Item, Name, OffsetForm, PatternError, Style};

/// Optional parts within optional parts: more is a mistake, and each level costs stack.
const NESTING_MAX: usize = 16;

/// Reads a pattern letter by letter.
pub(super) struct Compiler<'a> {
    rest: &'a str,
    pattern: &'a str,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(pattern: &'a str) -> Self {
        Self { rest: pattern, pattern }
    }

    fn error(&self, what: impl fmt::Display) -> PatternError {
        PatternError(format!("date pattern '{}': {what}", self.pattern))
    }

    /// The items up to the end, or to the bracket that closes this part.
    pub(super) fn items(&mut self, depth: usize) -> Result<Vec<Item>, PatternError> {
        if depth > NESTING_MAX {
            return Err(self.error("too many '[' within '['"));
        }
        let mut items = Vec::new();
        while let Some(first) = self.rest.chars().next() {
            let letters = if first.is_ascii_alphabetic() {
                self.rest.chars().take_while(|letter| *letter == first).count()
            } else {
                0
            };
            match first {
                'a'..='z' | 'A'..='Z' => {
                    self.rest = &self.rest[letters..];
                    items.push(self.letter(first, letters)?);
                }
                '\'' => {
                    let text = self.quoted()?;
                    push_text(&mut items, &text);
                }
                '[' => {
                    self.rest = &self.rest[1..];
                    let inner = self.items(depth + 1)?;
                    if !self.rest.starts_with(']') {
                        return Err(self.error("'[' without ']'"));
                    }
                    self.rest = &self.rest[1..];
                    items.push(Item::Optional(inner));
                }
                ']' if depth > 0 => return Ok(items),
                ']' => return Err(self.error("']' without '['")),
                '{' | '}' | '#' => return Err(self.error(format_args!("'{first}' must be quoted"))),
                other => {
                    self.rest = &self.rest[other.len_utf8()..];
                    push_text(&mut items, other.encode_utf8(&mut [0; 4]));
                }
            }
        }
        Ok(items)
    }

    /// Text between quotes, `''` within it being a quote; `''` alone is a quote too.
    fn quoted(&mut self) -> Result<String, PatternError> {
        self.rest = &self.rest[1..];
        if let Some(rest) = self.rest.strip_prefix('\'') {
            self.rest = rest;
            return Ok("'".into());
        }
        let mut text = String::new();
        loop {
            let Some(at) = self.rest.find('\'') else {
                return Err(self.error("a quote is not closed"));
            };
            text.push_str(&self.rest[..at]);
            self.rest = &self.rest[at + 1..];
            match self.rest.strip_prefix('\'') {
                Some(rest) => {
                    text.push('\'');
                    self.rest = rest;
                }
                None => return Ok(text),
            }
        }
    }

    fn letter(&self, letter: char, count: usize) -> Result<Item, PatternError> {
        let too_many = || self.error(format_args!("'{letter}' is written {count} times, which is too often"));
        let width = u8::try_from(count).ok().filter(|width| *width <= 19).ok_or_else(too_many)?;
        let number = |field, min, max| Item::Number { field, min, max, reserve: 0 };
        let up_to_two = |field| match count {
            1 => Ok(number(field, 1, 19)),
            2 => Ok(number(field, 2, 2)),
            _ => Err(too_many()),
        };
        let style = match count {
            ..=3 => Style::Short,
            4 => Style::Full,
            _ => Style::Narrow,
        };
        let year = |field| if count == 2 { Item::TwoDigitYear(field) } else { number(field, width, 19) };
        let item = match letter {
            'u' | 'y' => year(Field::Year),
            'Y' => year(Field::WeekYear),
            _ if count > 5 && !"SAnN".contains(letter) => return Err(too_many()),
            'M' | 'L' if count <= 2 => up_to_two(Field::Month)?,
            'M' | 'L' => Item::Name(Name::Month(style)),
            'Q' | 'q' if count <= 2 => up_to_two(Field::Quarter)?,
            'Q' | 'q' => Item::Name(Name::Quarter(style)),
            'e' | 'c' if count <= 2 => up_to_two(Field::Weekday)?,
            'E' | 'e' | 'c' => Item::Name(Name::Weekday(style)),
            'G' => Item::Name(Name::Era(style)),
            'w' => up_to_two(Field::Week)?,
            'W' if count == 1 => number(Field::WeekOfMonth, 1, 19),
            'F' if count == 1 => number(Field::AlignedWeek, 1, 19),
            'd' => up_to_two(Field::Day)?,
            'D' if count == 1 => number(Field::DayOfYear, 1, 19),
            'D' if count <= 3 => number(Field::DayOfYear, width, 3),
            'a' if count == 1 => Item::Name(Name::AmPm),
            'K' => up_to_two(Field::HourOfHalf)?,
            'h' => up_to_two(Field::ClockHourOfHalf)?,
            'H' => up_to_two(Field::Hour)?,
            'k' => up_to_two(Field::ClockHour)?,
            'm' => up_to_two(Field::Minute)?,
            's' => up_to_two(Field::Second)?,
            'S' if count <= 9 => Item::Fraction(width),
            'n' => number(Field::Nano, width, 19),
            'A' => number(Field::MilliOfDay, width, 19),
            'N' => number(Field::NanoOfDay, width, 19),
            'V' if count == 2 => Item::ZoneId,
            'z' if count <= 4 => Item::ZoneId,
            'O' if count == 1 || count == 4 => Item::GmtOffset,
            'X' | 'x' => {
                Item::Offset(OffsetForm { colon: matches!(count, 3 | 5), minutes: count > 1, zulu: letter == 'X' })
            }
            'Z' if count <= 3 => Item::Offset(OffsetForm { colon: false, minutes: true, zulu: false }),
            'Z' if count == 4 => Item::GmtOffset,
            'Z' => Item::Offset(OffsetForm { colon: true, minutes: true, zulu: true }),
            'W' | 'F' | 'D' | 'a' | 'S' | 'V' | 'z' | 'O' => return Err(too_many()),
            other => {
                return Err(self.error(format_args!("'{other}' is not a pattern letter; quote it to mean the letter")));
            }
        };
        Ok(item)
    }
}

fn push_text(items: &mut Vec<Item>, text: &str) {
    if let Some(Item::Text(before)) = items.last_mut() {
        *before = format!("{before}{text}").into();
    } else {
        items.push(Item::Text(text.into()));
    }
}

/// Tells each number of open width how many digits behind it are spoken for.
pub(super) fn reserve_digits(items: &mut [Item]) {
    let mut behind = 0;
    for item in items.iter_mut().rev() {
        match item {
            Item::Number { min, max, reserve, .. } if min != max => {
                *reserve = behind;
                behind = 0;
            }
            Item::Number { min, .. } => behind += *min,
            Item::TwoDigitYear(_) => behind += 2,
            Item::Fraction(width) => behind += *width,
            Item::Optional(inner) => {
                reserve_digits(inner);
                behind = 0;
            }
            _ => behind = 0,
        }
    }
}

/// Lists the items, those of optional parts too, and apart those that are always there.
pub(super) fn collect<'a>(items: &'a [Item], required: bool, all: &mut Vec<&'a Item>, needed: &mut Vec<&'a Item>) {
    for item in items {
        if let Item::Optional(inner) = item {
            collect(inner, false, all, needed);
        } else {
            all.push(item);
            if required {
                needed.push(item);
            }
        }
    }
}
