//! YAML as sigs.k8s.io/yaml writes it: keys sorted, lists not indented, two spaces.

use serde_json::Value;

pub(super) fn render(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0);
    text
}

/// Writes a mapping or list at an indentation, the first line's already there.
fn write(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                text.push_str(&scalar(name));
                text.push(':');
                write_field(text, &fields[name], indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                text.push_str("- ");
                write(text, item, indent + 2);
            }
        }
        other => {
            text.push_str(&flow(other));
            text.push('\n');
        }
    }
}

fn write_field(text: &mut String, value: &Value, indent: usize) {
    let below = match value {
        Value::Object(fields) if !fields.is_empty() => indent + 2,
        Value::Array(items) if !items.is_empty() => indent,
        other => {
            text.push(' ');
            text.push_str(&flow(other));
            text.push('\n');
            return;
        }
    };
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', below));
    write(text, value, below);
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// A text without quotes where no reader can take it for anything else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let starts_well = text
        .chars()
        .next()
        .is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '/');
    let plain = starts_well
        && text.chars().all(|letter| {
            letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '/')
        })
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        // JSON's escapes are YAML's.
        Value::String(text.to_owned()).to_string()
    }
}
