//! Metadata, of calls and of answers.

use super::super::commands::OpenError;
use super::super::messages::{Entry, MetadataError};
use super::*;

fn entry(key: &str, size: usize) -> Entry {
    Entry {
        key: key.into(),
        value: vec![0; size].into(),
    }
}

fn too_much(limit: u32) -> OpenError {
    MetadataError::TooLarge { limit }.into()
}

fn call_with(id: u32, metadata: Vec<Entry>) -> Vec<u8> {
    let head = CallHead {
        metadata,
        ..CallHead::default()
    };
    raw(Kind::Call, id, Flags::END, &head.encode_to_vec())
}

fn answer_with(metadata: Vec<Entry>) -> Vec<u8> {
    let end = End {
        metadata,
        ..End::default()
    };
    raw(Kind::End, 1, Flags::NONE, &end.encode_to_vec())
}

#[test]
fn a_caller_keeps_to_what_the_peer_takes() {
    // MET-1 LIM-6
    let mut rig = Rig::new(Side::Connecting, |_, theirs| theirs.max_metadata = 42);
    for (metadata, error) in [
        (entry("key", 8), too_much(42)),
        (entry("Bad", 1), MetadataError::Key.into()),
    ] {
        let head = CallHead {
            metadata: vec![metadata],
            ..CallHead::default()
        };
        let refused = rig.engine.open(Open {
            head,
            ..open(None, true)
        });
        assert_eq!(refused, Err(error));
    }
    assert!(
        rig.says().is_empty(),
        "a refused call takes no id and writes nothing"
    );
}

#[test]
fn bad_metadata_costs_the_call() {
    // REF-3 MET-1 MET-2 MET-4
    let mut rig = Rig::accepting();
    rig.hear(call_with(1, vec![entry("a", 8_192)])).unwrap();
    assert_eq!(names(&rig.says()), ["end 1 8 unseen"]);
    let long = "k".repeat(129);
    for (call, key) in (3..)
        .step_by(2)
        .zip(["", "Upper", "sp ace", "\u{fc}", &long])
    {
        rig.hear(call_with(call, vec![entry(key, 1)])).unwrap();
        assert_eq!(
            names(&rig.says()),
            [format!("end {call} 13 unseen")],
            "{key}"
        );
    }
    let kept = vec![entry("b-2", 1), entry("a.z_9", 2), entry("b-2", 0)];
    let events = rig.hear(call_with(101, kept.clone())).unwrap();
    let [Event::Call { head, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(head.metadata, kept);
}

#[test]
fn an_entry_of_metadata_costs_32_beyond_its_bytes() {
    // LIM-6
    let entries = |count| vec![entry("k", 0); count];
    // 248 times 33 is 8184.
    for (count, fits) in [(248, true), (249, false), (8_192, false)] {
        let mut rig = Rig::accepting();
        let events = rig.hear(call_with(1, entries(count))).unwrap();
        assert_eq!(events.len(), usize::from(fits), "{count} in CALL");
        let mut rig = Rig::connecting();
        let head = CallHead {
            metadata: entries(count),
            ..CallHead::default()
        };
        let opened = rig.engine.open(Open {
            head,
            ..open(None, true)
        });
        assert_eq!(opened.is_ok(), fits, "{count} from a caller");
        let mut rig = Rig::connecting();
        rig.open(None, true);
        let events = rig.hear(answer_with(entries(count))).unwrap();
        let [Event::End { end, .. }] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(end.code == 0, fits, "{count} in END");
        let mut rig = Rig::accepting();
        let key = rig.called(call(1, true));
        let success = End {
            metadata: entries(count),
            ..End::default()
        };
        rig.engine.end(key, &success);
        let told = if fits { "end 1 0" } else { "end 1 8" };
        assert_eq!(names(&rig.says()), [told], "{count} from a called side");
    }
}

#[test]
fn bad_metadata_in_an_answer_fails_the_call() {
    // MET-3
    for (metadata, code) in [
        (entry("Bad", 1), 13),
        (entry("key", 9_000), 8),
        (entry("ok", 1), 0),
    ] {
        let mut rig = Rig::connecting();
        rig.open(None, true);
        let events = rig.hear(answer_with(vec![metadata])).unwrap();
        let [Event::End { end, .. }] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(end.code, code);
    }
}

#[test]
fn a_key_that_is_not_allowed_does_not_leave_with_an_answer() {
    // MET-1 MET-5
    let with = |key: &str, code| End {
        message: "text".into(),
        metadata: vec![entry("good", 1), entry(key, 1)],
        ..status(code)
    };
    let without = End {
        message: "text".into(),
        ..status(9)
    };
    let (longest, long) = ("k".repeat(128), "k".repeat(129));
    let mut rig = Rig::accepting();
    let mut id = 1;
    let mut told = |end: &End| {
        let key = rig.called(call(id, true));
        rig.engine.end(key, end);
        id += 2;
        match rig.says().remove(0) {
            Frame::End(_, end) => end,
            other => panic!("{other:?}"),
        }
    };
    for key in ["", "Upper", "sp ace", "\u{fc}", &long] {
        let success = told(&with(key, 0));
        assert_eq!((success.code, success.unseen), (13, false), "{key}");
        assert!(success.metadata.is_empty(), "{key}");
        assert_eq!(told(&with(key, 9)), without, "{key}");
    }
    for code in [0, 9] {
        assert_eq!(told(&with(&longest, code)), with(&longest, code));
    }
}

#[test]
fn a_status_that_does_not_fit_is_cut() {
    // COD-3 COD-4 HDR-1
    let mut rig = Rig::new(Side::Accepting, |_, theirs| {
        (theirs.max_frame, theirs.max_metadata) = (1_024, 40);
    });
    let mut ended = |id, end: End| {
        let key = rig.called(call(id, true));
        rig.engine.end(key, &end);
        match rig.says().remove(0) {
            Frame::End(_, end) => end,
            other => panic!("{other:?}"),
        }
    };
    let text = "\u{fc}".repeat(600);
    let long = ended(
        1,
        End {
            message: text.clone(),
            details: vec![1; 9].into(),
            ..status(5)
        },
    );
    assert_eq!(long.code, 5);
    assert!(long.message.len() > 500 && text.starts_with(&long.message));
    assert!(long.details.is_empty());
    let metadata = vec![entry("key", 20)];
    assert_eq!(
        ended(
            3,
            End {
                metadata: metadata.clone(),
                ..status(7)
            }
        ),
        status(7)
    );
    assert_eq!(
        ended(
            5,
            End {
                metadata,
                ..status(0)
            }
        )
        .code,
        8
    );
    let whole = End {
        metadata: vec![entry("key", 2)],
        ..status(7)
    };
    assert_eq!(ended(7, whole.clone()), whole);
    rig.engine.go_away(67, &text);
    assert_eq!(names(&rig.says()), ["goaway 67 7"]);
}
