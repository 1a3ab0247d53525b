//! From the bytes of a config to its text.

use super::problem::Problem;
use super::value::Position;

/// Reads bytes as UTF-8. `name` is what messages call the config.
///
/// # Errors
/// With the place of the first byte that cannot be read, and the cure.
pub fn read_utf8<'b>(bytes: &'b [u8], name: &str) -> Result<&'b str, Problem> {
    let (good, bad) = match bytes.utf8_chunks().next() {
        Some(first) if !first.invalid().is_empty() => (first.valid(), first.invalid()[0]),
        Some(whole) => return Ok(whole.valid()),
        None => return Ok(""),
    };
    let last_line = good.rsplit('\n').next().unwrap_or_default();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let position = Position {
        file: name.into(),
        line: count(good.matches('\n').count() + 1),
        column: count(last_line.chars().count() + 1),
    };
    let help = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16; save or send it as UTF-8",
        _ => "save or send it as UTF-8",
    };
    Err(Problem::error(position, format!("the config is not UTF-8: byte 0x{bad:02x} cannot be read")).with_help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        read_utf8(bytes, "job.conf").expect_err("refused").to_string()
    }

    #[test]
    fn text_comes_back_as_it_is() {
        for text in ["", "env { }\n", "名 = 'ü'"] {
            assert_eq!(read_utf8(text.as_bytes(), "x"), Ok(text));
        }
    }

    #[test]
    fn the_first_byte_that_is_wrong_is_told_with_its_place() {
        let error =
            "error: job.conf:2:4: the config is not UTF-8: byte 0xff cannot be read (help: save or send it as UTF-8)";
        assert_eq!(refused(b"a = 1\n\xc3\xbc= \xff\xfe\n"), error);
        assert!(refused(b"\xff\xfee\0").contains("job.conf:1:1") && refused(b"\xff\xfee\0").contains("UTF-16"));
        // Cut within a letter.
        assert!(refused(b"a\xe6\xb5").contains("job.conf:1:2: the config is not UTF-8: byte 0xe6"));
    }
}
