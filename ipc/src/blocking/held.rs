//! A hold on one call: as long as it lives, the call's state is kept and the client is lent.

use prost::Message;

use super::link::Link;
use crate::error::Error;
use crate::method::Method;
use crate::outgoing::{Options, Reply, judge};
use crate::wire::{Encode, Key};

/// A hold on one call. One that is still open is cancelled when it is dropped.
pub(super) struct Held<'a> {
    pub(super) link: &'a mut Link,
    pub(super) key: Key,
}

impl<'a> Held<'a> {
    pub(super) fn open(
        link: &'a mut Link,
        method: &'static Method,
        options: Options,
        request: Option<&dyn Encode>,
    ) -> Result<Self, Error> {
        let key = link.open(method, options, request)?;
        Ok(Self { link, key })
    }

    /// Waits for the one answer.
    pub(super) fn reply<M: Message + Default>(self) -> Result<Reply<M>, Error> {
        Ok(judge(self.link.answer(self.key))?)
    }

    /// Waits until a one-way call has left as a whole.
    pub(super) fn sent(self) -> Result<(), Error> {
        Ok(self.link.sent(self.key)?)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.link.release(self.key);
    }
}
