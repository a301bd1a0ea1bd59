//! Numbers and names as people read them.

use std::borrow::Cow;

/// A whole number with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` in percent; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    };
    format!("{:.2}%", 100.0 * share)
}

/// Lower-case hexadecimal, as hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text from a file or the command line, without what could move a terminal's cursor.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        let escape = |c: char| match c.is_control() {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        };
        text.chars().map(escape).collect()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(1_067_889), "1,067,889");
    }

    #[test]
    fn shares_of_nothing_are_nothing() {
        assert_eq!(percent(77_742, 1_067_889), "7.28%");
        assert_eq!(percent(0, 0), "0.00%");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("fc1/kernel"), "fc1/kernel");
        assert_eq!(printable("a\u{1b}[2J\n'é'"), "a\\u{1b}[2J\\n'é'");
    }
}
