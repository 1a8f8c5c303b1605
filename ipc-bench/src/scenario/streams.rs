//! Many messages in one direction or both, on streams that last as long as the measurement.

use std::time::Instant;

use bytes::Bytes;

use super::REST;
use crate::clock::now;
use crate::meter::{Caller, same};
use crate::transport::{Client, Failure};

/// Receives payloads until it is enough.
pub(super) async fn download<C: Client>(client: C, mut caller: Caller) {
    let payload = caller.request().len();
    let mut begun = caller.begin_now();
    while let Some(first) = begun {
        let mut last = first;
        let each = |data: &[u8]| {
            caller.end(last, now(), &whole(data, payload));
            begun = caller.begin_now();
            last = begun.unwrap_or(last);
            begun.is_some()
        };
        if let Err(failure) = client.download(payload, each).await {
            again(&mut caller, last, failure, &mut begun).await;
        }
    }
}

fn whole(data: &[u8], payload: usize) -> Result<usize, Failure> {
    if data.len() == payload {
        Ok(payload)
    } else {
        Err(Failure::new("DIFFERS", "MayHaveRun"))
    }
}

/// Counts a stream that broke, and begins the next after a rest.
async fn again(caller: &mut Caller, last: Instant, failure: Failure, begun: &mut Option<Instant>) {
    caller.end(last, now(), &Err(failure));
    tokio::time::sleep(REST).await;
    *begun = caller.begin_now();
}

/// Sends payloads until it is enough.
pub(super) async fn upload<C: Client>(client: C, mut caller: Caller) {
    let mut over = false;
    while !over {
        let mut sent = 0;
        let mut last: Option<(Instant, usize)> = None;
        let next = || {
            if let Some((begun, len)) = last {
                caller.end(begun, now(), &Ok(len));
            }
            let request = caller.request();
            let begun = caller.begin_now();
            last = begun.map(|begun| (begun, request.len()));
            over = begun.is_none();
            sent += last.map_or(0, |(_, len)| u64::try_from(len).unwrap_or(u64::MAX));
            begun.map(|_| request)
        };
        match client.upload(next).await {
            Ok(arrived) if arrived == sent => {}
            Ok(_) => caller.failed(&Failure::new("DIFFERS", "MayHaveRun")),
            Err(failure) => {
                caller.failed(&failure);
                tokio::time::sleep(REST).await;
                over = !caller.goes_on();
            }
        }
    }
}

/// Sends payloads and waits for the answer to each, until it is enough.
pub(super) async fn chat<C: Client>(client: C, mut caller: Caller) {
    let mut over = false;
    while !over {
        let mut last: Option<(Instant, Bytes)> = None;
        let step = |reply: Option<Bytes>| {
            let ended = now();
            if let (Some((begun, request)), Some(reply)) = (&last, reply) {
                caller.end(*begun, ended, &same(request, &reply));
            }
            let request = caller.request();
            let begun = caller.begin_now();
            over = begun.is_none();
            last = begun.map(|begun| (begun, request.clone()));
            begun.map(|_| request)
        };
        if let Err(failure) = client.chat(step).await {
            caller.failed(&failure);
            tokio::time::sleep(REST).await;
            over = !caller.goes_on();
        }
    }
}
