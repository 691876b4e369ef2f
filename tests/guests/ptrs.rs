//! A program written against `ptrs` alone makes a round trip through a WATM.
#![cfg(all(unix, feature = "ptrs"))]

use crate::tunnel::{pair, within};
use ::ptrs::{ClientBuilder, ClientTransport, PluggableTransport, ServerBuilder, ServerTransport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Everything here is `ptrs`; only the type that is put in is ours.
async fn round_trip<T>()
where
    T: PluggableTransport<TcpStream>,
    <T::ClientBuilder as ClientBuilder<TcpStream>>::ClientPT:
        ClientTransport<TcpStream, <T::ClientBuilder as ClientBuilder<TcpStream>>::Error>,
{
    let (near, far) = pair().await;
    let client = T::client_builder().build();
    let server = T::server_builder().build();
    let (near, far) = tokio::join!(ClientTransport::wrap(client, near), server.reveal(far));
    let (Ok(mut near), Ok(mut far)) = (near, far) else {
        panic!("{}: the handshake failed", T::name())
    };
    within("the round trip", async {
        near.write_all(b"ping").await.expect("sent");
        near.shutdown().await.expect("half-closed");
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.expect("arrived");
        assert_eq!(got, b"ping");
        far.write_all(b"pong").await.expect("sent");
        far.shutdown().await.expect("half-closed");
        got.clear();
        near.read_to_end(&mut got).await.expect("arrived");
        assert_eq!(got, b"pong");
    })
    .await;
}

#[tokio::test]
async fn plain_and_reverse_work_for_programs_written_against_ptrs() {
    round_trip::<ouzel::ptrs::Watm<ouzel::ptrs::Plain>>().await;
    round_trip::<ouzel::ptrs::Watm<ouzel::ptrs::Reverse>>().await;
}

/// `establish` takes a connection that is still being made.
#[tokio::test]
async fn a_connection_may_still_be_under_way() {
    let (near, far) = pair().await;
    let mut builder =
        <ouzel::ptrs::Watm<ouzel::ptrs::Plain> as PluggableTransport<TcpStream>>::client_builder();
    let client = ClientBuilder::<TcpStream>::timeout(&mut builder, None)
        .expect("taken")
        .clone();
    let client = ClientBuilder::<TcpStream>::build(&client);
    let dialling = Box::pin(async move { Ok::<_, std::io::Error>(near) });
    let server = ServerBuilder::<TcpStream>::build(&builder);
    let (near, far) = tokio::join!(
        client.establish(dialling),
        ServerTransport::reveal(server, far)
    );
    let (mut near, mut far) = (near.expect("dialled"), far.expect("accepted"));
    near.write_all(b"x").await.expect("sent");
    let mut got = [0; 1];
    within("the byte", far.read_exact(&mut got))
        .await
        .expect("arrived");
}

/// A module that crashes leaves no stream that looks complete.
struct Crashing;

impl ouzel::ptrs::Module for Crashing {
    const NAME: &'static str = "crashing";

    fn wasm() -> std::borrow::Cow<'static, [u8]> {
        crate::tunnel::wasm("trap").into()
    }
}

#[tokio::test]
async fn a_cut_stream_reads_as_a_reset() {
    let (near, _far) = pair().await;
    type Transport = ouzel::ptrs::Watm<Crashing>;
    let client = <Transport as PluggableTransport<TcpStream>>::client_builder();
    let client = ClientBuilder::<TcpStream>::build(&client);
    let client = ClientTransport::<TcpStream, ouzel::error::Failure>::wrap(client, near);
    let mut near = client.await.expect("the handshake");
    near.write_all(b"x").await.expect("sent");
    let read = within("the end", near.read_to_end(&mut Vec::new())).await;
    let error = read.expect_err("no clean end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
