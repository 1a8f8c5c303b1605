//! What each side takes, and what happens above it.

use super::super::call::Role;
use super::super::commands::{OpenError, SendError};
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
fn an_oversized_header_is_refused_before_its_payload() {
    // HDR-2 HDR-3
    let mut rig = Rig::accepting();
    let header = Header::new(Kind::Message, 1, Flags::NONE, 65_537);
    let violation = rig.refuses(header.to_bytes());
    assert_eq!(
        violation,
        Violation::FrameTooLarge {
            len: 65_537,
            limit: 65_536
        }
    );
    let mut rig = Rig::accepting();
    rig.hear(Header::new(Kind::Message, 1, Flags::NONE, 65_536).to_bytes())
        .unwrap();
    assert!(
        rig.input.capacity() < 1_024,
        "nothing is reserved for a claim"
    );
}

#[test]
fn a_message_above_the_limit_is_refused_at_the_chunk_that_passes_it() {
    // LIM-3
    let limit = Violation::MessageTooLarge { limit: 2_000 };
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_message = 2_000);
    rig.called(call(1, false));
    rig.hear(message(1, Flags::MORE, 1_500)).unwrap();
    assert_eq!(rig.refuses(message(1, Flags::MORE, 501)), limit);
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_message = 2_000);
    let head = CallHead {
        body: Some(vec![0; 2_001].into()),
        ..CallHead::default()
    };
    let inline = raw(Kind::Call, 1, Flags::END, &head.encode_to_vec());
    assert_eq!(rig.refuses(inline), limit);
}

#[test]
fn a_sender_keeps_to_the_limits_of_the_peer() {
    // LIM-2 LIM-4
    let mut rig = Rig::new(Side::Connecting, |_, theirs| {
        (theirs.max_message, theirs.max_calls, theirs.max_metadata) = (2_000, 1, 42);
    });
    let too_large = rig.engine.open(open(Some(2_001), true));
    assert_eq!(too_large, Err(OpenError::TooLarge { limit: 2_000 }));
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
    let key = rig.open(Some(2_000), false);
    assert_eq!(
        rig.engine.send(key, body_of(2_001), true),
        Err(SendError::TooLarge { limit: 2_000 })
    );
    assert_eq!(rig.engine.open(open(None, true)), Err(OpenError::TooMany));
    rig.hear(end(1, 0)).unwrap();
    rig.open(None, true);
}

#[test]
fn one_way_calls_are_over_when_they_are_sent() {
    // SHP-9 LIM-4
    let mut rig = Rig::new(Side::Connecting, |_, theirs| theirs.max_calls = 1);
    for size in [3, 3, 100_000] {
        let key = rig
            .engine
            .open(Open {
                one_way: true,
                ..open(Some(size), true)
            })
            .unwrap();
        rig.says();
        assert!(rig.engine.is_done(key), "{size}");
        rig.engine.release(key);
    }
    assert_eq!(rig.engine.calls.iter().count(), 0);
    assert!(rig.hear(end(1, 8)).unwrap().is_empty(), "a late refusal");
}

#[test]
fn calls_above_the_limit_are_refused_unseen() {
    // REF-1 STA-2
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 1);
    rig.called(call(1, false));
    assert!(rig.hear(call(3, false)).unwrap().is_empty());
    assert_eq!(names(&rig.says()), ["end 3 8 unseen"]);
    let late = [
        message(3, Flags::NONE, 9),
        credit(3, 9),
        end(3, 0),
        cancel(3),
    ];
    assert!(rig.hear(late.concat()).unwrap().is_empty());
}

#[test]
fn a_refused_one_way_call_is_dropped_without_an_answer() {
    // REF-6
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 0);
    let flags = Flags::END.with(Flags::ONE_WAY, true);
    assert!(rig.hear(raw(Kind::Call, 1, flags, &[])).unwrap().is_empty());
    assert!(rig.says().is_empty());
    // One that would go on is told to stop.
    rig.hear(raw(Kind::Call, 3, Flags::ONE_WAY, &[])).unwrap();
    assert_eq!(names(&rig.says()), ["end 3 8 unseen"]);
}

#[test]
fn answers_that_nobody_reads_count_as_open_calls() {
    // REF-5
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 2);
    let answered = rig.called(call(1, true));
    rig.engine.send(answered, body_of(10), true).unwrap();
    let cancelled = rig.called(call(3, true));
    rig.engine.send(cancelled, body_of(10), false).unwrap();
    rig.hear(cancel(3)).unwrap();
    assert_eq!(rig.engine.open_calls(Role::Callee), 0);
    rig.hear(call(5, true)).unwrap();
    assert_eq!(
        names(&rig.says()),
        ["end 5 8 unseen", "message 1 end", "message 3"]
    );
    rig.called(call(7, true));
}

#[test]
fn a_last_chunk_that_was_handed_over_counts_no_more() {
    // REF-5
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 1);
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(100_000), true).unwrap();
    assert_eq!(names(&rig.writes()), ["message 1 more"]);
    assert_eq!(names(&rig.writes()), ["message 1 end"]);
    assert!(
        rig.engine.is_flushed(),
        "nothing is left that would be written"
    );
    rig.called(call(3, true));
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
