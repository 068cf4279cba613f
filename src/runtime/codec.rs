//! Messages on the wire, bounded before they are unpacked: two bytes can be an entry that takes two hundred in memory.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

/// The longest answer; bytes. A node's own pods take a few hundred KiB.
pub(super) const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;

/// The most fields of an answer itself, each of which may be a sandbox or a container.
const ENTRY_LIMIT: usize = 10_000;

/// prost's messages, with answers that are counted first.
#[derive(Debug)]
pub(super) struct Bounded<Q, A>(PhantomData<(Q, A)>);

impl<Q, A> Default for Bounded<Q, A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Q, A> Codec for Bounded<Q, A>
where
    Q: Message + Send + 'static,
    A: Message + Default + Send + 'static,
{
    type Encode = Q;
    type Decode = A;
    type Encoder = ProstEncoder<Q>;
    type Decoder = Counted<A>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Q, A>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Counted(PhantomData)
    }
}

/// Counts, then unpacks.
#[derive(Debug)]
pub(super) struct Counted<A>(PhantomData<A>);

impl<A: Message + Default> Decoder for Counted<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        let bytes = source.copy_to_bytes(source.remaining());
        if entries(&bytes) > ENTRY_LIMIT {
            return Err(Status::out_of_range(format!(
                "the answer has more than {ENTRY_LIMIT} entries"
            )));
        }
        A::decode(bytes)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

/// How many fields a message has, of those before the first that makes no sense; prost complains about that one.
fn entries(mut rest: &[u8]) -> usize {
    let mut count = 0;
    while let Some(after) = behind_field(rest) {
        rest = after;
        count += 1;
    }
    count
}

/// What follows the first field.
fn behind_field(field: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = varint(field)?;
    let length = match tag & 7 {
        0 => return varint(rest).map(|(_, rest)| rest),
        1 => 8,
        2 => {
            let (length, rest) = varint(rest)?;
            return rest.get(usize::try_from(length).ok()?..);
        }
        5 => 4,
        // The beginning or the end of a group: a field of its own as far as counting goes.
        3 | 4 => 0,
        _ => return None,
    };
    rest.get(length..)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::runtime::messages::{ListPodSandboxResponse, PodSandbox, VersionResponse};

    #[test]
    fn every_field_of_an_answer_counts_and_nonsense_ends_the_count() {
        let version = VersionResponse {
            runtime_name: "containerd".to_owned(),
            runtime_version: "2.1".to_owned(),
        };
        assert_eq!(entries(&version.encode_to_vec()), 2);
        let items = vec![
            PodSandbox {
                id: "a".repeat(300),
                state: 1,
                annotations: HashMap::from([("a".to_owned(), "b".to_owned())]),
                ..PodSandbox::default()
            };
            7
        ];
        let bytes = ListPodSandboxResponse { items }.encode_to_vec();
        assert_eq!(entries(&bytes), 7);
        assert_eq!(entries(&bytes[..bytes.len() - 1]), 6);
        // One byte for the field, one for its length, and nothing in it.
        assert_eq!(entries(&[0x0a, 0].repeat(20_000)), 20_000);
        // Groups, a varint without an end, a length beyond the message.
        assert_eq!(entries(&[0x0b, 0x0c]), 2);
        assert_eq!(entries(&[0x80; 40]), 0);
        assert_eq!(entries(&[0x0a, 0x05, 1]), 0);
    }
}
