//! Whole conversations between two engines, byte for byte.

use bytes::BytesMut;
use ipc::Limits;
use ipc::wire::messages::{CallHead, End};
use ipc::wire::{Engine, Event, Open, Side, Violation};

use super::pair::{
    PIECES, Pair, body, conversation, established, head, limits, only_call, open, texts,
};

const SUBMIT: u32 = 0x207e_3d5e;
const WATCH: u32 = 0xca92_1e0d;

#[test]
fn unary_calls_are_the_published_ones() {
    for piece in PIECES {
        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let timed = CallHead {
            time_left: Some(2_000_000),
            ..head(SUBMIT)
        };
        let key = pair
            .connecting
            .open(open(timed, Some(b"hi"), true))
            .unwrap();
        let call = only_call(&pair.pass('>'));
        pair.accepting.send(call, body(b"ok"), true).unwrap();
        assert_eq!(texts(pair.pass('<')), ["message ok end"]);
        assert!(pair.connecting.is_done(key));
        assert_eq!(pair.said, conversation("unary"));

        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let call = pair.call(open(head(SUBMIT), Some(b"hi"), true));
        let status = End {
            code: 5,
            message: "no such job".into(),
            ..End::default()
        };
        pair.accepting.end(call, &status);
        assert_eq!(texts(pair.pass('<')), ["end 5 no such job"]);
        assert_eq!(pair.said, conversation("failed-unary"));
    }
}

#[test]
fn a_server_stream_with_credit_is_the_published_one() {
    // CRD-1 CRD-5 CRD-6 CRD-8 CHK-1 CHK-2
    for piece in PIECES {
        let mut pair = Pair::new(
            piece,
            limits(|l| l.initial_credit = 1_024),
            Limits::default(),
        );
        let call = pair.call(open(head(WATCH), Some(b""), true));
        for letter in [b"a", b"b", b"c"] {
            pair.accepting
                .send(call, body(&letter.repeat(400)), false)
                .unwrap();
        }
        pair.accepting.end(call, &End::default());
        let got = pair.pass('<');
        let [Event::Message { key, whole, .. }, Event::Message { .. }] = &got[..] else {
            panic!("{got:?}");
        };
        pair.connecting.consumed(*key, whole.cost).unwrap();
        assert!(pair.pass('>').is_empty());
        assert_eq!(
            texts(pair.pass('<')),
            [&format!("message {}", "c".repeat(400)), "end 0 "]
        );
        assert_eq!(pair.said, conversation("server-stream"));
    }
}

#[test]
fn streams_from_the_caller_are_the_published_ones() {
    for piece in PIECES {
        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let key = pair
            .connecting
            .open(open(head(SUBMIT), None, false))
            .unwrap();
        pair.connecting.send(key, body(b"a"), false).unwrap();
        pair.connecting.send(key, body(b"b"), false).unwrap();
        // The caller's END has no payload (SHP-2).
        pair.connecting.end(
            key,
            &End {
                code: 3,
                ..End::default()
            },
        );
        let mut events = pair.pass('>');
        let call = only_call(&[events.remove(0)]);
        assert_eq!(texts(events), ["message a", "message b", "end 0 "]);
        pair.accepting.send(call, body(b"ab"), true).unwrap();
        assert_eq!(texts(pair.pass('<')), ["message ab end"]);
        assert_eq!(pair.said, conversation("client-stream"));

        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let key = pair
            .connecting
            .open(open(head(SUBMIT), Some(b"a"), false))
            .unwrap();
        let call = only_call(&pair.pass('>'));
        pair.accepting.send(call, body(b"A"), false).unwrap();
        pair.pass('<');
        pair.connecting.send(key, body(b"b"), true).unwrap();
        assert_eq!(texts(pair.pass('>')), ["message b end"]);
        pair.accepting.send(call, body(b"B"), false).unwrap();
        pair.accepting.end(call, &End::default());
        assert_eq!(texts(pair.pass('<')), ["message B", "end 0 "]);
        assert_eq!(pair.said, conversation("bidirectional"));
    }
}

#[test]
fn calls_back_and_one_way_calls_are_the_published_ones() {
    for piece in PIECES {
        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        pair.accepting
            .open(open(head(SUBMIT), Some(b"hi"), true))
            .unwrap();
        let call = only_call(&pair.pass('<'));
        pair.connecting.send(call, body(b"ok"), true).unwrap();
        assert_eq!(texts(pair.pass('>')), ["message ok end"]);
        assert_eq!(pair.said, conversation("call-back"));

        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let one_way = Open {
            one_way: true,
            ..open(head(WATCH), Some(b"x"), true)
        };
        let call = pair.call(one_way);
        pair.accepting.end(call, &End::default());
        assert!(pair.pass('<').is_empty());
        assert_eq!(pair.said, conversation("one-way"));
    }
}

#[test]
fn chunks_are_the_published_ones() {
    // HDR-1 CHK-1 CHK-2
    for piece in PIECES {
        let mut pair = Pair::new(piece, Limits::default(), limits(|l| l.max_frame = 1_024));
        let large = vec![b'z'; 2_500];
        pair.connecting
            .open(open(head(SUBMIT), Some(&large), true))
            .unwrap();
        let mut events = pair.pass('>');
        let call = only_call(&[events.remove(0)]);
        assert_eq!(
            texts(events),
            [format!("message {} end", "z".repeat(2_500))]
        );
        pair.accepting.send(call, body(b""), true).unwrap();
        assert_eq!(texts(pair.pass('<')), ["message  end"]);
        assert_eq!(pair.said, conversation("chunks"));
    }
}

#[test]
fn refusal_and_cancel_are_the_published_ones() {
    // REF-1 CAN-1 CAN-2 STA-2
    for piece in PIECES {
        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let one = limits(|l| l.max_calls = 1);
        pair.accepting = Engine::new(Side::Accepting, &one, &established(&one));
        pair.connecting
            .open(open(head(SUBMIT), None, false))
            .unwrap();
        pair.connecting
            .open(open(head(SUBMIT), Some(b"hi"), true))
            .unwrap();
        only_call(&pair.pass('>'));
        assert_eq!(texts(pair.pass('<')), ["end 8 too many open calls unseen"]);
        assert_eq!(pair.said, conversation("refusal"));

        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let key = pair
            .connecting
            .open(open(head(WATCH), Some(b""), true))
            .unwrap();
        let call = only_call(&pair.pass('>'));
        pair.accepting.send(call, body(b"1"), false).unwrap();
        assert_eq!(texts(pair.pass('<')), ["message 1"]);
        pair.connecting.cancel(key, 1);
        let cancel = pair.say('>');
        pair.accepting.send(call, body(b"2"), false).unwrap();
        assert!(pair.pass('<').is_empty());
        assert_eq!(texts(pair.hear('>', &cancel)), ["cancelled"]);
        assert_eq!(pair.said, conversation("cancel"));
    }
}

#[test]
fn going_away_ping_and_the_rest_are_the_published_ones() {
    // GOA-1 GOA-2 KND-1 KND-5
    for piece in PIECES {
        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let call = pair.call(open(head(SUBMIT), Some(b"hi"), true));
        pair.accepting.go_away(0, "restart");
        let away = pair.say('<');
        pair.connecting
            .open(open(head(SUBMIT), Some(b"hi"), true))
            .unwrap();
        assert!(pair.pass('>').is_empty());
        assert_eq!(texts(pair.hear('<', &away)), ["goaway 0 1"]);
        pair.accepting.send(call, body(b"ok"), true).unwrap();
        assert_eq!(texts(pair.pass('<')), ["message ok end"]);
        assert_eq!(pair.said, conversation("goaway"));

        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        pair.connecting.ping(7);
        pair.pass('>');
        assert_eq!(texts(pair.pass('<')), ["pong 7"]);
        assert_eq!(pair.said, conversation("ping"));

        let mut pair = Pair::new(piece, Limits::default(), Limits::default());
        let first = conversation("unknown-kind").remove(0).1;
        let call = only_call(&pair.hear('>', &first));
        pair.accepting.send(call, body(b"ok"), true).unwrap();
        pair.say('<');
        assert_eq!(pair.said, conversation("unknown-kind")[1..]);
    }
    let mut pair = Pair::new(usize::MAX, Limits::default(), Limits::default());
    let mut twice = BytesMut::from(&conversation("violation").remove(0).1[..]);
    assert!(matches!(
        pair.accepting.handle_input(&mut twice, pair.now),
        Ok(Some(_))
    ));
    let violation = pair
        .accepting
        .handle_input(&mut twice, pair.now)
        .unwrap_err();
    assert_eq!(violation, Violation::CallReused);
    pair.accepting
        .go_away(violation.code(), &violation.to_string());
    pair.say('<');
    assert_eq!(pair.said, conversation("violation")[1..]);
}
