//! The tables of options in the documentation, written from the tables that read them.
//!
//! A page marks the place of a table with `<!-- options: NAME -->` and `<!-- end -->`. A test of the plugin compares
//! the page with [`refreshed`], and writes it anew when `EGRET_UPDATE_DOCS` is set.

use crate::config::{OptionSpec, OptionTable};

const END: &str = "<!-- end -->";

/// The options as a Markdown table.
pub fn options_table(options: OptionTable) -> String {
    if options.is_empty() {
        return "No options.\n".into();
    }
    let mut table = String::from("| Option | Value | Default | Meaning |\n|---|---|---|---|\n");
    for option in options {
        table.push_str(&row(option));
    }
    table
}

fn row(option: &OptionSpec) -> String {
    let names: Vec<String> =
        std::iter::once(&option.name).chain(option.aliases).map(|name| format!("`{name}`")).collect();
    let default = match (option.required, option.default) {
        (true, _) => "required".into(),
        (false, Some(default)) => format!("`{default}`"),
        (false, None) => String::new(),
    };
    let example = match option.example {
        "" => String::new(),
        example => format!(" For example `{example}`."),
    };
    let cells = [names.join(", "), option.kind.describe(), default, format!("{}{example}", option.meaning)];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// The page with each of the named tables as it is now.
///
/// # Errors
/// When the page has no place for one of them.
pub fn refreshed(page: &str, tables: &[(&str, OptionTable)]) -> Result<String, String> {
    let mut page = page.to_owned();
    for (name, options) in tables {
        let begin = format!("<!-- options: {name} -->\n");
        let start = page.find(&begin).ok_or_else(|| format!("the page has no line {}", begin.trim()))? + begin.len();
        let length = page[start..].find(END).ok_or_else(|| format!("no {END} follows {}", begin.trim()))?;
        page.replace_range(start..start + length, &options_table(options));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptionKind;

    const OPTIONS: OptionTable = &[
        OptionSpec::new("path", OptionKind::Text, "Where | what.").aliases(&["file"]).required().example("\"/a\""),
        OptionSpec::new("count", OptionKind::COUNT, "How many.").default("5"),
    ];

    #[test]
    fn a_table_is_put_in_its_place_and_the_rest_stays() {
        let page = "# X\n<!-- options: X -->\nold\n<!-- end -->\nrest\n";
        let fresh = refreshed(page, &[("X", OPTIONS)]).expect("a page");
        assert_eq!(
            fresh,
            "# X\n<!-- options: X -->\n\
             | Option | Value | Default | Meaning |\n|---|---|---|---|\n\
             | `path`, `file` | text | required | Where \\| what. For example `\"/a\"`. |\n\
             | `count` | a whole number of at least 0 | `5` | How many. |\n\
             <!-- end -->\nrest\n"
        );
        assert_eq!(refreshed(&fresh, &[("X", OPTIONS)]), Ok(fresh.clone()));
        assert!(refreshed(page, &[("Y", OPTIONS)]).is_err());
    }
}
