//! One request over rtnetlink, and everything up to the kernel's last word on it.

use futures_util::StreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_core::{NLM_F_DUMP_INTR, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage as Message;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// How long the kernel may take to answer. It takes microseconds; an answer that is lost must not keep anybody.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Makes a request. Returns the messages that answer it.
///
/// # Errors
/// The kernel's own; `TimedOut` where no last word comes within `limit`; `Interrupted` where a listing has changed meanwhile.
pub(super) async fn ask(
    handle: Handle,
    message: Message,
    flags: u16,
    limit: Duration,
) -> io::Result<Vec<Message>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the kernel does not answer");
    timeout(limit, collect(handle, message, flags)).await.map_err(late)?
}

/// The requests of rtnetlink itself take the end of a broken connection for success.
async fn collect(mut handle: Handle, message: Message, flags: u16) -> io::Result<Vec<Message>> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = flags;
    let mut answers = handle.request(request).map_err(|_| io::ErrorKind::BrokenPipe)?;
    let mut messages = Vec::new();
    while let Some(answer) = answers.next().await {
        if answer.header.flags & NLM_F_DUMP_INTR != 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => messages.push(message),
            NetlinkPayload::Done(_) => return Ok(messages),
            NetlinkPayload::Error(verdict) if verdict.code.is_none() => return Ok(messages),
            NetlinkPayload::Error(verdict) => return Err(verdict.to_io()),
            NetlinkPayload::Overrun(_) => return Err(io::ErrorKind::Interrupted.into()),
            _ => {}
        }
    }
    Err(io::ErrorKind::BrokenPipe.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_ECHO, NLM_F_REQUEST};
    use rtnetlink::packet_route::link::LinkMessage;

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut connection, handle, _) = rtnetlink::new_connection().unwrap();
            connection.set_forward_done(true);
            tokio::spawn(connection);
            let request = || Message::GetLink(LinkMessage::default());
            let limit = Duration::from_millis(50);
            // The kernel ignores what is not marked as a request (netlink_rcv_skb of af_netlink.c).
            let error = ask(handle.clone(), request(), NLM_F_ECHO, limit).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let links = ask(handle, request(), NLM_F_REQUEST | NLM_F_DUMP, REQUEST_LIMIT).await;
            assert!(!links.unwrap().is_empty());
        });
    }
}
