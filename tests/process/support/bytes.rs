//! Long byte-exact transfers: a stream of bytes that depends on its position, so that a loss, a repetition or a
//! swap anywhere shows, and at which byte.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// 1 MiB.
pub(crate) const MIB: usize = 1 << 20;

/// Fills `block` with the bytes of stream `seed` from `position`, which is a multiple of 8.
fn fill(seed: u64, position: usize, block: &mut [u8]) {
    for (n, word) in block.chunks_mut(8).enumerate() {
        // splitmix64 of the word's index.
        let mut z = seed
            .wrapping_add((position / 8 + n) as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bytes = (z ^ (z >> 31)).to_le_bytes();
        word.copy_from_slice(&bytes[..word.len()]);
    }
}

/// The first `length` bytes of stream `seed`.
pub(crate) fn stream(seed: u64, length: usize) -> Vec<u8> {
    let mut all = vec![0; length];
    fill(seed, 0, &mut all);
    all
}

/// Writes `length` bytes of stream `seed`.
pub(crate) async fn send(to: &mut (impl AsyncWrite + Unpin), seed: u64, length: usize) {
    let mut block = vec![0; 64 << 10];
    let mut done = 0;
    while done < length {
        let size = block.len().min(length - done);
        fill(seed, done, &mut block[..size]);
        to.write_all(&block[..size])
            .await
            .unwrap_or_else(|e| panic!("writing broke after {done} of {length} bytes: {e}"));
        done += size;
    }
}

/// Reads `length` bytes and compares each with stream `seed`.
pub(crate) async fn expect(from: &mut (impl AsyncRead + Unpin), seed: u64, length: usize) {
    expect_from(from, seed, 0, length).await;
}

/// Reads the bytes of stream `seed` from `start`, a multiple of 8, up to `end`, and compares each.
pub(crate) async fn expect_from(
    from: &mut (impl AsyncRead + Unpin),
    seed: u64,
    start: usize,
    end: usize,
) {
    let mut block = vec![0; 64 << 10];
    let mut wanted = vec![0; 64 << 10];
    let mut done = start;
    while done < end {
        let size = block.len().min(end - done);
        from.read_exact(&mut block[..size])
            .await
            .unwrap_or_else(|e| {
                panic!("reading broke in the block after {done} of {end} bytes: {e}")
            });
        fill(seed, done, &mut wanted[..size]);
        if let Some(at) = (0..size).find(|&i| block[i] != wanted[i]) {
            panic!("byte {} of {end} is wrong", done + at);
        }
        done += size;
    }
}

/// Reads to the end and asserts that nothing more came.
pub(crate) async fn expect_end(from: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    from.read_to_end(&mut rest)
        .await
        .expect("the stream ends with a FIN");
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
}
