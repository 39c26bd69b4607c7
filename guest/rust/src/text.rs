//! The encoding of queries and forms.

use alloc::string::String;
use alloc::vec::Vec;

/// The value of `name` in `pairs`, which are "name=value&..." as in a query or a form;
/// decoded. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn find(pairs: &str, name: &str) -> Option<String> {
    pairs.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// `text` with its %XX and + decoded; a % without two digits behind it stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = if first == b'%' { hex(after) } else { None };
        bytes.push(match (escaped, first) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, other) => other,
        });
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that the two digits at the beginning of `text` mean.
fn hex(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| (*text.get(at)? as char).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_and_decoded() {
        let pairs = "a=1&name=Ada+Lovelace%21&b&na%6De=2";
        assert_eq!(find(pairs, "name").as_deref(), Some("Ada Lovelace!"));
        assert_eq!(find(pairs, "b").as_deref(), Some(""));
        assert_eq!(find(pairs, "c"), None);
    }

    #[test]
    fn half_an_escape_stays_as_it_is() {
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%4"), "%4");
        assert_eq!(decode("%zz%+1"), "%zz% 1");
        assert_eq!(decode("%+1"), "% 1");
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        assert_eq!(decode("%ff%C3%A9"), "\u{fffd}\u{e9}");
    }
}
