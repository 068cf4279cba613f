//! What else an edit would change, because an alias stands for it.

use serde_saphyr::granit_parser::{Event, Parser};

/// The line of the first alias that stands for the value which begins at this byte, or for what it is part of.
pub(super) fn used_again(text: &str, byte: usize) -> Option<usize> {
    if !text.contains('*') {
        return None;
    }
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut around: Vec<usize> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else {
            break;
        };
        let start = span.start.byte_offset().unwrap_or_default();
        let end = span.end.byte_offset().unwrap_or_default();
        match event {
            Event::Scalar(_, _, anchor, _) if anchor != 0 && (start..=end).contains(&byte) => {
                around.push(anchor);
            }
            Event::MappingStart(_, anchor, _) | Event::SequenceStart(_, anchor, _) => {
                open.push((anchor, start));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some((anchor, start)) = open.pop()
                    && anchor != 0
                    && (start..=end).contains(&byte)
                {
                    around.push(anchor);
                }
            }
            Event::Alias(anchor) if around.contains(&anchor) => return Some(span.start.line()),
            Event::DocumentEnd => break,
            _ => {}
        }
    }
    None
}
