//! The framing of every raw transport: 4 bytes of length, little-endian, before the payload.

/// Bytes of the length in front of a payload.
pub(super) const PREFIX: usize = 4;

/// Adds a frame.
pub(super) fn put(out: &mut Vec<u8>, payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Bytes of the frame at the front, whether all of them are there or not; none before its length
/// is there.
pub(super) fn frame_len(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<PREFIX>()?;
    let len = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
    Some(len.saturating_add(PREFIX))
}

/// Bytes of the whole frames at the front.
pub(super) fn whole(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..)
        && let Some(frame) = frame_len(rest)
        && frame <= rest.len()
    {
        at += frame;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_are_counted_wherever_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"");
        put(&mut bytes, b"abc");
        for cut in 0..=bytes.len() {
            let expected = match cut {
                ..4 => 0,
                4..11 => 4,
                _ => 11,
            };
            assert_eq!(whole(&bytes[..cut]), expected, "cut at {cut}");
        }
        assert_eq!(frame_len(&bytes[..3]), None);
        assert_eq!(frame_len(&bytes[4..8]), Some(7));
    }
}
