//! The seeds of the fuzz targets are the frozen vectors; `UPDATE_SEEDS=1` writes them again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::vectors::{self, CONVERSATIONS, FRAMES, PREFACE};

#[test]
fn the_seeds_of_the_fuzz_targets_are_the_vectors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for (target, seeds) in [
        ("decoder", decoder()),
        ("handshake", handshake()),
        ("engine", engine()),
    ] {
        let folder = root.join(target);
        if std::env::var_os("UPDATE_SEEDS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in &seeds {
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&folder).expect("fuzz/seeds; make it with UPDATE_SEEDS=1") {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            found.insert(name, fs::read(entry.path()).unwrap());
        }
        let names = |seeds: &BTreeMap<String, Vec<u8>>| seeds.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&found),
            names(&seeds),
            "{target}: run with UPDATE_SEEDS=1"
        );
        assert!(found == seeds, "{target} differs: run with UPDATE_SEEDS=1");
    }
}

type Seeds = BTreeMap<String, Vec<u8>>;

/// `ipc::fuzzing::decoder`: the limit and the split, then frames.
fn decoder() -> Seeds {
    let frame = |(name, hex): &(&str, &str)| {
        (
            name.to_string(),
            [vec![16, 3], vectors::bytes(hex)].concat(),
        )
    };
    FRAMES.iter().map(frame).collect()
}

/// `ipc::fuzzing::handshake`: the side and the split, then what the peer says.
fn handshake() -> Seeds {
    let lines = CONVERSATIONS
        .iter()
        .find(|(name, _)| *name == "handshake")
        .unwrap()
        .1;
    let bytes = |line: &str| vectors::bytes(&line[2..]);
    let preface = vectors::bytes(PREFACE);
    let frame = |name: &str| vectors::bytes(FRAMES.iter().find(|(n, _)| *n == name).unwrap().1);
    Seeds::from([
        (
            "accepting".into(),
            [vec![0, 3], bytes(lines[0]), bytes(lines[2])].concat(),
        ),
        ("connecting".into(), [vec![1, 3], bytes(lines[1])].concat()),
        (
            "turned-away".into(),
            [vec![1, 3], preface.clone(), frame("goaway-violation")].concat(),
        ),
        (
            "unknown-kind".into(),
            [vec![0, 3], preface, frame("unknown-kind"), frame("hello")].concat(),
        ),
    ])
}

/// `ipc::fuzzing::engine`: operations as `wire::model` reads them.
fn engine() -> Seeds {
    let mut seeds = Seeds::new();
    for (name, lines) in CONVERSATIONS
        .iter()
        .filter(|(name, _)| *name != "handshake")
    {
        let mut ops = Vec::new();
        for line in *lines {
            let bytes = vectors::bytes(&line[2..]);
            let side = if line.starts_with('>') { ACCEPTING } else { 0 };
            let len = u16::try_from(bytes.len()).unwrap().to_le_bytes();
            ops.extend([side | INJECT, len[0], len[1]]);
            ops.extend(bytes);
            ops.extend([side | DELIVER, 0xff, 0xff, side | PUMP, 9]);
        }
        seeds.insert(format!("hostile-{name}"), ops);
    }
    let pass = |from: u8| [from | PUMP, 9, (from ^ ACCEPTING) | DELIVER, 0xff, 0xff];
    let open = |flags: u8, size: u16| [OPEN, flags, size.to_le_bytes()[0], size.to_le_bytes()[1]];
    let send = |size: u16, end: u8| {
        let [low, high] = size.to_le_bytes();
        [ACCEPTING | SEND, 0, low, high, end]
    };
    let mut unary = Vec::new();
    for size in [2, 4_000] {
        unary.extend(open(0b101, size));
        unary.extend([pass(0), pass(ACCEPTING), pass(0)].concat());
        unary.extend(send(size, 1));
        unary.extend([pass(ACCEPTING), pass(0), pass(ACCEPTING)].concat());
    }
    let mut stream = Vec::from(open(0b101, 2));
    stream.extend(pass(0));
    for _ in 0..6 {
        stream.extend(send(400, 0));
        stream.extend(pass(ACCEPTING));
        stream.extend([CONSUME, 0]);
        stream.extend(pass(0));
    }
    stream.extend([CANCEL, 0]);
    let mut late = Vec::from(open(0b1101, 2));
    late.extend([ACCEPTING | PING, GO_AWAY, 0, ADVANCE, 0xff, 0xff]);
    seeds.extend([
        ("unary".into(), unary),
        ("stream".into(), stream),
        ("late".into(), late),
    ]);
    seeds
}

// The bytes of the operations: `Op::read` in ipc/src/wire/model.
const ACCEPTING: u8 = 0x80;
const OPEN: u8 = 0;
const SEND: u8 = 1;
const CANCEL: u8 = 4;
const CONSUME: u8 = 5;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const ADVANCE: u8 = 8;
const PUMP: u8 = 9;
const DELIVER: u8 = 10;
const INJECT: u8 = 11;
