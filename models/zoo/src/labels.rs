//! Names of classes.

use std::{fs::File, io::Read, path::Path};

use burnsight_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Up to this many labels are listed in a message.
const LISTED: usize = 20;

/// The largest file that is taken for labels, in bytes.
const LARGEST: u64 = 16 << 20;

/// Below this similarity a suggestion would not be what was meant.
const SIMILAR: f64 = 0.7;

/// The names of a model's classes, by index. They need not be unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(Vec<String>);

impl Labels {
    /// Labels in the order of the model's outputs.
    pub fn new(labels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(labels.into_iter().map(Into::into).collect())
    }

    /// Labels from a file: one per line, or a JSON array of strings, in UTF-8.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the file cannot be read, is not UTF-8, or has an empty line before its end.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |problem: String| Error::parameter("labels", path.display(), &problem);
        let mut bytes = Vec::new();
        let file = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        file.map_err(|error| refuse(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > LARGEST {
            return Err(refuse(format!("has more than {LARGEST} bytes, too many for names of classes")));
        }
        let text = String::from_utf8(bytes).map_err(|error| refuse(format!("save it as UTF-8: {error}")))?;
        Self::parse(&text).map_err(refuse)
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
        if text.trim_start().starts_with('[') {
            let labels = serde_json::from_str(text);
            return labels.map_err(|error| format!("begins like JSON and is no array of strings: {error}"));
        }
        let label = |(index, line): (usize, &str)| match line.trim() {
            "" => Err(format!("line {} is empty: every line is the name of a class", index + 1)),
            label => Ok(label.to_string()),
        };
        text.lines().enumerate().map(label).collect::<std::result::Result<_, _>>().map(Self)
    }

    /// The 1000 classes of ImageNet, as torchvision names them.
    pub fn imagenet() -> Self {
        Self::new(include_str!("../labels/imagenet.txt").lines())
    }

    /// The name of a class, if it has one.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(String::as_str)
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All names, by index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The index of the class that `text` means: a whole number is an index, anything else a label.
    ///
    /// Capitals, spaces, dashes and underscores are ignored in labels: `Golden Retriever` is `golden-retriever`.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] if the index is out of range, no label matches (the nearest is suggested), or several do.
    pub fn find(&self, text: &str) -> Result<usize> {
        if is_number(text.trim()) {
            return text.trim().parse().ok().filter(|index| *index < self.len()).ok_or_else(|| {
                let range = match self.len() {
                    0 => "the model has no classes".into(),
                    1 => "the only class is 0".into(),
                    n => format!("classes are numbered 0 to {}", n - 1),
                };
                Error::target(text, range)
            });
        }

        let wanted = plain(text);
        let matches: Vec<usize> = (0..self.len()).filter(|index| plain(&self.0[*index]) == wanted).collect();
        match matches.as_slice() {
            [] => Err(Error::target(text, format!("there is no class of this name{}", self.advice(&wanted)))),
            [index] => Ok(*index),
            several => {
                let several: Vec<String> = several.iter().map(usize::to_string).collect();
                Err(Error::target(
                    text,
                    format!("{} classes have this name: give one of the indices {}", several.len(), several.join(", ")),
                ))
            }
        }
    }

    /// What to write instead of a name that does not exist.
    fn advice(&self, wanted: &str) -> String {
        let similarity = |label: &str| strsim::jaro_winkler(wanted, &plain(label));
        let nearest = self
            .iter()
            .map(|label| (similarity(label), label))
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .filter(|(similarity, _)| *similarity >= SIMILAR);
        let mut advice = match nearest {
            Some((_, label)) => format!("; did you mean `{label}`?"),
            None => String::new(),
        };
        if (1..=LISTED).contains(&self.len()) {
            advice += &format!("; there are: {}", self.0.join(", "));
        }
        advice
    }
}

/// What counts when labels are compared.
fn plain(label: &str) -> String {
    let ignored = |c: char| c.is_whitespace() || c == '-' || c == '_';
    label.chars().filter(|c| !ignored(*c)).flat_map(char::to_lowercase).collect()
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shapes() -> Labels {
        Labels::new(["disc", "square", "Golden Retriever", "crane", "crane"])
    }

    fn problem(text: &str) -> String {
        let error = shapes().find(text).unwrap_err();
        assert!(matches!(error, Error::Target { .. }), "{error}");
        error.to_string()
    }

    #[test]
    fn an_index_or_a_label_is_found() {
        for (text, index) in [("0", 0), (" 1 ", 1), ("square", 1), ("SQUARE", 1), ("Golden Retriever", 2)] {
            assert_eq!(shapes().find(text).unwrap(), index, "{text}");
        }
    }

    #[test]
    fn spaces_dashes_and_underscores_do_not_matter() {
        for text in ["golden retriever", "golden-retriever", "golden_retriever", "GoldenRetriever"] {
            assert_eq!(shapes().find(text).unwrap(), 2, "{text}");
        }
    }

    #[test]
    fn an_index_out_of_range_is_refused_with_the_range() {
        for text in ["5", "-1", "99999999999999999999999999"] {
            let problem = problem(text);
            assert!(problem.contains(text) && problem.contains("0 to 4"), "{problem}");
        }
        let problem = Labels::new(Vec::<String>::new()).find("0").unwrap_err().to_string();
        assert!(problem.contains("no classes"), "{problem}");
    }

    #[test]
    fn a_misspelt_label_gets_a_suggestion() {
        let problem = problem("sqare");
        assert!(problem.contains("sqare") && problem.contains("did you mean `square`?"), "{problem}");
    }

    #[test]
    fn few_labels_are_listed_and_many_are_not() {
        let problem = problem("zzz");
        assert!(problem.contains("disc, square") && !problem.contains("did you mean"), "{problem}");
        let many = Labels::new((0..1000).map(|i| format!("class {i}")));
        let problem = many.find("zzz").unwrap_err().to_string();
        assert!(problem.len() < 100, "{problem}");
    }

    #[test]
    fn a_shared_label_is_refused_with_its_indices() {
        let problem = problem("crane");
        assert!(problem.contains("3, 4"), "{problem}");
    }

    #[test]
    fn no_text_is_no_label() {
        for text in ["", " ", "-", "+"] {
            problem(text);
        }
    }

    #[test]
    fn files_are_lines_or_json() {
        let expected = Labels::new(["disc", "grün [1]", "a, b"]);
        let lines = "disc\ngrün [1]\na, b";
        for text in [
            lines.to_string(),
            format!("{lines}\n\n"),
            format!("\u{feff}{}\r\n", lines.replace('\n', "\r\n")),
            "[\"disc\", \"grün [1]\", \"a, b\"]".into(),
            "\u{feff}\r\n [\"disc\",\r\n\"gr\\u00fcn [1]\", \"a, b\"]\r\n".into(),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &text).unwrap();
            assert_eq!(Labels::read(file.path()).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn files_that_are_no_labels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.txt");
        let deep = [b"[".repeat(1_000_000), b"]".repeat(1_000_000)].concat();
        let utf_16: Vec<u8> = "a\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, problem) in [
            (&b"one\n\nthree"[..], "line 2 is empty"),
            (&[&[0xff, 0xfe], &utf_16[..]].concat(), "UTF-8"),
            (b"[1, 2]", "array of strings"),
            (b"[\"one\"", "array of strings"),
            (&deep, "array of strings"),
            (&vec![b'a'; LARGEST as usize + 1], "bytes"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = Labels::read(&path).unwrap_err().to_string();
            assert!(error.contains("labels.txt") && error.contains(problem), "{problem}: {error}");
        }
        assert!(Labels::read(folder.path()).is_err());
        assert!(Labels::read(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn imagenet_has_a_thousand_different_classes() {
        let labels = Labels::imagenet();
        assert_eq!(labels.len(), 1000);
        assert_eq!(labels.iter().collect::<std::collections::BTreeSet<_>>().len(), 1000);
        // From the list of ILSVRC 2012, where index and name are far from the ends.
        assert_eq!((labels.name(0), labels.name(574)), (Some("tench"), Some("golf ball")));
    }

    #[test]
    fn names_go_by_index() {
        assert_eq!(shapes().name(1), Some("square"));
        assert_eq!(shapes().name(5), None);
        assert_eq!(shapes().iter().len(), 5);
    }
}
