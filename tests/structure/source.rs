//! Reading a file: its modules, its imports and the paths in it.

/// A path, by its parts.
pub(crate) type Names = Vec<String>;

/// What one file says, with paths as they are written; modules are those they stand in, which may be inside the file.
#[derive(Default)]
pub(crate) struct Source {
    /// Modules with files of their own.
    pub(crate) children: Vec<Names>,
    /// Modules inside the file.
    pub(crate) inner: Vec<Names>,
    /// Where, under which name, what.
    pub(crate) imports: Vec<(Names, String, Names)>,
    /// Where, what.
    pub(crate) paths: Vec<(Names, Names)>,
}

impl Source {
    pub(crate) fn of(module: &[String], text: &str) -> Self {
        let tokens = tokens(text);
        let mut source = Self::default();
        let mut module = module.to_vec();
        // The depths at which modules inside the file end.
        let mut ends = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        let token = |at: usize| tokens.get(at).map_or("", String::as_str);
        while at < tokens.len() {
            match token(at) {
                "#" if tokens[at..]
                    .iter()
                    .take(7)
                    .eq(["#", "[", "cfg", "(", "test", ")", "]"]) =>
                {
                    at = end_of_item(&tokens, at + 7);
                    continue;
                }
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if ends.last() == Some(&depth) {
                        ends.pop();
                        module.pop();
                    }
                }
                "mod" if matches!(token(at + 2), ";" | "{") => {
                    let child = [&module[..], &[token(at + 1).to_owned()]].concat();
                    if token(at + 2) == ";" {
                        source.children.push(child);
                    } else {
                        source.inner.push(child.clone());
                        ends.push(depth);
                        depth += 1;
                        module = child;
                    }
                    at += 2;
                }
                // `use<'a>` says what a type captures.
                "use" if token(at + 1) != "<" => {
                    let end = at + tokens[at..].iter().position(|token| token == ";").unwrap();
                    for (name, path) in use_tree(&tokens[at + 1..end]) {
                        source.paths.push((module.clone(), path.clone()));
                        source.imports.push((module.clone(), name, path));
                    }
                    at = end;
                }
                first if is_name(first) && token(at + 1) == "::" && is_name(token(at + 2)) => {
                    let mut path = vec![first.to_owned()];
                    while token(at + 1) == "::" && is_name(token(at + 2)) {
                        path.push(token(at + 2).to_owned());
                        at += 2;
                    }
                    source.paths.push((module.clone(), path));
                }
                _ => {}
            }
            at += 1;
        }
        source
    }
}

/// Every name of a `use` declaration with its path; a glob's name is `*`.
pub(crate) fn use_tree(tokens: &[String]) -> Vec<(String, Names)> {
    let mut path = Names::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => {}
            "{" => {
                let mut found = Vec::new();
                let inside = &tokens[at + 1..tokens.len() - 1];
                let mut depth = 0;
                let parts = inside.split(|token| {
                    depth += i32::from(token == "{") - i32::from(token == "}");
                    depth == 0 && token == ","
                });
                for (name, rest) in parts.filter(|part| !part.is_empty()).flat_map(use_tree) {
                    let is_itself = rest.len() == 1 && rest[0] == "self";
                    let whole = if is_itself {
                        path.clone()
                    } else {
                        [&path[..], &rest].concat()
                    };
                    let own = if name == "self" {
                        path.last().unwrap()
                    } else {
                        &name
                    };
                    found.push((own.clone(), whole));
                }
                return found;
            }
            "as" => return vec![(tokens[at + 1].clone(), path)],
            "*" => return vec![("*".to_owned(), path)],
            name => path.push(name.to_owned()),
        }
        at += 1;
    }
    vec![(path.last().cloned().unwrap_or_default(), path)]
}

/// Behind the item that begins here, its further attributes included.
fn end_of_item(tokens: &[String], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 && token == "}" {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Names, `::` and single signs; comments, texts, letters and lifetimes are left out.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let behind = |mark: &str| rest.find(mark).map_or(rest.len(), |at| at + mark.len());
        let hashes = rest
            .trim_start_matches('b')
            .strip_prefix('r')
            .and_then(|raw| {
                let hashes = raw.len() - raw.trim_start_matches('#').len();
                raw[hashes..].starts_with('"').then_some(hashes)
            });
        let length = if rest.starts_with("//") {
            behind("\n")
        } else if rest.starts_with("/*") {
            behind("*/")
        } else if let Some(hashes) = hashes {
            let open = rest.find('"').unwrap() + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            open + rest[open..].find(&close).unwrap() + close.len()
        } else if first == '"' || rest.starts_with("b\"") {
            let open = rest.find('"').unwrap() + 1;
            open + text_length(&rest[open..], '"')
        } else if first == '\'' {
            let second = rest[1..].chars().next().unwrap_or_default();
            let is_letter = second == '\\' || rest[1 + second.len_utf8()..].starts_with('\'');
            if is_letter {
                1 + text_length(&rest[1..], '\'')
            } else {
                1 + name_length(&rest[1..])
            }
        } else {
            let length = if rest.starts_with("::") {
                2
            } else {
                first.len_utf8().max(name_length(rest))
            };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

fn name_length(text: &str) -> usize {
    text.find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(text.len())
}

/// To behind the quotation mark that ends it.
fn text_length(text: &str, mark: char) -> usize {
    let mut is_escaped = false;
    let end = text.find(|letter| {
        let ends = letter == mark && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + mark.len_utf8())
}
