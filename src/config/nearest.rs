//! The nearest right word for a wrong one.

/// The candidate that `word` was most likely meant to be, or `None` when nothing is near: at most a third of the
/// word's letters may be wrong. Case, `_` and `-` do not count.
pub(crate) fn nearest<'word>(
    word: &str,
    candidates: impl IntoIterator<Item = &'word str>,
) -> Option<&'word str> {
    let folded = fold(word);
    let allowed = (folded.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> Vec<char> {
    word.chars()
        .filter(|letter| !matches!(letter, '-' | '_' | '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Letters to insert, remove, replace, or swap with their neighbour (optimal string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, from_letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to_letter) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(from_letter != to_letter);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0
                && column > 0
                && *from_letter == to[column - 1]
                && from[row - 1] == *to_letter;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_missing_doubled_or_swapped_is_near() {
        let words = ["before", "validity", "key-algorithm"];
        assert_eq!(nearest("befor", words), Some("before"));
        assert_eq!(nearest("beffore", words), Some("before"));
        assert_eq!(nearest("ebfore", words), Some("before"));
        assert_eq!(nearest("Key_Algorithm", words), Some("key-algorithm"));
    }

    #[test]
    fn something_else_is_not_near() {
        assert_eq!(nearest("colour", ["before", "validity"]), None);
        assert_eq!(nearest("", ["before"]), None);
    }

    #[test]
    fn the_nearest_of_several_wins() {
        assert_eq!(
            nearest("etcd-serve", ["etcd-peer", "etcd-server"]),
            Some("etcd-server")
        );
    }
}
