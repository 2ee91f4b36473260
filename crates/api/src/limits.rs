//! What is taken at most. Everything has a limit.

/// Bytes of a body with one report, unless configured otherwise.
pub(crate) const BODY_BYTES_MAX: usize = 262_144;
/// Reports in one request, unless configured otherwise.
pub(crate) const BATCH_REPORTS_MAX: usize = 1000;
/// Bytes of a body with many reports, for each byte of one.
pub(crate) const BATCH_BODIES: usize = 16;
/// Bodies longer than one report's that are read at the same time: this bounds their memory.
pub(crate) const LONG_BODIES_MAX: usize = 32;
/// Bytes of a body that is parsed where it was read. Longer ones go to a blocking thread, so that
/// one batch does not hold up a worker's other connections.
pub(crate) const INLINE_PARSE_BYTES_MAX: usize = 64 << 10;
/// Characters of a problem's detail: it may quote what the caller sent.
pub(crate) const DETAIL_CHARS_MAX: usize = 400;
/// Anchors in one answer, where the caller names no number.
pub(crate) const ANCHORS_USUAL: usize = 100;
/// Anchors in one answer.
pub(crate) const ANCHORS_MAX: usize = 1000;
/// How long a client may take to send its head, in milliseconds.
pub(crate) const CLIENT_HEAD_MS_MAX: u64 = 10_000;
/// How long a client may take to send its body, in milliseconds.
pub(crate) const CLIENT_BODY_MS_MAX: u64 = 20_000;
/// Seconds a connection may idle between two requests.
pub(crate) const IDLE_S_MAX: u64 = 75;
/// Connections at once, for each worker.
pub(crate) const CONNECTIONS_MAX: usize = 4096;
/// Threads of one worker for signatures and disk reads. Checking is CPU work: more threads than
/// this only take turns; fewer would let a slow disk hold up every reader.
pub(crate) const BLOCKING_THREADS_MAX: usize = 32;
/// How long requests under way may take to end once the server is to stop, in milliseconds.
pub(crate) const DRAIN_MS_MAX: u64 = 5_000;
/// Seconds a cache may keep the checkpoint: a new one is signed at every commit.
pub(crate) const CHECKPOINT_CACHE_S: u32 = 1;
/// Seconds a cache may keep a partial tile. Its bytes never change, but a wider one comes.
pub(crate) const PARTIAL_TILE_CACHE_S: u32 = 60;
/// Seconds a cache may keep the trust file.
pub(crate) const TRUST_CACHE_S: u32 = 60;

/// What the operator configures of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one report's JSON, signature and details included; also of one NDJSON line.
    pub(crate) body_bytes_max: usize,
    /// Reports in a batch, lines in an NDJSON body.
    pub(crate) batch_reports_max: usize,
}

impl Limits {
    /// Bytes of a body with many reports.
    pub(crate) fn batch_bytes_max(&self) -> usize {
        self.body_bytes_max.saturating_mul(BATCH_BODIES)
    }
}
