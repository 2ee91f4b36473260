//! What is taken at most. Everything has a limit.

/// Bytes of a body with one report, unless configured otherwise.
pub(crate) const BODY_BYTES_MAX: usize = 262_144;
/// Reports in one request, unless configured otherwise.
pub(crate) const BATCH_REPORTS_MAX: usize = 1000;
/// Bytes of a body with many reports, for each byte of one.
pub(crate) const BATCH_BODIES: usize = 16;
/// Anchors in one answer.
pub(crate) const ANCHORS_MAX: usize = 1000;
/// How long a client may take to send its head, in milliseconds.
pub(crate) const CLIENT_HEAD_MS_MAX: u64 = 10_000;
/// Seconds a caller should wait before it comes back to a busy log.
pub(crate) const RETRY_AFTER_S: u64 = 1;
/// Connections at once.
pub(crate) const CONNECTIONS_MAX: usize = 4096;
