//! Who is signed in. In memory: a new start of the process signs everybody out, which costs a
//! click, and leaves nothing on a disk that could be stolen.

use crate::client::Client;
use crate::limits::{
    NONCE_MS_MAX, NONCES_MAX, NONCES_OF_CLIENT_MAX, SESSIONS_MAX, SESSIONS_OF_CLIENT_MAX,
    SESSIONS_OF_ONE_MAX, SWEEP_MS,
};
use crate::shares::Kept;
use alloy_primitives::{Address, hex};
use aws_lc_rs::{digest, rand};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// How tokens of sessions begin, so that they are told from API keys, and found in leaked files.
const TOKEN_PREFIX: &str = "mts_";

/// Somebody who has shown that an address is theirs.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) address: Address,
    /// Until when, milliseconds since 1970.
    pub(crate) expires_ms: u64,
    /// Cancelled at sign-out: streams of the session end by it.
    pub(crate) ended: CancellationToken,
    token: TokenHash,
}

/// Tokens are looked up by their hash: how far a guess is right does not show in the time.
type TokenHash = [u8; 32];

struct Nonce {
    address: Address,
    expires_ms: u64,
}

struct Inner {
    nonces: Kept<String, Nonce>,
    sessions: Kept<TokenHash, Session>,
    swept_ms: u64,
}

/// An address whose key signed a message with a nonce that was good.
#[derive(Debug)]
pub(crate) struct Shown(Address);

/// The nonce was never given out, used before, is too old, or another address's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UnknownNonce;

/// All sessions of this process. Addresses cost nothing, so that anybody could take all places:
/// where there are none left, the oldest of the client with most of them gives way.
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
    /// How long one lasts, in milliseconds.
    session_ms: u64,
}

impl Sessions {
    /// None yet; each to last so many milliseconds.
    pub(crate) fn new(session_ms: u64) -> Self {
        let inner = Inner {
            nonces: Kept::new(NONCES_MAX, NONCES_OF_CLIENT_MAX),
            sessions: Kept::new(SESSIONS_MAX, SESSIONS_OF_CLIENT_MAX),
            swept_ms: 0,
        };
        Self { inner: Mutex::new(inner), session_ms }
    }

    /// How long a session lasts, in milliseconds.
    pub(crate) fn session_ms(&self) -> u64 {
        self.session_ms
    }

    /// A nonce for this address, asked for by this client; good once.
    pub(crate) fn nonce(&self, address: Address, from: Client, now_ms: u64) -> String {
        let nonce = hex::encode(random::<16>());
        let kept = Nonce { address, expires_ms: now_ms + NONCE_MS_MAX };
        self.lock(now_ms).nonces.insert(nonce.clone(), kept, Some(from));
        nonce
    }

    /// Uses up a nonce, whoever shows it; only who it was given to has shown an address by it.
    pub(crate) fn spend(
        &self,
        address: Address,
        nonce: &str,
        now_ms: u64,
    ) -> Result<Shown, UnknownNonce> {
        let given = self.lock(now_ms).nonces.remove(nonce).ok_or(UnknownNonce)?;
        match given.address == address && now_ms < given.expires_ms {
            true => Ok(Shown(address)),
            false => Err(UnknownNonce),
        }
    }

    /// Signs in whoever has shown an address; returns the token too, which is nowhere kept. The
    /// oldest session of an address that has too many ends. Sessions of organisations and of the
    /// operator are `of` no client: few addresses have them, and theirs give way to nobody's.
    pub(crate) fn open(&self, shown: Shown, of: Option<Client>, now_ms: u64) -> (String, Session) {
        let Shown(address) = shown;
        let mut inner = self.lock(now_ms);
        let own: Vec<_> =
            inner.sessions.values().filter(|session| session.address == address).collect();
        if own.len() >= SESSIONS_OF_ONE_MAX
            && let Some(oldest) = own.into_iter().min_by_key(|session| session.expires_ms)
        {
            let oldest = oldest.token;
            inner.end(&oldest);
        }
        let token = format!("{TOKEN_PREFIX}{}", hex::encode(random::<32>()));
        let session = Session {
            address,
            expires_ms: now_ms + self.session_ms,
            ended: CancellationToken::new(),
            token: hash(&token),
        };
        if let Some(gone) = inner.sessions.insert(session.token, session.clone(), of) {
            gone.ended.cancel();
        }
        (token, session)
    }

    /// The session of a token.
    pub(crate) fn find(&self, token: &str, now_ms: u64) -> Option<Session> {
        let hashed = hash(token);
        let mut inner = self.lock(now_ms);
        let found = inner.sessions.get(&hashed)?;
        if found.expires_ms <= now_ms {
            inner.end(&hashed);
            return None;
        }
        Some(found.clone())
    }

    /// Signs out.
    pub(crate) fn close(&self, session: &Session) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).end(&session.token);
    }

    fn lock(&self, now_ms: u64) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms >= inner.swept_ms + SWEEP_MS {
            inner.sweep(now_ms);
        }
        inner
    }
}

impl Inner {
    fn end(&mut self, token: &TokenHash) {
        if let Some(session) = self.sessions.remove(token) {
            session.ended.cancel();
        }
    }

    /// Forgets what has expired.
    fn sweep(&mut self, now_ms: u64) {
        self.swept_ms = now_ms;
        self.nonces.take_unless(|nonce| nonce.expires_ms > now_ms);
        for session in self.sessions.take_unless(|session| session.expires_ms > now_ms) {
            session.ended.cancel();
        }
    }
}

/// Random bytes of the system's generator.
fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).expect("the system gives random bytes, or nothing here is safe");
    bytes
}

fn hash(token: &str) -> TokenHash {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Address = Address::repeat_byte(1);
    const SESSION_MS: u64 = 12 * 60 * 60 * 1000;
    const NOW: u64 = 1_767_605_400_120;

    fn client(number: u32) -> Client {
        Client::at(number.to_be_bytes().into())
    }

    fn signed_in(sessions: &Sessions, now_ms: u64) -> (String, Session) {
        let nonce = sessions.nonce(ANNA, client(1), now_ms);
        let shown = sessions.spend(ANNA, &nonce, now_ms).unwrap();
        sessions.open(shown, Some(client(1)), now_ms)
    }

    #[test]
    fn a_nonce_is_good_once_for_its_address_and_for_five_minutes() {
        let sessions = Sessions::new(SESSION_MS);
        let used = sessions.nonce(ANNA, client(1), NOW);
        assert!(sessions.spend(ANNA, &used, NOW + NONCE_MS_MAX - 1).is_ok());
        let again = sessions.spend(ANNA, &used, NOW);
        assert_eq!(again.unwrap_err(), UnknownNonce);

        let late = sessions.nonce(ANNA, client(1), NOW);
        let refused = sessions.spend(ANNA, &late, NOW + NONCE_MS_MAX);
        assert_eq!(refused.unwrap_err(), UnknownNonce);

        let hers = sessions.nonce(ANNA, client(1), NOW);
        let other = sessions.spend(Address::repeat_byte(2), &hers, NOW);
        assert_eq!(other.unwrap_err(), UnknownNonce);
        let invented = sessions.spend(ANNA, "00000000000000000000000000000000", NOW);
        assert_eq!(invented.unwrap_err(), UnknownNonce);
    }

    #[test]
    fn a_session_lasts_until_it_expires_or_is_closed_and_its_streams_with_it() {
        let sessions = Sessions::new(SESSION_MS);
        let (token, session) = signed_in(&sessions, NOW);
        assert!(token.starts_with(TOKEN_PREFIX) && token.len() == 68);
        let last = NOW + SESSION_MS - 1;
        assert_eq!(sessions.find(&token, last).unwrap().address, ANNA);
        assert!(sessions.find(&token, last + 1).is_none());
        assert!(session.ended.is_cancelled());

        let (token, session) = signed_in(&sessions, NOW);
        assert!(sessions.find(&token[..67], NOW).is_none());
        sessions.close(&session);
        assert!(sessions.find(&token, NOW).is_none() && session.ended.is_cancelled());
    }

    #[test]
    fn what_has_expired_is_forgotten() {
        let sessions = Sessions::new(SESSION_MS);
        let (_, session) = signed_in(&sessions, NOW);
        sessions.nonce(ANNA, client(1), NOW);
        sessions.nonce(ANNA, client(1), NOW + SESSION_MS);
        let inner = sessions.inner.lock().unwrap();
        assert_eq!((inner.nonces.len(), inner.sessions.len()), (1, 0));
        assert!(session.ended.is_cancelled());
    }

    #[test]
    fn one_address_has_only_so_many_sessions_and_the_oldest_gives_way() {
        let sessions = Sessions::new(SESSION_MS);
        let (_, oldest) = signed_in(&sessions, NOW);
        for later in 1..SESSIONS_OF_ONE_MAX as u64 {
            signed_in(&sessions, NOW + later);
        }
        assert!(!oldest.ended.is_cancelled());
        signed_in(&sessions, NOW + 1000);
        assert!(oldest.ended.is_cancelled());
        assert_eq!(sessions.inner.lock().unwrap().sessions.len(), SESSIONS_OF_ONE_MAX);
    }

    #[test]
    fn whoever_asks_for_nonces_without_end_does_not_keep_others_from_signing_in() {
        let sessions = Sessions::new(SESSION_MS);
        let hers = sessions.nonce(ANNA, client(1), NOW);
        let eve = Address::repeat_byte(0xe1);
        let first = sessions.nonce(eve, client(2), NOW);
        for number in 0..NONCES_MAX as u32 {
            sessions.nonce(eve, client(2 + number % 200), NOW);
        }
        assert_eq!(sessions.inner.lock().unwrap().nonces.len(), NONCES_MAX);
        assert!(sessions.spend(ANNA, &hers, NOW).is_ok());
        assert_eq!(sessions.spend(eve, &first, NOW).unwrap_err(), UnknownNonce);
    }

    #[test]
    fn whoever_opens_sessions_without_end_ends_none_of_others_nor_of_organisations() {
        let sessions = Sessions::new(SESSION_MS);
        let open = |address, from, of| {
            let nonce = sessions.nonce(address, from, NOW);
            sessions.open(sessions.spend(address, &nonce, NOW).unwrap(), of, NOW).1
        };
        let hers = open(ANNA, client(1), Some(client(1)));
        // Behind the very address that opens so many.
        let clinic = open(Address::repeat_byte(7), client(2), None);
        let first = open(Address::repeat_byte(8), client(2), Some(client(2)));
        {
            // As after many hours: what `open` does with each, without its search by address.
            let mut inner = sessions.inner.lock().unwrap();
            for number in 0..SESSIONS_MAX as u32 + 10 {
                let token = hash(&number.to_string());
                let of = Some(client(2 + number % 20));
                inner.sessions.insert(token, Session { token, ..hers.clone() }, of);
            }
            assert_eq!(inner.sessions.len(), SESSIONS_MAX + 1);
        }
        let late = open(Address::repeat_byte(9), client(1), Some(client(1)));
        assert!(sessions.inner.lock().unwrap().sessions.get(&first.token).is_none());
        for kept in [hers, clinic, late] {
            assert!(sessions.inner.lock().unwrap().sessions.get(&kept.token).is_some());
        }
    }

    #[test]
    fn a_session_that_gives_way_ends_with_its_streams() {
        let sessions = Sessions::new(SESSION_MS);
        let (_, oldest) = signed_in(&sessions, NOW);
        {
            let mut inner = sessions.inner.lock().unwrap();
            for number in 1..SESSIONS_OF_CLIENT_MAX as u32 {
                let token = hash(&number.to_string());
                let address = Address::repeat_byte(2);
                let session = Session { token, address, ..oldest.clone() };
                inner.sessions.insert(token, session, Some(client(1)));
            }
        }
        assert!(!oldest.ended.is_cancelled());
        signed_in(&sessions, NOW);
        assert!(oldest.ended.is_cancelled());
    }
}
