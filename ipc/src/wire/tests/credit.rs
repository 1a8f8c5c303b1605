//! Credit: never overdrawn, never lost, never for free.

use super::*;

const SMALL: u32 = 1_024;

fn small() -> Rig {
    Rig::new(Side::Accepting, |ours, theirs| {
        ours.initial_credit = SMALL;
        theirs.initial_credit = SMALL;
    })
}

#[test]
fn a_sender_never_overdraws() {
    // CRD-1 CRD-3 CRD-5
    let mut rig = small();
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(2_000), false).unwrap();
    let sizes = |frames: Vec<Frame>| -> Vec<usize> {
        let size = |frame: &Frame| match frame {
            Frame::Message { payload, .. } => payload.len(),
            other => panic!("{other:?}"),
        };
        frames.iter().map(size).collect()
    };
    assert_eq!(sizes(rig.says()), [1_012]);
    assert!(rig.engine.is_blocked(key));
    rig.hear(credit(1, 12)).unwrap();
    assert!(
        sizes(rig.says()).is_empty(),
        "a header alone carries nothing"
    );
    rig.hear(credit(1, 600)).unwrap();
    assert_eq!(sizes(rig.says()), [600]);
    rig.hear(credit(1, 9_999)).unwrap();
    assert_eq!(sizes(rig.says()), [388]);
    assert!(!rig.engine.is_blocked(key));
}

#[test]
fn a_peer_that_overdraws_is_refused() {
    // CRD-2
    let mut rig = small();
    rig.called(call(1, false));
    rig.hear(message(1, Flags::NONE, 1_000)).unwrap();
    assert_eq!(
        rig.refuses(message(1, Flags::NONE, 1)),
        Violation::CreditOverrun
    );
    let mut rig = small();
    rig.called(call(1, false));
    assert_eq!(
        rig.refuses(message(1, Flags::NONE, 1_013)),
        Violation::CreditOverrun
    );
}

#[test]
fn empty_messages_are_not_free() {
    // CRD-2
    let mut rig = small();
    rig.called(call(1, false));
    let empty = message(1, Flags::NONE, 0);
    rig.hear(empty.repeat(85)).unwrap();
    assert_eq!(rig.refuses(empty), Violation::CreditOverrun);
}

#[test]
fn credit_of_zero_or_beyond_the_count_is_refused() {
    // CRD-4
    for bytes in [0, u32::MAX, u32::MAX - SMALL + 1] {
        let mut rig = small();
        rig.called(call(1, true));
        assert_eq!(
            rig.refuses(credit(1, bytes)),
            Violation::BadCredit,
            "{bytes}"
        );
    }
    let mut rig = small();
    rig.called(call(1, true));
    assert!(rig.hear(credit(1, u32::MAX - SMALL)).is_ok());
}

#[test]
fn a_read_message_gives_its_credit_back() {
    // CRD-7 CRD-8
    let mut rig = small();
    let key = rig.called(call(1, false));
    rig.hear(message(1, Flags::NONE, 400)).unwrap();
    rig.hear(message(1, Flags::NONE, 400)).unwrap();
    assert!(rig.says().is_empty(), "nothing was read");
    rig.engine.consumed(key, 412).unwrap();
    assert!(rig.says().is_empty(), "412 is less than half");
    rig.engine.consumed(key, 412).unwrap();
    assert_eq!(names(&rig.says()), ["credit 1 824"]);
}

#[test]
fn a_message_larger_than_the_credit_completes_unread() {
    // CRD-6 CHK-2
    let mut rig = small();
    let key = rig.called(call(1, false));
    for _ in 0..20 {
        assert!(rig.hear(message(1, Flags::MORE, 1_012)).unwrap().is_empty());
        assert_eq!(names(&rig.says()), ["credit 1 1024"]);
    }
    let events = rig.hear(message(1, Flags::NONE, 12)).unwrap();
    let [Event::Message { whole, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(whole.bytes.len(), 20 * 1_012 + 12);
    assert!(rig.says().is_empty(), "what is complete is held");
    rig.engine.consumed(key, whole.cost).unwrap();
    assert!(
        rig.says().is_empty(),
        "all but 24 are with the sender already"
    );
    rig.hear(message(1, Flags::NONE, 988)).unwrap();
    rig.engine.consumed(key, 1_000).unwrap();
    assert_eq!(names(&rig.says()), ["credit 1 1024"]);
}

#[test]
fn an_unread_stream_does_not_stop_another() {
    // CRD-9
    let mut rig = small();
    rig.called([call(1, false), call(3, false)].concat());
    rig.hear(message(1, Flags::NONE, 1_012)).unwrap();
    assert_eq!(rig.hear(message(3, Flags::NONE, 1_012)).unwrap().len(), 1);
    // The same for sending: call 1 has no credit left, call 3 goes on.
    let mut rig = small();
    let one = rig.called(call(1, true));
    let three = rig.called(call(3, true));
    rig.engine.send(one, body_of(5_000), false).unwrap();
    rig.says();
    rig.engine.send(three, body_of(100), true).unwrap();
    assert_eq!(names(&rig.says()), ["message 3 end"]);
}

#[test]
fn a_released_call_still_takes_credit() {
    // CRD-3
    let mut rig = small();
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(1_013), true).unwrap();
    rig.engine.release(key);
    assert_eq!(names(&rig.says()), ["message 1 more"]);
    rig.hear(credit(1, 1_024)).unwrap();
    assert_eq!(names(&rig.says()), ["message 1 end"]);
    assert_eq!(rig.engine.calls.iter().count(), 0);
}

#[test]
fn a_peer_that_does_not_read_its_answers_is_refused() {
    // FLD-1
    let ping = raw(Kind::Ping, 0, Flags::NONE, &[9, 1, 2, 3, 4, 5, 6, 7, 8]);
    let mut rig = Rig::accepting();
    let fits = 65_536 / ping.len();
    rig.hear(ping.repeat(fits)).unwrap();
    assert_eq!(rig.refuses(&ping), Violation::Flood);
    let mut rig = Rig::accepting();
    for _ in 0..10 {
        rig.hear(ping.repeat(fits)).unwrap();
        rig.says();
    }
}

#[test]
fn many_unfinished_large_messages_grow_in_turns_and_all_complete() {
    // CRD-6 CRD-8
    let mut rig = Rig::new(Side::Accepting, |ours, theirs| {
        ours.initial_credit = SMALL;
        ours.max_assembling = 2;
        theirs.initial_credit = SMALL;
    });
    let ids = [1, 3, 5, 7, 9];
    for id in ids {
        rig.called(call(id, false));
        rig.hear(message(id, Flags::MORE, 800)).unwrap();
    }
    let mut granted = Vec::new();
    while let Some(id) = rig.credited().first().copied() {
        granted.push(id);
        rig.hear(message(id, Flags::END, 800)).unwrap();
    }
    granted.sort_unstable();
    assert_eq!(granted, ids, "each gets its turn, none twice");
}

impl Rig {
    /// The calls that were given credit since the last look, at most two at once here.
    fn credited(&mut self) -> Vec<u32> {
        let frames = self.says();
        let id = |frame: &Frame| match frame {
            Frame::Credit(id, _) => id.get(),
            other => panic!("{other:?}"),
        };
        let mut ids = std::mem::take(&mut self.credited);
        ids.extend(frames.iter().map(id));
        assert!(ids.len() <= 2, "{ids:?}");
        self.credited = ids.split_off(ids.len().min(1));
        ids
    }
}
