//! "Did you mean": the known word nearest to one that is not known.

/// The shortest text that is taken for a part of a word.
const PART_MIN: usize = 4;

/// The word that `text` was most likely meant to be, if one is near: the same but for case and hyphens, one edit
/// away for each three letters (two at most), or a word that holds it.
pub(in crate::resource) fn nearest<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let wanted = bare(text);
    let allowed = (wanted.len() / 3).min(2);
    words
        .iter()
        .map(|word| (bare(word), *word))
        .map(|(bare, word)| (distance(&wanted, &bare), bare, word))
        .filter(|(distance, bare, _)| {
            *distance <= allowed
                || (wanted.len() >= PART_MIN && bare.windows(wanted.len()).any(|part| *part == wanted))
        })
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., word)| word)
}

/// Lower-case letters and digits: `least-request`, `least_request` and `LeastRequest` are one word. Cut, so that a
/// long key costs no more than a long word.
fn bare(text: &str) -> Vec<u8> {
    const LENGTH_MAX: usize = 64;
    text.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
        .take(LENGTH_MAX)
        .collect()
}

/// Levenshtein's distance, one row at a time.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other) {
            let above = *cell;
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_none() {
        let words = ["backendRefs", "filters", "matches", "LeastRequest", "url"];
        for (text, word) in [
            ("backendRef", Some("backendRefs")),
            ("backendrefs", Some("backendRefs")),
            ("backend_refs", Some("backendRefs")),
            ("least-request", Some("LeastRequest")),
            ("match", Some("matches")),
            ("filtres", Some("filters")),
            ("destination", None),
            ("uri", Some("url")),
            ("", None),
        ] {
            assert_eq!(nearest(text, &words), word, "{text}");
        }
    }

    #[test]
    fn the_distance_is_the_fewest_edits() {
        for (one, other, edits) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("abc", "abc", 0)] {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), edits, "{one} {other}");
            assert_eq!(distance(other.as_bytes(), one.as_bytes()), edits, "{other} {one}");
        }
    }
}
