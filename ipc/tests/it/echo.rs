//! A service with every shape, written by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ipc::{Access, Call, Handling, Incoming, Method, Receiver, Sender, Service, Shape, Status};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The message of every test method.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Text {
    /// What is echoed, or asked for.
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    /// How often, how many, how large.
    #[prost(uint32, tag = "2")]
    pub(crate) count: u32,
}

pub(crate) fn text(text: &str) -> Text {
    Text {
        text: text.into(),
        count: 0,
    }
}

pub(crate) fn count(count: u32) -> Text {
    Text {
        text: String::new(),
        count,
    }
}

pub(crate) static METHODS: [Method; 16] = [
    Method::new("test.Echo/Echo", Shape::Unary),
    Method::new("test.Echo/Many", Shape::ServerStreaming),
    Method::new("test.Echo/Sum", Shape::ClientStreaming),
    Method::new("test.Echo/Chat", Shape::Bidirectional),
    Method::new("test.Echo/Note", Shape::OneWay),
    Method::new("test.Echo/Wait", Shape::Unary),
    Method::new("test.Echo/Panic", Shape::Unary),
    Method::new("test.Echo/Fail", Shape::Unary),
    Method::new("test.Echo/OnlyRoot", Shape::Unary).access(Access::Root),
    Method::new("test.Echo/Back", Shape::Unary),
    Method::new("test.Echo/OnlyUser", Shape::Unary).access(Access::SameUser),
    Method::new("test.Echo/Large", Shape::Unary),
    Method::new("test.Echo/Left", Shape::Unary),
    Method::new("test.Echo/Early", Shape::ClientStreaming),
    Method::new("test.Echo/Deaf", Shape::ClientStreaming),
    Method::new("test.Echo/Linger", Shape::OneWay),
];
pub(crate) static ECHO: &Method = &METHODS[0];
pub(crate) static MANY: &Method = &METHODS[1];
pub(crate) static SUM: &Method = &METHODS[2];
pub(crate) static CHAT: &Method = &METHODS[3];
pub(crate) static NOTE: &Method = &METHODS[4];
pub(crate) static WAIT: &Method = &METHODS[5];
pub(crate) static PANIC: &Method = &METHODS[6];
pub(crate) static FAIL: &Method = &METHODS[7];
pub(crate) static ONLY_ROOT: &Method = &METHODS[8];
pub(crate) static BACK: &Method = &METHODS[9];
/// For the daemon's own user, and root.
pub(crate) static ONLY_USER: &Method = &METHODS[10];
/// Answers with so many bytes.
pub(crate) static LARGE: &Method = &METHODS[11];
/// Answers with the milliseconds until its deadline, or `u32::MAX`.
pub(crate) static LEFT: &Method = &METHODS[12];
/// Answers without reading.
pub(crate) static EARLY: &Method = &METHODS[13];
/// Reads only once it may go on.
pub(crate) static DEAF: &Method = &METHODS[14];
/// Takes a note once it may go on.
pub(crate) static LINGER: &Method = &METHODS[15];
pub(crate) static MISSING: Method = Method::new("test.Echo/Missing", Shape::Unary);

/// What the handlers saw, and what they wait for.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Handlers of `Wait` that have begun.
    pub(crate) waiting: Notify,
    /// Handlers of `Wait` that were dropped before their end.
    pub(crate) dropped: Notify,
    /// Tokens that were cancelled.
    pub(crate) cancelled: Notify,
    /// Lets one handler of `Wait` go on.
    pub(crate) go: Notify,
    /// One-way calls.
    pub(crate) notes: AtomicU32,
    /// Calls of `Echo` that ran.
    pub(crate) echoes: AtomicU32,
    /// Messages that `Many` has sent.
    pub(crate) sent: AtomicU32,
    /// Rung after each one-way call.
    pub(crate) noted: Notify,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Echo(pub(crate) Arc<Seen>);

impl Service for Echo {
    fn name(&self) -> &'static str {
        "test.Echo"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn schema(&self) -> u64 {
        1
    }

    fn call(&self, method: usize, incoming: Incoming) -> Handling {
        let seen = Arc::clone(&self.0);
        match method {
            0 => incoming.unary(move |call: Call<Text>| async move {
                seen.echoes.fetch_add(1, Ordering::Relaxed);
                echo(&call)?;
                Ok(call.body)
            }),
            1 => incoming.server_streaming(move |call, out| many(seen, call, out)),
            2 => incoming.client_streaming(sum),
            3 => incoming.bidirectional(chat),
            4 => incoming.one_way(move |_: Call<Text>| async move {
                seen.notes.fetch_add(1, Ordering::Relaxed);
                seen.noted.notify_one();
            }),
            5 => incoming.unary(move |call| wait(seen, call)),
            6 => incoming.unary(|call: Call<Text>| async move { panic_if(call.body) }),
            7 => incoming.unary(|call: Call<Text>| async move { fail(&call.body) }),
            8 => incoming.unary(|call: Call<Text>| async move { Ok::<_, Status>(call.body) }),
            9 => incoming.unary(back),
            10 => incoming.unary(|call: Call<Text>| async move { Ok::<_, Status>(call.body) }),
            11 => incoming.unary(|call: Call<Text>| async move { large(&call.body) }),
            12 => incoming.unary(|call: Call<Text>| async move { left(&call) }),
            13 => incoming.client_streaming(|_: Call<Receiver<Text>>| async { Ok(text("early")) }),
            14 => incoming.client_streaming(move |call| deaf(seen, call)),
            15 => incoming.one_way(move |_: Call<Text>| async move {
                seen.waiting.notify_one();
                seen.go.notified().await;
                seen.notes.fetch_add(1, Ordering::Relaxed);
                seen.noted.notify_one();
            }),
            _ => incoming.unimplemented(),
        }
    }
}

/// Sends metadata back, if there is any to be sent.
fn echo<T>(call: &Call<T>) -> Result<(), Status> {
    if let Some(value) = call.metadata.get("echo") {
        call.answer_with("echoed", value.clone())?;
    }
    Ok(())
}

/// Rings when a handler is dropped before its end.
struct Rings(Arc<Seen>, bool);

impl Drop for Rings {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.notify_one();
        }
    }
}

/// Sends so many messages; with the text "fail", fails behind them.
async fn many(seen: Arc<Seen>, call: Call<Text>, out: Sender<Text>) -> Result<(), Status> {
    let mut rings = Rings(seen, false);
    for number in 0..call.body.count {
        out.send(Text {
            text: call.body.text.clone(),
            count: number,
        })
        .await?;
        rings.0.sent.fetch_add(1, Ordering::Relaxed);
    }
    rings.1 = true;
    call.answer_with("sent", call.body.count.to_string())?;
    if call.body.text == "fail" {
        return Err(Status::aborted("after the messages"));
    }
    Ok(())
}

fn large(body: &Text) -> Result<Text, Status> {
    Ok(text(&"x".repeat(body.count as usize)))
}

fn left(call: &Call<Text>) -> Result<Text, Status> {
    let left = call.deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now().into_std());
        u32::try_from(left.as_millis()).unwrap_or(u32::MAX - 1)
    });
    Ok(count(left.unwrap_or(u32::MAX)))
}

async fn deaf(seen: Arc<Seen>, call: Call<Receiver<Text>>) -> Result<Text, Status> {
    seen.waiting.notify_one();
    seen.go.notified().await;
    sum(call).await
}

async fn sum(mut call: Call<Receiver<Text>>) -> Result<Text, Status> {
    echo(&call)?;
    let mut sum = 0;
    while let Some(text) = call.body.recv().await? {
        sum += text.count;
    }
    Ok(count(sum))
}

async fn chat(mut call: Call<Receiver<Text>>, out: Sender<Text>) -> Result<(), Status> {
    echo(&call)?;
    while let Some(text) = call.body.recv().await? {
        out.send(text).await?;
    }
    Ok(())
}

async fn wait(seen: Arc<Seen>, call: Call<Text>) -> Result<Text, Status> {
    let token = call.cancelled();
    let watcher = Arc::clone(&seen);
    let mut watch = tokio::task::JoinSet::from_iter([async move {
        token.cancelled().await;
        watcher.cancelled.notify_one();
    }]);
    watch.detach_all();
    let mut rings = Rings(Arc::clone(&seen), false);
    seen.waiting.notify_one();
    seen.go.notified().await;
    rings.1 = true;
    Ok(call.body)
}

fn panic_if(body: Text) -> Result<Text, Status> {
    assert!(body.text != "panic", "asked to panic");
    Ok(body)
}

fn fail(body: &Text) -> Result<Text, Status> {
    let code = ipc::Code::from_u32(body.count);
    Err(Status::new(code, body.text.clone()).with_details(&b"details"[..]))
}

async fn back(call: Call<Text>) -> Result<Text, Status> {
    let client = call.client();
    Ok(client.unary(ECHO, call.body).await?)
}
