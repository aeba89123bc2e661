//! The line of a field in a file of block-style YAML. A parser's values know no place, but keys stand below each
//! other and list items begin with a dash; what is in flow style has the line of what holds it. Pure.

/// One key or one dash, with how far it is indented.
#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    indent: usize,
    text: &'t str,
    line: usize,
}

/// The line (from 1) of a field such as `spec.rules[0].name` of a file's `number`th object, or of the nearest
/// one above it that is found.
pub(super) fn line_of(text: &str, number: usize, field: &str) -> Option<usize> {
    let all = tokens(text);
    let mut documents = all.split(|token| token.text == "---").filter(|document| !document.is_empty());
    let mut block = documents.nth(number.checked_sub(1)?).unwrap_or(&all);
    let mut found = None;
    for step in steps(field) {
        let Some((line, inner)) = enter(block, step) else { break };
        (found, block) = (Some(line), inner);
    }
    found
}

/// `spec.rules[0].name` in steps: keys, and places in lists as `[0`.
fn steps(field: &str) -> impl Iterator<Item = &str> {
    field.split('.').flat_map(|part| {
        let (key, places) = part.split_at(part.find('[').unwrap_or(part.len()));
        let places = places.split_inclusive(']').map(|place| place.trim_end_matches(']'));
        std::iter::once(key).chain(places).filter(|step| !step.is_empty())
    })
}

/// Where a key or place begins, and what is inside it.
fn enter<'a, 't>(block: &'a [Token<'t>], step: &str) -> Option<(usize, &'a [Token<'t>])> {
    let indent = block.first()?.indent;
    let is_it = |token: &Token<'_>| match step.strip_prefix('[') {
        Some(_) => token.text == "-",
        None => token.text.split(':').next().is_some_and(|key| key.trim().trim_matches(['"', '\'']) == step),
    };
    let skip = step.strip_prefix('[').map_or(Some(0), |place| place.parse().ok())?;
    let mut hits = block.iter().enumerate().filter(|(_, token)| token.indent == indent && is_it(token));
    let (at, token) = hits.nth(skip)?;
    let rest = block.get(at + 1..)?;
    // A list may stand as far out as its key.
    let is_inside = |other: &&Token<'_>| {
        other.indent > indent || (token.text != "-" && other.indent == indent && other.text == "-")
    };
    let length = rest.iter().take_while(is_inside).count();
    Some((token.line, rest.get(..length)?))
}

/// A dash and what follows it on its line are two.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, whole) in text.lines().enumerate() {
        let mut text = whole.trim_start();
        let mut indent = whole.len() - text.len();
        while let Some(rest) = text.strip_prefix("- ") {
            tokens.push(Token { indent, text: "-", line: line + 1 });
            let trimmed = rest.trim_start();
            indent += text.len() - trimmed.len();
            text = trimmed;
        }
        if !text.is_empty() && !text.starts_with('#') {
            tokens.push(Token { indent, text: text.trim_end(), line: line + 1 });
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# first\nkind: A\nspec:\n  rules:\n  - name: one\n    matches:\n    - path: {value: x}\n    - method: GET\n  - name: two\n---\nkind: B\nspec: {a: 1}\n";

    #[test]
    fn a_field_is_found_through_lists_and_documents() {
        assert_eq!(line_of(TEXT, 1, "kind"), Some(2));
        assert_eq!(line_of(TEXT, 1, "spec.rules[1].name"), Some(9));
        assert_eq!(line_of(TEXT, 1, "spec.rules[0].matches[1].method"), Some(8));
        assert_eq!(line_of(TEXT, 2, "spec.a"), Some(12), "in flow style: the line of what holds it");
        assert_eq!(line_of(TEXT, 1, "spec.rules[0].matches[0].path.value"), Some(7));
        assert_eq!(line_of(TEXT, 1, "nothing"), None);
        assert_eq!(line_of("", 1, "a"), None);
    }
}
