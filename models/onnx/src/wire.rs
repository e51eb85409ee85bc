//! A look at a file before it is parsed: how much memory would its messages take?
//!
//! An empty message takes two bytes in the file and hundreds in memory, so that a small file could fill any memory. Tensors
//! are not concerned: they are about as large in memory as in the file.

use burnsight_core::{Error, Result};

/// The largest classifiers have some hundred thousand fields.
const MOST_FIELDS: usize = 2_000_000;

/// Messages that hold messages, by their names in the ONNX standard.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TypeTensor,
    Shape,
    Function,
    Training,
}

impl Message {
    /// The message that a field holds.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::ValueInfo,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::ValueInfo, 2) | (Self::Attribute, 14 | 15) => Self::Type,
            (Self::Type, 1 | 8) => Self::TypeTensor,
            (Self::TypeTensor, 2) => Self::Shape,
            _ => return None,
        })
    }
}

/// Refuses files whose messages would take far more memory than their bytes.
pub fn check(name: &str, bytes: &[u8]) -> Result<()> {
    let mut fields = 0;
    let mut waiting = vec![(Message::Model, bytes)];
    while let Some((message, mut rest)) = waiting.pop() {
        while let Some(Field { number, held, behind }) = field(rest) {
            rest = behind;
            fields += 1;
            if fields > MOST_FIELDS {
                return Err(Error::model(
                    name,
                    format!("it has more than {MOST_FIELDS} fields: no classifier has so many"),
                ));
            }
            if let (Some(held), Some(inner)) = (held, message.field(number)) {
                waiting.push((inner, held));
            }
        }
    }
    Ok(())
}

/// One field of a message.
struct Field<'b> {
    number: u64,
    /// What may be a message itself.
    held: Option<&'b [u8]>,
    behind: &'b [u8],
}

/// The next field. What is malformed ends the walk: the parser will say so.
fn field(bytes: &[u8]) -> Option<Field<'_>> {
    let (tag, rest) = varint(bytes)?;
    let number = tag >> 3;
    let (held, behind) = match tag & 7 {
        0 => (None, varint(rest)?.1),
        1 => (None, rest.get(8..)?),
        2 => {
            let (length, rest) = varint(rest)?;
            let (held, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            (Some(held), behind)
        }
        // Groups are long deprecated: their fields are counted as if they stood outside.
        3 | 4 => (None, rest),
        5 => (None, rest.get(4..)?),
        _ => return None,
    };
    Some(Field { number, held, behind })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index).min(63);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}
