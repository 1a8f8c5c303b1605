//! What the fuzz targets call; each panics where a promise is broken.

use std::time::Instant;

use crate::wire::model::{self, Op};

/// The split of a stream never changes its frames.
///
/// The first byte is the limit in units of 1024 bytes, the second the size of the pieces.
pub fn decoder(data: &[u8]) {
    if let [limit, piece, stream @ ..] = data {
        model::decode(u32::from(*limit) * 1_024, usize::from(*piece), stream);
    }
}

/// The split of a handshake never changes its end.
///
/// The first byte is the side, the second the size of the pieces.
pub fn handshake(data: &[u8]) {
    if let [side, piece, stream @ ..] = data {
        _ = model::shake(*side & 1 == 0, usize::from(*piece), stream);
    }
}

/// Two engines keep their promises, whatever happens between them.
#[expect(
    clippy::disallowed_methods,
    reason = "the base of a clock that is told"
)]
pub fn engine(data: &[u8]) {
    model::run(&Op::read_all(data), Instant::now());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_seeds_pass() {
        type Target = fn(&[u8]);
        let targets: [(&str, Target); 3] = [
            ("decoder", super::decoder),
            ("handshake", super::handshake),
            ("engine", super::engine),
        ];
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        for (name, target) in targets {
            let seeds = fs::read_dir(root.join(name)).unwrap();
            let paths = seeds.map(|entry| entry.unwrap().path());
            assert!(paths.map(|path| target(&fs::read(path).unwrap())).count() > 1);
        }
    }
}
