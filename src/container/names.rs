//! Many names in one allocation.

/// A list of names, one after another in one text.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: String,
    /// Where each ends in the text.
    ends: Vec<usize>,
}

/// Names of which nobody knows yet whether they are text.
#[derive(Debug, Default)]
pub(super) struct RawNames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RawNames {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    /// The names, if all are UTF-8.
    pub(super) fn check(self) -> Option<Names> {
        // All of it at once: where no character crosses an end, each name is text by itself.
        let text = String::from_utf8(self.bytes).ok()?;
        let ends = self.ends;
        let whole = ends.iter().all(|&end| text.is_char_boundary(end));
        whole.then_some(Names { text, ends })
    }
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, i: usize) -> Option<&str> {
        let start = match i.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..*self.ends.get(i)?)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        // Every one of them is there.
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_order() {
        let mut names = RawNames::default();
        let all = ["fc1/kernel", "", "ä", "", "fc1/kernel"];
        all.iter().for_each(|name| names.push(name.as_bytes()));
        assert_eq!(names.len(), all.len());
        let names = names.check().unwrap();
        assert_eq!(Names::default().get(0), None);
        assert!(names.iter().eq(all));
        assert_eq!(names.get(2), Some("ä"));
        assert_eq!(names.get(5), None);
    }

    #[test]
    fn each_name_is_text() {
        let check = |all: &[&[u8]]| {
            let mut names = RawNames::default();
            all.iter().for_each(|name| names.push(name));
            names.check().is_some()
        };
        assert!(check(&["ä".as_bytes(), b"b"]));
        assert!(!check(&[b"a", b"\xff", b"b"]));
        // Text together, but neither by itself.
        assert!(!check(&[b"\xc3", b"\xa4"]));
        assert!(!check(&[b"a", b"\xc3"]));
    }
}
