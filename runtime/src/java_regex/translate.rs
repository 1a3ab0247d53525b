//! From Java's language of patterns to that of the `regex` and `fancy-regex` crates.

use std::fmt::Write as _;

const NOT_LINE_END: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";
const HORIZONTAL: &str = r" \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
const VERTICAL: &str = r"\n\x0B\x0C\r\x{85}\x{2028}\x{2029}";

/// The pattern in the other language, and whether it can only be matched by backtracking.
///
/// # Errors
/// With what cannot be said in the other language.
pub(super) fn translate(pattern: &str, dot_all: bool) -> Result<(String, bool), String> {
    let mut translation = Translation { rest: pattern, out: String::new(), dot_all, backtracks: false };
    translation.run()?;
    Ok((translation.out, translation.backtracks))
}

struct Translation<'a> {
    rest: &'a str,
    out: String,
    dot_all: bool,
    backtracks: bool,
}

impl Translation<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(letter) = self.next() {
            match letter {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '.' if !self.dot_all => self.out.push_str(NOT_LINE_END),
                '(' => self.group()?,
                '*' | '+' | '?' => self.repetition(letter)?,
                '{' => {
                    let Some(end) = self.rest.find('}') else {
                        return Err("'{' without '}'".into());
                    };
                    let _ = write!(self.out, "{{{}", &self.rest[..end]);
                    self.rest = &self.rest[end + 1..];
                    self.repetition('}')?;
                }
                other => self.out.push(other),
            }
        }
        Ok(())
    }

    /// A repetition, and the `?` or `+` behind it.
    fn repetition(&mut self, letter: char) -> Result<(), String> {
        self.out.push(letter);
        if self.take("?") {
            self.out.push('?');
        } else if self.take("+") {
            self.out.push('+');
            self.backtracks = true;
        }
        // The other language would repeat the repetition.
        if self.rest.starts_with(['*', '+', '?']) { Err("a repetition cannot be repeated".into()) } else { Ok(()) }
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if !self.take("?") {
            return Ok(());
        }
        self.out.push('?');
        for (prefix, backtracks) in
            [("=", true), ("!", true), ("<=", true), ("<!", true), (">", true), (":", false), ("<", false)]
        {
            if self.take(prefix) {
                self.out.push_str(prefix);
                self.backtracks |= backtracks;
                return Ok(());
            }
        }
        // Flags: `(?i)`, `(?i-s:...)`.
        let mut on = true;
        let mut any = false;
        while let Some(letter) = self.next() {
            match letter {
                ')' | ':' => {
                    // Java takes `(?)`, and a group whose flags mean nothing here.
                    if !any && letter == ')' {
                        self.out.push(':');
                    }
                    self.out.push(letter);
                    return Ok(());
                }
                '-' => {
                    on = false;
                    self.out.push('-');
                }
                'i' | 'm' | 'x' => {
                    any = true;
                    self.out.push(letter);
                }
                's' => {
                    any = true;
                    self.dot_all = on;
                    self.out.push(letter);
                }
                // Letters of any script fold their case anyway.
                'u' | 'd' if on => {}
                other => return Err(format!("the flag '{other}' is not supported")),
            }
        }
        Err("a group is not closed".into())
    }

    fn class(&mut self) -> Result<(), String> {
        let mut depth = 1usize;
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        while depth > 0 {
            let Some(letter) = self.next() else {
                return Err("'[' without ']'".into());
            };
            match letter {
                '\\' => self.escape(true)?,
                '[' => {
                    depth += 1;
                    self.out.push('[');
                    if self.take("^") {
                        self.out.push('^');
                    }
                }
                ']' => {
                    depth -= 1;
                    self.out.push(']');
                }
                // Doubled, these are operators in the other language.
                '~' => self.out.push_str(r"\~"),
                '-' if self.rest.starts_with('-') || self.out.ends_with('-') => self.out.push_str(r"\-"),
                other => self.out.push(other),
            }
        }
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(letter) = self.next() else {
            return Err("a backslash stands at the end".into());
        };
        let bracket = |inner: &str| if in_class { inner.to_owned() } else { format!("[{inner}]") };
        let text = match letter {
            'd' => bracket("0-9"),
            'w' => bracket("0-9A-Za-z_"),
            's' => bracket(r" \t\n\x0B\x0C\r"),
            'h' => bracket(HORIZONTAL),
            'v' => bracket(VERTICAL),
            'D' => "[^0-9]".into(),
            'W' => "[^0-9A-Za-z_]".into(),
            'S' => r"[^ \t\n\x0B\x0C\r]".into(),
            'H' => format!("[^{HORIZONTAL}]"),
            'V' => format!("[^{VERTICAL}]"),
            'R' if !in_class => format!(r"(?:\r\n|[{VERTICAL}])"),
            'Q' => {
                let end = self.rest.find(r"\E").unwrap_or(self.rest.len());
                let quoted = regex::escape(&self.rest[..end]);
                self.rest = self.rest[end..].strip_prefix(r"\E").unwrap_or("");
                quoted
            }
            'E' => String::new(),
            'p' | 'P' => self.property(letter == 'P', in_class)?,
            't' | 'n' | 'r' => format!("\\{letter}"),
            'f' => r"\x0C".into(),
            'a' => r"\x07".into(),
            'e' => r"\x1B".into(),
            'b' | 'B' | 'A' | 'z' if !in_class => format!("\\{letter}"),
            'Z' if !in_class => r"\z".into(),
            'c' => {
                let control = self.next().ok_or("a control character is not named")?;
                format!("\\x{{{:x}}}", u32::from(control) ^ 64)
            }
            'u' => format!("\\x{{{:x}}}", self.unicode()?),
            'x' => format!("\\x{{{:x}}}", self.hexadecimal()?),
            '0' => {
                let digits = self.rest.len() - self.rest.trim_start_matches(|digit| ('0'..='7').contains(&digit)).len();
                let longest = if self.rest.starts_with(|digit| ('0'..='3').contains(&digit)) { 3 } else { 2 };
                let (octal, rest) = self.rest.split_at(digits.min(longest));
                let value = u32::from_str_radix(octal, 8).map_err(|_| "'\\0' without octal digits")?;
                self.rest = rest;
                format!("\\x{{{value:x}}}")
            }
            '1'..='9' if !in_class => {
                self.backtracks = true;
                format!("\\{letter}")
            }
            'k' if !in_class => {
                self.backtracks = true;
                "\\k".into()
            }
            other if other.is_ascii_alphabetic() => return Err(format!("'\\{other}' is not supported")),
            other => regex::escape(other.encode_utf8(&mut [0; 4])),
        };
        self.out.push_str(&text);
        Ok(())
    }

    /// Four hexadecimal digits; a pair of surrogates is one character.
    fn unicode(&mut self) -> Result<u32, String> {
        let first = self.digits(4)?;
        if (0xD800..0xDC00).contains(&first) && self.take("\\u") {
            let second = self.digits(4)?;
            if (0xDC00..0xE000).contains(&second) {
                return Ok(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
            }
        }
        Ok(first)
    }

    fn hexadecimal(&mut self) -> Result<u32, String> {
        if !self.take("{") {
            return self.digits(2);
        }
        let end = self.rest.find('}').ok_or("'\\x{' without '}'")?;
        let value = u32::from_str_radix(&self.rest[..end], 16).map_err(|_| "'\\x{}' without hexadecimal digits")?;
        self.rest = &self.rest[end + 1..];
        Ok(value)
    }

    fn digits(&mut self, count: usize) -> Result<u32, String> {
        let digits = self.rest.get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| format!("expected {count} hexadecimal digits"))?;
        self.rest = &self.rest[count..];
        Ok(value)
    }

    fn property(&mut self, negated: bool, in_class: bool) -> Result<String, String> {
        let name = if self.take("{") {
            let end = self.rest.find('}').ok_or("'\\p{' without '}'")?;
            let name = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            name.to_owned()
        } else {
            self.next().ok_or("'\\p' without a name")?.into()
        };
        let ascii = match name.as_str() {
            "Lower" => "a-z",
            "Upper" => "A-Z",
            "ASCII" => r"\x00-\x7F",
            "Alpha" => "A-Za-z",
            "Digit" => "0-9",
            "Alnum" => "0-9A-Za-z",
            "Punct" => r"!-/:-@\[-`{-\x7E",
            "Graph" => "!-\\x7E",
            "Print" => " -\\x7E",
            "Blank" => r" \t",
            "Cntrl" => r"\x00-\x1F\x7F",
            "XDigit" => "0-9A-Fa-f",
            "Space" => r" \t\n\x0B\x0C\r",
            _ => "",
        };
        if !ascii.is_empty() {
            return Ok(match (negated, in_class) {
                (true, _) => format!("[^{ascii}]"),
                (false, true) => ascii.to_owned(),
                (false, false) => format!("[{ascii}]"),
            });
        }
        let plain = match name.as_str() {
            "javaLowerCase" => "Lowercase",
            "javaUpperCase" => "Uppercase",
            "javaWhitespace" => "White_Space",
            "javaLetter" => "L",
            "javaDigit" => "Nd",
            other => other.strip_prefix("Is").unwrap_or(other),
        };
        Ok(format!("\\{}{{{plain}}}", if negated { 'P' } else { 'p' }))
    }
}
