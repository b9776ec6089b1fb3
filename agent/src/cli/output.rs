//! The only module that prints.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the commands' output"
)]

use serde_json::Value;

/// Prints a line.
pub(super) fn line(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

/// Prints JSON on lines of its own.
pub(super) fn json(value: &Value) {
    println!("{value:#}");
}

/// Prints JSON on one line.
pub(super) fn json_line(value: &Value) {
    println!("{value}");
}

/// Prints text that ends its own lines.
pub(super) fn text(text: &str) {
    print!("{text}");
}

/// Prints a line beside the output proper.
pub(super) fn aside(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// Prints a complaint with what lies behind it.
pub(super) fn complaint(error: &dyn std::error::Error) {
    eprint!("tillbind: {error}");
    let mut source = error.source();
    let mut said = error.to_string();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !said.ends_with(&text) {
            eprint!(": {text}");
        }
        said = text;
        source = inner.source();
    }
    eprintln!();
}
