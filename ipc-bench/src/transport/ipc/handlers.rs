//! What is called.

use ipc::{Call, Receiver, Sender, Status};

use super::Connection;
use crate::error::Error;
use crate::output::with_causes;
use crate::proto::{Arrived, Counted, Crowd, Echo, Order, Payload, Shapes, Wanted};
use crate::scenario::drive;
use crate::workload::Workload;

/// Answers with what it is given.
pub(super) struct Same;

impl Echo for Same {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        Ok(call.body)
    }
}

impl Crowd for Same {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        Ok(call.body)
    }
}

impl Shapes for Same {
    async fn note(&self, _: Call<Payload>) {}

    async fn download(&self, call: Call<Wanted>, out: Sender<Payload>) -> Result<(), Status> {
        let len = usize::try_from(call.body.payload).unwrap_or(usize::MAX);
        let payload = Payload {
            data: vec![7; len.min(LARGEST)].into(),
        };
        loop {
            out.send(payload.clone()).await?;
        }
    }

    async fn upload(&self, mut call: Call<Receiver<Payload>>) -> Result<Arrived, Status> {
        let mut arrived = Arrived::default();
        while let Some(payload) = call.body.recv().await? {
            arrived.bytes += u64::try_from(payload.data.len()).unwrap_or(u64::MAX);
        }
        Ok(arrived)
    }

    async fn chat(
        &self,
        mut call: Call<Receiver<Payload>>,
        out: Sender<Payload>,
    ) -> Result<(), Status> {
        while let Some(payload) = call.body.recv().await? {
            out.send(payload).await?;
        }
        Ok(())
    }

    async fn reverse(&self, call: Call<Order>, out: Sender<Counted>) -> Result<(), Status> {
        let workload = serde_json::from_str::<Workload>(&call.body.workload)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut client = call.client();
        if let Some(deadline) = workload.deadline() {
            client = client.with_deadline(deadline);
        }
        let mut driven = drive(&workload, &Connection::new(client, false));
        while let Some(told) = driven.next().await.map_err(|error| internal(&error))? {
            let counts = serde_json::to_string(&told).map_err(|error| internal(&error.into()))?;
            out.send(Counted { counts }).await?;
        }
        Ok(())
    }
}

fn internal(error: &Error) -> Status {
    Status::internal(with_causes(error))
}

/// The largest payload the default limits let through, in bytes.
const LARGEST: usize = 4_194_304;
