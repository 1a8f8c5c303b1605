//! A message whose type is not known when this program is compiled.

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

/// The bytes of a message, sent and received as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encoded(pub(crate) Bytes);

impl Message for Encoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn merge(&mut self, mut buf: impl Buf) -> Result<(), DecodeError> {
        self.0 = buf.copy_to_bytes(buf.remaining());
        Ok(())
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, ctx)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_through_unread() {
        // Neither a tag nor a length that a message could have.
        let bytes = Bytes::from_static(b"\xff\xff\xff");
        let sent = Encoded(bytes.clone()).encode_to_vec();
        assert_eq!(sent, bytes);
        assert_eq!(Encoded::decode(bytes.clone()).unwrap(), Encoded(bytes));
    }
}
