//! What is taken at most. Everything has a limit.

/// Bytes of a body with one report, unless configured otherwise.
pub(crate) const BODY_BYTES_MAX: usize = 262_144;
/// Reports in one request, unless configured otherwise.
pub(crate) const BATCH_REPORTS_MAX: usize = 1000;
/// Bytes of a body with many reports, for each byte of one.
pub(crate) const BATCH_BODIES: usize = 16;
/// Bodies of reports that are read at the same time, if each is as long as a body may be: this
/// bounds their bytes.
pub(crate) const LONG_BODIES_MAX: usize = 32;
/// Bytes of small bodies that are being read at the same time: signing in does not wait for reports.
pub(crate) const SMALL_BODIES_BYTES_MAX: usize = 32 << 20;
/// Of these bytes, what all strangers may hold together: one part in so many. The rest is for
/// organisations.
pub(crate) const STRANGERS_PART: usize = 2;
/// Of these bytes, what one client or organisation may hold: one part in so many.
pub(crate) const ONES_PART: usize = 4;
/// Clients that are remembered to have sent an organisation's own words.
pub(crate) const KNOWN_CLIENTS_MAX: usize = 10_000;
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
/// How long a stranger may take for it, in milliseconds: this, and a second for each so many bytes.
pub(crate) const STRANGER_BODY_MS_MAX: u64 = 5_000;
/// Bytes a second after which a stranger's body is not too slow.
pub(crate) const STRANGER_BYTES_PER_S: u64 = 16 << 10;
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
/// Seconds a cache may keep the description of the interface.
pub(crate) const DOCS_CACHE_S: u32 = 60;
/// Bytes of a small document: a sign-in, an invite, a signature.
pub(crate) const SMALL_BODY_BYTES_MAX: usize = 16 << 10;
/// Bytes of a document that somebody signed, with its words and signatures.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 32 << 10;

/// Versions in one request to the vault.
pub(crate) const BATCH_VERSIONS_MAX: usize = 1000;
/// Bytes of a request to the vault: one version as long as one may be in base64, or many short ones.
pub(crate) const VAULT_BODY_BYTES_MAX: usize = 8 << 20;
/// Purposes that a reader names.
pub(crate) const PURPOSES_MAX: usize = 16;

/// How long a nonce may be signed, in milliseconds.
pub(crate) const NONCE_MS_MAX: u64 = 5 * 60 * 1000;
/// Nonces that wait for their signature.
pub(crate) const NONCES_MAX: usize = 100_000;
/// Bytes of a sign-in message.
pub(crate) const SIWE_BYTES_MAX: usize = 2048;
/// How long somebody stays signed in, in milliseconds, unless configured otherwise.
pub(crate) const SESSION_MS: u64 = 12 * 60 * 60 * 1000;
/// Nonces of one client that wait for their signature.
pub(crate) const NONCES_OF_CLIENT_MAX: usize = 1_000;
/// Sessions at once, those of organisations and the operator not counted.
pub(crate) const SESSIONS_MAX: usize = 100_000;
/// Sessions at once that were opened from one client: patients behind one hospital's address.
pub(crate) const SESSIONS_OF_CLIENT_MAX: usize = 10_000;
/// Sessions at once of one address.
pub(crate) const SESSIONS_OF_ONE_MAX: usize = 32;
/// How often what has expired is forgotten, in milliseconds.
pub(crate) const SWEEP_MS: u64 = 60_000;

/// How many clients' share the networks of one IPv6 site have together.
pub(crate) const SITE_SHARES: u32 = 8;
/// Requests a second from one internet address, reports not counted.
pub(crate) const ASKS_PER_S: u32 = 500;
/// The same, at once.
pub(crate) const ASKS_BURST: u32 = 2_000;
/// Steps of signing in, a minute, from one internet address.
pub(crate) const SIGN_INS_PER_MINUTE: u32 = 120;
/// The same, at once.
pub(crate) const SIGN_INS_BURST: u32 = 120;
/// Signed documents that a client may carry to the log: anybody may, each becomes a line, and each
/// makes us look at the chain.
pub(crate) const DOCUMENTS_PER_MINUTE: u32 = 60;
/// The same at once.
pub(crate) const DOCUMENTS_BURST: u32 = 60;
/// Invites tried, and wrong API keys, a minute, from one internet address.
pub(crate) const GUESSES_PER_MINUTE: u32 = 10;
/// The same, at once.
pub(crate) const GUESSES_BURST: u32 = 20;
/// Reports a second that an organisation's events become, sent with an API key: one a patient.
pub(crate) const RELAYED_PER_S: u32 = 20_000;
/// The same, at once.
pub(crate) const RELAYED_BURST: u32 = 20_000;
/// Parts of the events of one request that are made, and wait for their places, at the same time:
/// this bounds their bytes.
pub(crate) const PARTS_AT_ONCE_MAX: usize = 32;
/// How often whoever has not asked for a while is forgotten, in requests.
pub(crate) const RATE_SWEEP_CHECKS: u32 = 16_384;

/// Lines in one page of a trail, where the caller names no number.
pub(crate) const LINES_USUAL: usize = 100;
/// Lines in one page of a trail.
pub(crate) const LINES_MAX: usize = 1000;
/// Lines that a day chart looks at, whether or not they fit what is asked for.
pub(crate) const COUNTED_LINES_MAX: usize = 100_000;
/// Lines of one day that are looked at for what may account for a claim.
pub(crate) const ACCOUNTING_LINES_MAX: usize = 200;
/// Changes, hand-overs and refusals that the way of one record is read from, at most, about.
pub(crate) const CHAIN_LINES_MAX: usize = 5_000;
/// Bytes of their details documents, at most, about.
pub(crate) const CHAIN_DETAILS_BYTES_MAX: usize = 16 << 20;
/// Damaged entries of which the operator is told, each once.
pub(crate) const DAMAGED_TOLD_MAX: usize = 1_000;
/// Seconds between two signs of life on a stream without news.
pub(crate) const FEED_COMMENT_S: u64 = 15;
/// Streams at once of one address.
pub(crate) const FEEDS_OF_ONE_MAX: usize = 16;
/// Lines that one page of a search looks at: a search that fits little gives short pages.
pub(crate) const SEARCHED_LINES_MAX: usize = 5_000;
/// Pages of which a search may show less than it looked at: each opens some thousand entries.
pub(crate) const SEARCHED_PAGES_MAX: usize = 2;
/// To what an organisation's last sign of life is rounded, in milliseconds: it must not tell which
/// of the log's entries is whose.
pub(crate) const HEARD_ROUND_MS: u64 = 60_000;
/// Gaps in an organisation's numbers that are told.
pub(crate) const GAPS_MAX: usize = 100;

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
